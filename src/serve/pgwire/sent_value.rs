//! Values as clients send them, in text and in binary.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalMonthDayNano, IntervalUnit, TimeUnit};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};
use datafusion::error::DataFusionError;
use datafusion::scalar::ScalarValue;
use pgwire::api::Type;
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::types::FromSqlText;
use pgwire::types::format::FormatOptions;
use tokio_postgres::types::{FromSqlOwned, Kind};

use super::parameters::wrong_value;
use super::refusal;
use crate::sql::bound_value::{list_of, list_of_numbers};
use crate::sql::texts::list_text;

/// A value of a parameter, or an element of one that is a list.
#[derive(Clone, Copy)]
pub struct Sent<'a> {
    /// `None` is NULL.
    pub bytes: Option<&'a [u8]>,
    pub is_text: bool,
    /// The position of the parameter.
    pub index: usize,
}

impl Sent<'_> {
    /// The value; a text where its type is to be read from it as in a statement.
    pub fn value(self, encoded: &Type) -> PgWireResult<ScalarValue> {
        if let Kind::Array(item) = encoded.kind() {
            return self.list(item, encoded);
        }
        if self.is_text && is_plain(encoded) {
            return Ok(ScalarValue::Utf8(self.text(encoded)?));
        }
        let is_time = matches!(*encoded, Type::DATE | Type::TIMESTAMP | Type::TIMESTAMPTZ);
        match self.decode(encoded) {
            // Statements read more forms of dates and times, and tell what is wrong with others.
            Err(PgWireError::FailedToParseParameter(_)) if self.is_text && is_time => {
                Ok(ScalarValue::Utf8(self.text(encoded)?))
            }
            decoded => decoded,
        }
    }

    /// The text of the value; `None` is NULL.
    fn text(self, encoded: &Type) -> PgWireResult<Option<String>> {
        let Some(bytes) = self.bytes else {
            return Ok(None);
        };
        let text = std::str::from_utf8(bytes)
            .map_err(|_| refusal("22021", format!("${} is not UTF-8", self.index + 1)))?;
        let is_text = matches!(
            *encoded,
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN
        );
        Ok(Some(match is_text {
            true => text.to_owned(),
            false => text.trim().to_owned(),
        }))
    }

    fn read<T>(self, encoded: &Type) -> PgWireResult<Option<T>>
    where
        T: FromSqlOwned,
        for<'b> T: FromSqlText<'b>,
    {
        let Some(bytes) = self.bytes else {
            return Ok(None);
        };
        let value = match self.is_text {
            true => T::from_sql_text(encoded, bytes, &FormatOptions::default()),
            false => T::from_sql(encoded, bytes),
        };
        value.map(Some).map_err(PgWireError::FailedToParseParameter)
    }

    fn decode(self, encoded: &Type) -> PgWireResult<ScalarValue> {
        Ok(match *encoded {
            Type::BOOL => ScalarValue::Boolean(self.read::<bool>(encoded)?),
            Type::INT2 => ScalarValue::Int16(self.read::<i16>(encoded)?),
            Type::INT4 => ScalarValue::Int32(self.read::<i32>(encoded)?),
            Type::INT8 => ScalarValue::Int64(self.read::<i64>(encoded)?),
            Type::FLOAT4 => ScalarValue::Float32(self.read::<f32>(encoded)?),
            Type::FLOAT8 => ScalarValue::Float64(self.read::<f64>(encoded)?),
            Type::OID => ScalarValue::Int64(self.read::<u32>(encoded)?.map(i64::from)),
            Type::NUMERIC => ScalarValue::Utf8(self.parsed(encoded, numeric)?),
            Type::INTERVAL => ScalarValue::IntervalMonthDayNano(self.parsed(encoded, interval)?),
            Type::UUID => match self.is_text {
                true => ScalarValue::Utf8(self.parsed(encoded, uuid_of_text)?),
                false => ScalarValue::Utf8(self.parsed(encoded, uuid)?),
            },
            Type::BYTEA => ScalarValue::Binary(self.read::<Vec<u8>>(encoded)?),
            Type::TIME => {
                let value = self.read::<NaiveTime>(encoded)?;
                ScalarValue::Utf8(value.map(|value| value.to_string()))
            }
            Type::DATE => {
                let value = self.read::<NaiveDate>(encoded)?;
                ScalarValue::Utf8(value.map(|value| value.to_string()))
            }
            Type::TIMESTAMP => {
                let value = self.read::<NaiveDateTime>(encoded)?;
                let value = value.map(|value| value.and_utc().timestamp_micros());
                ScalarValue::TimestampMicrosecond(value, None)
            }
            Type::TIMESTAMPTZ => {
                let value = self.read::<DateTime<FixedOffset>>(encoded)?;
                let value = value.map(|value| value.timestamp_micros());
                ScalarValue::TimestampMicrosecond(value, Some("UTC".into()))
            }
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
                ScalarValue::Utf8(self.read::<String>(encoded)?)
            }
            _ => {
                let message = format!(
                    "${}: values of type {encoded} cannot be bound; cast a text to it in the \
                     statement",
                    self.index + 1
                );
                return Err(refusal("0A000", message));
            }
        })
    }

    /// The value by a function of its bytes.
    fn parsed<T>(
        self,
        encoded: &Type,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> PgWireResult<Option<T>> {
        let value = self
            .bytes
            .map(|bytes| parse(bytes).ok_or_else(|| self.malformed(encoded)));
        value.transpose()
    }

    fn malformed(self, encoded: &Type) -> PgWireError {
        let index = self.index + 1;
        match self.is_text {
            true => refusal("22P02", format!("${index}: the text is no {encoded}")),
            false => refusal(
                "22P03",
                format!("${index}: the bytes are no value of type {encoded}"),
            ),
        }
    }

    /// A list of values of one type.
    fn list(self, item: &Type, encoded: &Type) -> PgWireResult<ScalarValue> {
        let wrong = |error: DataFusionError| wrong_value(self.index, error);
        let Some(bytes) = self.bytes else {
            let field = Field::new_list_field(item_type(item), true);
            let null = ScalarValue::try_from(&DataType::List(Arc::new(field)));
            return null.map_err(wrong);
        };
        let values = match self.is_text {
            true => {
                let text = self.text(encoded)?.unwrap_or_default();
                let texts = list_text::elements(&text).map_err(wrong)?;
                let values = texts.iter().map(|text| {
                    let element = self.element(text.as_deref().map(str::as_bytes));
                    element.value(item)
                });
                values.collect::<PgWireResult<Vec<ScalarValue>>>()?
            }
            false => {
                let (item, elements) =
                    binary_elements(bytes, item).ok_or_else(|| self.malformed(encoded))?;
                let values = elements.into_iter();
                let values = values.map(|bytes| self.element(bytes).value(&item));
                values.collect::<PgWireResult<Vec<ScalarValue>>>()?
            }
        };
        let list = match *item {
            Type::NUMERIC => list_of_numbers(values.into_iter().map(text_of).collect()),
            _ => list_of(values, &item_type(item)),
        };
        list.map_err(wrong)
    }

    /// An element of a list.
    fn element(self, bytes: Option<&[u8]>) -> Sent<'_> {
        Sent {
            bytes,
            is_text: self.is_text,
            index: self.index,
        }
    }
}

