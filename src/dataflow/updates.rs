//! The container of collections: rows that come and go, as Arrow columns with times and counts.

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter;
use arrow::datatypes::SchemaRef;
use timely::dataflow::channels::ContainerBytes;

use super::chunk::Chunk;
use super::lane::Lane;
use super::numbers::Word;

/// A batch of changes to a collection: row, time, and how many copies are added (negative:
/// removed). Neither sorted nor consolidated.
#[derive(Clone, Debug)]
pub struct Updates {
    /// The rows; may have no columns.
    pub rows: RecordBatch,
    /// When each change happens, in milliseconds since the epoch.
    pub times: Lane<u64>,
    /// How many copies of each row are added.
    pub counts: Lane<i64>,
}

impl Default for Updates {
    fn default() -> Self {
        let schema = SchemaRef::new(arrow::datatypes::Schema::empty());
        Updates {
            rows: RecordBatch::new_empty(schema),
            times: Lane::Constant(0, 0),
            counts: Lane::Constant(0, 0),
        }
    }
}

impl Updates {
    /// Number of changes.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// The changes for which `mask` is true.
    pub fn filter(&self, mask: &BooleanArray) -> Result<Updates, arrow::error::ArrowError> {
        let kept = mask.true_count();
        if kept == self.len() {
            return Ok(self.clone());
        }
        let columns: Result<Vec<ArrayRef>, _> = self
            .rows
            .columns()
            .iter()
            .map(|column| filter(column, mask))
            .collect();
        let rows = batch(self.rows.schema(), columns?, kept);
        Ok(Updates {
            rows,
            times: filter_lane(&self.times, mask, kept),
            counts: filter_lane(&self.counts, mask, kept),
        })
    }

    /// The changes `offset..offset + length`, without copying.
    pub fn slice(&self, offset: usize, length: usize) -> Updates {
        Updates {
            rows: self.rows.slice(offset, length),
            times: self.times.slice(offset, length),
            counts: self.counts.slice(offset, length),
        }
    }

    /// The same changes taken back.
    pub fn negated(self) -> Updates {
        let counts = match self.counts {
            Lane::Constant(count, rows) => Lane::Constant(-count, rows),
            Lane::Values(values) => {
                let counts = (0..values.len()).map(|row| -values.get(row));
                counts.collect::<Vec<_>>().into()
            }
        };
        Updates { counts, ..self }
    }
}

/// A record batch that may have no columns; the arrays must fit the schema.
pub fn batch(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options)
        .expect("operators produce the columns their plan declares")
}

fn filter_lane<T: Word>(lane: &Lane<T>, mask: &BooleanArray, kept: usize) -> Lane<T> {
    match lane {
        Lane::Constant(value, _) => Lane::Constant(*value, kept),
        Lane::Values(values) => {
            let kept = mask.values().set_indices().map(|row| values.get(row));
            kept.collect::<Vec<T>>().into()
        }
    }
}

impl timely::Accountable for Updates {
    fn record_count(&self) -> i64 {
        self.len() as i64
    }
}

impl timely::Accountable for Chunk {
    fn record_count(&self) -> i64 {
        self.rows() as i64
    }
}

/// Workers are threads of one process and hand containers over by value, so none is ever encoded.
impl ContainerBytes for Updates {
    fn from_bytes(_bytes: timely::bytes::arc::Bytes) -> Self {
        unreachable!("workers share one process")
    }
    fn length_in_bytes(&self) -> usize {
        unreachable!("workers share one process")
    }
    fn into_bytes<W: std::io::Write>(&self, _writer: &mut W) {
        unreachable!("workers share one process")
    }
}

impl ContainerBytes for Chunk {
    fn from_bytes(_bytes: timely::bytes::arc::Bytes) -> Self {
        unreachable!("workers share one process")
    }
    fn length_in_bytes(&self) -> usize {
        unreachable!("workers share one process")
    }
    fn into_bytes<W: std::io::Write>(&self, _writer: &mut W) {
        unreachable!("workers share one process")
    }
}
