//! Values that have no type in common, and that DataFusion takes for each other all the same: whole
//! numbers for the days since 1970, and times of a day for moments. Postgres refuses them.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, Join, LogicalPlan, Union};

use crate::sql::error::SqlError;
use crate::sql::operators::comparison::is_planned_comparison;
use crate::sql::operators::parameters::alternatives;
use crate::sql::types::sql_name;

const CAST: &str = "cast one of them: CAST(… AS type)";

/// Refuses a plan in which such values meet.
pub fn refuse(plan: &LogicalPlan) -> Result<(), SqlError> {
    let mut refusal = None;
    plan.apply_with_subqueries(|node| {
        refusal = match node {
            LogicalPlan::Union(union) => of_union(union),
            LogicalPlan::Join(join) => of_keys(join).or_else(|| of_expressions(node)),
            other => of_expressions(other),
        };
        Ok(match refusal {
            Some(_) => TreeNodeRecursion::Stop,
            None => TreeNodeRecursion::Continue,
        })
    })?;
    refusal.map_or(Ok(()), Err)
}

/// The columns of a UNION.
fn of_union(union: &Union) -> Option<SqlError> {
    let (first, others) = union.inputs.split_first()?;
    others.iter().find_map(|other| {
        let columns = first.schema().fields().iter().zip(other.schema().fields());
        let mut types = columns.map(|(one, other)| (one.data_type(), other.data_type()));
        let (one, other) = types.find(|(one, other)| are_unlike(one, other))?;
        Some(without_common("UNION", one, other))
    })
}

/// The columns that INTERSECT, EXCEPT and USING compare.
fn of_keys(join: &Join) -> Option<SqlError> {
    join.on.iter().find_map(|(left, right)| {
        let left = left.get_type(join.left.schema()).ok()?;
        let right = right.get_type(join.right.schema()).ok()?;
        are_unlike(&left, &right).then(|| without_common("columns that are equal", &left, &right))
    })
}

fn of_expressions(node: &LogicalPlan) -> Option<SqlError> {
    let mut refusal = None;
    let mut schema = None;
    // Looking never fails.
    let _ = node.apply_expressions(|expression| {
        expression.apply(|part| {
            if compares(part) || !alternatives(part).is_empty() {
                let schema = schema.get_or_insert_with(|| merge_schema(&node.inputs()));
                refusal = of_expression(part, schema);
            }
            Ok(match refusal {
                Some(_) => TreeNodeRecursion::Stop,
                None => TreeNodeRecursion::Continue,
            })
        })
    });
    refusal
}

fn compares(part: &Expr) -> bool {
    match part {
        Expr::BinaryExpr(binary) => is_planned_comparison(binary.op),
        Expr::Between(_) | Expr::InList(_) | Expr::InSubquery(_) => true,
        _ => false,
    }
}

fn of_expression(part: &Expr, schema: &DFSchema) -> Option<SqlError> {
    let type_of = |value: &Expr| value.get_type(schema).ok();
    let compared = |operator: &str, left: &Expr, right: Option<DataType>| {
        let (left, right) = (type_of(left)?, right?);
        are_unlike(&left, &right).then(|| without_operator(operator, &left, &right))
    };
    match part {
        Expr::BinaryExpr(binary) if is_planned_comparison(binary.op) => {
            compared(&binary.op.to_string(), &binary.left, type_of(&binary.right))
        }
        Expr::Between(between) => {
            let low = compared(">=", &between.expr, type_of(&between.low));
            low.or_else(|| compared("<=", &between.expr, type_of(&between.high)))
        }
        Expr::InList(list) => {
            let mut values = list.list.iter();
            values.find_map(|value| compared("=", &list.expr, type_of(value)))
        }
        Expr::InSubquery(query) => {
            let column = query.subquery.subquery.schema().fields().first();
            let column = column.map(|column| column.data_type().clone());
            compared("=", &query.expr, column)
        }
        other => {
            let values = alternatives(other).into_iter();
            let types: Vec<DataType> = values.filter_map(type_of).collect();
            let mut known = types.iter().filter(|found| **found != DataType::Null);
            let first = known.next()?;
            let unlike = known.find(|found| are_unlike(first, found))?;
            Some(without_common(
                "values of which one is taken",
                first,
                unlike,
            ))
        }
    }
}

/// Whether one is a date and the other what DataFusion takes for one.
fn are_unlike(left: &DataType, right: &DataType) -> bool {
    let is_date = |found: &DataType| matches!(found, DataType::Date32 | DataType::Date64);
    let is_other = |found: &DataType| {
        found.is_integer() || matches!(found, DataType::Time32(_) | DataType::Time64(_))
    };
    (is_date(left) && is_other(right)) || (is_other(left) && is_date(right))
}

fn without_operator(operator: &str, left: &DataType, right: &DataType) -> SqlError {
    let (left, right) = (sql_name(left), sql_name(right));
    let message = format!("there is no operator for {left} {operator} {right}");
    SqlError::new("42883", message).with_hint(CAST)
}

fn without_common(what: &str, left: &DataType, right: &DataType) -> SqlError {
    let (left, right) = (sql_name(left), sql_name(right));
    let message = format!("{what}: {left} and {right} have no type in common");
    SqlError::new("42804", message).with_hint(CAST)
}
