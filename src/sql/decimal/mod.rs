//! Numbers as they are written, for those that meet decimals.
//!
//! DataFusion reads a literal with a fraction as a double. Beside doubles that is what it should
//! be; beside a decimal it is the number that stands there, digit by digit, as money needs it.

mod met;
mod written;

use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;

pub use met::{DecimalOperators, in_conditions};
pub use written::{inexact, keep_in_column, keep_long, written_number};

/// The decimal that a text without an exponent says, with all of its digits.
pub fn of_text(text: &str) -> Option<ScalarValue> {
    let number = Number::of_text(text.strip_prefix('+').unwrap_or(text))?;
    Some(number.value())
}

/// The most digits of a decimal.
const DIGITS_MAX: u32 = 38;

/// A number of at most 38 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number {
    /// All of its digits, those behind the point, too.
    digits: i128,
    /// How many of them are behind the point.
    scale: u32,
}

impl Number {
    fn new(digits: i128, scale: u32) -> Option<Number> {
        let fits = scale <= DIGITS_MAX && digits.unsigned_abs() < 10u128.pow(DIGITS_MAX);
        fits.then_some(Number { digits, scale })
    }

    /// The number that a text without an exponent says.
    fn of_text(text: &str) -> Option<Number> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        // Too long for any integer is too long for a decimal.
        let digits: i128 = all.parse().ok()?;
        let scale = u32::try_from(fraction.len()).ok()?;
        let sign = if unsigned.len() < text.len() { -1 } else { 1 };
        Number::new(sign * digits, scale)
    }

    /// The shortest number that a double is read from.
    fn of_double(value: f64) -> Option<Number> {
        // What is finite is written without an exponent.
        match value.is_finite() {
            true => Number::of_text(&value.to_string()),
            false => None,
        }
    }

    fn precision(self) -> u32 {
        let digits = self.digits.unsigned_abs().checked_ilog10();
        digits.map_or(1, |power| power + 1).max(self.scale)
    }

    /// How many digits may stand before the point.
    fn whole(self) -> u32 {
        self.precision() - self.scale
    }

    /// The same without zeros at the end.
    fn reduced(mut self) -> Number {
        while self.scale > 0 && self.digits % 10 == 0 {
            self.digits /= 10;
            self.scale -= 1;
        }
        self
    }

    fn negated(self) -> Number {
        Number {
            digits: -self.digits,
            ..self
        }
    }

    fn plus(self, other: Number) -> Option<Number> {
        let scale = self.scale.max(other.scale);
        let at_scale = |number: Number| {
            let factor = 10i128.checked_pow(scale - number.scale)?;
            number.digits.checked_mul(factor)
        };
        Number::new(at_scale(self)?.checked_add(at_scale(other)?)?, scale)
    }

    fn times(self, other: Number) -> Option<Number> {
        let digits = self.digits.checked_mul(other.digits)?;
        Number::new(digits, self.scale + other.scale)
    }

    fn value(self) -> ScalarValue {
        // Neither is more than 38.
        let (precision, scale) = (self.precision() as u8, self.scale as i8);
        ScalarValue::Decimal128(Some(self.digits), precision, scale)
    }

    fn literal(self) -> Expr {
        Expr::Literal(self.value(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_their_text() {
        let number = |digits, scale| Some(Number { digits, scale });
        assert_eq!(Number::of_text("1.005"), number(1005, 3));
        assert_eq!(Number::of_text("-0.05"), number(-5, 2));
        assert_eq!(Number::of_text("7"), number(7, 0));
        assert_eq!(Number::of_text(&"9".repeat(39)), None);
        assert_eq!(Number::of_text("1e5"), None);
        assert_eq!(Number::of_double(0.1), number(1, 1));
        assert_eq!(Number::of_double(1e3), number(1000, 0));
        assert_eq!(Number::of_double(f64::NAN), None);
        assert_eq!(Number::of_double(1e-300), None);
        assert_eq!(Number::of_text("0.05").map(Number::precision), Some(2));
        assert_eq!(
            Number::of_text("12.50").map(Number::reduced),
            number(125, 1)
        );
    }

    #[test]
    fn arithmetic_is_exact_or_none() {
        let number = |text: &str| Number::of_text(text).unwrap();
        let sum = number("0.06").plus(number("0.01").negated());
        assert_eq!(sum, Number::of_text("0.05"));
        assert_eq!(number("1.5").times(number("0.1")), Number::of_text("0.15"));
        let greatest = number(&"9".repeat(38));
        assert_eq!(greatest.plus(number("1")), None);
        assert_eq!(greatest.times(number("10")), None);
    }
}
