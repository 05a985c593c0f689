//! Subqueries where no joins are made of them (in aggregates, GROUP BY, window functions, ORDER BY
//! and ON), as columns of a projection or conditions of a filter below, where they are.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, Distinct, DistinctOn, Expr, Filter, GroupingSet, Join, LogicalPlan,
    LogicalPlanBuilder, Projection, Sort, SortExpr, SubqueryAlias, Window,
};

use super::decorrelate::{first_table, is_subquery, outer_columns, subquery_of};
use super::single_row::has_unguarded;
use crate::sql::error::SqlError;
use crate::sql::planner::external;

/// Moves the subqueries of a plan to where joins are made of them.
pub fn rewrite(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(node) => in_aggregate(node),
        LogicalPlan::Window(node) => in_window(node),
        LogicalPlan::Distinct(Distinct::On(node)) => in_choice(node),
        LogicalPlan::Sort(node) => in_sort(node),
        LogicalPlan::Join(node) => in_join(node),
        LogicalPlan::Filter(node) => in_filter(node),
        other => Ok(Transformed::no(other)),
    });
    rewritten.data()
}

/// Subqueries that become columns.
struct Columns {
    kind: &'static str,
    /// Whether a `CASE` that asks for subqueries becomes a column as a whole, so that it keeps them
    /// from the rows for which it does not ask.
    takes_cases: bool,
    taken: Vec<Expr>,
}

impl Columns {
    fn new(kind: &'static str) -> Columns {
        Columns {
            kind,
            takes_cases: false,
            taken: Vec::new(),
        }
    }

    /// Of expressions all of whose columns are those of the rows below.
    fn of_rows_below() -> Columns {
        Columns {
            takes_cases: true,
            ..Columns::new("subquery")
        }
    }

    fn name(&self, number: usize) -> String {
        format!("[{} {number}]", self.kind)
    }

    /// The column in the place of a subquery.
    fn column(&mut self, subquery: Expr) -> Expr {
        let known = self.taken.iter().position(|taken| *taken == subquery);
        let number = known.unwrap_or(self.taken.len());
        if known.is_none() {
            self.taken.push(subquery);
        }
        Expr::Column(Column::new_unqualified(self.name(number)))
    }

    /// An expression with columns in the place of its subqueries.
    fn replaced(&mut self, expression: Expr) -> Result<Expr> {
        let replaced = expression.transform_down(|part| {
            let is_case = matches!(part, Expr::Case(_)) && self.takes_cases;
            Ok(match is_subquery(&part) || is_case && has_subquery(&part) {
                true => Transformed::new(self.column(part), true, TreeNodeRecursion::Jump),
                false => Transformed::no(part),
            })
        });
        replaced.data()
    }

    /// The same under its name.
    fn replaced_as_named(&mut self, expression: &Expr) -> Result<Expr> {
        let name = NamePreserver::new_for_projection().save(expression);
        Ok(name.restore(self.replaced(expression.clone())?))
    }

    /// The same of a key; of those of grouping sets each has its name.
    fn replaced_as_key(&mut self, key: &Expr) -> Result<Expr> {
        let Expr::GroupingSet(sets) = key else {
            return self.replaced_as_named(key);
        };
        let mut all = |keys: &[Expr]| -> Result<Vec<Expr>> {
            let keys = keys.iter();
            keys.map(|key| self.replaced_as_named(key)).collect()
        };
        let sets = match sets {
            GroupingSet::Rollup(keys) => GroupingSet::Rollup(all(keys)?),
            GroupingSet::Cube(keys) => GroupingSet::Cube(all(keys)?),
            GroupingSet::GroupingSets(sets) => {
                let sets = sets.iter().map(|keys| all(keys));
                GroupingSet::GroupingSets(sets.collect::<Result<_>>()?)
            }
        };
        Ok(Expr::GroupingSet(sets))
    }

