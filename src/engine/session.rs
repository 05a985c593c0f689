//! Sessions: SQL statements of one client, in order, each seeing those before it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::Query;
use futures::TryStreamExt;
use tokio::sync::oneshot;

use super::commit::Request;
use super::definition::{FROM_USER, add_readers, drop_order};
use super::transaction::CatalogChange;
use super::{Engine, EngineError, ReadPoint};
use crate::model::{Change, ChangeKind, Submission, TableDefinition};
use crate::sql::query::QueryContext;
use crate::sql::statement::parse_query;
use crate::sql::{Copy, CopyFormat, DropKind, Show, SqlError, Statement, parse};

/// One client's conversation with the engine: its reads see at least its own writes.
pub struct Session {
    engine: Engine,
    /// The timestamp (ms) of the session's newest write.
    last_write_ms: u64,
}

/// What a statement takes and gives, before it is run.
#[derive(Clone, Debug)]
pub struct Description {
    /// The types of the parameters $1, $2, ….
    pub parameters: Vec<DataType>,
    /// The columns of the result; `None` for statements that return no rows.
    pub columns: Option<SchemaRef>,
}

/// The result of a statement.
pub enum Outcome {
    /// Rows of a query.
    Rows(SendableRecordBatchStream),
    /// A statement without rows; the text is the Postgres command tag, such as `INSERT 0 3`.
    Done(String),
    /// The client is to send rows, which go to [`Session::copy_in`].
    CopyIn(CopyTarget),
}

/// Where the rows of a `COPY … FROM STDIN` go and how they are written.
#[derive(Clone, Debug)]
pub struct CopyTarget {
    /// The table to be filled.
    pub table: String,
    /// The columns the client sends, in its order, with their types.
    pub columns: SchemaRef,
    /// The text format of the rows.
    pub format: CopyFormat,
}

impl Session {
    pub(super) fn new(engine: Engine) -> Session {
        Session {
            engine,
            last_write_ms: 0,
        }
    }

    /// Splits and parses SQL text; an empty text gives no statements.
    pub fn parse(&self, sql: &str) -> Result<Vec<Statement>, EngineError> {
        Ok(parse(sql)?)
    }

    /// The parameters and columns of a statement.
    pub async fn describe(&mut self, statement: &Statement) -> Result<Description, EngineError> {
        let (parameters, columns) = match statement {
            Statement::Query(query) => {
                let context = self.context().await?;
                let plan = context.plan(query)?;
                let columns = Arc::clone(plan.schema().inner());
                (QueryContext::parameter_types(&plan)?, Some(columns))
            }
            Statement::Insert { source, .. } => {
                let plan = self.context().await?.plan(source)?;
                (QueryContext::parameter_types(&plan)?, None)
            }
            Statement::Explain(_) | Statement::ExplainView(_) => (Vec::new(), Some(text_schema("plan"))),
            Statement::Show(show) => (Vec::new(), Some(show_schema(show))),
            _ => (Vec::new(), None),
        };
        Ok(Description {
            parameters,
            columns,
        })
    }

    /// Runs a statement.
    pub async fn execute(
        &mut self,
        statement: &Statement,
        parameters: &[ScalarValue],
    ) -> Result<Outcome, EngineError> {
        match statement {
            Statement::Query(query) => Ok(Outcome::Rows(self.query(query, parameters).await?)),
            Statement::Insert { table, columns, source } => {
                let rows = self.insert(table, columns, source, parameters).await?;
                Ok(Outcome::Done(format!("INSERT 0 {rows}")))
            }
            Statement::Update { table, assignments, condition } => {
                let rows = self.update(table, assignments, condition.as_deref()).await?;
                Ok(Outcome::Done(format!("UPDATE {rows}")))
            }
            Statement::Delete { table, condition } => {
                let rows = self.delete(table, condition.as_deref()).await?;
                Ok(Outcome::Done(format!("DELETE {rows}")))
            }
            Statement::Copy(copy) => Ok(Outcome::CopyIn(self.copy_target(copy)?)),
            Statement::Explain(query) => self.explain(query),
            Statement::ExplainView(name) => self.explain_view(name),
            Statement::Show(show) => self.show(show),
            Statement::Session(tag) => Ok(Outcome::Done((*tag).to_owned())),
            definition => self.define(definition).await,
        }
    }

