//! Parameters where a function takes one type only: `ntile($1)`, `left(name, $1)`.
//!
//! Nothing is known of a parameter that no type is declared for. The planner takes it for a text,
//! or for nothing at all, and finds no function.

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments,
};

use crate::sql::syntax::{cast, is_parameter, take_value};

/// The functions, with the places of their arguments of one type, which begin with 0.
const PLACES: &[(&str, &[usize], Kind)] = &[
    ("date_trunc", &[0], Kind::Text),
    ("lag", &[1], Kind::Number),
    ("lead", &[1], Kind::Number),
    ("left", &[1], Kind::Number),
    ("lpad", &[1], Kind::Number),
    ("nth_value", &[1], Kind::Number),
    ("ntile", &[0], Kind::Number),
    ("repeat", &[1], Kind::Number),
    ("right", &[1], Kind::Number),
    ("round", &[1], Kind::Number),
    ("rpad", &[1], Kind::Number),
    ("split_part", &[2], Kind::Number),
    ("substr", &[1, 2], Kind::Number),
    ("trunc", &[1], Kind::Number),
];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Number,
    Text,
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Kind::Number => DataType::BigInt(None),
            Kind::Text => DataType::Varchar(None),
        }
    }
}

/// Gives the parameters of a call their types.
pub fn in_call(expression: &mut Expr) {
    let Expr::Function(call) = expression else {
        return;
    };
    let name = call.name.to_string().to_lowercase();
    let mut known = PLACES.iter();
    let Some((_, places, kind)) = known.find(|(known, _, _)| *known == name) else {
        return;
    };
    let FunctionArguments::List(list) = &mut call.args else {
        return;
    };
    for place in *places {
        if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(value))) = list.args.get_mut(*place)
            && is_parameter(value)
        {
            *value = cast(take_value(value), kind.data_type());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::sql::statement::parse_query;
    use crate::sql::syntax::edit_expressions;

    #[test]
    fn parameters_get_the_type_that_a_function_takes() {
        for (sql, expected) in [
            (
                "SELECT ntile($1) OVER (ORDER BY a) FROM t",
                "SELECT ntile(CAST($1 AS BIGINT)) OVER (ORDER BY a) FROM t",
            ),
            (
                "SELECT date_trunc($1, $2)",
                "SELECT date_trunc(CAST($1 AS VARCHAR), $2)",
            ),
            ("SELECT left($1, 2)", "SELECT left($1, 2)"),
            ("SELECT left($1, $2)", "SELECT left($1, CAST($2 AS BIGINT))"),
        ] {
            let mut query = parse_query(sql).expect("a query");
            // It never breaks off.
            let _ = edit_expressions(&mut query, &mut |part| {
                in_call(part);
                ControlFlow::Continue(())
            });
            assert_eq!(query.to_string(), expected);
        }
    }
}
