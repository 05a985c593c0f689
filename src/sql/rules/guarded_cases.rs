//! `CASE` whose results are conditions, where some of them may fail.
//!
//! DataFusion writes `CASE WHEN v <> 0 THEN 10 / v > 1 END` with AND and OR, whose sides it computes
//! for all rows of a batch if many satisfy the first. In live views each row stands for itself; in
//! queries such a `CASE` becomes one that compares with TRUE, which is left as it is.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, Operator, lit};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use crate::sql::node::has_part;

/// The rule; it stands before those that simplify.
#[derive(Debug)]
pub struct GuardedCases;

impl OptimizerRule for GuardedCases {
    fn name(&self) -> &str {
        "guarded_cases"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let has_cases = has_part(&plan, |part| matches!(part, Expr::Case(_)))?;
        let is_left_out = matches!(
            plan,
            LogicalPlan::TableScan(_) | LogicalPlan::Values(_) | LogicalPlan::Distinct(_)
        );
        if !has_cases || is_left_out {
            return Ok(Transformed::no(plan));
        }
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        let has_names = !matches!(plan, LogicalPlan::Sort(_));
        plan.map_expressions(|expression| {
            // Sets have no name that could be kept.
            if matches!(expression, Expr::GroupingSet(_)) {
                return Ok(Transformed::no(expression));
            }
            let name = names.save(&expression);
            let guarded = expression.transform_up(|part| compared(part, &schema))?;
            Ok(match guarded.transformed && has_names {
                true => guarded.update_data(|expression| name.restore(expression)),
                false => guarded,
            })
        })
    }
}

fn compared(part: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if !is_concerned(&part, schema)? {
        return Ok(Transformed::no(part));
    }
    Ok(match part {
        Expr::Case(case) => Transformed::yes(Expr::Case(Case {
            expr: Some(Box::new(lit(true))),
            ..case
        })),
        other => Transformed::no(other),
    })
}

/// Whether an expression is a `CASE` of conditions, of which some may fail.
fn is_concerned(part: &Expr, schema: &DFSchema) -> Result<bool> {
    let Expr::Case(case) = part else {
        return Ok(false);
    };
    let result = case.when_then_expr.first().map(|(_, result)| result);
    let is_condition = result
        .and_then(|result| result.get_type(schema).ok())
        .is_some_and(|data_type| data_type == DataType::Boolean);
    if case.expr.is_some() || !is_condition {
        return Ok(false);
    }
    part.exists(|part| {
        Ok(match part {
            Expr::BinaryExpr(BinaryExpr { op, .. }) => {
                matches!(op, Operator::Divide | Operator::Modulo)
            }
            Expr::ScalarFunction(_) => true,
            Expr::Cast(cast) => cast
                .expr
                .get_type(schema)
                .is_ok_and(|from| from.is_string()),
            _ => false,
        })
    })
}
