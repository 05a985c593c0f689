//! What DataFusion and Arrow say of a failure, in words for the user and with its SQLSTATE.
//!
//! Most of their errors are a text and no more, so it is by their texts that they are told apart.

mod operands;
mod statements;
mod values;

use datafusion::error::DataFusionError;

use super::error::{SqlError, of_root};

/// The kinds of errors that texts begin with; the SQLSTATE tells them.
const KINDS: [&str; 11] = [
    "Error during planning: ",
    "Schema error: ",
    "Execution error: ",
    "This feature is not implemented: ",
    "Internal error: ",
    "Arrow error: ",
    "Cast error: ",
    "Compute error: ",
    "Parser error: ",
    "Invalid argument error: ",
    "Arithmetic overflow: ",
];

/// How DataFusion goes on where it takes an error for its own fault, which it often is not.
const BLAME: &str = "This issue was likely caused by a bug in DataFusion's code";

/// What to do about an error that is none of the statement's.
const REPORT: &str = "this is a fault of Mainstem, not of the statement: please report it, with \
                      the statement and the tables it reads";

/// The refusal that a text stands for, where it is known.
pub fn of_text(text: &str) -> Option<SqlError> {
    operands::no_function(text).or_else(|| {
        let text = bare(text);
        values::of_text(text)
            .or_else(|| operands::of_text(text))
            .or_else(|| statements::of_text(text))
    })
}

/// A failure of what the program itself should have seen to.
pub fn internal(text: &str) -> SqlError {
    SqlError::new("XX000", format!("internal error: {}", bare(text))).with_hint(REPORT)
}

/// A failure as it is told of the rows of a view: without a place, as these rows have none.
pub fn told(error: &DataFusionError) -> String {
    of_root(error.find_root()).message
}

/// A text without the kinds of errors before it and without who is to blame behind it.
pub fn bare(text: &str) -> &str {
    let mut text = match text.split_once(BLAME) {
        Some((before, _)) => before.trim_end().trim_end_matches('.'),
        None => text,
    };
    while let Some(rest) = KINDS.iter().find_map(|kind| text.strip_prefix(kind)) {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_without_kinds_and_blame() {
        let text = "Internal error: Cannot do this.\nThis issue was likely caused by a bug in \
                    DataFusion's code. Please help us to resolve this by filing a bug report";
        assert_eq!(bare(text), "Cannot do this");
        assert_eq!(bare("Arrow error: Cast error: no"), "no");
        let error = internal(text);
        assert_eq!(error.message, "internal error: Cannot do this");
        assert_eq!(error.sqlstate, "XX000");
        assert!(error.hint.is_some_and(|hint| hint.contains("report it")));
    }
}
