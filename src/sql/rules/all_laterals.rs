//! Lateral subqueries, all of which become joins at once.
//!
//! DataFusion's rule stops at the first one that it comes to. In a plan with subqueries among its
//! expressions the others wait for the next pass over all rules, and meanwhile the columns that only
//! they read are left out; nor do the nodes above learn that a join has come to have more columns.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::held_back::Rule;

/// The rules, with the one for lateral subqueries applied to all of them at once.
pub fn at_once(mut rules: Vec<Rule>) -> Vec<Rule> {
    let of_laterals = rules
        .iter_mut()
        .find(|rule| rule.name() == "decorrelate_lateral_join");
    if let Some(rule) = of_laterals {
        *rule = Arc::new(AllLaterals {
            rule: Arc::clone(rule),
        });
    }
    rules
}

/// Applies the rule by itself, from the top of a plan to its bottom.
#[derive(Debug)]
struct AllLaterals {
    rule: Rule,
}

impl OptimizerRule for AllLaterals {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match has_subqueries(&plan)? {
            true => self.joined(plan, config),
            false => Ok(Transformed::no(plan)),
        }
    }
}

impl AllLaterals {
    fn joined(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let joined = self.rule.rewrite(plan, config)?;
        let is_joined = joined.transformed;
        let mut has_other_inputs = false;
        let below = joined
            .data
            .map_subqueries(|subquery| self.joined(subquery, config))?
            .transform_sibling(|node| {
                node.map_children(|input| {
                    let before = Arc::clone(input.schema());
                    let input = self.joined(input, config)?;
                    has_other_inputs |= input.transformed && before != *input.data.schema();
                    Ok(input)
                })
            })?;
        let is_changed = is_joined || below.transformed;
        let node = match has_other_inputs {
            true => below.data.recompute_schema()?,
            false => below.data,
        };
        Ok(Transformed::new_transformed(node, is_changed))
    }
}

/// Whether there are subqueries in a plan, lateral ones among them.
fn has_subqueries(plan: &LogicalPlan) -> Result<bool> {
    let found = plan.apply_with_subqueries(|node| {
        Ok(match node {
            LogicalPlan::Subquery(_) => TreeNodeRecursion::Stop,
            _ => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found == TreeNodeRecursion::Stop)
}
