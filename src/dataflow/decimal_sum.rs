//! Sums of decimals that may have more than 38 digits, and averages of them.
//!
//! Sums wrap at 128 bits. What each number has beyond 96 bits is added up beside them, which is
//! nothing for numbers of up to 28 digits: lanes of zeros take no memory.

use arrow::datatypes::i256;

use crate::sql::aggregates::wide_sums::of_38_digits;

/// Bits of a number that are not added up beside it.
const LOW_BITS: u32 = 96;

/// What a decimal has beyond 96 bits. Nothing of small negative numbers.
#[inline]
pub fn excess(number: i128) -> i64 {
    let beyond = (number.unsigned_abs() >> LOW_BITS) as i64;
    match number < 0 {
        true => -beyond,
        false => beyond,
    }
}

/// A sum that has wrapped as it is, from the sum of what is beyond 96 bits. What all rows add below
/// that is less than 2¹²⁷ for less than 2³¹ rows.
pub fn total(sum: i128, excess: i64) -> i256 {
    let above = i128::from(excess);
    let below = sum.wrapping_sub(above << LOW_BITS);
    let above = i256::from_i128(above).wrapping_mul(i256::from_i128(1 << LOW_BITS));
    above.wrapping_add(i256::from_i128(below))
}

/// The average of so many numbers, times a factor and cut off; `None` if it has more than 38 digits.
pub fn average(total: i256, count: i64, factor: i128) -> Option<i128> {
    let scaled = total.checked_mul(i256::from_i128(factor))?;
    let average = scaled.checked_div(i256::from_i128(i128::from(count)))?;
    of_38_digits(average)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total_of(numbers: &[i128]) -> i256 {
        let wrapped = numbers.iter().fold(0, |sum: i128, n| sum.wrapping_add(*n));
        total(wrapped, numbers.iter().map(|number| excess(*number)).sum())
    }

    #[test]
    fn sums_beyond_128_bits_are_known() {
        let large = 10i128.pow(38) - 1;
        let times = |factor: i128| i256::from_i128(large).wrapping_mul(i256::from_i128(factor));
        assert_eq!(total_of(&[]), i256::ZERO);
        assert_eq!(total_of(&[large, -1, 1]), times(1));
        assert_eq!(total_of(&[large; 5]), times(5));
        assert_eq!(total_of(&[-large; 1_000]), times(-1_000));
        assert_eq!(
            total_of(&[large, large, -large, -large, -7]),
            i256::from_i128(-7)
        );
        assert_eq!(excess(10i128.pow(28)), 0);
        assert_eq!(excess(-(10i128.pow(28))), 0);
        assert_eq!(excess(-large), -excess(large));
    }

    #[test]
    fn averages_have_at_most_38_digits() {
        let large = 10i128.pow(37);
        assert_eq!(average(total_of(&[large; 50]), 50, 1), Some(large));
        assert_eq!(average(total_of(&[large; 50]), 50, 10), None);
        assert_eq!(average(total_of(&[large; 50]), 500, 10), Some(large));
        assert_eq!(average(total_of(&[-1, -1]), 3, 10), Some(-6));
        assert_eq!(average(i256::ZERO, 0, 10), None);
    }
}