    /// Adds rows sent by a client for a `COPY`, at one timestamp; returns how many.
    pub async fn copy_in(
        &mut self,
        target: &CopyTarget,
        rows: Vec<RecordBatch>,
    ) -> Result<u64, EngineError> {
        let table = self.table(&target.table)?;
        let columns: Vec<String> = names(&target.columns);
        let rows = rows.iter().map(|rows| fit(&table, &columns, rows));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        self.write(&table, vec![(ChangeKind::Upsert, rows)]).await
    }

    /// Everything at a moment that includes the session's own writes.
    async fn read(&self) -> Result<ReadPoint, EngineError> {
        self.engine.completed(self.last_write_ms).await?;
        self.engine.read()
    }

    async fn context(&self) -> Result<QueryContext, EngineError> {
        let point = self.read().await?;
        Ok(point.query_context(&self.engine.shared)?)
    }

    async fn query(
        &self,
        query: &Query,
        parameters: &[ScalarValue],
    ) -> Result<SendableRecordBatchStream, EngineError> {
        let context = self.context().await?;
        let plan = QueryContext::bind(context.plan(query)?, parameters)?;
        Ok(context.execute(plan).await?)
    }

    async fn collect(&self, sql: &str) -> Result<Vec<RecordBatch>, EngineError> {
        let rows = self.query(&*parse_query(sql)?, &[]).await?;
        Ok(rows.try_collect().await?)
    }

    fn table(&self, name: &str) -> Result<Arc<TableDefinition>, EngineError> {
        let state = self.engine.shared.state();
        Ok(Arc::clone(state.catalog.table(name)?))
    }

    async fn insert(
        &mut self,
        table: &str,
        columns: &[String],
        source: &Query,
        parameters: &[ScalarValue],
    ) -> Result<u64, EngineError> {
        let table = self.table(table)?;
        let rows: Vec<RecordBatch> = self.query(source, parameters).await?.try_collect().await?;
        let columns = match columns {
            [] => table.columns.iter().map(|column| column.name.clone()).collect(),
            columns => columns.to_vec(),
        };
        let rows = rows.iter().map(|rows| fit(&table, &columns, rows));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        self.write(&table, vec![(ChangeKind::Upsert, rows)]).await
    }

    async fn delete(&mut self, table: &str, condition: Option<&str>) -> Result<u64, EngineError> {
        let table = self.table(table)?;
        let condition = condition.unwrap_or("true");
        let old = self
            .collect(&format!("SELECT * FROM {} WHERE {condition}", quoted(&table.name)))
            .await?;
        self.write(&table, vec![(ChangeKind::Delete, old)]).await
    }

    async fn update(
        &mut self,
        table: &str,
        assignments: &[(String, String)],
        condition: Option<&str>,
    ) -> Result<u64, EngineError> {
        let table = self.table(table)?;
        for (column, _) in assignments {
            if table.column_index(column).is_none() {
                let message = format!("table \"{}\" has no column \"{column}\"", table.name);
                return Err(SqlError::new("42703", message).into());
            }
        }
        let values = table.columns.iter().map(|column| {
            let assigned = assignments.iter().find(|(name, _)| *name == column.name);
            let value = assigned.map_or_else(|| quoted(&column.name), |(_, value)| format!("({value})"));
            format!("{value} AS {}", quoted(&column.name))
        });
        let values = values.collect::<Vec<_>>().join(", ");
        let condition = condition.unwrap_or("true");
        let from = format!("FROM {} WHERE {condition}", quoted(&table.name));
        // One query gives old and new values of each row at one moment.
        let old = self.collect(&format!("SELECT * {from}")).await?;
        let new = self.collect(&format!("SELECT {values} {from}")).await?;
        let columns: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
        let new = new.iter().map(|rows| fit(&table, &columns, rows));
        let new = new.collect::<Result<Vec<_>, _>>()?;
        let updated: usize = new.iter().map(RecordBatch::num_rows).sum();
        let changes = match table.version.is_empty() {
            true => vec![(ChangeKind::Delete, old), (ChangeKind::Upsert, new)],
            // Versions decide; a deletion would hide the new row of the same version.
            false => vec![(ChangeKind::Upsert, new)],
        };
        self.write(&table, changes).await?;
        Ok(updated as u64)
    }

