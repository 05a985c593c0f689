//! The values that clients bind to the parameters of prepared statements.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalMonthDayNano};
use arrow_pg::datatypes::into_pg_type;
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};
use datafusion::scalar::ScalarValue;
use pgwire::api::Type;
use pgwire::api::portal::{Format, Portal};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::types::FromSqlText;
use tokio_postgres::types::FromSqlOwned;

use super::refusal;
use crate::sql::SqlError;
use crate::sql::bound_value::bound_value;

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
        let encoded = match portal.statement.parameter_types.get(index) {
            Some(Some(encoded)) if *encoded != Type::UNKNOWN => encoded.clone(),
            _ => wire_type(data_type)?,
        };
        let value = sent_value(portal, index, &encoded)?;
        if matches!(value, ScalarValue::List(_)) && !data_type.is_nested() {
            // What the statement says of the parameter is a guess; a cast in it takes the list.
            return Ok(value);
        }
        bound_value(value, data_type).map_err(|error| {
            let error = SqlError::from(error);
            let message = format!("${}: {}", index + 1, error.message);
            refusal(error.sqlstate, message)
        })
    });
    values.collect()
}

fn sent_value<S: Clone>(
    portal: &Portal<S>,
    index: usize,
    encoded: &Type,
) -> PgWireResult<ScalarValue> {
    let is_text = portal.parameter_format.is_text(index);
    if is_text && is_plain(encoded) {
        return Ok(ScalarValue::Utf8(text(portal, index, encoded)?));
    }
    let is_time = matches!(*encoded, Type::DATE | Type::TIMESTAMP | Type::TIMESTAMPTZ);
    match decode(portal, index, encoded) {
        // Statements read more forms of dates and times, and tell what is wrong with others.
        Err(PgWireError::FailedToParseParameter(_)) if is_text && is_time => {
            Ok(ScalarValue::Utf8(text(portal, index, encoded)?))
        }
        decoded => decoded,
    }
}

/// Whether the text of a value is read as it is in a statement.
fn is_plain(encoded: &Type) -> bool {
    matches!(
        *encoded,
        Type::BOOL
            | Type::INT2
            | Type::INT4
            | Type::INT8
            | Type::OID
            | Type::FLOAT4
            | Type::FLOAT8
            | Type::NUMERIC
            | Type::TIME
            | Type::INTERVAL
            | Type::TEXT
            | Type::VARCHAR
            | Type::BPCHAR
            | Type::NAME
            | Type::UNKNOWN
    )
}

/// The text of a value; `None` is NULL.
fn text<S: Clone>(
    portal: &Portal<S>,
    index: usize,
    encoded: &Type,
) -> PgWireResult<Option<String>> {
    let Some(bytes) = bytes(portal, index) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|_| refusal("22021", format!("${} is not UTF-8", index + 1)))?;
    let is_text = matches!(
        *encoded,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN
    );
    Ok(Some(match is_text {
        true => text.to_owned(),
        false => text.trim().to_owned(),
    }))
}

/// What a client has sent for a parameter; `None` is NULL.
fn bytes<S>(portal: &Portal<S>, index: usize) -> Option<&[u8]> {
    let sent = portal.parameters.get(index)?;
    sent.as_deref()
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
            let sent = bytes(portal, index);
            let value = sent.map(|sent| numeric(sent).ok_or_else(|| malformed(index, encoded)));
            ScalarValue::Utf8(value.transpose()?)
        }
        Type::INTERVAL => {
            let sent = bytes(portal, index);
            let value = sent.map(|sent| interval(sent).ok_or_else(|| malformed(index, encoded)));
            ScalarValue::IntervalMonthDayNano(value.transpose()?)
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

fn malformed(index: usize, encoded: &Type) -> PgWireError {
    let message = format!("${}: the bytes are no value of type {encoded}", index + 1);
    refusal("22P03", message)
}

/// The text of a number in Postgres's binary form: how many groups of four digits there are, the
/// weight of the first, the sign, the digits behind the point, then the groups.
fn numeric(sent: &[u8]) -> Option<String> {
    let words = sent.chunks(2).map(|pair| match pair {
        [high, low] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    });
    let words = words.collect::<Option<Vec<u16>>>()?;
    let [count, weight, sign, scale, groups @ ..] = &words[..] else {
        return None;
    };
    let sign = match sign {
        0x0000 => "",
        0x4000 => "-",
        0xD000 => return Some("Infinity".to_owned()),
        0xF000 => return Some("-Infinity".to_owned()),
        _ => return Some("NaN".to_owned()),
    };
    if usize::from(*count) != groups.len() {
        return None;
    }
    let weight = i32::from(weight.cast_signed());
    let group = |position: i32| {
        let position = usize::try_from(position).ok();
        let group = position.and_then(|position| groups.get(position));
        format!("{:04}", group.copied().unwrap_or(0))
    };
    let whole: String = (0..=weight).map(group).collect();
    let fraction_groups = (i32::from(*scale) + 3) / 4;
    let fraction: String = (weight + 1..=weight + fraction_groups).map(group).collect();
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    Some(match fraction.get(..usize::from(*scale))? {
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    })
}

/// An interval in Postgres's binary form: microseconds, days and months.
fn interval(sent: &[u8]) -> Option<IntervalMonthDayNano> {
    let (microseconds, rest) = sent.split_first_chunk::<8>()?;
    let (days, months) = rest.split_first_chunk::<4>()?;
    let nanoseconds = i64::from_be_bytes(*microseconds).checked_mul(1000)?;
    Some(IntervalMonthDayNano::new(
        i32::from_be_bytes(months.try_into().ok()?),
        i32::from_be_bytes(*days),
        nanoseconds,
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_numbers_are_read_with_all_digits() {
        for (words, text) in [
            (vec![0, 0, 0, 0], "0"),
            (vec![0, 0, 0, 2], "0.00"),
            (vec![3, 1, 0, 1, 1, 2345, 6000], "12345.6"),
            (vec![2, 0xFFFF, 0x4000, 5, 1, 2000], "-0.00012"),
            (vec![1, 0xFFFE, 0, 8, 7], "0.00000007"),
            (vec![1, 2, 0, 0, 1], "100000000"),
            (vec![0, 0, 0xC000, 0], "NaN"),
        ] {
            let sent: Vec<u8> = words
                .iter()
                .flat_map(|word: &u16| word.to_be_bytes())
                .collect();
            assert_eq!(numeric(&sent).as_deref(), Some(text));
        }
        assert_eq!(numeric(&[0, 1, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn binary_intervals_are_read() {
        let mut sent = 1_500_000_i64.to_be_bytes().to_vec();
        sent.extend(2_i32.to_be_bytes());
        sent.extend((-3_i32).to_be_bytes());
        let expected = IntervalMonthDayNano::new(-3, 2, 1_500_000_000);
        assert_eq!(interval(&sent), Some(expected));
        assert_eq!(interval(&sent[1..]), None);
    }
}
