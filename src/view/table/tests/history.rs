//! The store against a naive model, over random histories.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use proptest::prelude::*;

use super::super::{Delta, TableSnapshot, TableStore};
use super::{Row, change, content, definition, rows_of};
use crate::model::{ChangeKind, TableDefinition};

/// The naive model: what a table holds, by the rules as documented.
struct Model {
    definition: TableDefinition,
    /// Per key: the winning version, and the row unless it is deleted.
    keyed: BTreeMap<(i64, String), (Option<i64>, Option<Row>)>,
    bag: Vec<Row>,
    events: BTreeSet<(i64, String)>,
}

impl Model {
    fn new(definition: TableDefinition) -> Self {
        Self {
            definition,
            keyed: BTreeMap::new(),
            bag: Vec::new(),
            events: BTreeSet::new(),
        }
    }

    fn apply(&mut self, kind: ChangeKind, rows: &[Row]) {
        for row in rows {
            let id = (row.0, row.1.clone());
            let versioned = !self.definition.version.is_empty();
            match (self.definition.is_keyed(), kind) {
                (true, ChangeKind::Upsert) => {
                    let stored = self.keyed.get(&id);
                    if !versioned || stored.is_none_or(|(version, _)| row.2 > *version) {
                        self.keyed.insert(id, (row.2, Some(row.clone())));
                    }
                }
                (true, ChangeKind::Delete) => {
                    let stored = self.keyed.get(&id);
                    if !versioned || stored.is_none_or(|(version, _)| row.2 >= *version) {
                        self.keyed.insert(id, (row.2, None));
                    }
                }
                (false, ChangeKind::Upsert) => {
                    if self.definition.event_identity.is_empty() || self.events.insert(id) {
                        self.bag.push(row.clone());
                    }
                }
                (false, ChangeKind::Delete) => {
                    if let Some(position) = self.bag.iter().position(|other| other == row) {
                        self.bag.remove(position);
                    }
                }
            }
        }
    }

    fn content(&self) -> Vec<Row> {
        let live = self.keyed.values().filter_map(|(_, row)| row.clone());
        let mut rows: Vec<Row> = live.chain(self.bag.iter().cloned()).collect();
        rows.sort();
        rows
    }
}

#[derive(Clone, Debug)]
struct Step {
    kind: ChangeKind,
    rows: Vec<Row>,
    /// 0: within the same transaction as the step before.
    later_by: u64,
    /// How far behind the present the horizon is moved, if at all.
    horizon_lag: Option<u64>,
    /// Whether the store is taken down after the step and restored from its image.
    restarts: bool,
}

fn row() -> impl Strategy<Value = Row> {
    let payload = proptest::option::of("[ab]{0,2}");
    (0..4i64, "[xy]{0,2}", proptest::option::of(0..6i64), payload)
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![3 => Just(ChangeKind::Upsert), 1 => Just(ChangeKind::Delete)];
    let lag = proptest::option::weighted(0.3, 0..5u64);
    let rows = proptest::collection::vec(row(), 0..8);
    let restarts = proptest::bool::weighted(0.1);
    (kind, rows, 0..3u64, lag, restarts).prop_map(
        |(kind, rows, later_by, horizon_lag, restarts)| Step {
            kind,
            rows,
            later_by,
            horizon_lag,
            restarts,
        },
    )
}

/// A store made from the image of another one, which goes on meanwhile.
fn restored(mut store: TableStore, timestamp: u64) -> TableStore {
    let image = store.image(timestamp).unwrap();
    let row = (0, "x".to_owned(), Some(100), Some("later".to_owned()));
    for kind in [ChangeKind::Upsert, ChangeKind::Delete] {
        let change = change(kind, std::slice::from_ref(&row));
        store.apply(&change, timestamp + 1).unwrap();
    }
    let mut restored = TableStore::new(image.definition().clone()).unwrap();
    for rows in image.rows() {
        restored.restore_rows(&rows.unwrap(), timestamp).unwrap();
    }
    for deletions in image.deletions().unwrap() {
        restored.restore_deletions(&deletions).unwrap();
    }
    for events in image.removed_events() {
        restored.restore_removed_events(events.clone()).unwrap();
    }
    restored.set_horizon(timestamp);
    restored
}

