//! `UNION` within a correlated subquery: the rows of each branch for each combination of outer
//! columns, one branch behind the other.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Union};

use super::rows::{Outer, Rows};

impl Outer<'_> {
    /// The rows of all branches; `None` if those of one can't be told.
    pub(super) fn united(&self, union: &Union) -> Result<Option<Rows>> {
        let mut branches = Vec::new();
        for branch in &union.inputs {
            let Some(rows) = self.rows(branch, false)? else {
                return Ok(None);
            };
            let own = branch.schema().columns().into_iter().map(Expr::Column);
            let keys = rows.keys.into_iter().zip(&self.key_names);
            let keys = keys.map(|(key, name)| Expr::Column(key).alias(name));
            let columns: Vec<Expr> = own.chain(keys).collect();
            let branch = LogicalPlanBuilder::from(rows.plan).project(columns)?;
            branches.push(Arc::new(branch.build()?));
        }
        // Types are brought to one later, as those of all unions.
        let united = LogicalPlan::Union(Union::try_new_with_loose_types(branches)?);
        // Where it meets another union, its keys are told apart by the relation.
        let relation = self.names.relation("union");
        let own = union.schema.columns().into_iter().map(Expr::Column);
        let keys = self.key_names.iter().map(|name| {
            let key = Expr::Column(Column::new_unqualified(name));
            key.alias_qualified(Some(relation.clone()), name)
        });
        let columns: Vec<Expr> = own.chain(keys).collect();
        let plan = LogicalPlanBuilder::from(united).project(columns)?;
        let keys = self.key_names.iter();
        let keys = keys.map(|name| Column::new(Some(relation.clone()), name));
        Ok(Some(Rows::unordered(plan.build()?, keys.collect())))
    }
}
