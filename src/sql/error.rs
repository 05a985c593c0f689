//! Refusals of statements, in words for the user.

use std::fmt;

use arrow::error::ArrowError;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use super::place::of_span;
use super::reason;
use super::refusals::construct;

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

    /// The same, where one of other names may be meant.
    pub fn undefined_among<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> SqlError {
        let error = SqlError::undefined_table(name);
        match nearest(name, names) {
            Some(similar) => error.with_hint(format!("is {similar} meant?")),
            None => error,
        }
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

    /// A subquery within a subquery that can't be taken apart (0A000).
    pub fn reads_two_levels_out() -> SqlError {
        SqlError::unsupported(
            "a subquery within this correlated subquery reads columns of the query two levels out, \
             and there is no equivalent join",
        )
        .with_hint(
            "join the tables of the two subqueries in one, so that it reads columns one level out",
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

    /// Adds where it is, if that is known.
    pub fn at_known(mut self, place: Option<Place>) -> SqlError {
        self.place = place.or(self.place);
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
        let hint = match text.as_str() {
            "Unterminated string literal" => Some("close it with ', and write ' in it as ''"),
            _ => None,
        };
        SqlError {
            place,
            hint: hint.map(str::to_owned),
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

/// The refusal that the innermost of some errors is.
pub(super) fn of_root(root: &DataFusionError) -> SqlError {
    match root {
        DataFusionError::External(inner) => {
            if let Some(error) = inner.downcast_ref::<SqlError>() {
                return error.clone();
            }
            let text = inner.to_string();
            return reason::of_text(&text).unwrap_or_else(|| SqlError::new("XX000", text));
        }
        DataFusionError::SQL(parser, _) => return parser.as_ref().clone().into(),
        DataFusionError::SchemaError(schema, _) => return of_schema(schema),
        DataFusionError::Collection(errors) => {
            if let Some(first) = errors.first() {
                return of_root(first.find_root());
            }
        }
        _ => {}
    }
    let message = root.strip_backtrace();
    if message.contains("OuterReferenceColumn") || message.contains("undecorrelated Subquery") {
        return SqlError::no_equivalent_join();
    }
    let text = reason::bare(&message);
    let sqlstate = match root {
        DataFusionError::NotImplemented(_) => "0A000",
        DataFusionError::ResourcesExhausted(_) => return SqlError::new("53200", text),
        DataFusionError::Plan(_) => "42000",
        DataFusionError::Configuration(_) => "22023",
        DataFusionError::ArrowError(error, _)
            if matches!(error.as_ref(), ArrowError::ArithmeticOverflow(_)) =>
        {
            "22003"
        }
        DataFusionError::ArrowError(..) | DataFusionError::Execution(_) => "22000",
        _ => "XX000",
    };
    if let Some(refusal) = construct::refusal(text) {
        return refusal;
    }
    if let Some(rest) = text.strip_prefix("Invalid function '") {
        return no_function(rest);
    }
    if text.starts_with("Projections require unique expression names") {
        let expression = text.split('"').nth(1).unwrap_or_default();
        return two_columns(expression);
    }
    match (reason::of_text(&message), sqlstate) {
        (Some(error), _) => error,
        (None, "XX000") => reason::internal(&message),
        (None, sqlstate) => SqlError::new(sqlstate, text),
    }
}

fn two_columns(name: &str) -> SqlError {
    SqlError::new("42701", format!("two columns are called {name}"))
        .with_hint("give each column a name of its own with AS")
}

/// Functions that are nothing without a window; DataFusion does not find them there.
const WINDOW_FUNCTIONS: [&str; 8] = [
    "cume_dist",
    "dense_rank",
    "lag",
    "lead",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
];

/// A function that is not there, from what DataFusion says of it and of one that is.
fn no_function(text: &str) -> SqlError {
    let mut names = text.split('\'');
    let name = names.next().unwrap_or_default();
    if WINDOW_FUNCTIONS.contains(&name.to_lowercase().as_str()) {
        let message = format!("the window function {name}() needs an OVER clause");
        let error = SqlError::new("42809", message).about(name);
        return error.with_hint(format!("write {name}(…) OVER (ORDER BY …)"));
    }
    let error = SqlError::new("42883", format!("there is no function {name}()")).about(name);
    match names.nth(1).filter(|similar| is_close(name, similar)) {
        Some(similar) => error.with_hint(format!("is {similar}() meant?")),
        None => error.with_hint("information_schema.routines lists what there is"),
    }
}

/// The nearest of some names, unless it is far.
pub fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let distance = |other: &&str| strsim::osa_distance(&name.to_lowercase(), &other.to_lowercase());
    names
        .filter(|other| is_close(name, other))
        .min_by_key(distance)
}

/// Whether a name may be a slip for another. DataFusion proposes the nearest of its functions,
/// however far that is.
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
            let names = valid_fields.iter().map(Column::name);
            let similar = nearest(field.name(), names);
            let meant = similar.map_or_else(String::new, |name| format!("is {name} meant? "));
            match &there[..] {
                [] => error.with_hint("there are none here; a text stands between single quotes"),
                there => error.with_hint(format!("{meant}there are: {}", there.join(", "))),
            }
        }
        SchemaError::AmbiguousReference { field } => {
            let name = field.quoted_flat_name();
            SqlError::new("42702", format!("several tables have a column {name}"))
                .about(field.name())
                .with_hint("put the name of the table before it, and a dot")
        }
        SchemaError::DuplicateUnqualifiedField { name } => two_columns(name),
        SchemaError::DuplicateQualifiedField { qualifier, .. } => {
            let name = qualifier.table();
            let message = format!("several tables in FROM are called \"{name}\"");
            SqlError::new("42712", message)
                .about(name)
                .with_hint("give each a name of its own with AS")
        }
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
            let hint = hint(name, similar).unwrap_or_default();
            assert!(!hint.contains(similar), "{name}: {hint}");
        }
    }
}
