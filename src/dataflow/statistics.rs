//! Variance, covariance, correlation and regression from exact sums.
//!
//! With the sums of x, y and of their products as integers, every statistic is a quotient of two
//! integers, or the root of one, and is rounded once. So adding a row and taking it away again
//! leaves a statistic as it was, and large means cost no digits. DataFusion accumulates rounded
//! means instead, so its last digits depend on the order of rows; NULL and NaN are as it has them.

use num_bigint::{BigInt, BigUint, Sign};

use crate::sql::plan::function::Statistic;

/// The sums that statistics of x and y are made of; x and y in units of 2^-1074, products in
/// units of 2^-2148. Sums that a statistic has no use for may be left zero.
#[derive(Clone, Debug, Default)]
pub struct Moments {
    /// Rows where no argument is NULL.
    pub count: i64,
    pub x: Sum,
    pub y: Sum,
    pub xx: BigInt,
    pub yy: BigInt,
    pub xy: BigInt,
}

/// A sum that may be NaN or infinite.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    pub finite: BigInt,
    pub special: Option<f64>,
}

/// The exponent of the unit of x and y.
const UNIT: i64 = -1074;

impl Statistic {
    /// Which sums it is made of: x, y, x², y², xy.
    pub fn sums(self) -> [bool; 5] {
        match self {
            Statistic::VarianceSample
            | Statistic::VariancePopulation
            | Statistic::DeviationSample
            | Statistic::DeviationPopulation => [true, false, true, false, false],
            Statistic::CovarianceSample | Statistic::CovariancePopulation => {
                [true, true, false, false, true]
            }
            Statistic::RegressionCount => [false; 5],
            Statistic::RegressionAverageX => [true, false, false, false, false],
            Statistic::RegressionAverageY => [false, true, false, false, false],
            Statistic::RegressionSxx => [true, false, true, false, false],
            Statistic::RegressionSyy => [false, true, false, true, false],
            Statistic::RegressionSxy => [true, true, false, false, true],
            Statistic::RegressionSlope | Statistic::RegressionIntercept => {
                [true, true, true, false, true]
            }
            Statistic::Correlation | Statistic::RegressionR2 => [true; 5],
        }
    }

    /// The statistic of a group, NULL where it is not defined.
    pub fn of(self, moments: &Moments) -> Option<f64> {
        match self {
            Statistic::VarianceSample | Statistic::CovarianceSample => moments.spread(self, 1),
            Statistic::VariancePopulation | Statistic::CovariancePopulation => {
                moments.spread(self, 0)
            }
            Statistic::DeviationSample => moments.spread(self, 1).map(f64::sqrt),
            Statistic::DeviationPopulation => moments.spread(self, 0).map(f64::sqrt),
            Statistic::Correlation => moments.correlation(),
            Statistic::RegressionSlope => moments.slope(),
            Statistic::RegressionIntercept => moments.intercept(),
            Statistic::RegressionCount => Some(moments.count as f64),
            Statistic::RegressionR2 => moments.r2(),
            Statistic::RegressionAverageX => moments.mean(&moments.x),
            Statistic::RegressionAverageY => moments.mean(&moments.y),
            Statistic::RegressionSxx | Statistic::RegressionSyy | Statistic::RegressionSxy => {
                moments.deviations(self)
            }
        }
    }
}

impl Moments {
    fn is_special(&self) -> bool {
        self.x.special.is_some() || self.y.special.is_some()
    }

    /// count² times the population's variance of x.
    fn xx_spread(&self) -> BigInt {
        self.count * &self.xx - &self.x.finite * &self.x.finite
    }

    fn yy_spread(&self) -> BigInt {
        self.count * &self.yy - &self.y.finite * &self.y.finite
    }

    fn xy_spread(&self) -> BigInt {
        self.count * &self.xy - &self.x.finite * &self.y.finite
    }

    /// Variance or covariance, of a sample with one degree of freedom less.
    fn spread(&self, statistic: Statistic, fewer: i64) -> Option<f64> {
        let freedom = self.count - fewer;
        if freedom <= 0 {
            return None;
        }
        if self.is_special() {
            return Some(f64::NAN);
        }
        let spread = match statistic {
            Statistic::CovarianceSample | Statistic::CovariancePopulation => self.xy_spread(),
            _ => self.xx_spread(),
        };
        let divisor = BigInt::from(self.count) * freedom;
        Some(quotient(&spread, &divisor, 2 * UNIT))
    }

    /// The sum of squared deviations from the mean, or of products of deviations.
    fn deviations(&self, statistic: Statistic) -> Option<f64> {
        if self.count < 1 {
            return None;
        }
        if self.is_special() {
            return Some(f64::NAN);
        }
        let spread = match statistic {
            Statistic::RegressionSxx => self.xx_spread(),
            Statistic::RegressionSyy => self.yy_spread(),
            _ => self.xy_spread(),
        };
        Some(quotient(&spread, &BigInt::from(self.count), 2 * UNIT))
    }

