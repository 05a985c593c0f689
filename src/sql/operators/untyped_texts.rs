//! Texts that are written where a value of another type is meant, and take its type as in Postgres:
//! `n + '1'`, `at + '1 day'`, `coalesce(day, '2026-05-04')`, `CASE … ELSE '5' END`, `b IN ('t', 'f')`.
//!
//! To DataFusion they are texts: it finds no operator or function for them, or makes a text of what
//! they stand beside.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::alternatives::{common_type, meant};
use super::comparison::is_comparison;
use super::lists_meet::ListsMeeting;
use crate::sql::functions::scalar::Extracts;
use crate::sql::node::has_part;
use crate::sql::texts::written_values::value_of;
use crate::sql::types::INTERVAL;

/// What plans operators and parts of times before DataFusion's own planners do.
pub fn planners() -> Vec<Arc<dyn ExprPlanner>> {
    vec![
        Arc::new(UntypedTexts),
        Arc::new(Extracts),
        Arc::new(ListsMeeting),
    ]
}

/// Reads the texts beside operators; it stands before all others.
#[derive(Debug)]
struct UntypedTexts;

impl ExprPlanner for UntypedTexts {
    fn plan_binary_op(
        &self,
        expression: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expression;
        let read = |value: &Expr, other: &Expr, is_left: bool| {
            let Some(text) = text_of(value) else {
                return Ok(None);
            };
            let other = other.get_type(schema).ok();
            match other.and_then(|other| wanted(&op, text, &other, is_left)) {
                Some(wanted) => value_of(text, &wanted),
                None => Ok(None),
            }
        };
        let of_left = read(&left, &right, true)?;
        let of_right = read(&right, &left, false)?;
        let typed = |value: Expr, read: Option<ScalarValue>| match read {
            Some(read) => Expr::Literal(read, None),
            None => value,
        };
        let left = typed(left, of_left);
        let right = typed(right, of_right);
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }
}

/// The text of a literal that has no other type.
fn text_of(value: &Expr) -> Option<&str> {
    match value {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => Some(text),
        _ => None,
    }
}

/// The type that a text has beside an operator and a value of another type; `None`: it is a text, or
/// DataFusion reads it as it should.
fn wanted(
    operator: &BinaryOperator,
    text: &str,
    other: &DataType,
    is_left: bool,
) -> Option<DataType> {
    let is_length = matches!(other, DataType::Interval(_) | DataType::Duration(_));
    let is_list = matches!(other, DataType::List(_));
    let wanted = match operator {
        BinaryOperator::Plus => match other {
            DataType::Timestamp(..) | DataType::Time64(_) => INTERVAL,
            _ if is_length => INTERVAL,
            _ if other.is_numeric() => other.clone(),
            _ => return None,
        },
        BinaryOperator::Minus => match other {
            DataType::Timestamp(..) | DataType::Time64(_) | DataType::Date32 => other.clone(),
            _ if is_length => INTERVAL,
            _ if other.is_numeric() => other.clone(),
            _ => return None,
        },
        BinaryOperator::Multiply if is_length => DataType::Float64,
        BinaryOperator::Divide if is_length && !is_left => DataType::Float64,
        BinaryOperator::Multiply
        | BinaryOperator::Divide
        | BinaryOperator::Modulo
        | BinaryOperator::BitwiseAnd
        | BinaryOperator::BitwiseOr
        | BinaryOperator::BitwiseXor
        | BinaryOperator::PGBitwiseXor
        | BinaryOperator::PGBitwiseShiftLeft
        | BinaryOperator::PGBitwiseShiftRight
            if other.is_numeric() =>
        {
            other.clone()
        }
        BinaryOperator::AtArrow | BinaryOperator::ArrowAt | BinaryOperator::PGOverlap
            if is_list =>
        {
            other.clone()
        }
        BinaryOperator::And | BinaryOperator::Or if *other == DataType::Boolean => other.clone(),
        BinaryOperator::StringConcat if is_list && text.trim().starts_with('{') => other.clone(),
        comparison if is_comparison(comparison) => match other {
            // All digits of the text count, whatever the scale of the other.
            DataType::Boolean | DataType::Decimal128(..) => other.clone(),
            _ if is_length => INTERVAL,
            _ if is_list => other.clone(),
            _ => return None,
        },
        _ => return None,
    };
    Some(wanted)
}

/// Gives the texts of a plan that stand for other values, or are compared with some without an
/// operator, the types of those.
pub fn typed(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut is_retyped = false;
    let typed = plan.transform_up_with_subqueries(|node| {
        let is_concerned = has_part(&node, concerns)?;
        let node = match is_concerned {
            true => in_node(node, &mut is_retyped)?,
            false => node,
        };
        // What is above has the types of what is below.
        Ok(match node {
            values @ LogicalPlan::Values(_) => Transformed::new_transformed(values, is_concerned),
            node if is_retyped => Transformed::yes(node.recompute_schema()?),
            node => Transformed::new_transformed(node, is_concerned),
        })
    });
    typed.data()
}

