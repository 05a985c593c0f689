//! How much there is in values, and how much a series of them will be.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, GenericListArray, Int64Array, OffsetSizeTrait, StructArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType};
use datafusion::error::Result;

use crate::sql::types::INTERVAL;

/// Nanoseconds of a day.
const DAY: f64 = 86_400e9;

/// What is measured of each value of a column.
pub type Measure = fn(&ArrayRef) -> Result<Vec<f64>>;

/// How many values there are in the first of some values, and how many bytes in its texts.
pub fn amount(value: &ArrayRef) -> Result<(f64, f64)> {
    let first = |measures: Vec<f64>| measures.first().copied().unwrap_or(0.0);
    Ok((first(leaves_of(value)?), first(bytes_of(value)?)))
}

/// How often something is to be made.
pub fn counts_of(values: &ArrayRef) -> Result<Vec<f64>> {
    let counts = cast(values, &DataType::Int64)?;
    let counts = counts.as_primitive::<Int64Type>().iter();
    Ok(counts
        .map(|count| count.unwrap_or(0).max(0) as f64)
        .collect())
}

/// How many bytes the characters of a text may take at most, each of them.
pub fn widest_of(values: &ArrayRef) -> Result<Vec<f64>> {
    let texts = cast(values, &DataType::LargeUtf8)?;
    let width = |text: Option<&str>| match text.is_none_or(str::is_ascii) {
        true => 1.0,
        false => 4.0,
    };
    Ok(texts.as_string::<i64>().iter().map(width).collect())
}

/// How many values there are in lists and their lists; a value is one.
pub fn leaves_of(values: &ArrayRef) -> Result<Vec<f64>> {
    match values.data_type() {
        DataType::Struct(_) => of_parts(values.as_struct(), leaves_of),
        DataType::List(_) => of_lists(values.as_list::<i32>(), leaves_of),
        DataType::LargeList(_) => of_lists(values.as_list::<i64>(), leaves_of),
        _ => Ok(vec![1.0; values.len()]),
    }
}

/// How many bytes there are in texts, and in the texts of lists.
pub fn bytes_of(values: &ArrayRef) -> Result<Vec<f64>> {
    let text = |text: Option<&str>| text.map_or(0, str::len) as f64;
    let binary = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len) as f64;
    Ok(match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().iter().map(text).collect(),
        DataType::LargeUtf8 => values.as_string::<i64>().iter().map(text).collect(),
        DataType::Utf8View => values.as_string_view().iter().map(text).collect(),
        DataType::Binary => values.as_binary::<i32>().iter().map(binary).collect(),
        DataType::LargeBinary => values.as_binary::<i64>().iter().map(binary).collect(),
        DataType::BinaryView => values.as_binary_view().iter().map(binary).collect(),
        DataType::List(_) => of_lists(values.as_list::<i32>(), bytes_of)?,
        DataType::LargeList(_) => of_lists(values.as_list::<i64>(), bytes_of)?,
        DataType::Struct(_) => of_parts(values.as_struct(), bytes_of)?,
        _ => vec![0.0; values.len()],
    })
}

/// The sums of a measure over the values of each list.
fn of_lists<O: OffsetSizeTrait>(lists: &GenericListArray<O>, measure: Measure) -> Result<Vec<f64>> {
    let measures = measure(lists.values())?;
    let ends = lists.value_offsets().windows(2);
    Ok(ends
        .map(|ends| {
            measures[ends[0].as_usize()..ends[1].as_usize()]
                .iter()
                .sum()
        })
        .collect())
}

/// The sums of a measure over the parts of each structure.
fn of_parts(structures: &StructArray, measure: Measure) -> Result<Vec<f64>> {
    let mut sums = vec![0.0; structures.len()];
    for part in structures.columns() {
        let measures = measure(part)?.into_iter();
        sums.iter_mut()
            .zip(measures)
            .for_each(|(sum, of_part)| *sum += of_part);
    }
    Ok(sums)
}

/// The lengths of series from a beginning to an end by a step.
pub fn series(arguments: &[ArrayRef], rows: usize) -> Result<Vec<f64>> {
    let constant = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value; rows])) };
    let (from, to, step) = match arguments {
        [to] => (constant(0), to.clone(), constant(1)),
        [from, to] => (from.clone(), to.clone(), constant(1)),
        [from, to, step, ..] => (from.clone(), to.clone(), step.clone()),
        [] => return Ok(Vec::new()),
    };
    let (from, to, step) = (positions(&from)?, positions(&to)?, positions(&step)?);
    let lengths = (0..rows).map(|row| match (from[row], to[row], step[row]) {
        (Some(from), Some(to), Some(step)) if step != 0.0 => ((to - from) / step).max(-1.0) + 1.0,
        _ => 0.0,
    });
    Ok(lengths.collect())
}

/// Numbers as they are, times and intervals in nanoseconds; months count as the shortest.
fn positions(values: &ArrayRef) -> Result<Vec<Option<f64>>> {
    let (data_type, unit) = match values.data_type() {
        DataType::Interval(_) => {
            let intervals = cast(values, &INTERVAL)?;
            let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
            let nanoseconds = intervals.iter().map(|interval| {
                let (months, days, nanoseconds) = IntervalMonthDayNanoType::to_parts(interval?);
                let days = f64::from(months) * 28.0 + f64::from(days);
                Some(days * DAY + nanoseconds as f64)
            });
            return Ok(nanoseconds.collect());
        }
        DataType::Date32 | DataType::Date64 => (DataType::Date32, DAY),
        DataType::Timestamp(unit, _) => {
            let unit = match unit {
                arrow::datatypes::TimeUnit::Second => 1e9,
                arrow::datatypes::TimeUnit::Millisecond => 1e6,
                arrow::datatypes::TimeUnit::Microsecond => 1e3,
                arrow::datatypes::TimeUnit::Nanosecond => 1.0,
            };
            (values.data_type().clone(), unit)
        }
        _ => (DataType::Int64, 1.0),
    };
    let values = cast(values, &data_type)?;
    // Days are 32 bits wide.
    let values = match data_type {
        DataType::Date32 => cast(&values, &DataType::Int32)?,
        _ => values,
    };
    let numbers = cast(&values, &DataType::Int64)?;
    let numbers = numbers.as_primitive::<Int64Type>().iter();
    Ok(numbers.map(|number| Some(number? as f64 * unit)).collect())
}
