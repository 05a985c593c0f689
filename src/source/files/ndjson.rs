//! NDJSON: one JSON object a line; the values of chosen keys become columns of text.
//!
//! Texts are unescaped; numbers keep their digits as written, true and false are words, objects
//! and arrays stay JSON text, null and absent keys are NULL. Of a repeated key the last one counts.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::record_batch::RecordBatch;
use serde::de::IgnoredAny;

use super::super::error::SourceError;
use super::input::InputFile;
use super::options::FileOptions;
use super::raw::{
    ADDED_COLUMNS, AddedColumns, BATCH_BYTES, RawBatch, RowReader, TextColumn, UnreadableRow,
    clashing_name, lossy, raw_schema,
};
use super::text::Text;

/// Reads the rows of an NDJSON file.
pub struct NdjsonReader {
    text: Text,
    schema: SchemaRef,
    positions: HashMap<String, usize>,
    columns: Vec<TextColumn>,
    raw_text: TextColumn,
    added: AddedColumns,
    /// Where each column's value is in the line at hand.
    values: Vec<Option<(usize, usize)>>,
    rows_done: u64,
}

impl NdjsonReader {
    /// Opens a file; its columns are those of the options or else those that mappings mention.
    pub fn open(
        file: &InputFile,
        identity: u128,
        options: &FileOptions,
    ) -> Result<NdjsonReader, SourceError> {
        let names = column_names(options);
        let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
        if let Some(name) = clashing_name(&borrowed) {
            return Err(SourceError::Options {
                name: options.name.clone(),
                problem: format!("the column `{name}` is listed twice or is added to all rows"),
            });
        }
        let mut columns = Vec::new();
        columns.resize_with(names.len(), TextColumn::default);
        let fields = names
            .iter()
            .map(|name| Field::new(name, DataType::Utf8, true));
        Ok(NdjsonReader {
            text: Text::open(file)?,
            schema: raw_schema(fields),
            values: vec![None; names.len()],
            positions: names.into_iter().zip(0..).collect(),
            columns,
            raw_text: TextColumn::default(),
            added: AddedColumns::new(file, identity),
            rows_done: 0,
        })
    }

    fn take(&mut self, length: usize) -> Result<(), String> {
        let line = self.text.remaining().get(..length).unwrap_or_default();
        let line = std::str::from_utf8(line).map_err(|error| {
            format!(
                "the row is not UTF-8 at its byte {}",
                error.valid_up_to() + 1
            )
        })?;
        self.values.fill(None);
        split_object(line, &self.positions, &mut self.values)?;
        // Texts are unescaped first: one that cannot be must leave no trace in the columns.
        let mut unescaped = Vec::new();
        for (index, value) in self.values.iter().enumerate() {
            let text = value
                .and_then(|(start, end)| line.get(start..end))
                .unwrap_or_default();
            if text.starts_with('"') && text.contains('\\') {
                let text: String = serde_json::from_str(text).map_err(|error| error.to_string())?;
                unescaped.push((index, text));
            }
        }
        let mut unescaped = unescaped.into_iter().peekable();
        for (index, (column, value)) in self.columns.iter_mut().zip(&self.values).enumerate() {
            let text = value.and_then(|(start, end)| line.get(start..end));
            if let Some((_, text)) = unescaped.next_if(|(at, _)| *at == index) {
                column.extend(text.as_bytes());
                column.end_value();
                continue;
            }
            match text {
                None | Some("null") => column.push_null(),
                Some(text) => {
                    let inner = text
                        .strip_prefix('"')
                        .and_then(|text| text.strip_suffix('"'));
                    column.extend(inner.unwrap_or(text).as_bytes());
                    column.end_value();
                }
            }
        }
        self.raw_text.extend(line.as_bytes());
        self.raw_text.end_value();
        self.added.push_row(self.rows_done);
        Ok(())
    }

    fn finish(&mut self, unreadable: Vec<UnreadableRow>) -> Result<RawBatch, SourceError> {
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
            digest: self.text.digest(),
        })
    }
}

