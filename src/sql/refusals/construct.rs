//! Constructs that are read, and that nobody plans.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr as Ast, Query};

use crate::sql::error::{Place, SqlError};
use crate::sql::syntax::edit_expressions;

/// What DataFusion says before it shows the syntax tree of a construct.
const BEFORE_TREES: [&str; 3] = [
    "Unsupported ast node in sqltorel: ",
    "Unsupported ast node ",
    "Unsupported JOIN operator ",
];

/// What is planned everywhere but as a time zone.
const PLANNED: [&str; 8] = [
    "IDENTIFIER",
    "COMPOUND IDENTIFIER",
    "FUNCTION",
    "BINARY OP",
    "NESTED",
    "SUBQUERY",
    "CAST",
    "CASE",
];

/// Ways out, by the names of constructs.
const WAYS_OUT: [(&str, &str); 11] = [
    (
        "COLLATE",
        "texts are compared byte by byte, as with COLLATE \"C\"; compare lower(…) where case does \
         not count",
    ),
    (
        "PIVOT",
        "write an aggregate for each column: sum(x) FILTER (WHERE k = 1), sum(x) FILTER (WHERE \
         k = 2), …",
    ),
    (
        "UNPIVOT",
        "write a SELECT for each column, with UNION ALL between them",
    ),
    (
        "MATCH RECOGNIZE",
        "compare rows with lag() and lead(), and keep those that are wanted with QUALIFY",
    ),
    ("CROSS APPLY", "write CROSS JOIN LATERAL (…)"),
    ("OUTER APPLY", "write LEFT JOIN LATERAL (…) ON true"),
    ("SEMI JOIN", "write LEFT SEMI JOIN, or WHERE EXISTS (…)"),
    ("ANTI JOIN", "write LEFT ANTI JOIN, or WHERE NOT EXISTS (…)"),
    ("TABLE FUNCTION", "write the function without TABLE(…)"),
    (
        "JSON TABLE",
        "take the elements apart with json_array_elements(…) in FROM, and their members with ->>",
    ),
    (
        "MATCH AGAINST",
        "write LIKE, or a regular expression with ~",
    ),
];

/// The refusal of a construct whose syntax tree a message shows, with its name and its place;
/// `None` for other messages.
pub fn refusal(message: &str) -> Option<SqlError> {
    let tree = BEFORE_TREES
        .iter()
        .find_map(|before| message.strip_prefix(before));
    let error = match tree {
        Some(tree) if PLANNED.contains(&name_of(tree).as_str()) => {
            SqlError::unsupported("a time zone that is computed is not supported")
                .with_hint("write it as a text: AT TIME ZONE 'Europe/Berlin'")
        }
        Some(tree) => {
            let name = name_of(tree);
            let error = SqlError::unsupported(format!("{name} is not supported"));
            match WAYS_OUT.iter().find(|(other, _)| *other == name) {
                Some((_, way)) => error.with_hint(*way),
                None => error,
            }
        }
        None if message.contains("Span(Location(") => {
            let said = message.split_once(": ").map_or(message, |(said, _)| said);
            SqlError::unsupported(match said.to_lowercase().contains("support") {
                true => said.to_owned(),
                false => format!("{said}: not supported in this form"),
            })
        }
        None => return None,
    };
    Some(match first_place(message) {
        Some(place) => error.at(place),
        None => error,
    })
}

/// The name of a construct as it is written in SQL, from that of its syntax tree.
fn name_of(tree: &str) -> String {
    let mut name = String::new();
    for letter in tree.chars().take_while(char::is_ascii_alphanumeric) {
        if letter.is_ascii_uppercase() && name.ends_with(|last: char| last.is_ascii_lowercase()) {
            name.push(' ');
        }
        name.push(letter);
    }
    match name.to_uppercase() {
        name if name == "SEMI" || name == "ANTI" => format!("{name} JOIN"),
        name => name,
    }
}

/// The place of the first part of a syntax tree that has one.
fn first_place(message: &str) -> Option<Place> {
    let mut places = message.split("Location(").skip(1).filter_map(|text| {
        let (place, _) = text.split_once(')')?;
        let (line, column) = place.split_once(',')?;
        let line: u64 = line.trim().parse().ok()?;
        let column: u64 = column.trim().parse().ok()?;
        // What the parser adds itself has the place 0.
        (line > 0).then_some(Place { line, column })
    });
    places.next()
}

/// Refuses functions that take lambdas: `x -> x + 1` is read as `x` with the member `x + 1`.
pub fn refuse_lambdas(
    query: &mut Query,
    takes_lambda: &dyn Fn(&str) -> bool,
) -> Result<(), SqlError> {
    let mut refusal = Ok(());
    // Where it breaks off, there is a refusal.
    let _ = edit_expressions(query, &mut |expression| {
        let Ast::Function(call) = expression else {
            return ControlFlow::Continue(());
        };
        let name = call.name.to_string().to_lowercase();
        if !takes_lambda(&name) {
            return ControlFlow::Continue(());
        }
        let message = format!("{name}() takes a lambda (x -> …), and there are none");
        refusal = Err(SqlError::unsupported(message).about(name).with_hint(
            "take the list apart with unnest(…) in FROM, compute with its elements, and gather \
             them with array_agg(…)",
        ));
        ControlFlow::Break(())
    });
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constructs_are_told_by_name_and_place() {
        let tree = "Unsupported ast node in sqltorel: Collate { expr: Value(Span(Location(0,0)..\
                    Location(0,0))), collation: Span(Location(2,17)..Location(2,20)) }";
        let error = refusal(tree).expect("a refusal");
        assert_eq!(
            error.to_string(),
            "COLLATE is not supported (line 2, column 17)"
        );
        assert!(error.hint.is_some());
        let tree = "Unsupported ast node MatchRecognize { table: 1 } in create_relation";
        let error = refusal(tree).expect("a refusal");
        assert_eq!(error.to_string(), "MATCH RECOGNIZE is not supported");
        assert!(error.hint.is_some());
        assert_eq!(
            refusal("Unsupported JOIN operator Semi(None)").map(|error| error.message),
            Some("SEMI JOIN is not supported".to_owned())
        );
        assert_eq!(
            refusal("Unsupported ast node in sqltorel: BinaryOp { left: 1 }")
                .map(|error| error.message),
            Some("a time zone that is computed is not supported".to_owned())
        );
        assert_eq!(refusal("ORDER BY INTERPOLATE is not supported"), None);
    }
}
