//! Sums of floating-point numbers that are exact under addition and retraction.
//!
//! A finite f64 is an integer times 2^-1074, at most 2^2098, so 33 digits hold any sum, see
//! [`long_sum`](super::long_sum); the product of two is an integer times 2^-2148.

use super::chunk::SumLane;
use super::long_sum::{LongSum, SPECIALS, limbs, special};

/// Digits of 64 bits that cover every finite f64.
pub const FLOAT_DIGITS: usize = 33;
/// Digits of 64 bits that cover every product of two finite f64.
pub const PRODUCT_DIGITS: usize = 66;
/// Lanes of one floating-point sum.
pub const FLOAT_SUM_LANES: usize = FLOAT_DIGITS + SPECIALS;
/// Lanes of one sum of products.
pub const PRODUCT_SUM_LANES: usize = PRODUCT_DIGITS + SPECIALS;

/// What each row adds to the lanes: `value * count`, or nothing where `value` is `None`.
pub fn float_sum_lanes(
    rows: impl Iterator<Item = (Option<f64>, i64)>,
    length: usize,
) -> Vec<SumLane> {
    let mut sum = LongSum::new(FLOAT_DIGITS, length);
    for (row, (value, count)) in rows.enumerate() {
        let Some(value) = value else { continue };
        if !value.is_finite() {
            sum.add_special(row, value, count);
            continue;
        }
        let (mantissa, shift, sign) = decompose(value);
        sum.add(row, u128::from(mantissa), shift, sign * count);
    }
    sum.lanes()
}

/// What each row adds to the lanes of a sum of products: `left * right * count`.
pub fn product_sum_lanes(
    rows: impl Iterator<Item = (Option<(f64, f64)>, i64)>,
    length: usize,
) -> Vec<SumLane> {
    let mut sum = LongSum::new(PRODUCT_DIGITS, length);
    for (row, (factors, count)) in rows.enumerate() {
        let Some((left, right)) = factors else {
            continue;
        };
        if !left.is_finite() || !right.is_finite() {
            sum.add_special(row, left * right, count);
            continue;
        }
        let (left, left_shift, left_sign) = decompose(left);
        let (right, right_shift, right_sign) = decompose(right);
        let product = u128::from(left) * u128::from(right);
        let factor = left_sign * right_sign * count;
        sum.add(row, product, left_shift + right_shift, factor);
    }
    sum.lanes()
}

/// A finite value as sign * mantissa * 2^(shift - 1074).
fn decompose(value: f64) -> (u64, usize, i64) {
    let bits = value.to_bits();
    let sign = if bits >> 63 == 0 { 1 } else { -1 };
    let exponent = ((bits >> 52) & 0x7ff) as usize;
    let fraction = bits & ((1 << 52) - 1);
    match exponent {
        0 => (fraction, 0, sign),
        _ => (fraction | 1 << 52, exponent - 1, sign),
    }
}

/// The sum of a row, rounded once to the nearest f64, ties to even.
pub fn float_sum(lanes: &[SumLane], row: usize) -> f64 {
    if let Some(value) = special(lanes, FLOAT_DIGITS, row) {
        return value;
    }
    let mut words = [0u64; FLOAT_DIGITS + 2];
    let is_negative = limbs(&lanes[..FLOAT_DIGITS], row, &mut words);
    let magnitude = round(&words);
    if is_negative { -magnitude } else { magnitude }
}

/// The integer times 2^-1074 as the nearest f64.
fn round(limbs: &[u64]) -> f64 {
    let Some(highest) = limbs.iter().rposition(|limb| *limb != 0) else {
        return 0.0;
    };
    let top_bit = highest * 64 + 63 - limbs[highest].leading_zeros() as usize;
    if top_bit <= 52 {
        return f64::from_bits(limbs[0]);
    }
    let shift = top_bit - 52;
    let bit = |position: usize| limbs[position / 64] >> (position % 64) & 1 == 1;
    let mut mantissa = limbs[shift / 64] >> (shift % 64);
    if !shift.is_multiple_of(64) && shift / 64 + 1 < limbs.len() {
        mantissa |= limbs[shift / 64 + 1] << (64 - shift % 64);
    }
    mantissa &= (1 << 53) - 1;
    let half = bit(shift - 1);
    let (word, below) = ((shift - 1) / 64, (1u64 << ((shift - 1) % 64)) - 1);
    let rest = || limbs[word] & below != 0 || limbs[..word].iter().any(|limb| *limb != 0);
    if half && (mantissa & 1 == 1 || rest()) {
        mantissa += 1;
    }
    // A mantissa that rounded up to 2^53 moves into the exponent by itself.
    let exponent = shift as u64 + 1;
    let bits = (exponent << 52) + (mantissa - (1 << 52));
    if bits >= f64::INFINITY.to_bits() {
        return f64::INFINITY;
    }
    f64::from_bits(bits)
}

#[cfg(test)]
mod tests {
    use super::super::lane::Lane;
    use super::*;
    use proptest::prelude::*;

    fn sum(values: &[(f64, i64)]) -> f64 {
        let rows = values.iter().map(|(value, count)| (Some(*value), *count));
        let lanes = float_sum_lanes(rows, values.len());
        let total: Vec<SumLane> = lanes
            .iter()
            .map(|lane| {
                let total: i128 = (0..values.len()).map(|row| lane.get(row)).sum();
                SumLane::Wide(Lane::Constant(total, 1))
            })
            .collect();
        float_sum(&total, 0)
    }

    #[test]
    fn large_values_leave_without_a_trace() {
        assert_eq!(sum(&[(1e300, 1), (0.1, 1), (1e300, -1)]), 0.1);
        assert_eq!(
            sum(&[(f64::MAX, 1), (f64::MAX, 1), (f64::MAX, -1)]),
            f64::MAX
        );
        assert_eq!(sum(&[(f64::MAX, 1), (f64::MAX, 1)]), f64::INFINITY);
        assert_eq!(sum(&[(-0.1, 3), (0.1, 2)]), -0.1);
    }

    #[test]
    fn special_values_are_counted() {
        assert!(sum(&[(f64::NAN, 1), (1.0, 1)]).is_nan());
        assert_eq!(sum(&[(f64::NAN, 1), (f64::NAN, -1), (1.5, 1)]), 1.5);
        assert_eq!(sum(&[(f64::INFINITY, 1), (1.0, 1)]), f64::INFINITY);
        assert!(sum(&[(f64::INFINITY, 1), (f64::NEG_INFINITY, 1)]).is_nan());
    }

    proptest! {
        #[test]
        fn one_value_is_itself(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(sum(&[(value, 1)]), value);
        }

        #[test]
        fn two_values_are_correctly_rounded(a in any::<u64>(), b in any::<u64>()) {
            let (a, b) = (f64::from_bits(a), f64::from_bits(b));
            prop_assume!(a.is_finite() && b.is_finite());
            // The sum of two doubles is correctly rounded by the machine.
            prop_assert_eq!(sum(&[(a, 1), (b, 1)]), a + b);
        }

        #[test]
        fn order_and_company_do_not_matter(values in proptest::collection::vec(-1e9f64..1e9, 1..20), extra in any::<f64>()) {
            prop_assume!(extra.is_finite());
            let mut rows: Vec<(f64, i64)> = values.iter().map(|value| (*value, 1)).collect();
            let alone = sum(&rows);
            rows.reverse();
            rows.push((extra, 1));
            rows.insert(0, (extra, -1));
            prop_assert_eq!(sum(&rows), alone);
        }
    }
}
