//! Prints answers on standard output: tables for people, JSON and CSV for programs.

use std::io::{self, Write};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{DurationFormat, FormatOptions};
use arrow::util::pretty::{pretty_format_batches_with_options, pretty_format_batches_with_schema};
use clap::ValueEnum;

use super::client::Answer;
use super::failure::Failure;

/// Seconds are enough for people; programs get all digits.
const TIMESTAMP: &str = "%Y-%m-%d %H:%M:%S";

/// How rows are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table with a frame and the number of rows.
    #[default]
    Table,
    /// An array of objects, one a row; absent keys are NULL.
    Json,
    /// A header line, then a line for each row; empty fields are NULL.
    Csv,
}

/// Prints answers in order; command tags only as part of tables, where no program reads them.
pub fn print(answers: &[Answer], format: Format) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = answers
        .iter()
        .try_for_each(|answer| write_answer(&mut out, answer, format))
        .and_then(|()| out.flush());
    finish(written)
}

/// Prints text as it is.
pub fn print_text(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    finish(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

fn finish(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        // The reader, such as `head`, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(
            format!("the answer can't be written: {error}"),
            "check where standard output goes",
        )),
        Ok(()) => Ok(()),
    }
}

fn write_answer(out: &mut impl Write, answer: &Answer, format: Format) -> io::Result<()> {
    match answer {
        Answer::Rows { schema, batches } => write_rows(out, schema, batches, format),
        Answer::Done(tag) if format == Format::Table => writeln!(out, "{tag}"),
        Answer::Done(_) => Ok(()),
    }
}

fn write_rows(
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
        let answer = Answer::Rows { schema, batches };
        write_answer(&mut out, &answer, format).expect("memory takes everything");
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

    #[test]
    fn tags_are_for_people_only() {
        let answer = Answer::Done("INSERT 0 3".into());
        for (format, expected) in [(Format::Table, "INSERT 0 3\n"), (Format::Json, "")] {
            let mut out = Vec::new();
            write_answer(&mut out, &answer, format).expect("memory takes everything");
            assert_eq!(out, expected.as_bytes());
        }
    }
}