fn text_of(value: ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Utf8(text) => text,
        null if null.is_null() => None,
        number => Some(number.to_string()),
    }
}

/// The elements of a list in Postgres's binary form, with their type: how many dimensions there are,
/// whether some element is NULL, the type, then how long the dimension is and where it begins, then
/// each element behind its length. `None`: it is no such list, or one of lists.
fn binary_elements<'a>(sent: &'a [u8], item: &Type) -> Option<(Type, Vec<Option<&'a [u8]>>)> {
    let (dimensions, rest) = number(sent)?;
    let (_, rest) = number(rest)?;
    let (oid, rest) = number(rest)?;
    let item = Type::from_oid(oid.cast_unsigned()).unwrap_or_else(|| item.clone());
    if dimensions == 0 {
        return Some((item, Vec::new()));
    }
    if dimensions != 1 {
        return None;
    }
    let (count, rest) = number(rest)?;
    let (_, mut rest) = number(rest)?;
    let mut elements = Vec::new();
    for _ in 0..count {
        let (length, behind) = number(rest)?;
        match usize::try_from(length) {
            Err(_) => {
                elements.push(None);
                rest = behind;
            }
            Ok(length) => {
                let (element, behind) = behind.split_at_checked(length)?;
                elements.push(Some(element));
                rest = behind;
            }
        }
    }
    rest.is_empty().then_some((item, elements))
}

