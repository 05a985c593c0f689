//! The order of inner joins: those by a unique key of the joined side come first.
//!
//! Such a join gives at most one row for each row that it is given, so it never makes the rows
//! more; a join by anything else may give many. What a join keeps in memory and hands to the next
//! one is its rows, hence the others wait until all that can go first has. Without statistics, more
//! is not known: among equals the order is that of the query.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, JoinConstraint, JoinType, NullEquality, Result};
use datafusion::logical_expr::utils::{conjunction, find_valid_equijoin_key_pair};
use datafusion::logical_expr::{Expr, Filter, Join, LogicalPlan, Projection};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use crate::sql::planner::LiveSource;

/// The rule; it stands behind the one that finds the keys of joins.
#[derive(Debug)]
pub struct JoinOrder;

impl OptimizerRule for JoinOrder {
    fn name(&self) -> &str {
        "join_order"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        if !is_inner(&plan) {
            return Ok(Transformed::no(plan));
        }
        let mut chain = Chain::default();
        chain.gather(&plan);
        let order = chain.order();
        if order.is_sorted() {
            return Ok(Transformed::no(plan));
        }
        let joined = chain.joined(&order)?;
        let schema = Arc::clone(plan.schema());
        let columns = Projection::new_from_schema(Arc::new(joined), schema);
        Ok(Transformed::yes(LogicalPlan::Projection(columns)))
    }
}

fn is_inner(plan: &LogicalPlan) -> bool {
    matches!(
        plan,
        LogicalPlan::Join(Join {
            join_type: JoinType::Inner,
            null_equality: NullEquality::NullEqualsNothing,
            ..
        })
    )
}

/// The sides of inner joins of inner joins, in the order of the query, and what joins them.
#[derive(Default)]
struct Chain {
    sides: Vec<LogicalPlan>,
    equalities: Vec<(Expr, Expr)>,
    conditions: Vec<Expr>,
}

impl Chain {
    fn gather(&mut self, plan: &LogicalPlan) {
        match plan {
            LogicalPlan::Join(join) if is_inner(plan) => {
                self.gather(&join.left);
                self.gather(&join.right);
                self.equalities.extend(join.on.iter().cloned());
                self.conditions.extend(join.filter.clone());
            }
            side => self.sides.push(side.clone()),
        }
    }

    /// The positions of the sides in the order in which they are joined: by a unique key before
    /// by any key before by none.
    fn order(&self) -> Vec<usize> {
        let unique: Vec<Vec<Column>> = self.sides.iter().map(unique_columns).collect();
        let mut order = vec![0];
        let mut waiting: Vec<usize> = (1..self.sides.len()).collect();
        while !waiting.is_empty() {
            let keys: Vec<HashSet<&Column>> = waiting
                .iter()
                .map(|side| self.keys(&order, *side).collect())
                .collect();
            let is_keyed = |place: &usize| {
                let unique = &unique[waiting[*place]];
                !unique.is_empty() && unique.iter().all(|column| keys[*place].contains(column))
            };
            let keyed = (0..waiting.len()).find(is_keyed);
            let connected = || keys.iter().position(|keys| !keys.is_empty());
            let next = keyed.or_else(connected).unwrap_or(0);
            order.push(waiting.remove(next));
        }
        order
    }

    /// The columns of a side that equal something of the sides before it.
    fn keys<'a>(&'a self, before: &'a [usize], side: usize) -> impl Iterator<Item = &'a Column> {
        let is_before = |expression: &Expr| {
            let columns = expression.column_refs();
            let has = |column: &&Column| {
                before
                    .iter()
                    .any(|side| self.sides[*side].schema().has_column(column))
            };
            columns.iter().all(has)
        };
        let pairs = self.equalities.iter();
        let pairs = pairs.flat_map(|(one, other)| [(one, other), (other, one)]);
        pairs.filter_map(move |(key, equal)| match key {
            Expr::Column(column) => {
                let is_of_side = self.sides[side].schema().has_column(column);
                (is_of_side && is_before(equal)).then_some(column)
            }
            _ => None,
        })
    }

    /// The joins in an order, with all columns and the conditions on top of them.
    fn joined(self, order: &[usize]) -> Result<LogicalPlan> {
        let mut sides: Vec<Option<LogicalPlan>> = self.sides.into_iter().map(Some).collect();
        let mut ordered = order.iter().filter_map(|side| sides[*side].take());
        let first = ordered.next();
        let mut equalities = self.equalities;
        let mut joined = first.unwrap_or_default();
        for side in ordered {
            let mut on = Vec::new();
            let mut later = Vec::new();
            for (one, other) in equalities {
                let schemas = (joined.schema(), side.schema());
                match find_valid_equijoin_key_pair(&one, &other, schemas.0, schemas.1)? {
                    Some(pair) => on.push(pair),
                    None => later.push((one, other)),
                }
            }
            equalities = later;
            joined = LogicalPlan::Join(Join::try_new(
                Arc::new(joined),
                Arc::new(side),
                on,
                None,
                JoinType::Inner,
                JoinConstraint::On,
                NullEquality::NullEqualsNothing,
                false,
            )?);
        }
        let equal = equalities.into_iter().map(|(one, other)| one.eq(other));
        let conditions = self.conditions.into_iter().chain(equal);
        Ok(match conjunction(conditions) {
            None => joined,
            Some(condition) => LogicalPlan::Filter(Filter::try_new(condition, Arc::new(joined))?),
        })
    }
}

/// Columns whose values together are unique among the rows; none if none are known.
fn unique_columns(plan: &LogicalPlan) -> Vec<Column> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let key = scan
                .source
                .downcast_ref::<LiveSource>()
                .map(LiveSource::key);
            let columns = key.into_iter().flatten();
            let columns = columns.map(|name| Column::new(Some(scan.table_name.clone()), name));
            columns.collect()
        }
        LogicalPlan::Filter(node) => unique_columns(&node.input),
        LogicalPlan::SubqueryAlias(node) => {
            let renamed = unique_columns(&node.input).into_iter();
            let renamed = renamed.map(|column| Column::new(Some(node.alias.clone()), column.name));
            renamed.collect()
        }
        LogicalPlan::Projection(node) => {
            let renamed = unique_columns(&node.input).into_iter().map(|column| {
                let is_column = |expression: &Expr| match expression {
                    Expr::Alias(alias) => *alias.expr == Expr::Column(column.clone()),
                    other => *other == Expr::Column(column.clone()),
                };
                let position = node.expr.iter().position(is_column)?;
                Some(Column::from(node.schema.qualified_field(position)))
            });
            renamed.collect::<Option<Vec<_>>>().unwrap_or_default()
        }
        LogicalPlan::Aggregate(node) if !matches!(node.group_expr[..], [Expr::GroupingSet(_)]) => {
            let keys = 0..node.group_expr.len();
            keys.map(|key| Column::from(node.schema.qualified_field(key)))
                .collect()
        }
        _ => Vec::new(),
    }
}
