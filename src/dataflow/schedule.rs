//! Updates that are to happen later, kept by when.
//!
//! A bucket holds what falls into one range of time: near ranges are narrow, far ones wide. A
//! range is split when its beginning is reached, so each update is moved a few times in its life
//! and nothing is looked at before its time draws near. Updates of one row that cancel out, as
//! when a row is deleted before its time, are added up whenever a bucket has doubled.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;

use super::column::Column;
use super::form::{Unsorted, form};
use super::lane::{Lane, Pick};
use super::measure::Held;
use super::size::updates_bytes;
use super::updates::{Updates, batch};

/// Each level of ranges is this many bits wider than the one before.
const LEVEL_BITS: u32 = 8;
/// Updates of a bucket below which adding up is not worth it.
const FEW: usize = 1024;

/// Updates by time.
#[derive(Default)]
pub struct Schedule {
    buckets: BTreeMap<u64, Bucket>,
    /// Everything before this time has been given out.
    reached: u64,
}

#[derive(Default)]
struct Bucket {
    updates: Vec<Updates>,
    rows: usize,
    /// Rows after the last time they were added up.
    distinct: usize,
    earliest: u64,
}

impl Schedule {
    /// Takes in updates of one schema.
    pub fn insert(&mut self, updates: Updates) {
        let mut by_bucket: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for (row, time) in updates.times.iter().enumerate() {
            let rows = by_bucket.entry(self.bucket_of(time)).or_default();
            rows.push(row as u32);
        }
        for (start, rows) in by_bucket {
            let part = match rows.len() == updates.len() {
                true => updates.clone(),
                false => pick_rows(&updates, rows),
            };
            self.buckets.entry(start).or_default().push(part);
        }
    }

    /// The beginning of the range that a time falls into, as seen from the time that is reached.
    fn bucket_of(&self, time: u64) -> u64 {
        let distance = time ^ self.reached;
        if time <= self.reached || distance == 0 {
            return time;
        }
        let level = (u64::BITS - 1 - distance.leading_zeros()) / LEVEL_BITS;
        let width = level * LEVEL_BITS;
        (time >> width) << width
    }

    /// Takes out all updates before a time.
    pub fn advance(&mut self, time: u64) -> Vec<Updates> {
        self.reached = self.reached.max(time);
        let later = self.buckets.split_off(&time);
        let due = std::mem::replace(&mut self.buckets, later);
        let mut released = Vec::new();
        for updates in due.into_values().flat_map(|bucket| bucket.updates) {
            let (now, later): (Vec<u32>, Vec<u32>) =
                (0..updates.len() as u32).partition(|row| updates.times.get(*row as usize) < time);
            if later.is_empty() {
                released.push(updates);
                continue;
            }
            if !now.is_empty() {
                released.push(pick_rows(&updates, now));
            }
            self.insert(pick_rows(&updates, later));
        }
        released
    }

    /// What is kept.
    pub fn held(&self) -> Held {
        let updates = self.buckets.values().flat_map(|bucket| &bucket.updates);
        updates.fold(Held::default(), |sum, updates| {
            sum.plus(Held {
                rows: updates.len() as u64,
                bytes: updates_bytes(updates) as u64,
                batches: 1,
            })
        })
    }

    /// The earliest time of an update; `None` if there are none.
    pub fn earliest(&self) -> Option<u64> {
        let mut earliest: Option<u64> = None;
        for (start, bucket) in &self.buckets {
            if earliest.is_some_and(|earliest| earliest <= *start) {
                break;
            }
            earliest = Some(earliest.map_or(bucket.earliest, |time| time.min(bucket.earliest)));
        }
        earliest
    }
}

impl Bucket {
    fn push(&mut self, updates: Updates) {
        let earliest = updates.times.iter().min().unwrap_or(u64::MAX);
        self.earliest = match self.updates.is_empty() {
            true => earliest,
            false => self.earliest.min(earliest),
        };
        self.rows += updates.len();
        self.updates.push(updates);
        if self.rows >= 2 * self.distinct.max(FEW) {
            self.add_up();
        }
    }

    fn add_up(&mut self) {
        let consolidated = consolidate(&std::mem::take(&mut self.updates));
        self.rows = consolidated.as_ref().map_or(0, Updates::len);
        self.distinct = self.rows;
        self.updates.extend(consolidated);
    }
}

