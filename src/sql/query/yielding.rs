//! Joins that let others run: a query that makes much of little must be ended when its time is up,
//! and must not hold up other queries.
//!
//! DataFusion lets a query pause where rows are read. A join of every row with every row reads few
//! and makes many, and would hold its thread, and with it the clock, until it is done. If it
//! refuses every pair there is not even a row behind which it could pause. It pauses between two
//! batches of pairs instead: its condition gives an error there, and the join is asked again later.

use std::cell::Cell;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use datafusion::common::config::ConfigOptions;
use datafusion::common::internal_err;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{StreamExt, stream};

/// How long a join holds its thread before others have it.
const TURN: Duration = Duration::from_millis(10);

/// The operators that give more rows than they take.
const MULTIPLYING: [&str; 5] = [
    "CrossJoinExec",
    "HashJoinExec",
    "NestedLoopJoinExec",
    "SortMergeJoinExec",
    "UnnestExec",
];

/// Lets a query pause behind each operator that multiplies rows.
#[derive(Debug)]
pub struct YieldingJoins;

impl PhysicalOptimizerRule for YieldingJoins {
    fn name(&self) -> &str {
        "yielding_joins"
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let yielding = plan.transform_up(|plan| {
            Ok(match MULTIPLYING.contains(&plan.name()) {
                true => Transformed::yes(Arc::new(CooperativeExec::new(plan)) as _),
                false => Transformed::no(plan),
            })
        });
        yielding.map(|yielding| yielding.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

thread_local! {
    /// The turn of the join that this thread works for.
    static CURRENT: Cell<Option<Turn>> = const { Cell::new(None) };
}

/// A stretch of work on a join.
#[derive(Clone, Copy)]
struct Turn {
    ends: Instant,
    /// A batch of pairs was looked at, so that the join comes to an end, however short turns are.
    has_worked: bool,
    is_over: bool,
}

/// Whether the turn of the join that this thread works for is over. If so, the condition of the
/// join has to be an error, and is asked again about the same pairs.
pub fn is_turn_over() -> bool {
    let Some(mut turn) = CURRENT.get() else {
        return false;
    };
    turn.is_over = turn.has_worked && Instant::now() >= turn.ends;
    turn.has_worked = true;
    CURRENT.set(Some(turn));
    turn.is_over
}

/// Puts the turn back within which another one was begun.
struct Within(Option<Turn>);

impl Drop for Within {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Works for a join; what came of it, and whether it stopped because its turn was over.
fn take_turn<T>(length: Duration, work: impl FnOnce() -> T) -> (T, bool) {
    let within = Within(CURRENT.get());
    let ends = Instant::now() + length;
    // A join that reads another one holds the thread since its own turn began.
    let ends = within.0.map_or(ends, |turn| turn.ends.min(ends));
    CURRENT.set(Some(Turn {
        ends,
        has_worked: false,
        is_over: false,
    }));
    let result = work();
    (result, CURRENT.get().is_some_and(|turn| turn.is_over))
}

/// A join by turns, whose condition asks [`is_turn_over`] before it looks at a batch of pairs.
///
/// It relies on what DataFusion's joins do, and a test watches: a join whose condition fails has
/// neither taken note of the batch nor gone on to the next one, so that it can be asked again.
#[derive(Debug)]
pub struct TurnsExec {
    join: Arc<dyn ExecutionPlan>,
    length: Duration,
}

impl TurnsExec {
    /// The join, by turns.
    pub fn new(join: Arc<dyn ExecutionPlan>) -> TurnsExec {
        TurnsExec { join, length: TURN }
    }
}

impl DisplayAs for TurnsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("TurnsExec")
    }
}

impl ExecutionPlan for TurnsExec {
    fn name(&self) -> &str {
        "TurnsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.join.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.join]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let length = self.length;
        match children.pop() {
            Some(join) if children.is_empty() => Ok(Arc::new(TurnsExec { join, length })),
            _ => internal_err!("what takes turns is one join"),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let mut rows = self.join.execute(partition, context)?;
        let schema = rows.schema();
        let length = self.length;
        let rows = stream::poll_fn(move |context| {
            match take_turn(length, || rows.poll_next_unpin(context)) {
                (Poll::Ready(Some(Err(_))), true) => {
                    // It goes to the end of the queue of all who have something to do.
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                (polled, _) => polled,
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

#[cfg(test)]
mod tests {
    use arrow::util::pretty::pretty_format_batches;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::super::interrupt::Wanted;
    use super::*;

    const KINDS: [&str; 8] = [
        "",
        "LEFT",
        "RIGHT",
        "FULL",
        "LEFT SEMI",
        "RIGHT SEMI",
        "LEFT ANTI",
        "RIGHT ANTI",
    ];

    /// Made pair by pair, and by keys first.
    const CONDITIONS: [&str; 2] = [
        "(a.value * b.value + b.value) % 11 = 3",
        "a.value % 2 = b.value % 2 AND (a.value * b.value + b.value) % 11 = 3",
    ];

    /// The rows of a plan in order, and how often it paused.
    async fn rows_and_pauses(
        plan: Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
    ) -> (Vec<String>, usize) {
        let mut rows = plan.execute(0, context).expect("started");
        let mut pauses = 0;
        let mut counted = stream::poll_fn(|context| {
            let polled = rows.poll_next_unpin(context);
            pauses += usize::from(polled.is_pending());
            polled
        });
        let mut batches = Vec::new();
        while let Some(batch) = counted.next().await {
            batches.push(batch.expect("rows"));
        }
        batches.retain(|batch| batch.num_rows() > 0);
        assert!(!batches.is_empty(), "there is nothing to lose");
        let text = pretty_format_batches(&batches).expect("printable");
        let mut lines: Vec<String> = text.to_string().lines().map(str::to_owned).collect();
        lines.sort_unstable();
        (lines, pauses)
    }

    /// The same plan with turns that are over as soon as they have begun.
    fn with_shortest_turns(plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        let plan = plan.transform_up(|plan| match plan.downcast_ref::<TurnsExec>() {
            None => Ok(Transformed::no(plan)),
            Some(turns) => {
                let (join, length) = (Arc::clone(&turns.join), Duration::ZERO);
                Ok(Transformed::yes(Arc::new(TurnsExec { join, length }) as _))
            }
        });
        plan.expect("a plan").data
    }

    async fn check(kind: &str, condition: &str, batch_size: usize) {
        let config = SessionConfig::new()
            .with_target_partitions(1)
            .with_batch_size(batch_size);
        let context = SessionContext::new_with_config(config);
        let sql = format!(
            "SELECT * FROM generate_series(1, 400) a {kind} JOIN generate_series(5, 11) b \
             ON {condition}"
        );
        let frame = context.sql(&sql).await.expect(&sql);
        // Plans keep what they have read, so that each is for one run.
        let plan = frame.clone().create_physical_plan().await.expect(&sql);
        let right = rows_and_pauses(plan, context.task_ctx()).await;
        let plan = frame.create_physical_plan().await.expect(&sql);
        let wanted = Wanted::default();
        let plan = wanted.interrupting(plan).expect("the same joins");
        let by_turns = rows_and_pauses(with_shortest_turns(plan), context.task_ctx()).await;
        let place = format!("{sql}, batches of {batch_size}");
        assert_eq!(by_turns.0, right.0, "{place}");
        assert!(by_turns.1 > right.1, "it does not pause: {place}");
    }

    #[tokio::test]
    async fn a_join_that_pauses_between_any_two_batches_gives_the_same_rows() {
        for condition in CONDITIONS {
            for kind in KINDS {
                for batch_size in [16, 1000] {
                    check(kind, condition, batch_size).await;
                }
            }
        }
    }

    #[test]
    fn a_turn_is_over_only_after_some_work_and_ends_with_the_one_around_it() {
        assert!(!is_turn_over(), "nobody works for a join");
        let long = Duration::from_secs(3600);
        let (inner, is_over) = take_turn(Duration::ZERO, || {
            take_turn(long, || [is_turn_over(), is_turn_over()])
        });
        assert_eq!(inner, ([false, true], true));
        assert!(!is_over, "the outer join has not stopped");
        let (asked, is_over) = take_turn(long, || [is_turn_over(), is_turn_over()]);
        assert_eq!((asked, is_over), ([false, false], false));
        assert!(!is_turn_over(), "nobody works for a join");
    }
}
