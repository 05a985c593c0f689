//! Sums of binary numbers of any magnitude, exact under addition and retraction.
//!
//! A number is an integer times a fixed power of two. The sum is kept as that integer, cut into
//! digits of 64 bits, each in a 128-bit lane of its own: additions never carry, so lanes add up
//! componentwise like any other sum, and 2^62 of them fit. The digits a column never touches are
//! constant-zero lanes and cost nothing. This is a long accumulator in the sense of Kulisch
//! ("Computer Arithmetic and Validity", 2008). NaN and the infinities are counted.

use num_bigint::{BigInt, BigUint, Sign};

use super::chunk::SumLane;
use super::lane::Lane;

/// Narrow lanes behind the digits: NaN, +infinity, -infinity.
pub const SPECIALS: usize = 3;

/// What each row adds to the lanes of one sum.
pub struct LongSum {
    length: usize,
    digits: Vec<Option<Vec<i128>>>,
    specials: Vec<Option<Vec<i64>>>,
}

impl LongSum {
    /// No row of `length` adds anything yet.
    pub fn new(digits: usize, length: usize) -> LongSum {
        LongSum {
            length,
            digits: vec![None; digits],
            specials: vec![None; SPECIALS],
        }
    }

    /// Lets a row add `magnitude * 2^shift * factor`; the magnitude has at most 106 bits.
    #[inline]
    pub fn add(&mut self, row: usize, magnitude: u128, shift: usize, factor: i64) {
        let low = u128::from(magnitude as u64) << (shift % 64);
        let high = (magnitude >> 64) << (shift % 64);
        let digits = [
            u128::from(low as u64),
            (low >> 64) + u128::from(high as u64),
            high >> 64,
        ];
        for (offset, digit) in digits.into_iter().enumerate() {
            if digit != 0 {
                let lane = &mut self.digits[shift / 64 + offset];
                let sum = &mut lane.get_or_insert_with(|| vec![0; self.length])[row];
                *sum += (digit as i128).wrapping_mul(i128::from(factor));
            }
        }
    }

    /// Lets a row add a value that is not finite.
    pub fn add_special(&mut self, row: usize, value: f64, count: i64) {
        let special = match (value.is_nan(), value > 0.0) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        };
        let lane = &mut self.specials[special];
        lane.get_or_insert_with(|| vec![0; self.length])[row] += count;
    }

    /// The digits, then the counts of special values.
    pub fn lanes(self) -> Vec<SumLane> {
        let length = self.length;
        let digits = self.digits.into_iter().map(|digit| match digit {
            Some(values) => SumLane::Wide(values.into()),
            None => SumLane::Wide(Lane::Constant(0, length)),
        });
        let specials = self.specials.into_iter().map(|special| match special {
            Some(values) => SumLane::Narrow(values.into()),
            None => SumLane::Narrow(Lane::Constant(0, length)),
        });
        digits.chain(specials).collect()
    }
}

/// The sum of a row if special values take part in it: NaN or an infinity.
pub fn special(lanes: &[SumLane], digits: usize, row: usize) -> Option<f64> {
    let has = |position: usize| lanes[digits + position].get(row) != 0;
    match (has(0), has(1), has(2)) {
        (true, _, _) | (_, true, true) => Some(f64::NAN),
        (_, true, _) => Some(f64::INFINITY),
        (_, _, true) => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// Lets the digits of a row carry: the limbs of the sum's magnitude, lowest first, and whether it
/// is negative. There must be room for two limbs more than digits.
pub fn limbs(digits: &[SumLane], row: usize, limbs: &mut [u64]) -> bool {
    let is_zero = |digit: &SumLane| matches!(digit, SumLane::Wide(Lane::Constant(0, _)));
    let first = digits.iter().position(|digit| !is_zero(digit));
    let behind = digits.iter().rposition(|digit| !is_zero(digit));
    let behind = behind.map_or(0, |last| last + 1);
    let mut carry = 0i128;
    limbs.fill(0);
    for (position, limb) in limbs.iter_mut().enumerate().skip(first.unwrap_or(0)) {
        if position >= behind && carry == 0 {
            break;
        }
        let digit = digits.get(position).map_or(0, |digit| digit.get(row));
        // Split before adding, so that the sum of two large digits cannot overflow.
        let low = i128::from(digit as u64) + i128::from(carry as u64);
        *limb = low as u64;
        carry = (digit >> 64) + (carry >> 64) + (low >> 64);
    }
    let is_negative = carry < 0;
    if is_negative {
        negate(limbs);
    }
    is_negative
}

fn negate(limbs: &mut [u64]) {
    let mut carry = true;
    for limb in limbs {
        let (inverted, overflow) = (!*limb).overflowing_add(u64::from(carry));
        *limb = inverted;
        carry = overflow;
    }
}

/// The finite sum of a row as an integer.
pub fn integer(lanes: &[SumLane], digits: usize, row: usize) -> BigInt {
    let mut words = vec![0u64; digits + 2];
    let sign = match limbs(&lanes[..digits], row, &mut words) {
        true => Sign::Minus,
        false => Sign::Plus,
    };
    let halves = words
        .iter()
        .flat_map(|word| [*word as u32, (*word >> 32) as u32]);
    BigInt::from_biguint(sign, BigUint::new(halves.collect()))
}
