//! The elements of `GROUPING SETS`, `ROLLUP` and `CUBE`.
//!
//! DataFusion takes each element for one column: it refuses several columns in parentheses, has no
//! plan where a column stands among them twice, and takes the position of a column in the SELECT for
//! a number. Such a `ROLLUP` or `CUBE` is written as the sets that it means.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{Expr, GroupByExpr, Ident, Select, SelectItem};

use super::error::SqlError;
use super::output_columns::{at_position, position_of};

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
    for key in keys {
        if let Expr::Cube(sets) | Expr::Rollup(sets) | Expr::GroupingSets(sets) = key {
            for element in sets.iter_mut().flatten() {
                resolve_position(element, &select.projection)?;
            }
        }
        let sets = match &*key {
            Expr::Cube(elements) if is_concerned(elements) => subsets(elements),
            Expr::Rollup(elements) if is_concerned(elements) => beginnings(elements),
            Expr::GroupingSets(sets) => sets.clone(),
            _ => continue,
        };
        let sets = sets.into_iter().map(without_repeats);
        *key = Expr::GroupingSets(sets.collect());
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
fn are_same(one: &Expr, other: &Expr) -> bool {
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

    use super::super::statement::parse_query;
    use super::*;

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
