//! Functions that give a row for each element, in SELECT: `SELECT id, generate_series(1, n)`.
//!
//! In DataFusion they give a list, or are not there. Here `unnest` takes the list apart, of which
//! DataFusion knows that it makes rows: those of several functions stand side by side, the shorter
//! ones filled up with NULL. A list that is NULL has no elements.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, Ident, ObjectName, Select, SelectItem,
};

use crate::sql::syntax::call;

/// The functions, and those that give a list of the same elements.
const FUNCTIONS: &[(&str, &str)] = &[
    ("generate_series", "generate_series"),
    ("json_array_elements", "json_get_array"),
    ("jsonb_array_elements", "json_get_array"),
    ("regexp_split_to_table", "regexp_split_to_array"),
    ("string_to_table", "string_to_array"),
];

/// Writes those among the columns of a SELECT as lists that are taken apart.
pub fn in_select(select: &mut Select) {
    for item in &mut select.projection {
        keep_name(item);
        if let SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. } = item
        {
            as_rows(value);
        }
    }
}

/// As in Postgres, such a column is called like the function, also where it is cast.
fn keep_name(item: &mut SelectItem) {
    if let SelectItem::UnnamedExpr(value) = item
        && let Some((name, _)) = function_of(without_casts(value))
    {
        *item = SelectItem::ExprWithAlias {
            expr: value.clone(),
            alias: Ident::new(*name),
        };
    }
}

fn without_casts(value: &Expr) -> &Expr {
    match value {
        Expr::Nested(inner) => without_casts(inner),
        Expr::Cast {
            expr, data_type, ..
        } if !is_list(data_type) => without_casts(expr),
        other => other,
    }
}

fn is_list(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Array(_))
}

/// Those in arguments of other functions stay the lists that these take.
fn as_rows(value: &mut Expr) {
    match value {
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => as_rows(inner),
        Expr::Cast {
            expr, data_type, ..
        } if !is_list(data_type) => as_rows(expr),
        Expr::BinaryOp { left, op, right } if is_arithmetic(op) => {
            as_rows(left);
            as_rows(right);
        }
        other => {
            if let Some((_, list)) = function_of(other) {
                let list = renamed(other.clone(), list);
                let elements = call("coalesce", vec![list, call("make_array", Vec::new())]);
                *other = call("unnest", vec![elements]);
            }
        }
    }
}

fn is_arithmetic(operator: &BinaryOperator) -> bool {
    matches!(
        operator,
        BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo
    )
}

fn function_of(value: &Expr) -> Option<&'static (&'static str, &'static str)> {
    let Expr::Function(call) = value else {
        return None;
    };
    let name = call.name.to_string().to_lowercase();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    let found = FUNCTIONS.iter().find(|(known, _)| *known == name);
    found.filter(|_| call.over.is_none() && call.filter.is_none())
}

/// A call of another function with the same arguments.
fn renamed(value: Expr, name: &str) -> Expr {
    match value {
        Expr::Function(call) => Expr::Function(Function {
            name: ObjectName::from(vec![Ident::new(name)]),
            ..call
        }),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::SetExpr;

    use super::*;
    use crate::sql::error::SqlError;
    use crate::sql::statement::parse_query;

    fn rewritten(columns: &str) -> Result<String, SqlError> {
        let mut query = parse_query(&format!("SELECT {columns}"))?;
        if let SetExpr::Select(select) = query.body.as_mut() {
            in_select(select);
        }
        Ok(query.to_string())
    }

    #[test]
    fn lists_are_taken_apart() {
        let unnest = |list: &str| format!("unnest(coalesce({list}, make_array()))");
        let series = unnest("generate_series(1, 3)");
        let texts = unnest("string_to_array(t, ',')");
        for (columns, expected) in [
            (
                "generate_series(1, 3)",
                format!("{series} AS generate_series"),
            ),
            ("a, generate_series(1, 3) AS n", format!("a, {series} AS n")),
            ("1 + generate_series(1, 3) * 2", format!("1 + {series} * 2")),
            (
                "CAST(generate_series(1, 3) AS TEXT)",
                format!("CAST({series} AS TEXT) AS generate_series"),
            ),
            (
                "string_to_table(t, ',')",
                format!("{texts} AS string_to_table"),
            ),
            (
                "array_length(generate_series(1, 3))",
                "array_length(generate_series(1, 3))".to_owned(),
            ),
            (
                "unnest(generate_series(1, 3))",
                "unnest(generate_series(1, 3))".to_owned(),
            ),
        ] {
            assert_eq!(rewritten(columns), Ok(format!("SELECT {expected}")));
        }
    }
}
