//! Subqueries that DataFusion does not turn into joins, written so that it does.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema, ExprSchema};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::expr::{Exists, InSubquery, SetQuantifier};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Expr, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, binary_expr,
    lit, not, when,
};
use datafusion::scalar::ScalarValue;

use super::decorrelate::{self, is_correlated, is_hard_test};
use super::single_row::guarded;
use super::subquery_columns;

/// What the column of a subquery is called where its name is that of an outer one.
const ELEMENT: &str = "[element]";

/// Rewrites the subqueries of a plan:
///
/// - those that stand elsewhere than in SELECT and WHERE are moved there;
/// - a scalar subquery that may give several rows is aggregated, so that it becomes a join, and
///   fails for the rows that ask for its value where it does give several;
/// - its column gets a name of its own where the rows that it is joined to have one of that name;
/// - comparisons with `ANY` and `ALL` become `EXISTS`;
/// - `EXISTS` and `IN` as values become counts of the rows they ask for;
/// - so do those in conditions that can't become semi joins;
/// - `NOT IN` that is correlated or stands within OR becomes NOT EXISTS with the comparison with
///   NULL spelled out;
/// - a correlated one on conditions that DataFusion can't pull out of it is joined here.
pub fn rewrite(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = subquery_columns::rewrite(plan)?;
    let rewritten = plan.transform_up_with_subqueries(|node| {
        let node = match node {
            LogicalPlan::Filter(filter) => filter_of_tests(filter)?,
            other => Transformed::no(other),
        };
        node.transform_data(|node| {
            let names = NamePreserver::new(&node);
            let outer = match &node {
                LogicalPlan::Projection(projection) => Some(Arc::clone(projection.input.schema())),
                _ => None,
            };
            let rows = node
                .inputs()
                .first()
                .map(|input| Arc::clone(input.schema()));
            node.map_expressions(|expression| {
                let name = names.save(&expression);
                let rewritten = match &outer {
                    Some(outer) => expression
                        .transform_up(|part| compared(part, outer))?
                        .transform_data(|expression| {
                            expression.transform_up(|part| as_value(part, outer))
                        })?,
                    None => Transformed::no(expression),
                };
                let rewritten =
                    rewritten.transform_data(|expression| guarded(expression, rows.as_deref()))?;
                let rewritten = match &rows {
                    Some(rows) => rewritten.transform_data(|expression| {
                        expression.transform_up(|part| named_apart(part, rows))
                    })?,
                    None => rewritten,
                };
                Ok(rewritten.update_data(|expression| name.restore(expression)))
            })
        })
    });
    decorrelate::rewrite(rewritten.data()?)
}

