//! Subscriptions: the changes of a view or query, as they happen.
//!
//! First come the rows that are there at one timestamp, then every change after it, in order of
//! time, nothing twice and nothing left out. What is sent up to a timestamp adds up to the view as
//! of it.

use std::sync::{Arc, PoisonError};

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;

use super::memory::Ready;
use super::{Engine, EngineError, reading};
use crate::dataflow::{Lost, Subscriber};
use crate::sql::{SqlError, Subscribe};
use crate::view::LiveView;

/// The timestamp (ms) of a change.
const TIMESTAMP: &str = "mainstem_timestamp";
/// Whether the row only tells that all changes up to its timestamp have been sent.
const PROGRESSED: &str = "mainstem_progressed";
/// How many copies of the row come, or go where it is negative.
const DIFFERENCE: &str = "mainstem_diff";

/// A running subscription.
pub(super) struct Subscription {
    subscriber: Subscriber,
    schema: SchemaRef,
    view: View,
    has_progress: bool,
    /// The timestamp (ms) it begins with.
    began_ms: u64,
    /// The timestamp (ms) up to which everything has been given out.
    sent_ms: u64,
    /// The rows at the beginning that have not been given out.
    snapshot: Box<dyn Iterator<Item = RecordBatch> + Send>,
    /// What is ready to be given out after them.
    ready: Ready,
}

/// Whose changes.
pub(super) struct View {
    pub(super) engine: Engine,
    pub(super) number: u64,
    pub(super) name: String,
    /// Whether it goes with the subscription.
    pub(super) is_temporary: bool,
}

/// The columns of a subscription to a view with the given ones.
pub(super) fn subscription_schema(columns: &Schema, has_progress: bool) -> SchemaRef {
    let mut fields = vec![Arc::new(Field::new(TIMESTAMP, DataType::Int64, false))];
    if has_progress {
        fields.push(Arc::new(Field::new(PROGRESSED, DataType::Boolean, false)));
    }
    fields.push(Arc::new(Field::new(
        DIFFERENCE,
        DataType::Int64,
        has_progress,
    )));
    let columns = columns.fields().iter();
    fields.extend(columns.map(|field| match has_progress {
        true => Arc::new(field.as_ref().clone().with_nullable(true)),
        false => Arc::clone(field),
    }));
    Arc::new(Schema::new(fields))
}

impl Subscription {
    /// Begins at the newest timestamp that is complete, or at the one that is asked for.
    pub(super) fn begin(view: View, wanted: &Subscribe) -> Result<Subscription, EngineError> {
        let has_progress = wanted.has_progress;
        let begun = Subscriber::begin(&view.engine.shared.progress, view.number);
        let (subscriber, published) = begun.ok_or_else(|| lost(&view.name, Lost::Dropped))?;
        let schema = subscription_schema(&subscriber.schema, has_progress);
        let newest_ms = subscriber.timestamp_ms;
        let begin_ms = wanted.as_of.unwrap_or(newest_ms);
        if let Some(timestamp_ms) = wanted.as_of {
            reading::check_as_of(&view.engine.shared, timestamp_ms, newest_ms)?;
        }
        let snapshot: Box<dyn Iterator<Item = RecordBatch> + Send> = match wanted.has_snapshot {
            true => Box::new(LiveView::new(published.clone(), begin_ms).rows()),
            false => Box::new(std::iter::empty()),
        };
        let past = subscriber.past(&published, begin_ms);
        let ready = Ready::new(&view.engine.shared.memory);
        let mut subscription = Subscription {
            began_ms: begin_ms,
            sent_ms: begin_ms,
            subscriber,
            schema,
            view,
            has_progress,
            snapshot,
            ready,
        };
        subscription.check_errors(subscription.sent_ms)?;
        if has_progress {
            let progress = subscription.progress()?;
            subscription.ready.push(progress);
        }
        subscription.advance(past, newest_ms)?;
        Ok(subscription)
    }

