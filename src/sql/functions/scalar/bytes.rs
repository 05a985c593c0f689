//! Functions of bytes: those that DataFusion has for texts alone, and `get_byte`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int32Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use datafusion::common::exec_err;
use datafusion::common::types::{NativeType, logical_binary, logical_int32, logical_int64};
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    Coercion, ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, TypeSignatureClass,
};

use super::super::call_rows::CallRows;
use crate::sql::error::SqlError;
use crate::sql::planner::external;

const OF_TEXTS: [(&str, Does); 4] = [
    ("bit_length", Does::Bits),
    ("character_length", Does::Octets),
    ("octet_length", Does::Octets),
    ("substr", Does::Part),
];

/// Puts functions that take bytes, too, in the place of DataFusion's.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for (name, does) in OF_TEXTS {
        let function = registry.udf(name)?;
        let signature = does.beside(function.signature());
        let of_bytes = OfBytes {
            function,
            does,
            signature,
        };
        registry.register_udf(Arc::new(ScalarUDF::new_from_impl(of_bytes)))?;
    }
    Ok(())
}

/// What is done with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Does {
    Bits,
    Octets,
    Part,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfBytes {
    /// DataFusion's, for texts.
    function: Arc<ScalarUDF>,
    does: Does,
    signature: Signature,
}

impl ScalarUDFImpl for OfBytes {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, taken: &[DataType]) -> Result<DataType> {
        match (taken.first().is_some_and(DataType::is_binary), self.does) {
            (false, _) => self.function.return_type(taken),
            (true, Does::Part) => Ok(DataType::Binary),
            (true, Does::Bits | Does::Octets) => Ok(DataType::Int32),
        }
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_bytes = |value: &ColumnarValue| value.data_type().is_binary();
        if !given.args.first().is_some_and(is_bytes) {
            return self.function.invoke_with_args(given);
        }
        let rows = CallRows::of(&given);
        let found = self
            .does
            .of(&ColumnarValue::values_to_arrays(&given.args)?)?;
        rows.answer(found)
    }
}

impl Does {
    /// What DataFusion's function takes, or bytes. Texts come first, for what is NULL or not known.
    fn beside(self, given: &Signature) -> Signature {
        let mut signature = given.clone();
        let mut all = match &given.type_signature {
            TypeSignature::OneOf(all) => all.clone(),
            one => vec![one.clone()],
        };
        let bytes = Coercion::new_exact(TypeSignatureClass::Native(logical_binary()));
        let number = Coercion::new_implicit(
            TypeSignatureClass::Native(logical_int64()),
            vec![TypeSignatureClass::Native(logical_int32())],
            NativeType::Int64,
        );
        match self {
            Does::Bits | Does::Octets => all.push(TypeSignature::Coercible(vec![bytes])),
            Does::Part => {
                let from = vec![bytes, number.clone()];
                all.push(TypeSignature::Coercible(from.clone()));
                all.push(TypeSignature::Coercible([from, vec![number]].concat()));
            }
        }
        signature.type_signature = TypeSignature::OneOf(all);
        signature
    }

    fn of(self, arguments: &[ArrayRef]) -> Result<ArrayRef> {
        let Some((values, numbers)) = arguments.split_first() else {
            return exec_err!("there are no bytes");
        };
        let values = cast(values, &DataType::Binary)?;
        let values = values.as_binary::<i32>();
        let found: ArrayRef = match self {
            Does::Bits => Arc::new(lengths(values, 8)),
            Does::Octets => Arc::new(lengths(values, 1)),
            Does::Part => Arc::new(parts(values, numbers)?),
        };
        Ok(found)
    }
}

fn lengths(values: &BinaryArray, units: usize) -> Int32Array {
    let length = |bytes: &[u8]| i32::try_from(bytes.len() * units).unwrap_or(i32::MAX);
    values.iter().map(|bytes| bytes.map(length)).collect()
}

/// Parts of bytes, from positions on and of lengths.
fn parts(values: &BinaryArray, numbers: &[ArrayRef]) -> Result<BinaryArray> {
    let numbers = whole_numbers(numbers)?;
    let parts = values.iter().enumerate().map(|(row, bytes)| {
        let of_row = numbers.iter();
        let mut of_row = of_row.map(|column| column.is_valid(row).then(|| column.value(row)));
        match (bytes, of_row.next(), of_row.next()) {
            (Some(bytes), Some(Some(from)), None) => part(bytes, from, None).map(Some),
            (Some(bytes), Some(Some(from)), Some(Some(count))) => {
                part(bytes, from, Some(count)).map(Some)
            }
            _ => Ok(None),
        }
    });
    parts.collect()
}

/// The bytes from a position on, which begins with 1 and may lie before them.
fn part(bytes: &[u8], from: i64, count: Option<i64>) -> Result<&[u8]> {
    if count.is_some_and(|count| count < 0) {
        let message = "negative substring length not allowed";
        return Err(external(SqlError::new("22011", message)));
    }
    let before = from.saturating_sub(1);
    let end = count.map_or(i64::MAX, |count| before.saturating_add(count));
    let within = |position: i64| {
        let position = usize::try_from(position.max(0)).unwrap_or(usize::MAX);
        position.min(bytes.len())
    };
    let (start, end) = (within(before), within(end));
    Ok(&bytes[start..end.max(start)])
}

/// What each byte at a position is, which begins with 0.
pub fn byte(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let Some((values, positions)) = arguments.split_first() else {
        return exec_err!("there are no bytes");
    };
    let values = cast(values, &DataType::Binary)?;
    let values = values.as_binary::<i32>().iter().enumerate();
    let positions = whole_numbers(positions)?;
    let found = values.map(|(row, bytes)| {
        let position = positions.first();
        let position = position.filter(|column| column.is_valid(row));
        match (bytes, position.map(|column| column.value(row))) {
            (Some(bytes), Some(position)) => byte_at(bytes, position).map(Some),
            _ => Ok(None),
        }
    });
    Ok(Arc::new(found.collect::<Result<Int32Array>>()?))
}

fn byte_at(bytes: &[u8], position: i64) -> Result<i32> {
    let place = usize::try_from(position).ok();
    match place.and_then(|place| bytes.get(place)) {
        Some(byte) => Ok(i32::from(*byte)),
        None => {
            let message = format!("there is no byte {position} in {}", bytes.len());
            let error = SqlError::new("2202E", message);
            Err(external(error.with_hint("the first byte is that at 0")))
        }
    }
}

fn whole_numbers(columns: &[ArrayRef]) -> Result<Vec<Int64Array>, ArrowError> {
    let columns = columns.iter().map(|column| {
        let numbers = cast(column, &DataType::Int64)?;
        Ok(numbers.as_primitive::<Int64Type>().clone())
    });
    columns.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_within_the_bytes() {
        for (from, count, expected) in [
            (1, Some(2), "ab"),
            (2, None, "bcd"),
            (-1, Some(3), "a"),
            (-5, Some(3), ""),
            (3, Some(i64::MAX), "cd"),
            (9, None, ""),
            (i64::MIN, None, "abcd"),
        ] {
            let found = part(b"abcd", from, count).expect("a part");
            assert_eq!(found, expected.as_bytes(), "{from} {count:?}");
        }
        assert!(part(b"abcd", 1, Some(-1)).is_err());
    }

    #[test]
    fn bytes_are_counted_from_nothing() {
        assert_eq!(byte_at(&[7, 255], 1).expect("a byte"), 255);
        assert!(byte_at(&[7, 255], 2).is_err());
        assert!(byte_at(&[7, 255], -1).is_err());
    }
}
