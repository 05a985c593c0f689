//! Numbers by patterns of Postgres: `to_char(price, 'FM999,990.00')`.
//!
//! DataFusion's `to_char` takes times alone.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};

use crate::sql::error::SqlError;
use crate::sql::functions::call_rows::CallRows;
use crate::sql::functions::otherwise::{Computation, otherwise, taken_types};
use crate::sql::planner::external;

/// The function for times, which takes numbers, too.
pub fn with_numbers(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    otherwise(function, ToChar)
}

/// Whether it is a pattern for numbers.
pub fn is_known(pattern: &str) -> bool {
    Format::of(pattern).is_some()
}

/// The one in whose place it stands is for times.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ToChar;

impl Computation for ToChar {
    const HAS_OWN_TYPES: bool = true;

    fn coerce_types(&self, function: &ScalarUDF, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [number, _] if number.is_floating() => Ok(vec![DataType::Float64, DataType::Utf8]),
            [number, _] if number.is_numeric() => Ok(vec![number.clone(), DataType::Utf8]),
            _ => taken_types(function, given.iter().cloned()),
        }
    }

    fn invoke(&self, function: &ScalarUDF, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [numbers, patterns] = &given.args[..] else {
            return plan_err!("to_char() takes a value and a pattern");
        };
        if !numbers.data_type().is_numeric() {
            return function.invoke_with_args(given);
        }
        let rows = CallRows::of(&given);
        let numbers = digits_of(&numbers.to_array(rows.count)?)?;
        let patterns = cast(&patterns.to_array(rows.count)?, &DataType::Utf8)?;
        let texts = formatted(&numbers, patterns.as_string::<i32>())?;
        rows.answer(Arc::new(texts))
    }
}

/// Numbers as they are written, without exponents.
fn digits_of(numbers: &ArrayRef) -> Result<StringArray> {
    if *numbers.data_type() == DataType::Float64 {
        let numbers = numbers.as_primitive::<Float64Type>().iter();
        let texts = numbers.map(|number| number.map(|number| number.to_string()));
        return Ok(texts.collect());
    }
    let texts = cast(numbers, &DataType::Utf8)?;
    Ok(texts.as_string::<i32>().clone())
}

fn formatted(numbers: &StringArray, patterns: &StringArray) -> Result<StringArray> {
    let mut last: Option<(&str, Format)> = None;
    let mut texts = Vec::with_capacity(numbers.len());
    for (number, pattern) in numbers.iter().zip(patterns) {
        let (Some(number), Some(pattern)) = (number, pattern) else {
            texts.push(None);
            continue;
        };
        let format = match last.take() {
            Some((known, format)) if known == pattern => format,
            _ => Format::of(pattern).ok_or_else(|| external(refusal(pattern)))?,
        };
        texts.push(Some(format.write(number)));
        last = Some((pattern, format));
    }
    Ok(texts.into_iter().collect())
}

fn refusal(pattern: &str) -> SqlError {
    let message = format!("to_char() does not know the pattern \"{pattern}\" for numbers");
    let hint = "write digits as 9 or 0, with . and , between them, FM before them, and S or MI \
                for the sign: 'FM999,990.00'";
    SqlError::unsupported(message).with_hint(hint)
}

/// What a pattern consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// A digit, and whether a zero is written where there is none.
    Digit(bool),
    Point,
    /// Between groups of digits.
    Comma,
    /// Plus or minus.
    Sign,
    /// Minus, or a blank.
    Minus,
    Text(String),
}

/// A pattern that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Format {
    parts: Vec<Part>,
    /// Without blanks and zeros that fill it up.
    is_short: bool,
    /// How many digits there are before the point, and behind it.
    whole: usize,
    behind: usize,
    /// Where a sign stands that is written in a place of its own.
    sign: Option<Sign>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// Plus or minus, directly before the first digit.
    Before,
    /// In its place in the pattern.
    Apart,
}

impl Format {
    /// `None`: there is something in it that is not known, or no digit.
    fn of(pattern: &str) -> Option<Format> {
        let mut format = Format {
            parts: Vec::new(),
            is_short: false,
            whole: 0,
            behind: 0,
            sign: None,
        };
        let mut rest = pattern;
        while let Some(first) = rest.chars().next() {
            let word = rest.get(..2).unwrap_or_default().to_uppercase();
            if word == "FM" {
                format.is_short = true;
                rest = &rest[2..];
                continue;
            }
            let (part, length) = match first {
                '9' | '0' => (Part::Digit(first == '0'), 1),
                '.' | 'D' | 'd' => (Part::Point, 1),
                ',' | 'G' | 'g' => (Part::Comma, 1),
                'S' | 's' => (Part::Sign, 1),
                '"' => {
                    let (text, _) = rest[1..].split_once('"')?;
                    (Part::Text(text.to_owned()), text.len() + 2)
                }
                _ if word == "MI" => (Part::Minus, 2),
                '#' => return None,
                letter if letter.is_ascii_alphabetic() => return None,
                other => (Part::Text(other.to_string()), other.len_utf8()),
            };
            format.add(part)?;
            rest = &rest[length..];
        }
        (format.whole > 0).then_some(format)
    }

