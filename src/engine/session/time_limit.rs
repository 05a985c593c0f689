//! The longest time that a query may take.
//!
//! A query holds the moment that it reads: rows that have been changed since stay in memory for it.
//! When its time is over they are let go, whether or not anybody fetches the rest.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{FutureExt, StreamExt, stream};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::sql::SqlError;

type Next = Option<Result<RecordBatch, DataFusionError>>;

/// Rows that are gone once the time is over or the last of them has come.
type Rows = Arc<Mutex<Option<SendableRecordBatchStream>>>;

/// The same rows, or an error in their place once the time is over.
pub fn within(rows: SendableRecordBatchStream, timeout: Duration) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let deadline = Instant::now() + timeout;
    let rows = Arc::new(Mutex::new(Some(rows)));
    let mut limited = Limited {
        watch: let_go_at(deadline, Arc::clone(&rows)),
        rows,
        deadline,
        timeout,
        has_ended: false,
    };
    let limited = stream::poll_fn(move |context| limited.poll_next(context));
    Box::pin(RecordBatchStreamAdapter::new(schema, limited))
}

/// Lets rows go at a time, even if nobody asks for them any more.
fn let_go_at(deadline: Instant, rows: Rows) -> SpawnedTask<()> {
    SpawnedTask::spawn(async move {
        sleep_until(deadline).await;
        // Whoever is reading them at this moment may have looked at the clock just before.
        rows.lock().await.take();
    })
}

/// Rows with an end by the clock.
struct Limited {
    rows: Rows,
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
        let Ok(mut kept) = self.rows.try_lock() else {
            // They are being let go, which happens once the time is over.
            self.has_ended = true;
            return Poll::Ready(Some(Err(too_long(self.timeout))));
        };
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
    async fn what_is_being_read_as_the_time_ends_is_let_go_afterwards() {
        let held = Arc::new(());
        let gone = Arc::downgrade(&held);
        let rows = Arc::new(Mutex::new(Some(endless(held))));
        let reading = rows.lock().await;
        let watch = let_go_at(Instant::now(), Arc::clone(&rows));
        // Long enough for the watch to come upon the reader.
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(reading);
        watch.await.expect("it ends");
        assert_eq!(gone.strong_count(), 0, "they are still held");
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
