//! Correlated subqueries on any condition, as joins.
//!
//! DataFusion turns a correlated subquery into a join by pulling its conditions on outer columns up,
//! which works through an aggregation only if all of them are equalities. For others the subquery is
//! evaluated for each different combination of the outer columns that it reads: these combinations
//! are joined with the subquery's rows on the conditions, grouped, and joined back to the outer rows.
//! An outer combination without rows has no group, so what the aggregates give of no rows (0 for a
//! count, else NULL) stands in for it.

mod branches;
mod cases;
mod farther;
mod hard;
mod joins;
mod names;
mod references;
mod rows;

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, NullEquality, TableReference};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, Expr, Filter, Join, LogicalPlan, LogicalPlanBuilder, Projection, Subquery,
    SubqueryAlias,
};

use super::single_row::has_one_row;
use crate::sql::error::SqlError;
use crate::sql::planner::external;
use crate::sql::refusals::guard::check_joined;
use names::Names;
use references::reads_farther;
use rows::{Groups, Outer};

pub use hard::{is_hard, is_hard_test};
pub use references::{is_correlated, outer_columns, subquery_of};

/// Rewrites the scalar and lateral subqueries that DataFusion would leave as they are.
pub fn rewrite(plan: LogicalPlan) -> Result<LogicalPlan> {
    rewrite_with(plan, &Names::default())
}

fn rewrite_with(plan: LogicalPlan, names: &Names) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Filter(filter) => in_filter(filter, names),
        LogicalPlan::Projection(projection) => in_projection(projection, names),
        LogicalPlan::Join(join) => lateral(join, names),
        other => Ok(Transformed::no(other)),
    });
    rewritten.data()
}

/// What a subquery became; the subqueries within it that read the query around it read the
/// subquery's own rows now, so that they can be joined, too.
fn with_inner(plan: LogicalPlan, subquery: &Subquery, names: &Names) -> Result<LogicalPlan> {
    match reads_farther(&subquery.subquery)? {
        true => rewrite_with(plan, names),
        false => Ok(plan),
    }
}