fn pick_rows(updates: &Updates, rows: Vec<u32>) -> Updates {
    let picks: Vec<Pick> = rows
        .iter()
        .map(|row| Pick {
            source: 0,
            row: *row,
        })
        .collect();
    let indices = UInt32Array::from(rows);
    let columns = updates.rows.columns().iter();
    let columns: Vec<ArrayRef> = columns
        .map(|column| take(column, &indices, None).expect("the rows are there"))
        .collect();
    Updates {
        rows: batch(updates.rows.schema(), columns, picks.len()),
        times: Lane::gather(&[&updates.times], &picks),
        counts: Lane::gather(&[&updates.counts], &picks),
    }
}

/// The same changes with those of equal rows and times added up.
fn consolidate(updates: &[Updates]) -> Option<Updates> {
    let schema: SchemaRef = updates.first()?.rows.schema();
    let parts = updates.iter().map(|updates| Unsorted {
        columns: updates
            .rows
            .columns()
            .iter()
            .cloned()
            .map(Column::new)
            .collect(),
        key_columns: updates.rows.num_columns(),
        orders: None,
        times: updates.times.clone(),
        counts: updates.counts.clone(),
        sums: Vec::new(),
    });
    let chunk = form(parts.collect())?;
    let body = chunk.body();
    let columns = body.columns.iter().map(Column::array);
    Some(Updates {
        rows: batch(schema, columns.collect(), body.len()),
        times: body.times.clone(),
        counts: body.counts.clone(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::Int64Array;
    use arrow::datatypes::{DataType, Field, Schema};
    use proptest::prelude::*;

    fn updates(rows: &[(i64, u64, i64)]) -> Updates {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let values: Int64Array = rows.iter().map(|row| row.0).collect::<Vec<_>>().into();
        Updates {
            rows: batch(schema, vec![Arc::new(values)], rows.len()),
            times: rows.iter().map(|row| row.1).collect::<Vec<_>>().into(),
            counts: rows.iter().map(|row| row.2).collect::<Vec<_>>().into(),
        }
    }

    /// (value, time) to count.
    type Model = BTreeMap<(i64, u64), i64>;

    fn add(model: &mut Model, rows: impl IntoIterator<Item = (i64, u64, i64)>) {
        for (value, time, count) in rows {
            *model.entry((value, time)).or_default() += count;
        }
        model.retain(|_, count| *count != 0);
    }

    fn content(updates: &[Updates]) -> Vec<(i64, u64, i64)> {
        use arrow::array::AsArray;
        let rows = updates.iter().flat_map(|updates| {
            let values = updates
                .rows
                .column(0)
                .as_primitive::<arrow::datatypes::Int64Type>();
            let row = |row: usize| {
                (
                    values.value(row),
                    updates.times.get(row),
                    updates.counts.get(row),
                )
            };
            (0..updates.len()).map(row).collect::<Vec<_>>()
        });
        rows.collect()
    }

    proptest! {
        #[test]
        fn everything_comes_out_in_its_time(
            steps in proptest::collection::vec(
                (
                    proptest::collection::vec((0i64..4, 0u64..70_000, -1i64..2), 0..40),
                    0u64..20_000,
                    proptest::bool::ANY,
                ),
                1..12,
            ),
        ) {
            let mut schedule = Schedule::default();
            let mut expected = Model::new();
            let mut reached = 0;
            for (rows, pause, adds_up) in steps {
                let rows: Vec<_> = rows.into_iter().map(|(value, wait, count)| (value, reached + wait, count)).collect();
                schedule.insert(updates(&rows));
                add(&mut expected, rows);
                if adds_up {
                    schedule.buckets.values_mut().for_each(Bucket::add_up);
                    schedule.buckets.retain(|_, bucket| bucket.rows > 0);
                    let earliest = expected.keys().map(|(_, time)| *time).min();
                    prop_assert!(schedule.earliest() <= earliest || earliest.is_none());
                }
                reached += pause;
                let released = content(&schedule.advance(reached));
                prop_assert!(released.iter().all(|(_, time, _)| *time < reached));
                let mut due = Model::new();
                add(&mut due, released);
                let mut wanted = expected.clone();
                wanted.retain(|(_, time), _| *time < reached);
                prop_assert_eq!(due, wanted);
                expected.retain(|(_, time), _| *time >= reached);
            }
        }
    }
}
