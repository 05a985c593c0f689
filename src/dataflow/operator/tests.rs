//! What is counted and searched in ordered groups, against plain lists, and how many rows are
//! looked at for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, UInt64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, UInt64Type, i256};
use proptest::prelude::*;

use super::super::arrange::{Layout, unsorted};
use super::super::chunk::Chunk;
use super::super::cursor::Reader;
use super::super::examined::examined;
use super::super::extremes::End;
use super::super::form::form;
use super::super::lane::Pick;
use super::super::tally::{Tally, Term};
use super::super::updates::{Updates, batch};
use super::changed::for_each_changed_group;
use super::chosen::Chosen;
use super::group::Walk;
use super::near::Near;
use super::positions::Positions;
use super::renumber::renumber_group;
use super::resume::Resume;
use super::select::{Wanted as Selection, select_of_group};
use super::whole::Wanted;
use crate::sql::plan::SortKey;
use crate::sql::plan::reach::Nearby;
use crate::sql::plan::running::{Carry, Participants, Running};

mod ends;

/// value, time, count
type Row = (i64, u64, i64);

/// Where the value stands: behind the key and the sort key.
const VALUE: usize = 2;

/// A batch of an arrangement of one group, ordered by value.
fn chunks(rows: &[Row]) -> Vec<Chunk> {
    let values: Int64Array = rows.iter().map(|row| Some(row.0)).collect();
    let keys = Int64Array::from(vec![7; rows.len()]);
    let field = |name| Field::new(name, DataType::Int64, false);
    let schema = Arc::new(Schema::new(vec![field("key"), field("value")]));
    let columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(values)];
    let updates = Updates {
        rows: batch(schema, columns, rows.len()),
        times: rows.iter().map(|row| row.1).collect::<Vec<_>>().into(),
        counts: rows.iter().map(|row| row.2).collect::<Vec<_>>().into(),
    };
    let layout = Layout {
        key: vec![0],
        values: vec![1],
        order: vec![SortKey {
            column: 1,
            descending: false,
            nulls_first: false,
        }],
        ..Layout::default()
    };
    let formed = form(vec![unsorted(&updates, &layout, true, Vec::new())]);
    let Some(whole) = formed else {
        return Vec::new();
    };
    let starts = (0..whole.rows()).step_by(Chunk::TARGET_ROWS);
    let slice = |start| whole.slice(start, Chunk::TARGET_ROWS.min(whole.rows() - start));
    starts.map(slice).collect()
}

/// Reads batches, of which the first one is new, and looks at their only group.
fn with_group(batches: &[Vec<Chunk>], mut test: impl FnMut(&Walk)) {
    let reader = Reader::new(batches.iter().map(|chunks| &chunks[..]));
    let mut groups = 0;
    for_each_changed_group(&reader, 1, |group| {
        groups += 1;
        test(&Walk {
            reader: &reader,
            group,
        });
    });
    assert_eq!(groups, 1);
}

fn value(reader: &Reader, pick: Pick) -> i64 {
    let column = reader.body(pick).columns[VALUE].array();
    column.as_primitive::<Int64Type>().value(pick.row as usize)
}

/// All values in order as they are at a time, from the earlier and the new rows.
fn model(batches: &[&[Row]], as_of: Option<u64>) -> Vec<i64> {
    let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
    for (batch, rows) in batches.iter().enumerate() {
        for (value, time, count) in *rows {
            if batch > 0 || as_of.is_some_and(|as_of| *time <= as_of) {
                *counts.entry(*value).or_default() += count;
            }
        }
    }
    let copies = |(value, count): (&i64, &i64)| vec![*value; (*count).max(0) as usize];
    counts.iter().flat_map(copies).collect()
}

#[test]
fn of_a_group_that_is_too_large_the_first_row_stands_for_all() {
    with_group(&[chunks(&[(1, 10, 1), (2, 10, 3), (3, 10, 1)])], |walk| {
        let all = || Wanted::new(None, vec![1]);
        let few_rows = Wanted {
            rows_max: 4,
            ..all()
        };
        let few_bytes = Wanted {
            bytes_max: 10,
            ..all()
        };
        let mut rows = Vec::new();
        let read = all().read(walk, Some(10), &mut rows);
        assert_eq!((rows.len(), read.refusal), (5, None));
        for (wanted, reason) in [(few_rows, "4 rows"), (few_bytes, "10 bytes")] {
            rows.truncate(5);
            let refusal = wanted.read(walk, Some(10), &mut rows).refusal;
            let refusal = refusal.expect("too large");
            assert!(refusal.contains(reason), "{refusal}");
            assert_eq!(rows.len(), 6);
            assert_eq!(value(walk.reader, rows[5]), 1);
        }
    });
}