    fn add(&mut self, part: Part) -> Option<()> {
        let has_point = self.parts.contains(&Part::Point);
        match part {
            Part::Point if has_point => return None,
            Part::Sign | Part::Minus if self.sign.is_some() => return None,
            Part::Sign if self.whole == 0 && !has_point => self.sign = Some(Sign::Before),
            Part::Sign | Part::Minus => self.sign = Some(Sign::Apart),
            Part::Digit(_) if has_point => self.behind += 1,
            Part::Digit(_) => self.whole += 1,
            _ => {}
        }
        self.parts.push(part);
        Some(())
    }

    /// A number as the pattern says; one that has more digits than it has, as `#`.
    fn write(&self, number: &str) -> String {
        let Some(number) = Number::rounded(number, self.behind) else {
            return number.to_owned();
        };
        let is_beyond = number.whole.len() > self.whole;
        let (mut whole, fraction) = match is_beyond {
            true => ("#".repeat(self.whole), "#".repeat(self.behind)),
            false => (number.whole, number.fraction),
        };
        let kept = match is_beyond || !self.is_short {
            true => self.behind,
            false => self.kept(&fraction),
        };
        // Of nothing but a fraction that is left out, a zero is written.
        if whole.is_empty() && (self.behind == 0 || (self.is_short && kept == 0)) {
            whole.push('0');
        }
        let mut writing = Writing {
            format: self,
            is_negative: number.is_negative,
            text: String::new(),
            has_sign: false,
            has_digit: false,
        };
        writing.parts(&whole, fraction.get(..kept).unwrap_or(&fraction));
        writing.text
    }

    /// How many digits of a fraction are written where zeros at its end are not, but for those that
    /// the pattern has.
    fn kept(&self, fraction: &str) -> usize {
        let behind = self.parts.iter().skip_while(|part| **part != Part::Point);
        let digits = behind.filter(|part| matches!(part, Part::Digit(_)));
        let last = digits
            .enumerate()
            .filter(|(_, part)| **part == Part::Digit(true))
            .last();
        let zeros = last.map_or(0, |(position, _)| position + 1);
        fraction.trim_end_matches('0').len().max(zeros)
    }
}

/// A text that is being written.
struct Writing<'f> {
    format: &'f Format,
    is_negative: bool,
    text: String,
    has_sign: bool,
    has_digit: bool,
}

impl Writing<'_> {
    fn parts(&mut self, whole: &str, fraction: &str) {
        let mut whole = Whole {
            digits: whole,
            places: self.format.whole,
            has_zero: false,
        };
        let mut fraction = fraction.chars();
        let mut is_behind = false;
        let format = self.format;
        for part in &format.parts {
            match part {
                Part::Text(text) => self.text.push_str(text),
                Part::Minus => self.text.push_str(self.minus()),
                Part::Sign if format.sign == Some(Sign::Apart) => {
                    self.text.push(self.plus_or_minus());
                }
                Part::Sign => {}
                Part::Comma if self.has_digit => self.text.push(','),
                Part::Comma => self.text.push_str(self.blank()),
                Part::Point => {
                    is_behind = true;
                    if format.behind > 0 {
                        self.write_sign();
                        self.text.push('.');
                    }
                }
                Part::Digit(_) if is_behind => {
                    self.write_sign();
                    if let Some(digit) = fraction.next() {
                        self.write_digit(digit);
                    }
                }
                Part::Digit(is_zero) => match whole.next(*is_zero) {
                    Some(digit) => {
                        self.write_sign();
                        self.write_digit(digit);
                    }
                    None => self.text.push_str(self.blank()),
                },
            }
        }
    }

    fn write_digit(&mut self, digit: char) {
        self.text.push(digit);
        self.has_digit = true;
    }

    /// The sign stands directly before what is written first.
    fn write_sign(&mut self) {
        if self.has_sign {
            return;
        }
        self.has_sign = true;
        match self.format.sign {
            Some(Sign::Apart) => {}
            Some(Sign::Before) => self.text.push(self.plus_or_minus()),
            None => self.text.push_str(self.minus()),
        }
    }

    fn plus_or_minus(&self) -> char {
        if self.is_negative { '-' } else { '+' }
    }

    fn minus(&self) -> &'static str {
        match self.is_negative {
            true => "-",
            false => self.blank(),
        }
    }

    fn blank(&self) -> &'static str {
        if self.format.is_short { "" } else { " " }
    }
}

