//! The store against a naive model, over random histories.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;
use proptest::prelude::*;

use super::limits::Limits;
use super::*;
use crate::model::{Change, ChangeKind, ColumnDefinition, TableDefinition};

/// store, channel, version, payload.
type Row = (i64, String, Option<i64>, Option<String>);

fn definition(
    primary_key: &[usize],
    version: &[usize],
    event_identity: &[usize],
) -> TableDefinition {
    let column = |name: &str, data_type: DataType, nullable: bool| ColumnDefinition {
        name: name.to_owned(),
        data_type,
        nullable,
        description: String::new(),
        default: None,
        max_length: None,
    };
    TableDefinition {
        name: "stock".to_owned(),
        description: String::new(),
        columns: vec![
            column("store", DataType::Int64, false),
            column("channel", DataType::Utf8, true),
            column("version", DataType::Int64, true),
            column("payload", DataType::Utf8, true),
        ],
        primary_key: primary_key.to_vec(),
        version: version.to_vec(),
        event_identity: event_identity.to_vec(),
        append_only: false,
    }
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.1))),
        Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.2))),
        Arc::new(StringArray::from_iter(rows.iter().map(|row| row.3.clone()))),
    ];
    RecordBatch::try_new(definition(&[], &[], &[]).schema(), columns).unwrap()
}

fn change(kind: ChangeKind, rows: &[Row]) -> Change {
    Change {
        table: "stock".into(),
        kind,
        rows: batch(rows),
    }
}

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let store = batch.column(0).as_primitive::<Int64Type>();
    let channel = batch.column(1).as_string::<i32>();
    let version = batch.column(2).as_primitive::<Int64Type>();
    let payload = batch.column(3).as_string::<i32>();
    (0..batch.num_rows())
        .map(|row| {
            (
                store.value(row),
                channel.value(row).to_owned(),
                version.is_valid(row).then(|| version.value(row)),
                payload.is_valid(row).then(|| payload.value(row).to_owned()),
            )
        })
        .collect()
}

fn content(snapshot: &TableSnapshot) -> Vec<Row> {
    let batches = snapshot.scan(None);
    let mut rows: Vec<Row> = batches.flat_map(|rows| rows_of(&rows.unwrap())).collect();
    rows.sort();
    rows
}

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

fn simple(store: i64, payload: &str) -> Row {
    (store, String::new(), None, Some(payload.to_owned()))
}

#[test]
fn errors_name_the_place_and_change_nothing() {
    let mut store = TableStore::new(definition(&[0, 1], &[], &[])).unwrap();
    let good = change(ChangeKind::Upsert, &[simple(1, "a")]);
    store.apply(&good, 5).unwrap();

    let mut null_key = good.clone();
    let channels: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
    let mut columns = good.rows.columns().to_vec();
    columns[1] = channels;
    null_key.rows = RecordBatch::try_new(good.rows.schema(), columns).unwrap();
    let error = store.apply(&null_key, 6).unwrap_err().to_string();
    assert!(
        error.contains("row 0") && error.contains("channel"),
        "{error}"
    );

    let mut narrow = good.clone();
    narrow.rows = good.rows.project(&[0, 1]).unwrap();
    let refused = store.apply(&narrow, 6);
    assert!(matches!(refused, Err(TableError::SchemaMismatch { .. })));

    let late = store.apply(&good, 4);
    assert!(matches!(late, Err(TableError::TimestampRegressed { .. })));

    store.set_horizon(5);
    let past = store.snapshot(4);
    assert!(matches!(past, Err(TableError::BeforeHorizon { .. })));
    assert_eq!(content(&store.snapshot(5).unwrap()), [simple(1, "a")]);
}

#[test]
fn a_change_that_could_not_be_applied_is_refused_beforehand() {
    let mut store = TableStore::new(definition(&[0, 1], &[], &[])).unwrap();
    store.limits = Limits {
        value_bytes: 100,
        change_bytes: 500,
    };
    let rows = |count: i64, length: usize| -> Vec<Row> {
        (0..count)
            .map(|store| simple(store, &"x".repeat(length)))
            .collect()
    };
    let long = store.check_limits(&change(ChangeKind::Upsert, &rows(2, 101)));
    let long = long.unwrap_err().to_string();
    assert!(long.contains("101 bytes in column payload"), "{long}");
    let many = store.check_limits(&change(ChangeKind::Upsert, &rows(6, 100)));
    assert!(matches!(many, Err(TableError::ChangeTooLarge { .. })));
    // Rows that are small themselves may replace or delete large ones.
    for part in rows(12, 90).chunks(4) {
        let part = change(ChangeKind::Upsert, part);
        store.check_limits(&part).unwrap();
        store.apply(&part, 1).unwrap();
    }
    for kind in [ChangeKind::Upsert, ChangeKind::Delete] {
        let all = store.check_limits(&change(kind, &rows(12, 1)));
        assert!(matches!(all, Err(TableError::ChangeTooLarge { .. })));
        store.check_limits(&change(kind, &rows(4, 1))).unwrap();
    }
}

