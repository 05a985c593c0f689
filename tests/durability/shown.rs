//! What is computed while it is encoded and the log syncs is shown once it is synced.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mainstem::engine::Durability;
use mainstem::log::LogOptions;
use mainstem::log::fs::{Fault, FaultyFileSystem, FileSystem, MemoryFileSystem};
use mainstem::model::{ChangeKind, Submission};

use super::{answers, change, define, durability, open, submission};
use crate::tools::Waiting;

#[test]
fn rows_are_shown_once_they_are_synced() {
    let faulty = FaultyFileSystem::new(Arc::new(MemoryFileSystem::new()));
    let file_system: Arc<dyn FileSystem> = Arc::new(faulty.clone());
    let engine = open(&durability(&file_system)).expect("opened");
    define(&engine).expect("defined");
    engine.submit(submission(0)).expect("submitted");
    engine.flush().expect("complete");
    let syncs = || {
        let buckets = engine.metrics().syncs.buckets.iter();
        buckets.map(|bucket| bucket.load(Relaxed)).sum::<u64>()
    };
    let (rows, before) = (answers(&engine), syncs());
    let time = Duration::from_millis(300);
    faulty.set_fault(Some(Fault::SlowSyncs { time }));
    std::thread::scope(|scope| {
        scope.spawn(|| engine.submit(submission(1)).expect("submitted"));
        let waiting = Waiting::begin();
        while answers(&engine) == rows {
            waiting.check("the rows are never shown");
        }
        assert!(syncs() > before, "shown before it is synced");
    });
    engine.shutdown();
}

#[test]
fn rows_that_cannot_be_appended_are_never_shown() {
    let memory = MemoryFileSystem::new();
    let faulty = FaultyFileSystem::new(Arc::new(memory.clone()));
    let file_system: Arc<dyn FileSystem> = Arc::new(faulty.clone());
    let durability = Durability {
        // A segment for each record: the sync that fails is that of the segment before, while
        // tables and workers have the rows already.
        log: LogOptions {
            segment_bytes: 1,
            ..LogOptions::default()
        },
        ..durability(&file_system)
    };
    let engine = open(&durability).expect("opened");
    define(&engine).expect("defined");
    engine.submit(submission(0)).expect("submitted");
    engine.flush().expect("complete");
    let before = answers(&engine);
    faulty.set_fault(Some(Fault::FailSync { number: 0 }));
    engine
        .submit(submission(1))
        .expect_err("it is not appended");
    faulty.set_fault(None);
    engine
        .submit(submission(2))
        .expect_err("nothing more is accepted");
    engine
        .checkpoint()
        .expect_err("the tables have what the log has not");
    assert_eq!(answers(&engine), before);
    engine.shutdown();
    let engine = open(&durability).expect("opened again");
    assert_eq!(answers(&engine), before);
    engine.shutdown();
}

#[test]
fn a_transaction_that_is_too_large_for_the_log_is_refused_and_leaves_nothing() {
    let file_system: Arc<dyn FileSystem> = Arc::new(MemoryFileSystem::new());
    let durability = Durability {
        log: LogOptions {
            max_record_bytes: 20_000,
            ..LogOptions::default()
        },
        ..durability(&file_system)
    };
    let engine = open(&durability).expect("opened");
    define(&engine).expect("defined");
    engine.submit(submission(0)).expect("submitted");
    engine.flush().expect("complete");
    let before = answers(&engine);
    // Numbers that do not compress.
    let spread = |number: i64| number.wrapping_mul(0x1E37_79B9_7F4A_7C15);
    let rows: Vec<_> = (0..5_000)
        .map(|number| (spread(number), spread(-number), "north"))
        .collect();
    let large = Submission {
        changes: vec![change("notes", ChangeKind::Upsert, &rows)],
        ..Submission::default()
    };
    let error = engine.submit(large).expect_err("it is too large");
    assert!(error.to_string().contains("split"), "{error}");
    assert_eq!(answers(&engine), before);
    engine.submit(submission(1)).expect("the log goes on");
    engine.flush().expect("complete");
    let after = answers(&engine);
    engine.shutdown();
    let engine = open(&durability).expect("opened again");
    assert_eq!(answers(&engine), after);
    engine.shutdown();
}
