//! Unions that are sorted as a whole.
//!
//! DataFusion sorts each input of a union by itself and leaves out columns that are constant in it.
//! Where the constants of the inputs differ, the union then lacks the order that it needs, and the
//! query ends with an internal error. Above a node that promises no order and no constants, it sorts
//! by all columns.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::internal_err;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    PlanProperties, ReplaceChildrenOptions,
};

/// Puts an [`UnsortedExec`] above each union that has an input with constants.
#[derive(Debug)]
pub struct UnsortedUnions;

impl PhysicalOptimizerRule for UnsortedUnions {
    fn name(&self) -> &str {
        "unsorted_unions"
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let unsorted = plan.transform_up(|plan| {
            let has_constants = |input: &Arc<dyn ExecutionPlan>| {
                !input.equivalence_properties().constants().is_empty()
            };
            let is_union = plan.downcast_ref::<UnionExec>().is_some();
            Ok(
                match is_union && plan.children().into_iter().any(has_constants) {
                    true => Transformed::yes(Arc::new(UnsortedExec::new(plan)) as _),
                    false => Transformed::no(plan),
                },
            )
        });
        unsorted.data()
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The rows of its input, in an order of which nothing is known.
#[derive(Debug)]
struct UnsortedExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl UnsortedExec {
    fn new(input: Arc<dyn ExecutionPlan>) -> UnsortedExec {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            input.output_partitioning().clone(),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        UnsortedExec {
            input,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for UnsortedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("UnsortedExec")
    }
}

impl ExecutionPlan for UnsortedExec {
    fn name(&self) -> &str {
        "UnsortedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
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
        match children.pop() {
            Some(input) if children.is_empty() => Ok(Arc::new(UnsortedExec::new(input))),
            _ => internal_err!("a union that is sorted as a whole is one input"),
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
        self.input.execute(partition, context)
    }
}
