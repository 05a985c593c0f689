//! The elements of `GROUPING SETS`, `ROLLUP` and `CUBE`.
//!
//! DataFusion takes each element for one column: it refuses several columns in parentheses, has no
//! plan where a column stands among them twice, and takes the position of a column in the SELECT for
//! a number. Sets within sets and `GROUP BY DISTINCT` it does not know. All of that is written as the
//! sets that it means.

use std::collections::HashSet;
use std::mem::take;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, Select, SelectItem,
};

use super::row_keys::columns;
use crate::sql::columns::output_columns::{at_position, position_of};
use crate::sql::error::SqlError;
use crate::sql::syntax::bare;

/// Writes those of a SELECT anew.
pub fn rewrite(select: &mut Select) -> Result<(), SqlError> {
    let (keys, modifiers) = match &mut select.group_by {
        GroupByExpr::Expressions(keys, modifiers) => (keys, modifiers),
        GroupByExpr::All(_) => return Ok(()),
    };
    if let Some(modifier) = modifiers.first() {
        let message = format!("{modifier} behind GROUP BY is not supported");
        return Err(SqlError::unsupported(message)
            .with_hint("write GROUP BY ROLLUP (…), CUBE (…) or GROUPING SETS (…)"));
    }
    let is_distinct = take_distinct(keys);
    if keys
        .iter()
        .any(|key| matches!(key, Expr::Tuple(columns) if !columns.is_empty()))
    {
        *keys = take(keys).into_iter().flat_map(columns).collect();
    }
    for key in keys.iter_mut() {
        resolve_positions(key, &select.projection)?;
        let is_written_out = match &*key {
            Expr::Cube(elements) | Expr::Rollup(elements) => is_concerned(elements),
            Expr::GroupingSets(_) => true,
            _ => false,
        };
        if is_written_out {
            *key = Expr::GroupingSets(sets_of(key));
            resolve_positions(key, &select.projection)?;
        }
        if let Expr::GroupingSets(sets) = key {
            *sets = take(sets).into_iter().map(without_repeats).collect();
        }
    }
    if !keys.iter().any(is_sets) {
        return Ok(());
    }
    for key in keys.iter_mut() {
        resolve_position(key, &select.projection)?;
    }
    if is_distinct || share_columns(keys) {
        *keys = vec![Expr::GroupingSets(combined(keys, is_distinct))];
    }
    Ok(())
}

/// Whether it is `GROUP BY DISTINCT`, which is read as a prefix of the first key.
fn take_distinct(keys: &mut [Expr]) -> bool {
    let Some(first) = keys.first_mut() else {
        return false;
    };
    let Some(value) = behind_distinct(first) else {
        return false;
    };
    *first = nested(value).unwrap_or_else(|| value.clone());
    true
}

/// What stands behind `DISTINCT` in GROUP BY.
pub fn behind_distinct(key: &Expr) -> Option<&Expr> {
    match key {
        Expr::Prefixed { prefix, value } if prefix.value.eq_ignore_ascii_case("distinct") => {
            Some(value.as_ref())
        }
        _ => None,
    }
}

/// What an element is that is sets itself: the parser takes `ROLLUP (a, b)` within others for a call.
pub fn nested(element: &Expr) -> Option<Expr> {
    let call = match element {
        Expr::Cube(_) | Expr::Rollup(_) | Expr::GroupingSets(_) => return Some(element.clone()),
        Expr::Function(call) => call,
        _ => return None,
    };
    let sets: fn(Vec<Vec<Expr>>) -> Expr = match call.name.to_string().to_lowercase().as_str() {
        "cube" => Expr::Cube,
        "rollup" => Expr::Rollup,
        _ => return None,
    };
    let FunctionArguments::List(list) = &call.args else {
        return None;
    };
    let elements = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(element)) => Some(columns(element.clone())),
        _ => None,
    });
    elements.collect::<Option<Vec<Vec<Expr>>>>().map(sets)
}

