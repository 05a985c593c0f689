//! Groups by a value and by what it is cast to: `GROUP BY c, CAST(c AS TEXT)`.
//!
//! DataFusion calls a cast like the value in it, and refuses keys of one name. A cast of another key
//! makes no further groups, and is none any more. Of several casts of one value, calls around them
//! that leave their values as they are give each a name of its own.

use datafusion::sql::sqlparser::ast::{Expr as Ast, GroupByExpr, Ident, Query, Select, SelectItem};

use super::output_columns::meant;
use super::same_names::{column_name, name_of_value, without_casts};
use crate::sql::syntax::{
    bare, call, edit_own_expressions, edit_queries, edit_selects, take_value,
};

/// A cast that gets a name of its own.
struct Told {
    cast: Ast,
    /// How many calls are put around it.
    calls: usize,
}

/// Tells such keys apart; whether there are any.
pub fn tell_apart(query: &mut Query) -> bool {
    let mut all = Vec::new();
    edit_selects(query, &mut |select| {
        let casts = casts_like_others(select);
        for item in &mut select.projection {
            keep_name(item, &casts);
        }
        edit_own_expressions(select, &mut |part| put_calls_around(part, &casts));
        all.extend(casts);
    });
    edit_queries(query, &mut |query| {
        if let Some(order) = &mut query.order_by {
            edit_own_expressions(order, &mut |part| put_calls_around(part, &all));
        }
    });
    !all.is_empty()
}

/// Leaves out the keys that are casts of others.
pub fn leave_out_determined(query: &mut Query) {
    edit_selects(query, &mut leave_out_of);
}

fn leave_out_of(select: &mut Select) {
    let GroupByExpr::Expressions(keys, _) = &mut select.group_by else {
        return;
    };
    let values = values_of(keys, &select.projection);
    let is_determined = |value: &Ast| match value {
        Ast::Cast { expr, .. } => values.contains(bare(expr)),
        _ => false,
    };
    let mut determined = values.iter().map(is_determined);
    keys.retain(|_| !determined.next().unwrap_or(false));
}

/// The keys that are casts, and called like another key.
fn casts_like_others(select: &Select) -> Vec<Told> {
    let GroupByExpr::Expressions(keys, _) = &select.group_by else {
        return Vec::new();
    };
    let values = values_of(keys, &select.projection).into_iter();
    let keys = values.map(|value| {
        let name = name_of_value(&value);
        (value, name)
    });
    let keys: Vec<(Ast, String)> = keys.collect();
    let mut casts: Vec<Told> = Vec::new();
    for (key, name) in &keys {
        let is_alone = keys.iter().filter(|(_, other)| other == name).count() == 1;
        let is_told = casts.iter().any(|told| is_same_cast(&told.cast, key));
        if matches!(key, Ast::Cast { .. }) && !is_alone && !is_told {
            let calls = casts.len() + 1;
            let cast = key.clone();
            casts.push(Told { cast, calls });
        }
    }
    casts
}

/// What keys are, by themselves, by position or by name, without parentheses.
fn values_of(keys: &[Ast], columns: &[SelectItem]) -> Vec<Ast> {
    let values = keys.iter().map(|key| {
        // A position that is not known is refused where it is planned.
        let value = meant(key, columns, "GROUP BY").unwrap_or_else(|_| key.clone());
        bare(&value).clone()
    });
    values.collect()
}

/// Whether two values are one cast, in whichever form they are written.
fn is_same_cast(one: &Ast, other: &Ast) -> bool {
    match (one, other) {
        (
            Ast::Cast {
                expr, data_type, ..
            },
            Ast::Cast {
                expr: other,
                data_type: of_other,
                ..
            },
        ) => expr == other && data_type == of_other,
        _ => false,
    }
}

/// A column that is cast is called as it was.
fn keep_name(item: &mut SelectItem, casts: &[Told]) {
    let SelectItem::UnnamedExpr(value) = &*item else {
        return;
    };
    let is_told = casts
        .iter()
        .any(|told| is_same_cast(&told.cast, bare(value)));
    if let (true, Some(name)) = (is_told, column_name(&without_casts(value))) {
        *item = SelectItem::ExprWithAlias {
            expr: value.clone(),
            alias: Ident::with_quote('"', name),
        };
    }
}

fn put_calls_around(part: &mut Ast, casts: &[Told]) {
    let told = casts.iter().find(|told| is_same_cast(&told.cast, part));
    for _ in 0..told.map_or(0, |told| told.calls) {
        *part = call("coalesce", vec![take_value(part)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::statement::parse_query;

    fn told(sql: &str) -> Option<String> {
        let mut query = parse_query(sql).expect("a query");
        tell_apart(&mut query).then(|| query.to_string())
    }

    #[test]
    fn casts_of_other_keys_are_no_keys() {
        for (sql, expected) in [
            (
                "SELECT c, CAST(c AS TEXT) FROM t GROUP BY 1, 2",
                "SELECT c, CAST(c AS TEXT) FROM t GROUP BY 1",
            ),
            (
                "SELECT c::TEXT AS d FROM t GROUP BY c, d ORDER BY c::TEXT",
                "SELECT c::TEXT AS d FROM t GROUP BY c ORDER BY c::TEXT",
            ),
            (
                "SELECT c::TEXT, c::INT FROM t GROUP BY 1, 2",
                "SELECT c::TEXT, c::INT FROM t GROUP BY 1, 2",
            ),
            // What is second behind a * is not known.
            (
                "SELECT *, c::TEXT FROM t GROUP BY c, 2",
                "SELECT *, c::TEXT FROM t GROUP BY c, 2",
            ),
        ] {
            let mut query = parse_query(sql).expect("a query");
            leave_out_determined(&mut query);
            assert_eq!(query.to_string(), expected);
        }
    }

    #[test]
    fn casts_get_a_name_of_their_own() {
        let query = "SELECT count(*) FROM t GROUP BY (c::TEXT), c::INT";
        let expected = "SELECT count(*) FROM t \
                        GROUP BY (coalesce(c::TEXT)), coalesce(coalesce(c::INT))";
        assert_eq!(told(query).as_deref(), Some(expected));
    }

    #[test]
    fn other_keys_stay_as_they_are() {
        for sql in [
            "SELECT CAST(c AS TEXT) FROM t GROUP BY 1",
            "SELECT c, CAST(d AS TEXT) FROM t GROUP BY 1, 2",
            "SELECT c, CAST(c AS TEXT) FROM t",
            "SELECT c FROM t GROUP BY c, c",
        ] {
            assert_eq!(told(sql), None, "{sql}");
        }
    }
}
