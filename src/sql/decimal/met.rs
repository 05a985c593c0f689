//! Literals that meet a decimal in an operation.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Between, Cast, InList};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, lit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::{DIGITS_MAX, Number};
use crate::sql::node::has_expression;
use crate::sql::operators::comparison::{common_type, in_type, pair_in_one_type};

/// How deep computations of literals (`0.06 - 0.01`) are looked into.
const DEPTH_MAX: usize = 6;

/// Up to how many digits behind the point a result has that may have too many before it: half of
/// them all.
const SCALE_MAX: u32 = DIGITS_MAX / 2;

/// Reads literals as decimals where the other side of an operator is one. Their names stay those of
/// the doubles, which are the names of columns.
#[derive(Debug)]
pub struct DecimalOperators;

impl ExprPlanner for DecimalOperators {
    fn plan_binary_op(
        &self,
        expression: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expression;
        let Some(operation) = Operation::of(&op) else {
            let (left, right) = match op {
                BinaryOperator::Divide => (divided(left, schema)?, divided(right, schema)?),
                _ => (left, right),
            };
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        };
        let named = |value: Expr, other: &Expr| match beside(&value, other, operation, schema) {
            Some(exact) => exact.alias(value.schema_name().to_string()),
            None => value,
        };
        let right = named(right, &left);
        let left = named(left, &right);
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }
}

/// A side of a division: what literals have made a decimal (`100.0 * part`) is divided as a double,
/// since a quotient of decimals has but four digits more.
fn divided(value: Expr, schema: &DFSchema) -> Result<Expr> {
    let is_made =
        value.exists(|part| Ok(matches!(part, Expr::Alias(alias) if is_number(&alias.expr))))?;
    let is_decimal = |found: DataType| found.is_decimal();
    Ok(
        match is_made && value.get_type(schema).is_ok_and(is_decimal) {
            true => Expr::Cast(Cast::new(Box::new(value), DataType::Float64)),
            false => value,
        },
    )
}

#[derive(Clone, Copy)]
enum Operation {
    /// Both sides are brought to one scale: to be compared, added, or divided with a rest.
    Aligned,
    Product,
}

impl Operation {
    /// `None`: division, of which a decimal would keep fewer digits than a double, and others.
    fn of(operator: &BinaryOperator) -> Option<Operation> {
        match operator {
            BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
            | BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Modulo => Some(Operation::Aligned),
            BinaryOperator::Multiply => Some(Operation::Product),
            _ => None,
        }
    }

    /// Whether it has a decimal as its result with values of a type; `None` if that is not decimal.
    fn fits(self, number: Number, other: &DataType) -> Option<bool> {
        let (precision, scale) = match other {
            DataType::Decimal128(precision, scale) => (*precision, *scale),
            DataType::Decimal256(..) => return Some(true),
            _ => return None,
        };
        let Ok(scale) = u32::try_from(scale) else {
            return Some(false);
        };
        let whole = u32::from(precision).saturating_sub(scale);
        let (whole, scale) = match self {
            Operation::Aligned => (whole.max(number.whole()), scale.max(number.scale)),
            Operation::Product => (whole + number.whole(), scale + number.scale),
        };
        Some(whole + scale < DIGITS_MAX || scale <= SCALE_MAX)
    }
}

/// What a literal is beside another value, if not what it is by itself: a decimal beside decimals,
/// and a double beside doubles.
fn beside(value: &Expr, other: &Expr, operation: Operation, schema: &DFSchema) -> Option<Expr> {
    if let Some((number, double)) = long(value) {
        let other = other.get_type(schema).ok()?;
        let is_double = match operation.fits(number, &other) {
            Some(fits) => !fits,
            None => other.is_floating(),
        };
        return is_double.then(|| lit(double));
    }
    let number = constant(value, DEPTH_MAX)?;
    if !matches!(value.get_type(schema), Ok(DataType::Float64)) {
        return None;
    }
    let other = other.get_type(schema).ok()?;
    let fits = operation.fits(number, &other)?;
    fits.then(|| number.literal())
}

