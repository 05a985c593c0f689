//! SHOW, and EXPLAIN of queries: what there is, as rows of text.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::sqlparser::ast::Query;

use super::rows::quoted;
use super::{Outcome, Session};
use crate::engine::EngineError;
use crate::model::{ColumnDefinition, TableDefinition};
use crate::sql::statement::parse_query;
use crate::sql::types::sql_name;
use crate::sql::{Catalog, Show, SqlError};

impl Session {
    pub(super) fn explain(&self, query: &Query) -> Result<Outcome, EngineError> {
        let state = self.engine.shared.state();
        let planner = &self.engine.shared.planner;
        let view = planner.plan_view(&state.catalog, "explained", query, "")?;
        Ok(lines("plan", &view.plan.to_string()))
    }

    /// Runs a query and tells what each step of it did.
    pub(super) async fn explain_analyze(&self, query: &Query) -> Result<Outcome, EngineError> {
        let (context, plan) = self
            .planned(self.last_write_ms, |context| context.plan(query))
            .await?;
        Ok(lines("plan", &context.analyze(plan).await?))
    }

    pub(super) fn show(&self, show: &Show) -> Result<Outcome, EngineError> {
        let state = self.engine.shared.state();
        let catalog = &state.catalog;
        let rows: Vec<Vec<String>> = match show {
            Show::Tables => {
                let tables = catalog.tables.values();
                tables
                    .map(|table| vec![table.name.clone(), table.description.clone()])
                    .collect()
            }
            Show::Views => {
                let live = catalog
                    .live_views
                    .keys()
                    .map(|name| vec![name.clone(), "live".to_owned()]);
                let plain = catalog
                    .plain_views
                    .keys()
                    .map(|name| vec![name.clone(), "plain".to_owned()]);
                live.chain(plain).collect()
            }
            Show::Columns(name) => self.columns(catalog, name)?,
            Show::Create(name) => vec![vec![create_statement(catalog, name)?]],
            Show::Setting(name) => vec![vec![self.settings.get(name)?]],
            Show::Settings => {
                let settings = self.settings.all();
                let settings = settings.iter();
                settings
                    .map(|(name, value)| vec![name.clone(), value.clone()])
                    .collect()
            }
        };
        Ok(Outcome::Rows(text_rows(show_schema(show), rows)))
    }

    fn columns(&self, catalog: &Catalog, name: &str) -> Result<Vec<Vec<String>>, EngineError> {
        let schema = match (catalog.tables.get(name), catalog.live_views.get(name)) {
            (Some(table), _) => table.schema(),
            (None, Some(view)) => Arc::clone(&view.schema),
            (None, None) => {
                let query = catalog.plain_views.get(name);
                let query = query.ok_or_else(|| SqlError::undefined_table(name))?;
                let planner = &self.engine.shared.planner;
                let query = parse_query(query)?;
                planner.query_schema(catalog, &query)?
            }
        };
        let column = |field: &Arc<Field>| {
            let nullable = if field.is_nullable() { "YES" } else { "NO" };
            vec![
                field.name().clone(),
                sql_name(field.data_type()),
                nullable.to_owned(),
            ]
        };
        Ok(schema.fields().iter().map(column).collect())
    }
}

/// The statement that makes a table or view as it is.
fn create_statement(catalog: &Catalog, name: &str) -> Result<String, SqlError> {
    if let Some(table) = catalog.tables.get(name) {
        return Ok(create_table(table));
    }
    if let Some(view) = catalog.live_views.get(name) {
        return Ok(view.statement.clone());
    }
    let query = catalog.plain_views.get(name);
    let query = query.ok_or_else(|| SqlError::undefined_table(name))?;
    Ok(format!("CREATE VIEW {} AS {query}", quoted(name)))
}

/// The type of a column as its table was made with.
fn column_type(column: &ColumnDefinition) -> String {
    match column.max_length {
        Some(length) => format!("VARCHAR({length})"),
        None => sql_name(&column.data_type),
    }
}

fn create_table(table: &TableDefinition) -> String {
    let mut text = format!("CREATE TABLE {} (", quoted(&table.name));
    for (position, column) in table.columns.iter().enumerate() {
        let separator = if position == 0 { "" } else { "," };
        let name = quoted(&column.name);
        // Writing to a text cannot fail.
        let _ = write!(text, "{separator}\n  {name} {}", column_type(column));
        if !column.nullable {
            text.push_str(" NOT NULL");
        }
        if let Some(default) = &column.default {
            let _ = write!(text, " DEFAULT {default}");
        }
    }
    if table.is_keyed() {
        let key = table.primary_key.iter();
        let key: Vec<String> = key
            .map(|column| quoted(&table.columns[*column].name))
            .collect();
        let _ = write!(text, ",\n  PRIMARY KEY ({})", key.join(", "));
    }
    text.push_str("\n)");
    if table.append_only {
        text.push_str(" WITH (append_only = true)");
    }
    text
}

/// One column of text.
pub(super) fn text_schema(column: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(column, DataType::Utf8, false)]))
}

/// The columns of a SHOW.
pub(super) fn show_schema(show: &Show) -> SchemaRef {
    let columns = match show {
        Show::Tables => vec!["table_name", "description"],
        Show::Views => vec!["view_name", "kind"],
        Show::Columns(_) => vec!["column_name", "data_type", "is_nullable"],
        Show::Create(_) => vec!["statement"],
        // Drivers look for the setting by its name.
        Show::Setting(name) => vec![name.as_str()],
        Show::Settings => vec!["name", "setting"],
    };
    let fields = columns
        .into_iter()
        .map(|column| Field::new(column, DataType::Utf8, false));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A text as rows of one column.
pub(super) fn lines(column: &str, text: &str) -> Outcome {
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
