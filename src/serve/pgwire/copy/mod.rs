//! `COPY … FROM STDIN`: rows as the client sends them, in batches.

mod csv;
mod forced;
mod text;

use std::sync::Arc;

use arrow::array::{ArrayBuilder, ArrayRef, RecordBatch, StringArray, StringBuilder};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use pgwire::error::{PgWireError, PgWireResult};

use super::{failure, refusal};
use crate::engine::{CopyTarget, Reservation};
use crate::sql::texts::readable::readable;
use crate::sql::texts::written_bytes;
use crate::sql::{CopyFormat, CopyHeader, reason};
use csv::CsvParser;
use forced::Forced;
use text::TextParser;

const BATCH_ROWS: usize = 8192;

/// A COPY is one transaction, which is held in memory until it is whole.
const BYTES_MAX: usize = 1 << 30;

/// Splits bytes into fields.
enum Parser {
    Csv(CsvParser),
    Text(TextParser),
}

/// Where fields go as they are found.
trait Fields {
    /// A field; `None` is NULL.
    fn field(&mut self, field: Option<&[u8]>) -> Result<(), String>;
    /// The end of a row.
    fn end_row(&mut self) -> Result<(), String>;
}

/// Rows under way.
pub struct CopyIn {
    target: CopyTarget,
    parser: Parser,
    rows: Pending,
    bytes: usize,
    /// The memory of all that has come.
    reservation: Reservation,
}

/// Rows as text, and those that have been made values.
struct Pending {
    target: CopyTarget,
    columns: Vec<StringBuilder>,
    next: usize,
    row_count: usize,
    /// What the line at hand is read for, where it is one of names.
    header: CopyHeader,
    forced: Forced,
    rows: Vec<RecordBatch>,
    rows_bytes: usize,
    /// What is wrong where something is: the shape of the rows, unless a value is found wrong.
    sqlstate: &'static str,
}

impl CopyIn {
    /// Rows for a target, whose memory is reserved as they come.
    pub fn new(target: CopyTarget, reservation: Reservation) -> PgWireResult<CopyIn> {
        let (parser, header, forced) = match &target.format {
            CopyFormat::Csv(format) => {
                let forced = Forced::new(format, &target.columns);
                let forced = forced.map_err(|error| failure(error.into()))?;
                (Parser::Csv(CsvParser::new(format)), format.header, forced)
            }
            CopyFormat::Text {
                header,
                delimiter,
                null,
            } => {
                let parser = Parser::Text(TextParser::new(*delimiter, null));
                (parser, *header, Forced::default())
            }
            CopyFormat::Binary => {
                let message = "COPY … FROM STDIN takes CSV or text; write (FORMAT csv)";
                return Err(refusal("0A000", message));
            }
        };
        let width = target.columns.fields().len();
        let rows = Pending {
            target: target.clone(),
            columns: (0..width).map(|_| StringBuilder::new()).collect(),
            next: 0,
            row_count: 0,
            header,
            forced,
            rows: Vec::new(),
            rows_bytes: 0,
            sqlstate: "22P04",
        };
        Ok(CopyIn {
            target,
            parser,
            rows,
            bytes: 0,
            reservation,
        })
    }

    /// Takes in what the client has sent.
    pub fn take(&mut self, data: &[u8]) -> PgWireResult<()> {
        self.bytes += data.len();
        if self.bytes > BYTES_MAX {
            let message = format!(
                "a COPY is one transaction of at most {BYTES_MAX} bytes; send the rows in parts, \
                 or read the file as a source"
            );
            return Err(refusal("54000", message));
        }
        let taken = match &mut self.parser {
            Parser::Csv(parser) => parser.take(data, &mut self.rows),
            Parser::Text(parser) => parser.take(data, &mut self.rows),
        };
        taken.map_err(|problem| self.rows.wrong(&problem))?;
        let held = self.bytes.max(self.rows.memory_bytes());
        self.reservation.resize(held).map_err(failure)
    }

    /// All rows, once the client has sent the last, and their memory.
    pub fn finish(mut self) -> PgWireResult<(CopyTarget, Vec<RecordBatch>, Reservation)> {
        let ended = match &mut self.parser {
            Parser::Csv(parser) => parser.finish(&mut self.rows),
            Parser::Text(parser) => parser.finish(&mut self.rows),
        };
        ended.map_err(|problem| self.rows.wrong(&problem))?;
        self.rows
            .flush()
            .map_err(|problem| self.rows.wrong(&problem))?;
        Ok((self.target, self.rows.rows, self.reservation))
    }
}