fn batch_strategy(times: std::ops::Range<u64>) -> impl Strategy<Value = Vec<Row>> {
    proptest::collection::vec((0i64..40, times, 1i64..3), 1..60)
}

proptest! {
    #[test]
    fn rows_stand_where_they_are_counted(
        novel in batch_strategy(10..13),
        earlier in proptest::collection::vec(batch_strategy(0..1), 0..4),
        gone in proptest::collection::vec(any::<proptest::sample::Index>(), 0..40),
    ) {
        // What is taken away was there before, and each row at most once.
        let mut taken: Vec<Row> = Vec::new();
        let present: Vec<Row> = earlier.iter().flatten().copied().collect();
        let mut indices: Vec<usize> = match present.is_empty() {
            true => Vec::new(),
            false => gone.iter().map(|index| index.index(present.len())).collect(),
        };
        indices.sort_unstable();
        indices.dedup();
        taken.extend(indices.into_iter().map(|index| (present[index].0, 0, -present[index].2)));
        let mut all: Vec<&[Row]> = vec![&novel];
        all.extend(earlier.iter().map(|rows| &rows[..]));
        all.push(&taken);
        let batches: Vec<Vec<Chunk>> = all.iter().map(|rows| chunks(rows)).collect();
        let terms = [Term { argument: Some(VALUE), filter: None, has_ends: true }];
        with_group(&batches, |walk| {
            let positions = Positions::new(walk.reader, walk.group, &terms);
            for as_of in [None, Some(10), Some(11), Some(12)] {
                let expected = model(&all, as_of);
                let snapshot = positions.as_of(as_of);
                assert_eq!(snapshot.copies, expected.len() as i64);
                for (position, expected) in expected.iter().enumerate() {
                    let row = snapshot.row_at(position as i64).expect("a row at each position");
                    assert_eq!(value(walk.reader, row), *expected);
                }
                assert!(snapshot.row_at(expected.len() as i64).is_none());
                for bound in [0, 7, 20, 40] {
                    let place = positions.place(|pick| value(walk.reader, pick) < bound);
                    let tally = positions.tally(&place, as_of);
                    let before = expected.iter().filter(|value| **value < bound);
                    assert_eq!(tally.copies, before.clone().count() as i64);
                    assert_eq!(tally.totals[0].present, tally.copies);
                    let sum = i128::from(before.clone().sum::<i64>());
                    assert_eq!(tally.totals[0].sum, i256::from_i128(sum));
                    let end = |end| positions.extreme(&place, as_of, 0, end);
                    let value = |value: Option<&i64>| value.copied().map(i128::from);
                    assert_eq!(end(End::Least), value(before.clone().min()));
                    assert_eq!(end(End::Greatest), value(before.max()));
                }
            }
        });
    }

    #[test]
    fn numbers_change_as_if_all_were_numbered_anew(
        novel in batch_strategy(10..13),
        earlier in batch_strategy(0..1),
    ) {
        let all: [&[Row]; 2] = [&novel, &earlier];
        let batches = [chunks(&novel), chunks(&earlier)];
        with_group(&batches, |walk| {
            let mut chosen = Chosen::default();
            renumber_group(walk, &mut chosen);
            let schema = Schema::new(vec![
                Field::new("value", DataType::Int64, false),
                Field::new("position", DataType::UInt64, false),
            ]);
            let changes = match chosen.picks.is_empty() {
                true => return,
                false => chosen.gather(walk.reader, &Arc::new(schema), &[VALUE], true),
            };
            let values = changes.rows.column(0).as_primitive::<Int64Type>();
            let numbers: &UInt64Array = changes.rows.column(1).as_primitive::<UInt64Type>();
            for as_of in [10, 11, 12] {
                let mut numbered: BTreeMap<(i64, u64), i64> = BTreeMap::new();
                for (number, value) in model(&all, None).into_iter().enumerate() {
                    *numbered.entry((value, number as u64 + 1)).or_default() += 1;
                }
                for row in (0..changes.len()).filter(|row| changes.times.get(*row) <= as_of) {
                    let key = (values.value(row), numbers.value(row));
                    *numbered.entry(key).or_default() += changes.counts.get(row);
                }
                numbered.retain(|_, count| *count != 0);
                let expected = model(&all, Some(as_of)).into_iter().enumerate();
                let expected = expected.map(|(number, value)| ((value, number as u64 + 1), 1));
                let expected: BTreeMap<(i64, u64), i64> = expected.collect();
                assert_eq!(numbered, expected);
            }
        });
    }
}

