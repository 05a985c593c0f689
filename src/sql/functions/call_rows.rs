//! For how many rows a function is computed: of constants alone once, and what it gives is a constant.

use std::slice::from_ref;

use arrow::array::ArrayRef;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use datafusion::scalar::ScalarValue;

/// The rows of a call.
#[derive(Clone, Copy, Debug)]
pub struct CallRows {
    /// How many there are: one where the arguments are constants.
    pub count: usize,
    is_constant: bool,
}

impl CallRows {
    /// Those of a call, by all of its arguments.
    pub fn of(call: &ScalarFunctionArgs) -> CallRows {
        CallRows::of_values(&call.args, call.number_rows)
    }

    /// Those of a call for so many rows, by one argument alone.
    pub fn of_one(value: &ColumnarValue, rows: usize) -> CallRows {
        CallRows::of_values(from_ref(value), rows)
    }

    fn of_values(values: &[ColumnarValue], rows: usize) -> CallRows {
        let is_scalar = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let is_constant = values.iter().all(is_scalar);
        CallRows {
            count: if is_constant { 1 } else { rows },
            is_constant,
        }
    }

    /// What is found for these rows, as the call gives it.
    pub fn answer(self, found: ArrayRef) -> Result<ColumnarValue> {
        Ok(match self.is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?),
            false => ColumnarValue::Array(found),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;

    use super::*;

    #[test]
    fn constants_are_computed_once() {
        let constant = ColumnarValue::Scalar(ScalarValue::from(1_i64));
        let column: ArrayRef = Arc::new(Int64Array::from(vec![5, 6, 7]));
        let rows = CallRows::of_one(&constant, 3);
        assert_eq!(rows.count, 1);
        let found = rows.answer(column.slice(0, 1)).expect("a constant");
        assert!(matches!(
            found,
            ColumnarValue::Scalar(ScalarValue::Int64(Some(5)))
        ));
        let values = [constant, ColumnarValue::Array(Arc::clone(&column))];
        let rows = CallRows::of_values(&values, 3);
        assert_eq!(rows.count, 3);
        let found = rows.answer(column).expect("a column");
        assert!(matches!(found, ColumnarValue::Array(found) if found.len() == 3));
    }
}
