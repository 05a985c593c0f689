//! Refusals of statements, in words for the user.

use std::fmt;

use arrow::error::ArrowError;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use super::place::of_span;

/// Why a statement is refused, with the SQLSTATE that Postgres clients expect and, where there is
/// one, a way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", place.map(|place| format!(" ({place})")).unwrap_or_default())]
pub struct SqlError {
    /// What is wrong.
    pub message: String,
    /// Where in the text of the statement, if that is known.
    pub place: Option<Place>,
    /// The name of the table, column or function that it is about, where there is one.
    pub about: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Five characters, as in the PostgreSQL manual's appendix A.
    pub sqlstate: &'static str,
}

/// A place in the text of a statement, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The character in it.
    pub column: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

impl Place {
    /// A message of the parser without the place at its end, and the place.
    fn taken_from(message: &str) -> (&str, Option<Place>) {
        let parts = message.rsplit_once(" at Line: ");
        let place = parts.and_then(|(_, place)| {
            let (line, column) = place.split_once(", Column: ")?;
            Some(Place {
                line: line.parse().ok()?,
                column: column.parse().ok()?,
            })
        });
        match (parts, place) {
            (Some((message, _)), Some(place)) => (message, Some(place)),
            _ => (message, None),
        }
    }
}

impl SqlError {
    /// An error of a given class.
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> SqlError {
        SqlError {
            message: message.into(),
            place: None,
            about: None,
            hint: None,
            sqlstate,
        }
    }

    /// Something that cannot be maintained, or that Mainstem does not have (0A000).
    pub fn unsupported(message: impl Into<String>) -> SqlError {
        SqlError::new("0A000", message)
    }

    /// Text that is not SQL (42601).
    pub fn syntax(message: impl Into<String>) -> SqlError {
        SqlError::new("42601", message)
    }

    /// A table or view that is not there (42P01).
    pub fn undefined_table(name: &str) -> SqlError {
        SqlError::new(
            "42P01",
            format!("there is no table or view called \"{name}\""),
        )
        .about(name)
        .with_hint("SHOW TABLES and SHOW VIEWS list what there is")
    }

    /// A name that is taken (42P07).
    pub fn duplicate(name: &str) -> SqlError {
        SqlError::new("42P07", format!("\"{name}\" exists already"))
    }

    /// A correlated subquery that can't be taken apart (0A000).
    pub fn no_equivalent_join() -> SqlError {
        SqlError::unsupported("this correlated subquery has no equivalent join").with_hint(
            "write it as a join with a grouped query; for the first rows of each, with one \
                 that keeps positions of ROW_NUMBER() OVER (PARTITION BY … ORDER BY …)",
        )
    }

    /// Adds what it is about, by which its place is found.
    pub fn about(mut self, name: impl Into<String>) -> SqlError {
        self.about = Some(name.into());
        self
    }

    /// Adds where it is.
    pub fn at(mut self, place: Place) -> SqlError {
        self.place = Some(place);
        self
    }

    /// Adds what to do.
    pub fn with_hint(mut self, hint: impl Into<String>) -> SqlError {
        self.hint = Some(hint.into());
        self
    }
}

impl From<ParserError> for SqlError {
    fn from(error: ParserError) -> SqlError {
        let text = match error {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
            ParserError::RecursionLimitExceeded => {
                return SqlError::new("54001", "the statement is nested too deep");
            }
        };
        let (text, place) = Place::taken_from(&text);
        let text = text.replacen("Expected: ", "expected ", 1);
        SqlError {
            place,
            ..SqlError::syntax(text)
        }
    }
}

impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> SqlError {
        let place = error.diagnostic().and_then(|diagnostic| diagnostic.span);
        let place = place.map(of_span);
        let error = of_root(error.find_root());
        SqlError {
            place: error.place.or(place),
            ..error
        }
    }
}

