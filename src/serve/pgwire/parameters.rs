//! The values that clients bind to the parameters of prepared statements.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use arrow_pg::datatypes::into_pg_type;
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};
use datafusion::scalar::ScalarValue;
use pgwire::api::Type;
use pgwire::api::portal::Portal;
use pgwire::error::PgWireResult;
use pgwire::types::FromSqlText;
use rust_decimal::Decimal;
use tokio_postgres::types::FromSqlOwned;

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
        if matches!(value, ScalarValue::List(_)) && !data_type.is_nested() {
            // What the statement says of the parameter is a guess; a cast in it takes the list.
            return Ok(value);
        }
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
        Type::OID => {
            let value = portal.parameter::<u32>(index, encoded)?;
            ScalarValue::Int64(value.map(i64::from))
        }
        Type::NUMERIC => {
            let value = portal.parameter::<Decimal>(index, encoded)?;
            ScalarValue::Utf8(value.map(|value| value.to_string()))
        }
        Type::BYTEA => ScalarValue::Binary(portal.parameter::<Vec<u8>>(index, encoded)?),
        Type::TIME => {
            let value = portal.parameter::<NaiveTime>(index, encoded)?;
            ScalarValue::Utf8(value.map(|value| value.to_string()))
        }
        Type::BOOL_ARRAY => list(portal, index, encoded, ScalarValue::Boolean)?,
        Type::INT2_ARRAY => list(portal, index, encoded, ScalarValue::Int16)?,
        Type::INT4_ARRAY => list(portal, index, encoded, ScalarValue::Int32)?,
        Type::INT8_ARRAY => list(portal, index, encoded, ScalarValue::Int64)?,
        Type::FLOAT8_ARRAY => list(portal, index, encoded, ScalarValue::Float64)?,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY => list(portal, index, encoded, ScalarValue::Utf8)?,
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

/// A list of values of one type.
fn list<T, S>(
    portal: &Portal<S>,
    index: usize,
    encoded: &Type,
    item: fn(Option<T>) -> ScalarValue,
) -> PgWireResult<ScalarValue>
where
    T: FromSqlOwned,
    for<'a> T: FromSqlText<'a>,
    S: Clone,
{
    let data_type = item(None).data_type();
    let values = portal.parameter::<Vec<Option<T>>>(index, encoded)?;
    let Some(values) = values else {
        let field = Field::new_list_field(data_type, true);
        return ScalarValue::try_from(&DataType::List(Arc::new(field)))
            .map_err(|error| refusal("22023", error.strip_backtrace()));
    };
    let values: Vec<ScalarValue> = values.into_iter().map(item).collect();
    Ok(ScalarValue::List(ScalarValue::new_list(
        &values, &data_type, true,
    )))
}
