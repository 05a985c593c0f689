//! SHOW and EXPLAIN: what there is, as rows of text.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::sqlparser::ast::Query;

use super::{Outcome, Session};
use crate::engine::EngineError;
use crate::sql::{Show, SqlError};

impl Session {
    pub(super) fn explain(&self, query: &Query) -> Result<Outcome, EngineError> {
        let state = self.engine.shared.state();
        let planner = &self.engine.shared.planner;
        let view = planner.plan_view(&state.catalog, "explained", query, "")?;
        Ok(lines("plan", &view.plan.to_string()))
    }

    pub(super) fn explain_view(&self, name: &str) -> Result<Outcome, EngineError> {
        let state = self.engine.shared.state();
        let view = state.catalog.live_views.get(name);
        let view = view.ok_or_else(|| SqlError::undefined_table(name))?;
        Ok(lines("plan", &view.plan.to_string()))
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
            Show::Columns(name) => {
                let schema = match (catalog.tables.get(name), catalog.live_views.get(name)) {
                    (Some(table), _) => table.schema(),
                    (None, Some(view)) => Arc::clone(&view.schema),
                    (None, None) => return Err(SqlError::undefined_table(name).into()),
                };
                let column = |field: &Arc<Field>| {
                    let nullable = if field.is_nullable() { "YES" } else { "NO" };
                    vec![
                        field.name().clone(),
                        field.data_type().to_string(),
                        nullable.to_owned(),
                    ]
                };
                schema.fields().iter().map(column).collect()
            }
            Show::Create(name) => {
                match (catalog.live_views.get(name), catalog.plain_views.get(name)) {
                    (Some(view), _) => vec![vec![view.statement.clone()]],
                    (None, Some(query)) => vec![vec![format!("CREATE VIEW {name} AS {query}")]],
                    (None, None) => return Err(SqlError::undefined_table(name).into()),
                }
            }
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

/// One column of text.
pub(super) fn text_schema(column: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(column, DataType::Utf8, false)]))
}

/// The columns of a SHOW.
pub(super) fn show_schema(show: &Show) -> SchemaRef {
    let columns: &[&str] = match show {
        Show::Tables => &["table_name", "description"],
        Show::Views => &["view_name", "kind"],
        Show::Columns(_) => &["column_name", "data_type", "is_nullable"],
        Show::Create(_) => &["statement"],
        Show::Setting(_) => &["setting"],
    };
    let fields = columns
        .iter()
        .map(|column| Field::new(*column, DataType::Utf8, false));
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
