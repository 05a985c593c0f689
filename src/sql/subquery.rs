//! Subqueries that DataFusion does not turn into joins, written so that it does.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema, ExprSchema, exec_err};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{count, min};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Filter, LogicalPlan, LogicalPlanBuilder, Operator,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Subquery, Volatility, lit, not, when,
};
use datafusion::scalar::ScalarValue;

use super::decorrelate;

/// Which scalar subqueries are given a guard against several rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Guarded {
    /// All that may give several: those of live views.
    All,
    /// Those that depend on the outer row; DataFusion checks the others when it runs them.
    Correlated,
}

/// Rewrites the subqueries of a plan:
///
/// - a scalar subquery that may give several rows is aggregated, so that it becomes a join, and
///   fails for the rows for which it does give several;
/// - `EXISTS` and `IN` as values become counts of the rows they ask for;
/// - `NOT IN` that is correlated or stands within OR becomes NOT EXISTS with the comparison with
///   NULL spelled out;
/// - a correlated one on conditions that DataFusion can't pull out of it is joined here.
pub fn rewrite(plan: LogicalPlan, guarded: Guarded) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| {
        let node = match node {
            LogicalPlan::Filter(filter) => filter_without_not_in(filter)?,
            other => Transformed::no(other),
        };
        node.transform_data(|node| {
            let names = NamePreserver::new(&node);
            let outer = match &node {
                LogicalPlan::Projection(projection) => Some(Arc::clone(projection.input.schema())),
                _ => None,
            };
            node.map_expressions(|expression| {
                let name = names.save(&expression);
                let rewritten = expression.transform_up(|part| match &outer {
                    Some(outer) => {
                        as_value(part, outer)?.transform_data(|part| guard(part, guarded))
                    }
                    None => guard(part, guarded),
                })?;
                Ok(rewritten.update_data(|expression| name.restore(expression)))
            })
        })
    });
    decorrelate::rewrite(rewritten.data()?)
}

fn guard(expression: Expr, guarded: Guarded) -> Result<Transformed<Expr>> {
    let Expr::ScalarSubquery(subquery) = expression else {
        return Ok(Transformed::no(expression));
    };
    let is_checked_later = guarded == Guarded::Correlated && subquery.outer_ref_columns.is_empty();
    if is_checked_later || has_one_row(&subquery.subquery) || !is_ordered(&subquery.subquery) {
        return Ok(Transformed::no(Expr::ScalarSubquery(subquery)));
    }
    let plan = at_most_one_row(subquery.subquery.as_ref().clone())?;
    Ok(Transformed::yes(Expr::ScalarSubquery(
        subquery.with_plan(Arc::new(plan)),
    )))
}

fn is_ordered(plan: &LogicalPlan) -> bool {
    let data_type = plan.schema().field(0).data_type();
    !data_type.is_nested() && !matches!(data_type, DataType::Interval(_))
}

/// The row of a query of one column, NULL if there is none; fails if there are several.
fn at_most_one_row(plan: LogicalPlan) -> Result<LogicalPlan> {
    let (relation, field) = plan.schema().qualified_field(0);
    let column = Column::new(relation.cloned(), field.name());
    let name = field.name().clone();
    let aggregates = [
        min(Expr::Column(column)).alias("value"),
        count(lit(1i64)).alias("rows"),
    ];
    let value = ScalarUDF::new_from_impl(AtMostOne {
        signature: Signature::any(2, Volatility::Immutable),
    });
    let value = value.call(vec![unqualified("value"), unqualified("rows")]);
    LogicalPlanBuilder::from(plan)
        .aggregate(Vec::<Expr>::new(), aggregates)?
        .project([value.alias(name)])?
        .build()
}

fn unqualified(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// Whether a subquery gives at most one row (per row of the outer query).
pub fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(node) => has_one_row(&node.input),
        LogicalPlan::Filter(node) => has_one_row(&node.input),
        LogicalPlan::Sort(node) => has_one_row(&node.input),
        LogicalPlan::SubqueryAlias(node) => has_one_row(&node.input),
        LogicalPlan::Aggregate(node) => node.group_expr.is_empty(),
        other => other.max_rows().is_some_and(|rows| rows <= 1),
    }
}

/// `at_most_one(value, rows)`: the value, unless there are several rows.
#[derive(Debug, PartialEq, Eq, Hash)]
struct AtMostOne {
    signature: Signature,
}

impl ScalarUDFImpl for AtMostOne {
    fn name(&self) -> &str {
        "at_most_one"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, rows] = &call.args[..] else {
            return exec_err!("at_most_one() takes a value and a number of rows");
        };
        let rows = rows.to_array(call.number_rows)?;
        let rows = rows.as_primitive_opt::<Int64Type>();
        let has_several =
            |row: usize| rows.is_some_and(|rows| rows.is_valid(row) && rows.value(row) > 1);
        match (0..rows.map_or(0, Array::len)).any(has_several) {
            true => exec_err!("more than one row returned by a subquery used as an expression"),
            false => Ok(value.clone()),
        }
    }
}