fn of_root(root: &DataFusionError) -> SqlError {
    if let DataFusionError::External(inner) = root
        && let Some(error) = inner.downcast_ref::<SqlError>()
    {
        return error.clone();
    }
    match root {
        DataFusionError::SQL(parser, _) => return parser.as_ref().clone().into(),
        DataFusionError::SchemaError(schema, _) => return of_schema(schema),
        _ => {}
    }
    let message = root.strip_backtrace();
    if message.contains("OuterReferenceColumn") {
        return SqlError::no_equivalent_join();
    }
    let sqlstate = match root {
        DataFusionError::NotImplemented(_) => "0A000",
        DataFusionError::ResourcesExhausted(_) => "53200",
        DataFusionError::Plan(_) => "42000",
        DataFusionError::ArrowError(error, _)
            if matches!(error.as_ref(), ArrowError::ArithmeticOverflow(_)) =>
        {
            "22003"
        }
        DataFusionError::ArrowError(..) | DataFusionError::Execution(_) => "22000",
        _ => "XX000",
    };
    let text = without_noise(&message);
    if let Some(rest) = text.strip_prefix("Invalid function '") {
        return no_function(rest);
    }
    if text.starts_with("Projections require unique expression names") {
        let expression = text.split('"').nth(1).unwrap_or_default();
        return SqlError::new("42701", format!("two columns are called {expression}"))
            .with_hint("give each column a name of its own with AS");
    }
    SqlError::new(sqlstate, text)
}

/// What DataFusion says without the kind of error, which the SQLSTATE tells.
pub(super) fn without_noise(message: &str) -> &str {
    let noise = [
        "Error during planning: ",
        "Schema error: ",
        "Execution error: ",
        "This feature is not implemented: ",
    ];
    noise.iter().fold(message, |text, prefix| {
        text.strip_prefix(prefix).unwrap_or(text)
    })
}

/// A function that is not there, from what DataFusion says of it and of one that is.
fn no_function(text: &str) -> SqlError {
    let mut names = text.split('\'');
    let name = names.next().unwrap_or_default();
    let error = SqlError::new("42883", format!("there is no function {name}()")).about(name);
    match names.nth(1).filter(|similar| is_close(name, similar)) {
        Some(similar) => error.with_hint(format!("is {similar}() meant?")),
        None => error,
    }
}

/// DataFusion proposes the nearest of its functions, however far that is.
fn is_close(name: &str, similar: &str) -> bool {
    let slips_allowed = name.chars().count() / 3;
    strsim::osa_distance(&name.to_lowercase(), &similar.to_lowercase()) <= slips_allowed
}

fn of_schema(error: &SchemaError) -> SqlError {
    match error {
        SchemaError::FieldNotFound {
            field,
            valid_fields,
        } => {
            let message = format!("there is no column {}", field.quoted_flat_name());
            let there: Vec<String> = valid_fields.iter().map(Column::quoted_flat_name).collect();
            let error = SqlError::new("42703", message).about(field.name());
            match &there[..] {
                [] => error,
                there => error.with_hint(format!("there are: {}", there.join(", "))),
            }
        }
        SchemaError::AmbiguousReference { field } => {
            let name = field.quoted_flat_name();
            SqlError::new("42702", format!("several tables have a column {name}"))
                .about(field.name())
                .with_hint("put the name of the table before it, and a dot")
        }
        other => SqlError::new("42000", other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_functions_of_similar_names_are_proposed() {
        let hint = |name: &str, similar: &str| {
            no_function(&format!("{name}'.\nDid you mean '{similar}'?")).hint
        };
        for (name, similar) in [("cuont", "count"), ("sums", "sum"), ("lenght", "length")] {
            let expected = format!("is {similar}() meant?");
            assert_eq!(hint(name, similar), Some(expected));
        }
        for (name, similar) in [
            ("pg_sleep", "degrees"),
            ("kurtosis", "rtrim"),
            ("nextval", "nanvl"),
            ("f", "ln"),
        ] {
            assert_eq!(hint(name, similar), None, "{name}");
        }
    }
}