/// The digits before the point, as they come to their places.
struct Whole<'d> {
    digits: &'d str,
    /// How many there are still.
    places: usize,
    /// Whether zeros are written where there are no digits.
    has_zero: bool,
}

impl Whole<'_> {
    fn next(&mut self, is_zero: bool) -> Option<char> {
        self.has_zero |= is_zero;
        let place = self.digits.len().checked_sub(self.places);
        self.places = self.places.saturating_sub(1);
        match place.and_then(|place| self.digits[place..].chars().next()) {
            Some(digit) => Some(digit),
            None => self.has_zero.then_some('0'),
        }
    }
}

/// A number as its digits.
struct Number {
    is_negative: bool,
    /// Without zeros before them.
    whole: String,
    fraction: String,
}

impl Number {
    /// Rounded to so many digits behind the point, half of one away from zero; `None`: it is none,
    /// or endless.
    fn rounded(text: &str, behind: usize) -> Option<Number> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let kept = fraction.get(..behind).unwrap_or(fraction);
        let zeros = "0".repeat(behind - kept.len());
        let mut digits = format!("0{whole}{kept}{zeros}").into_bytes();
        if fraction
            .as_bytes()
            .get(behind)
            .is_some_and(|next| *next >= b'5')
        {
            for digit in digits.iter_mut().rev() {
                if *digit < b'9' {
                    *digit += 1;
                    break;
                }
                *digit = b'0';
            }
        }
        let is_zero = digits.iter().all(|digit| *digit == b'0');
        let digits = String::from_utf8(digits).ok()?;
        let (whole, fraction) = digits.split_at(digits.len() - behind);
        Some(Number {
            is_negative: unsigned.len() < text.len() && !is_zero,
            whole: whole.trim_start_matches('0').to_owned(),
            fraction: fraction.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_in_postgres() {
        for (pattern, number, expected) in [
            ("999,990.00", "1234567.891", " ###,###.##"),
            ("FM999,999,990.00", "1234567.891", "1,234,567.89"),
            ("FM999,990.00", "-0.5", "-0.50"),
            ("9,999.99", "12", "    12.00"),
            ("9,999.99", "-1234.5", "-1,234.50"),
            ("99.9", "0.5", "   .5"),
            ("99.9", "-0.05", "  -.1"),
            ("FM9.99", "0", "0."),
            ("FM9.99", "5.10", "5.1"),
            ("FM90.90", "5", "5.00"),
            ("000", "7", " 007"),
            ("0,000", "-7", "-0,007"),
            ("S999", "12", " +12"),
            ("999S", "-12", " 12-"),
            ("999MI", "-12", " 12-"),
            ("999MI", "12", " 12 "),
            ("FM999MI", "12", "12"),
            ("99.9", "1234", " ##.#"),
            ("$999.99", "5.1", "$   5.10"),
            ("FM\"n: \"99%", "7", "n: 7%"),
            ("999.", "5", "   5"),
            ("9G999D99", "1234.567", " 1,234.57"),
            ("999", "0", "   0"),
            ("FM0.0S", "-0.05", "0.1-"),
            ("999", "-0.4", "   0"),
        ] {
            let format = Format::of(pattern).expect(pattern);
            assert_eq!(format.write(number), expected, "{number} as {pattern}");
        }
        for pattern in [
            "", "FM", ".99", "9.9.9", "S9MI", "DD", "99TH", "FM0.##", "\"9",
        ] {
            assert_eq!(Format::of(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn numbers_are_rounded_away_from_zero() {
        for (text, behind, whole, fraction) in [
            ("1.005", 2, "1", "01"),
            ("-0.5", 0, "1", ""),
            ("999.995", 2, "1000", "00"),
            ("0.04", 1, "", "0"),
            ("7", 2, "7", "00"),
        ] {
            let number = Number::rounded(text, behind).expect(text);
            assert_eq!(
                (number.whole.as_str(), number.fraction.as_str()),
                (whole, fraction)
            );
        }
        assert!(Number::rounded("NaN", 2).is_none());
    }
}