    fn mean(&self, sum: &Sum) -> Option<f64> {
        if self.count < 1 {
            return None;
        }
        let mean = || quotient(&sum.finite, &BigInt::from(self.count), UNIT);
        Some(sum.special.unwrap_or_else(mean))
    }

    fn correlation(&self) -> Option<f64> {
        let is_nan = |sum: &Sum| sum.special.is_some_and(f64::is_nan);
        match (is_nan(&self.x), is_nan(&self.y)) {
            (true, true) => return Some(f64::NAN),
            (false, false) if self.count > 1 => {}
            _ => return None,
        }
        if self.is_special() {
            return Some(f64::NAN);
        }
        let (xy, square) = (self.xy_spread(), self.xx_spread() * self.yy_spread());
        if is_zero(&square) {
            return None;
        }
        let correlation = quotient(&(&xy * &xy), &square, 0).sqrt();
        Some(if xy.sign() == Sign::Minus {
            -correlation
        } else {
            correlation
        })
    }

    /// Whether a line through the points is defined: there are two of them with different x.
    fn has_line(&self) -> bool {
        self.count > 1 && (self.x.special.is_some() || !is_zero(&self.xx_spread()))
    }

    fn slope(&self) -> Option<f64> {
        if !self.has_line() {
            return None;
        }
        if self.is_special() {
            return Some(f64::NAN);
        }
        Some(quotient(&self.xy_spread(), &self.xx_spread(), 0))
    }

    fn intercept(&self) -> Option<f64> {
        if !self.has_line() {
            return None;
        }
        if self.is_special() {
            return Some(f64::NAN);
        }
        let xx = self.xx_spread();
        let height = &self.y.finite * &xx - self.xy_spread() * &self.x.finite;
        Some(quotient(&height, &(self.count * xx), UNIT))
    }

    fn r2(&self) -> Option<f64> {
        let is_flat = self.y.special.is_none() && is_zero(&self.yy_spread());
        if !self.has_line() || is_flat {
            return None;
        }
        if self.is_special() {
            return Some(f64::NAN);
        }
        let (xy, square) = (self.xy_spread(), self.xx_spread() * self.yy_spread());
        Some(quotient(&(&xy * &xy), &square, 0))
    }
}

fn is_zero(number: &BigInt) -> bool {
    number.sign() == Sign::NoSign
}

/// `numerator / denominator * 2^exponent`, rounded to the nearest f64. The denominator is not
/// zero.
fn quotient(numerator: &BigInt, denominator: &BigInt, exponent: i64) -> f64 {
    if is_zero(numerator) {
        return 0.0;
    }
    let (above, below) = (numerator.magnitude(), denominator.magnitude());
    // As many bits as leave 64 to 66 in the quotient; what is cut off is told by its lowest bit.
    let shift = 65 + below.bits() as i64 - above.bits() as i64;
    let (above, below) = match shift >= 0 {
        true => (above << shift as u64, below.clone()),
        false => (above.clone(), below << shift.unsigned_abs()),
    };
    let digits = &above / &below;
    let is_inexact = &digits * &below != above;
    let magnitude = scaled(&digits, is_inexact, exponent - shift);
    match numerator.sign() == denominator.sign() {
        true => magnitude,
        false => -magnitude,
    }
}

/// An integer of 64 to 66 bits times 2^exponent as the nearest f64; `is_inexact` if a little is
/// missing.
fn scaled(digits: &BigUint, is_inexact: bool, exponent: i64) -> f64 {
    let mut words = digits.iter_u64_digits();
    let (low, high) = (words.next().unwrap_or(0), words.next().unwrap_or(0));
    let digits = u128::from(high) << 64 | u128::from(low);
    // Room below for what is missing: it only matters against an exact half.
    let digits = digits << 1 | u128::from(is_inexact);
    power(digits as f64, exponent - 1)
}

/// `value * 2^exponent`, in steps that neither overflow nor vanish on the way.
fn power(mut value: f64, mut exponent: i64) -> f64 {
    const STEP: i64 = 1000;
    while exponent > STEP {
        value *= 2f64.powi(STEP as i32);
        exponent -= STEP;
        if value.is_infinite() {
            return value;
        }
    }
    while exponent < -STEP {
        value *= 2f64.powi(-STEP as i32);
        exponent += STEP;
        if value == 0.0 {
            return value;
        }
    }
    value * 2f64.powi(exponent as i32)
}

#[cfg(test)]
mod tests {
    use super::super::chunk::SumLane;
    use super::super::float_sum::{
        FLOAT_DIGITS, PRODUCT_DIGITS, float_sum_lanes, product_sum_lanes,
    };
    use super::super::lane::Lane;
    use super::super::long_sum::{integer, special};
    use super::*;
    use proptest::prelude::*;