/// How many rows the batches of a large group have.
const SIZES: [i64; 4] = [90_000, 9_000, 900, 100];

/// The rows of a batch of a large group, no two of them alike.
fn large_rows(batch: usize) -> Vec<Row> {
    let spread = 1_000_000 / SIZES[batch];
    let all = 0..SIZES[batch];
    all.map(|row| (row * spread * 10 + batch as i64, 0, 1))
        .collect()
}

/// All values of a large group in order.
fn large_values() -> Vec<i64> {
    let rows = (0..SIZES.len()).flat_map(large_rows);
    let mut values: Vec<i64> = rows.map(|(value, ..)| value).collect();
    values.sort_unstable();
    values
}

/// A group of 100,000 rows in four batches, and one new row with the value.
fn large(value: i64, count: i64) -> Vec<Vec<Chunk>> {
    let earlier = (0..SIZES.len()).map(|batch| chunks(&large_rows(batch)));
    [chunks(&[(value, 10, count)])]
        .into_iter()
        .chain(earlier)
        .collect()
}

#[test]
fn a_position_in_a_large_group_is_found_by_looking_at_few_rows() {
    let batches = large(5_000_005, 1);
    with_group(&batches, |walk| {
        // The first look at a chunk adds it up.
        Positions::new(walk.reader, walk.group, &[]);
        examined();
        let positions = Positions::new(walk.reader, walk.group, &[]);
        let snapshot = positions.as_of(Some(10));
        assert_eq!(snapshot.copies, 100_001);
        let median = snapshot.row_at(50_000).expect("a row in the middle");
        assert!((4_000_000..6_000_000).contains(&value(walk.reader, median)));
        let looked_at = examined();
        assert!(looked_at < 3_000, "{looked_at} rows");
    });
}

#[test]
fn the_rows_before_a_change_are_not_numbered_again() {
    let batches = large(9_980_000, 1);
    with_group(&batches, |walk| {
        Positions::new(walk.reader, walk.group, &[]);
        examined();
        let mut chosen = Chosen::default();
        renumber_group(walk, &mut chosen);
        assert!(!chosen.picks.is_empty());
        let looked_at = examined();
        assert!(looked_at < 500, "{looked_at} rows");
    });
}

/// The values that come and go among the wanted rows of a group, with their counts, and how many
/// rows are looked at for that.
fn selected(batches: &[Vec<Chunk>], wanted: Selection) -> (Vec<(i64, i64)>, usize) {
    let mut found = (Vec::new(), 0);
    with_group(batches, |walk| {
        examined();
        let mut chosen = Chosen::default();
        select_of_group(walk.reader, walk.group, wanted, &mut chosen);
        found.1 = examined();
        let schema = Schema::new(vec![Field::new("value", DataType::Int64, false)]);
        let changes = chosen.gather(walk.reader, &Arc::new(schema), &[VALUE], false);
        let values = changes.rows.column(0).as_primitive::<Int64Type>();
        let rows = 0..changes.len();
        found.0 = rows
            .map(|row| (values.value(row), changes.counts.get(row)))
            .collect();
        found.0.sort_unstable();
    });
    found
}

const FIRST: Selection = Selection {
    offset: 0,
    limit: Some(1),
    with_position: false,
    columns: VALUE,
};

#[test]
fn when_one_of_the_first_rows_goes_another_follows_by_looking_at_few_rows() {
    let values = large_values();
    for offset in [0, 5] {
        let wanted = Selection {
            offset,
            limit: Some(10),
            ..FIRST
        };
        let (first, behind) = (offset as usize, offset as usize + 10);
        let (changes, looked_at) = selected(&large(values[first + 3], -1), wanted);
        assert_eq!(changes, [(values[first + 3], -1), (values[behind], 1)]);
        assert!((1..50).contains(&looked_at), "{looked_at} rows");
    }
}