/// A filter whose subqueries are tests that become semi, anti and mark joins, and values.
fn filter_of_tests(filter: Filter) -> Result<Transformed<LogicalPlan>> {
    let mut is_changed = false;
    let schema = filter.input.schema();
    let conditions = split_conjunction_owned(filter.predicate)
        .into_iter()
        .map(|condition| {
            let rewritten = match is_joinable(&condition)? {
                true => Transformed::no(condition),
                false => condition
                    .transform_down(negation_inside)?
                    .transform_data(|condition| not_exists(condition, schema))?
                    .transform_data(|condition| {
                        condition.transform_up(|part| compared(part, schema))
                    })?
                    .transform_data(|condition| tests(condition, schema))?,
            };
            // Each for itself, so that it is computed as early as its columns allow.
            let rewritten =
                rewritten.transform_data(|condition| guarded(condition, Some(schema.as_ref())))?;
            is_changed |= rewritten.transformed;
            Ok(rewritten.data)
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

/// Whether a condition is an `IN` that becomes a semi join, or a `NOT IN` that becomes an anti join
/// with its NULLs minded.
fn is_joinable(condition: &Expr) -> Result<bool> {
    let (is_denied, tested) = match condition {
        Expr::Not(inner) => (true, inner.as_ref()),
        other => (false, other),
    };
    let Expr::InSubquery(test) = tested else {
        return Ok(false);
    };
    let is_anti_join = test.negated != is_denied;
    Ok(match is_correlated(&test.subquery.subquery)? {
        true => false,
        false => !is_anti_join || !may_be_constant(&test.expr)?,
    })
}

/// Whether a value may turn out to be the same for all rows. The anti join would have no key then,
/// and without one it does not mind NULLs.
fn may_be_constant(value: &Expr) -> Result<bool> {
    if value.contains_outer() {
        return Ok(false);
    }
    let has_branches = value.exists(|part| {
        Ok(match part {
            Expr::Case(_) => true,
            Expr::Literal(literal, _) => literal.is_null(),
            _ => false,
        })
    });
    Ok(value.column_refs().is_empty() || has_branches?)
}

/// A condition with its sides rewritten.
fn of_both(
    both: BinaryExpr,
    rewrite: &dyn Fn(Expr) -> Result<Transformed<Expr>>,
) -> Result<Transformed<Expr>> {
    let (left, right) = (rewrite(*both.left)?, rewrite(*both.right)?);
    let is_changed = left.transformed || right.transformed;
    let both = BinaryExpr::new(Box::new(left.data), both.op, Box::new(right.data));
    let both = Expr::BinaryExpr(both);
    Ok(match is_changed {
        true => Transformed::yes(both),
        false => Transformed::no(both),
    })
}

/// A condition with `NOT EXISTS` for `NOT IN` where it does not matter whether it is false or NULL.
fn not_exists(condition: Expr, outer: &DFSchema) -> Result<Transformed<Expr>> {
    match condition {
        Expr::BinaryExpr(both) if matches!(both.op, Operator::And | Operator::Or) => {
            of_both(both, &|part| not_exists(part, outer))
        }
        other => not_exists_for_not_in(other, outer),
    }
}

/// A condition in which `IN` stands only where it does not matter whether it is false or NULL, as a
/// join can't tell; elsewhere, and where no join says the same, tests are values.
fn tests(condition: Expr, outer: &DFSchema) -> Result<Transformed<Expr>> {
    match condition {
        Expr::BinaryExpr(both) if matches!(both.op, Operator::And | Operator::Or) => {
            of_both(both, &|part| tests(part, outer))
        }
        Expr::Not(inner) if matches!(*inner, Expr::Exists(_)) => {
            Ok(tests(*inner, outer)?.update_data(not))
        }
        Expr::Exists(test) => match is_hard_test(&test.subquery, None)? {
            true => as_value(Expr::Exists(test), outer),
            false => Ok(Transformed::no(Expr::Exists(test))),
        },
        Expr::InSubquery(test) if !test.negated => {
            if !is_hard_test(&test.subquery, Some(test.expr.as_ref()))? {
                return Ok(Transformed::no(Expr::InSubquery(test)));
            }
            has_value(&test, outer).map(Transformed::yes)
        }
        other => other.transform_up(|part| match &part {
            Expr::Exists(test) if !is_hard_test(&test.subquery, None)? => Ok(Transformed::no(part)),
            _ => as_value(part, outer),
        }),
    }
}

/// `x > ALL (SELECT …)` and `x = ANY (SELECT …)` as tests whether there are rows: NULL if no row
/// decides, but a NULL on either side might.
fn compared(expression: Expr, outer: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::SetComparison(test) = expression else {
        return Ok(Transformed::no(expression));
    };
    let (value, references) = as_outer(*test.expr, outer)?;
    let (rows, element) = told_apart(&test.subquery, &references)?;
    let comparison = binary_expr(value, test.op, element);
    let exists = |condition: Expr| -> Result<Expr> {
        let plan = LogicalPlanBuilder::from(rows.clone())
            .filter(condition)?
            .build()?;
        let subquery = Subquery {
            outer_ref_columns: plan.all_out_ref_exprs(),
            subquery: Arc::new(plan),
            spans: test.subquery.spans.clone(),
        };
        let negated = false;
        Ok(Expr::Exists(Exists { subquery, negated }))
    };
    let (decides, decided) = match test.quantifier {
        SetQuantifier::Any => (comparison.clone().is_true(), true),
        SetQuantifier::All => (comparison.clone().is_false(), false),
    };
    let value = when(exists(decides)?, lit(decided))
        .when(
            exists(comparison.is_null())?,
            lit(ScalarValue::Boolean(None)),
        )
        .otherwise(lit(!decided))?;
    Ok(Transformed::yes(value))
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
    let equal = has_value(&test, outer)?;
    let without_value = has_rows(&test.subquery, Some(element.is_null()))?;
    let any = has_rows(&test.subquery, None)?;
    let is_unknown = test.expr.is_null().and(any).or(without_value);
    when(equal, lit(true))
        .when(is_unknown, lit(ScalarValue::Boolean(None)))
        .otherwise(lit(false))
}

/// Whether a value is certainly among those of a subquery.
fn has_value(test: &InSubquery, outer: &DFSchema) -> Result<Expr> {
    let mut subquery = test.subquery.clone();
    let (value, references) = as_outer(test.expr.as_ref().clone(), outer)?;
    let (rows, element) = told_apart(&subquery, &references)?;
    subquery.outer_ref_columns.extend(references);
    has_rows(&subquery.with_plan(Arc::new(rows)), Some(value.eq(element)))
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

/// The rows of a subquery with their one column, which has a name of its own where a value of the
/// outer query is a column of the same: side by side, nothing else tells them apart.
fn told_apart(subquery: &Subquery, references: &[Expr]) -> Result<(LogicalPlan, Expr)> {
    let rows = subquery.subquery.as_ref().clone();
    let element = element(subquery);
    let is_same = |reference: &Expr| match (reference, &element) {
        (Expr::OuterReferenceColumn(_, outer), Expr::Column(inner)) => outer == inner,
        _ => false,
    };
    if !references.iter().any(is_same) {
        return Ok((rows, element));
    }
    let renamed = LogicalPlanBuilder::from(rows).project([element.alias(ELEMENT)])?;
    let element = Expr::Column(Column::new_unqualified(ELEMENT));
    Ok((renamed.build()?, element))
}

/// A scalar subquery whose column has none of the names that columns of the outer rows have without
/// a relation, as results of aggregates do: in a share of a total both are `sum(t.v)`, and nothing
/// would tell them apart once they are joined.
fn named_apart(expression: Expr, outer: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::ScalarSubquery(subquery) = expression else {
        return Ok(Transformed::no(expression));
    };
    let own_name = subquery.subquery.schema().field(0).name().clone();
    let mut name = own_name.clone();
    while is_unqualified(&name, outer) {
        name = format!("[value {name}]");
    }
    if name == own_name {
        return Ok(Transformed::no(Expr::ScalarSubquery(subquery)));
    }
    let column = element(&subquery).alias(name);
    let renamed = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone())
        .project([column])?
        .build()?;
    let subquery = subquery.with_plan(Arc::new(renamed));
    Ok(Transformed::yes(Expr::ScalarSubquery(subquery)))
}

fn is_unqualified(name: &str, rows: &DFSchema) -> bool {
    let mut columns = rows.iter();
    columns.any(|(relation, field)| relation.is_none() && field.name() == name)
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
    let (subquery, element) = told_apart(&test.subquery, &references)?;
    outer_ref_columns.extend(references);
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
