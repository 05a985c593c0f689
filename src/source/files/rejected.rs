//! The rows of `rejected_events`: what could not be read or mapped, and why.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;
use arrow::record_batch::RecordBatch;

use super::raw::{ADDED_COLUMNS, RAW_TEXT};
use crate::model::{Change, ChangeKind, REJECTED_EVENTS, TableDefinition};

/// Longest kept text of a rejected row, in bytes; what is longer is cut and ends in `…`.
pub const TEXT_BYTES_MAX: usize = 4096;

/// A row that is left out, with its place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRow {
    /// The row's number in its file.
    pub row: u64,
    /// The table it was meant for; empty if it could not be read at all.
    pub table: Arc<str>,
    /// What is wrong with it.
    pub reason: String,
    /// What the file says.
    pub text: String,
}

/// Makes rows of `rejected_events`.
pub struct RejectedTable {
    definition: TableDefinition,
    source: String,
}

impl RejectedTable {
    /// For a source, with the table as the catalog defines it.
    ///
    /// # Errors
    /// If the table requires a column that is not known here: its name.
    pub fn new(definition: &TableDefinition, source: &str) -> Result<RejectedTable, String> {
        const KNOWN: [&str; 6] = [
            "source",
            "position",
            "target_table",
            "reason",
            "raw_text",
            "recorded_at",
        ];
        let required = definition.columns.iter().filter(|column| !column.nullable);
        match required
            .map(|column| &column.name)
            .find(|name| !KNOWN.contains(&name.as_str()))
        {
            Some(name) => Err(name.clone()),
            None => Ok(RejectedTable {
                definition: definition.clone(),
                source: source.to_owned(),
            }),
        }
    }

    /// A change that adds the rows of one file, recorded at a time in microseconds.
    pub fn change(
        &self,
        file: &str,
        rows: &[RejectedRow],
        recorded_at_us: i64,
    ) -> Result<Change, ArrowError> {
        let schema = self.definition.schema();
        let columns = schema.fields().iter().map(|field| {
            let column: ArrayRef = match field.name().as_str() {
                "source" => text(rows, |_| self.source.clone()),
                "position" => text(rows, |row| format!("{file}:{}", row.row)),
                "target_table" => text(rows, |row| row.table.to_string()),
                "reason" => text(rows, |row| row.reason.clone()),
                "raw_text" => text(rows, |row| shortened(&row.text)),
                "recorded_at" => {
                    let times = TimestampMicrosecondArray::from_value(recorded_at_us, rows.len());
                    Arc::new(times.with_timezone("UTC"))
                }
                _ => new_null_array(field.data_type(), rows.len()),
            };
            cast(&column, field.data_type())
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        Ok(Change {
            table: REJECTED_EVENTS.into(),
            kind: ChangeKind::Upsert,
            rows: RecordBatch::try_new(schema, columns)?,
        })
    }
}

fn text(rows: &[RejectedRow], value: impl Fn(&RejectedRow) -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows.iter().map(value)))
}

fn shortened(text: &str) -> String {
    match text.len() <= TEXT_BYTES_MAX {
        true => text.to_owned(),
        false => {
            let end = text.floor_char_boundary(TEXT_BYTES_MAX);
            format!("{}…", text.get(..end).unwrap_or_default())
        }
    }
}

/// What the file says in a row of a raw batch: its text or, for formats without, JSON.
pub fn text_of(raw: &RecordBatch, row: usize) -> String {
    let text = raw.column_by_name(RAW_TEXT);
    if let Some(text) =
        text.filter(|text| text.data_type() == &DataType::Utf8 && text.is_valid(row))
    {
        return text.as_string::<i32>().value(row).to_owned();
    }
    let own = raw.num_columns().saturating_sub(ADDED_COLUMNS.len());
    let positions: Vec<usize> = (0..own).collect();
    let json = raw.slice(row, 1).project(&positions).and_then(|row| {
        let mut writer = LineDelimitedWriter::new(Vec::new());
        writer.write(&row)?;
        writer.finish()?;
        Ok(String::from_utf8_lossy(&writer.into_inner())
            .trim_end()
            .to_owned())
    });
    json.unwrap_or_else(|error| format!("(cannot be shown as JSON: {error})"))
}
