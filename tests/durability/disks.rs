//! Disks that fail, are full, or are slow to sync.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mainstem::engine::{Durability, EngineError};
use mainstem::log::LogOptions;
use mainstem::log::fs::{Fault, FaultyFileSystem, FileSystem, MemoryFileSystem};
use mainstem::model::{ChangeKind, Submission};

use super::power_cuts::{Known, check};
use super::{answers, change, define, durability, open, right_answers, rows_of, submission};

#[test]
fn a_failed_sync_stops_acknowledgement_for_good() {
    let memory = MemoryFileSystem::new();
    let faulty = FaultyFileSystem::new(Arc::new(memory.clone()));
    let file_system: Arc<dyn FileSystem> = Arc::new(faulty.clone());
    let durability = Durability {
        // One segment, so that the failing sync is that of the commit.
        log: LogOptions::default(),
        ..durability(&file_system)
    };
    let engine = open(&durability).expect("opened");
    define(&engine).expect("defined");
    engine.submit(submission(0)).expect("submitted");
    engine.flush().expect("complete");
    faulty.set_fault(Some(Fault::FailSync { number: 0 }));
    let error = engine.submit(submission(1)).expect_err("the sync failed");
    assert_eq!(error.sqlstate(), "58030");
    faulty.set_fault(None);
    // The kernel would say that all is well now, and may have dropped the bytes.
    engine
        .submit(submission(2))
        .expect_err("nothing more is accepted");
    engine
        .checkpoint()
        .expect_err("what is not durable is not checkpointed");
    assert_eq!(rows_of(&engine, "notes").len(), 2, "reading goes on");
    engine.shutdown();
    let known = Known {
        sent: 2,
        acknowledged: 1,
        failed: true,
    };
    let right = right_answers(2);
    for kept in [0, 50, 100] {
        check(&memory.crash(7, kept), known, &right, "after a failed sync");
    }
}

#[test]
fn a_full_disk_refuses_changes_and_takes_them_again_by_itself() {
    let memory = MemoryFileSystem::new();
    let file_system: Arc<dyn FileSystem> = Arc::new(memory.clone());
    let durability = Durability {
        min_free_bytes: 1000,
        ..durability(&file_system)
    };
    let engine = open(&durability).expect("opened");
    define(&engine).expect("defined");
    engine.submit(submission(0)).expect("submitted");
    // A source is in the middle of handing in when the disk fills up.
    engine.enqueue(submission(1)).expect("queued");
    memory.set_free_bytes(999);
    let error = engine.submit(submission(9)).expect_err("the disk is full");
    assert_eq!(error.sqlstate(), "53100");
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("log.min_free"))
    );
    let refused = engine.enqueue(submission(2)).expect_err("the disk is full");
    assert!(matches!(refused, EngineError::DiskFull { .. }));
    assert!(!answers(&engine).is_empty(), "reading goes on");
    memory.set_free_bytes(1000);
    engine.enqueue(submission(2)).expect("queued again");
    engine.flush().expect("complete");
    assert_eq!(answers(&engine), right_answers(3)[3]);
    engine.shutdown();
}

#[test]
fn one_sync_serves_all_that_wait() {
    const WRITERS: i64 = 16;
    const EACH: i64 = 5;
    let faulty = FaultyFileSystem::new(Arc::new(MemoryFileSystem::new()));
    let file_system: Arc<dyn FileSystem> = Arc::new(faulty.clone());
    let engine = open(&durability(&file_system)).expect("opened");
    define(&engine).expect("defined");
    let syncs = || {
        let buckets = engine.metrics().syncs.buckets.iter();
        buckets.map(|bucket| bucket.load(Relaxed)).sum::<u64>()
    };
    let before = syncs();
    // Long enough for the others to come meanwhile, also where threads wait for a processor.
    let time = Duration::from_millis(100);
    faulty.set_fault(Some(Fault::SlowSyncs { time }));
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let engine = &engine;
            scope.spawn(move || {
                for number in 0..EACH {
                    let row = [(EACH * writer + number, 1, "north")];
                    let changes = vec![change("sales", ChangeKind::Upsert, &row)];
                    let submission = Submission {
                        changes,
                        ..Submission::default()
                    };
                    engine.submit(submission).expect("submitted");
                }
            });
        }
    });
    let transactions = (WRITERS * EACH) as u64;
    let syncs = syncs() - before;
    println!("{syncs} syncs for {transactions} transactions");
    assert!(syncs >= EACH as u64, "nobody is answered before a sync");
    assert!(syncs <= transactions / 2, "{syncs} syncs");
    engine.flush().expect("complete");
    assert_eq!(rows_of(&engine, "sales").len() as u64, transactions);
    engine.shutdown();
}
