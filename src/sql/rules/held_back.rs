//! Rules of DataFusion's that do not get all of a plan.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// A rule of the optimiser.
pub type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// What is done with a plan instead of leaving it to a rule.
pub type Rewrite = fn(&Rule, LogicalPlan, &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>>;

/// The rules, with something done instead of those for whose name there is something.
pub fn held_back(rules: Vec<Rule>, instead: impl Fn(&str) -> Option<Rewrite>) -> Vec<Rule> {
    let rules = rules.into_iter().map(|rule| -> Rule {
        match instead(rule.name()) {
            Some(rewrite) => Arc::new(HeldBack { rule, rewrite }),
            None => rule,
        }
    });
    rules.collect()
}

#[derive(Debug)]
struct HeldBack {
    rule: Rule,
    rewrite: Rewrite,
}

impl OptimizerRule for HeldBack {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.rule.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        (self.rewrite)(&self.rule, plan, config)
    }
}