    /// The moments of pairs (x, y) with their counts.
    fn moments(rows: &[(f64, f64, i64)]) -> Moments {
        let total = |lanes: Vec<SumLane>| -> Vec<SumLane> {
            let sum = |lane: &SumLane| (0..rows.len()).map(|row| lane.get(row)).sum::<i128>();
            let lanes = lanes
                .iter()
                .map(|lane| SumLane::Wide(Lane::Constant(sum(lane), 1)));
            lanes.collect()
        };
        let sum = |of: fn(&(f64, f64, i64)) -> f64| {
            let values = rows.iter().map(|row| (Some(of(row)), row.2));
            let lanes = total(float_sum_lanes(values, rows.len()));
            Sum {
                finite: integer(&lanes, FLOAT_DIGITS, 0),
                special: special(&lanes, FLOAT_DIGITS, 0),
            }
        };
        let products = |of: fn(&(f64, f64, i64)) -> (f64, f64)| {
            let factors = rows.iter().map(|row| (Some(of(row)), row.2));
            let lanes = total(product_sum_lanes(factors, rows.len()));
            integer(&lanes, PRODUCT_DIGITS, 0)
        };
        Moments {
            count: rows.iter().map(|row| row.2).sum(),
            x: sum(|row| row.0),
            y: sum(|row| row.1),
            xx: products(|row| (row.0, row.0)),
            yy: products(|row| (row.1, row.1)),
            xy: products(|row| (row.0, row.1)),
        }
    }

    fn variance(values: &[(f64, i64)]) -> Option<f64> {
        let rows: Vec<_> = values.iter().map(|(x, count)| (*x, 0.0, *count)).collect();
        Statistic::VarianceSample.of(&moments(&rows))
    }

    #[test]
    fn a_large_mean_costs_no_digits() {
        assert_eq!(
            variance(&[(1e15, 1), (1e15 + 1.0, 1), (1e15 + 2.0, 1)]),
            Some(1.0)
        );
        assert_eq!(
            variance(&[(1e300, 1), (-1e300, 1), (1e300, -1), (-1e300, -1)]),
            None
        );
        assert_eq!(
            variance(&[(1.0, 1), (1e300, 1), (2.0, 1), (1e300, -1)]),
            Some(0.5)
        );
    }

    #[test]
    fn statistics_of_few_rows_are_not_defined() {
        let one = moments(&[(1.5, 2.5, 1)]);
        assert_eq!(Statistic::VarianceSample.of(&one), None);
        assert_eq!(Statistic::VariancePopulation.of(&one), Some(0.0));
        assert_eq!(Statistic::Correlation.of(&one), None);
        assert_eq!(Statistic::RegressionSlope.of(&one), None);
        assert_eq!(Statistic::RegressionAverageX.of(&one), Some(1.5));
    }

    #[test]
    fn a_line_is_found() {
        let rows = [(1.0, 5.0, 1), (2.0, 7.0, 2), (4.0, 11.0, 1)];
        let line = moments(&rows);
        assert_eq!(Statistic::RegressionSlope.of(&line), Some(2.0));
        assert_eq!(Statistic::RegressionIntercept.of(&line), Some(3.0));
        assert_eq!(Statistic::RegressionR2.of(&line), Some(1.0));
        assert_eq!(Statistic::Correlation.of(&line), Some(1.0));
    }

    #[test]
    fn values_that_are_not_finite_come_and_go() {
        assert!(variance(&[(f64::NAN, 1), (1.0, 1)]).is_some_and(f64::is_nan));
        assert!(variance(&[(f64::INFINITY, 1), (1.0, 1)]).is_some_and(f64::is_nan));
        let gone = [(f64::NAN, 1), (1.0, 1), (3.0, 1), (f64::NAN, -1)];
        assert_eq!(variance(&gone), Some(2.0));
    }

    proptest! {
        #[test]
        fn quotients_are_correctly_rounded(above in any::<i32>(), below in 1i32..) {
            // The quotient of two doubles is correctly rounded by the machine.
            let expected = f64::from(above) / f64::from(below);
            prop_assert_eq!(quotient(&above.into(), &below.into(), 0), expected);
            prop_assert_eq!(quotient(&above.into(), &below.into(), 40), expected * 2f64.powi(40));
        }

        #[test]
        fn the_variance_is_that_of_the_textbook(values in proptest::collection::vec(-1000i32..1000, 2..30)) {
            let count = values.len() as f64;
            let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
            let squares = values.iter().map(|value| (f64::from(*value) - mean).powi(2));
            let expected = squares.sum::<f64>() / (count - 1.0);
            let rows: Vec<_> = values.iter().map(|value| (f64::from(*value), 1)).collect();
            let actual = variance(&rows).unwrap_or(f64::NAN);
            prop_assert!((actual - expected).abs() <= 1e-9 * expected.max(1.0));
        }
    }
}
