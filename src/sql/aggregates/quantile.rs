//! Medians and percentiles: which positions of an ordered group they are between, and what they
//! are there. The arithmetic is DataFusion's, so that a view and a query agree to the last bit.

use std::fmt::{self, Display, Formatter};

use arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;

/// How finely DataFusion tells weights apart.
const WEIGHT_STEPS: f64 = 1_000_000.0;

/// A quantile of the values of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Quantile {
    /// The value in the middle, or the mean of both.
    Median,
    /// The value at a fraction of the way from the least to the greatest; kept as its bits, which
    /// compare and hash.
    Continuous(u64),
}

/// The two positions, from 0, that a quantile is between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantilePlace {
    pub low: i64,
    pub high: i64,
    pub weight: Weight,
}

/// What a quantile takes of two values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weight {
    /// The lower one alone.
    Low,
    /// Their mean.
    Mean,
    /// So much of the higher one.
    High(f64),
}

impl Quantile {
    /// The quantile at a fraction from 0 to 1.
    pub fn continuous(fraction: f64) -> Quantile {
        Quantile::Continuous(fraction.to_bits())
    }

    /// The fraction that an argument is, if it is one.
    pub fn fraction(argument: &ScalarValue) -> Option<f64> {
        match argument {
            ScalarValue::Float64(Some(fraction)) if (0.0..=1.0).contains(fraction) => {
                Some(*fraction)
            }
            _ => None,
        }
    }

    /// Whether it is kept for values of a type.
    pub fn takes(&self, data_type: &DataType) -> bool {
        match data_type {
            DataType::Float64 => true,
            DataType::Decimal128(..) => *self == Quantile::Median,
            _ => false,
        }
    }

    /// Where it is among so many values; `None` if there are none.
    pub fn place(&self, values: i64) -> Option<QuantilePlace> {
        if values <= 0 {
            return None;
        }
        let place = |low, high, weight| Some(QuantilePlace { low, high, weight });
        let middle = values / 2;
        match self {
            Quantile::Median if values % 2 == 1 => place(middle, middle, Weight::Low),
            Quantile::Median => place(middle - 1, middle, Weight::Mean),
            Quantile::Continuous(bits) => {
                let index = f64::from_bits(*bits) * (values - 1) as f64;
                let (low, high) = (index.floor(), index.ceil());
                let steps = ((index - low) * WEIGHT_STEPS).floor();
                let weight = match low == high {
                    true => Weight::Low,
                    false => Weight::High(steps / WEIGHT_STEPS),
                };
                place(low as i64, high as i64, weight)
            }
        }
    }
}

impl Weight {
    /// The value between two numbers.
    pub fn between(self, low: f64, high: f64) -> f64 {
        match self {
            Weight::Low => low,
            Weight::Mean => (low + high) / 2.0,
            Weight::High(weight) => low + (high - low) * weight,
        }
    }

    /// The value between two decimals of one scale; the mean is cut off towards zero.
    pub fn between_decimals(self, low: i128, high: i128) -> i128 {
        match self {
            Weight::Mean => match low.checked_add(high) {
                Some(sum) => sum / 2,
                None => low / 2 + high / 2 + (low % 2 + high % 2) / 2,
            },
            Weight::Low | Weight::High(_) => low,
        }
    }
}

impl Display for Quantile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Quantile::Median => "median",
            Quantile::Continuous(_) => "percentile_cont",
        })
    }
}
