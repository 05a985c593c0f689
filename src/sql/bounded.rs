//! Functions that make much of little, with a bound on what one call of them may make.
//!
//! `repeat('x', 1e12)` or `generate_series(1, 1e12)` would otherwise take all memory before anything
//! could stop them: what a function makes is in no query's account.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, GenericListArray, Int64Array, OffsetSizeTrait, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use regex::Regex;

use super::error::SqlError;
use super::planner::external;

/// Most values that the lists of one call may have together.
pub const VALUES_MAX: f64 = 10_000_000.0;
/// Most bytes that the texts of one call may have together.
pub const BYTES_MAX: f64 = 268_435_456.0;
/// Nanoseconds of a day.
const DAY: f64 = 86_400e9;

/// How the size of what is made follows from the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Growth {
    /// The values from one to another.
    Series,
    /// The argument of this place as often as the second says, as a list.
    Values(usize),
    /// As many characters as the second argument says.
    Characters,
    /// The first argument as often as the second says.
    Copies,
    /// All arguments.
    Joined,
    /// All arguments behind the first, and the first between them.
    Separated,
    /// The values of the first, and the second between them.
    Listed,
    /// The first argument with the third in the place of each second.
    Replaced,
    /// The same, where the second is a pattern.
    Matched,
}

const BOUNDED: &[(&str, Growth)] = &[
    ("generate_series", Growth::Series),
    ("range", Growth::Series),
    ("array_repeat", Growth::Values(0)),
    ("array_resize", Growth::Values(2)),
    ("lpad", Growth::Characters),
    ("rpad", Growth::Characters),
    ("repeat", Growth::Copies),
    ("concat", Growth::Joined),
    ("concat_ws", Growth::Separated),
    ("array_to_string", Growth::Listed),
    ("replace", Growth::Replaced),
    ("regexp_replace", Growth::Matched),
];

/// The functions with their bounds, of those that are there.
pub fn functions(named: impl Fn(&str) -> Option<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    let functions = BOUNDED.iter().filter_map(|(name, growth)| {
        let bounded = Bounded {
            function: named(name)?,
            growth: *growth,
        };
        Some(Arc::new(ScalarUDF::new_from_impl(bounded)))
    });
    functions.collect()
}

/// A function that is asked only for what it may make.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    function: Arc<ScalarUDF>,
    growth: Growth,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(given)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.function.return_type(given)
    }

    fn return_field_from_args(&self, given: ReturnFieldArgs) -> Result<FieldRef> {
        self.function.return_field_from_args(given)
    }

    fn is_strict(&self) -> bool {
        self.function.is_strict()
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.growth.check(self.name(), &given)?;
        self.function.invoke_with_args(given)
    }
}

impl Growth {
    /// Refuses a call that would make too much.
    pub fn check(self, function: &str, given: &ScalarFunctionArgs) -> Result<()> {
        let is_constant = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let rows = match given.args.iter().all(is_constant) {
            true => 1,
            false => given.number_rows,
        };
        let arguments = Arguments {
            given: &given.args,
            rows,
        };
        let (values, bytes) = self.made(&arguments)?;
        within(function, values, VALUES_MAX, "values")?;
        within(function, bytes, BYTES_MAX, "bytes")
    }

    /// How many values, and bytes of texts, are made of all rows.
    fn made(self, arguments: &Arguments<'_>) -> Result<(f64, f64)> {
        let bytes: f64 = match self {
            Growth::Series => return Ok((arguments.series()?.into_iter().sum(), 0.0)),
            Growth::Values(copied) => {
                let counts = arguments.measured(1, counts_of)?;
                // An empty list takes the place of a value, too.
                let mut leaves = arguments.measured(copied, leaves_of)?;
                leaves
                    .iter_mut()
                    .for_each(|leaves| *leaves = leaves.max(1.0));
                let bytes = arguments.measured(copied, bytes_of)?;
                return Ok((products(&counts, &leaves), products(&counts, &bytes)));
            }
            Growth::Characters => arguments.measured(1, counts_of)?.into_iter().sum(),
            Growth::Copies => {
                let counts = arguments.measured(1, counts_of)?;
                products(&counts, &arguments.measured(0, bytes_of)?)
            }
            Growth::Joined => arguments.bytes_from(0)?,
            Growth::Separated => {
                let separators: f64 = arguments.measured(0, bytes_of)?.into_iter().sum();
                let gaps = arguments.given.len().saturating_sub(2) as f64;
                separators * gaps + arguments.bytes_from(1)?
            }
            Growth::Listed => {
                let leaves = arguments.measured(0, leaves_of)?;
                let between = products(&leaves, &arguments.measured(1, bytes_of)?);
                let of_nulls = products(&leaves, &arguments.measured(2, bytes_of)?);
                between + of_nulls + arguments.measured(0, bytes_of)?.into_iter().sum::<f64>()
            }
            Growth::Replaced => arguments.replaced()?,
            Growth::Matched => arguments.matched()?,
        };
        Ok((0.0, bytes))
    }
}

