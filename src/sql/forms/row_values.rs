//! Rows of values that are compared: `(a, b) < (c, d)`, `(a, b) IN ((1, 2), (3, 4))`.
//!
//! DataFusion compares them as structures, in which NULL is a value like others. In SQL the first
//! values that differ decide, and a NULL that would have to decide leaves it open.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator,
};

use crate::sql::error::SqlError;
use crate::sql::operators::comparison::is_comparison;
use crate::sql::syntax::edit_expressions;

/// Values of a row that is compared.
const VALUES_MAX: usize = 32;

/// Parts of the expressions of two rows, which become conditions of their own.
const PARTS_MAX: usize = 1_000;

/// The same for all rows of a list.
const LIST_PARTS_MAX: usize = 10_000;

/// Values that are compared with each other.
pub type Pairs = Vec<(Expr, Expr)>;

/// Writes a comparison of rows as one of their values.
pub fn compare_values(expression: &mut Expr) -> Result<(), SqlError> {
    let written = match &*expression {
        Expr::BinaryOp { left, op, right } if is_comparison(op) => compared(left, op, right)?,
        Expr::IsDistinctFrom(left, right) => {
            let pairs = pairs(left, right)?.into_iter().flatten();
            let distinct = pairs.map(|(left, right)| {
                let distinct = Expr::IsDistinctFrom(Box::new(left), Box::new(right));
                Expr::Nested(Box::new(distinct))
            });
            distinct.reduce(either)
        }
        Expr::IsNotDistinctFrom(left, right) => {
            let pairs = pairs(left, right)?.into_iter().flatten();
            let same = pairs.map(|(left, right)| {
                let same = Expr::IsNotDistinctFrom(Box::new(left), Box::new(right));
                Expr::Nested(Box::new(same))
            });
            same.reduce(both)
        }
        Expr::Between {
            expr,
            negated,
            low,
            high,
        } => {
            let above = compared(expr, &BinaryOperator::GtEq, low)?;
            let below = compared(expr, &BinaryOperator::LtEq, high)?;
            let between = above.zip(below).map(|(above, below)| both(above, below));
            between.map(|between| denied_if(*negated, between))
        }
        Expr::InList {
            expr,
            list,
            negated,
        } => among(expr, list)?.map(|found| denied_if(*negated, found)),
        Expr::IsNull(row) => each_is(row, Expr::IsNull)?,
        Expr::IsNotNull(row) => each_is(row, Expr::IsNotNull)?,
        _ => None,
    };
    if let Some(written) = written {
        *expression = Expr::Nested(Box::new(written));
    }
    Ok(())
}

/// `None`: these are no rows.
fn compared(
    left: &Expr,
    operator: &BinaryOperator,
    right: &Expr,
) -> Result<Option<Expr>, SqlError> {
    let Some(pairs) = pairs(left, right)? else {
        return Ok(None);
    };
    let each = |(left, right): (Expr, Expr)| operation(left, operator.clone(), right);
    let strictly = match operator {
        BinaryOperator::Eq => return Ok(pairs.into_iter().map(each).reduce(both)),
        BinaryOperator::NotEq => return Ok(pairs.into_iter().map(each).reduce(either)),
        BinaryOperator::LtEq => BinaryOperator::Lt,
        BinaryOperator::GtEq => BinaryOperator::Gt,
        strict => strict.clone(),
    };
    let mut pairs = pairs.into_iter().rev();
    let last = pairs.next().map(each);
    Ok(last.map(|last| {
        pairs.fold(last, |behind, (left, right)| {
            let decides = operation(left.clone(), strictly.clone(), right.clone());
            let equal = operation(left, BinaryOperator::Eq, right);
            either(decides, both(equal, behind))
        })
    }))
}

