//! Rows as text: tables for people, JSON and CSV for programs.

use std::io::{self, Write};
use std::str::FromStr;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{DurationFormat, FormatOptions};
use arrow::util::pretty::{pretty_format_batches_with_options, pretty_format_batches_with_schema};

/// Seconds are enough for people; programs get all digits.
const TIMESTAMP: &str = "%Y-%m-%d %H:%M:%S";

/// How rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A table with a frame and the number of rows.
    #[default]
    Table,
    /// An array of objects, one a row; absent keys are NULL.
    Json,
    /// A header line, then a line for each row; empty fields are NULL.
    Csv,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        match text {
            "table" => Ok(Format::Table),
            "json" => Ok(Format::Json),
            "csv" => Ok(Format::Csv),
            _ => Err(format!("`{text}` is no format; write table, json or csv")),
        }
    }
}

/// Writes all rows.
///
/// # Errors
/// If they cannot be written, or have a type that the format does not know.
pub fn write_rows(
    out: &mut impl Write,
    schema: &SchemaRef,
    batches: &[RecordBatch],
    format: Format,
) -> io::Result<()> {
    match format {
        Format::Table => write_table(out, schema, batches),
        Format::Json => {
            let mut writer = arrow::json::ArrayWriter::new(&mut *out);
            let references: Vec<&RecordBatch> = batches.iter().collect();
            writer
                .write_batches(&references)
                .map_err(io::Error::other)?;
            writer.finish().map_err(io::Error::other)?;
            writeln!(out)
        }
        Format::Csv => {
            let mut writer = arrow::csv::Writer::new(&mut *out);
            if batches.is_empty() {
                writer
                    .write(&RecordBatch::new_empty(schema.clone()))
                    .map_err(io::Error::other)?;
            }
            batches
                .iter()
                .try_for_each(|batch| writer.write(batch))
                .map_err(io::Error::other)
        }
    }
}

fn write_table(
    out: &mut impl Write,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> io::Result<()> {
    let options = FormatOptions::default()
        .with_null("NULL")
        .with_timestamp_format(Some(TIMESTAMP))
        .with_timestamp_tz_format(Some(TIMESTAMP))
        .with_duration_format(DurationFormat::Pretty);
    let table = match batches.is_empty() {
        // Even without rows the columns' names are an answer.
        true => pretty_format_batches_with_schema(schema.clone(), batches).map(|t| t.to_string()),
        false => pretty_format_batches_with_options(batches, &options).map(|t| t.to_string()),
    };
    writeln!(out, "{}", table.map_err(io::Error::other)?)?;
    match batches.iter().map(RecordBatch::num_rows).sum() {
        1 => writeln!(out, "1 row"),
        rows => writeln!(out, "{rows} rows", rows = rows as u64),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn written(values: Vec<Option<i64>>, format: Format) -> String {
        let schema = Arc::new(Schema::new(vec![
            Field::new("name", DataType::Utf8, true),
            Field::new("count", DataType::Int64, true),
        ]));
        let names = StringArray::from_iter_values(values.iter().map(|_| "a,b"));
        let counts = Int64Array::from(values.clone());
        let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(names), Arc::new(counts)]);
        let batches = match values.is_empty() {
            true => Vec::new(),
            false => vec![batch.expect("columns of one length")],
        };
        let mut out = Vec::new();
        write_rows(&mut out, &schema, &batches, format).expect("memory takes everything");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn rows_are_written_in_every_format() {
        let rows = vec![Some(1), None];
        let table = written(rows.clone(), Format::Table);
        assert!(table.contains("| a,b  | NULL  |"), "{table}");
        assert!(table.ends_with("2 rows\n"), "{table}");
        assert_eq!(
            written(rows.clone(), Format::Json),
            "[{\"name\":\"a,b\",\"count\":1},{\"name\":\"a,b\"}]\n"
        );
        assert_eq!(
            written(rows, Format::Csv),
            "name,count\n\"a,b\",1\n\"a,b\",\n"
        );
    }

    #[test]
    fn no_rows_still_show_the_columns() {
        assert!(written(Vec::new(), Format::Table).contains("| name | count |"));
        assert_eq!(written(Vec::new(), Format::Csv), "name,count\n");
        assert_eq!(written(Vec::new(), Format::Json), "[]\n");
    }
}