#[test]
fn late_older_version_does_not_bring_a_deleted_row_back() {
    let mut store = TableStore::new(definition(&[0, 1], &[2], &[])).unwrap();
    let row = |version| (7, "web".to_owned(), Some(version), None);
    let mut apply = |kind, version, timestamp| {
        let change = change(kind, &[row(version)]);
        store.apply(&change, timestamp).unwrap().diffs
    };
    assert_eq!(apply(ChangeKind::Delete, 5, 1), [0i64; 0]);
    assert_eq!(apply(ChangeKind::Upsert, 4, 2), [0i64; 0]);
    assert_eq!(apply(ChangeKind::Upsert, 6, 3), [1]);
    assert_eq!(apply(ChangeKind::Delete, 5, 4), [0i64; 0]);
    assert_eq!(apply(ChangeKind::Delete, 6, 5), [-1]);
}

/// Many more rows than fit one segment, replaced several times over.
#[test]
fn dead_rows_go_once_no_reader_can_see_them() {
    const KEYS: i64 = 300_000;
    let mut store = TableStore::new(definition(&[0], &[], &[])).unwrap();
    for round in 0..4u64 {
        let rows: Vec<Row> = (0..KEYS)
            .map(|key| simple(key, &round.to_string()))
            .collect();
        for part in rows.chunks(70_000) {
            store
                .apply(&change(ChangeKind::Upsert, part), round + 1)
                .unwrap();
        }
        store.set_horizon(round + 1);
        let snapshot = store.snapshot(round + 1).unwrap();
        assert_eq!(snapshot.row_count(), KEYS as usize);
        assert!(
            snapshot.segment_count() <= 12,
            "{} segments",
            snapshot.segment_count()
        );
        let stored: usize = snapshot.stored_row_count();
        assert!(stored <= 2 * KEYS as usize, "{stored} rows are kept");
        let keys: ArrayRef = Arc::new(Int64Array::from(vec![0, 123_456, KEYS - 1, KEYS]));
        let found = rows_of(&snapshot.lookup(&[keys]).unwrap());
        let expected = [0, 123_456, KEYS - 1].map(|key| simple(key, &round.to_string()));
        assert_eq!(found, expected);
    }
}

/// Segments stay few, whatever the pattern of small commits.
#[test]
fn small_commits_make_few_segments() {
    let mut store = TableStore::new(definition(&[0], &[], &[])).unwrap();
    for timestamp in 1..3_000u64 {
        let key = (timestamp as i64 * 7_919) % 500;
        let change = change(ChangeKind::Upsert, &[simple(key, &timestamp.to_string())]);
        store.apply(&change, timestamp).unwrap();
        store.set_horizon(timestamp.saturating_sub(10));
    }
    let snapshot = store.snapshot(3_000).unwrap();
    assert_eq!(snapshot.row_count(), 500);
    assert!(
        snapshot.segment_count() <= 20,
        "{} segments",
        snapshot.segment_count()
    );
    assert!(snapshot.stored_row_count() <= 1_100);
}

/// Readers see whole transactions while the writer goes on, compacts and moves the horizon.
#[test]
fn readers_see_all_of_a_transaction_or_nothing() {
    const ACCOUNTS: i64 = 40;
    const TRANSFERS: u64 = 3_000;
    let mut store = TableStore::new(definition(&[0], &[], &[])).unwrap();
    let balance = |account: i64, amount: i64| (account, String::new(), Some(amount), None);
    let opening: Vec<Row> = (0..ACCOUNTS).map(|account| balance(account, 0)).collect();
    store
        .apply(&change(ChangeKind::Upsert, &opening), 1)
        .unwrap();
    let complete = AtomicU64::new(1);
    let done = AtomicBool::new(false);
    let reader = store.reader();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    // Refused when the horizon has passed the timestamp meanwhile.
                    let timestamp = complete.load(Ordering::Acquire);
                    let Ok(snapshot) = reader.snapshot(timestamp) else {
                        continue;
                    };
                    let rows = content(&snapshot);
                    let total: i64 = rows.iter().filter_map(|row| row.2).sum();
                    assert_eq!((total, rows.len()), (0, ACCOUNTS as usize));
                    assert_eq!(snapshot.row_count(), ACCOUNTS as usize);
                    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ACCOUNTS));
                    let found = snapshot.lookup(&[keys]).unwrap();
                    let mut found = rows_of(&found);
                    found.sort();
                    assert_eq!(found, rows);
                }
            });
        }
        let mut balances = vec![0i64; ACCOUNTS as usize];
        for timestamp in 2..TRANSFERS {
            let from = (timestamp * 31 % ACCOUNTS as u64) as usize;
            let to = (timestamp * 17 % ACCOUNTS as u64) as usize;
            balances[from] -= timestamp as i64;
            balances[to] += timestamp as i64;
            for account in [from, to] {
                let row = balance(account as i64, balances[account]);
                store
                    .apply(&change(ChangeKind::Upsert, &[row]), timestamp)
                    .unwrap();
            }
            complete.store(timestamp, Ordering::Release);
            store.set_horizon(timestamp.saturating_sub(3));
        }
        done.store(true, Ordering::Release);
    });
}
