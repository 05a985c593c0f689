//! `sum(DISTINCT …)` over frames of which both ends move.

use std::collections::HashMap;
use std::mem::{size_of, size_of_val};

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, i256};
use datafusion::common::not_impl_err;
use datafusion::error::Result;
use datafusion::logical_expr::Accumulator;
use datafusion::scalar::ScalarValue;

/// The sum of the different decimals in a frame, which is wide enough for any number of them.
#[derive(Debug)]
pub struct DistinctInFrame {
    /// How often each of them is there.
    counts: HashMap<i256, u64>,
    sum: i256,
    data_type: DataType,
}

impl DistinctInFrame {
    /// A frame without rows; the type is that of the numbers and of their sum.
    pub fn new(data_type: DataType) -> DistinctInFrame {
        DistinctInFrame {
            counts: HashMap::new(),
            sum: i256::ZERO,
            data_type,
        }
    }

    fn come(&mut self, number: i256) {
        let count = self.counts.entry(number).or_insert(0);
        *count += 1;
        if *count == 1 {
            self.sum = self.sum.wrapping_add(number);
        }
    }

    fn leave(&mut self, number: i256) {
        if let Some(count) = self.counts.get_mut(&number) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&number);
                self.sum = self.sum.wrapping_sub(number);
            }
        }
    }
}

impl Accumulator for DistinctInFrame {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for number in numbers(values) {
            self.come(number);
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for number in numbers(values) {
            self.leave(number);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = (!self.counts.is_empty()).then_some(self.sum);
        match self.data_type {
            DataType::Decimal256(precision, scale) => {
                Ok(ScalarValue::Decimal256(sum, precision, scale))
            }
            DataType::Decimal128(precision, scale) => {
                let sum = sum.map(i256::as_i128);
                Ok(ScalarValue::Decimal128(sum, precision, scale))
            }
            _ => not_impl_err!("distinct sums of {}", self.data_type),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.counts.capacity() * size_of::<(i256, u64)>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        not_impl_err!("parts of frames")
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        not_impl_err!("parts of frames")
    }
}

/// The decimals of the first column that are not NULL.
fn numbers(values: &[ArrayRef]) -> Vec<i256> {
    let Some(values) = values.first() else {
        return Vec::new();
    };
    match values.data_type() {
        DataType::Decimal256(..) => {
            let values = values.as_primitive::<Decimal256Type>();
            values.iter().flatten().collect()
        }
        _ => {
            let values = values.as_primitive::<Decimal128Type>();
            values.iter().flatten().map(i256::from_i128).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Decimal128Array;

    use super::*;

    fn column(numbers: &[i128]) -> Vec<ArrayRef> {
        let numbers = Decimal128Array::from(numbers.to_vec());
        vec![Arc::new(
            numbers.with_data_type(DataType::Decimal128(38, 0)),
        )]
    }

    #[test]
    fn a_number_counts_while_it_is_there() {
        let mut frame = DistinctInFrame::new(DataType::Decimal128(38, 0));
        let sum = |frame: &mut DistinctInFrame| frame.evaluate().expect("a sum");
        assert!(sum(&mut frame).is_null());
        frame
            .update_batch(&column(&[5, 5, 7]))
            .expect("numbers come");
        assert_eq!(sum(&mut frame), ScalarValue::Decimal128(Some(12), 38, 0));
        frame.retract_batch(&column(&[5])).expect("a number leaves");
        assert_eq!(sum(&mut frame), ScalarValue::Decimal128(Some(12), 38, 0));
        frame
            .retract_batch(&column(&[5, 7]))
            .expect("numbers leave");
        assert!(sum(&mut frame).is_null());
    }
}
