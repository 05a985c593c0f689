//! The values that clients bind to the parameters of prepared statements.

use arrow::datatypes::DataType;
use arrow_pg::datatypes::into_pg_type;
use datafusion::error::DataFusionError;
use datafusion::scalar::ScalarValue;
use pgwire::api::Type;
use pgwire::api::portal::{Format, Portal};
use pgwire::error::{PgWireError, PgWireResult};

use super::refusal;
use super::sent_value::{Sent, number_type};
use crate::sql::SqlError;
use crate::sql::bound_value::{bound_value, number_of};

/// The type of a parameter as clients are told it.
pub fn wire_type(data_type: &DataType) -> PgWireResult<Type> {
    match data_type {
        // Postgres has no numbers without a sign.
        DataType::UInt64 => Ok(Type::INT8),
        other => into_pg_type(other),
    }
}

/// The types that a client declares, as SQL calls them. Of numbers with a fraction the digits are not
/// declared, and a text may stand for a value of any type.
pub fn declared(types: &[Option<Type>]) -> Vec<Option<&'static str>> {
    let types = types.iter().map(|declared| match *declared.as_ref()? {
        Type::BOOL => Some("BOOLEAN"),
        Type::INT2 => Some("SMALLINT"),
        Type::INT4 => Some("INT"),
        Type::INT8 => Some("BIGINT"),
        Type::FLOAT4 => Some("REAL"),
        Type::FLOAT8 => Some("DOUBLE"),
        Type::BYTEA => Some("BYTEA"),
        Type::DATE => Some("DATE"),
        Type::TIME => Some("TIME"),
        Type::TIMESTAMP => Some("TIMESTAMP"),
        Type::TIMESTAMPTZ => Some("TIMESTAMPTZ"),
        Type::INTERVAL => Some("INTERVAL"),
        _ => None,
    });
    types.collect()
}

/// The bound values, in the types that the statement expects.
pub fn read<S: Clone>(portal: &Portal<S>, expected: &[DataType]) -> PgWireResult<Vec<ScalarValue>> {
    if portal.parameter_len() != expected.len() {
        let (given, wanted) = (portal.parameter_len(), expected.len());
        let message = format!("{given} values are given for {wanted} parameters");
        return Err(refusal("08P01", message));
    }
    if let Format::Individual(codes) = &portal.parameter_format
        && codes.len() != expected.len()
    {
        let (given, wanted) = (codes.len(), expected.len());
        let message = format!("{given} formats are given for {wanted} parameters");
        return Err(refusal("08P01", message));
    }
    let values = expected.iter().enumerate().map(|(index, data_type)| {
        // The client's own type says how the value is encoded.
        let declared = match portal.statement.parameter_types.get(index) {
            Some(Some(declared)) if *declared != Type::UNKNOWN => Some(declared),
            _ => None,
        };
        let encoded = match declared {
            Some(declared) => declared.clone(),
            None => wire_type(data_type)?,
        };
        let sent = Sent {
            bytes: portal.parameters.get(index).and_then(Option::as_deref),
            is_text: portal.parameter_format.is_text(index),
            index,
        };
        let value = sent.value(&encoded)?;
        if matches!(value, ScalarValue::List(_)) && !data_type.is_nested() {
            // What the statement says of the parameter is a guess; a cast in it takes the list.
            return Ok(value);
        }
        let value = match declared {
            Some(declared) => declared_number(value, declared, data_type),
            None => Ok(value),
        };
        let bound = value.and_then(|value| bound_value(value, data_type));
        bound.map_err(|error| wrong_value(index, error))
    });
    values.collect()
}

/// A number that has come as text in the type that its client has declared, where the statement
/// expects one that need not have all of its values. Of decimals the text has all digits.
fn declared_number(
    value: ScalarValue,
    declared: &Type,
    expected: &DataType,
) -> Result<ScalarValue, DataFusionError> {
    let ScalarValue::Utf8(Some(text)) = value else {
        return Ok(value);
    };
    match (declared, number_type(declared)) {
        (&Type::NUMERIC, _) if expected.is_integer() => number_of(text),
        (_, Some(own)) if expected.is_integer() || expected.is_floating() => {
            ScalarValue::Utf8(Some(text)).cast_to(&own)
        }
        _ => Ok(ScalarValue::Utf8(Some(text))),
    }
}

/// What is wrong with the value of a parameter.
pub fn wrong_value(index: usize, error: DataFusionError) -> PgWireError {
    let error = SqlError::from(error);
    let message = format!("${}: {}", index + 1, error.message);
    refusal(error.sqlstate, message)
}