    /// Commits changes of one table at one timestamp; returns the number of rows of the last kind.
    async fn write(
        &mut self,
        table: &TableDefinition,
        changes: Vec<(ChangeKind, Vec<RecordBatch>)>,
    ) -> Result<u64, EngineError> {
        let mut written = 0;
        let mut submitted = Vec::new();
        for (kind, rows) in changes {
            written = rows.iter().map(|rows| rows.num_rows() as u64).sum();
            let rows = rows.into_iter().filter(|rows| rows.num_rows() > 0);
            for rows in rows {
                submitted.push(Change {
                    table: Arc::from(table.name.as_str()),
                    kind,
                    rows: RecordBatch::try_new(table.schema(), rows.columns().to_vec())
                        .map_err(|error| SqlError::new("23502", error.to_string()))?,
                });
            }
        }
        if submitted.is_empty() {
            return Ok(0);
        }
        let submission = Submission {
            changes: submitted,
            ..Submission::default()
        };
        self.call(|reply| Request::Submit {
            submission,
            reply: Some(reply),
        })
        .await?;
        Ok(written)
    }

    async fn call(
        &mut self,
        request: impl FnOnce(super::commit::Reply) -> Request,
    ) -> Result<u64, EngineError> {
        let (reply, answer) = oneshot::channel();
        let request = request(reply);
        let requests = self.engine.shared.requests.clone();
        // The queue may be full: waiting for room must not hold up other sessions.
        let sent = tokio::task::spawn_blocking(move || requests.send(request).is_ok()).await;
        if !sent.unwrap_or(false) {
            return Err(EngineError::ShutDown);
        }
        let timestamp_ms = answer.await.map_err(|_| EngineError::ShutDown)??;
        self.last_write_ms = self.last_write_ms.max(timestamp_ms);
        Ok(timestamp_ms)
    }

    fn copy_target(&self, copy: &Copy) -> Result<CopyTarget, EngineError> {
        let table = self.table(&copy.table)?;
        let schema = table.schema();
        let columns = match &copy.columns[..] {
            [] => schema,
            columns => {
                let fields = columns.iter().map(|column| {
                    let position = table.column_index(column).ok_or_else(|| {
                        let message = format!("table \"{}\" has no column \"{column}\"", table.name);
                        SqlError::new("42703", message)
                    })?;
                    Ok(schema.field(position).clone())
                });
                Arc::new(Schema::new(fields.collect::<Result<Vec<_>, SqlError>>()?))
            }
        };
        Ok(CopyTarget {
            table: copy.table.clone(),
            columns,
            format: copy.format.clone(),
        })
    }