impl RowReader for NdjsonReader {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    fn next_batch(&mut self, rows_max: usize) -> Result<Option<RawBatch>, SourceError> {
        let mut unreadable = Vec::new();
        let rows_before = self.rows_done;
        while self.rows_done - rows_before < rows_max as u64 && self.raw_text.bytes() < BATCH_BYTES
        {
            let Some((length, whole)) = self.text.line()? else {
                break;
            };
            self.rows_done += 1;
            if let Err(reason) = self.take(length) {
                let is_cut = self.text.is_at_end() && self.text.remaining().last() != Some(&b'\n');
                if is_cut && whole == self.text.remaining().len() {
                    return Err(self.text.failure(format!(
                        "the file ends within row {} ({reason}); it was not written to its end",
                        self.rows_done
                    )));
                }
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

fn column_names(options: &FileOptions) -> Vec<String> {
    if !options.columns.is_empty() {
        return options.columns.clone();
    }
    let mut names: Vec<String> = Vec::new();
    for name in options
        .mappings
        .iter()
        .flat_map(|mapping| mapping.mentioned_columns())
    {
        if !names.contains(&name) && !ADDED_COLUMNS.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

/// Finds the values of the wanted keys in the JSON object that a line is.
fn split_object(
    line: &str,
    positions: &HashMap<String, usize>,
    values: &mut [Option<(usize, usize)>],
) -> Result<(), String> {
    let mut at = expect(line, 0, '{').ok_or("the row is not a JSON object")?;
    if let Some(end) = expect(line, at, '}') {
        return only_blanks_behind(line, end);
    }
    loop {
        let start = skip_blanks(line, at);
        let end = value_end(line, start)?;
        let key = line.get(start..end).unwrap_or_default();
        if !key.starts_with('"') {
            return Err(format!("expected a key in quotes at byte {}", start + 1));
        }
        at = expect(line, end, ':').ok_or_else(|| format!("expected `:` at byte {}", end + 1))?;
        let value_start = skip_blanks(line, at);
        at = value_end(line, value_start)?;
        if let Some(position) = key_position(key, positions)?
            && let Some(value) = values.get_mut(position)
        {
            *value = Some((value_start, at));
        }
        if let Some(next) = expect(line, at, ',') {
            at = next;
            continue;
        }
        let end = expect(line, at, '}');
        let end = end.ok_or_else(|| format!("expected `,` or `}}` at byte {}", at + 1))?;
        return only_blanks_behind(line, end);
    }
}

fn key_position(key: &str, positions: &HashMap<String, usize>) -> Result<Option<usize>, String> {
    if key.contains('\\') {
        let key: String = serde_json::from_str(key).map_err(|error| error.to_string())?;
        return Ok(positions.get(&key).copied());
    }
    let key = key.trim_matches('"');
    Ok(positions.get(key).copied())
}

/// The end of the JSON value that starts at `start`.
fn value_end(line: &str, start: usize) -> Result<usize, String> {
    let rest = line.get(start..).unwrap_or_default();
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => Ok(start + values.byte_offset()),
        Some(Err(error)) => Err(format!("not JSON at byte {}: {error}", start + 1)),
        None => Err("the JSON ends too early".to_owned()),
    }
}

fn skip_blanks(line: &str, from: usize) -> usize {
    let rest = line.get(from..).unwrap_or_default();
    from + rest.bytes().take_while(u8::is_ascii_whitespace).count()
}

/// The position behind `wanted` if that is the next character that is not blank.
fn expect(line: &str, from: usize, wanted: char) -> Option<usize> {
    let at = skip_blanks(line, from);
    line.get(at..)?.starts_with(wanted).then_some(at + 1)
}

fn only_blanks_behind(line: &str, end: usize) -> Result<(), String> {
    match skip_blanks(line, end) == line.len() {
        true => Ok(()),
        false => Err(format!(
            "there is text behind the JSON object, at byte {}",
            end + 1
        )),
    }
}
