//! `make_interval(days => n)`: the parts of an interval by their names, as many as are given.
//!
//! DataFusion's functions know neither names nor what an argument is that is not there.

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Value,
};

use crate::sql::error::SqlError;
use crate::sql::functions::scalar::INTERVAL_PARTS;

const NAME: &str = "make_interval";

/// Writes the call with all parts in their order.
pub fn in_order(expression: &mut Expr) -> Result<(), SqlError> {
    let Expr::Function(call) = expression else {
        return Ok(());
    };
    let FunctionArguments::List(list) = &mut call.args else {
        return Ok(());
    };
    if !call.name.to_string().eq_ignore_ascii_case(NAME) {
        return Ok(());
    }
    let zero = Value::Number("0".to_owned(), false);
    let mut parts = vec![None; INTERVAL_PARTS.len()];
    for (position, argument) in list.args.drain(..).enumerate() {
        let (place, value) = match argument {
            FunctionArg::Unnamed(value) => (Some(position), value),
            FunctionArg::Named { name, arg, .. } => (place_of(&name.value), arg),
            FunctionArg::ExprNamed { name, arg, .. } => (place_of(&name.to_string()), arg),
        };
        let part = place.and_then(|place| parts.get_mut(place));
        match part {
            Some(part) if part.is_none() => *part = Some(value),
            _ => return Err(refusal()),
        }
    }
    let parts = parts.into_iter().map(|part| {
        let none = || FunctionArgExpr::Expr(Expr::value(zero.clone()));
        FunctionArg::Unnamed(part.unwrap_or_else(none))
    });
    list.args = parts.collect();
    Ok(())
}

fn place_of(name: &str) -> Option<usize> {
    let mut names = INTERVAL_PARTS.iter();
    names.position(|known| known.eq_ignore_ascii_case(name))
}

fn refusal() -> SqlError {
    let message = format!("{NAME}() takes {}, each once", INTERVAL_PARTS.join(", "));
    let hint = "write make_interval(days => 3, hours => 12)";
    SqlError::new("42883", message).about(NAME).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::sql::statement::parse_query;
    use crate::sql::syntax::edit_expressions;

    fn written(text: &str) -> Result<String, SqlError> {
        let mut query = parse_query(text).expect(text);
        let mut refusal = Ok(());
        let _ = edit_expressions(&mut *query, &mut |expression| {
            if let Err(error) = in_order(expression) {
                refusal = Err(error);
            }
            ControlFlow::Continue(())
        });
        refusal.map(|()| query.to_string())
    }

    #[test]
    fn parts_are_put_in_order() {
        for (text, expected) in [
            (
                "SELECT make_interval(1, hours => n, days => 2)",
                "SELECT make_interval(1, 0, 0, 2, n, 0, 0)",
            ),
            (
                "SELECT make_interval()",
                "SELECT make_interval(0, 0, 0, 0, 0, 0, 0)",
            ),
            ("SELECT age(a, b)", "SELECT age(a, b)"),
        ] {
            assert_eq!(written(text).expect(text), expected);
        }
        for text in [
            "SELECT make_interval(lightyears => 2)",
            "SELECT make_interval(1, years => 2)",
            "SELECT make_interval(1, 2, 3, 4, 5, 6, 7, 8)",
        ] {
            written(text).expect_err(text);
        }
    }
}