    fn named(&self) -> impl Iterator<Item = Expr> + '_ {
        let taken = self.taken.iter().enumerate();
        taken.map(move |(number, subquery)| subquery.clone().alias(self.name(number)))
    }

    /// A plan with these columns behind its own.
    fn beside(&self, plan: &LogicalPlan) -> Result<LogicalPlan> {
        if self.taken.is_empty() {
            return Ok(plan.clone());
        }
        let own = plan.schema().columns().into_iter().map(Expr::Column);
        let columns: Vec<Expr> = own.chain(self.named()).collect();
        let builder = LogicalPlanBuilder::from(plan.clone());
        builder.project(columns)?.build()
    }

    /// A projection with these columns, of the same rows, behind its own.
    fn among(&self, node: &Projection) -> Result<LogicalPlan> {
        let columns: Vec<Expr> = node.expr.iter().cloned().chain(self.named()).collect();
        let projection = Projection::try_new(columns, Arc::clone(&node.input))?;
        Ok(LogicalPlan::Projection(projection))
    }
}

fn in_aggregate(node: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let mut all = node.group_expr.iter().chain(&node.aggr_expr);
    if !all.any(has_subquery) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(node)));
    }
    let mut columns = Columns::of_rows_below();
    let keys = node.group_expr.iter();
    let keys = keys.map(|key| columns.replaced_as_key(key));
    let keys = keys.collect::<Result<Vec<Expr>>>()?;
    let aggregates = node.aggr_expr.iter();
    let aggregates = aggregates.map(|call| columns.replaced_as_named(call));
    let aggregates = aggregates.collect::<Result<Vec<Expr>>>()?;
    let input = Arc::new(columns.beside(&node.input)?);
    let groups = Aggregate::try_new(input, keys, aggregates)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(groups)))
}

fn in_window(node: Window) -> Result<Transformed<LogicalPlan>> {
    if !node.window_expr.iter().any(has_subquery) {
        return Ok(Transformed::no(LogicalPlan::Window(node)));
    }
    let mut columns = Columns::of_rows_below();
    let calls = node.window_expr.iter();
    let calls = calls.map(|call| columns.replaced_as_named(call));
    let calls = calls.collect::<Result<Vec<Expr>>>()?;
    let builder = LogicalPlanBuilder::from(columns.beside(&node.input)?);
    let rows = node.schema.columns().into_iter().map(Expr::Column);
    let plan = builder.window(calls)?.project(rows)?.build()?;
    Ok(Transformed::yes(plan))
}

/// `DISTINCT ON`, which chooses by an order of its own.
fn in_choice(node: DistinctOn) -> Result<Transformed<LogicalPlan>> {
    let order = node.sort_expr.clone().unwrap_or_default();
    let order_keys = order.iter().map(|key| &key.expr);
    let mut all = node
        .on_expr
        .iter()
        .chain(&node.select_expr)
        .chain(order_keys);
    if !all.any(has_subquery) {
        return Ok(Transformed::no(LogicalPlan::Distinct(Distinct::On(node))));
    }
    let mut columns = Columns::of_rows_below();
    let keys = node.on_expr.into_iter();
    let keys = keys.map(|key| columns.replaced(key));
    let keys = keys.collect::<Result<Vec<Expr>>>()?;
    let chosen = node.select_expr.iter();
    let chosen = chosen.map(|value| columns.replaced_as_named(value));
    let chosen = chosen.collect::<Result<Vec<Expr>>>()?;
    let order = order.into_iter().map(|key| {
        let expr = columns.replaced(key.expr)?;
        Ok(SortExpr { expr, ..key })
    });
    let order = order.collect::<Result<Vec<SortExpr>>>()?;
    let order = node.sort_expr.map(|_| order);
    let input = Arc::new(columns.beside(&node.input)?);
    let choice = DistinctOn::try_new(keys, chosen, order, input)?;
    Ok(Transformed::yes(LogicalPlan::Distinct(Distinct::On(
        choice,
    ))))
}

