//! Chunk maintenance against a plain model, and dataflows of hand-made plans against recomputation.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::array::{Int64Array, StringArray};
use differential_dataflow::trace::chunk::{Chunk as ChunkContract, is_graded, settle_all};
use proptest::prelude::*;
use timely::progress::Antichain;

use super::chunk::{Chunk, SumLane};
use super::column::Column;
use super::form::{Unsorted, form};

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
            let values = body.columns[1].array().as_string::<i32>();
            let value = values.is_valid(row).then(|| values.value(row).to_owned());
            let entry = (key, value, body.times.get(row));
            let total = (body.counts.get(row), body.sums[0].get(row));
            assert!(total != (0, 0), "a row without difference");
            assert!(model.insert(entry, total).is_none(), "a row twice");
        }
    }
    model
}

/// A sorted sequence of small chunks.
fn cut(rows: &[Row], size: usize) -> VecDeque<Chunk> {
    let Some(chunk) = chunk(rows) else {
        return VecDeque::new();
    };
    let starts = (0..chunk.rows()).step_by(size);
    starts
        .map(|start| chunk.slice(start, size.min(chunk.rows() - start)))
        .collect()
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
    fn merging_adds_up(left in rows(), right in rows(), size in 1usize..7) {
        let (mut one, mut two) = (cut(&left, size), cut(&right, size));
        let mut merged = VecDeque::new();
        while !one.is_empty() && !two.is_empty() {
            Chunk::merge(&mut one, &mut two, &mut merged);
        }
        merged.extend(one.into_iter().chain(two));
        prop_assert_eq!(content(&merged), model(left.iter().chain(&right)));
        let settled = settle_all(merged);
        prop_assert!(is_graded(&settled));
    }

    #[test]
    fn extracting_splits_by_time(rows in rows(), size in 1usize..7, at in 0u64..6) {
        let mut input = cut(&rows, size);
        let frontier = Antichain::from_elem(at);
        let mut residual = Antichain::new();
        let (mut keep, mut ship) = (VecDeque::new(), VecDeque::new());
        while !input.is_empty() {
            Chunk::extract(&mut input, frontier.borrow(), &mut residual, &mut keep, &mut ship);
        }
        let is_kept = |row: &&Row| row.2 >= at;
        prop_assert_eq!(content(&keep), model(rows.iter().filter(is_kept)));
        prop_assert_eq!(content(&ship), model(rows.iter().filter(|row| !is_kept(row))));
        let least = content(&keep).keys().map(|key| key.2).min();
        prop_assert_eq!(residual.first().copied(), least);
    }

    #[test]
    fn advancing_moves_times_and_consolidates(rows in rows(), size in 1usize..7, at in 0u64..6, bite in 1usize..4) {
        let mut waiting = cut(&rows, size);
        let (mut input, mut advanced) = (VecDeque::new(), VecDeque::new());
        let frontier = Antichain::from_elem(at);
        while !waiting.is_empty() {
            input.extend(waiting.drain(..bite.min(waiting.len())));
            Chunk::advance(&mut input, frontier.borrow(), false, &mut advanced);
        }
        Chunk::advance(&mut input, frontier.borrow(), true, &mut advanced);
        prop_assert!(input.is_empty());
        let moved: Vec<Row> = rows.iter().map(|row| (row.0, row.1, row.2.max(at), row.3, row.4)).collect();
        prop_assert_eq!(content(&advanced), model(&moved));
    }
}