/// Refuses a call that would make more than is allowed.
pub fn within(function: &str, made: f64, most: f64, what: &str) -> Result<()> {
    if made <= most {
        return Ok(());
    }
    let parentheses = match function.starts_with(char::is_alphabetic) {
        true => "()",
        false => "",
    };
    let message =
        format!("{function}{parentheses} would make {made} {what} at once; the limit is {most}");
    Err(external(SqlError::new("54000", message)))
}

fn products(these: &[f64], those: &[f64]) -> f64 {
    these
        .iter()
        .zip(those)
        .map(|(this, that)| this * that)
        .sum()
}

/// The arguments of a call for so many rows.
struct Arguments<'a> {
    given: &'a [ColumnarValue],
    rows: usize,
}

impl Arguments<'_> {
    /// A measure of an argument for each row, 0 if it is not there. A constant is measured once:
    /// made into a column, it could itself be what takes all memory.
    fn measured(
        &self,
        place: usize,
        measure: fn(&ArrayRef) -> Result<Vec<f64>>,
    ) -> Result<Vec<f64>> {
        let of_all = match self.given.get(place) {
            Some(ColumnarValue::Array(values)) => return measure(values),
            Some(ColumnarValue::Scalar(value)) => {
                measure(&value.to_array()?)?.first().copied().unwrap_or(0.0)
            }
            None => 0.0,
        };
        Ok(vec![of_all; self.rows])
    }

    /// The bytes of all arguments from a place on.
    fn bytes_from(&self, place: usize) -> Result<f64> {
        let mut bytes = 0.0;
        for place in place..self.given.len() {
            bytes += self.measured(place, bytes_of)?.into_iter().sum::<f64>();
        }
        Ok(bytes)
    }

    fn series(&self) -> Result<Vec<f64>> {
        let arguments = self.given.iter().map(|value| value.to_array(self.rows));
        let arguments = arguments.collect::<Result<Vec<_>>>()?;
        series(&arguments, self.rows)
    }

    /// An argument as texts; none if it is not there.
    fn texts(&self, place: usize) -> Result<Texts> {
        let (texts, is_constant) = match self.given.get(place) {
            Some(ColumnarValue::Array(values)) => (Arc::clone(values), false),
            Some(ColumnarValue::Scalar(value)) => (value.to_array()?, true),
            None => (new_null_array(&DataType::LargeUtf8, 1), true),
        };
        let texts = cast(&texts, &DataType::LargeUtf8)?;
        Ok(Texts { texts, is_constant })
    }

    /// The most bytes that replacing can make: a replacement for each text that could be found.
    fn replaced_at_most(&self, copies_of_text: f64) -> Result<f64> {
        let texts = self.measured(0, bytes_of)?;
        let replacements = self.measured(2, bytes_of)?;
        let all = texts.iter().zip(&replacements);
        Ok(all
            .map(|(text, new)| text * (1.0 + new * copies_of_text) + (text + 1.0) * new)
            .sum())
    }

    fn replaced(&self) -> Result<f64> {
        let most = self.replaced_at_most(0.0)?;
        if most <= BYTES_MAX {
            return Ok(most);
        }
        let (texts, old, new) = (self.texts(0)?, self.texts(1)?, self.texts(2)?);
        let rows = (0..self.rows).filter_map(|row| {
            let (text, old, new) = (texts.get(row)?, old.get(row)?, new.get(row)?);
            let found = match old {
                "" => text.chars().count() + 1,
                old => text.matches(old).count(),
            };
            let kept = text.len().saturating_sub(found.saturating_mul(old.len()));
            Some(kept as f64 + found as f64 * new.len() as f64)
        });
        Ok(rows.sum())
    }

    fn matched(&self) -> Result<f64> {
        let most = self.replaced_at_most(1.0)?;
        if most <= BYTES_MAX {
            return Ok(most);
        }
        let (texts, patterns, new) = (self.texts(0)?, self.texts(1)?, self.texts(2)?);
        let flags = self.texts(3)?;
        let mut compiled: Option<(String, Option<Regex>)> = None;
        let mut bytes = 0.0;
        for row in 0..self.rows {
            let (Some(text), Some(pattern), Some(new)) =
                (texts.get(row), patterns.get(row), new.get(row))
            else {
                continue;
            };
            let flags = flags.get(row).unwrap_or_default();
            let pattern = match flags.replace('g', "") {
                flags if flags.is_empty() => pattern.to_owned(),
                flags => format!("(?{flags}){pattern}"),
            };
            if compiled.as_ref().is_none_or(|(known, _)| *known != pattern) {
                let regex = Regex::new(&pattern).ok();
                compiled = Some((pattern, regex));
            }
            // Of a pattern that is none, the function itself tells.
            let Some((_, Some(regex))) = &compiled else {
                continue;
            };
            let found = match flags.contains('g') {
                true => regex.find_iter(text).count(),
                false => 1,
            };
            let references = new.matches(['$', '\\']).count();
            bytes += text.len() as f64 * (1 + references) as f64 + found as f64 * new.len() as f64;
        }
        Ok(bytes)
    }
}

