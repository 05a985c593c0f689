//! Sums, and averages of them, that leave the range of their type.
//!
//! Sums wrap, which is exact under retraction and says nothing about whether the sum is in range. So
//! what each number has beyond 32 bits, of decimals beyond 96, is added up beside it: where numbers
//! are smaller than that, as amounts of money are, that is zero throughout and takes no memory.

use arrow::datatypes::DataType;

use super::chunk::{Body, SumLane};
use super::decimal_sum::{average, total};
use crate::sql::aggregates::wide_sums::{of_38_digits, out_of_range};

/// Bits of a whole number that are not added up beside it.
const LOW_BITS: u32 = 32;

/// A sum with what tells whether what is read off it is in the range of its type; positions are
/// those of terms, or of their lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedSum {
    /// The sum, which wraps.
    pub sum: usize,
    /// The sum of what the numbers have beyond so many bits.
    pub excess: usize,
    /// What is read off it.
    pub result: CheckedResult,
    /// The type of that.
    pub data_type: DataType,
}

/// What is read off a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckedResult {
    /// A sum of whole numbers.
    Whole,
    /// A sum of decimals.
    Decimal,
    /// The average of decimals.
    Average {
        /// Where their number is; `None`: all rows of the group.
        count: Option<usize>,
        /// What the sum is multiplied with first.
        factor: i128,
    },
}

/// What a number of a type, given by its bits, has beyond 32 bits. Nothing of small negative numbers.
pub fn excess(word: i64, data_type: &DataType) -> i64 {
    match data_type {
        DataType::UInt64 => (word as u64 >> LOW_BITS) as i64,
        _ => word / (1i64 << LOW_BITS),
    }
}

impl CheckedSum {
    /// The same with other positions.
    pub fn moved(&self, position: impl Fn(usize) -> usize) -> CheckedSum {
        CheckedSum {
            sum: position(self.sum),
            excess: position(self.excess),
            result: match self.result {
                CheckedResult::Average { count, factor } => CheckedResult::Average {
                    count: count.map(position),
                    factor,
                },
                other => other,
            },
            data_type: self.data_type.clone(),
        }
    }

    /// Where the number of rows is that matters; `None`: all rows of the group.
    pub fn count(&self) -> Option<usize> {
        match self.result {
            CheckedResult::Average { count, .. } => count,
            _ => None,
        }
    }

    /// Whether no row of a chunk adds anything beside its sum.
    pub fn is_small(&self, body: &Body) -> bool {
        matches!(&body.sums[self.excess], SumLane::Narrow(lane) if lane.is_constant(0))
    }

    /// Whether what is read off a sum of so many rows is out of range.
    pub fn is_out_of_range(&self, sum: i128, excess: i64, count: i64) -> bool {
        match self.result {
            CheckedResult::Whole => self.is_too_large(sum as i64, excess),
            CheckedResult::Decimal => of_38_digits(total(sum, excess)).is_none(),
            CheckedResult::Average { factor, .. } => {
                count != 0 && average(total(sum, excess), count, factor).is_none()
            }
        }
    }

    /// What is said then.
    pub fn reason(&self) -> String {
        match self.result {
            CheckedResult::Average { .. } => {
                format!("an average is out of the range of {}", self.data_type)
            }
            _ => out_of_range(&self.data_type),
        }
    }

    /// Whether a sum of whole numbers is out of range. What all rows add below 32 bits is less than
    /// 2⁶³ for less than 2³¹ rows, so that it is known from the sum.
    fn is_too_large(&self, sum: i64, excess: i64) -> bool {
        let below = sum.wrapping_sub(excess.wrapping_shl(LOW_BITS));
        let total = (i128::from(excess) << LOW_BITS) + i128::from(below);
        match self.data_type {
            DataType::UInt64 => u64::try_from(total).is_err(),
            _ => i64::try_from(total).is_err(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_too_large(numbers: &[i64]) -> bool {
        let sum = CheckedSum {
            sum: 0,
            excess: 1,
            result: CheckedResult::Whole,
            data_type: DataType::Int64,
        };
        let wrapped = numbers.iter().fold(0, |sum: i64, n| sum.wrapping_add(*n));
        let beyond = numbers.iter().map(|n| excess(*n, &DataType::Int64)).sum();
        sum.is_too_large(wrapped, beyond)
    }

    #[test]
    fn sums_out_of_range_are_told_from_those_within() {
        assert!(!is_too_large(&[]));
        assert!(!is_too_large(&[i64::MAX]));
        assert!(!is_too_large(&[i64::MIN]));
        assert!(!is_too_large(&[i64::MAX, i64::MIN, -1, 1]));
        assert!(!is_too_large(&[i64::MAX, 1, -1]));
        assert!(is_too_large(&[i64::MAX, 1]));
        assert!(is_too_large(&[i64::MIN, -1]));
        assert!(is_too_large(&[i64::MAX; 1_000]));
        assert!(is_too_large(&[i64::MIN, i64::MIN]));
        assert_eq!(excess(-5, &DataType::Int64), 0);
        assert_eq!(excess(4_000_000_000, &DataType::Int64), 0);
        assert_eq!(excess(-1, &DataType::UInt64), (1 << 32) - 1);
        let unsigned = CheckedSum {
            sum: 0,
            excess: 1,
            result: CheckedResult::Whole,
            data_type: DataType::UInt64,
        };
        assert!(!unsigned.is_too_large(-1, (1 << 32) - 1));
        assert!(unsigned.is_too_large(0, 1 << 32));
    }
}
