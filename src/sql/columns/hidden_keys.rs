//! Rows in the order of columns that are not shown: these stand in the query below, and the one above
//! leaves them out.

use std::collections::HashSet;
use std::mem::{replace, swap};

use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Expr, Ident, ObjectName, Query, Select, SelectItem, SetExpr, TableFactor,
    WildcardAdditionalOptions,
};

use super::output_columns::position_of;
use super::relation_columns::merges_columns;
use super::same_names::column_name;
use crate::sql::error::SqlError;
use crate::sql::forms::over_rows::ROWS;
use crate::sql::statement::{identifier, parse_query};
use crate::sql::syntax::bare;

/// Makes a key a column of its own that is not shown.
pub fn hide(key: &mut Expr, added: &mut Vec<SelectItem>) {
    let alias = order_name(added.len() + 1);
    let expr = replace(key, Expr::Identifier(alias.clone()));
    added.push(SelectItem::ExprWithAlias { expr, alias });
}

/// The names that the columns of a SELECT have.
pub fn output_names(select: &Select) -> HashSet<String> {
    let names = select.projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(identifier(alias)),
        SelectItem::UnnamedExpr(value) => column_name(value),
        _ => None,
    });
    names.collect()
}

/// Whether a key is a column that the query above knows: a hidden one, one of its own, a position.
pub fn is_known_above(key: &Expr, shown: &HashSet<String>) -> bool {
    match bare(key) {
        Expr::Identifier(name) => is_hidden(name) || shown.contains(&identifier(name)),
        key => position_of(key).is_some(),
    }
}

/// What a column for a key is called.
fn order_name(number: usize) -> Ident {
    Ident::with_quote('"', format!("[order {number}]"))
}

fn is_hidden(name: &Ident) -> bool {
    name.value.starts_with("[order ")
}

/// The columns of a SELECT as a query over its rows asks for them by their names: `Some(None)` where
/// not each has a name of its own, `None` where all of them together would be other columns, too.
pub fn shown_columns(select: &Select) -> Option<Option<Vec<SelectItem>>> {
    let names = select.projection.iter().map(|item| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last(),
        _ => None,
    });
    let names: Option<Vec<&Ident>> = names.collect();
    let mut seen = HashSet::new();
    match names {
        Some(names) if names.iter().all(|name| seen.insert(identifier(name))) => {
            let columns = names.into_iter().cloned().map(Expr::Identifier);
            Some(Some(columns.map(SelectItem::UnnamedExpr).collect()))
        }
        // In * such a column stands once, however often it is selected.
        _ if select.from.iter().any(merges_columns) => None,
        _ => Some(None),
    }
}

/// All columns but those of so many keys.
pub fn all_but(keys: usize) -> SelectItem {
    let names = (1..=keys).map(|number| ObjectName::from(vec![order_name(number)]));
    SelectItem::Wildcard(WildcardAdditionalOptions {
        opt_exclude: Some(ExcludeSelectItem::Multiple(names.collect())),
        ..WildcardAdditionalOptions::default()
    })
}

/// Puts the rows of a query below one that shows some of their columns, in the order of others.
pub fn put_below(query: &mut Query, shown: Vec<SelectItem>) -> Result<(), SqlError> {
    let mut rows = parse_query(&format!("SELECT * FROM {ROWS}"))?;
    swap(&mut rows.body, &mut query.body);
    if let SetExpr::Select(select) = query.body.as_mut()
        && let Some(tables) = select.from.first_mut()
    {
        select.projection = shown;
        tables.relation = TableFactor::Derived {
            lateral: false,
            subquery: rows,
            alias: None,
            sample: None,
        };
    }
    Ok(())
}