fn is_sets(key: &Expr) -> bool {
    matches!(key, Expr::Cube(_) | Expr::Rollup(_) | Expr::GroupingSets(_))
}

/// The sets that a key of GROUP BY means.
fn sets_of(key: &Expr) -> Vec<Vec<Expr>> {
    match key {
        Expr::Cube(elements) => subsets(elements),
        Expr::Rollup(elements) => beginnings(elements),
        Expr::GroupingSets(sets) => sets.iter().flat_map(|set| sets_of_set(set)).collect(),
        other => vec![vec![other.clone()]],
    }
}

fn sets_of_set(set: &[Expr]) -> Vec<Vec<Expr>> {
    match set {
        [element] => match nested(element) {
            Some(sets) => sets_of(&sets),
            None => vec![columns(element.clone())],
        },
        _ => vec![set.to_vec()],
    }
}

/// Whether a column stands in several keys.
fn share_columns(keys: &[Expr]) -> bool {
    let mut seen = HashSet::new();
    keys.iter().any(|key| {
        let names: HashSet<String> = sets_of(key).iter().flatten().map(name_of).collect();
        names.into_iter().any(|name| !seen.insert(name))
    })
}

/// The sets of several keys, each of them with each.
fn combined(keys: &[Expr], is_distinct: bool) -> Vec<Vec<Expr>> {
    let mut sets = vec![Vec::new()];
    for key in keys {
        let others = sets_of(key);
        let joined = sets.iter().flat_map(|set| {
            others
                .iter()
                .map(move |other| without_repeats(joined(set, other)))
        });
        sets = joined.collect();
    }
    let mut kept: Vec<Vec<Expr>> = Vec::new();
    for set in sets {
        if !is_distinct || !kept.iter().any(|other| are_one_set(other, &set)) {
            kept.push(set);
        }
    }
    kept
}

fn are_one_set(one: &[Expr], other: &[Expr]) -> bool {
    let has = |key: &Expr| other.iter().any(|other| are_same(other, key));
    one.len() == other.len() && one.iter().all(has)
}

fn resolve_positions(key: &mut Expr, columns: &[SelectItem]) -> Result<(), SqlError> {
    if let Expr::Cube(sets) | Expr::Rollup(sets) | Expr::GroupingSets(sets) = key {
        for element in sets.iter_mut().flatten() {
            resolve_position(element, columns)?;
        }
    }
    Ok(())
}

/// A number stands for a column of the SELECT.
fn resolve_position(element: &mut Expr, columns: &[SelectItem]) -> Result<(), SqlError> {
    if let Some(position) = position_of(element) {
        *element = at_position(&position, columns, "GROUP BY")?;
    }
    Ok(())
}

/// Whether some elements are more than one column, or may be the same.
fn is_concerned(elements: &[Vec<Expr>]) -> bool {
    let mut seen = HashSet::new();
    elements.iter().any(|element| match &element[..] {
        [key] => !seen.insert(name_of(key)),
        _ => true,
    })
}

/// What keys that are the same have in common, whatever they are qualified with.
fn name_of(key: &Expr) -> String {
    match key {
        Expr::Nested(inner) => name_of(inner),
        Expr::CompoundIdentifier(parts) => parts.last().map(read).unwrap_or_default(),
        Expr::Identifier(name) => read(name),
        other => other.to_string(),
    }
}

