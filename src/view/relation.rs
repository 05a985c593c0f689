//! What can be read by SQL: the interface between the stored relations and DataFusion.
//!
//! A relation is fixed: every call on it sees the same rows.

use std::fmt::Debug;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::common::stats::Precision;
use datafusion::scalar::ScalarValue;

use super::table::TableSnapshot;

/// The rows of a scan, in batches of any size.
pub type BatchIterator = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

/// The rows of a table or view at one moment.
pub trait Relation: Debug + Send + Sync {
    /// The columns.
    fn schema(&self) -> SchemaRef;

    /// The number of rows as far as it is known without reading them; DataFusion answers
    /// `count(*)` with it where it is exact.
    fn row_count(&self) -> Precision<usize>;

    /// How many shares a scan is best divided into, from 1 to `wanted`.
    fn partitions(&self, wanted: usize) -> usize;

    /// The rows of share `partition` of `partitions` disjoint shares that make up the whole, with
    /// the columns at the positions of `projection` (`None`: all). May be called repeatedly.
    fn scan(
        &self,
        projection: Option<&[usize]>,
        partition: usize,
        partitions: usize,
    ) -> BatchIterator;

    /// The positions of columns for whose values [`lookup`](Self::lookup) finds rows without a
    /// scan; none: there is no lookup.
    fn lookup_columns(&self) -> &[usize] {
        &[]
    }

    /// Exactly the rows whose lookup columns have one of the given combinations of values, with
    /// all columns. Each of `keys` has one value per lookup column, of the column's type and not
    /// NULL; no two are equal. Only called where there are lookup columns.
    fn lookup(&self, keys: &[Vec<ScalarValue>]) -> Result<RecordBatch, DataFusionError> {
        let _ = keys;
        Err(DataFusionError::Internal(
            "a lookup in a relation without lookup columns".to_owned(),
        ))
    }
}

impl Relation for TableSnapshot {
    fn schema(&self) -> SchemaRef {
        TableSnapshot::schema(self)
    }

    fn row_count(&self) -> Precision<usize> {
        Precision::Exact(TableSnapshot::row_count(self))
    }

    fn partitions(&self, wanted: usize) -> usize {
        self.segment_count().clamp(1, wanted.max(1))
    }

    fn scan(
        &self,
        projection: Option<&[usize]>,
        partition: usize,
        partitions: usize,
    ) -> BatchIterator {
        Box::new(self.scan_partition(projection, partition, partitions))
    }

    fn lookup_columns(&self) -> &[usize] {
        &self.definition().primary_key
    }

    fn lookup(&self, keys: &[Vec<ScalarValue>]) -> Result<RecordBatch, DataFusionError> {
        let column = |position: usize| {
            let values = keys.iter().filter_map(|key| key.get(position).cloned());
            ScalarValue::iter_to_array(values)
        };
        let columns: Vec<ArrayRef> = (0..self.lookup_columns().len())
            .map(column)
            .collect::<Result<_, _>>()?;
        TableSnapshot::lookup(self, &columns)
            .map_err(|error| DataFusionError::External(Box::new(error)))
    }
}