/// Runs a history and compares with the model after every step: deltas, content, counts and
/// lookups, at every timestamp that may still be read and in snapshots taken earlier.
fn run(definition: &TableDefinition, steps: &[Step]) {
    let mut store = TableStore::new(definition.clone()).unwrap();
    let mut model = Model::new(definition.clone());
    let mut past: BTreeMap<u64, Vec<Row>> = BTreeMap::from([(1, Vec::new())]);
    let mut kept: Vec<(TableSnapshot, Vec<Row>)> = Vec::new();
    let mut timestamp = 2;
    for step in steps {
        if step.later_by > 0 {
            past.insert(timestamp, model.content());
            kept.push((store.snapshot(timestamp).unwrap(), model.content()));
            if let Some(lag) = step.horizon_lag {
                let horizon = timestamp.saturating_sub(lag).max(1);
                store.set_horizon(horizon);
                past.retain(|&timestamp, _| timestamp >= horizon);
            }
            timestamp += step.later_by;
        }
        let before = model.content();
        model.apply(step.kind, &step.rows);
        let change = change(step.kind, &step.rows);
        let delta = store.apply(&change, timestamp).unwrap();
        check_delta(&delta, before, model.content());
        for (&timestamp, rows) in &past {
            check_snapshot(&store.snapshot(timestamp).unwrap(), rows);
        }
        check_snapshot(&store.snapshot(timestamp).unwrap(), &model.content());
        if step.restarts {
            store = restored(store, timestamp);
            past.retain(|&earlier, _| earlier >= timestamp);
            check_snapshot(&store.snapshot(timestamp).unwrap(), &model.content());
        }
    }
    for (snapshot, rows) in &kept {
        check_snapshot(snapshot, rows);
    }
}

fn check_delta(delta: &Delta, mut before: Vec<Row>, after: Vec<Row>) {
    let changed = rows_of(&delta.rows);
    assert_eq!(changed.len(), delta.diffs.len());
    let with = |sign: i64| {
        let pairs = changed.iter().zip(&delta.diffs);
        pairs
            .filter(move |(_, diff)| **diff == sign)
            .map(|(row, _)| row)
    };
    let added: BTreeSet<&Row> = with(1).collect();
    for row in with(-1) {
        assert!(!added.contains(row), "{row:?} is removed and added");
        let position = before.iter().position(|other| other == row).unwrap();
        before.remove(position);
    }
    before.extend(with(1).cloned());
    before.sort();
    assert_eq!(
        before, after,
        "the delta leads from the old to the new content"
    );
}

fn check_snapshot(snapshot: &TableSnapshot, rows: &[Row]) {
    assert_eq!(content(snapshot), rows, "at {}", snapshot.timestamp());
    assert_eq!(snapshot.row_count(), rows.len());
    if !snapshot.definition().is_keyed() {
        return;
    }
    let channels = ["", "x", "y", "xx", "xy", "yx", "yy"];
    let keys: Vec<(i64, &str)> = (0..4)
        .flat_map(|store| channels.map(|channel| (store, channel)))
        .collect();
    let stores: ArrayRef = Arc::new(Int64Array::from_iter_values(keys.iter().map(|key| key.0)));
    let channels: ArrayRef = Arc::new(StringArray::from_iter_values(keys.iter().map(|key| key.1)));
    let mut found = rows_of(&snapshot.lookup(&[stores, channels]).unwrap());
    found.sort();
    assert_eq!(found, rows);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn keyed_table_follows_the_model(steps in proptest::collection::vec(step(), 1..40)) {
        run(&definition(&[0, 1], &[], &[]), &steps);
    }

    #[test]
    fn versioned_table_follows_the_model(steps in proptest::collection::vec(step(), 1..40)) {
        run(&definition(&[0, 1], &[2], &[]), &steps);
    }

    #[test]
    fn table_without_key_follows_the_model(steps in proptest::collection::vec(step(), 1..40)) {
        run(&definition(&[], &[], &[]), &steps);
    }

    #[test]
    fn events_count_once(steps in proptest::collection::vec(step(), 1..40)) {
        run(&definition(&[], &[], &[0, 1]), &steps);
    }

    /// The same versioned events give the same content in any order and grouping.
    #[test]
    fn order_of_arrival_does_not_matter(
        (events, shuffled) in proptest::collection::vec((any::<bool>(), row()), 1..40)
            .prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
        group in 1..6usize,
    ) {
        let deliver = |events: &[(bool, Row)], group: usize| {
            let mut store = TableStore::new(definition(&[0, 1], &[2], &[])).unwrap();
            for (timestamp, events) in (1..).zip(events.chunk_by(|a, b| a.0 == b.0)) {
                let kind = if events[0].0 { ChangeKind::Delete } else { ChangeKind::Upsert };
                for events in events.chunks(group) {
                    // The payload is a function of the version: an event is always the same.
                    let payload = |row: &Row| Some(format!("{:?}", row.2));
                    let rows: Vec<Row> = events
                        .iter()
                        .map(|(_, row)| (row.0, row.1.clone(), row.2, payload(row)))
                        .collect();
                    store.apply(&change(kind, &rows), timestamp).unwrap();
                }
            }
            content(&store.snapshot(u64::MAX - 1).unwrap())
        };
        prop_assert_eq!(deliver(&events, group), deliver(&shuffled, 1));
    }
}