fn filter_without_not_in(filter: Filter) -> Result<Transformed<LogicalPlan>> {
    let mut is_changed = false;
    let conditions = split_conjunction_owned(filter.predicate)
        .into_iter()
        .map(|condition| match is_joinable(&condition) {
            true => Ok(condition),
            false => {
                let schema = filter.input.schema();
                let rewritten =
                    condition
                        .transform_down(negation_inside)?
                        .transform_data(|condition| {
                            condition.transform_up(|part| not_exists_for_not_in(part, schema))
                        })?;
                is_changed |= rewritten.transformed;
                Ok(rewritten.data)
            }
        });
    let conditions = conditions.collect::<Result<Vec<_>>>()?;
    let predicate = conjunction(conditions).unwrap_or_else(|| lit(true));
    let filter = LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?);
    Ok(match is_changed {
        true => Transformed::yes(filter),
        false => Transformed::no(filter),
    })
}

/// NOT moved into AND and OR, so that it stands at the tests it is about.
fn negation_inside(expression: Expr) -> Result<Transformed<Expr>> {
    let Expr::Not(inner) = expression else {
        return Ok(Transformed::no(expression));
    };
    Ok(match *inner {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::And,
            right,
        }) => Transformed::yes(not(*left).or(not(*right))),
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Or,
            right,
        }) => Transformed::yes(not(*left).and(not(*right))),
        other => Transformed::no(Expr::Not(Box::new(other))),
    })
}

/// Whether a condition is a `NOT IN` that becomes an anti join with its NULLs minded.
fn is_joinable(condition: &Expr) -> bool {
    let in_subquery = match condition {
        Expr::Not(inner) => inner.as_ref(),
        other => other,
    };
    matches!(in_subquery, Expr::InSubquery(test) if test.subquery.outer_ref_columns.is_empty())
}

/// `EXISTS` and `IN` where their value is asked for, rather than the rows for which they hold.
fn as_value(expression: Expr, outer: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expression {
        Expr::Exists(Exists { subquery, negated }) => {
            let found = has_rows(&subquery, None)?;
            Transformed::yes(if negated { not(found) } else { found })
        }
        Expr::InSubquery(test) => {
            let negated = test.negated;
            let found = is_in(test, outer)?;
            Transformed::yes(if negated { not(found) } else { found })
        }
        other => Transformed::no(other),
    })
}

/// Whether a value is among those of a subquery: NULL if it is not, but a NULL on either side might
/// be it.
fn is_in(test: InSubquery, outer: &DFSchema) -> Result<Expr> {
    let element = element(&test.subquery);
    let mut subquery = test.subquery.clone();
    let (value, references) = as_outer(test.expr.as_ref().clone(), outer)?;
    subquery.outer_ref_columns.extend(references);
    let equal = has_rows(&subquery, Some(value.eq(element.clone())))?;
    let without_value = has_rows(&test.subquery, Some(element.is_null()))?;
    let any = has_rows(&test.subquery, None)?;
    let is_unknown = test.expr.is_null().and(any).or(without_value);
    when(equal, lit(true))
        .when(is_unknown, lit(ScalarValue::Boolean(None)))
        .otherwise(lit(false))
}

/// Whether a subquery gives rows that satisfy a condition.
fn has_rows(subquery: &Subquery, condition: Option<Expr>) -> Result<Expr> {
    let mut builder = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone());
    if let Some(condition) = condition {
        builder = builder.filter(condition)?;
    }
    let rows = count(lit(1i64)).alias("rows");
    let plan = builder.aggregate(Vec::<Expr>::new(), [rows])?.build()?;
    let counted = Expr::ScalarSubquery(subquery.with_plan(Arc::new(plan)));
    Ok(counted.gt(lit(0i64)))
}

/// The one column of a subquery.
fn element(subquery: &Subquery) -> Expr {
    let (relation, field) = subquery.subquery.schema().qualified_field(0);
    Expr::Column(Column::new(relation.cloned(), field.name()))
}

/// An expression of the outer query as a subquery sees it, with its columns.
fn as_outer(expression: Expr, outer: &DFSchema) -> Result<(Expr, Vec<Expr>)> {
    let mut references = Vec::new();
    let seen = expression.transform_up(|part| {
        let Expr::Column(column) = part else {
            return Ok(Transformed::no(part));
        };
        let field = Arc::clone(outer.field_from_column(&column)?);
        let reference = Expr::OuterReferenceColumn(field, column);
        references.push(reference.clone());
        Ok(Transformed::yes(reference))
    });
    Ok((seen.data()?, references))
}

/// `x NOT IN (SELECT c …)` is true if no row has `x = c`, `x IS NULL` or `c IS NULL`.
fn not_exists_for_not_in(expression: Expr, outer: &DFSchema) -> Result<Transformed<Expr>> {
    let test = match expression {
        Expr::InSubquery(test) if test.negated => test,
        Expr::Not(inner) => match *inner {
            Expr::InSubquery(test) if !test.negated => test,
            other => return Ok(Transformed::no(Expr::Not(Box::new(other)))),
        },
        other => return Ok(Transformed::no(other)),
    };
    let (value, references) = as_outer(*test.expr, outer)?;
    let mut outer_ref_columns = test.subquery.outer_ref_columns.clone();
    outer_ref_columns.extend(references);
    let element = element(&test.subquery);
    let subquery = test.subquery.subquery.as_ref().clone();
    let is_unknown = value.clone().is_null().or(element.clone().is_null());
    let plan = LogicalPlanBuilder::from(subquery)
        .filter(value.eq(element).or(is_unknown))?
        .build()?;
    let subquery = Subquery {
        subquery: Arc::new(plan),
        outer_ref_columns,
        spans: test.subquery.spans,
    };
    Ok(Transformed::yes(Expr::Exists(Exists {
        subquery,
        negated: true,
    })))
}
