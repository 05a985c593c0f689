//! CSV: separated values, or values between runs of blanks, one record a line.
//!
//! A record is first found and split in place and only then copied to the columns, so that a
//! record that is wrong leaves no trace in them.

use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::super::error::SourceError;
use super::input::InputFile;
use super::options::{Delimiter, FileOptions};
use super::raw::{
    AddedColumns, BATCH_BYTES, RawBatch, RowReader, TextColumn, UnreadableRow, clashing_name,
    lossy, raw_schema,
};
use super::text::Text;

/// Most columns of a file.
const COLUMNS_MAX: usize = 4096;

/// Reads the rows of a CSV file.
pub struct CsvReader {
    text: Text,
    delimiter: Delimiter,
    schema: SchemaRef,
    columns: Vec<TextColumn>,
    raw_text: TextColumn,
    added: AddedColumns,
    fields: Vec<FieldSpan>,
    rows_done: u64,
}

/// Where a field is within its record.
#[derive(Clone, Copy, Debug)]
struct FieldSpan {
    start: usize,
    end: usize,
    quoting: Quoting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quoting {
    None,
    /// Quotes around it, and none within.
    Plain,
    /// Quotes around it, and doubled ones within.
    Doubled,
}

/// What was found at the start of some text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scan {
    /// A record; its bytes without and with the line end.
    Record { length: usize, whole: usize },
    /// A line that is no record.
    Malformed { length: usize, whole: usize },
    /// The text ends within the record.
    Incomplete,
}

impl CsvReader {
    /// Opens a file and reads its header.
    pub fn open(
        file: &InputFile,
        identity: u128,
        options: &FileOptions,
    ) -> Result<CsvReader, SourceError> {
        let mut reader = CsvReader {
            text: Text::open(file)?,
            delimiter: options.delimiter,
            schema: raw_schema([]),
            columns: Vec::new(),
            raw_text: TextColumn::default(),
            added: AddedColumns::new(file, identity),
            fields: Vec::new(),
            rows_done: 0,
        };
        let names = reader.column_names(options)?;
        let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
        if let Some(name) = clashing_name(&borrowed) {
            let problem = format!(
                "there are two columns called `{name}`, or the name is one that is added to all \
                 rows; rename it in the header"
            );
            return Err(SourceError::file(&file.path, "header", problem));
        }
        if names.len() > COLUMNS_MAX {
            let problem = format!("there are more than {COLUMNS_MAX} columns");
            return Err(SourceError::file(&file.path, "header", problem));
        }
        reader.columns.resize_with(names.len(), TextColumn::default);
        let fields = names
            .into_iter()
            .map(|name| Field::new(name, DataType::Utf8, true));
        reader.schema = raw_schema(fields);
        Ok(reader)
    }

    fn column_names(&mut self, options: &FileOptions) -> Result<Vec<String>, SourceError> {
        let first = self.next_record()?;
        let names = match (options.has_header, first) {
            (true, Scan::Record { whole, .. }) => {
                let names = self.header_names()?;
                self.text.consume(whole);
                names
            }
            (true, Scan::Malformed { .. }) => {
                return Err(self
                    .text
                    .failure("the header has text behind a closing quote"));
            }
            (true, Scan::Incomplete) => {
                let problem = "the file is empty, there is not even a header; was it written yet?";
                return Err(self.text.failure(problem));
            }
            (false, _) => (1..=self.fields.len())
                .map(|n| format!("column_{n}"))
                .collect(),
        };
        Ok(match options.columns.is_empty() {
            true => names,
            false => options.columns.clone(),
        })
    }

    fn header_names(&self) -> Result<Vec<String>, SourceError> {
        let mut names = Vec::new();
        for (index, field) in self.fields.iter().enumerate() {
            let bytes = field_bytes(self.text.remaining(), *field);
            let name = std::str::from_utf8(bytes)
                .map_err(|_| self.text.failure("the header is not UTF-8"))?;
            names.push(match name.trim() {
                "" => format!("column_{}", index + 1),
                name => name.replace("\"\"", "\""),
            });
        }
        Ok(names)
    }

    /// Finds the next record and its fields; `Incomplete` at the end of the file.
    fn next_record(&mut self) -> Result<Scan, SourceError> {
        loop {
            let blank = blank_line(self.text.remaining());
            if blank > 0 {
                self.text.consume(blank);
                continue;
            }
            let scan = match (self.delimiter, self.text.remaining()) {
                (_, []) => Scan::Incomplete,
                (Delimiter::Byte(delimiter), bytes) => {
                    scan_record(bytes, delimiter, self.text.is_at_end(), &mut self.fields)
                }
                (Delimiter::Whitespace, _) => return self.next_blank_separated(),
            };
            if scan != Scan::Incomplete {
                return Ok(scan);
            }
            if !self.text.fill()? && self.text.is_at_end() {
                // The end was not known at the last try: a record may end with it.
                return self.last_record();
            }
        }
    }

