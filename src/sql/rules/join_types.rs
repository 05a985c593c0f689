//! Join conditions whose sides are of two types.
//!
//! What a subquery asks of the query around it has, until it becomes a join, the type from before the
//! branches of that query's CASE or UNION were brought to one; DataFusion then compares two types.

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, ExprSchemable, Join, LogicalPlan};
use datafusion::optimizer::analyzer::type_coercion::TypeCoercionRewriter;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::held_back::Rule;
use crate::sql::operators::comparison::is_planned_comparison;

/// The rules that make joins of subqueries.
const JOINING: [&str; 3] = [
    "decorrelate_predicate_subquery",
    "scalar_subquery_to_join",
    "decorrelate_lateral_join",
];

/// The rules with this one behind those that make joins of subqueries.
pub fn brought_to_one(mut rules: Vec<Rule>) -> Vec<Rule> {
    let last = rules
        .iter()
        .rposition(|rule| JOINING.contains(&rule.name()));
    if let Some(last) = last {
        rules.insert(last + 1, Arc::new(JoinTypes));
    }
    rules
}

/// Brings the sides of each comparison to one type.
#[derive(Debug)]
struct JoinTypes;

impl OptimizerRule for JoinTypes {
    fn name(&self) -> &str {
        "join_types"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(mut join) = plan else {
            return Ok(Transformed::no(plan));
        };
        let Ok(both) = join.left.schema().join(join.right.schema()) else {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        };
        if !compares_two_types(&join, &both)? {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        }
        let mut coercion = TypeCoercionRewriter::new(&both);
        if let Some(condition) = join.filter.take() {
            join.filter = Some(condition.rewrite(&mut coercion).data()?);
        }
        let join = coercion.coerce_plan(LogicalPlan::Join(join))?;
        Ok(Transformed::yes(join))
    }
}

fn compares_two_types(join: &Join, both: &DFSchema) -> Result<bool> {
    for (left, right) in &join.on {
        if left.get_type(both)? != right.get_type(both)? {
            return Ok(true);
        }
    }
    let Some(condition) = &join.filter else {
        return Ok(false);
    };
    condition.exists(|part| match part {
        Expr::BinaryExpr(binary) if is_planned_comparison(binary.op) => {
            Ok(binary.left.get_type(both)? != binary.right.get_type(both)?)
        }
        _ => Ok(false),
    })
}
