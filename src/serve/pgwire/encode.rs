//! Columns and values as Postgres clients read them, in text and binary.

use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int64Type, IntervalMonthDayNano,
    IntervalMonthDayNanoType, Schema, SchemaRef,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow_pg::datatypes::field_into_pg_type;
use arrow_pg::encoder::{Encoder, encode_value};
use bytes::{BufMut, BytesMut};
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::{FieldFormat, FieldInfo};
use pgwire::error::PgWireResult;
use pgwire::types::ToSqlText;
use pgwire::types::format::FormatOptions as PgFormatOptions;
use tokio_postgres::types::{IsNull, ToSql, to_sql_checked};

use super::refusal;
use super::structure::structure_text;
use crate::sql::texts::time_texts;

/// Decimal digits of one group of Postgres's binary numbers.
const GROUP_DIGITS: usize = 4;

/// How clients are told about the columns.
pub fn fields(schema: &Schema, format: &Format) -> PgWireResult<Arc<Vec<FieldInfo>>> {
    if let Format::Individual(codes) = format
        && codes.len() < schema.fields().len()
    {
        let (given, columns) = (codes.len(), schema.fields().len());
        let message = format!("{given} formats are given for {columns} columns");
        return Err(refusal("08P01", message));
    }
    let fields = schema.fields().iter().enumerate();
    let fields = fields.map(|(position, field)| {
        let info = FieldInfo::new(
            field.name().clone(),
            None,
            None,
            wire_type(field)?,
            format.format_for(position),
        );
        Ok(match field.data_type() {
            DataType::Decimal128(precision, scale) if *scale >= 0 => {
                info.with_type_modifier(numeric_modifier(*precision, *scale))
            }
            _ => info,
        })
    });
    Ok(Arc::new(fields.collect::<PgWireResult<Vec<FieldInfo>>>()?))
}

/// Precision and scale as Postgres packs them.
pub fn numeric_modifier(precision: u8, scale: i8) -> i32 {
    ((i32::from(precision) << 16) | i32::from(scale)) + 4
}

/// The Postgres type of a column; text for what Postgres does not have.
pub fn wire_type(field: &Arc<Field>) -> PgWireResult<Type> {
    match kind(field.data_type()) {
        Kind::Numeric => Ok(Type::NUMERIC),
        Kind::Unsigned => Ok(Type::INT8),
        Kind::Text => Ok(Type::TEXT),
        Kind::Native => field_into_pg_type(field),
    }
}

/// Who encodes the values of a type.
enum Kind {
    /// The library, as numbers with a sign: Postgres has no others, and positions and counts, which
    /// these are, are `BIGINT` there.
    Unsigned,
    /// A number with all its digits.
    Numeric,
    /// Arrow's own text.
    Text,
    /// The library.
    Native,
}

fn kind(data_type: &DataType) -> Kind {
    match data_type {
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Kind::Numeric,
        DataType::UInt64 => Kind::Unsigned,
        DataType::Map(..)
        | DataType::Union(..)
        | DataType::RunEndEncoded(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::FixedSizeBinary(_) => Kind::Text,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)
            if !is_array_item(item.data_type()) =>
        {
            Kind::Text
        }
        _ => Kind::Native,
    }
}

/// Whether Postgres has arrays of such values; its arrays of arrays are all of one length.
fn is_array_item(data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(_) => true,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal256(..) => false,
        other => !other.is_nested(),
    }
}

/// A batch that is encoded row by row.
pub struct Rows {
    schema: SchemaRef,
    fields: Arc<Vec<FieldInfo>>,
    columns: Vec<ArrayRef>,
    row: usize,
    count: usize,
}

impl Rows {
    /// The rows of a batch.
    pub fn new(batch: &RecordBatch, fields: &Arc<Vec<FieldInfo>>) -> PgWireResult<Rows> {
        let columns = batch.columns().iter().map(encoded_column);
        Ok(Rows {
            schema: batch.schema(),
            fields: Arc::clone(fields),
            columns: columns.collect::<PgWireResult<_>>()?,
            row: 0,
            count: batch.num_rows(),
        })
    }

    /// Encodes the next row; `None` after the last.
    pub fn next<E: Encoder>(&mut self, encoder: &mut E) -> Option<PgWireResult<E::Item>> {
        if self.row == self.count {
            return None;
        }
        let encoded = self.encode(encoder);
        self.row += 1;
        Some(encoded.map(|()| encoder.take_row()))
    }

