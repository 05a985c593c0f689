//! How a recursion refers to itself.
//!
//! DataFusion looks for a reference of the step to the level before in the step's FROM only. A step
//! whose references all stand in subqueries is a plain union for it, with a level that nothing
//! gives, and one that has a second reference in a subquery fails as late as when it runs.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNodeRecursion, TreeNodeVisitor};
use datafusion::datasource::DefaultTableSource;
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{LogicalPlan, TableScan};

use crate::sql::error::SqlError;
use crate::sql::planner::external;

/// Refuses levels that are read outside of their recursion, or more than once in it.
pub fn check(plan: &LogicalPlan) -> Result<(), SqlError> {
    plan.visit_with_subqueries(&mut References::default())?;
    Ok(())
}

/// The name of the recursion whose level before is scanned, if that is what is scanned.
pub fn level(node: &TableScan) -> Option<Arc<str>> {
    let source = node.source.downcast_ref::<DefaultTableSource>()?;
    let table = source.table_provider.downcast_ref::<CteWorkTable>()?;
    Some(Arc::from(table.name()))
}

/// The recursions around a place in a plan.
#[derive(Default)]
struct References {
    around: Vec<Recursion>,
}

struct Recursion {
    name: String,
    /// How often its level before has been read.
    reads: usize,
}

impl<'n> TreeNodeVisitor<'n> for References {
    type Node = LogicalPlan;

    fn f_down(&mut self, node: &'n LogicalPlan) -> DataFusionResult<TreeNodeRecursion> {
        match node {
            LogicalPlan::RecursiveQuery(recursion) => self.around.push(Recursion {
                name: recursion.name.clone(),
                reads: 0,
            }),
            LogicalPlan::TableScan(scan) => {
                if let Some(name) = level(scan) {
                    self.read(&name).map_err(external)?;
                }
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn f_up(&mut self, node: &'n LogicalPlan) -> DataFusionResult<TreeNodeRecursion> {
        if let LogicalPlan::RecursiveQuery(_) = node {
            self.around.pop();
        }
        Ok(TreeNodeRecursion::Continue)
    }
}

impl References {
    /// Counts a read of the innermost recursion of that name.
    fn read(&mut self, name: &str) -> Result<(), SqlError> {
        let mut around = self.around.iter_mut().rev();
        let Some(recursion) = around.find(|recursion| recursion.name == name) else {
            let message = format!(
                "the recursion \"{name}\" is read in a subquery only, which cannot be computed"
            );
            return Err(SqlError::unsupported(message)
                .about(name)
                .with_hint(format!(
                    "join the level before instead: FROM … JOIN {name} ON …"
                )));
        };
        recursion.reads += 1;
        if recursion.reads > 1 {
            let message = format!(
                "the recursion \"{name}\" mentions itself more than once behind UNION, which \
                 cannot be computed"
            );
            return Err(SqlError::unsupported(message)
                .about(name)
                .with_hint("join the level before with the tables that it grows by"));
        }
        Ok(())
    }
}
