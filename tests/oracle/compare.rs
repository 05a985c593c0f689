//! Whether two answers have the same rows, as bags.

use std::cmp::Ordering;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Functions that DataFusion computes from rounded intermediate results, so that its last digits
/// depend on the order of rows; a view rounds once.
const ROUNDED: &[&str] = &["var_", "stddev", "covar_", "corr(", "regr_"];
/// How far two such results may be apart, relative to the larger one or to 1.
const TOLERANCE: f64 = 1e-9;

/// A row, its doubles apart from the rest.
#[derive(Clone, Debug)]
pub struct Row {
    texts: Vec<String>,
    doubles: Vec<f64>,
}

/// The rows that only one of the answers to a query has: of the first, of the second.
pub fn differences(sql: &str, left: &[RecordBatch], right: &[RecordBatch]) -> (Vec<Row>, Vec<Row>) {
    let tolerance = match ROUNDED.iter().any(|function| sql.contains(function)) {
        true => TOLERANCE,
        false => 0.0,
    };
    let (left, right) = (rows(left), rows(right));
    let (mut only_left, mut only_right) = (Vec::new(), Vec::new());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    loop {
        let ordering = match (left.peek(), right.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(left), Some(right)) if left.is_close(right, tolerance) => Ordering::Equal,
            (Some(left), Some(right)) => left.compare(right).then(Ordering::Less),
        };
        let from_left = if ordering.is_le() { left.next() } else { None };
        let from_right = if ordering.is_ge() { right.next() } else { None };
        if ordering != Ordering::Equal {
            only_left.extend(from_left);
            only_right.extend(from_right);
        }
    }
    (only_left, only_right)
}

impl Row {
    fn compare(&self, other: &Row) -> Ordering {
        let doubles = self.doubles.iter().zip(&other.doubles);
        let doubles = doubles.map(|(left, right)| left.total_cmp(right));
        let doubles = doubles.fold(Ordering::Equal, Ordering::then);
        self.texts.cmp(&other.texts).then(doubles)
    }

    fn is_close(&self, other: &Row, tolerance: f64) -> bool {
        let is_close = |(left, right): (&f64, &f64)| {
            let scale = left.abs().max(right.abs()).max(1.0);
            left == right
                || left.is_nan() && right.is_nan()
                || (left - right).abs() <= tolerance * scale
        };
        self.texts == other.texts && self.doubles.iter().zip(&other.doubles).all(is_close)
    }
}

/// All rows in an order of their own.
fn rows(batches: &[RecordBatch]) -> Vec<Row> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let mut texts = Vec::new();
            let mut doubles = Vec::new();
            for column in batch.columns() {
                if *column.data_type() == DataType::Float64 && column.is_valid(row) {
                    let value = column.as_primitive::<Float64Type>().value(row);
                    // SQL has one zero and one NaN.
                    let value = if value.is_nan() {
                        f64::NAN
                    } else {
                        value + 0.0
                    };
                    doubles.push(value);
                    texts.push("double".to_owned());
                    continue;
                }
                let formatter = ArrayFormatter::try_new(column, &options).expect("printable");
                texts.push(format!("{:?}", formatter.value(row).to_string()));
            }
            rows.push(Row { texts, doubles });
        }
    }
    rows.sort_by(Row::compare);
    rows
}
