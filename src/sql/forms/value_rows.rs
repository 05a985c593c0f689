//! Texts among other values of a column of `VALUES`: `FROM (VALUES ('1'), (2)) AS v(x)`. In Postgres
//! such a text takes the type of the others, whichever row it stands in. DataFusion makes texts of the
//! others. Here it is cast to their type where they are literals or casts that tell it.
//!
//! `x IN (VALUES (1), (2))`, too, whose column DataFusion does not find: it is `x IN (1, 2)`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, DataType, Expr, Query, SetExpr, UnaryOperator, Value, Values,
};

use crate::sql::syntax::{
    bare, cast, cells, edit_expressions, edit_queries, is_null, is_text, take_value,
};

/// Casts those in the queries within a query. Rows that are all of a statement may be those of an
/// INSERT, which take the types of its columns.
pub fn in_one_type(query: &mut Query) {
    if has_only_values(&query.body) {
        return;
    }
    edit_queries(query, &mut |query| {
        if let SetExpr::Values(values) = query.body.as_mut() {
            in_columns(values);
        }
    });
}

/// Writes those that a value, or a row of values, is looked for in as lists.
pub fn as_lists(query: &mut Query) {
    // It never breaks off.
    let _ = edit_expressions(query, &mut |expression| {
        as_list(expression);
        ControlFlow::Continue(())
    });
}

fn as_list(expression: &mut Expr) {
    let Expr::InSubquery {
        expr,
        subquery,
        negated,
    } = &*expression
    else {
        return;
    };
    let Some(values) = rows_of(subquery) else {
        return;
    };
    let width = match expr.as_ref() {
        Expr::Tuple(row) => row.len(),
        _ => 1,
    };
    let rows = values.rows.iter().map(|row| &row.content);
    if rows.clone().any(|row| row.len() != width) {
        return;
    }
    let list = rows.map(|row| match &row[..] {
        [value] => value.clone(),
        row => Expr::Tuple(row.to_vec()),
    });
    *expression = Expr::InList {
        expr: expr.clone(),
        list: list.collect(),
        negated: *negated,
    };
}

/// The rows that are all of a query.
fn rows_of(query: &Query) -> Option<&Values> {
    let is_bare = query.with.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
    match query.body.as_ref() {
        SetExpr::Values(values) if is_bare && query.order_by.is_none() => Some(values),
        _ => None,
    }
}

fn has_only_values(body: &SetExpr) -> bool {
    match body {
        SetExpr::Values(_) => true,
        SetExpr::Query(query) => has_only_values(&query.body),
        _ => false,
    }
}

fn in_columns(values: &mut Values) {
    let width = values.rows.first().map_or(0, |row| row.content.len());
    for column in 0..width {
        let found = cells(values, column).map(|cell| &*cell);
        let Some(data_type) = type_beside_texts(found) else {
            continue;
        };
        for cell in cells(values, column).filter(|cell| is_text(bare(cell))) {
            *cell = cast(take_value(cell), data_type.clone());
        }
    }
}

/// The type of the values of a column that stand beside texts; `None`: there are no texts, or it is
/// not known here.
fn type_beside_texts<'c>(cells: impl Iterator<Item = &'c Expr>) -> Option<DataType> {
    let mut has_texts = false;
    let mut found = None;
    for cell in cells.map(bare) {
        if is_text(cell) {
            has_texts = true;
        } else if !is_null(cell) {
            let next = type_of(cell)?;
            found = Some(match found {
                None => next,
                Some(before) => common_type(before, next)?,
            });
        }
    }
    found.filter(|_| has_texts)
}

/// The type of a value, if it is one that a cast of a text changes in no other way.
fn type_of(cell: &Expr) -> Option<DataType> {
    let data_type = match bare(cell) {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) if text.contains(['.', 'e', 'E']) => DataType::DoublePrecision,
            Value::Number(text, _) => {
                text.parse::<i64>().ok()?;
                DataType::BigInt(None)
            }
            Value::Boolean(_) => DataType::Boolean,
            _ => return None,
        },
        Expr::UnaryOp {
            op: UnaryOperator::Minus | UnaryOperator::Plus,
            expr,
        } => type_of(expr)?,
        Expr::TypedString(typed) => typed.data_type.clone(),
        Expr::Interval(_) => DataType::Interval {
            fields: None,
            precision: None,
        },
        Expr::Array(list) => {
            let element = element_type(&list.elem)?;
            DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(element), None))
        }
        Expr::Cast {
            data_type,
            array: false,
            format: None,
            ..
        } => data_type.clone(),
        _ => return None,
    };
    is_plain(&data_type).then_some(data_type)
}

