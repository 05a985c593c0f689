//! The columns of a SELECT, as keys of ORDER BY, DISTINCT ON and GROUP BY ask for them: by position
//! or by name.

use datafusion::sql::sqlparser::ast::{Expr, SelectItem, Value};

use crate::sql::error::SqlError;
use crate::sql::statement::identifier;

/// What a key is: the value of the column that it stands for, else itself.
pub fn meant(key: &Expr, columns: &[SelectItem], clause: &str) -> Result<Expr, SqlError> {
    if let Some(position) = position_of(key) {
        return at_position(&position, columns, clause);
    }
    let Expr::Identifier(name) = key else {
        return Ok(key.clone());
    };
    let name = identifier(name);
    let named = columns.iter().find_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } if identifier(alias) == name => Some(expr),
        _ => None,
    });
    Ok(named.unwrap_or(key).clone())
}

/// The position of a column that a key is.
pub fn position_of(key: &Expr) -> Option<String> {
    match key {
        Expr::Value(value) => match &value.value {
            Value::Number(position, _) => Some(position.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The value of the column at a position, counted from 1.
pub fn at_position(position: &str, columns: &[SelectItem], clause: &str) -> Result<Expr, SqlError> {
    let place = position.parse::<usize>().ok();
    let place = place.and_then(|position| position.checked_sub(1));
    // Behind a * it is not known which column is at a position.
    let before = place.and_then(|place| columns.get(..=place));
    let values =
        before.and_then(|items| items.iter().map(value_of).collect::<Option<Vec<&Expr>>>());
    match values.and_then(|values| values.last().copied().cloned()) {
        Some(value) => Ok(value),
        None => {
            let message = format!("{clause} position {position} is not in the SELECT");
            Err(SqlError::new("42P10", message).with_hint("name the column"))
        }
    }
}

/// What a column of a SELECT computes; `None` for `*` and the like.
pub fn value_of(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. } => {
            Some(value)
        }
        _ => None,
    }
}

/// What a column of a SELECT is called, if it is known here.
pub fn name_of(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(identifier(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(identifier(name)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(identifier),
        _ => None,
    }
}