/// Whether it is something that may give a text another type.
fn concerns(part: &Expr) -> bool {
    let is_text = |value: &Expr| text_of(value).is_some();
    match part {
        Expr::ScalarFunction(call) => meant(&call.func).is_some(),
        Expr::Case(case) => {
            let mut branches = case.when_then_expr.iter();
            branches.any(|(when, then)| is_text(when) || is_text(then))
                || case.else_expr.as_deref().is_some_and(is_text)
        }
        Expr::Between(between) => [&between.expr, &between.low, &between.high]
            .into_iter()
            .any(|value| is_text(value)),
        Expr::InList(list) => is_text(&list.expr) || list.list.iter().any(is_text),
        Expr::BinaryExpr(binary) => {
            is_distinction(binary.op) && (is_text(&binary.left) || is_text(&binary.right))
        }
        _ => false,
    }
}

fn is_distinction(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::IsDistinctFrom | Operator::IsNotDistinctFrom
    )
}

fn in_node(node: LogicalPlan, is_retyped: &mut bool) -> Result<LogicalPlan> {
    let schema = merge_schema(&node.inputs());
    let names = NamePreserver::new(&node);
    let has_names = !matches!(node, LogicalPlan::Sort(_) | LogicalPlan::Values(_));
    let typed = node.map_expressions(|expression| {
        // The columns of grouping sets are called as the expressions within them.
        let is_set = matches!(expression, Expr::GroupingSet(_));
        let name = names.save(&expression);
        let typed = expression.transform_up(|part| {
            if !concerns(&part) {
                return Ok(Transformed::no(part));
            }
            let before = part.get_type(&schema).ok();
            let part = in_expression(part, &schema, is_set)?;
            *is_retyped |= part.get_type(&schema).ok() != before;
            Ok(Transformed::yes(part))
        })?;
        Ok(typed.update_data(|expression| match has_names && !is_set {
            true => name.restore(expression),
            false => expression,
        }))
    });
    typed.data()
}

fn in_expression(part: Expr, schema: &DFSchema, keeps_names: bool) -> Result<Expr> {
    let alike = |values: Vec<&mut Expr>, are_compared: bool| {
        in_one_type(values, are_compared, schema, keeps_names)
    };
    Ok(match part {
        Expr::ScalarFunction(mut call) => match meant(&call.func) {
            Some(function) => {
                let are_compared = call.name() == "nullif";
                alike(call.args.iter_mut().collect(), are_compared)?;
                Expr::ScalarFunction(ScalarFunction::new_udf(function, call.args))
            }
            None => Expr::ScalarFunction(call),
        },
        Expr::Case(mut case) => {
            if let Some(value) = case.expr.as_deref_mut() {
                let whens = case.when_then_expr.iter_mut();
                let whens = whens.map(|(when, _)| when.as_mut());
                alike([value].into_iter().chain(whens).collect(), true)?;
            }
            let results = case.when_then_expr.iter_mut();
            let results = results.map(|(_, then)| then.as_mut());
            alike(
                results.chain(case.else_expr.as_deref_mut()).collect(),
                false,
            )?;
            Expr::Case(case)
        }
        Expr::Between(mut between) => {
            let values = [&mut between.expr, &mut between.low, &mut between.high];
            alike(
                values.into_iter().map(|value| value.as_mut()).collect(),
                true,
            )?;
            Expr::Between(between)
        }
        Expr::InList(mut list) => {
            let values = [list.expr.as_mut()].into_iter().chain(&mut list.list);
            alike(values.collect(), true)?;
            Expr::InList(list)
        }
        Expr::BinaryExpr(mut binary) => {
            alike(vec![binary.left.as_mut(), binary.right.as_mut()], true)?;
            Expr::BinaryExpr(binary)
        }
        other => other,
    })
}

/// Reads the texts among values as values of the type of the others.
fn in_one_type(
    values: Vec<&mut Expr>,
    are_compared: bool,
    schema: &DFSchema,
    keeps_names: bool,
) -> Result<()> {
    let others = values.iter().filter(|value| text_of(value).is_none());
    let others = others.map(|value| value.get_type(schema));
    let Ok(others) = others.collect::<Result<Vec<DataType>>>() else {
        return Ok(());
    };
    let wanted = match common_type(&others) {
        Some(DataType::Duration(_)) if are_compared => INTERVAL,
        Some(common) => common,
        None => return Ok(()),
    };
    for value in values {
        let read = match text_of(value) {
            Some(text) => value_of(text, &wanted)?,
            None => None,
        };
        if let Some(read) = read {
            let literal = Expr::Literal(read, None);
            *value = match keeps_names {
                true => literal.alias(value.schema_name().to_string()),
                false => literal,
            };
        }
    }
    Ok(())
}
