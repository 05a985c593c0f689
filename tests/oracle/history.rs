//! Random histories of two small tables: rows come, go and change, several at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use rand::RngExt;
use rand_pcg::Pcg64;

/// A row of `r`: a, b, t, d (cents), f.
pub type RowR = (i64, Option<i64>, Option<String>, Option<i128>, Option<f64>);
/// A row of `s`: k, v, w.
pub type RowS = (Option<i64>, Option<i64>, Option<String>);

/// What the tables hold, as bags.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub r: Vec<RowR>,
    pub s: Vec<RowS>,
}

/// The change of one step: rows with how many copies come or go.
pub struct Change {
    pub r: Vec<(RowR, i64)>,
    pub s: Vec<(RowS, i64)>,
}

pub fn schemas() -> BTreeMap<&'static str, SchemaRef> {
    let r = Schema::new(vec![
        Field::new("a", DataType::Int64, false),
        Field::new("b", DataType::Int64, true),
        Field::new("t", DataType::Utf8, true),
        Field::new("d", DataType::Decimal128(12, 2), true),
        Field::new("f", DataType::Float64, true),
    ]);
    let s = Schema::new(vec![
        Field::new("k", DataType::Int64, true),
        Field::new("v", DataType::Int64, true),
        Field::new("w", DataType::Utf8, true),
    ]);
    BTreeMap::from([("r", Arc::new(r)), ("s", Arc::new(s))])
}

impl History {
    pub fn new() -> History {
        History::default()
    }

    /// Adds many rows to `r`.
    pub fn grow(&mut self, random: &mut Pcg64, rows: usize) -> Change {
        let rows: Vec<RowR> = (0..rows).map(|_| row_r(random)).collect();
        self.r.extend(rows.iter().cloned());
        Change {
            r: rows.into_iter().map(|row| (row, 1)).collect(),
            s: Vec::new(),
        }
    }

    /// Changes up to `most` rows.
    pub fn step(&mut self, random: &mut Pcg64, most: usize) -> Change {
        let mut change = Change {
            r: Vec::new(),
            s: Vec::new(),
        };
        for _ in 0..random.random_range(0..=most) {
            if random.random_bool(0.4) && !self.r.is_empty() {
                let row = self.r.swap_remove(random.random_range(0..self.r.len()));
                change.r.push((row, -1));
            } else {
                let row = row_r(random);
                self.r.push(row.clone());
                change.r.push((row, 1));
            }
        }
        for _ in 0..random.random_range(0..=most / 2) {
            if random.random_bool(0.45) && !self.s.is_empty() {
                let row = self.s.swap_remove(random.random_range(0..self.s.len()));
                change.s.push((row, -1));
            } else {
                let row = row_s(random);
                self.s.push(row.clone());
                change.s.push((row, 1));
            }
        }
        change
    }
}

fn maybe<T>(random: &mut Pcg64, value: impl FnOnce(&mut Pcg64) -> T) -> Option<T> {
    random.random_bool(0.85).then(|| value(random))
}

fn word(random: &mut Pcg64) -> String {
    let words = ["", "a", "ab", "Ab", "ß", "你好", "a long enough word"];
    words[random.random_range(0..words.len())].to_owned()
}

fn row_r(random: &mut Pcg64) -> RowR {
    (
        random.random_range(0..4),
        maybe(random, |random| random.random_range(0..7)),
        maybe(random, word),
        maybe(random, |random| i128::from(random.random_range(-500..500))),
        maybe(random, double),
    )
}

/// Multiples of 1/4, as sums of them are exact in any order, so that answers can be compared
/// exactly; and what is not a number, or not quite zero.
fn double(random: &mut Pcg64) -> f64 {
    match random.random_range(0..20) {
        0 => f64::NAN,
        1 => -0.0,
        _ => f64::from(random.random_range(-40..40)) / 4.0,
    }
}

fn row_s(random: &mut Pcg64) -> RowS {
    (
        maybe(random, |random| random.random_range(0..4)),
        maybe(random, |random| random.random_range(0..7)),
        maybe(random, word),
    )
}

pub fn batch_r<'a>(rows: impl Iterator<Item = &'a RowR> + Clone) -> RecordBatch {
    let a: Int64Array = rows.clone().map(|row| Some(row.0)).collect();
    let b: Int64Array = rows.clone().map(|row| row.1).collect();
    let t: StringArray = rows.clone().map(|row| row.2.clone()).collect();
    let d: Decimal128Array = rows.clone().map(|row| row.3).collect();
    let d = d.with_precision_and_scale(12, 2).expect("a valid type");
    let f: Float64Array = rows.map(|row| row.4).collect();
    let columns: Vec<Arc<dyn Array>> = vec![
        Arc::new(a),
        Arc::new(b),
        Arc::new(t),
        Arc::new(d),
        Arc::new(f),
    ];
    RecordBatch::try_new(Arc::clone(&schemas()["r"]), columns).expect("columns fit")
}

pub fn batch_s<'a>(rows: impl Iterator<Item = &'a RowS> + Clone) -> RecordBatch {
    let k: Int64Array = rows.clone().map(|row| row.0).collect();
    let v: Int64Array = rows.clone().map(|row| row.1).collect();
    let w: StringArray = rows.map(|row| row.2.clone()).collect();
    let columns: Vec<Arc<dyn Array>> = vec![Arc::new(k), Arc::new(v), Arc::new(w)];
    RecordBatch::try_new(Arc::clone(&schemas()["s"]), columns).expect("columns fit")
}