    fn last_record(&mut self) -> Result<Scan, SourceError> {
        let Delimiter::Byte(delimiter) = self.delimiter else {
            return Ok(Scan::Incomplete);
        };
        if self.text.remaining().is_empty() {
            return Ok(Scan::Incomplete);
        }
        match scan_record(self.text.remaining(), delimiter, true, &mut self.fields) {
            Scan::Incomplete => Err(self.text.failure(format!(
                "the file ends within a quoted field of row {}; it was not written to its end, or \
                 a quote is missing",
                self.rows_done + 1
            ))),
            scan => Ok(scan),
        }
    }

    fn next_blank_separated(&mut self) -> Result<Scan, SourceError> {
        let Some((length, whole)) = self.text.line()? else {
            return Ok(Scan::Incomplete);
        };
        let line = self.text.remaining().get(..length).unwrap_or_default();
        split_at_blanks(line, &mut self.fields);
        Ok(Scan::Record { length, whole })
    }

    /// Takes a record into the columns, or says why not.
    fn take(&mut self, length: usize, whole: usize) -> Result<Option<String>, SourceError> {
        if self.fields.len() != self.columns.len() {
            if self.fields.len() < self.columns.len() && whole == length {
                return Err(self.text.failure(format!(
                    "the file ends within row {}, which has {} of {} fields; it was not written \
                     to its end",
                    self.rows_done,
                    self.fields.len(),
                    self.columns.len()
                )));
            }
            return Ok(Some(format!(
                "the row has {} fields, the file has {} columns",
                self.fields.len(),
                self.columns.len()
            )));
        }
        let record = self.text.remaining().get(..length).unwrap_or_default();
        if let Err(error) = std::str::from_utf8(record) {
            let at = error.valid_up_to();
            return Ok(Some(format!("the row is not UTF-8 at its byte {}", at + 1)));
        }
        for (column, field) in self.columns.iter_mut().zip(&self.fields) {
            let bytes = field_bytes(record, *field);
            match field.quoting {
                Quoting::None if bytes.is_empty() => column.push_null(),
                Quoting::Doubled => {
                    extend_undoubled(column, bytes);
                    column.end_value();
                }
                Quoting::None | Quoting::Plain => {
                    column.extend(bytes);
                    column.end_value();
                }
            }
        }
        self.raw_text.extend(record);
        self.raw_text.end_value();
        self.added.push_row(self.rows_done);
        Ok(None)
    }

    fn finish(&mut self, unreadable: Vec<UnreadableRow>) -> Result<RawBatch, SourceError> {
        let digest = self.text.digest();
        let failed = |error| self.text.failure(error);
        let columns = self.columns.iter_mut().map(TextColumn::finish);
        let mut columns = columns.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let raw_text = self.raw_text.finish().map_err(failed)?;
        columns.extend(self.added.finish(raw_text));
        let rows = RecordBatch::try_new(SchemaRef::clone(&self.schema), columns);
        Ok(RawBatch {
            rows: rows.map_err(failed)?,
            unreadable,
            rows_done: self.rows_done,
            digest,
        })
    }
}

impl RowReader for CsvReader {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    fn next_batch(&mut self, rows_max: usize) -> Result<Option<RawBatch>, SourceError> {
        let mut unreadable = Vec::new();
        let rows_before = self.rows_done;
        while self.rows_done - rows_before < rows_max as u64 && self.raw_text.bytes() < BATCH_BYTES
        {
            let scan = self.next_record()?;
            let (length, whole) = match scan {
                Scan::Incomplete => break,
                Scan::Record { length, whole } | Scan::Malformed { length, whole } => {
                    (length, whole)
                }
            };
            self.rows_done += 1;
            let reason = match scan {
                Scan::Malformed { .. } => Some("there is text behind a closing quote".to_owned()),
                _ => self.take(length, whole)?,
            };
            if let Some(reason) = reason {
                unreadable.push(UnreadableRow {
                    row: self.rows_done,
                    reason,
                    text: lossy(self.text.remaining().get(..length).unwrap_or_default()),
                });
            }
            self.text.consume(whole);
        }
        match self.rows_done == rows_before {
            true => Ok(None),
            false => self.finish(unreadable).map(Some),
        }
    }
}

