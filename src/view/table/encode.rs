//! Rows of some columns as comparable bytes, and the hashes that the indexes use.
//!
//! The bytes are arrow-row's: equal exactly if the values are, ordered as the values are, NULLs
//! first. They never leave memory.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, Rows, SortField};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// Encodes the rows of fixed columns of a table.
pub(super) struct RowEncoder {
    columns: Vec<usize>,
    converter: RowConverter,
}

/// Encoded rows with a hash for each.
pub(super) struct Encoded {
    pub(super) rows: Rows,
    pub(super) hashes: Vec<u64>,
}

impl RowEncoder {
    /// An encoder of the columns at the given positions.
    pub(super) fn new(schema: &SchemaRef, columns: &[usize]) -> Result<Self, ArrowError> {
        let fields = columns
            .iter()
            .map(|&column| SortField::new(schema.field(column).data_type().clone()))
            .collect();
        Ok(Self {
            columns: columns.to_vec(),
            converter: RowConverter::new(fields)?,
        })
    }

    /// Whether values of this type can be encoded.
    pub(super) fn supports(data_type: &DataType) -> bool {
        RowConverter::supports_fields(&[SortField::new(data_type.clone())])
    }

    /// The positions of the columns in the table.
    pub(super) fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// The encoder's columns of a batch with the table's columns.
    pub(super) fn select(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        let columns = self.columns.iter();
        columns.map(|&column| rows.column(column).clone()).collect()
    }

    /// Encodes columns that are in the encoder's order.
    pub(super) fn rows(&self, columns: &[ArrayRef]) -> Result<Rows, ArrowError> {
        self.converter.convert_columns(columns)
    }

    /// The columns, in the encoder's order, of encoded rows.
    pub(super) fn decode<'a>(
        &self,
        rows: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let parser = self.converter.parser();
        let rows: Vec<&[u8]> = rows.collect();
        self.converter
            .convert_rows(rows.into_iter().map(|row| parser.parse(row)))
    }

    /// Encodes columns that are in the encoder's order, and hashes each row.
    pub(super) fn hashed(&self, columns: &[ArrayRef]) -> Result<Encoded, ArrowError> {
        let rows = self.rows(columns)?;
        let hashes = rows.iter().map(|row| xxh3_64(row.data())).collect();
        Ok(Encoded { rows, hashes })
    }

    /// A 128-bit fingerprint of each row, `None` for rows with a NULL.
    pub(super) fn fingerprints(
        &self,
        columns: &[ArrayRef],
    ) -> Result<Vec<Option<u128>>, ArrowError> {
        let rows = self.rows(columns)?;
        let nulls: Vec<_> = columns.iter().filter_map(|c| c.logical_nulls()).collect();
        let fingerprint = |row: usize| {
            let complete = nulls.iter().all(|nulls| nulls.is_valid(row));
            complete.then(|| xxh3_128(rows.row(row).data()))
        };
        Ok((0..rows.num_rows()).map(fingerprint).collect())
    }
}
