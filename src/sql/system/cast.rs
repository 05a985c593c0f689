//! Casts to the types by which Postgres names what is in its catalog.

use datafusion::sql::sqlparser::ast::{DataType, Expr, Value};

use super::facts::Facts;
use super::pg_catalog::SCHEMAS;
use super::pg_types::by_name;
use crate::sql::SqlError;
use crate::sql::syntax::{call, text_of};

/// A cast to one of Postgres's own types; other casts only lose the schema of their type.
pub(super) fn cast(
    facts: &Facts,
    value: &Expr,
    data_type: &mut DataType,
) -> Result<Option<Expr>, SqlError> {
    let text = data_type.to_string().to_lowercase();
    let name = text
        .strip_prefix("pg_catalog.")
        .unwrap_or(&text)
        .trim_matches('"');
    let literal = text_of(value);
    let integer = |oid: i32| Expr::value(Value::Number(oid.to_string(), false));
    let is_number = |text: &str| text.parse::<i32>().ok();
    Ok(match name {
        "regclass" => Some(match literal {
            Some(text) => match is_number(text).or_else(|| facts.oid(text)) {
                Some(oid) => integer(oid),
                None => return Err(SqlError::undefined_table(text)),
            },
            None => call("regclass_name", vec![value.clone()]),
        }),
        "regtype" => Some(match literal {
            Some(text) => match is_number(text).or_else(|| by_name(text).map(|found| found.oid)) {
                Some(oid) => integer(oid),
                None => {
                    let message = format!("there is no type called \"{text}\"");
                    return Err(SqlError::new("42704", message));
                }
            },
            None => call("format_type", vec![value.clone()]),
        }),
        "regnamespace" => Some(match literal {
            Some(text) => match is_number(text).or_else(|| schema_oid(text)) {
                Some(oid) => integer(oid),
                None => {
                    let message = format!("there is no schema called \"{text}\"");
                    return Err(SqlError::new("3F000", message));
                }
            },
            None => call("regnamespace_name", vec![value.clone()]),
        }),
        "regproc" => {
            *data_type = DataType::Text;
            literal.map(|name| Expr::value(Value::SingleQuotedString(unqualified(name))))
        }
        "oid" => match (literal.and_then(is_number), named_function(value)) {
            (Some(oid), _) => Some(integer(oid)),
            (None, Some(name)) => {
                let message = format!("the function \"{name}\" has no definition to be shown");
                return Err(SqlError::new("42883", message)
                    .with_hint("functions are listed in docs/sql-queries.md"));
            }
            (None, None) => {
                *data_type = DataType::Int(None);
                None
            }
        },
        "regprocedure" | "regrole" | "name" | "char" | "text" => {
            *data_type = DataType::Text;
            None
        }
        "int2" => {
            *data_type = DataType::SmallInt(None);
            None
        }
        "int4" => {
            *data_type = DataType::Int(None);
            None
        }
        "int8" => {
            *data_type = DataType::BigInt(None);
            None
        }
        "bool" => {
            *data_type = DataType::Boolean;
            None
        }
        _ => None,
    })
}

fn schema_oid(name: &str) -> Option<i32> {
    let mut schemas = SCHEMAS.iter();
    let found = schemas.find(|(_, known)| *known == name.trim_matches('"'));
    found.map(|(oid, _)| *oid)
}

/// The name of a function without Postgres's schema for its own.
fn unqualified(name: &str) -> String {
    name.strip_prefix("pg_catalog.").unwrap_or(name).to_owned()
}

/// The function whose number is asked for: a text that is none.
fn named_function(value: &Expr) -> Option<&str> {
    match value {
        Expr::Cast { expr, .. } => named_function(expr).filter(|name| name.parse::<i64>().is_err()),
        value => text_of(value),
    }
}
