//! Medians and percentiles: values at positions of an ordered group.
//!
//! A change costs two searches for each of them, whatever the size of the group.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Float64Array};
use arrow::datatypes::{Decimal128Type, Float64Type, SchemaRef};

use super::super::arrange::{Changes, Index};
use super::super::chunk::columns;
use super::super::column::Column;
use super::super::cursor::{Reader, keep_picked};
use super::super::lane::Pick;
use super::super::updates::{Updates, batch};
use super::changed::{ChangedGroup, for_each_changed_group};
use super::positions::{Positions, Snapshot};
use super::stateful::react_to_batches;
use crate::sql::aggregates::quantile::{Quantile, Weight};

/// Groups given on at once.
const GROUPS_AT_ONCE: usize = 8192;

/// Quantiles of the values of ordered groups.
pub struct Quantiles {
    /// Where the columns of the key stand in the arrangement.
    pub keys: Vec<usize>,
    /// Where the value stands, which is never NULL.
    pub value: usize,
    pub wanted: Vec<Quantile>,
    /// The columns of the key, then the results.
    pub output: SchemaRef,
}

/// Emits the quantiles of each group that has rows.
pub fn quantiles(index: Index<'_>, how: Quantiles) -> Changes<'_> {
    react_to_batches(index, "Quantiles", move |novel, earlier, emit| {
        let batches = novel.iter().chain(earlier);
        let reader = Reader::new(batches.map(|batch| &batch.chunks[..]));
        let mut output = Output::new(&how);
        for_each_changed_group(&reader, novel.len(), |group| {
            output.add_changes(group, &reader, &how);
            if output.keys.len() >= GROUPS_AT_ONCE {
                emit(std::mem::replace(&mut output, Output::new(&how)).gather(&reader, &how));
            }
        });
        if !output.keys.is_empty() {
            emit(output.gather(&reader, &how));
        }
    })
}

/// The rows that a quantile lies between.
#[derive(Clone, Copy)]
struct Between {
    low: Pick,
    high: Pick,
    weight: Weight,
}

fn find(snapshot: &Snapshot, quantile: &Quantile) -> Option<Between> {
    let place = quantile.place(snapshot.copies)?;
    let low = snapshot.row_at(place.low)?;
    Some(Between {
        low,
        high: match place.high == place.low {
            true => low,
            false => snapshot.row_at(place.high)?,
        },
        weight: place.weight,
    })
}

/// Groups whose quantiles come or go.
struct Output {
    keys: Vec<Pick>,
    times: Vec<u64>,
    counts: Vec<i64>,
    /// For each quantile the rows that it lies between.
    results: Vec<Vec<Between>>,
}

impl Output {
    fn new(how: &Quantiles) -> Output {
        Output {
            keys: Vec::new(),
            times: Vec::new(),
            counts: Vec::new(),
            results: vec![Vec::new(); how.wanted.len()],
        }
    }

    fn add_changes(&mut self, group: &ChangedGroup, reader: &Reader, how: &Quantiles) {
        let positions = Positions::new(reader, group, &[]);
        let find_all = |as_of: Option<u64>| -> Option<Vec<Between>> {
            let snapshot = positions.as_of(as_of);
            let wanted = how.wanted.iter();
            wanted.map(|quantile| find(&snapshot, quantile)).collect()
        };
        let is_same = |(old, new): (&Between, &Between)| {
            let is_same_row = |left, right| reader.compare(left, right).is_eq();
            old.weight == new.weight
                && is_same_row(old.low, new.low)
                && is_same_row(old.high, new.high)
        };
        let mut old = find_all(None);
        for time in group.times {
            let new = find_all(Some(*time));
            let is_unchanged = match (&old, &new) {
                (Some(old), Some(new)) => old.iter().zip(new).all(is_same),
                (old, new) => old.is_none() && new.is_none(),
            };
            if !is_unchanged {
                self.push(group.key, *time, -1, old);
                self.push(group.key, *time, 1, new.clone());
            }
            old = new;
        }
    }

    fn push(&mut self, key: Pick, time: u64, count: i64, found: Option<Vec<Between>>) {
        let Some(found) = found else { return };
        self.keys.push(key);
        self.times.push(time);
        self.counts.push(count);
        for (results, between) in self.results.iter_mut().zip(found) {
            results.push(between);
        }
    }

    fn gather(mut self, reader: &Reader, how: &Quantiles) -> Updates {
        let bodies = keep_picked(&reader.bodies, &mut self.keys);
        let keys = how.keys.iter().map(|position| {
            let sources = columns(&bodies, *position);
            Column::gather(&sources, &self.keys).array()
        });
        let mut arrays: Vec<ArrayRef> = keys.collect();
        for results in &self.results {
            let low = values(reader, how.value, results.iter().map(|between| between.low));
            let high = values(
                reader,
                how.value,
                results.iter().map(|between| between.high),
            );
            let weights = results.iter().map(|between| between.weight);
            arrays.push(interpolate(&low, &high, weights));
        }
        Updates {
            rows: batch(Arc::clone(&how.output), arrays, self.keys.len()),
            times: self.times.into(),
            counts: self.counts.into(),
        }
    }
}

fn values(reader: &Reader, position: usize, picks: impl Iterator<Item = Pick>) -> ArrayRef {
    let mut picks: Vec<Pick> = picks.collect();
    let bodies = keep_picked(&reader.bodies, &mut picks);
    Column::gather(&columns(&bodies, position), &picks).array()
}

fn interpolate(low: &ArrayRef, high: &ArrayRef, weights: impl Iterator<Item = Weight>) -> ArrayRef {
    if let (Some(low), Some(high)) = (
        low.as_primitive_opt::<Float64Type>(),
        high.as_primitive_opt::<Float64Type>(),
    ) {
        let pairs = low.values().iter().zip(high.values());
        let results = weights.zip(pairs);
        let results = results.map(|(weight, (low, high))| weight.between(*low, *high));
        return Arc::new(Float64Array::from_iter_values(results));
    }
    let (low_values, high) = (
        low.as_primitive::<Decimal128Type>(),
        high.as_primitive::<Decimal128Type>(),
    );
    let pairs = low_values.values().iter().zip(high.values());
    let results = weights.zip(pairs);
    let results = results.map(|(weight, (low, high))| weight.between_decimals(*low, *high));
    let results = Decimal128Array::from_iter_values(results);
    Arc::new(results.with_data_type(low.data_type().clone()))
}
