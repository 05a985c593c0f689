//! Queries end when nobody waits for them any more, and pause when others wait.
//!
//! A join whose condition refuses every pair gives no row, and so never pauses where it could be
//! ended: it goes from pair to pair until it has seen all of them. Its condition therefore looks
//! each time whether the rows are still wanted, and whether its turn is over.

use std::fmt::{Display, Formatter};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::exec_err;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder,
};

use super::yielding::{TurnsExec, is_turn_over};

/// Says, once it is dropped, that the rows of a query are not wanted any more.
#[derive(Debug, Default)]
pub struct Wanted {
    is_over: Arc<AtomicBool>,
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

impl Wanted {
    /// The plan, whose joins take turns, and end with an error once this is dropped.
    pub fn interrupting(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = plan.transform_up(|plan| {
            if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>()
                && let Some(filter) = join.filter()
            {
                let filter = self.looking(filter);
                let join = NestedLoopJoinExecBuilder::from(join).with_filter(Some(filter));
                let turns = TurnsExec::new(Arc::new(join.build()?));
                return Ok(Transformed::yes(Arc::new(turns) as _));
            }
            if let Some(join) = plan.downcast_ref::<HashJoinExec>()
                && let Some(filter) = join.filter()
            {
                let join = join.builder().with_filter(Some(self.looking(filter)));
                let turns = TurnsExec::new(join.build_exec()?);
                return Ok(Transformed::yes(Arc::new(turns) as _));
            }
            Ok(Transformed::no(plan))
        });
        plan.map(|plan| plan.data)
    }

    fn looking(&self, filter: &JoinFilter) -> JoinFilter {
        let condition = WhileWanted {
            condition: Arc::clone(filter.expression()),
            is_over: Arc::clone(&self.is_over),
        };
        JoinFilter::new(
            Arc::new(condition),
            filter.column_indices().to_vec(),
            Arc::clone(filter.schema()),
        )
    }
}

/// A condition that is an error once nobody waits for what it decides, and where its join has to
/// let others run.
#[derive(Debug)]
struct WhileWanted {
    condition: Arc<dyn PhysicalExpr>,
    is_over: Arc<AtomicBool>,
}

impl PartialEq for WhileWanted {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for WhileWanted {}

impl Hash for WhileWanted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl Display for WhileWanted {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        Display::fmt(&self.condition, f)
    }
}

impl PhysicalExpr for WhileWanted {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.condition.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.condition.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if self.is_over.load(Ordering::Relaxed) {
            return exec_err!("the query was ended");
        }
        if is_turn_over() {
            return exec_err!("the turn of the join is over");
        }
        self.condition.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(WhileWanted {
            condition: children.swap_remove(0),
            is_over: Arc::clone(&self.is_over),
        }))
    }

    fn fmt_sql(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.condition.fmt_sql(f)
    }
}
