//! Functions and operators that there are not for values of some types.

use arrow::datatypes::DataType;

use super::super::error::SqlError;
use super::super::types::sql_name;
use super::values::type_name;

/// Signatures that are named in a hint; of more than these none is.
const SIGNATURES_NAMED: usize = 4;

const CAST: &str = "cast one of them: CAST(… AS type)";

/// A call whose arguments are of no types that its function takes.
pub(super) fn no_function(text: &str) -> Option<SqlError> {
    let (reason, rest) =
        text.split_once("No function matches the given name and argument types '")?;
    let (call, rest) = rest.split_once("'. You might need to add explicit type casts.")?;
    let (name, _) = call.split_once('(')?;
    let mut message = format!("there is no function {}", in_sql(call));
    if let Some((_, reason)) = reason.split_once("user-defined coercion failed with: ")
        && !reason.contains("errors: ")
    {
        let reason = super::bare(reason.trim_end());
        message = format!("{message}: {}", in_sql(reason.trim_end_matches('.')));
    }
    let error = SqlError::new("42883", message).about(name);
    let signatures = rest
        .split_once("Candidate functions:")
        .map(|(_, rest)| rest);
    Some(error.with_hint(signatures_hint(signatures.unwrap_or_default())))
}

/// What a function takes, where that says something.
fn signatures_hint(signatures: &str) -> String {
    let signatures = signatures.lines().map(str::trim);
    let says_something = |signature: &&str| {
        let vague = ["UserDefined", "Any", "Numeric(", "Uniform", "Variadic"];
        !signature.is_empty() && !vague.iter().any(|word| signature.contains(word))
    };
    let signatures: Vec<String> = signatures.filter(says_something).map(in_sql).collect();
    match signatures.len() {
        1..=SIGNATURES_NAMED => format!("there is {}", signatures.join(", ")),
        _ => "cast the arguments to types that it takes: CAST(… AS type)".to_owned(),
    }
}

/// What is wrong with the types of operands, by the text that says so.
pub(super) fn of_text(text: &str) -> Option<SqlError> {
    operator(text)
        .or_else(|| cast(text))
        .or_else(|| arguments(text))
        .or_else(|| other(text))
}

fn operator(text: &str) -> Option<SqlError> {
    let operation = operation(text)?;
    let message = format!("there is no operator for {}", in_sql(&operation));
    Some(SqlError::new("42883", message).with_hint(CAST))
}

/// An operation between two types, as `Int64 + Utf8`.
fn operation(text: &str) -> Option<String> {
    if let Some(rest) = text.strip_prefix("Cannot coerce arithmetic expression ") {
        return rest.strip_suffix(" to valid types").map(str::to_owned);
    }
    if text.starts_with("Cannot infer common ") {
        return text
            .split_once(" operation ")
            .map(|(_, rest)| rest.to_owned());
    }
    if text.starts_with("Cannot get result type for ") {
        let (_, rest) = text.split_once(" operation ")?;
        let operation = rest
            .split_once(": ")
            .map_or(rest, |(operation, _)| operation);
        return Some(operation.to_owned());
    }
    if let Some(rest) = text.strip_prefix("There isn't a common type to coerce ") {
        let (types, operator) = rest.split_once(" in ")?;
        let operator = operator.strip_suffix(" expression")?;
        return Some(types.replace(" and ", &format!(" {operator} ")));
    }
    if let Some(rest) = text.strip_prefix("Failed to coerce types ") {
        let types = rest.strip_suffix(" in BETWEEN expression")?;
        return Some(types.replace(" and ", " BETWEEN "));
    }
    if let Some(rest) = text.strip_prefix("Can not find compatible types to compare ") {
        let (left, list) = rest.split_once(" with [")?;
        return Some(format!("{left} IN ({})", list.trim_end_matches(']')));
    }
    if let Some(rest) = text.strip_prefix("expr type ") {
        let (left, rest) = rest.split_once(" can't cast to ")?;
        let (right, _) = rest.split_once(" in ")?;
        return Some(format!("{left} = {right}"));
    }
    if let Some(rest) = text.strip_prefix("Data type ") {
        let (data_type, rest) = rest.split_once(" not supported for binary operation '")?;
        let (operator, _) = rest.split_once('\'')?;
        return Some(format!("{data_type} {operator} {data_type}"));
    }
    None
}

fn cast(text: &str) -> Option<SqlError> {
    let casts = [
        ("Unsupported CAST from ", ""),
        ("Casting from ", " not supported"),
    ];
    let types = casts.iter().find_map(|(beginning, end)| {
        let rest = text.strip_prefix(beginning)?;
        rest.strip_suffix(end)
    })?;
    let (from, to) = types.split_once(" to ")?;
    let message = format!("{} cannot be cast to {}", type_name(from), type_name(to));
    Some(SqlError::new("42846", message))
}

