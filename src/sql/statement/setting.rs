//! SET, RESET and SHOW of a session's settings.

use datafusion::sql::sqlparser::ast::{Expr, Ident, Reset, ResetStatement, Set, Value};

use super::{Show, Statement, unknown};
use crate::sql::SqlError;

/// Reads a SET; what has no meaning here, such as a role, is accepted without effect.
pub(super) fn set(set: Set) -> Result<Statement, SqlError> {
    Ok(match set {
        Set::SingleAssignment {
            variable, values, ..
        } => Statement::Set {
            name: variable.to_string().to_lowercase(),
            value: value(&values),
        },
        Set::SetTimeZone { value: zone, .. } => Statement::Set {
            name: "timezone".to_owned(),
            value: value(&[zone]),
        },
        Set::SetNames { charset_name, .. } => Statement::Set {
            name: "client_encoding".to_owned(),
            value: Some(charset_name.value),
        },
        Set::SetTransaction { .. }
        | Set::SetRole { .. }
        | Set::SetSessionAuthorization(_)
        | Set::SetNamesDefault {} => Statement::Session("SET"),
        other => return Err(unknown(&other.to_string())),
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
    match reset.reset {
        Reset::ALL => Statement::ResetAll,
        Reset::ConfigurationParameter(name) => Statement::Set {
            name: name.to_string().to_lowercase(),
            value: None,
        },
    }
}

pub(super) fn show(variable: &[Ident]) -> Statement {
    let words: Vec<&str> = variable.iter().map(|word| word.value.as_str()).collect();
    let name = words.join(" ").to_lowercase();
    Statement::Show(match name.as_str() {
        "all" => Show::Settings,
        "time zone" => Show::Setting("timezone".to_owned()),
        "transaction isolation level" => Show::Setting("transaction_isolation".to_owned()),
        _ => Show::Setting(name),
    })
}
