//! Chunk maintenance against a plain model, and dataflows of hand-made plans against recomputation.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Int64Array, StringArray};
use differential_dataflow::batcher::{Batcher, Extract};
use differential_dataflow::trace::{Description, Span, Trace, TraceReader};
use proptest::prelude::*;
use timely::progress::Antichain;

use super::batch::{Batch, ChunkBatcher};
use super::chunk::{Chunk, SumLane};
use super::column::Column;
use super::form::{Unsorted, form};
use super::lane::Lane;
use super::merge::Merge;
use super::spine::{Idle, Spine, merge_what_is_due, merge_when_idle};

/// (key, value, time) to (count, sum).
type Model = BTreeMap<(i64, Option<String>, u64), (i64, i128)>;
type Row = (i64, Option<u8>, u64, i64, i64);

fn text(value: Option<u8>) -> Option<String> {
    value.map(|value| format!("value {value}"))
}

fn chunk(rows: &[Row]) -> Option<Chunk> {
    let keys: Int64Array = rows.iter().map(|row| row.0).collect::<Vec<_>>().into();
    let values: StringArray = rows.iter().map(|row| text(row.1)).collect();
    form(vec![Unsorted {
        columns: vec![Column::new(Arc::new(keys)), Column::new(Arc::new(values))],
        key_columns: 1,
        orders: None,
        times: rows.iter().map(|row| row.2).collect::<Vec<_>>().into(),
        counts: rows.iter().map(|row| row.3).collect::<Vec<_>>().into(),
        sums: vec![SumLane::Wide(
            rows.iter()
                .map(|row| i128::from(row.4))
                .collect::<Vec<_>>()
                .into(),
        )],
    }])
}

fn add(model: &mut Model, key: i64, value: Option<String>, time: u64, count: i64, sum: i128) {
    let entry = model.entry((key, value, time)).or_default();
    entry.0 += count;
    entry.1 += sum;
}

fn model<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Model {
    let mut model = Model::new();
    for row in rows {
        add(
            &mut model,
            row.0,
            text(row.1),
            row.2,
            row.3,
            i128::from(row.4),
        );
    }
    model.retain(|_, total| *total != (0, 0));
    model
}

fn content<'a>(chunks: impl IntoIterator<Item = &'a Chunk>) -> Model {
    use arrow::array::{Array, AsArray};
    let mut model = Model::new();
    for chunk in chunks {
        let body = chunk.body();
        for row in 0..body.len() {
            let key = body.columns[0]
                .array()
                .as_primitive::<arrow::datatypes::Int64Type>()
                .value(row);
            let values = body.columns[1].array();
            let values = values.as_string::<i32>();
            let value = values.is_valid(row).then(|| values.value(row).to_owned());
            let entry = (key, value, body.times.get(row));
            let total = (body.counts.get(row), body.sums[0].get(row));
            assert!(total != (0, 0), "a row without difference");
            assert!(model.insert(entry, total).is_none(), "a row twice");
        }
    }
    model
}

/// A batch of chunks of the given size.
fn cut(rows: &[Row], size: usize) -> Option<Batch> {
    let chunk = chunk(rows)?;
    let starts = (0..chunk.rows()).step_by(size);
    let chunks = starts.map(|start| chunk.slice(start, size.min(chunk.rows() - start)));
    Batch::new(chunks.collect())
}

fn advanced(rows: &[Row], since: u64) -> Vec<Row> {
    let advance = |row: &Row| (row.0, row.1, row.2.max(since), row.3, row.4);
    rows.iter().map(advance).collect()
}

fn content_of(batches: &[Batch]) -> Model {
    let mut sum = Model::new();
    for batch in batches {
        for ((key, value, time), (count, total)) in content(batch.chunks.iter()) {
            add(&mut sum, key, value, time, count, total);
        }
    }
    sum.retain(|_, total| *total != (0, 0));
    sum
}

/// The rows of what a trace holds, with times before `since` moved to it.
fn content_since(spine: &Spine, since: u64) -> Model {
    let mut batches = Vec::new();
    spine.map_spans(|span| batches.extend(span.inner.clone()));
    let mut moved = Model::new();
    for ((key, value, time), (count, sum)) in content_of(&batches) {
        add(&mut moved, key, value, time.max(since), count, sum);
    }
    moved.retain(|_, total| *total != (0, 0));
    moved
}