#[test]
fn the_rows_near_a_change_are_read_and_few_others_looked_at() {
    let (values, new) = (large_values(), 5_000_005);
    let place = values.partition_point(|value| *value < new);
    let (before, behind) = (&values[place - 2..place], &values[place..place + 2]);
    let near = Near::Rows(Nearby {
        before: 1,
        after: 1,
    });
    with_group(&large(new, 1), |walk| {
        examined();
        let changed = walk.changed_rows(10);
        for (as_of, expected) in [
            (None, [before, behind].concat()),
            (Some(10), [before, &[new], behind].concat()),
        ] {
            let mut rows = Vec::new();
            let segments = near.read(walk, &changed, as_of, &mut rows);
            assert_eq!(segments.len(), 1);
            let found: Vec<i64> = rows.iter().map(|row| value(walk.reader, *row)).collect();
            assert_eq!(found, expected);
        }
        let looked_at = examined();
        assert!((1..500).contains(&looked_at), "{looked_at} rows");
    });
}

fn resume(carries: Vec<Carry>) -> Resume {
    let sums = carries
        .iter()
        .filter(|carry| carry.participants().is_some());
    let terms = sums.map(|carry| Term {
        argument: Some(VALUE),
        filter: None,
        has_ends: carry.is_end(),
    });
    Resume {
        terms: terms.collect(),
        running: Running {
            head: 0,
            by_peers: true,
            carries,
        },
    }
}

#[test]
fn a_running_sum_goes_on_from_the_rows_before_a_change() {
    let batches = large(9_980_000, 1);
    let values = Participants {
        argument: Some(1),
        filter: None,
    };
    let resume = resume(vec![Carry::Rows, Carry::Sum(values)]);
    with_group(&batches, |walk| {
        Positions::new(walk.reader, walk.group, &resume.terms);
        examined();
        let positions = Positions::new(walk.reader, walk.group, &resume.terms);
        let mut rows = Vec::new();
        let read = resume.read(walk, &positions, [None, Some(10)], 10, &mut rows);
        let [old, new] = read.expect("a change");
        // Sums are added up within one chunk of each batch.
        let looked_at = examined();
        assert!(looked_at < 5 * Chunk::TARGET_ROWS, "{looked_at} rows");
        assert!(rows.len() < 200, "{} rows", rows.len());
        assert_eq!(new.segment.rows.len(), old.segment.rows.len() + 1);
        let mut all = Tally::none(&resume.terms);
        all.plus(&old.before.tally);
        for pick in &rows[old.segment.rows] {
            all.add_copies(walk.reader.body(*pick), pick.row as usize, 1, &resume.terms);
        }
        let end = positions.tally(&positions.place(|_| true), None);
        assert_eq!(all, end);
        assert_eq!(all.copies, 100_000);
    });
}

#[test]
fn a_running_maximum_goes_on_from_that_of_the_chunks_before_a_change() {
    let batches = large(9_980_000, 1);
    let values = Participants {
        argument: Some(1),
        filter: None,
    };
    let resume = resume(vec![Carry::Greatest(values)]);
    with_group(&batches, |walk| {
        Positions::new(walk.reader, walk.group, &resume.terms);
        examined();
        let positions = Positions::new(walk.reader, walk.group, &resume.terms);
        let mut rows = Vec::new();
        let read = resume.read(walk, &positions, [None, Some(10)], 10, &mut rows);
        let [old, new] = read.expect("a change");
        let looked_at = examined();
        assert!(looked_at < 8 * Chunk::TARGET_ROWS, "{looked_at} rows");
        // The next greater value makes the old and the new maximum the same.
        assert!(rows.len() < 5, "{} rows", rows.len());
        assert_eq!(old.before.ends, new.before.ends);
        let before = old.before.ends[0].expect("there are rows before");
        assert!((9_970_000..9_980_000).contains(&before), "{before}");
    });
}

#[test]
fn a_change_that_keeps_the_ranks_behind_it_is_not_followed_further() {
    let mut batches = large(0, 1);
    // The row 110 of the largest batch moves by a little.
    batches[0] = chunks(&[(110, 10, -1), (115, 10, 1)]);
    let resume = resume(vec![Carry::Rows]);
    with_group(&batches, |walk| {
        let positions = Positions::new(walk.reader, walk.group, &resume.terms);
        let mut rows = Vec::new();
        let read = resume.read(walk, &positions, [None, Some(10)], 10, &mut rows);
        assert!(read.is_some());
        assert!(rows.len() < 10, "{} rows", rows.len());
    });
}