/// The bytes of a line end at the start of a text.
fn blank_line(text: &[u8]) -> usize {
    match text {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        _ => 0,
    }
}

fn field_bytes(record: &[u8], field: FieldSpan) -> &[u8] {
    record.get(field.start..field.end).unwrap_or_default()
}

/// Appends a field with each two quotes made one.
fn extend_undoubled(column: &mut TextColumn, mut bytes: &[u8]) {
    while let Some(at) = bytes.iter().position(|byte| *byte == b'"') {
        column.extend(bytes.get(..=at).unwrap_or_default());
        bytes = bytes.get(at + 2..).unwrap_or_default();
    }
    column.extend(bytes);
}

/// Finds the record at the start of `text` and its fields.
fn scan_record(text: &[u8], delimiter: u8, is_at_end: bool, fields: &mut Vec<FieldSpan>) -> Scan {
    fields.clear();
    let mut position = 0;
    loop {
        let (field, after) = match text.get(position) {
            Some(b'"') => match scan_quoted(text, position) {
                Some(found) => found,
                None => return Scan::Incomplete,
            },
            _ => scan_unquoted(text, delimiter, position),
        };
        // A carriage return may be the first half of a line end that is not read yet.
        let rest = text.get(after..).unwrap_or_default();
        match rest {
            [byte, ..] if *byte == delimiter => {
                fields.push(field);
                position = after + 1;
            }
            [b'\n', ..] | [b'\r', b'\n', ..] => {
                let line_end = blank_line(rest);
                fields.push(without_return(text, field));
                let length = after - usize::from(line_end == 1 && ends_in_return(text, after));
                return Scan::Record {
                    length,
                    whole: after + line_end,
                };
            }
            [] | [b'\r'] if is_at_end => {
                fields.push(field);
                return Scan::Record {
                    length: text.len(),
                    whole: text.len(),
                };
            }
            [] | [b'\r'] => return Scan::Incomplete,
            _ => return malformed(text, after, is_at_end),
        }
    }
}

/// A field in quotes that starts at `position`, and the position behind it; `None` if it does not
/// end within the text.
fn scan_quoted(text: &[u8], position: usize) -> Option<(FieldSpan, usize)> {
    let start = position + 1;
    let mut quoting = Quoting::Plain;
    let mut from = start;
    loop {
        let at = from + text.get(from..)?.iter().position(|byte| *byte == b'"')?;
        if text.get(at + 1) == Some(&b'"') {
            quoting = Quoting::Doubled;
            from = at + 2;
            continue;
        }
        let field = FieldSpan {
            start,
            end: at,
            quoting,
        };
        return Some((field, at + 1));
    }
}

fn scan_unquoted(text: &[u8], delimiter: u8, start: usize) -> (FieldSpan, usize) {
    let rest = text.get(start..).unwrap_or_default();
    let length = rest
        .iter()
        .position(|byte| *byte == delimiter || *byte == b'\n');
    let end = start + length.unwrap_or(rest.len());
    let field = FieldSpan {
        start,
        end,
        quoting: Quoting::None,
    };
    (field, end)
}

fn ends_in_return(text: &[u8], end: usize) -> bool {
    end > 0 && text.get(end - 1) == Some(&b'\r')
}

/// An unquoted last field without the carriage return of its line end.
fn without_return(text: &[u8], mut field: FieldSpan) -> FieldSpan {
    if field.quoting == Quoting::None && field.end > field.start && ends_in_return(text, field.end)
    {
        field.end -= 1;
    }
    field
}

/// A record with text behind a closing quote: it is taken to end with its line.
fn malformed(text: &[u8], after: usize, is_at_end: bool) -> Scan {
    let rest = text.get(after..).unwrap_or_default();
    match rest.iter().position(|byte| *byte == b'\n') {
        Some(at) => Scan::Malformed {
            length: after + at,
            whole: after + at + 1,
        },
        None if is_at_end => Scan::Malformed {
            length: text.len(),
            whole: text.len(),
        },
        None => Scan::Incomplete,
    }
}

fn split_at_blanks(line: &[u8], fields: &mut Vec<FieldSpan>) {
    fields.clear();
    let mut start = None;
    for (position, byte) in line.iter().chain(b" ").enumerate() {
        match (byte.is_ascii_whitespace(), start) {
            (false, None) => start = Some(position),
            (true, Some(from)) => {
                fields.push(FieldSpan {
                    start: from,
                    end: position,
                    quoting: Quoting::None,
                });
                start = None;
            }
            _ => {}
        }
    }
}
