//! Raw rows: what a file says, before any mapping.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, NullBufferBuilder, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::super::error::SourceError;
use super::input::InputFile;

/// The file's name without directories.
pub const FILE: &str = "_file";
/// The row's number in its file, from 1, headers and blank lines not counted.
pub const ROW: &str = "_row";
/// Identity of the file's content: 32 hexadecimal digits.
pub const FILE_ID: &str = "_file_id";
/// The row's text as it stands in the file; NULL for formats that are no text.
pub const RAW_TEXT: &str = "_raw";
/// The columns that every raw row has behind its own.
pub const ADDED_COLUMNS: [&str; 4] = [FILE, ROW, FILE_ID, RAW_TEXT];

/// Text of a batch after which it ends, in bytes.
pub const BATCH_BYTES: usize = 32 * 1024 * 1024;

/// Some consecutive rows of a file.
#[derive(Clone, Debug)]
pub struct RawBatch {
    /// The readable rows, with [`ADDED_COLUMNS`] at the end.
    pub rows: RecordBatch,
    /// The others.
    pub unreadable: Vec<UnreadableRow>,
    /// The number of rows of the file up to here.
    pub rows_done: u64,
    /// Identity of the file's bytes up to here; 0 for formats that are no text.
    pub digest: u128,
}

/// A row that is no row of its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRow {
    /// The row's number in its file.
    pub row: u64,
    /// What is wrong with it.
    pub reason: String,
    /// Its text, with replacement characters for what is not UTF-8.
    pub text: String,
}

/// Reads a file's rows in order.
pub trait RowReader: Send {
    /// The columns of the raw rows.
    fn schema(&self) -> SchemaRef;

    /// The next rows, at most `rows_max` and at least one; `None` at the end.
    ///
    /// # Errors
    /// If the file cannot be read on.
    fn next_batch(&mut self, rows_max: usize) -> Result<Option<RawBatch>, SourceError>;
}

/// A column of text under construction.
#[derive(Default)]
pub struct TextColumn {
    values: Vec<u8>,
    offsets: Vec<i32>,
    nulls: Option<NullBufferBuilder>,
}

impl TextColumn {
    /// Appends bytes to the value that is to be ended with [`end_value`](Self::end_value).
    pub fn extend(&mut self, bytes: &[u8]) {
        self.values.extend_from_slice(bytes);
    }

    /// Ends a value; what was appended since the last one is its text.
    pub fn end_value(&mut self) {
        self.end(true);
    }

    /// Appends NULL.
    pub fn push_null(&mut self) {
        self.end(false);
    }

    fn end(&mut self, is_valid: bool) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        // Batches end long before 2 GiB, see BATCH_BYTES and RECORD_BYTES_MAX.
        self.offsets.push(self.values.len() as i32);
        let nulls = self.nulls.get_or_insert_with(|| NullBufferBuilder::new(0));
        nulls.append(is_valid);
    }

    /// The bytes of all values.
    pub fn bytes(&self) -> usize {
        self.values.len()
    }

    /// The column; the builder is empty afterwards, with room for as much again.
    pub fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let room = Vec::with_capacity(self.offsets.len());
        let mut offsets = std::mem::replace(&mut self.offsets, room);
        if offsets.is_empty() {
            offsets.push(0);
        }
        let nulls = self.nulls.take().and_then(|nulls| nulls.build());
        let room = Vec::with_capacity(self.values.len());
        let values = Buffer::from_vec(std::mem::replace(&mut self.values, room));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok(Arc::new(StringArray::try_new(offsets, values, nulls)?))
    }
}

/// The columns that are added to those of the file.
pub struct AddedColumns {
    file: String,
    identity: String,
    rows: Vec<i64>,
}

impl AddedColumns {
    /// For the rows of a file with this content identity.
    pub fn new(file: &InputFile, identity: u128) -> AddedColumns {
        AddedColumns {
            file: file.name(),
            identity: hexadecimal(identity),
            rows: Vec::new(),
        }
    }

    /// Notes the number of a row.
    pub fn push_row(&mut self, row: u64) {
        self.rows.push(row as i64);
    }

    /// The columns for the rows noted since the last call.
    pub fn finish(&mut self, raw_text: ArrayRef) -> [ArrayRef; 4] {
        let rows = std::mem::take(&mut self.rows);
        let repeat = |text: &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
                text,
                rows.len(),
            )))
        };
        let (file, identity) = (repeat(&self.file), repeat(&self.identity));
        [file, Arc::new(Int64Array::from(rows)), identity, raw_text]
    }
}

/// 32 hexadecimal digits.
pub fn hexadecimal(identity: u128) -> String {
    format!("{identity:032x}")
}

/// The schema of raw rows: the file's own columns and [`ADDED_COLUMNS`].
pub fn raw_schema(own: impl IntoIterator<Item = Field>) -> SchemaRef {
    let mut fields: Vec<Field> = own.into_iter().collect();
    fields.push(Field::new(FILE, DataType::Utf8, false));
    fields.push(Field::new(ROW, DataType::Int64, false));
    fields.push(Field::new(FILE_ID, DataType::Utf8, false));
    fields.push(Field::new(RAW_TEXT, DataType::Utf8, true));
    Arc::new(Schema::new(fields))
}

/// The name among a file's columns that is there twice or that is one of [`ADDED_COLUMNS`].
pub fn clashing_name<'a>(names: &[&'a str]) -> Option<&'a str> {
    let clashes = |(index, name): &(usize, &&'a str)| {
        ADDED_COLUMNS.contains(*name) || names.iter().take(*index).any(|other| other == *name)
    };
    names
        .iter()
        .enumerate()
        .find(clashes)
        .map(|(_, name)| *name)
}

/// Text for `rejected_events` out of bytes that may not be UTF-8.
pub fn lossy(bytes: &[u8]) -> String {
    let kept = bytes.len().min(super::rejected::TEXT_BYTES_MAX + 4);
    String::from_utf8_lossy(bytes.get(..kept).unwrap_or_default()).into_owned()
}

/// The number in its file of a row of a raw batch.
pub fn row_number(rows: &RecordBatch, row: usize) -> u64 {
    let numbers = rows.column_by_name(ROW);
    let numbers = numbers.and_then(|column| column.as_primitive_opt::<Int64Type>());
    let number = numbers.filter(|numbers| row < numbers.len());
    number.map_or(0, |numbers| numbers.value(row).unsigned_abs())
}
