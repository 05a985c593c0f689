//! Live views as relations: what the workers have published, as of one timestamp.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use datafusion::common::stats::Precision;
use datafusion::error::DataFusionError;
use datafusion::scalar::ScalarValue;

use super::relation::{BatchIterator, Relation};
use crate::dataflow::PublishedView;

/// A live view at one timestamp.
#[derive(Clone, Debug)]
pub struct LiveView {
    view: PublishedView,
    timestamp_ms: u64,
    /// The key columns, if they are fewer than all: looking up whole rows is no use.
    lookup_columns: Vec<usize>,
}

impl LiveView {
    /// A view as of a timestamp, which must not be before the one it was published at.
    pub fn new(view: PublishedView, timestamp_ms: u64) -> LiveView {
        let shape = &view.shape;
        let columns = shape.schema.fields();
        // SQL holds 0.0 and -0.0 for equal, the index does not.
        let has_lookup = shape.key.len() < columns.len()
            && shape
                .key
                .iter()
                .all(|key| !columns[*key].data_type().is_floating());
        let lookup_columns = match has_lookup {
            true => shape.key.clone(),
            false => Vec::new(),
        };
        LiveView {
            lookup_columns,
            view,
            timestamp_ms,
        }
    }

    /// The texts of up to `limit` rows that failed.
    pub fn errors(&self, limit: usize) -> Vec<String> {
        self.view.errors(self.timestamp_ms, limit)
    }

    /// The memory of the rows in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.view.memory_bytes()
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = RecordBatch> + use<> {
        let scans: Vec<_> = (0..self.view.shares.len())
            .map(|share| self.view.scan(share, self.timestamp_ms, None))
            .collect();
        scans.into_iter().flatten()
    }
}

impl Relation for LiveView {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.view.shape.schema)
    }

    fn row_count(&self) -> Precision<usize> {
        match self.view.knows_row_count() {
            true => Precision::Exact(self.view.row_count(self.timestamp_ms)),
            false => Precision::Inexact(self.view.most_rows()),
        }
    }

    fn partitions(&self, wanted: usize) -> usize {
        self.view.shares.len().min(wanted.max(1))
    }

    fn scan(
        &self,
        projection: Option<&[usize]>,
        partition: usize,
        partitions: usize,
    ) -> BatchIterator {
        let shares = (0..self.view.shares.len()).filter(|share| share % partitions == partition);
        let scans: Vec<_> = shares
            .map(|share| self.view.scan(share, self.timestamp_ms, projection))
            .collect();
        Box::new(scans.into_iter().flatten().map(Ok))
    }

    fn lookup_columns(&self) -> &[usize] {
        &self.lookup_columns
    }

    fn lookup(&self, keys: &[Vec<ScalarValue>]) -> Result<RecordBatch, DataFusionError> {
        let mut found = Vec::new();
        for key in keys {
            let values = key.iter().map(|value| value.to_array_of_size(1));
            let values = values.collect::<Result<Vec<_>, _>>()?;
            found.push(self.view.lookup(&values, self.timestamp_ms));
        }
        Ok(concat_batches(&self.view.shape.schema, &found)?)
    }
}
