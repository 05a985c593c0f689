//! Functions that make much of little, with a bound on what one call of them may make.
//!
//! `repeat('x', 1e12)` or `generate_series(1, 1e12)` would otherwise take all memory before anything
//! could stop them: what a function makes is in no query's account.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};
use regex::Regex;

use super::amounts::{Measure, bytes_of, counts_of, leaves_of, series, widest_of};
use super::call_rows::CallRows;
use super::otherwise::{Computation, is_computed_by, otherwise};
use crate::sql::error::SqlError;
use crate::sql::planner::external;

/// Most values that the lists of one call may have together.
pub const VALUES_MAX: f64 = 10_000_000.0;
/// Most bytes that the texts of one call may have together.
pub const BYTES_MAX: f64 = 268_435_456.0;
/// The most bytes that one byte of a format becomes: `%c` is a moment with names of day and month.
const FORMATTED: f64 = 20.0;

/// How the size of what is made follows from the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Growth {
    /// The values from one to another.
    Series,
    /// The argument of this place as often as the second says, as a list.
    Values(usize),
    /// As many characters as the second argument says, of those that the first and the third have.
    Characters,
    /// The first argument as often as the second says.
    Copies,
    /// All arguments.
    Joined,
    /// All arguments behind the first, and the first between them.
    Separated,
    /// The values of the first, and the second between them.
    Listed,
    /// All arguments, as lists.
    Gathered,
    /// What the second argument says of the first; of each of its signs a name or a number.
    Formatted,
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
    ("make_array", Growth::Gathered),
    ("array_append", Growth::Gathered),
    ("array_prepend", Growth::Gathered),
    ("array_concat", Growth::Gathered),
    ("lpad", Growth::Characters),
    ("rpad", Growth::Characters),
    ("repeat", Growth::Copies),
    ("concat", Growth::Joined),
    ("concat_ws", Growth::Separated),
    ("array_to_string", Growth::Listed),
    ("to_char", Growth::Formatted),
    ("replace", Growth::Replaced),
    ("regexp_replace", Growth::Matched),
];

/// The functions with their bounds, of those that are there.
pub fn functions(named: impl Fn(&str) -> Option<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    let functions = BOUNDED.iter();
    let functions = functions.filter_map(|(name, growth)| Some(otherwise(named(name)?, *growth)));
    functions.collect()
}

/// A function that makes lists of what it is given, with its bound; `None` if it is another one, or
/// has its bound already. Lists that are written with brackets come without.
pub fn gathering(function: &Arc<ScalarUDF>) -> Option<Arc<ScalarUDF>> {
    let known = BOUNDED
        .iter()
        .find(|(name, growth)| *growth == Growth::Gathered && *name == function.name());
    if known.is_none() || is_bounded(function) {
        return None;
    }
    Some(otherwise(Arc::clone(function), Growth::Gathered))
}

/// Whether a function has a bound.
pub fn is_bounded(function: &ScalarUDF) -> bool {
    is_computed_by::<Growth>(function)
}

/// The function is asked only for what it may make.
impl Computation for Growth {
    fn invoke(&self, function: &ScalarUDF, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(function.name(), &given)?;
        function.invoke_with_args(given)
    }
}

impl Growth {
    /// Refuses a call that would make too much.
    pub fn check(self, function: &str, given: &ScalarFunctionArgs) -> Result<()> {
        let arguments = Arguments {
            given: &given.args,
            rows: CallRows::of(given).count,
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
            Growth::Gathered => {
                let values = arguments.sum_from(0, leaves_of)?;
                return Ok((values, arguments.sum_from(0, bytes_of)?));
            }
            Growth::Characters => {
                let widths = arguments.measured(0, widest_of)?;
                let filling = arguments.measured(2, widest_of)?;
                let widest = widths.iter().zip(filling);
                let widest: Vec<f64> = widest.map(|(width, other)| width.max(other)).collect();
                products(&arguments.measured(1, counts_of)?, &widest)
            }
            Growth::Formatted => arguments.sum(1, bytes_of)? * FORMATTED,
            Growth::Copies => {
                let counts = arguments.measured(1, counts_of)?;
                products(&counts, &arguments.measured(0, bytes_of)?)
            }
            Growth::Joined => arguments.sum_from(0, bytes_of)?,
            Growth::Separated => {
                let separators = arguments.sum(0, bytes_of)?;
                let gaps = arguments.given.len().saturating_sub(2) as f64;
                separators * gaps + arguments.sum_from(1, bytes_of)?
            }
            Growth::Listed => {
                let leaves = arguments.measured(0, leaves_of)?;
                let between = products(&leaves, &arguments.measured(1, bytes_of)?);
                let of_nulls = products(&leaves, &arguments.measured(2, bytes_of)?);
                between + of_nulls + arguments.sum(0, bytes_of)?
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
    let parentheses = match function
        .chars()
        .all(|sign| sign == '_' || sign.is_alphanumeric())
    {
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
    fn measured(&self, place: usize, measure: Measure) -> Result<Vec<f64>> {
        let of_all = match self.given.get(place) {
            Some(ColumnarValue::Array(values)) => return measure(values),
            Some(ColumnarValue::Scalar(value)) => {
                measure(&value.to_array()?)?.first().copied().unwrap_or(0.0)
            }
            None => 0.0,
        };
        Ok(vec![of_all; self.rows])
    }

    /// A measure of an argument, of all rows together.
    fn sum(&self, place: usize, measure: Measure) -> Result<f64> {
        Ok(self.measured(place, measure)?.into_iter().sum())
    }

    /// A measure of all arguments from a place on, of all rows together.
    fn sum_from(&self, place: usize, measure: Measure) -> Result<f64> {
        let places = place..self.given.len();
        places.map(|place| self.sum(place, measure)).sum()
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
    fn filled_texts_count_with_the_bytes_of_their_characters() {
        let length = ColumnarValue::Scalar(ScalarValue::Int64(Some(1_000)));
        let padded = |first, filling| {
            let given = [text(first, 1), length.clone(), text(filling, 1)];
            bytes(Growth::Characters, &given, 3)
        };
        assert_eq!(padded("a", "b"), 3_000.0);
        assert_eq!(padded("a", "\u{1f600}"), 12_000.0);
        assert_eq!(padded("\u{e4}", "b"), 12_000.0);
        let negative = ColumnarValue::Scalar(ScalarValue::Int64(Some(-1)));
        assert_eq!(bytes(Growth::Characters, &[text("a", 1), negative], 3), 0.0);
    }

    #[test]
    fn lists_count_what_they_gather_and_constants_for_each_row() {
        let column = ColumnarValue::Array(Arc::new(StringArray::from(vec!["xy"; 1_000])));
        let given = [text("a", 1_000_000), column];
        let arguments = Arguments {
            given: &given,
            rows: 1_000,
        };
        let made = Growth::Gathered.made(&arguments).expect("numbers");
        assert_eq!(made, (2_000.0, 1_000_002_000.0));
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