fn read(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

/// Whether keys are the same; a name that is not qualified means the one column of that name.
pub fn are_same(one: &Expr, other: &Expr) -> bool {
    let (one, other) = (bare(one), bare(other));
    let is_name = |key: &Expr| matches!(key, Expr::Identifier(_));
    let is_column = |key: &Expr| is_name(key) || matches!(key, Expr::CompoundIdentifier(_));
    let are_columns = is_column(one) && is_column(other) && (is_name(one) || is_name(other));
    one == other || are_columns && name_of(one) == name_of(other)
}

fn subsets(elements: &[Vec<Expr>]) -> Vec<Vec<Expr>> {
    let mut sets: Vec<Vec<Expr>> = vec![Vec::new()];
    for element in elements {
        let larger = sets.iter().map(|set| joined(set, element));
        let larger: Vec<Vec<Expr>> = larger.collect();
        sets.extend(larger);
    }
    sets
}

fn beginnings(elements: &[Vec<Expr>]) -> Vec<Vec<Expr>> {
    let lengths = 0..=elements.len();
    lengths.map(|length| elements[..length].concat()).collect()
}

fn joined(set: &[Expr], element: &[Expr]) -> Vec<Expr> {
    set.iter().chain(element).cloned().collect()
}

fn without_repeats(set: Vec<Expr>) -> Vec<Expr> {
    let mut kept: Vec<Expr> = Vec::new();
    for key in set {
        if !kept.iter().any(|other| are_same(other, &key)) {
            kept.push(key);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::SetExpr;

    use super::*;
    use crate::sql::statement::parse_query;

    fn rewritten(keys: &str) -> Result<String, SqlError> {
        let sql = format!("SELECT a, b + 1 AS c, count(*) FROM t GROUP BY {keys}");
        let mut query = parse_query(&sql)?;
        let SetExpr::Select(select) = query.body.as_mut() else {
            return Err(SqlError::syntax("expected a SELECT"));
        };
        rewrite(select)?;
        Ok(select.group_by.to_string())
    }

    #[test]
    fn elements_are_written_as_sets_where_they_must_be() {
        for (keys, expected) in [
            ("a, b", "GROUP BY a, b"),
            ("ROLLUP (a, b)", "GROUP BY ROLLUP (a, b)"),
            ("CUBE (a, b)", "GROUP BY CUBE (a, b)"),
            ("CUBE (a, a)", "GROUP BY GROUPING SETS ((), (a), (a), (a))"),
            (
                "ROLLUP (a, (b, c))",
                "GROUP BY GROUPING SETS ((), (a), (a, b, c))",
            ),
            (
                "ROLLUP (t.a, A)",
                "GROUP BY GROUPING SETS ((), (t.a), (t.a))",
            ),
            (
                "GROUPING SETS ((a, a), ())",
                "GROUP BY GROUPING SETS ((a), ())",
            ),
            ("ROLLUP (1, 2)", "GROUP BY ROLLUP (a, b + 1)"),
            ("(a, b), c", "GROUP BY a, b, c"),
            (
                "GROUPING SETS (ROLLUP (1, b), (c), (a, c))",
                "GROUP BY GROUPING SETS ((), (a), (a, b), (c), (a, c))",
            ),
            (
                "GROUPING SETS (CUBE ((a, b)), GROUPING SETS ((c), ()))",
                "GROUP BY GROUPING SETS ((), (a, b), (c), ())",
            ),
            ("a, ROLLUP (b)", "GROUP BY a, ROLLUP (b)"),
            ("1, ROLLUP (a)", "GROUP BY GROUPING SETS ((a), (a))"),
            (
                "ROLLUP (a, b), ROLLUP (a)",
                "GROUP BY GROUPING SETS ((), (a), (a), (a), (a, b), (a, b))",
            ),
            (
                "DISTINCT ROLLUP (a, b), ROLLUP (a)",
                "GROUP BY GROUPING SETS ((), (a), (a, b))",
            ),
            ("DISTINCT a, b", "GROUP BY a, b"),
        ] {
            assert_eq!(rewritten(keys).as_deref(), Ok(expected), "{keys}");
        }
    }

    #[test]
    fn positions_beyond_the_columns_and_modifiers_are_refused() {
        for (keys, sqlstate) in [
            ("ROLLUP (0)", "42P10"),
            ("CUBE (a, 4)", "42P10"),
            ("a WITH ROLLUP", "0A000"),
        ] {
            let refused = rewritten(keys).map_err(|error| error.sqlstate);
            assert_eq!(refused, Err(sqlstate), "{keys}");
        }
    }
}