fn in_sort(sort: Sort) -> Result<Transformed<LogicalPlan>> {
    let keys = || sort.expr.iter().map(|key| &key.expr);
    if !keys().any(has_subquery) {
        return Ok(Transformed::no(LogicalPlan::Sort(sort)));
    }
    let read = read_by(keys())?;
    let mut columns = Columns::new("subquery");
    let order = sort.expr.iter().cloned().map(|key| {
        let expr = columns.replaced(key.expr)?;
        Ok(SortExpr { expr, ..key })
    });
    let order = order.collect::<Result<Vec<SortExpr>>>()?;
    let input = match sort.input.as_ref() {
        input if has_all(input, &read) => columns.beside(input)?,
        // Rows may be ordered by what is not among their columns.
        LogicalPlan::Projection(node) if has_all(&node.input, &read) => columns.among(node)?,
        _ => return Ok(Transformed::no(LogicalPlan::Sort(sort))),
    };
    let rows = sort.input.schema().columns().into_iter();
    let sorted = LogicalPlan::Sort(Sort {
        expr: order,
        input: Arc::new(input),
        fetch: sort.fetch,
    });
    let builder = LogicalPlanBuilder::from(sorted);
    let plan = builder.project(rows.map(Expr::Column))?.build()?;
    Ok(Transformed::yes(plan))
}

fn in_join(join: Join) -> Result<Transformed<LogicalPlan>> {
    let is_possible = match join.join_type {
        JoinType::Inner => true,
        JoinType::LeftMark | JoinType::RightMark => false,
        _ => !is_lateral(&join.right),
    };
    let condition = match &join.filter {
        Some(condition) if has_subquery(condition) && is_possible => condition.clone(),
        _ => return Ok(Transformed::no(LogicalPlan::Join(join))),
    };
    let conditions = split_conjunction_owned(condition).into_iter();
    let (asking, plain): (Vec<Expr>, Vec<Expr>) = conditions.partition(has_subquery);
    if join.join_type != JoinType::Inner {
        return Ok(Transformed::yes(in_outer_join(&join, asking, plain)?));
    }
    let inner = LogicalPlan::Join(Join {
        filter: conjunction(plain),
        ..join
    });
    let Some(asking) = conjunction(asking) else {
        return Ok(Transformed::yes(inner));
    };
    let filter = Filter::try_new(asking, Arc::new(inner))?;
    Ok(Transformed::yes(in_filter(filter)?.data))
}

