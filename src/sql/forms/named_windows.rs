//! Windows that have a name: `WINDOW w AS (PARTITION BY k)`, `OVER w`, `OVER (w ORDER BY id)`.
//!
//! DataFusion knows `OVER w` in the columns of a SELECT alone, and drops the name in
//! `OVER (w ORDER BY id)`, which would be another window. Here each is written where it is used.

use std::collections::HashMap;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, NamedWindowDefinition, NamedWindowExpr, Query, Select, SetExpr, VisitMut,
    WindowSpec, WindowType,
};

use crate::sql::error::SqlError;
use crate::sql::statement::identifier;
use crate::sql::syntax::edit_own_expressions;

/// Windows by their names.
type Windows = HashMap<String, WindowSpec>;

/// Writes out those that the ORDER BY of a query uses.
pub fn in_order(query: &mut Query) -> Result<(), SqlError> {
    let (SetExpr::Select(select), Some(order)) = (query.body.as_ref(), &mut query.order_by) else {
        return Ok(());
    };
    let windows = defined(&select.named_window)?;
    write_out(order, &windows)
}

/// Writes out those of a SELECT.
pub fn in_select(select: &mut Select) -> Result<(), SqlError> {
    let windows = defined(&select.named_window)?;
    write_out(&mut select.distinct, &windows)?;
    write_out(&mut select.projection, &windows)?;
    write_out(&mut select.qualify, &windows)?;
    select.named_window.clear();
    Ok(())
}

fn defined(definitions: &[NamedWindowDefinition]) -> Result<Windows, SqlError> {
    let mut windows = Windows::new();
    for NamedWindowDefinition(name, definition) in definitions {
        let window = match definition {
            NamedWindowExpr::NamedWindow(other) => found(other, &windows)?.clone(),
            NamedWindowExpr::WindowSpec(given) => completed(given, &windows)?,
        };
        if windows.insert(identifier(name), window).is_some() {
            let message = format!("there are two windows called {name}");
            return Err(SqlError::new("42P20", message).with_hint("give one of them another name"));
        }
    }
    Ok(windows)
}

fn write_out(tree: &mut impl VisitMut, windows: &Windows) -> Result<(), SqlError> {
    let mut refusal = Ok(());
    edit_own_expressions(tree, &mut |expression| {
        if let Expr::Function(call) = expression
            && let Some(over) = &mut call.over
        {
            let window = match &*over {
                WindowType::NamedWindow(name) => found(name, windows).cloned(),
                WindowType::WindowSpec(given) => completed(given, windows),
            };
            match window {
                Ok(window) => *over = WindowType::WindowSpec(window),
                Err(error) => refusal = Err(error),
            }
        }
    });
    refusal
}

fn found<'w>(name: &Ident, windows: &'w Windows) -> Result<&'w WindowSpec, SqlError> {
    windows.get(&identifier(name)).ok_or_else(|| {
        SqlError::new("42704", format!("there is no window {name}"))
            .with_hint("define it with WINDOW … AS (…), before windows that begin with it")
    })
}

/// A window with what it takes from the one that it begins with.
fn completed(given: &WindowSpec, windows: &Windows) -> Result<WindowSpec, SqlError> {
    let Some(name) = &given.window_name else {
        return Ok(given.clone());
    };
    let window = found(name, windows)?;
    let whole = "write the whole window in OVER (…)";
    let clash = if !given.partition_by.is_empty() {
        Some(("takes no other PARTITION BY", whole))
    } else if !given.order_by.is_empty() && !window.order_by.is_empty() {
        Some(("has an ORDER BY already", whole))
    } else if window.window_frame.is_some() {
        let plain = "write OVER and its name without parentheses";
        Some(("has a frame, so no other begins with it", plain))
    } else {
        None
    };
    if let Some((what, hint)) = clash {
        let message = format!("the window {name} {what}");
        return Err(SqlError::new("42P20", message).with_hint(hint));
    }
    let order = match given.order_by.is_empty() {
        true => &window.order_by,
        false => &given.order_by,
    };
    Ok(WindowSpec {
        window_name: None,
        partition_by: window.partition_by.clone(),
        order_by: order.clone(),
        window_frame: given.window_frame.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::statement::parse_query;

    fn written(windows: &str, over: &str) -> Result<String, SqlError> {
        let sql = format!("SELECT sum(n) OVER {over} FROM t WINDOW {windows}");
        let mut query = parse_query(&sql)?;
        let SetExpr::Select(select) = query.body.as_mut() else {
            return Err(SqlError::syntax("expected a SELECT"));
        };
        in_select(select)?;
        Ok(select.to_string())
    }

    #[test]
    fn windows_are_written_where_they_are_used() {
        for (windows, over, expected) in [
            ("w AS (PARTITION BY k)", "W", "PARTITION BY k"),
            (
                "w AS (PARTITION BY k)",
                "(w ORDER BY id)",
                "PARTITION BY k ORDER BY id",
            ),
            (
                "w AS (PARTITION BY k), x AS (w ORDER BY id)",
                "x",
                "PARTITION BY k ORDER BY id",
            ),
            (
                "w AS (ORDER BY id)",
                "(w ROWS 2 PRECEDING)",
                "ORDER BY id ROWS 2 PRECEDING",
            ),
        ] {
            let expected = format!("SELECT sum(n) OVER ({expected}) FROM t");
            assert_eq!(written(windows, over), Ok(expected), "{over}");
        }
    }

    #[test]
    fn windows_are_written_into_the_order_of_a_query() {
        let sql = "SELECT id FROM t WINDOW w AS (PARTITION BY k) ORDER BY sum(n) OVER w";
        let written = parse_query(sql).and_then(|mut query| {
            in_order(&mut query)?;
            Ok(query.order_by.map(|order| order.to_string()))
        });
        let expected = "ORDER BY sum(n) OVER (PARTITION BY k)";
        assert_eq!(written, Ok(Some(expected.to_owned())));
    }

    #[test]
    fn windows_that_are_not_there_or_do_not_go_together_are_refused() {
        for (windows, over, sqlstate) in [
            ("w AS (ORDER BY id)", "x", "42704"),
            ("w AS (ORDER BY id)", "(x ROWS 2 PRECEDING)", "42704"),
            ("w AS (x), x AS (ORDER BY id)", "w", "42704"),
            ("w AS (ORDER BY id)", "(w ORDER BY k)", "42P20"),
            ("w AS (ORDER BY id)", "(w PARTITION BY k)", "42P20"),
            ("w AS (ORDER BY id ROWS 2 PRECEDING)", "(w)", "42P20"),
            ("w AS (ORDER BY id), w AS (ORDER BY k)", "w", "42P20"),
        ] {
            let refused = written(windows, over).map_err(|error| error.sqlstate);
            assert_eq!(refused, Err(sqlstate), "{windows} {over}");
        }
    }
}
