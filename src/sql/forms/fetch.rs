//! `FETCH FIRST n ROWS ONLY` and `FETCH FIRST n ROWS WITH TIES`.
//!
//! The first is `LIMIT n`. With ties there are all rows whose rank is among the first n.

use datafusion::sql::sqlparser::ast::{
    Expr, LimitClause, OrderByExpr, OrderByKind, Query, SelectItem, SetExpr, Value,
};

use super::over_rows::value;
use crate::sql::columns::output_columns::meant;
use crate::sql::error::SqlError;
use crate::sql::place::of_part;

/// Writes that of a query as LIMIT or as a condition on the rank of its rows.
pub fn as_limit(query: &mut Query) -> Result<(), SqlError> {
    let Some(fetch) = query.fetch.take() else {
        return Ok(());
    };
    // The number is all of it that has a place.
    let place = fetch.quantity.as_ref().and_then(of_part);
    if fetch.percent {
        let error = SqlError::unsupported(format!("{fetch} is not supported")).at_known(place);
        return Err(error.with_hint("write how many rows: FETCH FIRST n ROWS ONLY"));
    }
    let count = fetch.quantity;
    let count = count.unwrap_or_else(|| Expr::value(Value::Number("1".to_owned(), false)));
    let offset = match &query.limit_clause {
        None => None,
        Some(LimitClause::LimitOffset {
            limit: None,
            offset,
            limit_by,
        }) if limit_by.is_empty() => offset.clone(),
        Some(_) => {
            let error = SqlError::syntax("write LIMIT or FETCH, not both");
            return Err(error.at_known(place));
        }
    };
    if fetch.with_ties {
        let last = match &offset {
            None => count.to_string(),
            Some(offset) => format!("({}) + ({count})", offset.value),
        };
        return with_ties(query, &last).map_err(|error| match error.place {
            None => error.at_known(place),
            Some(_) => error,
        });
    }
    query.limit_clause = Some(LimitClause::LimitOffset {
        limit: Some(count),
        offset,
        limit_by: Vec::new(),
    });
    Ok(())
}

/// Rows up to the last position, and those that are no farther behind than the row there.
fn with_ties(query: &mut Query, last: &str) -> Result<(), SqlError> {
    let keys = match query.order_by.as_ref().map(|order| &order.kind) {
        Some(OrderByKind::Expressions(keys)) => keys.clone(),
        _ => {
            let error = SqlError::syntax("WITH TIES needs an ORDER BY that says what ties are");
            return Err(error.with_hint("FETCH FIRST n ROWS ONLY takes any rows"));
        }
    };
    match query.body.as_mut() {
        SetExpr::Select(select) if select.distinct.is_none() && select.qualify.is_none() => {
            select.qualify = Some(is_among_first(&keys, &select.projection, last)?);
            Ok(())
        }
        _ => {
            let error = SqlError::unsupported(
                "WITH TIES is not supported beside DISTINCT, QUALIFY, UNION and the like",
            );
            Err(error.with_hint(
                "put these into a subquery: SELECT * FROM (…) AS q ORDER BY … FETCH FIRST n ROWS \
                 WITH TIES",
            ))
        }
    }
}

/// `rank() OVER (ORDER BY …) <= last`
fn is_among_first(
    keys: &[OrderByExpr],
    columns: &[SelectItem],
    last: &str,
) -> Result<Expr, SqlError> {
    let keys = keys.iter().map(|key| {
        let expr = meant(&key.expr, columns, "ORDER BY")?;
        let options = key.options;
        Ok(format!("{expr}{options}"))
    });
    let keys = keys.collect::<Result<Vec<String>, SqlError>>()?.join(", ");
    value(&format!("SELECT rank() OVER (ORDER BY {keys}) <= {last}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::statement::parse_query;

    fn rewritten(query: &str) -> Result<String, SqlError> {
        let mut query = parse_query(query)?;
        as_limit(&mut query)?;
        Ok(query.to_string())
    }

    #[test]
    fn ties_are_rows_of_one_rank() {
        for (query, expected) in [
            (
                "SELECT a FROM t ORDER BY a FETCH FIRST 2 ROWS ONLY",
                "SELECT a FROM t ORDER BY a LIMIT 2",
            ),
            (
                "SELECT a AS x, b FROM t ORDER BY x DESC NULLS LAST, 2 FETCH NEXT ROW WITH TIES",
                "SELECT a AS x, b FROM t QUALIFY rank() OVER (ORDER BY a DESC NULLS LAST, b) <= 1 \
                 ORDER BY x DESC NULLS LAST, 2",
            ),
            (
                "SELECT a FROM t ORDER BY a OFFSET 3 ROWS FETCH FIRST 2 ROWS WITH TIES",
                "SELECT a FROM t QUALIFY rank() OVER (ORDER BY a) <= (3) + (2) ORDER BY a \
                 OFFSET 3 ROWS",
            ),
        ] {
            assert_eq!(rewritten(query).as_deref(), Ok(expected), "{query}");
        }
    }

    #[test]
    fn ties_without_an_order_are_refused() {
        for (query, sqlstate) in [
            ("SELECT a FROM t FETCH FIRST 2 ROWS WITH TIES", "42601"),
            (
                "SELECT DISTINCT a FROM t ORDER BY a FETCH FIRST 2 ROWS WITH TIES",
                "0A000",
            ),
            (
                "SELECT a FROM t ORDER BY a LIMIT 1 FETCH FIRST ROW ONLY",
                "42601",
            ),
        ] {
            let refused = rewritten(query).map_err(|error| error.sqlstate);
            assert_eq!(refused, Err(sqlstate), "{query}");
        }
    }
}
