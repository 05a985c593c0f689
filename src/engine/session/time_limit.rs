//! The longest time that a query may take.
//!
//! A query holds the moment that it reads: rows that have been changed since stay in memory for it.
//! When its time is over they are let go, whether or not anybody fetches the rest.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{FutureExt, StreamExt, stream};
use tokio::time::{Instant, sleep_until};

use crate::sql::SqlError;

type Next = Option<Result<RecordBatch, DataFusionError>>;

/// The same rows, or an error in their place once the time is over.
pub fn within(rows: SendableRecordBatchStream, timeout: Duration) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let deadline = Instant::now() + timeout;
    let rows = Arc::new(Mutex::new(Some(rows)));
    let unread = Arc::clone(&rows);
    let watch = SpawnedTask::spawn(async move {
        sleep_until(deadline).await;
        // Whoever is reading them at this moment looks at the clock.
        if let Ok(mut rows) = unread.try_lock() {
            rows.take();
        }
    });
    let mut limited = Limited {
        rows,
        watch,
        deadline,
        timeout,
        has_ended: false,
    };
    let limited = stream::poll_fn(move |context| limited.poll_next(context));
    Box::pin(RecordBatchStreamAdapter::new(schema, limited))
}

/// Rows with an end by the clock.
struct Limited {
    /// Gone once the time is over or the last of them has come.
    rows: Arc<Mutex<Option<SendableRecordBatchStream>>>,
    /// Ends with the time.
    watch: SpawnedTask<()>,
    deadline: Instant,
    timeout: Duration,
    /// Whether the end or an error has been told.
    has_ended: bool,
}

impl Limited {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let mut kept = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let next = kept.as_mut().map(|rows| rows.poll_next_unpin(context));
        let is_over = Instant::now() >= self.deadline;
        let next = match next {
            Some(Poll::Ready(end @ (None | Some(Err(_))))) => end,
            // Too late is too late: a query that never waits has no other end.
            Some(Poll::Ready(rows)) if !is_over => return Poll::Ready(rows),
            Some(Poll::Pending) if !is_over && self.watch.poll_unpin(context).is_pending() => {
                return Poll::Pending;
            }
            _ => Some(Err(too_long(self.timeout))),
        };
        kept.take();
        self.has_ended = true;
        Poll::Ready(next)
    }
}

fn too_long(timeout: Duration) -> DataFusionError {
    let message = format!("the query took longer than {} ms", timeout.as_millis());
    let error = SqlError::new("57014", message)
        .with_hint("ask for less, make it a live view, or raise query.timeout");
    DataFusionError::External(Box::new(error))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Schema;

    use super::*;

    /// Rows that never end and hold on to something.
    fn endless(held: Arc<()>) -> SendableRecordBatchStream {
        let rows = stream::iter(std::iter::from_fn(move || {
            let _ = &held;
            let none = RecordBatch::new_empty(Arc::new(Schema::empty()));
            Some(Ok(none))
        }));
        let schema = Arc::new(Schema::empty());
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }

    #[tokio::test]
    async fn what_nobody_fetches_is_let_go_once_the_time_is_over() {
        let held = Arc::new(());
        let gone = Arc::downgrade(&held);
        let mut rows = within(endless(held), Duration::from_millis(20));
        while gone.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let error = rows.next().await.expect("an answer");
        let error = error.expect_err("the time is over").to_string();
        assert!(error.contains("took longer than 20 ms"), "{error}");
        assert!(rows.next().await.is_none());
    }

    #[tokio::test]
    async fn rows_that_come_too_late_are_an_error() {
        let held = Arc::new(());
        let mut rows = within(endless(held), Duration::from_millis(20));
        while let Some(Ok(_)) = rows.next().await {}
        let waiting = Box::pin(RecordBatchStreamAdapter::new(
            Arc::new(Schema::empty()),
            stream::pending(),
        ));
        let mut rows = within(waiting, Duration::from_millis(20));
        assert!(rows.next().await.expect("an answer").is_err());
    }
}
