//! The longest time that a query may take.

use std::time::Duration;

use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use crate::sql::SqlError;

/// The same rows, or an error in their place once the time is over.
pub fn within(rows: SendableRecordBatchStream, timeout: Duration) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let deadline = Instant::now() + timeout;
    let limited = stream::unfold(Some(rows), move |rows| async move {
        let mut rows = rows?;
        match timeout_at(deadline, rows.next()).await {
            Ok(Some(Ok(batch))) if Instant::now() < deadline => Some((Ok(batch), Some(rows))),
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Ok(None) => None,
            // Also where the rows came, but too late: a query that never waits has no other end.
            Ok(Some(Ok(_))) | Err(_) => Some((Err(too_long(timeout)), None)),
        }
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, Box::pin(limited)))
}

fn too_long(timeout: Duration) -> DataFusionError {
    let message = format!("the query took longer than {} ms", timeout.as_millis());
    let error = SqlError::new("57014", message)
        .with_hint("ask for less, make it a live view, or raise query.timeout");
    DataFusionError::External(Box::new(error))
}
