//! Subqueries in the branches of a `CASE`, computed for the outer rows that come to them: for others
//! they may fail.

use datafusion::common::tree_node::TreeNode;
use datafusion::error::Result;
use datafusion::logical_expr::{Case, Expr};

use super::{Joined, is_subquery};
use crate::sql::functions::clock;

impl Joined<'_> {
    /// A `CASE` with columns in the place of its subqueries, where it is evaluated for the outer
    /// rows for which all of some conditions hold.
    pub(super) fn in_case(&mut self, case: Case, conditions: &[Expr]) -> Result<Case> {
        let operand = case.expr.as_deref().cloned();
        let mut open = conditions.to_vec();
        let mut branches = Vec::new();
        for (when, then) in case.when_then_expr {
            let condition = match &operand {
                Some(operand) => operand.clone().eq(when.as_ref().clone()),
                None => when.as_ref().clone(),
            };
            let when = self.replaced_where(*when, &open)?;
            let taken = with(&open, condition.clone())?;
            let then = self.replaced_where(*then, &taken)?;
            branches.push((Box::new(when), Box::new(then)));
            open = with(&open, condition.is_not_true())?;
        }
        let mut replaced = |part: Option<Box<Expr>>, conditions: &[Expr]| {
            let part = part.map(|part| self.replaced_where(*part, conditions));
            part.transpose().map(|part| part.map(Box::new))
        };
        let operand = replaced(case.expr, conditions)?;
        let otherwise = replaced(case.else_expr, &open)?;
        Ok(Case::new(operand, branches, otherwise))
    }
}

/// Some conditions and one more, if it can be asked of the outer rows alone.
fn with(conditions: &[Expr], condition: Expr) -> Result<Vec<Expr>> {
    let asks = condition.exists(|part| Ok(is_subquery(part)))?;
    let varies = condition.is_volatile() || clock::is_asked(&condition)?;
    let mut all = conditions.to_vec();
    if !asks && !varies && !condition.contains_outer() {
        all.push(condition);
    }
    Ok(all)
}