/// The type of all elements of a list that is written.
fn element_type(elements: &[Expr]) -> Option<DataType> {
    if !elements.is_empty() && elements.iter().map(bare).all(is_text) {
        return Some(DataType::Text);
    }
    let types = elements.iter().map(type_of);
    let types = types.collect::<Option<Vec<DataType>>>()?.into_iter();
    types
        .map(Some)
        .reduce(|one, other| common_type(one?, other?))?
}

fn is_plain(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean
        | DataType::Date
        | DataType::DoublePrecision
        | DataType::Time(None, _)
        | DataType::Timestamp(None, _)
        | DataType::Interval {
            fields: None,
            precision: None,
        } => true,
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, None)) => {
            matches!(element.as_ref(), DataType::Text) || is_plain(element)
        }
        other => is_whole(other),
    }
}

fn is_whole(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::SmallInt(None)
            | DataType::Int(None)
            | DataType::Integer(None)
            | DataType::BigInt(None)
    )
}

fn common_type(one: DataType, other: DataType) -> Option<DataType> {
    match (is_whole(&one), is_whole(&other)) {
        _ if one == other => Some(one),
        (true, true) => Some(DataType::BigInt(None)),
        (true, false) if other == DataType::DoublePrecision => Some(other),
        (false, true) if one == DataType::DoublePrecision => Some(one),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::statement::parse_query;

    #[test]
    fn texts_are_cast_to_the_type_of_the_others() {
        for (rows, expected) in [
            ("('1'), (2)", "(CAST('1' AS BIGINT)), (2)"),
            (
                "(-1, 'a'), ('2', NULL), (2.5, 'b')",
                "(-1, 'a'), (CAST('2' AS DOUBLE PRECISION), NULL), (2.5, 'b')",
            ),
            (
                "(DATE '2026-05-04'), ('2026-05-05')",
                "(DATE '2026-05-04'), (CAST('2026-05-05' AS DATE))",
            ),
            (
                "(CAST(a AS INT)), ('2')",
                "(CAST(a AS INT)), (CAST('2' AS INT))",
            ),
            (
                "(INTERVAL '1 day'), ('2 days')",
                "(INTERVAL '1 day'), (CAST('2 days' AS INTERVAL))",
            ),
            (
                "(ARRAY[1, 2]), ('{3}')",
                "(ARRAY[1, 2]), (CAST('{3}' AS BIGINT[]))",
            ),
            (
                "('{\"a b\"}'), (ARRAY['c'])",
                "(CAST('{\"a b\"}' AS TEXT[])), (ARRAY['c'])",
            ),
            ("(ARRAY[1, x]), ('{3}')", "(ARRAY[1, x]), ('{3}')"),
            ("('a'), (NULL)", "('a'), (NULL)"),
            ("('a'), (b)", "('a'), (b)"),
            ("(true), (1), ('t')", "(true), (1), ('t')"),
            ("('abc'), ('x'::VARCHAR(1))", "('abc'), ('x'::VARCHAR(1))"),
        ] {
            let text = |rows: &str| format!("SELECT * FROM (VALUES {rows}) AS v");
            let mut query = parse_query(&text(rows)).expect("a query");
            in_one_type(&mut query);
            assert_eq!(query.to_string(), text(expected));
        }
    }

    #[test]
    fn rows_that_are_looked_in_are_lists() {
        for (test, expected) in [
            ("x IN (VALUES (1), (2))", "x IN (1, 2)"),
            (
                "(x, y) NOT IN (VALUES (1, 'a'), (2, y))",
                "(x, y) NOT IN ((1, 'a'), (2, y))",
            ),
            ("x IN (VALUES (1, 2))", "x IN (VALUES (1, 2))"),
            (
                "x IN (VALUES (1), (2) LIMIT 1)",
                "x IN (VALUES (1), (2) LIMIT 1)",
            ),
        ] {
            let text = |test: &str| format!("SELECT {test} FROM t");
            let mut query = parse_query(&text(test)).expect("a query");
            as_lists(&mut query);
            assert_eq!(query.to_string(), text(expected));
        }
    }

    #[test]
    fn rows_that_may_be_those_of_an_insert_stay() {
        let mut query = parse_query("VALUES ('1'), (2)").expect("a query");
        in_one_type(&mut query);
        assert_eq!(query.to_string(), "VALUES ('1'), (2)");
    }
}
