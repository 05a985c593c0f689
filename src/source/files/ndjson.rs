//! NDJSON: one JSON object a line; the values of chosen keys become columns of text.
//!
//! Texts are unescaped; numbers keep their digits as written, true and false are words, objects
//! and arrays stay JSON text, null and absent keys are NULL. Of a repeated key the last one counts.

use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::super::error::SourceError;
use super::input::InputFile;
use super::json::{Keys, Span, split_object};
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
    keys: Keys,
    columns: Vec<TextColumn>,
    raw_text: TextColumn,
    added: AddedColumns,
    /// Where each column's value is in the line at hand.
    values: Vec<Option<Span>>,
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
            keys: Keys::new(names),
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
        split_object(line, &mut self.keys, &mut self.values)?;
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
