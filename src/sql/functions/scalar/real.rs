//! Functions of doubles that have no value for some of them, which is an error as in Postgres.
//!
//! Of `ln(0)`, `exp(1000)` and `asin(2)` DataFusion makes an infinity or NaN. These are what functions
//! give of infinities and NaN alone.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::functions::math;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};

use super::super::otherwise::{Computation, otherwise};
use crate::sql::error::SqlError;
use crate::sql::planner::external;

const CHECKED: [(&str, Does); 10] = [
    ("acos", Does::Angle),
    ("acosh", Does::Angle),
    ("asin", Does::Angle),
    ("atanh", Does::Angle),
    ("exp", Does::Power),
    ("ln", Does::Logarithm),
    ("log", Does::Logarithm),
    ("log10", Does::Logarithm),
    ("log2", Does::Logarithm),
    ("power", Does::Power),
];

/// Functions that check what they are given by themselves.
const CHECKING: [&str; 1] = ["sqrt"];

/// Puts the functions in the place of DataFusion's.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for (name, does) in CHECKED {
        let function = registry.udf(name)?;
        registry.register_udf(otherwise(function, does))?;
    }
    Ok(())
}

/// `power`, for the operator.
pub fn power() -> Arc<ScalarUDF> {
    otherwise(math::power(), Does::Power)
}

/// Whether a function of this name fails for some numbers.
pub fn may_fail(name: &str) -> bool {
    CHECKED.iter().any(|(checked, _)| *checked == name) || CHECKING.contains(&name)
}

/// What a function computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Does {
    Angle,
    Logarithm,
    Power,
}

impl Computation for Does {
    fn invoke(&self, function: &ScalarUDF, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arguments = given.args.clone();
        let found = function.invoke_with_args(given)?;
        self.check(&arguments, &found)?;
        Ok(found)
    }
}

impl Does {
    /// Refuses what is no number though all that it is computed of are.
    fn check(self, arguments: &[ColumnarValue], found: &ColumnarValue) -> Result<()> {
        if !found.data_type().is_floating() {
            return Ok(());
        }
        let rows = match found {
            ColumnarValue::Array(found) => found.len(),
            ColumnarValue::Scalar(_) => 1,
        };
        let found = doubles(found, rows)?;
        if found.values().iter().all(|number| number.is_finite()) {
            return Ok(());
        }
        let arguments = arguments.iter().map(|argument| doubles(argument, rows));
        let arguments = arguments.collect::<Result<Vec<Float64Array>>>()?;
        for row in (0..rows).filter(|row| found.is_valid(*row) && !found.value(*row).is_finite()) {
            let given: Vec<f64> = arguments.iter().map(|column| column.value(row)).collect();
            if given.iter().all(|number| number.is_finite()) {
                return Err(self.refusal(&given));
            }
        }
        Ok(())
    }

    fn refusal(self, given: &[f64]) -> DataFusionError {
        let is_any = |is_meant: fn(f64) -> bool| given.iter().any(|number| is_meant(*number));
        let (state, message) = match self {
            Does::Angle => ("22003", "input is out of range"),
            Does::Logarithm if is_any(|number| number < 0.0) => {
                ("2201E", "cannot take logarithm of a negative number")
            }
            Does::Logarithm if is_any(|number| number == 0.0) => {
                ("2201E", "cannot take logarithm of zero")
            }
            // To the base 1.
            Does::Logarithm => ("22012", "divide by zero"),
            Does::Power => match given {
                [base, exponent] if *base < 0.0 && exponent.fract() != 0.0 => (
                    "2201F",
                    "a negative number raised to a non-integer power yields a complex result",
                ),
                _ => ("22003", "a power is out of range of DOUBLE PRECISION"),
            },
        };
        external(SqlError::new(state, message))
    }
}

fn doubles(value: &ColumnarValue, rows: usize) -> Result<Float64Array> {
    let numbers: ArrayRef = cast(&value.to_array(rows)?, &DataType::Float64)?;
    Ok(numbers.as_primitive::<Float64Type>().clone())
}

#[cfg(test)]
mod tests {
    use datafusion::scalar::ScalarValue;

    use super::*;

    fn state(does: Does, arguments: &[f64], found: f64) -> Option<String> {
        let scalar = |number: f64| ColumnarValue::Scalar(ScalarValue::from(number));
        let arguments: Vec<ColumnarValue> = arguments.iter().copied().map(scalar).collect();
        let error = does.check(&arguments, &scalar(found)).err()?;
        Some(error.to_string())
    }

    #[test]
    fn what_has_no_value_is_an_error() {
        for (does, arguments, found, expected) in [
            (Does::Logarithm, vec![0.0], f64::NEG_INFINITY, "of zero"),
            (
                Does::Logarithm,
                vec![2.0, -1.0],
                f64::NAN,
                "negative number",
            ),
            (Does::Logarithm, vec![1.0, 5.0], f64::INFINITY, "by zero"),
            (Does::Power, vec![1000.0], f64::INFINITY, "out of range"),
            (Does::Power, vec![-8.0, 0.5], f64::NAN, "non-integer"),
            (
                Does::Power,
                vec![10.0, 400.0],
                f64::INFINITY,
                "out of range",
            ),
            (Does::Angle, vec![2.0], f64::NAN, "out of range"),
        ] {
            let told = state(does, &arguments, found).expect("an error");
            assert!(told.contains(expected), "{told}");
        }
        assert_eq!(state(Does::Power, &[f64::INFINITY], f64::INFINITY), None);
        assert_eq!(state(Does::Logarithm, &[f64::NAN], f64::NAN), None);
        assert_eq!(state(Does::Logarithm, &[1.0], 0.0), None);
    }
}
