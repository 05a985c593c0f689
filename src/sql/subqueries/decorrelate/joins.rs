//! Joins in correlated subqueries.

use datafusion::common::{Column, DFSchema, JoinType, NullEquality};
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Join, LogicalPlanBuilder, Operator, binary_expr};

use super::references::is_correlated;
use super::rows::{Outer, Rows};

impl Outer<'_> {
    /// A join one side of which is correlated, or both, or none but its condition.
    pub(super) fn joined(&self, join: &Join) -> Result<Option<Rows>> {
        let keeps_left = matches!(
            join.join_type,
            JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti
        );
        if !keeps_left {
            return Ok(None);
        }
        let right_only = is_correlated(&join.right)?;
        if right_only && (is_correlated(&join.left)? || join.join_type != JoinType::Inner) {
            return self.joined_by_combination(join);
        }
        let side = if right_only { &join.right } else { &join.left };
        self.below(side, false, |rows| {
            let keys = rows.keys;
            let conditions = self.conditions(join, &keys, &join.schema)?;
            let (left, right) = match right_only {
                true => (join.left.as_ref().clone(), rows.plan),
                false => (rows.plan, join.right.as_ref().clone()),
            };
            let builder = LogicalPlanBuilder::from(left);
            let plan = match conditions.is_empty() {
                true if join.join_type == JoinType::Inner => builder.cross_join(right)?,
                _ => builder.join_on(right, join.join_type, conditions)?,
            };
            let rows = Rows::unordered(plan.build()?, keys);
            let columns = join.schema.columns().into_iter();
            rows.projected(columns.map(Expr::Column).collect())
        })
    }

    /// A join in which the rows of each combination meet those of the same one.
    fn joined_by_combination(&self, join: &Join) -> Result<Option<Rows>> {
        let (left, right) = (
            self.rows(&join.left, false)?,
            self.rows(&join.right, false)?,
        );
        let (Some(left), Some(right)) = (left, right) else {
            return Ok(None);
        };
        let conditions = self.conditions(join, &left.keys, &join.schema)?;
        let plan = LogicalPlanBuilder::from(left.plan)
            .join_detailed(
                right.plan,
                join.join_type,
                (left.keys.clone(), right.keys),
                conjunction(conditions),
                NullEquality::NullEqualsNull,
            )?
            .build()?;
        let rows = Rows::unordered(plan, left.keys);
        let columns = join.schema.columns().into_iter();
        rows.projected(columns.map(Expr::Column).collect())
            .map(Some)
    }

    fn conditions(&self, join: &Join, keys: &[Column], own: &DFSchema) -> Result<Vec<Expr>> {
        let equality = match join.null_equality {
            NullEquality::NullEqualsNull => Operator::IsNotDistinctFrom,
            NullEquality::NullEqualsNothing => Operator::Eq,
        };
        let equalities = join.on.iter().map(|(left, right)| {
            let left = self.replaced(left.clone(), keys, own)?;
            let right = self.replaced(right.clone(), keys, own)?;
            Ok(binary_expr(left, equality, right))
        });
        let mut conditions = equalities.collect::<Result<Vec<Expr>>>()?;
        if let Some(filter) = &join.filter {
            conditions.push(self.replaced(filter.clone(), keys, own)?);
        }
        Ok(conditions)
    }
}
