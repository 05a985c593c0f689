//! What is refused, what comes late, how much is kept, and what readers see meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;

use super::super::limits::Limits;
use super::super::{TableError, TableStore};
use super::{Row, batch, change, content, definition, rows_of, simple};
use crate::model::ChangeKind;

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

#[test]
fn rows_are_unchanged_while_they_are_as_they_were_read() {
    let mut store = TableStore::new(definition(&[0], &[], &[])).unwrap();
    let rows = |rows: &[Row]| vec![batch(rows)];
    let read = rows(&[simple(1, "a"), simple(2, "b")]);
    let absent = rows(&[simple(3, "c")]);
    let apply = |store: &mut TableStore, kind, row, timestamp| {
        store.apply(&change(kind, &[row]), timestamp).unwrap();
        // As readers do that need no past: the index forgets what came before.
        store.set_horizon(timestamp);
        store.is_unchanged(2, &read, &absent).unwrap()
    };
    apply(&mut store, ChangeKind::Upsert, simple(1, "a"), 1);
    assert!(apply(&mut store, ChangeKind::Upsert, simple(2, "b"), 2));
    assert!(apply(&mut store, ChangeKind::Upsert, simple(4, "d"), 3));
    assert!(!apply(&mut store, ChangeKind::Upsert, simple(2, "x"), 4));
    assert!(!apply(&mut store, ChangeKind::Delete, simple(2, "x"), 5));
    assert!(apply(&mut store, ChangeKind::Upsert, simple(2, "b"), 6));
    assert!(!apply(&mut store, ChangeKind::Upsert, simple(3, "y"), 7));
    assert!(apply(&mut store, ChangeKind::Delete, simple(3, "y"), 8));
}

#[test]
fn of_equal_rows_as_many_copies_stay_as_were_read() {
    let mut store = TableStore::new(definition(&[], &[], &[])).unwrap();
    let row = || simple(1, "a");
    let read = vec![batch(&[row()]), batch(&[row()])];
    let apply = |store: &mut TableStore, kind, timestamp| {
        store.apply(&change(kind, &[row()]), timestamp).unwrap();
        store.is_unchanged(2, &read, &[]).unwrap()
    };
    apply(&mut store, ChangeKind::Upsert, 1);
    assert!(apply(&mut store, ChangeKind::Upsert, 2));
    assert!(apply(&mut store, ChangeKind::Upsert, 3));
    assert!(apply(&mut store, ChangeKind::Delete, 4));
    assert!(!apply(&mut store, ChangeKind::Delete, 5));
}