    fn encode<E: Encoder>(&self, encoder: &mut E) -> PgWireResult<()> {
        for (position, (column, info)) in self.columns.iter().zip(self.fields.iter()).enumerate() {
            encode_one(encoder, column, self.row, self.schema.field(position), info)?;
        }
        Ok(())
    }
}

/// Encodes one value of an encoded column; `field` is what it was before.
pub fn encode_one<E: Encoder>(
    encoder: &mut E,
    column: &ArrayRef,
    row: usize,
    field: &Field,
    info: &FieldInfo,
) -> PgWireResult<()> {
    let data_type = column.data_type();
    if column.is_null(row) || *data_type == DataType::Null {
        encoder.encode_field(&None::<&str>, info)
    } else if matches!(kind(data_type), Kind::Numeric) {
        encoder.encode_field(&Numeric(numeric_text(column, row)), info)
    } else if matches!(kind(field.data_type()), Kind::Unsigned) {
        encoder.encode_field(&column.as_primitive::<Int64Type>().value(row), info)
    } else if *data_type == DataType::Utf8 && *info.datatype() == Type::TEXT {
        encoder.encode_field(&column.as_string::<i32>().value(row), info)
    } else if let (Some(text), FieldFormat::Text) = (infinity(column, row), info.format()) {
        encoder.encode_field(&text, info)
    } else if let (Some(interval), FieldFormat::Text) = (interval(column, row), info.format()) {
        encoder.encode_field(&time_texts::of_interval(interval).as_str(), info)
    } else if let DataType::Duration(_) = field.data_type() {
        let field = Field::new(field.name(), data_type.clone(), true);
        encode_value(encoder, column, row, &field, info)
    } else if let (Some(structure), FieldFormat::Text) = (column.as_struct_opt(), info.format()) {
        encoder.encode_field(&structure_text(structure, row, info)?, info)
    } else if let Some(numbers) = listed(column, row, |item| matches!(kind(item), Kind::Numeric)) {
        // The library's numbers have at most 28 digits, and end their thread at more.
        let numbers: Vec<Option<Numeric>> = (0..numbers.len())
            .map(|item| {
                let is_there = numbers.is_valid(item);
                is_there.then(|| Numeric(numeric_text(&numbers, item)))
            })
            .collect();
        encoder.encode_field(&numbers, info)
    } else if let (Some(structures), FieldFormat::Text) = (
        listed(column, row, |item| matches!(item, DataType::Struct(_))),
        info.format(),
    ) {
        let structures = structures.as_struct();
        let texts = (0..structures.len()).map(|item| match structures.is_null(item) {
            true => Ok(None),
            false => structure_text(structures, item, info).map(Some),
        });
        encoder.encode_field(&texts.collect::<PgWireResult<Vec<Option<String>>>>()?, info)
    } else {
        encode_value(encoder, column, row, field, info)
    }
}

/// An infinite number as Postgres writes it: the library's `inf` is not read by all drivers.
fn infinity(column: &ArrayRef, row: usize) -> Option<&'static str> {
    let number = match column.data_type() {
        DataType::Float32 => f64::from(column.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row),
        _ => return None,
    };
    if number.is_finite() || number.is_nan() {
        return None;
    }
    Some(match number.is_sign_negative() {
        true => "-Infinity",
        false => "Infinity",
    })
}

/// An interval: the library's text has no sign where one is needed behind negative days.
fn interval(column: &ArrayRef, row: usize) -> Option<IntervalMonthDayNano> {
    let intervals = column.as_primitive_opt::<IntervalMonthDayNanoType>()?;
    Some(intervals.value(row))
}

/// The items of a list, if they are of a type that is meant.
fn listed(column: &ArrayRef, row: usize, is_meant: fn(&DataType) -> bool) -> Option<ArrayRef> {
    match column.data_type() {
        DataType::List(item) if is_meant(item.data_type()) => {
            Some(column.as_list::<i32>().value(row))
        }
        DataType::LargeList(item) if is_meant(item.data_type()) => {
            Some(column.as_list::<i64>().value(row))
        }
        DataType::FixedSizeList(item, _) if is_meant(item.data_type()) => {
            Some(column.as_fixed_size_list().value(row))
        }
        _ => None,
    }
}

/// A column as it is encoded: one that Postgres has no type for as its text, and the time between
/// two moments with its days.
pub fn encoded_column(column: &ArrayRef) -> PgWireResult<ArrayRef> {
    match kind(column.data_type()) {
        Kind::Text => texts(column),
        Kind::Unsigned => signed(column),
        _ => time_texts::with_days(column).map_err(|error| refusal("22008", error.to_string())),
    }
}