fn no_more_than_needed(batch: &Batch) -> bool {
    let sizes: Vec<usize> = batch.chunks.iter().map(Chunk::rows).collect();
    sizes
        .windows(2)
        .all(|pair| pair[0] + pair[1] > Chunk::TARGET_ROWS)
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        0i64..6,
        proptest::option::of(0u8..3),
        0u64..5,
        -2i64..3,
        -2i64..3,
    );
    proptest::collection::vec(row, 0..60)
}

proptest! {
    #[test]
    fn forming_consolidates(rows in rows()) {
        prop_assert_eq!(content(&chunk(&rows)), model(&rows));
    }

    #[test]
    fn merging_adds_up(
        parts in proptest::collection::vec(rows(), 1..5),
        size in 1usize..7,
        since in proptest::option::of(0u64..6),
    ) {
        let batches = parts.iter().filter_map(|rows| cut(rows, size));
        let mut merge = Merge::new(batches, since);
        while merge.rows_left() > 0 {
            merge.step();
        }
        let merged = merge.done();
        let rows = advanced(&parts.concat(), since.unwrap_or(0));
        prop_assert_eq!(content(merged.iter().flat_map(|batch| batch.chunks.iter())), model(&rows));
        prop_assert!(merged.iter().all(no_more_than_needed));
    }

    #[test]
    fn extracting_splits_by_time(
        parts in proptest::collection::vec(rows(), 0..20),
        at in 0u64..6,
    ) {
        let mut batcher = ChunkBatcher::default();
        for rows in &parts {
            if let Some(mut chunk) = chunk(rows) {
                batcher.insert(&mut chunk);
            }
        }
        let rows = parts.concat();
        let is_late = |row: &&Row| row.2 >= at;
        let (early, least) = batcher.extract(Antichain::from_elem(at).borrow());
        let least = least.first().copied();
        let early: Vec<Batch> = early.into_iter().collect();
        prop_assert_eq!(content_of(&early), model(rows.iter().filter(|row| !is_late(row))));
        let (late, _) = batcher.extract(Antichain::new().borrow());
        let late: Vec<Batch> = late.into_iter().collect();
        let late = content_of(&late);
        prop_assert_eq!(&late, &model(rows.iter().filter(is_late)));
        // Rows that cancel out each other may have been counted.
        let remaining = late.keys().map(|key| key.2).min();
        prop_assert!(remaining.is_none_or(|time| least.is_some_and(|least| least <= time)));
    }

    #[test]
    fn a_history_keeps_what_it_was_given(
        parts in proptest::collection::vec((rows(), 0u8..4), 1..40),
    ) {
        let info = timely::dataflow::operators::generic::OperatorInfo::new(0, 0, [].into());
        let mut spine = <Spine as Trace>::new(info, None, None);
        let mut given: Vec<Row> = Vec::new();
        let (mut since, mut held) = (0, 0);
        for (time, (rows, action)) in (0u64..).zip(parts) {
            let rows: Vec<Row> = rows.iter().map(|row| (row.0, row.1, time, row.3, row.4)).collect();
            let bounds = |at: u64| Antichain::from_elem(at);
            let description = Description::new(bounds(time), bounds(time + 1), bounds(0));
            spine.insert(Span::new(description, cut(&rows, 5)));
            given.extend(&rows);
            if action > 0 {
                (since, held) = (time.saturating_sub(2), time);
                spine.set_logical_compaction(bounds(since).borrow());
                spine.set_physical_compaction(bounds(held).borrow());
            }
            match action {
                2 => { merge_what_is_due(); }
                3 => while merge_when_idle() != Idle::Nothing {},
                _ => {}
            }
            prop_assert_eq!(content_since(&spine, since), model(&advanced(&given, since)));
            let mut upper = Antichain::new();
            spine.read_upper(&mut upper);
            prop_assert_eq!(upper, bounds(time + 1));
            let before = spine.spans_through(bounds(held).borrow()).unwrap_or_default();
            let before: Vec<Batch> = before.into_iter().filter_map(|span| span.inner).collect();
            let earlier: Vec<Row> = given.iter().filter(|row| row.2 < held).copied().collect();
            let mut moved = Model::new();
            for ((key, value, time), (count, sum)) in content_of(&before) {
                add(&mut moved, key, value, time.max(since), count, sum);
            }
            moved.retain(|_, total| *total != (0, 0));
            prop_assert_eq!(moved, model(&advanced(&earlier, since)));
        }
    }
}