/// The number that literals make.
fn constant(value: &Expr, depth: usize) -> Option<Number> {
    let depth = depth.checked_sub(1)?;
    match value {
        Expr::Literal(ScalarValue::Float64(Some(value)), _) => Number::of_double(*value),
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => Number::new((*value).into(), 0),
        Expr::Negative(inner) => constant(inner, depth).map(Number::negated),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (left, right) = (constant(left, depth)?, constant(right, depth)?);
            match op {
                Operator::Plus => left.plus(right),
                Operator::Minus => left.plus(right.negated()),
                Operator::Multiply => left.times(right),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A literal that has been written as a decimal for all its digits, and the double nearest to it.
fn long(value: &Expr) -> Option<(Number, f64)> {
    match value {
        Expr::Negative(inner) => long(inner).map(|(number, double)| (number.negated(), -double)),
        Expr::Cast(cast) => {
            let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = cast.expr.as_ref() else {
                return None;
            };
            let number = Number::of_text(text)?;
            let own = DataType::Decimal128(number.precision() as u8, number.scale as i8);
            let double: f64 = text.parse().ok()?;
            (*cast.field.data_type() == own).then_some((number, double))
        }
        _ => None,
    }
}

/// Reads literals as decimals in conditions that are no binary operators in SQL: BETWEEN, IN, IS
/// DISTINCT FROM. The names that operators have given their literals go, now that all names are
/// known; what the literals are part of is called as before.
pub fn in_conditions(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| {
        if !has_expression(&node, concerns)? {
            return Ok(Transformed::no(node));
        }
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new(&node);
        let is_sort = matches!(node, LogicalPlan::Sort(_));
        node.map_expressions(|expression| {
            // The columns of grouping sets are called as the expressions within them.
            let is_set = matches!(expression, Expr::GroupingSet(_));
            if is_set || !concerns(&expression)? {
                return Ok(Transformed::no(expression));
            }
            let name = names.save(&expression);
            let rewritten = expression.transform_up(|part| Ok(met(part, &schema)))?;
            Ok(rewritten.update_data(|expression| match is_sort {
                true => expression,
                false => name.restore(expression),
            }))
        })
    });
    rewritten.data()
}

fn concerns(expression: &Expr) -> Result<bool> {
    expression.exists(|part| {
        Ok(match part {
            Expr::Alias(alias) => is_number(&alias.expr),
            Expr::BinaryExpr(binary) => is_distinction(binary.op),
            Expr::Between(_) | Expr::InList(_) => true,
            _ => false,
        })
    })
}

fn is_number(expression: &Expr) -> bool {
    matches!(
        expression,
        Expr::Literal(ScalarValue::Decimal128(..) | ScalarValue::Float64(_), _)
    )
}

fn is_distinction(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::IsDistinctFrom | Operator::IsNotDistinctFrom
    )
}

fn met(part: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let exact = |value: Expr, other: &Expr| {
        beside(&value, other, Operation::Aligned, schema).unwrap_or(value)
    };
    match part {
        Expr::Alias(alias) if is_number(&alias.expr) => Transformed::yes(*alias.expr),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_distinction(op) => {
            let right = exact(*right, &left);
            let left = exact(*left, &right);
            let (left, right) = pair_in_one_type(left, right, schema);
            let binary = BinaryExpr::new(Box::new(left), op, Box::new(right));
            Transformed::yes(Expr::BinaryExpr(binary))
        }
        Expr::Between(between) => {
            let low = exact(*between.low, &between.expr);
            let high = exact(*between.high, &between.expr);
            let expression = exact(*between.expr, &low);
            let common = common_type([&expression, &low, &high], schema);
            let in_common = |value: Expr| match &common {
                Some(common) => in_type(value, common, schema),
                None => value,
            };
            let (low, high) = (in_common(low), in_common(high));
            let expression = in_common(expression);
            let between = Between::new(
                Box::new(expression),
                between.negated,
                Box::new(low),
                Box::new(high),
            );
            Transformed::yes(Expr::Between(between))
        }
        Expr::InList(InList {
            expr,
            list,
            negated,
        }) => {
            let list = list.into_iter().map(|value| exact(value, &expr));
            let list: Vec<Expr> = list.collect();
            let common = common_type(list.iter().chain([expr.as_ref()]), schema);
            let in_common = |value: Expr| match &common {
                Some(common) => in_type(value, common, schema),
                None => value,
            };
            let list = list.into_iter().map(in_common).collect();
            let expr = Box::new(in_common(*expr));
            Transformed::yes(Expr::InList(InList::new(expr, list, negated)))
        }
        other => Transformed::no(other),
    }
}