/// Numbers without a sign as those with one.
fn signed(column: &ArrayRef) -> PgWireResult<ArrayRef> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(column, &DataType::Int64, &options).map_err(|_| {
        let message =
            "a number without a sign is out of range of BIGINT; cast it to NUMERIC(20, 0)";
        refusal("22003", message)
    })
}

/// Values as Arrow prints them.
fn texts(column: &ArrayRef) -> PgWireResult<ArrayRef> {
    let options = FormatOptions::default().with_null("NULL");
    let failed = |error: arrow::error::ArrowError| refusal("22000", error.to_string());
    let formatter = ArrayFormatter::try_new(column, &options).map_err(failed)?;
    let texts: StringArray = (0..column.len())
        .map(|row| (!column.is_null(row)).then(|| formatter.value(row).to_string()))
        .collect();
    Ok(Arc::new(texts))
}

fn numeric_text(column: &ArrayRef, row: usize) -> String {
    use arrow::datatypes::{Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type};
    match column.data_type() {
        DataType::Decimal32(..) => column.as_primitive::<Decimal32Type>().value_as_string(row),
        DataType::Decimal64(..) => column.as_primitive::<Decimal64Type>().value_as_string(row),
        DataType::Decimal128(..) => column.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Decimal256(..) => column.as_primitive::<Decimal256Type>().value_as_string(row),
        _ => column.as_primitive::<Int64Type>().value(row).to_string(),
    }
}

/// A number of any length, by its decimal digits.
#[derive(Debug)]
struct Numeric(String);

impl ToSqlText for Numeric {
    fn to_sql_text(
        &self,
        _: &Type,
        out: &mut BytesMut,
        _: &PgFormatOptions,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}

impl ToSql for Numeric {
    /// Groups of four decimal digits: their number, the weight of the first, the sign, the digits
    /// behind the point, then the groups.
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let (is_negative, digits) = match self.0.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, self.0.as_str()),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let missing = (GROUP_DIGITS - whole.len() % GROUP_DIGITS) % GROUP_DIGITS;
        let mut padded = "0".repeat(missing);
        padded.push_str(whole);
        let mut weight = i16::try_from(padded.len() / GROUP_DIGITS)? - 1;
        let missing = (GROUP_DIGITS - fraction.len() % GROUP_DIGITS) % GROUP_DIGITS;
        write!(padded, "{fraction}{}", "0".repeat(missing))?;
        let mut groups = Vec::new();
        for start in (0..padded.len()).step_by(GROUP_DIGITS) {
            groups.push(padded[start..start + GROUP_DIGITS].parse::<i16>()?);
        }
        let leading = groups.iter().take_while(|group| **group == 0).count();
        groups.drain(..leading);
        weight -= i16::try_from(leading)?;
        while groups.last() == Some(&0) {
            groups.pop();
        }
        if groups.is_empty() {
            weight = 0;
        }
        out.put_i16(i16::try_from(groups.len())?);
        out.put_i16(weight);
        out.put_u16(if is_negative { 0x4000 } else { 0 });
        out.put_u16(u16::try_from(fraction.len())?);
        groups.iter().for_each(|group| out.put_i16(*group));
        Ok(IsNull::No)
    }

    fn accepts(data_type: &Type) -> bool {
        *data_type == Type::NUMERIC
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_has_a_format() {
        let field = |name: &str| Field::new(name, DataType::Int64, true);
        let schema = Schema::new(vec![field("a"), field("b"), field("c")]);
        assert!(fields(&schema, &Format::Individual(vec![0, 1])).is_err());
        assert!(fields(&schema, &Format::Individual(vec![0, 1, 0])).is_ok());
    }

    #[test]
    fn numbers_of_any_length_are_encoded() {
        for (text, groups, weight, sign, scale) in [
            ("0", vec![], 0, 0, 0_u16),
            ("0.00", vec![], 0, 0, 2),
            ("12345.6", vec![1, 2345, 6000], 1, 0, 1),
            ("-0.00012", vec![1, 2000], -1, 0x4000, 5),
            ("100000000", vec![1], 2, 0, 0),
            (
                "99999999999999999999999999999999999999",
                vec![99, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999],
                9,
                0,
                0,
            ),
        ] {
            let mut out = BytesMut::new();
            let number = Numeric(text.to_owned());
            number.to_sql(&Type::NUMERIC, &mut out).expect("a number");
            let words: Vec<i16> = out
                .chunks(2)
                .map(|pair| i16::from_be_bytes([pair[0], pair[1]]))
                .collect();
            let mut expected = vec![groups.len() as i16, weight, sign, scale as i16];
            expected.extend(groups);
            assert_eq!(words, expected, "{text}");
        }
    }
}
