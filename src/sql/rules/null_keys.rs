//! Joins in which NULL keys are equal, kept apart from those in which they are not.
//!
//! DataFusion says of a join, not of each of its keys, whether NULLs are equal. Two of its rules
//! then make joins of both kinds one: an equality that is found among the conditions becomes a
//! further key, for which NULL would be equal to NULL; and inner joins of inner joins are all made
//! anew as the topmost of them is.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNodeRecursion};
use datafusion::common::{JoinType, NullEquality};
use datafusion::error::Result;
use datafusion::logical_expr::{EmptyRelation, Join, LogicalPlan};
use datafusion::optimizer::OptimizerConfig;

use super::held_back::{Rule, held_back};

/// DataFusion's rules, those of them that mix the two kinds of joins held back from it.
pub fn kept_apart(rules: Vec<Rule>) -> Vec<Rule> {
    held_back(rules, |name| match name {
        "extract_equijoin_predicate" => Some(keys_found),
        "eliminate_cross_join" => Some(joins_made_anew),
        _ => None,
    })
}

fn has_null_keys(join: &Join) -> bool {
    join.null_equality == NullEquality::NullEqualsNull && !join.on.is_empty()
}

/// Keys found among the conditions of a join.
fn keys_found(
    rule: &Rule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    let is_kept = matches!(&plan, LogicalPlan::Join(join) if has_null_keys(join));
    match is_kept {
        true => Ok(Transformed::no(plan)),
        false => rule.rewrite(plan, config),
    }
}

/// Inner joins of inner joins made anew, from keys wherever they are said.
fn joins_made_anew(
    rule: &Rule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    // A join with NULL keys is to the others what a table is.
    let mut hidden = Vec::new();
    let plan = plan.transform_down_with_subqueries(|node| Ok(hide(node, &mut hidden)));
    let rewritten = rule.rewrite(plan.data()?, config)?;
    if hidden.is_empty() {
        return Ok(rewritten);
    }
    let plan = rewritten.data.transform_down_with_subqueries(|node| {
        let place = match &node {
            LogicalPlan::EmptyRelation(stand_in) => hidden
                .iter()
                .position(|hidden| Arc::ptr_eq(&hidden.stand_in.schema, &stand_in.schema)),
            _ => None,
        };
        let Some(place) = place else {
            return Ok(Transformed::no(node));
        };
        let mut join = hidden[place].join.clone();
        for side in [&mut join.left, &mut join.right] {
            let rewritten = joins_made_anew(rule, side.as_ref().clone(), config)?;
            *side = Arc::new(rewritten.data);
        }
        let join = LogicalPlan::Join(join);
        Ok(Transformed::new(join, true, TreeNodeRecursion::Jump))
    });
    Ok(Transformed::yes(plan.data()?))
}

struct Hidden {
    join: Join,
    stand_in: EmptyRelation,
}

/// An inner join with NULL keys becomes something without inputs, known by where its schema is.
fn hide(node: LogicalPlan, hidden: &mut Vec<Hidden>) -> Transformed<LogicalPlan> {
    match node {
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner && has_null_keys(&join) => {
            let stand_in = EmptyRelation {
                produce_one_row: false,
                schema: Arc::new(join.schema.as_ref().clone()),
            };
            let node = LogicalPlan::EmptyRelation(stand_in.clone());
            hidden.push(Hidden { join, stand_in });
            Transformed::new(node, true, TreeNodeRecursion::Jump)
        }
        other => Transformed::no(other),
    }
}