/// Conditions with a guard against several rows go to the side of inner joins that they are about,
/// as the optimiser does not move them there.
fn in_filter(filter: Filter) -> Result<Transformed<LogicalPlan>> {
    let mut input = filter.input.as_ref().clone();
    let mut kept = Vec::new();
    let mut is_changed = false;
    for condition in split_conjunction_owned(filter.predicate.clone()) {
        let sunk = match has_unguarded(&condition)? && !condition.contains_outer() {
            true => sunk(&input, &condition)?,
            false => None,
        };
        match sunk {
            Some(sunk) => {
                input = sunk;
                is_changed = true;
            }
            None => kept.push(condition),
        }
    }
    if !is_changed {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let Some(kept) = conjunction(kept) else {
        return Ok(Transformed::yes(input));
    };
    let filter = Filter::try_new(kept, Arc::new(input))?;
    Ok(Transformed::yes(LogicalPlan::Filter(filter)))
}

/// A plan of the rows for which a condition holds; `None` if it is about no side of a join.
fn sunk(plan: &LogicalPlan, condition: &Expr) -> Result<Option<LogicalPlan>> {
    let LogicalPlan::Join(join) = plan else {
        return Ok(None);
    };
    let mut read = read_by([condition])?;
    read.extend(condition.column_refs().into_iter().cloned());
    if join.join_type != JoinType::Inner || is_lateral(&join.right) || read.is_empty() {
        return Ok(None);
    }
    let below = |side: &LogicalPlan| -> Result<Arc<LogicalPlan>> {
        Ok(Arc::new(match sunk(side, condition)? {
            Some(sunk) => sunk,
            None => {
                LogicalPlan::Filter(Filter::try_new(condition.clone(), Arc::new(side.clone()))?)
            }
        }))
    };
    let mut joined = join.clone();
    if has_all(&join.left, &read) {
        joined.left = below(&join.left)?;
    } else if has_all(&join.right, &read) {
        joined.right = below(&join.right)?;
    } else {
        return Ok(None);
    }
    Ok(Some(LogicalPlan::Join(joined)))
}

/// A join whose conditions do not only leave pairs out.
fn in_outer_join(join: &Join, asking: Vec<Expr>, mut conditions: Vec<Expr>) -> Result<LogicalPlan> {
    let (mut left, mut right) = (join.left.as_ref().clone(), join.right.as_ref().clone());
    let mut left_columns = Columns::new("left subquery");
    let mut right_columns = Columns::new("right subquery");
    for condition in asking {
        let mut read = read_by([&condition])?;
        read.extend(condition.column_refs().into_iter().cloned());
        match join.join_type {
            // Rows that only matter as partners can be left out before.
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti if has_all(&right, &read) => {
                right = LogicalPlanBuilder::from(right).filter(condition)?.build()?;
            }
            JoinType::Right | JoinType::RightSemi | JoinType::RightAnti
                if has_all(&left, &read) =>
            {
                left = LogicalPlanBuilder::from(left).filter(condition)?.build()?;
            }
            _ => {
                let replaced = condition.transform_down(|part| {
                    if !is_subquery(&part) {
                        return Ok(Transformed::no(part));
                    }
                    let read = read_by([&part])?;
                    let column = match (has_all(&left, &read), has_all(&right, &read)) {
                        (true, _) => left_columns.column(part),
                        (false, true) => right_columns.column(part),
                        (false, false) => return Err(external(reads_both_sides(join, &part))),
                    };
                    Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
                });
                conditions.push(replaced.data()?);
            }
        }
    }
    let joined = Join::try_new(
        Arc::new(left_columns.beside(&left)?),
        Arc::new(right_columns.beside(&right)?),
        join.on.clone(),
        conjunction(conditions),
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    let rows = join.schema.columns().into_iter().map(Expr::Column);
    let builder = LogicalPlanBuilder::from(LogicalPlan::Join(joined));
    builder.project(rows)?.build()
}

/// The refusal of a subquery that is evaluated for pairs of rows, and not only of those that stay.
fn reads_both_sides(join: &Join, subquery: &Expr) -> SqlError {
    let kind = join.join_type.to_string().to_uppercase();
    let message = format!(
        "a subquery in ON of a {kind} JOIN reads columns of both sides, which cannot be computed"
    );
    let error = SqlError::unsupported(message).with_hint(
        "let it read one side; for the rest join with its rows: … JOIN (SELECT … FROM a JOIN b \
         ON …) AS pairs ON …",
    );
    match subquery_of(subquery).and_then(|subquery| first_table(&subquery.subquery)) {
        Some(table) => error.about(table),
        None => error,
    }
}

fn has_subquery(expression: &Expr) -> bool {
    let found = expression.exists(|part| Ok(is_subquery(part)));
    found.unwrap_or(false)
}

/// The columns that subqueries in expressions are evaluated for, those compared with them included.
fn read_by<'e>(expressions: impl IntoIterator<Item = &'e Expr>) -> Result<Vec<Column>> {
    let mut read = Vec::new();
    for expression in expressions {
        expression.apply(|part| {
            if let Some(subquery) = subquery_of(part) {
                read.extend(part.column_refs().into_iter().cloned());
                read.extend(outer_columns(&subquery.subquery)?);
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    Ok(read)
}

fn has_all(plan: &LogicalPlan, columns: &[Column]) -> bool {
    let schema = plan.schema();
    columns.iter().all(|column| schema.has_column(column))
}

fn is_lateral(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Subquery(_) => true,
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => is_lateral(input),
        _ => false,
    }
}