fn in_filter(filter: Filter, names: &Names) -> Result<Transformed<LogicalPlan>> {
    if !has_hard_subquery(&filter.predicate)? {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    // What asks for no subquery comes first: fewer outer rows, fewer combinations.
    let conditions = split_conjunction_owned(filter.predicate.clone());
    let (hard, plain): (Vec<Expr>, Vec<Expr>) = conditions.into_iter().partition(|condition| {
        condition
            .exists(|part| Ok(is_subquery(part)))
            .unwrap_or(true)
    });
    let mut input = LogicalPlanBuilder::from(filter.input.as_ref().clone());
    if let Some(plain) = conjunction(plain) {
        input = input.filter(plain)?;
    }
    let mut joined = Joined::to(input.build()?, names);
    let hard: Vec<Expr> = hard
        .into_iter()
        .map(|condition| joined.replaced(condition))
        .collect::<Result<_>>()?;
    if !joined.is_changed {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let mut builder = LogicalPlanBuilder::from(joined.plan);
    if let Some(hard) = conjunction(hard) {
        builder = builder.filter(hard)?;
    }
    let columns = filter.input.schema().columns().into_iter();
    let plan = builder.project(columns.map(Expr::Column))?.build()?;
    Ok(Transformed::yes(plan))
}

fn in_projection(projection: Projection, names: &Names) -> Result<Transformed<LogicalPlan>> {
    let mut is_hard = false;
    for expression in &projection.expr {
        is_hard = is_hard || has_hard_subquery(expression)?;
    }
    if !is_hard {
        return Ok(Transformed::no(LogicalPlan::Projection(projection)));
    }
    let mut joined = Joined::to(projection.input.as_ref().clone(), names);
    let preserver = NamePreserver::new_for_projection();
    let mut columns = Vec::new();
    for expression in &projection.expr {
        let name = preserver.save(expression);
        columns.push(name.restore(joined.replaced(expression.clone())?));
    }
    if !joined.is_changed {
        return Ok(Transformed::no(LogicalPlan::Projection(projection)));
    }
    let plan = LogicalPlan::Projection(Projection::try_new(columns, Arc::new(joined.plan))?);
    Ok(Transformed::yes(plan))
}

/// A plan to which the values of its subqueries are joined.
struct Joined<'n> {
    /// The plan by itself, which the combinations of outer columns are taken from.
    outer: LogicalPlan,
    plan: LogicalPlan,
    names: &'n Names,
    is_changed: bool,
}

impl<'n> Joined<'n> {
    fn to(outer: LogicalPlan, names: &'n Names) -> Joined<'n> {
        Joined {
            plan: outer.clone(),
            outer,
            names,
            is_changed: false,
        }
    }

    /// An expression with columns in the place of its subqueries, as far as they can be joined.
    fn replaced(&mut self, expression: Expr) -> Result<Expr> {
        self.replaced_where(expression, &[])
    }

    /// The same of one that is evaluated for the outer rows for which all of some conditions hold.
    fn replaced_where(&mut self, expression: Expr, conditions: &[Expr]) -> Result<Expr> {
        let replaced = expression.transform_down(|part| match part {
            Expr::ScalarSubquery(subquery) => self.in_place_of(subquery, conditions),
            Expr::Case(case) => {
                let case = Expr::Case(self.in_case(case, conditions)?);
                Ok(Transformed::new(case, true, TreeNodeRecursion::Jump))
            }
            other => Ok(Transformed::no(other)),
        });
        replaced.data()
    }

    fn in_place_of(
        &mut self,
        subquery: Subquery,
        conditions: &[Expr],
    ) -> Result<Transformed<Expr>> {
        // One that reads columns farther out is joined when the query around this one is.
        if !is_hard(&subquery)? || !reads_only(&subquery, &self.outer)? {
            return Ok(Transformed::no(Expr::ScalarSubquery(subquery)));
        }
        match self.joined(&subquery, conditions)? {
            Some(value) => Ok(Transformed::new(value, true, TreeNodeRecursion::Jump)),
            // The check for several rows tells more.
            None if !has_one_row(&subquery.subquery) => {
                Ok(Transformed::no(Expr::ScalarSubquery(subquery)))
            }
            None => Err(refusal(&subquery)?),
        }
    }

    /// Joins a subquery that is asked for by the outer rows for which all of some conditions hold;
    /// gives its value for a row, or `None` if it can't be joined.
    fn joined(&mut self, subquery: &Subquery, conditions: &[Expr]) -> Result<Option<Expr>> {
        check_joined([&self.plan, &self.outer, &subquery.subquery])?;
        let asking = LogicalPlanBuilder::from(self.outer.clone());
        let asking = match conjunction(conditions.to_vec()) {
            Some(condition) => asking.filter(condition)?,
            None => asking,
        };
        let Some(outer) = Outer::of(subquery, &asking.build()?, self.names)? else {
            return Ok(None);
        };
        let plan = subquery.subquery.as_ref();
        let (right, keys, value) = match value_of_groups(plan, 0)? {
            Some((value, aggregate)) => {
                let Some(groups) = outer.groups(aggregate)? else {
                    return Ok(None);
                };
                let value = of_groups(value, aggregate, &groups)?;
                (groups.plan, groups.keys, value)
            }
            None if has_one_row(plan) => {
                let Some(rows) = outer.rows(plan, false)? else {
                    return Ok(None);
                };
                let relation = self.names.relation("value");
                let (_, field) = plan.schema().qualified_field(0);
                let value = Column::new(Some(relation.clone()), field.name());
                let plan = LogicalPlanBuilder::from(rows.plan).alias(relation.clone())?;
                let keys = with_relation(rows.keys, &relation);
                (plan.build()?, keys, Expr::Column(value))
            }
            None => return Ok(None),
        };
        let Some(value) = outer.seen_from_outside(value)? else {
            return Ok(None);
        };
        let right = with_inner(right, subquery, self.names)?;
        self.plan = LogicalPlanBuilder::from(self.plan.clone())
            .join_detailed(
                right,
                JoinType::Left,
                (outer.columns().to_vec(), keys),
                None,
                NullEquality::NullEqualsNull,
            )?
            .build()?;
        self.is_changed = true;
        Ok(Some(value))
    }
}

fn with_relation(columns: Vec<Column>, relation: &TableReference) -> Vec<Column> {
    let columns = columns.into_iter();
    let columns = columns.map(|column| Column::new(Some(relation.clone()), column.name));
    columns.collect()
}

/// A column of a plan as an expression over the results of the aggregation of all rows below it.
fn value_of_groups(plan: &LogicalPlan, column: usize) -> Result<Option<(Expr, &Aggregate)>> {
    match plan {
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => {
            let (relation, field) = aggregate.schema.qualified_field(column);
            let column = Column::new(relation.cloned(), field.name());
            Ok(Some((Expr::Column(column), aggregate)))
        }
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => value_of_groups(input, column),
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => value_of_groups(&sort.input, column),
        LogicalPlan::Projection(node) => {
            let expression = node.expr[column].clone().unalias_nested().data;
            if expression.exists(|part| Ok(is_subquery(part)))? {
                return Ok(None);
            }
            let Some((_, aggregate)) = value_of_groups(&node.input, 0)? else {
                return Ok(None);
            };
            let inlined = expression.transform_up(|part| {
                let Expr::Column(column) = &part else {
                    return Ok(Transformed::no(part));
                };
                let position = node.input.schema().index_of_column(column)?;
                let value = value_of_groups(&node.input, position)?;
                Ok(match value {
                    Some((value, _)) => Transformed::yes(value),
                    None => Transformed::no(part),
                })
            });
            Ok(Some((inlined.data()?, aggregate)))
        }
        _ => Ok(None),
    }
}

/// An expression over the results of an aggregation, over what is joined for it.
fn of_groups(value: Expr, aggregate: &Aggregate, groups: &Groups) -> Result<Expr> {
    let replaced = value.transform_down(|part| {
        let Expr::Column(column) = &part else {
            return Ok(Transformed::no(part));
        };
        let position = aggregate.schema.index_of_column(column)?;
        let value = groups.values[position].clone();
        Ok(Transformed::new(value, true, TreeNodeRecursion::Jump))
    });
    replaced.data()
}

/// `FROM o, LATERAL (SELECT …)` with conditions that DataFusion can't pull out of it.
fn lateral(join: Join, names: &Names) -> Result<Transformed<LogicalPlan>> {
    let (subquery, alias) = match join.right.as_ref() {
        LogicalPlan::Subquery(subquery) => (subquery, None),
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => match input.as_ref() {
            LogicalPlan::Subquery(subquery) => (subquery, Some(alias.clone())),
            _ => return Ok(Transformed::no(LogicalPlan::Join(join))),
        },
        _ => return Ok(Transformed::no(LogicalPlan::Join(join))),
    };
    let is_possible = matches!(join.join_type, JoinType::Inner | JoinType::Left);
    if !is_possible || !is_hard(subquery)? {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    check_joined([join.left.as_ref(), &join.left, &subquery.subquery])?;
    if !reads_only(subquery, &join.left)? {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let Some(outer) = Outer::of(subquery, &join.left, names)? else {
        return Err(refusal(subquery)?);
    };
    let Some(rows) = outer.rows(&subquery.subquery, false)? else {
        return Err(refusal(subquery)?);
    };
    let mut right = LogicalPlanBuilder::from(with_inner(rows.plan, subquery, names)?);
    let mut keys = rows.keys;
    if let Some(alias) = alias {
        right = right.alias(alias.clone())?;
        keys = with_relation(keys, &alias);
    }
    let equalities = join.on.iter();
    let equalities = equalities.map(|(left, right)| left.clone().eq(right.clone()));
    let condition = conjunction(equalities.chain(join.filter.clone()));
    let columns = join.schema.columns().into_iter();
    let plan = LogicalPlanBuilder::from(join.left.as_ref().clone())
        .join_detailed(
            right.build()?,
            join.join_type,
            (outer.columns().to_vec(), keys),
            condition,
            NullEquality::NullEqualsNull,
        )?
        .project(columns.map(Expr::Column))?
        .build()?;
    Ok(Transformed::yes(plan))
}

/// Whether all outer columns that a subquery reads are those of a plan.
fn reads_only(subquery: &Subquery, outer: &LogicalPlan) -> Result<bool> {
    let columns = outer_columns(&subquery.subquery)?;
    Ok(columns
        .iter()
        .all(|column| outer.schema().has_column(column)))
}

/// The refusal of a subquery that can't be joined.
fn refusal(subquery: &Subquery) -> Result<DataFusionError> {
    let plan = subquery.subquery.as_ref();
    let error = match reads_farther(plan)? {
        true => SqlError::reads_two_levels_out(),
        false => SqlError::no_equivalent_join(),
    };
    Ok(external(match first_table(plan) {
        Some(table) => error.about(table),
        None => error,
    }))
}

/// The name of a table that a plan reads, which tells where the plan stands in a query.
pub fn first_table(plan: &LogicalPlan) -> Option<String> {
    match plan {
        LogicalPlan::TableScan(scan) => Some(scan.table_name.table().to_owned()),
        other => other.inputs().into_iter().find_map(first_table),
    }
}

/// Whether an expression is a subquery, or a test of one.
pub fn is_subquery(expression: &Expr) -> bool {
    subquery_of(expression).is_some()
}

fn has_hard_subquery(expression: &Expr) -> Result<bool> {
    expression.exists(|part| match part {
        Expr::ScalarSubquery(subquery) => is_hard(subquery),
        _ => Ok(false),
    })
}
