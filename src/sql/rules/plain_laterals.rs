//! Lateral subqueries that turn out to read nothing of what stands beside them.
//!
//! Where the condition of one is always false, or always true, simplifying it takes its outer columns
//! away. DataFusion's rule for lateral subqueries then passes it over, and a query has no plan for
//! what is left. It is a join with a subquery like any other.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlan, SubqueryAlias};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::held_back::Rule;
use crate::sql::subqueries::decorrelate::is_correlated;

/// The rules, with such subqueries made plain before that for lateral ones.
pub fn made_plain(mut rules: Vec<Rule>) -> Vec<Rule> {
    let mut names = rules.iter().map(|rule| rule.name());
    let place = names.position(|name| name == "decorrelate_lateral_join");
    rules.insert(place.unwrap_or(0), Arc::new(PlainLaterals));
    rules
}

/// Makes them plain.
#[derive(Debug)]
struct PlainLaterals;

impl OptimizerRule for PlainLaterals {
    fn name(&self) -> &str {
        "plain_laterals"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(mut join) = plan else {
            return Ok(Transformed::no(plan));
        };
        let plain = plain(&join.right)?;
        let is_found = plain.is_some();
        if let Some(right) = plain {
            join.right = Arc::new(right);
        }
        Ok(Transformed::new_transformed(
            LogicalPlan::Join(join),
            is_found,
        ))
    }
}

/// The rows of such a subquery; `None` if the side of a join is none.
fn plain(side: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    match side {
        LogicalPlan::Subquery(lateral) if !is_correlated(&lateral.subquery)? => {
            Ok(Some(lateral.subquery.as_ref().clone()))
        }
        LogicalPlan::SubqueryAlias(named) => {
            let Some(input) = plain(&named.input)? else {
                return Ok(None);
            };
            let named = SubqueryAlias::try_new(Arc::new(input), named.alias.clone())?;
            Ok(Some(LogicalPlan::SubqueryAlias(named)))
        }
        _ => Ok(None),
    }
}