impl Pending {
    /// Makes values of the texts.
    fn flush(&mut self) -> Result<(), String> {
        let count = self.columns.first().map_or(0, |column| column.len());
        if count == 0 {
            return Ok(());
        }
        let fields = self.target.columns.fields();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (texts, field) in self.columns.iter_mut().zip(fields) {
            let texts = texts.finish();
            let values = values(&texts, field.data_type()).map_err(|error| {
                let from = self.row_count + 1 - count;
                let to = self.row_count;
                let known = reason::of_text(&error);
                self.sqlstate = known.as_ref().map_or("22P02", |known| known.sqlstate);
                let error = known.map_or(error, |known| known.message);
                format!("rows {from} to {to}, column {}: {error}", field.name())
            })?;
            columns.push(values);
        }
        let rows = RecordBatch::try_new(Arc::clone(&self.target.columns), columns);
        let rows = rows.map_err(|error| error.to_string())?;
        self.rows_bytes += rows.get_array_memory_size();
        self.rows.push(rows);
        Ok(())
    }

    /// The memory of all rows.
    fn memory_bytes(&self) -> usize {
        let texts = self.columns.iter();
        let texts_bytes: usize = texts.map(|texts| texts.values_slice().len()).sum();
        self.rows_bytes + texts_bytes
    }

    /// Refuses a header with another name than that of the column at a position.
    fn check_name(&self, position: usize, name: Option<&[u8]>) -> Result<(), String> {
        let fields = self.target.columns.fields();
        let Some(expected) = fields.get(position).map(|field| field.name()) else {
            // Their number is told at the end of the line.
            return Ok(());
        };
        if name == Some(expected.as_bytes()) {
            return Ok(());
        }
        let name = name.map_or("NULL".into(), String::from_utf8_lossy);
        let position = position + 1;
        Err(format!(
            "name {position} of the header is \"{name}\" and that of the column \"{expected}\""
        ))
    }

    fn wrong(&self, problem: &str) -> PgWireError {
        let sqlstate = match problem.contains("non-nullable") {
            true => "23502",
            false => self.sqlstate,
        };
        refusal(sqlstate, format!("COPY {}: {problem}", self.target.table))
    }
}

impl Fields for Pending {
    fn field(&mut self, field: Option<&[u8]>) -> Result<(), String> {
        let position = self.next;
        self.next += 1;
        match self.header {
            CopyHeader::No => {}
            CopyHeader::Yes => return Ok(()),
            CopyHeader::Match => return self.check_name(position, field),
        }
        let Some(column) = self.columns.get_mut(position) else {
            let (row, width) = (self.row_count + 1, self.columns.len());
            return Err(format!("row {row} has more than {width} fields"));
        };
        let field = self.forced.field(position, field);
        match field.map(std::str::from_utf8).transpose() {
            Ok(text) => column.append_option(text),
            Err(_) => return Err(format!("row {} is not UTF-8", self.row_count + 1)),
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<(), String> {
        let found = std::mem::take(&mut self.next);
        match std::mem::take(&mut self.header) {
            CopyHeader::Match if found != self.columns.len() => {
                let width = self.columns.len();
                return Err(format!("the header has {found} names instead of {width}"));
            }
            CopyHeader::Yes | CopyHeader::Match => return Ok(()),
            CopyHeader::No => {}
        }
        self.row_count += 1;
        if found != self.columns.len() {
            let (row, width) = (self.row_count, self.columns.len());
            return Err(format!("row {row} has {found} fields instead of {width}"));
        }
        match self.row_count.is_multiple_of(BATCH_ROWS) {
            true => self.flush(),
            false => Ok(()),
        }
    }
}

/// The values that texts stand for.
fn values(texts: &StringArray, data_type: &DataType) -> Result<ArrayRef, String> {
    if *data_type == DataType::Binary {
        return Ok(Arc::new(written_bytes::of_texts(texts)?));
    }
    let is_other =
        |text: Option<&str>| text.is_some_and(|text| readable(text, data_type).is_some());
    if texts.iter().any(is_other) {
        let complete: StringArray = texts
            .iter()
            .map(|text| {
                text.map(|text| readable(text, data_type).unwrap_or_else(|| text.to_owned()))
            })
            .collect();
        return cast_texts(&complete, data_type);
    }
    cast_texts(texts, data_type)
}

fn cast_texts(texts: &StringArray, data_type: &DataType) -> Result<ArrayRef, String> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(texts, data_type, &options).map_err(|error| error.to_string())
}
