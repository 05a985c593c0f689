//! Which correlated subqueries DataFusion makes no join of, or a wrong one.
//!
//! It pulls the conditions on outer columns up to where the subquery stands. What is computed of
//! the rows below (an aggregate, a position, the first rows) is then computed of those of all outer
//! rows, or of none where there should be a result for no rows.

use datafusion::common::JoinType;
use datafusion::common::tree_node::TreeNode;
use datafusion::error::Result;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Expr, FetchType, LogicalPlan, Operator, SkipType, Subquery,
};
use datafusion::optimizer::decorrelate::PullUpCorrelatedExpr;

use super::references::{is_correlated, outer_columns, reads_farther};

/// Whether a scalar or lateral subquery has to be joined here.
pub fn is_hard(subquery: &Subquery) -> Result<bool> {
    let plan = subquery.subquery.as_ref();
    if !is_correlated(plan)? {
        return Ok(false);
    }
    if reads_farther(plan)?
        || groups_loosely(plan)?
        || filters_twice(plan)?
        || computes_below(of_top_groups(plan))?
    {
        return Ok(true);
    }
    let pull_up = PullUpCorrelatedExpr::new().with_need_handle_count_bug(true);
    cannot_pull_up(plan, pull_up)
}

/// Whether `EXISTS`, or `IN` for this value, can't become a semi join.
pub fn is_hard_test(subquery: &Subquery, value: Option<&Expr>) -> Result<bool> {
    let plan = subquery.subquery.as_ref();
    if !is_correlated(plan)? {
        return Ok(false);
    }
    // Whether there is a row does not depend on how many are wanted.
    let plan = match value {
        None => without_limit(plan)?,
        Some(_) => plan,
    };
    let has_first_rows = plan.exists(|node| match node {
        LogicalPlan::Limit(limit) => is_correlated(&limit.input),
        _ => Ok(false),
    });
    if has_first_rows? || reads_farther(plan)? || filters_twice(plan)? || computes_below(plan)? {
        return Ok(true);
    }
    // A subquery of EXISTS may have no columns.
    let element = match plan.schema().fields().is_empty() {
        true => None,
        false => plan.head_output_expr()?,
    };
    let equal = value.cloned().zip(element);
    let equal = equal.map(|(value, element)| value.eq(element));
    let pull_up = PullUpCorrelatedExpr::new()
        .with_exists_sub_query(value.is_none())
        .with_in_predicate_opt(equal);
    cannot_pull_up(plan, pull_up)
}

fn cannot_pull_up(plan: &LogicalPlan, mut pull_up: PullUpCorrelatedExpr) -> Result<bool> {
    let pulled = plan.clone().rewrite(&mut pull_up);
    Ok(pulled.is_err() || !pull_up.can_pull_up)
}

/// Whether there are conditions on outer columns both above a subquery in FROM and within it:
/// DataFusion then asks for the inner columns by the names that they have within.
fn filters_twice(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| match node {
        LogicalPlan::Filter(filter) if filter.predicate.contains_outer() => {
            filter.input.as_ref().exists(|below| match below {
                // A lateral one reads columns of the tables beside it, too.
                LogicalPlan::SubqueryAlias(named) => reads_outside(&named.input, &filter.input),
                _ => Ok(false),
            })
        }
        _ => Ok(false),
    })
}

/// Whether a plan computes something of all rows that its conditions on outer columns leave: a
/// window, an aggregate, or whether there is a partner.
fn computes_below(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| match node {
        LogicalPlan::Window(window) => is_correlated(&window.input),
        LogicalPlan::Aggregate(groups) if groups.group_expr.is_empty() => {
            is_correlated(&groups.input)
        }
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::Inner => Ok(false),
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
                reads_outside(&join.right, &join.left)
            }
            JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
                is_correlated(&join.left)
            }
            JoinType::Full => {
                Ok(is_correlated(&join.left)? || reads_outside(&join.right, &join.left)?)
            }
        },
        _ => Ok(false),
    })
}

/// Whether a side of a join reads outer columns, and not only those of the side beside it, as one
/// that is lateral does.
fn reads_outside(side: &LogicalPlan, beside: &LogicalPlan) -> Result<bool> {
    let schema = beside.schema();
    let columns = outer_columns(side)?;
    Ok(columns.iter().any(|column| !schema.has_column(column)))
}

/// What is below the outermost aggregation, whose result for no rows DataFusion minds; the plan
/// itself if there is more above it than a choice of columns.
fn of_top_groups(plan: &LogicalPlan) -> &LogicalPlan {
    let mut node = plan;
    loop {
        node = match node {
            LogicalPlan::Projection(projection) => projection.input.as_ref(),
            LogicalPlan::SubqueryAlias(alias) => alias.input.as_ref(),
            LogicalPlan::Aggregate(groups) => return groups.input.as_ref(),
            _ => return plan,
        };
    }
}

/// Whether a plan groups rows below which a condition on outer columns is more than a column's
/// equality: DataFusion groups by the columns of such a condition, of which several values may
/// satisfy it.
fn groups_loosely(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| match node {
        LogicalPlan::Aggregate(groups) => has_loose_condition(&groups.input),
        LogicalPlan::Distinct(rows) => has_loose_condition(rows.input()),
        _ => Ok(false),
    })
}

fn has_loose_condition(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| {
        let LogicalPlan::Filter(filter) = node else {
            return Ok(false);
        };
        let conditions = split_conjunction(&filter.predicate).into_iter();
        let mut outer = conditions.filter(|condition| condition.contains_outer());
        Ok(outer.any(|condition| !is_key(condition)))
    })
}

/// Whether a condition is `column = …`, with nothing but outer columns on the other side.
fn is_key(condition: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Eq,
        right,
    }) = condition
    else {
        return false;
    };
    let is_column = |side: &Expr| matches!(side, Expr::Column(_));
    (is_column(left) && !right.any_column_refs()) || (is_column(right) && !left.any_column_refs())
}

/// A plan of which some first rows are wanted, without that limit.
fn without_limit(plan: &LogicalPlan) -> Result<&LogicalPlan> {
    let LogicalPlan::Limit(limit) = plan else {
        return Ok(plan);
    };
    let (skipped, fetched) = (limit.get_skip_type()?, limit.get_fetch_type()?);
    let is_any = matches!(skipped, SkipType::Literal(0))
        && matches!(fetched, FetchType::Literal(None | Some(1..)));
    Ok(match is_any {
        true => limit.input.as_ref(),
        false => plan,
    })
}