/// Arguments of another number or kind than a function takes.
fn arguments(text: &str) -> Option<SqlError> {
    let beginnings = ["The function '", "Function '", "The function "];
    let name = beginnings.iter().find_map(|beginning| {
        let rest = text.strip_prefix(beginning)?;
        rest.split(['\'', ' ']).next()
    });
    let is_about_them = [
        " expect",
        " requires ",
        "failed to match any signature",
        "does not",
    ]
    .iter()
    .any(|words| text.contains(words));
    if let (Some(name), true) = (name, is_about_them) {
        let message = match text.contains("failed to match any signature") {
            true => format!("there is no function {name}() of arguments of these types"),
            false => in_sql(text),
        };
        return Some(SqlError::new("42883", message).about(name));
    }
    let is_unsupported = text.starts_with("Unsupported data type") && text.contains(" function ")
        || text.starts_with("unnest() can only be applied");
    let is_unary = text.starts_with("Negation only supports")
        || text.starts_with("Unary operator '-'")
        || text.starts_with("Unary operator '+'");
    match is_unsupported || is_unary {
        true => Some(SqlError::new("42883", in_sql(text))),
        false => None,
    }
}

/// Values of another type than the place where they stand asks for.
fn other(text: &str) -> Option<SqlError> {
    if text.starts_with("Cannot create filter with non-boolean predicate") {
        let (_, found) = text.rsplit_once(" returning ")?;
        let message = format!("a condition is of type {}, not BOOLEAN", type_name(found));
        return Some(SqlError::new("42804", message).with_hint("compare it with something"));
    }
    let parts = [
        "must be boolean type, but got",
        "to be an integer or null, but got",
        "in CASE WHEN expression",
        "Incompatible inputs for Union",
        "requires a boolean expression",
        "Cannot automatically convert ",
        "Expected an integer value",
    ];
    match parts.iter().any(|part| text.contains(part)) {
        true => Some(SqlError::new("42804", in_sql(text)).with_hint(CAST)),
        false => None,
    }
}

/// A text in which types are called as SQL calls them.
pub(super) fn in_sql(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_of_word) {
        let (before, from) = rest.split_at(start);
        told.push_str(before);
        let end = from.find(|character| !is_of_word(character));
        let (word, behind) = from.split_at(end.unwrap_or(from.len()));
        let whole = &from[..word.len() + closed(behind)];
        rest = match (whole.parse::<DataType>(), word.parse::<DataType>()) {
            (Ok(data_type), _) => {
                told.push_str(&sql_name(&data_type));
                &from[whole.len()..]
            }
            (Err(_), Ok(data_type)) => {
                told.push_str(&sql_name(&data_type));
                behind
            }
            _ => {
                told.push_str(word);
                behind
            }
        };
    }
    told.push_str(rest);
    told
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The length of the parentheses that a text begins with; 0 if it does not.
fn closed(text: &str) -> usize {
    if !text.starts_with('(') {
        return 0;
    }
    let mut depth = 0_usize;
    for (position, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return position + character.len_utf8();
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::super::of_text;
    use super::*;

    #[test]
    fn types_are_called_as_in_sql() {
        for (text, told) in [
            ("Int64 + Utf8", "BIGINT + TEXT"),
            (
                "Timestamp(µs, \"UTC\") - Decimal128(10, 2)",
                "TIMESTAMPTZ - NUMERIC(10, 2)",
            ),
            ("abs(Utf8)", "abs(TEXT)"),
            ("my_Int64 and (Int6", "my_Int64 and (Int6"),
        ] {
            assert_eq!(in_sql(text), told);
        }
    }

    #[test]
    fn functions_are_told_with_what_they_were_given() {
        let text = "Error during planning: Internal error: Function 'round' failed to match any \
                    signature, errors: Error during planning: x.\nThis issue was likely caused by \
                    a bug in DataFusion's code. No function matches the given name and argument \
                    types 'round(Utf8, Utf8)'. You might need to add explicit type casts.\n\t\
                    Candidate functions:\n\tround(Float64, Int64)\n\tround(Float64)";
        let error = of_text(text).expect("known");
        assert_eq!(error.message, "there is no function round(TEXT, TEXT)");
        assert_eq!(error.sqlstate, "42883");
        let hint = "there is round(DOUBLE PRECISION, BIGINT), round(DOUBLE PRECISION)";
        assert_eq!(error.hint.as_deref(), Some(hint));
    }

    #[test]
    fn operators_are_told_with_their_types() {
        for (text, sqlstate, message) in [
            (
                "Error during planning: Cannot coerce arithmetic expression Int64 + Boolean to \
                 valid types",
                "42883",
                "there is no operator for BIGINT + BOOLEAN",
            ),
            (
                "Cannot infer common argument type for comparison operation Int64 = Boolean",
                "42883",
                "there is no operator for BIGINT = BOOLEAN",
            ),
            (
                "This feature is not implemented: Unsupported CAST from Int32 to Date32",
                "42846",
                "INTEGER cannot be cast to DATE",
            ),
            (
                "Cannot create filter with non-boolean predicate 't.a' returning Int64",
                "42804",
                "a condition is of type BIGINT, not BOOLEAN",
            ),
        ] {
            let error = of_text(text).expect(text);
            assert_eq!(
                (error.sqlstate, error.message.as_str()),
                (sqlstate, message)
            );
        }
    }
}