/// An argument as texts, a constant once for all rows.
struct Texts {
    texts: ArrayRef,
    is_constant: bool,
}

impl Texts {
    fn get(&self, row: usize) -> Option<&str> {
        let row = if self.is_constant { 0 } else { row };
        let texts = self.texts.as_string::<i64>();
        texts.is_valid(row).then(|| texts.value(row))
    }
}

/// How often something is to be made.
fn counts_of(values: &ArrayRef) -> Result<Vec<f64>> {
    let counts = cast(values, &DataType::Int64)?;
    let counts = counts.as_primitive::<Int64Type>().iter();
    Ok(counts
        .map(|count| count.unwrap_or(0).max(0) as f64)
        .collect())
}

/// How many values there are in lists and their lists; a value is one.
fn leaves_of(values: &ArrayRef) -> Result<Vec<f64>> {
    match values.data_type() {
        DataType::List(_) => of_lists(values.as_list::<i32>(), leaves_of),
        DataType::LargeList(_) => of_lists(values.as_list::<i64>(), leaves_of),
        _ => Ok(vec![1.0; values.len()]),
    }
}

/// How many bytes there are in texts, and in the texts of lists.
fn bytes_of(values: &ArrayRef) -> Result<Vec<f64>> {
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
        _ => vec![0.0; values.len()],
    })
}

/// The sums of a measure over the values of each list.
fn of_lists<O: OffsetSizeTrait>(
    lists: &GenericListArray<O>,
    measure: fn(&ArrayRef) -> Result<Vec<f64>>,
) -> Result<Vec<f64>> {
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

/// The lengths of series from a beginning to an end by a step.
fn series(arguments: &[ArrayRef], rows: usize) -> Result<Vec<f64>> {
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
            let intervals = cast(values, &DataType::Interval(IntervalUnit::MonthDayNano))?;
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

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;
    use datafusion::scalar::ScalarValue;

    use super::*;

    fn text(byte: &str, times: usize) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::Utf8(Some(byte.repeat(times))))
    }

    fn bytes(growth: Growth, given: &[ColumnarValue], rows: usize) -> f64 {
        let (_, bytes) = growth
            .made(&Arguments { given, rows })
            .expect("a number of bytes");
        bytes
    }

    #[test]
    fn what_is_joined_adds_up_over_arguments_and_rows() {
        let column = StringArray::from(vec!["x"; 1_000]);
        let column = ColumnarValue::Array(Arc::new(column));
        let given = [text("a", 1_000_000), column, text("b", 500_000)];
        assert_eq!(bytes(Growth::Joined, &given, 1_000), 1_500_001_000.0);
        let separated = bytes(Growth::Separated, &given, 1_000);
        assert_eq!(separated, 1_500_001_000.0);
    }

    #[test]
    fn replacements_are_counted_where_there_could_be_many() {
        let replaced = |growth: Growth, old: &str, new: ColumnarValue| {
            let mut given = vec![text("ab", 1_000_000), text(old, 1), new];
            if growth == Growth::Matched {
                given.push(text("g", 1));
            }
            bytes(growth, &given, 1)
        };
        let long = || text("c", 10_000);
        assert!(replaced(Growth::Replaced, "a", long()) > BYTES_MAX);
        assert!(replaced(Growth::Replaced, "", long()) > BYTES_MAX);
        assert_eq!(replaced(Growth::Replaced, "z", long()), 2_000_000.0);
        assert!(replaced(Growth::Matched, "[a-b]", long()) > BYTES_MAX);
        assert_eq!(replaced(Growth::Matched, "z", long()), 2_000_000.0);
        assert!(replaced(Growth::Matched, "a", text("c", 2)) <= BYTES_MAX);
    }
}