    /// CREATE and DROP.
    async fn define(&mut self, statement: &Statement) -> Result<Outcome, EngineError> {
        let state = self.engine.shared.state();
        let catalog = &state.catalog;
        let (changes, tag) = match statement {
            Statement::CreateTable { definition, if_not_exists } => {
                if *if_not_exists && catalog.tables.contains_key(&definition.name) {
                    return Ok(Outcome::Done("CREATE TABLE".to_owned()));
                }
                let definition = definition.clone();
                (vec![CatalogChange::CreateTable { definition }], "CREATE TABLE")
            }
            Statement::CreateMaterializedView { name, or_replace, if_not_exists, text, .. } => {
                if *if_not_exists && catalog.live_views.contains_key(name) {
                    return Ok(Outcome::Done("CREATE MATERIALIZED VIEW".to_owned()));
                }
                let mut changes = Vec::new();
                if *or_replace && catalog.live_views.contains_key(name) {
                    changes.push(CatalogChange::DropLiveView { name: name.clone() });
                }
                changes.push(CatalogChange::CreateLiveView {
                    statement: text.clone(),
                    origin: FROM_USER.to_owned(),
                });
                (changes, "CREATE MATERIALIZED VIEW")
            }
            Statement::CreateView { name, or_replace, if_not_exists, query, .. } => {
                let exists = catalog.plain_views.contains_key(name);
                if *if_not_exists && exists {
                    return Ok(Outcome::Done("CREATE VIEW".to_owned()));
                }
                let mut changes = Vec::new();
                if *or_replace && exists {
                    changes.push(CatalogChange::DropView { name: name.clone() });
                }
                changes.push(CatalogChange::CreateView {
                    name: name.clone(),
                    query: query.to_string(),
                });
                (changes, "CREATE VIEW")
            }
            Statement::Drop { kind, names, if_exists, cascade } => {
                self.drop_changes(*kind, names, *if_exists, *cascade)?
            }
            _ => return Err(SqlError::unsupported("this statement is not supported").into()),
        };
        if !changes.is_empty() {
            self.call(|reply| Request::Catalog { changes, reply }).await?;
        }
        Ok(Outcome::Done(tag.to_owned()))
    }

    fn drop_changes(
        &self,
        kind: DropKind,
        names: &[String],
        if_exists: bool,
        cascade: bool,
    ) -> Result<(Vec<CatalogChange>, &'static str), EngineError> {
        let state = self.engine.shared.state();
        let catalog = &state.catalog;
        let mut changes = Vec::new();
        let tag = match kind {
            DropKind::Table => "DROP TABLE",
            DropKind::MaterializedView => "DROP MATERIALIZED VIEW",
            DropKind::View => "DROP VIEW",
        };
        for name in names {
            let exists = match kind {
                DropKind::Table => catalog.tables.contains_key(name),
                DropKind::MaterializedView => catalog.live_views.contains_key(name),
                DropKind::View => catalog.plain_views.contains_key(name),
            };
            if !exists && if_exists {
                continue;
            }
            if !exists {
                return Err(SqlError::undefined_table(name).into());
            }
            if cascade {
                let mut readers = BTreeSet::new();
                for reader in catalog.readers(name) {
                    add_readers(catalog, &reader, &mut readers);
                }
                let readers = drop_order(catalog, &readers).into_iter();
                changes.extend(readers.map(|name| CatalogChange::DropLiveView { name }));
            }
            let name = name.clone();
            changes.push(match kind {
                DropKind::Table => CatalogChange::DropTable { name },
                DropKind::MaterializedView => CatalogChange::DropLiveView { name },
                DropKind::View => CatalogChange::DropView { name },
            });
        }
        Ok((changes, tag))
    }

    fn explain(&self, query: &Query) -> Result<Outcome, EngineError> {
        let state = self.engine.shared.state();
        let planner = &self.engine.shared.planner;
        let view = planner.plan_view(&state.catalog, "explained", query, "")?;
        Ok(lines("plan", &view.plan.to_string()))
    }

    fn explain_view(&self, name: &str) -> Result<Outcome, EngineError> {
        let state = self.engine.shared.state();
        let view = state.catalog.live_views.get(name);
        let view = view.ok_or_else(|| SqlError::undefined_table(name))?;
        Ok(lines("plan", &view.plan.to_string()))
    }

