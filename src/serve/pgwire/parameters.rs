//! The values that clients bind to the parameters of prepared statements.

use arrow::datatypes::DataType;
use arrow_pg::datatypes::into_pg_type;
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime};
use datafusion::scalar::ScalarValue;
use pgwire::api::Type;
use pgwire::api::portal::Portal;
use pgwire::error::PgWireResult;
use rust_decimal::Decimal;

use super::refusal;

/// The bound values, in the types that the statement expects.
pub fn read<S: Clone>(portal: &Portal<S>, expected: &[DataType]) -> PgWireResult<Vec<ScalarValue>> {
    if portal.parameter_len() != expected.len() {
        let (given, wanted) = (portal.parameter_len(), expected.len());
        let message = format!("{given} values are given for {wanted} parameters");
        return Err(refusal("08P01", message));
    }
    let values = expected.iter().enumerate().map(|(index, data_type)| {
        // The client's own type says how the value is encoded.
        let encoded = match portal.statement.parameter_types.get(index) {
            Some(Some(encoded)) if *encoded != Type::UNKNOWN => encoded.clone(),
            _ => into_pg_type(data_type)?,
        };
        let value = decode(portal, index, &encoded)?;
        value.cast_to(data_type).map_err(|error| {
            let message = format!("${}: {}", index + 1, error.strip_backtrace());
            refusal("22023", message)
        })
    });
    values.collect()
}

fn decode<S: Clone>(portal: &Portal<S>, index: usize, encoded: &Type) -> PgWireResult<ScalarValue> {
    Ok(match *encoded {
        Type::BOOL => ScalarValue::Boolean(portal.parameter::<bool>(index, encoded)?),
        Type::INT2 => ScalarValue::Int16(portal.parameter::<i16>(index, encoded)?),
        Type::INT4 => ScalarValue::Int32(portal.parameter::<i32>(index, encoded)?),
        Type::INT8 => ScalarValue::Int64(portal.parameter::<i64>(index, encoded)?),
        Type::FLOAT4 => ScalarValue::Float32(portal.parameter::<f32>(index, encoded)?),
        Type::FLOAT8 => ScalarValue::Float64(portal.parameter::<f64>(index, encoded)?),
        Type::NUMERIC => {
            let value = portal.parameter::<Decimal>(index, encoded)?;
            ScalarValue::Utf8(value.map(|value| value.to_string()))
        }
        Type::DATE => {
            let value = portal.parameter::<NaiveDate>(index, encoded)?;
            ScalarValue::Utf8(value.map(|value| value.to_string()))
        }
        Type::TIMESTAMP => {
            let value = portal.parameter::<NaiveDateTime>(index, encoded)?;
            let value = value.map(|value| value.and_utc().timestamp_micros());
            ScalarValue::TimestampMicrosecond(value, None)
        }
        Type::TIMESTAMPTZ => {
            let value = portal.parameter::<DateTime<FixedOffset>>(index, encoded)?;
            let value = value.map(|value| value.timestamp_micros());
            ScalarValue::TimestampMicrosecond(value, Some("UTC".into()))
        }
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
            ScalarValue::Utf8(portal.parameter::<String>(index, encoded)?)
        }
        _ => {
            let message = format!(
                "${}: values of type {encoded} cannot be bound; cast a text to it in the statement",
                index + 1
            );
            return Err(refusal("0A000", message));
        }
    })
}
