//! What is wrong with a statement as it is written.

use super::super::error::SqlError;
use super::super::types;

/// Parts of texts with the SQLSTATEs that they stand for.
const STATES: [(&str, &str); 34] = [
    (
        "Aggregate functions are not allowed in the WHERE clause",
        "42803",
    ),
    ("must appear in the GROUP BY clause", "42803"),
    ("to grouping function is not in grouping columns", "42803"),
    ("Aggregate function calls cannot be nested", "42803"),
    ("cannot contain window function calls", "42803"),
    ("indow function calls cannot be nested", "42P20"),
    ("QUALIFY clause requires window functions", "42601"),
    ("should satisfy `0 < precision", "22023"),
    ("step can't be 0", "22023"),
    ("stride must be non-zero", "22023"),
    ("Invalid HexStringLiteral", "42601"),
    ("RANGE requires exactly one ORDER BY", "42P20"),
    ("GROUPS requires an ORDER BY", "42P20"),
    ("frame offsets for ROWS / GROUPS must be", "22013"),
    ("Invalid window frame", "42P20"),
    ("LIMIT must be >=", "2201W"),
    ("OFFSET must be >=", "2201X"),
    ("names given as column alias", "42P10"),
    ("must match initial ORDER BY expressions", "42P10"),
    ("Inconsistent data length across values list", "42601"),
    ("Inconsistent data type across values list", "42804"),
    ("Cannot access field at argument", "42804"),
    ("queries have different number of columns", "42601"),
    ("should only return one column", "42601"),
    ("specified more than once", "42712"),
    ("is defined multiple times", "42712"),
    ("For SELECT DISTINCT, ORDER BY expressions", "42P10"),
    ("Order by column out of bounds", "42P10"),
    ("Order by index starts at 1", "42P10"),
    ("Cannot find column with position", "42P10"),
    ("Invalid placeholder", "42P02"),
    ("is not defined!", "42704"),
    ("more than one row", "21000"),
    ("SELECT * with no tables specified", "42601"),
];

/// What is wrong, by the text that says so.
pub(super) fn of_text(text: &str) -> Option<SqlError> {
    not_grouped(text)
        .or_else(|| missing(text))
        .or_else(|| not_understood(text))
        .or_else(|| {
            let mut states = STATES.iter();
            let &(_, sqlstate) = states.find(|(part, _)| text.contains(part))?;
            Some(SqlError::new(sqlstate, text))
        })
}

fn not_grouped(text: &str) -> Option<SqlError> {
    let (_, rest) = text.split_once("While expanding wildcard, column \"")?;
    let (column, _) = rest.split_once("\" must appear in the GROUP BY clause")?;
    let message = format!(
        "column \"{column}\" must appear in the GROUP BY clause or be used in an aggregate function"
    );
    let error = SqlError::new("42803", message).about(column.rsplit('.').next().unwrap_or(column));
    Some(error.with_hint(format!(
        "group by it, or take one of its values, as min({column})"
    )))
}

/// A table or a value that is not there.
fn missing(text: &str) -> Option<SqlError> {
    if let Some(name) = text.strip_prefix("Invalid qualifier ") {
        let message = format!("no table in FROM is called \"{name}\"");
        return Some(SqlError::new("42P01", message).about(name));
    }
    if let Some(rest) = text.strip_prefix("Placeholder '") {
        let (name, _) = rest.split_once("' was not provided a value")?;
        let error = SqlError::new("42P02", format!("there is no value for {name}"));
        return Some(error.with_hint("bind one, or PREPARE the statement and EXECUTE it with one"));
    }
    if text.starts_with("Cannot run range queries on datatype") {
        let message = "RANGE with a distance needs an order by numbers, dates or times";
        return Some(SqlError::unsupported(message).with_hint("write ROWS or GROUPS"));
    }
    None
}

/// A part of SQL that there is not, of which DataFusion tells its whole inside.
fn not_understood(text: &str) -> Option<SqlError> {
    if let Some(rest) = text.strip_prefix("Physical plan does not support logical expression ") {
        let (kind, _) = rest.split_once('(')?;
        return Some(match kind {
            "WindowFunction" => {
                let message =
                    "window functions stand in the list of a SELECT, ORDER BY and QUALIFY";
                SqlError::new("42P20", message).with_hint("filter by them with QUALIFY")
            }
            other => SqlError::unsupported(format!("{other} is not supported here")),
        });
    }
    if let Some(written) = text.strip_prefix("Unsupported SQL type ") {
        // Before a type that takes no numbers in parentheses.
        let written = written.trim_start_matches("(precision/scale not supported) ");
        return Some(types::refusal(written));
    }
    let rest = text.strip_prefix("Unsupported Value '")?;
    let (kind, _) = rest.split_once('(')?;
    let message = format!("values of the form {kind} are not supported");
    Some(SqlError::unsupported(message))
}

#[cfg(test)]
mod tests {
    use super::super::of_text;

    #[test]
    fn columns_that_are_not_grouped_are_named() {
        let text = "Error during planning: Column in SELECT must be in GROUP BY or an aggregate \
                    function: While expanding wildcard, column \"r.b\" must appear in the GROUP BY \
                    clause or must be part of an aggregate function, currently only \"r.a\" \
                    appears in the SELECT clause satisfies this requirement";
        let error = of_text(text).expect("known");
        assert_eq!(error.sqlstate, "42803");
        assert_eq!(error.about.as_deref(), Some("b"));
    }

    #[test]
    fn the_inside_of_the_parser_is_not_told() {
        let text = "Error during planning: Unsupported Value 'NationalStringLiteral(\"x\")'";
        let error = of_text(text).expect("known");
        assert_eq!(
            error.message,
            "values of the form NationalStringLiteral are not supported"
        );
        assert_eq!(error.sqlstate, "0A000");
    }
}