    fn show(&self, show: &Show) -> Result<Outcome, EngineError> {
        let state = self.engine.shared.state();
        let catalog = &state.catalog;
        let rows: Vec<Vec<String>> = match show {
            Show::Tables => {
                let tables = catalog.tables.values();
                tables.map(|table| vec![table.name.clone(), table.description.clone()]).collect()
            }
            Show::Views => {
                let live = catalog.live_views.keys().map(|name| vec![name.clone(), "live".to_owned()]);
                let plain = catalog.plain_views.keys().map(|name| vec![name.clone(), "plain".to_owned()]);
                live.chain(plain).collect()
            }
            Show::Columns(name) => {
                let schema = match (catalog.tables.get(name), catalog.live_views.get(name)) {
                    (Some(table), _) => table.schema(),
                    (None, Some(view)) => Arc::clone(&view.schema),
                    (None, None) => return Err(SqlError::undefined_table(name).into()),
                };
                let column = |field: &Arc<Field>| {
                    let nullable = if field.is_nullable() { "YES" } else { "NO" };
                    vec![field.name().clone(), field.data_type().to_string(), nullable.to_owned()]
                };
                schema.fields().iter().map(column).collect()
            }
            Show::Create(name) => match (catalog.live_views.get(name), catalog.plain_views.get(name)) {
                (Some(view), _) => vec![vec![view.statement.clone()]],
                (None, Some(query)) => vec![vec![format!("CREATE VIEW {name} AS {query}")]],
                (None, None) => return Err(SqlError::undefined_table(name).into()),
            },
            Show::Setting(name) => vec![vec![setting(name)]],
        };
        Ok(Outcome::Rows(text_rows(show_schema(show), rows)))
    }
}

fn setting(name: &str) -> String {
    let value = match name {
        "server_version" => "16.0 (Mainstem)",
        "transaction isolation level" | "transaction_isolation" => "serializable",
        "timezone" | "time zone" => "UTC",
        "client_encoding" | "server_encoding" => "UTF8",
        "standard_conforming_strings" => "on",
        "datestyle" => "ISO, MDY",
        _ => "",
    };
    value.to_owned()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn names(schema: &SchemaRef) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

/// Rows given for some columns as rows of the table: cast, in order, the others NULL.
fn fit(
    table: &TableDefinition,
    columns: &[String],
    rows: &RecordBatch,
) -> Result<RecordBatch, SqlError> {
    if columns.len() != rows.num_columns() {
        let message = format!(
            "{} values are given for {} columns of \"{}\"",
            rows.num_columns(),
            columns.len(),
            table.name
        );
        return Err(SqlError::new("42601", message));
    }
    for column in columns {
        if table.column_index(column).is_none() {
            let message = format!("table \"{}\" has no column \"{column}\"", table.name);
            return Err(SqlError::new("42703", message));
        }
    }
    let arrays = table.columns.iter().map(|column| -> Result<ArrayRef, SqlError> {
        let Some(position) = columns.iter().position(|name| *name == column.name) else {
            return Ok(new_null_array(&column.data_type, rows.num_rows()));
        };
        let options = arrow::compute::CastOptions {
            safe: false,
            ..Default::default()
        };
        let value = rows.column(position);
        let cast = arrow::compute::cast_with_options(value, &column.data_type, &options);
        cast.map_err(|error| {
            let message = format!("column \"{}\" of \"{}\": {error}", column.name, table.name);
            SqlError::new("22000", message)
        })
    });
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(table.schema(), arrays).map_err(|error| {
        let message = format!("table \"{}\": {error}", table.name);
        SqlError::new("23502", message)
    })
}

fn text_schema(column: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(column, DataType::Utf8, false)]))
}

fn show_schema(show: &Show) -> SchemaRef {
    let columns: &[&str] = match show {
        Show::Tables => &["table_name", "description"],
        Show::Views => &["view_name", "kind"],
        Show::Columns(_) => &["column_name", "data_type", "is_nullable"],
        Show::Create(_) => &["statement"],
        Show::Setting(_) => &["setting"],
    };
    let fields = columns.iter().map(|column| Field::new(*column, DataType::Utf8, false));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn lines(column: &str, text: &str) -> Outcome {
    let rows = text.lines().map(|line| vec![line.to_owned()]);
    Outcome::Rows(text_rows(text_schema(column), rows.collect()))
}

fn text_rows(schema: SchemaRef, rows: Vec<Vec<String>>) -> SendableRecordBatchStream {
    let columns = (0..schema.fields().len()).map(|column| -> ArrayRef {
        let values = rows.iter().map(|row| row[column].as_str());
        Arc::new(StringArray::from_iter_values(values))
    });
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect());
    let batch = batch.map_err(datafusion::error::DataFusionError::from);
    Box::pin(RecordBatchStreamAdapter::new(
        schema,
        futures::stream::iter([batch]),
    ))
}