/// Whether a row is equal to one of a list.
fn among(row: &Expr, list: &[Expr]) -> Result<Option<Expr>, SqlError> {
    let mut equal = Vec::new();
    let mut parts = 0;
    for other in list {
        let Some(pairs) = pairs(row, other)? else {
            return Ok(None);
        };
        parts += size(&pairs);
        if parts > LIST_PARTS_MAX {
            return Err(too_large().with_hint("put the rows into a table: (a, b) IN (SELECT …)"));
        }
        let each = pairs
            .into_iter()
            .map(|(left, right)| operation(left, BinaryOperator::Eq, right));
        equal.extend(each.reduce(both));
    }
    Ok(any(equal))
}

/// A row is NULL if all of its values are, and is not if none of them is.
fn each_is(row: &Expr, test: fn(Box<Expr>) -> Expr) -> Result<Option<Expr>, SqlError> {
    let Some(values) = values(row) else {
        return Ok(None);
    };
    if values.len() > VALUES_MAX {
        return Err(too_large().with_hint("test values one by one, with AND"));
    }
    let tests = values.into_iter().map(|value| {
        let tested = test(Box::new(Expr::Nested(Box::new(value))));
        Expr::Nested(Box::new(tested))
    });
    Ok(tests.reduce(both))
}

/// Whether one of some conditions holds, in a tree that is not deep.
fn any(mut conditions: Vec<Expr>) -> Option<Expr> {
    while conditions.len() > 1 {
        let mut rest = conditions.into_iter();
        let mut joined = Vec::new();
        while let Some(first) = rest.next() {
            joined.push(match rest.next() {
                Some(second) => either(first, second),
                None => first,
            });
        }
        conditions = joined;
    }
    conditions.pop()
}

/// The values of two rows side by side; `None`: these are no rows.
pub fn pairs(left: &Expr, right: &Expr) -> Result<Option<Pairs>, SqlError> {
    let (Some(left), Some(right)) = (values(left), values(right)) else {
        return Ok(None);
    };
    if left.len() != right.len() {
        let (left, right) = (left.len(), right.len());
        let message = format!("rows of {left} and {right} values cannot be compared");
        return Err(SqlError::syntax(message));
    }
    let mut all = left.iter().chain(&right);
    if all.any(|value| values(value).is_some()) {
        let error = SqlError::unsupported("rows within rows are not compared");
        return Err(error.with_hint("write their values into one row"));
    }
    let is_long = left.len() > VALUES_MAX;
    let pairs: Pairs = left.into_iter().zip(right).collect();
    match is_long || size(&pairs) > PARTS_MAX {
        true => Err(too_large().with_hint("compare values one by one, with AND and OR")),
        false => Ok(Some(pairs)),
    }
}

fn too_large() -> SqlError {
    SqlError::new("54001", "too many values are compared as rows at once")
}

/// The values of `(a, b)` and `ROW(a, b)`.
pub fn values(row: &Expr) -> Option<Vec<Expr>> {
    match row {
        Expr::Nested(inner) => values(inner),
        Expr::Tuple(values) => Some(values.clone()),
        Expr::Function(call) if call.name.to_string().eq_ignore_ascii_case("row") => {
            let FunctionArguments::List(list) = &call.args else {
                return None;
            };
            let given = list.args.iter().map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value.clone()),
                _ => None,
            });
            given.collect::<Option<Vec<Expr>>>()
        }
        _ => None,
    }
}

/// Of how many parts the values consist.
fn size(pairs: &[(Expr, Expr)]) -> usize {
    let mut parts = 0;
    for (left, right) in pairs {
        for value in [left, right] {
            // It never breaks off.
            let _ = edit_expressions(&mut value.clone(), &mut |_| {
                parts += 1;
                ControlFlow::Continue(())
            });
        }
    }
    parts
}

fn both(left: Expr, right: Expr) -> Expr {
    operation(left, BinaryOperator::And, right)
}

fn either(left: Expr, right: Expr) -> Expr {
    operation(left, BinaryOperator::Or, right)
}

fn operation(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }))
}

fn denied_if(negated: bool, condition: Expr) -> Expr {
    match negated {
        true => Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(Expr::Nested(Box::new(condition))),
        },
        false => condition,
    }
}
