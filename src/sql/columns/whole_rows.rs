//! Rows of relations as values: `row_to_json(q)`, `json_agg(q)`, `count(q)`.
//!
//! DataFusion knows the columns of a relation, and not its rows. A row is written as the JSON object
//! of its columns where these are known; elsewhere `q` stays the name of a column that is not there.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, Value,
};

use super::relation_columns::{self, Columns, Relation};
use crate::sql::planner::Sources;
use crate::sql::statement::identifier;
use crate::sql::syntax::{call, edit_expressions, edit_own_expressions, edit_selects};

/// Functions that give the JSON of their one argument, which the object is already.
const OF_ONE_ROW: [&str; 3] = ["row_to_json", "to_json", "to_jsonb"];

/// Functions that make JSON with what their arguments are as JSON.
const WITH_ROWS: [&str; 8] = [
    "json_agg",
    "json_build_array",
    "json_build_object",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_object_agg",
];

/// Writes those of a query as objects of their columns.
pub fn rewrite(query: &mut Query, sources: &dyn Sources) {
    rewrite_with(query, &|name| relation_columns::of_source(sources, name));
}

/// The same with what tells the columns of tables and views.
fn rewrite_with(query: &mut Query, tables: &dyn Fn(&str) -> Option<Vec<String>>) {
    let names = relation_columns::names(query);
    let found = edit_expressions(query, &mut |part| match asks_for(part, &names) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    });
    if found.is_continue() {
        return;
    }
    let columns = Columns::of(query, tables);
    edit_selects(query, &mut |select| {
        let Some(relations) = columns.relations(&select.from) else {
            return;
        };
        edit_own_expressions(select, &mut |expression| {
            if asks_for(expression, &names) {
                as_object(expression, &relations);
            }
        });
    });
}

/// Whether one of the functions is called with one of some names alone.
fn asks_for(expression: &Expr, names: &HashSet<String>) -> bool {
    let Expr::Function(call) = expression else {
        return false;
    };
    let FunctionArguments::List(list) = &call.args else {
        return false;
    };
    let name = call.name.to_string().to_lowercase();
    let name = name.as_str();
    let is_meant = name == "count" || OF_ONE_ROW.contains(&name) || WITH_ROWS.contains(&name);
    let mut arguments = list.args.iter().filter_map(named);
    is_meant && arguments.any(|argument| names.contains(&identifier(argument)))
}

fn named(argument: &FunctionArg) -> Option<&Ident> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(name))) => Some(name),
        _ => None,
    }
}

fn as_object(expression: &mut Expr, relations: &[Relation]) {
    let Expr::Function(function) = expression else {
        return;
    };
    let FunctionArguments::List(list) = &mut function.args else {
        return;
    };
    let name = function.name.to_string().to_lowercase();
    for argument in &mut list.args {
        let row = named(argument).and_then(|name| row_of(name, relations));
        let Some(row) = row else {
            continue;
        };
        *argument = FunctionArg::Unnamed(match name.as_str() {
            // Rows are counted, and none of them is missing.
            "count" => match list.duplicate_treatment {
                None => FunctionArgExpr::Wildcard,
                Some(_) => continue,
            },
            _ => FunctionArgExpr::Expr(object_of(row)),
        });
    }
    if OF_ONE_ROW.contains(&name.as_str())
        && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(object)))] =
            &list.args[..]
        && object.name.to_string() == OBJECT
    {
        *expression = Expr::Function(object.clone());
    }
}

/// The function that makes an object.
const OBJECT: &str = "json_build_object";

/// A relation whose row a name means: columns come first, so all of them must be known, and an outer
/// join may leave it without a row, which would be NULL.
fn row_of<'r>(name: &Ident, relations: &'r [Relation]) -> Option<(&'r Ident, &'r [String])> {
    let wanted = identifier(name);
    let mut meant = None;
    for relation in relations {
        let columns = relation.columns.as_ref()?;
        if columns.contains(&wanted) {
            return None;
        }
        if identifier(&relation.name) == wanted {
            meant = Some((relation, columns));
        }
    }
    let (relation, columns) = meant?;
    (!relation.may_be_missing).then_some((&relation.name, &columns[..]))
}

fn object_of((relation, columns): (&Ident, &[String])) -> Expr {
    let members = columns.iter().flat_map(|column| {
        let name = Expr::value(Value::SingleQuotedString(column.clone()));
        let parts = vec![relation.clone(), Ident::with_quote('"', column.as_str())];
        [name, Expr::CompoundIdentifier(parts)]
    });
    call(OBJECT, members.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::error::SqlError;
    use crate::sql::statement::parse_query;

    fn rewritten(sql: &str) -> Result<String, SqlError> {
        let mut query = parse_query(sql)?;
        rewrite_with(&mut query, &|name| {
            let columns = match name {
                "t" => ["id", "k"],
                "s" => ["k", "n"],
                _ => return None,
            };
            Some(columns.map(str::to_owned).to_vec())
        });
        Ok(query.to_string())
    }

    #[test]
    fn rows_are_objects_of_their_columns() {
        let of_t = r#"json_build_object('id', t."id", 'k', t."k")"#;
        for (sql, expected) in [
            ("SELECT row_to_json(t) FROM t", format!("SELECT {of_t} FROM t")),
            (
                "SELECT json_agg(t ORDER BY id) FROM t",
                format!("SELECT json_agg({of_t} ORDER BY id) FROM t"),
            ),
            (
                "SELECT count(q) FROM s AS q",
                "SELECT count(*) FROM s AS q".to_owned(),
            ),
            (
                "SELECT to_json(q) FROM (SELECT a AS x, b.y FROM b) AS q",
                r#"SELECT json_build_object('x', q."x", 'y', q."y") FROM (SELECT a AS x, b.y FROM b) AS q"#
                    .to_owned(),
            ),
        ] {
            assert_eq!(rewritten(sql), Ok(expected), "{sql}");
        }
    }

    #[test]
    fn queries_of_with_have_columns() {
        let sql = "WITH q (z) AS (SELECT * FROM s) SELECT row_to_json(q) FROM q";
        let written = rewritten(sql).expect("a query");
        let object = r#"SELECT json_build_object('z', q."z", 'n', q."n") FROM q"#;
        assert!(written.ends_with(object), "{written}");
    }

    #[test]
    fn what_is_not_known_stays() {
        for sql in [
            // A column of that name comes first.
            "SELECT to_json(k) FROM s AS k",
            "SELECT to_json(q) FROM unknown AS q",
            "SELECT to_json(q) FROM (SELECT a + 1 FROM t) AS q",
            // The row may be missing.
            "SELECT to_json(s) FROM t LEFT JOIN s ON s.k = t.k",
            "SELECT count(DISTINCT s) FROM s",
        ] {
            assert_eq!(rewritten(sql).as_deref(), Ok(sql));
        }
    }
}
