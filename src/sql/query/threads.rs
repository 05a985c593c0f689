//! The threads on which queries run.
//!
//! A query that computes for long holds up nobody: connections, clocks and whoever ends a query
//! have threads of their own, and queries share theirs by turns (`yielding`).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use datafusion::common::exec_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::{
    RecordBatchReceiverStreamBuilder, RecordBatchStreamAdapter,
};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{FutureExt, StreamExt, stream};
use tokio::runtime::{Builder, Runtime};

use super::interrupt::Wanted;
use crate::sql::PLANNING_STACK_BYTES;
use crate::sql::error::SqlError;

/// Batches that are made ahead of who reads them.
const BATCHES_AHEAD: usize = 1;

/// Threads for queries; they end with the last clone.
#[derive(Clone, Debug)]
pub struct QueryThreads {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Waiting for the threads is not allowed where this may be dropped.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl QueryThreads {
    /// Starts so many threads.
    pub fn start(number: usize) -> Result<QueryThreads, SqlError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(number.max(1))
            .thread_name("query")
            .thread_stack_size(PLANNING_STACK_BYTES)
            .enable_time()
            .build()
            .map_err(|error| {
                SqlError::new(
                    "58000",
                    format!("cannot start threads for queries: {error}"),
                )
                .with_hint("see whether the system's limit of threads is reached")
            })?;
        let runtime = Some(runtime);
        Ok(QueryThreads {
            pool: Arc::new(Pool { runtime }),
        })
    }

    /// Runs a plan on these threads, for as long as its rows are kept: with them `wanted` ends.
    pub fn run(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
        wanted: Wanted,
    ) -> Result<SendableRecordBatchStream> {
        let Some(runtime) = &self.pool.runtime else {
            return Err(DataFusionError::Execution("the engine stops".to_owned()));
        };
        let mut rows = RecordBatchReceiverStreamBuilder::new(plan.schema(), BATCHES_AHEAD);
        let sender = rows.tx();
        let run = async move {
            let mut made = execute_stream(plan, context)?;
            while let Some(batch) = made.next().await {
                let failed = batch.is_err();
                if sender.send(batch).await.is_err() || failed {
                    break;
                }
            }
            Ok::<(), DataFusionError>(())
        };
        // A function that breaks down must not end whoever waits for the rows.
        let run = FutureExt::catch_unwind(AssertUnwindSafe(run));
        let run = FutureExt::map(run, |outcome| {
            outcome.unwrap_or_else(|_| exec_err!("a function broke down over rows of the query"))
        });
        rows.spawn_on(run, runtime.handle());
        // A query goes on although the engine has begun to use other threads.
        Ok(kept_with(rows.build(), (wanted, self.clone())))
    }
}

/// The same rows; what is kept with them is dropped with them.
fn kept_with<T: Send + 'static>(
    mut rows: SendableRecordBatchStream,
    kept: T,
) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let rows = stream::poll_fn(move |context| {
        let _ = &kept;
        rows.poll_next_unpin(context)
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use arrow::datatypes::DataType;
    use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
    use datafusion::prelude::SessionContext;

    use super::*;

    /// Joins that take as good as for ever and give nothing.
    const ENDLESS: &str = "SELECT a.value FROM generate_series(1, 1000000) a, \
        generate_series(1, 1000000) b WHERE a.value * b.value < 0";

    async fn plan(sql: &str) -> (Arc<dyn ExecutionPlan>, Arc<TaskContext>, Wanted) {
        let context = SessionContext::new();
        let frame = context.sql(sql).await.expect("planned");
        let wanted = Wanted::default();
        let plan = frame.create_physical_plan().await.expect("planned");
        let plan = wanted.interrupting(plan).expect("the same joins");
        (plan, context.task_ctx(), wanted)
    }

    #[tokio::test]
    async fn rows_come_from_other_threads() {
        let threads = QueryThreads::start(1).expect("threads");
        let sql = "SELECT a.value FROM generate_series(1, 3) a, generate_series(1, 3) b \
                   WHERE a.value < b.value";
        let (plan, context, wanted) = plan(sql).await;
        let mut rows = threads.run(plan, context, wanted).expect("started");
        drop(threads);
        let mut number = 0;
        while let Some(batch) = rows.next().await {
            number += batch.expect("rows").num_rows();
        }
        assert_eq!(number, 3);
    }

    #[tokio::test]
    async fn a_function_that_breaks_down_is_an_error() {
        let breaks = |_: &[ColumnarValue]| -> Result<ColumnarValue> { panic!("a fault") };
        let breaks = create_udf(
            "breaks",
            vec![DataType::Int64],
            DataType::Int64,
            Volatility::Volatile,
            Arc::new(breaks),
        );
        let context = SessionContext::new();
        context.register_udf(breaks);
        let sql = "SELECT breaks(value) FROM generate_series(1, 3)";
        let frame = context.sql(sql).await.expect("planned");
        let plan = frame.create_physical_plan().await.expect("planned");
        let threads = QueryThreads::start(1).expect("threads");
        let rows = threads.run(plan, context.task_ctx(), Wanted::default());
        let first = rows.expect("started").next().await.expect("an outcome");
        let error = first.expect_err("broken down").to_string();
        assert!(error.contains("broke down"), "{error}");
    }

    #[tokio::test]
    async fn a_join_that_finds_nothing_ends_when_its_rows_are_dropped() {
        let threads = QueryThreads::start(1).expect("threads");
        let (plan, context, wanted) = plan(ENDLESS).await;
        let rows = threads
            .run(Arc::clone(&plan), context, wanted)
            .expect("started");
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(rows);
        while Arc::strong_count(&plan) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn a_join_that_finds_nothing_does_not_hold_up_another_query() {
        let threads = QueryThreads::start(1).expect("threads");
        let (endless, context, wanted) = plan(ENDLESS).await;
        let endless = threads.run(endless, context, wanted).expect("started");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let (small, context, wanted) = plan("SELECT value FROM generate_series(1, 3)").await;
        let mut rows = threads.run(small, context, wanted).expect("started");
        let first = tokio::time::timeout(Duration::from_secs(600), rows.next()).await;
        let first = first.expect("it is not held up").expect("an outcome");
        assert_eq!(first.expect("rows").num_rows(), 3);
        drop(endless);
    }
}
