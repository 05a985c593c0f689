//! Sums of floating-point numbers that are exact under addition and retraction.
//!
//! A finite f64 is an integer times 2^-1074, at most 2^2098. The sum is kept as that integer, cut
//! into digits of 64 bits, each in a 128-bit lane of its own: additions never carry, so lanes add
//! up componentwise like any other sum, and 2^63 of them fit. The digits a column never touches
//! are constant-zero lanes and cost nothing. This is a long accumulator in the sense of Kulisch
//! ("Computer Arithmetic and Validity", 2008). NaN and the infinities are counted.

use super::chunk::SumLane;
use super::lane::Lane;

/// Digits of 64 bits that cover every finite f64.
const DIGITS: usize = 33;
/// Narrow lanes behind the digits: NaN, +infinity, -infinity.
const SPECIALS: usize = 3;
/// Lanes of one floating-point sum.
pub const FLOAT_SUM_LANES: usize = DIGITS + SPECIALS;

/// What each row adds to the lanes: `value * count`, or nothing where `value` is `None`.
pub fn float_sum_lanes(rows: impl Iterator<Item = (Option<f64>, i64)>, length: usize) -> Vec<SumLane> {
    let mut digits: Vec<Option<Vec<i128>>> = vec![None; DIGITS];
    let mut specials: Vec<Option<Vec<i64>>> = vec![None; SPECIALS];
    for (row, (value, count)) in rows.enumerate() {
        let Some(value) = value else { continue };
        if !value.is_finite() {
            let special = match (value.is_nan(), value > 0.0) {
                (true, _) => 0,
                (false, true) => 1,
                (false, false) => 2,
            };
            specials[special].get_or_insert_with(|| vec![0; length])[row] += count;
            continue;
        }
        let (mantissa, shift, sign) = decompose(value);
        let shifted = u128::from(mantissa) << (shift % 64);
        let factor = i128::from(sign * count);
        for (position, digit) in [(shift / 64, shifted as u64), (shift / 64 + 1, (shifted >> 64) as u64)] {
            if digit != 0 {
                digits[position].get_or_insert_with(|| vec![0; length])[row] +=
                    i128::from(digit).wrapping_mul(factor);
            }
        }
    }
    let digits = digits.into_iter().map(|digit| match digit {
        Some(values) => SumLane::Wide(values.into()),
        None => SumLane::Wide(Lane::Constant(0, length)),
    });
    let specials = specials.into_iter().map(|special| match special {
        Some(values) => SumLane::Narrow(values.into()),
        None => SumLane::Narrow(Lane::Constant(0, length)),
    });
    digits.chain(specials).collect()
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
    let special = |position: usize| lanes[DIGITS + position].get(row) != 0;
    match (special(0), special(1), special(2)) {
        (true, _, _) | (_, true, true) => return f64::NAN,
        (_, true, _) => return f64::INFINITY,
        (_, _, true) => return f64::NEG_INFINITY,
        _ => {}
    }
    // One limb more than digits, for what the highest digit carries over.
    let mut limbs = [0u64; DIGITS + 2];
    let mut carry = 0i128;
    for (position, limb) in limbs.iter_mut().enumerate() {
        let digit = if position < DIGITS { lanes[position].get(row) } else { 0 };
        // Split before adding, so that the sum of two large digits cannot overflow.
        let low = i128::from(digit as u64) + i128::from(carry as u64);
        *limb = low as u64;
        carry = (digit >> 64) + (carry >> 64) + (low >> 64);
    }
    let is_negative = carry < 0;
    if is_negative {
        negate(&mut limbs);
    }
    let magnitude = round(&limbs);
    if is_negative { -magnitude } else { magnitude }
}

fn negate(limbs: &mut [u64]) {
    let mut carry = true;
    for limb in limbs {
        let (inverted, overflow) = (!*limb).overflowing_add(u64::from(carry));
        *limb = inverted;
        carry = overflow;
    }
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
    let rest = (0..shift - 1).any(bit);
    if half && (rest || mantissa & 1 == 1) {
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
        assert_eq!(sum(&[(f64::MAX, 1), (f64::MAX, 1), (f64::MAX, -1)]), f64::MAX);
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
