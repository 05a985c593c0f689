//! The most rows that an answer may have.

use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

use crate::sql::SqlError;

/// The same rows, or an error in place of the batch with which they become too many.
pub fn at_most(rows: SendableRecordBatchStream, most: usize) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let mut left = Some(most);
    let limited = rows.map(move |batch| {
        let batch = batch?;
        left = left.and_then(|left| left.checked_sub(batch.num_rows()));
        match left {
            Some(_) => Ok(batch),
            None => Err(too_many(most)),
        }
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, limited))
}

fn too_many(most: usize) -> DataFusionError {
    let message = format!("the answer has more than {most} rows");
    let error =
        SqlError::new("54000", message).with_hint("ask for less, aggregate, or raise query.rows");
    DataFusionError::External(Box::new(error))
}