    /// The changes as rows, without end.
    pub(super) fn into_stream(self) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        let rows = stream::unfold(Some(self), |state| async move {
            let mut subscription = state?;
            Some(match subscription.next().await {
                Ok(rows) => (Ok(rows), Some(subscription)),
                Err(error) => (Err(external(error)), None),
            })
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, Box::pin(rows)))
    }

    async fn next(&mut self) -> Result<RecordBatch, EngineError> {
        loop {
            if let Some(rows) = self.snapshot.next() {
                return self.beginning(&rows);
            }
            // What it read may go.
            self.snapshot = Box::new(std::iter::empty());
            if let Some(rows) = self.ready.pop() {
                return Ok(rows);
            }
            let completed_ms = self.view.engine.completed_after(self.sent_ms).await?;
            let failed = |reason| lost(&self.view.name, reason);
            let changes = self.subscriber.take(completed_ms).map_err(failed)?;
            self.advance(changes, completed_ms)?;
        }
    }

    /// Makes the changes up to a timestamp (ms) ready to be given out.
    fn advance(&mut self, changes: Vec<RecordBatch>, until_ms: u64) -> Result<(), EngineError> {
        self.check_errors(until_ms)?;
        let has_advanced = until_ms > self.sent_ms;
        self.sent_ms = self.sent_ms.max(until_ms);
        for rows in changes {
            let times = arrow::compute::cast(rows.column(0), &DataType::Int64);
            let times = times.map_err(|error| super::commit::system("send changes", error))?;
            let rest = rows.columns()[1..].to_vec();
            self.ready.push(self.message(times, false, rest)?);
        }
        if self.has_progress && has_advanced {
            self.ready.push(self.progress()?);
        }
        Ok(())
    }

    /// Rows that are there at the beginning, each with a difference of 1.
    fn beginning(&self, rows: &RecordBatch) -> Result<RecordBatch, EngineError> {
        let count = rows.num_rows();
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![1; count]))];
        columns.extend(rows.columns().iter().cloned());
        self.message(times(self.began_ms, count), false, columns)
    }

    /// A row that tells how far the changes have been sent.
    fn progress(&self) -> Result<RecordBatch, EngineError> {
        let columns = self.schema.fields().iter().skip(2);
        let columns = columns.map(|field| new_null_array(field.data_type(), 1));
        self.message(times(self.sent_ms, 1), true, columns.collect())
    }

    /// Rows from the times and what stands behind them: the differences and the view's columns.
    fn message(
        &self,
        times: ArrayRef,
        is_progress: bool,
        rest: Vec<ArrayRef>,
    ) -> Result<RecordBatch, EngineError> {
        let count = times.len();
        let mut columns = vec![times];
        if self.has_progress {
            columns.push(Arc::new(BooleanArray::from(vec![is_progress; count])));
        }
        columns.extend(rest);
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|error| super::commit::system("send changes", error))
    }

    /// Ends where rows of the view cannot be computed: changes without them would be wrong.
    fn check_errors(&self, timestamp_ms: u64) -> Result<(), EngineError> {
        let published = self.view.engine.shared.progress.view(self.view.number);
        let Some(published) = published else {
            return Err(lost(&self.view.name, Lost::Dropped));
        };
        match published.errors(timestamp_ms, 1).pop() {
            None => Ok(()),
            Some(error) => {
                let name = &self.view.name;
                let message = format!("{name} has rows that cannot be computed: {error}");
                Err(SqlError::new("22000", message)
                    .with_hint("correct or delete these rows, then subscribe anew")
                    .into())
            }
        }
    }
}

fn times(timestamp_ms: u64, count: usize) -> ArrayRef {
    let time = i64::try_from(timestamp_ms).unwrap_or(i64::MAX);
    Arc::new(Int64Array::from(vec![time; count]))
}

impl Drop for View {
    fn drop(&mut self) {
        if self.is_temporary {
            let finished = self.engine.shared.finished.lock();
            let mut finished = finished.unwrap_or_else(PoisonError::into_inner);
            finished.push(self.number);
        }
    }
}

/// A failure on its way through a stream of rows.
fn external(error: EngineError) -> DataFusionError {
    DataFusionError::External(match error {
        EngineError::Sql(error) => Box::new(error),
        other => Box::new(other),
    })
}

fn lost(view: &str, reason: Lost) -> EngineError {
    let (sqlstate, hint) = match reason {
        Lost::Behind => (
            "53400",
            "read faster, or aggregate in a view of fewer changes",
        ),
        Lost::Dropped => (
            "55000",
            "subscribe anew, if there is a view of this name again",
        ),
    };
    SqlError::new(
        sqlstate,
        format!("the subscription to {view} has ended: {reason}"),
    )
    .with_hint(hint)
    .into()
}
