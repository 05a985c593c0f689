//! SET, RESET and SHOW of a session's settings.

use std::time::Duration;

use datafusion::sql::sqlparser::ast::{
    ContextModifier, Expr, Ident, Reset, ResetStatement, Set, TransactionAccessMode,
    TransactionMode, Value,
};

use super::{Show, Statement, unknown};
use crate::sql::SqlError;

/// Reads a SET; what has no meaning here, such as a role, is accepted without effect.
pub(super) fn set(set: Set) -> Result<Statement, SqlError> {
    Ok(match set {
        Set::SingleAssignment {
            scope,
            variable,
            values,
            ..
        } => Statement::Set {
            name: variable.to_string().to_lowercase(),
            value: value(&values),
            is_local: scope == Some(ContextModifier::Local),
        },
        Set::SetTimeZone { local, value: zone } => Statement::Set {
            name: "timezone".to_owned(),
            value: value(&[zone]),
            is_local: local,
        },
        Set::SetNames { charset_name, .. } => Statement::Set {
            name: "client_encoding".to_owned(),
            value: Some(charset_name.value),
            is_local: false,
        },
        Set::SetTransaction { modes, session, .. } => match is_read_only(&modes) {
            Some(is_read_only) => Statement::Set {
                name: match session {
                    true => "default_transaction_read_only".to_owned(),
                    false => "transaction_read_only".to_owned(),
                },
                value: Some(match is_read_only {
                    true => "on".to_owned(),
                    false => "off".to_owned(),
                }),
                is_local: !session,
            },
            None => Statement::Session("SET"),
        },
        Set::SetRole { .. } | Set::SetSessionAuthorization(_) | Set::SetNamesDefault {} => {
            Statement::Session("SET")
        }
        other => return Err(unknown(&other.to_string())),
    })
}

/// Whether a transaction block may not write, as its modes say last; `None`: they do not say.
pub(super) fn is_read_only(modes: &[TransactionMode]) -> Option<bool> {
    modes.iter().rev().find_map(|mode| match mode {
        TransactionMode::AccessMode(access) => Some(*access == TransactionAccessMode::ReadOnly),
        TransactionMode::IsolationLevel(_) => None,
    })
}

/// The text of a value; `None` for DEFAULT.
fn value(values: &[Expr]) -> Option<String> {
    let text = |value: &Expr| match value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        Expr::Identifier(ident) => ident.value.clone(),
        other => other.to_string(),
    };
    let texts: Vec<String> = values.iter().map(text).collect();
    match texts.join(", ") {
        text if text.eq_ignore_ascii_case("default") => None,
        text => Some(text),
    }
}

pub(super) fn reset(reset: ResetStatement) -> Statement {
    Statement::Reset(match reset.reset {
        Reset::ALL => None,
        Reset::ConfigurationParameter(name) => Some(name.to_string().to_lowercase()),
    })
}

pub(super) fn show(variable: &[Ident]) -> Statement {
    let words: Vec<&str> = variable.iter().map(|word| word.value.as_str()).collect();
    let name = words.join(" ").to_lowercase();
    Statement::Show(match name.as_str() {
        "all" => Show::Settings,
        "time zone" => Show::Setting("timezone".to_owned()),
        "transaction isolation level" => Show::Setting("transaction_isolation".to_owned()),
        // The parser leaves out the dots of a name.
        _ => Show::Setting(words.join(".").to_lowercase()),
    })
}

/// A time such as `500` (milliseconds), `2s` or `1 min`.
pub fn duration(text: &str) -> Result<Duration, SqlError> {
    let trimmed = text.trim();
    let digits = trimmed
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let unit_ms: Option<u64> = match unit.trim() {
        "" | "ms" => Some(1),
        "s" => Some(1_000),
        "min" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let number: Option<u64> = number.parse().ok();
    let milliseconds = number.zip(unit_ms);
    let milliseconds = milliseconds.and_then(|(number, unit)| number.checked_mul(unit));
    milliseconds.map(Duration::from_millis).ok_or_else(|| {
        SqlError::new(
            "22023",
            format!("\"{text}\" is no duration; write milliseconds, or 500ms, 2s, 1min, 1h"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, milliseconds) in [("500", 500), ("2s", 2_000), ("1 min", 60_000), ("0", 0)] {
            let duration = duration(text).expect("a duration");
            assert_eq!(duration, Duration::from_millis(milliseconds), "{text}");
        }
        for text in ["soon", "-1", "1 fortnight", "99999999999999999d", ""] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