#[test]
fn more_batches_wait_for_a_merge_where_nothing_is_looked_up() {
    let most_batches = |is_looked_up: bool| {
        let info = timely::dataflow::operators::generic::OperatorInfo::new(0, 0, [].into());
        let mut spine = <Spine as Trace>::new(info, None, None);
        let mut given: Vec<Row> = Vec::new();
        let mut most = 0;
        for time in 0..200 {
            let rows = (0..4).map(|row| (time as i64 * 4 + row, None, time, 1, row));
            let rows: Vec<Row> = rows.collect();
            let bounds = |at: u64| Antichain::from_elem(at);
            let description = Description::new(bounds(time), bounds(time + 1), bounds(0));
            spine.insert(Span::new(description, cut(&rows, 5)));
            spine.set_logical_compaction(bounds(time).borrow());
            spine.set_physical_compaction(bounds(time + 1).borrow());
            merge_what_is_due();
            if is_looked_up {
                spine.spans_through(bounds(time + 1).borrow());
            }
            given.extend(rows);
            let mut batches = 0;
            spine.map_spans(|_| batches += 1);
            most = most.max(batches);
        }
        assert_eq!(content_since(&spine, 199), model(&advanced(&given, 199)));
        most
    };
    let (looked_up, quiet) = (most_batches(true), most_batches(false));
    assert!(looked_up < 16, "{looked_up} batches");
    assert!((16..64).contains(&quiet), "{quiet} batches");
}

/// Enough rows for many chunks, so that some lie apart and parts are let go.
/// So many rows with a text of a mebibyte each.
fn long_texts(keys: std::ops::Range<i64>) -> Option<Batch> {
    let length = keys.clone().count();
    let texts = keys.clone().map(|_| Some("x".repeat(1 << 20)));
    let formed = form(vec![Unsorted {
        columns: vec![
            Column::new(Arc::new(Int64Array::from_iter_values(keys))),
            Column::new(Arc::new(texts.collect::<StringArray>())),
        ],
        key_columns: 1,
        orders: None,
        times: Lane::Constant(1, length),
        counts: Lane::Constant(1, length),
        sums: Vec::new(),
    }]);
    Batch::new(formed.into_iter().collect())
}

#[test]
fn long_texts_make_short_chunks() {
    let batches = [long_texts(0..60), long_texts(60..120)];
    let mut merge = Merge::new(batches.into_iter().flatten(), None);
    while merge.rows_left() > 0 {
        merge.step();
    }
    let merged = merge.done().expect("rows");
    assert_eq!(merged.rows(), 120);
    assert_eq!(merged.chunks.len(), 2);
    for chunk in merged.chunks.iter() {
        let bytes = chunk.body().all_varying_bytes();
        assert!(bytes <= Chunk::TARGET_BYTES + (1 << 20), "{bytes}");
    }
}

#[test]
fn large_batches_add_up_at_every_moment() {
    let rows = |part: i64, count: i64, keys: i64, time: u64| -> Vec<Row> {
        let row = |row: i64| {
            let key = (row * 7919 + part * 104_729) % keys;
            (key, Some((row % 3) as u8), time, 1 - 2 * (row % 5 / 4), row)
        };
        (0..count).map(row).collect()
    };
    for keys in [3, 1_000, 1_000_000] {
        let parts = [
            rows(1, 30_000, keys, 1),
            rows(2, 20_000, keys, 2),
            rows(3, 100, keys, 9),
            rows(1, 30_000, keys, 4),
        ];
        let batches = parts
            .iter()
            .filter_map(|rows| cut(rows, Chunk::TARGET_ROWS));
        let mut merge = Merge::new(batches, Some(3));
        let expected = model(&advanced(&parts.concat(), 3));
        while merge.rows_left() > 0 {
            merge.step();
            let mut moved = Model::new();
            for ((key, value, time), (count, sum)) in content_of(&merge.let_go()) {
                add(&mut moved, key, value, time.max(3), count, sum);
            }
            moved.retain(|_, total| *total != (0, 0));
            assert_eq!(moved.len(), expected.len(), "{keys} keys");
            assert!(moved == expected, "{keys} keys");
        }
        let merged = merge.done();
        let chunks = || merged.iter().flat_map(|batch| batch.chunks.iter());
        assert!(content(chunks()) == expected, "{keys} keys");
        assert!(merged.iter().all(no_more_than_needed));
        let is_packed = |chunk: &Chunk| {
            let key = &chunk.body().columns[0];
            key.memory_bytes() <= chunk.rows() * size_of::<u32>()
        };
        // Fewer keys come to fewer rows, not all of which are packed.
        assert!(keys < 1_000_000 || chunks().all(is_packed));
    }
}