fn number(sent: &[u8]) -> Option<(i32, &[u8])> {
    let (number, rest) = sent.split_first_chunk::<4>()?;
    Some((i32::from_be_bytes(*number), rest))
}

/// The type of numbers that a client has declared; `None` of other types, and of decimals, which
/// have as many digits as they are sent with.
pub fn number_type(declared: &Type) -> Option<DataType> {
    match *declared {
        Type::INT2 => Some(DataType::Int16),
        Type::INT4 => Some(DataType::Int32),
        Type::INT8 | Type::OID => Some(DataType::Int64),
        Type::FLOAT4 => Some(DataType::Float32),
        Type::FLOAT8 => Some(DataType::Float64),
        _ => None,
    }
}

/// The type of the elements of a list; decimals have the one that their digits need.
fn item_type(item: &Type) -> DataType {
    let microseconds =
        |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Arc::from));
    match *item {
        Type::BOOL => DataType::Boolean,
        Type::BYTEA => DataType::Binary,
        Type::DATE => DataType::Date32,
        Type::TIMESTAMP => microseconds(None),
        Type::TIMESTAMPTZ => microseconds(Some("UTC")),
        Type::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        _ => number_type(item).unwrap_or(DataType::Utf8),
    }
}

/// A UUID in its binary form as text: Mainstem keeps them as such.
fn uuid(sent: &[u8]) -> Option<String> {
    let bytes: [u8; 16] = sent.try_into().ok()?;
    let mut digits = String::with_capacity(36);
    for (position, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&position) {
            digits.push('-');
        }
        digits.push_str(&format!("{byte:02x}"));
    }
    Some(digits)
}

/// A UUID as Postgres writes it, of the text that a client writes: in braces, without hyphens, in
/// upper case.
fn uuid_of_text(sent: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(sent).ok()?.trim();
    let text = match text.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}')?,
        None => text,
    };
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
    if digits.len() != 32 {
        return None;
    }
    let bytes = digits.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    uuid(&bytes.collect::<Option<Vec<u8>>>()?)
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

    #[test]
    fn identifiers_are_written_in_one_way() {
        let text = "0f8fad5b-d9cb-469f-a165-70867728950e";
        for written in [
            text,
            "{0F8FAD5B-D9CB-469F-A165-70867728950E}",
            "0f8fad5bd9cb469fa16570867728950e",
        ] {
            assert_eq!(uuid_of_text(written.as_bytes()).as_deref(), Some(text));
        }
        for wrong in ["", "0f8fad5b", "x0f8fad5bd9cb469fa16570867728950"] {
            assert_eq!(uuid_of_text(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn binary_lists_are_read() {
        let words = |words: &[i32]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_be_bytes()).collect()
        };
        let sent = words(&[1, 1, 23, 2, 1, 4, 7, -1]);
        let (item, elements) = binary_elements(&sent, &Type::INT8).expect("a list");
        assert_eq!(item, Type::INT4);
        assert_eq!(elements, [Some(&[0, 0, 0, 7][..]), None]);
        let empty = words(&[0, 0, 23]);
        let (_, none) = binary_elements(&empty, &Type::INT4).expect("a list");
        assert_eq!(none.len(), 0);
        for wrong in [&[2, 0, 23, 1, 1, 1, 1, 4, 7][..], &[1, 0, 23, 1, 1, 8, 7]] {
            assert_eq!(binary_elements(&words(wrong), &Type::INT4), None);
        }
    }
}
