//! What survives: checkpoints, power cuts at every file operation, failing syncs, full disks.

mod history;
mod power_cuts;
mod shown;
mod space;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mainstem::engine::{Durability, EngineError};
use mainstem::log::LogOptions;
use mainstem::log::fs::{Fault, FaultyFileSystem, FileSystem, MemoryFileSystem};
use mainstem::model::{ChangeKind, Submission};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;

use power_cuts::{Known, check};

pub use history::{
    DATA, answers, change, define, durability, open, right_answers, rows_of, submission,
};

#[test]
fn a_start_from_a_checkpoint_gives_the_answers_of_one_from_the_log() {
    const COUNT: i64 = 24;
    let right = right_answers(COUNT);
    for checkpoint_every in [1, 3, 8] {
        let memory = MemoryFileSystem::new();
        let file_system: Arc<dyn FileSystem> = Arc::new(memory);
        let durability = durability(&file_system);
        let mut engine = open(&durability).expect("opened");
        define(&engine).expect("defined");
        let mut since_checkpoint = None;
        for number in 0..COUNT {
            engine.submit(submission(number)).expect("submitted");
            since_checkpoint = since_checkpoint.map(|count| count + 1);
            if (number + 1) % checkpoint_every == 0 {
                engine.checkpoint().expect("a checkpoint");
                since_checkpoint = Some(0);
            }
            if number % 2 == 1 {
                engine.shutdown();
                engine = open(&durability).expect("opened again");
                let recovered = engine.recovered();
                assert_eq!(
                    recovered.checkpoint_offset.is_some(),
                    since_checkpoint.is_some()
                );
                if let Some(count) = since_checkpoint {
                    assert_eq!(recovered.transactions, count, "only the tail is replayed");
                }
            }
            engine.flush().expect("complete");
            assert_eq!(
                answers(&engine),
                right[number as usize + 1],
                "after {number}"
            );
        }
        engine.shutdown();
    }
}

#[test]
fn the_log_before_the_checkpoints_goes() {
    let file_system: Arc<dyn FileSystem> = Arc::new(MemoryFileSystem::new());
    let kept_whole = Durability {
        log_retain: None,
        ..durability(&file_system)
    };
    let log = Path::new(DATA).join("log");
    let segments = || file_system.list(&log).expect("the log").len();
    let engine = open(&kept_whole).expect("opened");
    define(&engine).expect("defined");
    for number in 0..20 {
        engine.submit(submission(number)).expect("submitted");
        engine.checkpoint().expect("a checkpoint");
    }
    engine.shutdown();
    let before = segments();
    assert!(before > 5, "{before} segments");
    let engine = open(&durability(&file_system)).expect("opened");
    engine.submit(submission(20)).expect("submitted");
    engine.checkpoint().expect("a checkpoint");
    engine.flush().expect("complete");
    let right = answers(&engine);
    engine.shutdown();
    assert!(segments() < before, "{} segments of {before}", segments());
    let engine = open(&durability(&file_system)).expect("opened");
    assert_eq!(answers(&engine), right);
    assert_eq!(engine.recovered().transactions, 0);
    engine.shutdown();
}

/// Flips a byte in the middle of the checkpoint with this place from the newest.
fn damage(memory: &MemoryFileSystem, from_newest: usize) -> String {
    let directory = Path::new(DATA).join("checkpoints");
    let names = memory.list(&directory).expect("the checkpoints");
    let name = &names[names.len() - 1 - from_newest];
    let path = directory.join(name);
    let mut bytes = memory.read(&path).expect("the checkpoint");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    memory.replace(&path, &bytes).expect("damaged");
    path.display().to_string()
}

#[test]
fn a_damaged_checkpoint_is_named_and_never_trusted() {
    let memory = MemoryFileSystem::new();
    let file_system: Arc<dyn FileSystem> = Arc::new(memory.clone());
    let durability = durability(&file_system);
    let engine = open(&durability).expect("opened");
    define(&engine).expect("defined");
    for number in 0..20 {
        engine.submit(submission(number)).expect("submitted");
        if number % 6 == 5 {
            engine.checkpoint().expect("a checkpoint");
        }
    }
    engine.flush().expect("complete");
    let right = answers(&engine);
    engine.shutdown();

    let newest = damage(&memory, 0);
    let engine = open(&durability).expect("the older checkpoint is taken");
    let skipped = &engine.recovered().skipped_checkpoints;
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0].0.display().to_string(), newest);
    assert!(skipped[0].1.contains("damaged"), "{}", skipped[0].1);
    assert!(engine.recovered().transactions >= 8);
    assert_eq!(answers(&engine), right);
    engine.shutdown();

    let older = damage(&memory, 1);
    let error = open(&durability)
        .map(drop)
        .expect_err("nothing is left to start from");
    let message = error.to_string();
    assert!(
        message.contains(&newest) && message.contains(&older),
        "{message}"
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("restore")));
}

#[test]
fn with_the_whole_log_no_checkpoint_is_needed() {
    let memory = MemoryFileSystem::new();
    let file_system: Arc<dyn FileSystem> = Arc::new(memory.clone());
    let durability = Durability {
        log_retain: None,
        ..durability(&file_system)
    };
    let engine = open(&durability).expect("opened");
    define(&engine).expect("defined");
    for number in 0..8 {
        engine.submit(submission(number)).expect("submitted");
        engine.checkpoint().expect("a checkpoint");
    }
    engine.flush().expect("complete");
    let right = answers(&engine);
    engine.shutdown();
    damage(&memory, 0);
    damage(&memory, 1);
    let engine = open(&durability).expect("opened from the log");
    assert_eq!(engine.recovered().checkpoint_offset, None);
    assert_eq!(engine.recovered().skipped_checkpoints.len(), 2);
    assert_eq!(answers(&engine), right);
    // The next one takes the place of the damaged ones.
    engine.submit(submission(8)).expect("submitted");
    engine.checkpoint().expect("a checkpoint");
    engine.shutdown();
    let engine = open(&durability).expect("opened");
    assert_eq!(engine.recovered().skipped_checkpoints, Vec::new());
    assert_eq!(engine.recovered().transactions, 0);
    engine.shutdown();
}

#[test]
fn a_log_that_ends_before_its_checkpoint_is_refused() {
    let memory = MemoryFileSystem::new();
    let file_system: Arc<dyn FileSystem> = Arc::new(memory.clone());
    let durability = durability(&file_system);
    let engine = open(&durability).expect("opened");
    define(&engine).expect("defined");
    for number in 0..3 {
        engine.submit(submission(number)).expect("submitted");
    }
    engine.checkpoint().expect("a checkpoint");
    engine.shutdown();
    let log = Path::new(DATA).join("log");
    let names = memory.list(&log).expect("the log");
    let last = log.join(names.last().expect("a segment"));
    let whole = memory.read(&last).expect("the segment");
    for cut in [1, 40, whole.len() - 40] {
        memory
            .replace(&last, &whole[..whole.len() - cut])
            .expect("cut");
        let error = open(&durability)
            .map(drop)
            .expect_err("what was durable is missing");
        assert!(error.to_string().contains("a checkpoint shows"), "{error}");
    }
    memory.replace(&last, &whole).expect("put back");
    open(&durability).expect("nothing was changed").shutdown();
}

#[test]
fn input_that_comes_again_and_in_any_order_changes_no_answer() {
    const COUNT: i64 = 24;
    // Versions of items, some of which are deleted, and sales that each happen once.
    let deliver = |number: i64| {
        let shop = ["north", "south", "west"][number as usize % 3];
        let version = 10 * number;
        let kind = match number % 5 {
            4 => ChangeKind::Delete,
            _ => ChangeKind::Upsert,
        };
        let sale = [(number, number, shop)];
        Submission {
            changes: vec![
                change("stock", kind, &[(number % 7, version, shop)]),
                change("sales", ChangeKind::Upsert, &sale),
            ],
            ..Submission::default()
        }
    };
    let live = |order: &[i64]| {
        let file_system: Arc<dyn FileSystem> = Arc::new(MemoryFileSystem::new());
        let durability = durability(&file_system);
        let mut engine = open(&durability).expect("opened");
        define(&engine).expect("defined");
        for (step, number) in order.iter().enumerate() {
            engine.submit(deliver(*number)).expect("submitted");
            if step % 16 == 7 {
                engine.checkpoint().expect("a checkpoint");
            }
            if step % 16 == 15 {
                engine.shutdown();
                engine = open(&durability).expect("opened again");
            }
        }
        engine.flush().expect("complete");
        let answers = answers(&engine);
        engine.shutdown();
        answers
    };
    let in_order: Vec<i64> = (0..COUNT).collect();
    let right = live(&in_order);
    assert!(right[1].1.len() == COUNT as usize && !right[4].1.is_empty());
    for seed in 0..6 {
        let mut random = Pcg64::seed_from_u64(seed);
        let mut again = in_order.repeat(3);
        again.shuffle(&mut random);
        assert_eq!(live(&again), right, "seed {seed}: {again:?}");
    }
    // The whole log once more, and backwards.
    let backwards: Vec<i64> = in_order.iter().rev().copied().collect();
    assert_eq!(live(&[in_order, backwards].concat()), right);
}

#[test]
fn timestamps_go_forward_whatever_the_clock_says() {
    const NOON: u64 = 1_700_000_000_000;
    const HOUR: u64 = 3_600_000;
    let file_system: Arc<dyn FileSystem> = Arc::new(MemoryFileSystem::new());
    let durability = durability(&file_system);
    let mut engine = open(&durability).expect("opened");
    define(&engine).expect("defined");
    let mut newest = engine.read().expect("a moment").timestamp_ms();
    // An hour ahead, an hour back, the beginning of time.
    let clock = [NOON + HOUR, NOON - HOUR, 0, NOON];
    for (step, timestamp_ms) in clock.repeat(3).into_iter().enumerate() {
        let submission = Submission {
            timestamp_ms: Some(timestamp_ms),
            ..submission(step as i64)
        };
        engine.submit(submission).expect("submitted");
        if step % 3 == 1 {
            engine.checkpoint().expect("a checkpoint");
        }
        if step % 3 > 0 {
            engine.shutdown();
            engine = open(&durability).expect("opened again");
        }
        engine.flush().expect("complete");
        let moment = engine.read().expect("a moment").timestamp_ms();
        assert!(moment > newest, "{moment} after {newest}");
        newest = moment;
    }
    assert_eq!(newest, NOON + HOUR + clock.len() as u64 * 3 - 1);
    engine.shutdown();
}

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
fn a_checkpoint_that_fails_harms_nothing() {
    let right = right_answers(4);
    for number in 0..6 {
        for fault in [
            Fault::FailSync { number },
            Fault::FailWrite { number, bytes: 5 },
            Fault::NoSpace {
                after_bytes: 300 * number,
            },
        ] {
            let memory = MemoryFileSystem::new();
            let faulty = FaultyFileSystem::new(Arc::new(memory.clone()));
            let file_system: Arc<dyn FileSystem> = Arc::new(faulty.clone());
            let durability = durability(&file_system);
            let engine = open(&durability).expect("opened");
            define(&engine).expect("defined");
            for number in 0..3 {
                engine.submit(submission(number)).expect("submitted");
            }
            faulty.set_fault(Some(fault));
            let _ = engine.checkpoint();
            faulty.set_fault(None);
            engine.submit(submission(3)).expect("the log goes on");
            engine.checkpoint().expect("the next one is whole");
            engine.flush().expect("complete");
            assert_eq!(answers(&engine), right[4], "{fault:?}");
            engine.shutdown();
            let engine = open(&durability).expect("opened");
            assert_eq!(engine.recovered().transactions, 0, "{fault:?}");
            assert_eq!(answers(&engine), right[4], "{fault:?}");
            engine.shutdown();
        }
    }
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
fn what_a_source_sends_after_something_refused_is_refused_until_it_has_been_told() {
    let file_system: Arc<dyn FileSystem> = Arc::new(MemoryFileSystem::new());
    let engine = open(&durability(&file_system)).expect("opened");
    define(&engine).expect("defined");
    engine.enqueue(submission(0)).expect("queued");
    let mut hole = submission(1);
    hole.changes[0].table = Arc::from("nowhere");
    engine.enqueue(hole).expect("queued");
    engine.enqueue(submission(2)).expect("queued");
    let error = engine.flush().expect_err("one of them was refused");
    assert_eq!(error.sqlstate(), "42P01", "{error}");
    engine.flush().expect("it has been told");
    // Its position has not passed over the hole; others go on, and so does it from there.
    assert_eq!(answers(&engine), right_answers(1)[1]);
    for number in 1..3 {
        engine.enqueue(submission(number)).expect("queued again");
    }
    engine.flush().expect("complete");
    assert_eq!(answers(&engine), right_answers(3)[3]);
    engine.shutdown();
}

#[test]
fn an_event_counts_again_beyond_the_window_and_never_within_it_also_after_restarts() {
    let event = |kind, id, at_ms| Submission {
        changes: vec![change("sales", kind, &[(id, 1, "north")])],
        timestamp_ms: Some(at_ms),
        position: None,
    };
    let (add, remove) = (ChangeKind::Upsert, ChangeKind::Delete);
    // What is handed in, and how many rows there are then. The window is 80 s.
    let history = [
        (add, 1, 1_000_000, 1),
        (add, 2, 1_005_000, 2),
        (remove, 2, 1_006_000, 1),
        (add, 2, 1_050_000, 1),
        (add, 1, 1_079_000, 1),
        (add, 3, 1_095_000, 2),
        (add, 1, 1_100_000, 3),
        (add, 2, 1_101_000, 4),
        (add, 1, 1_170_000, 4),
        (add, 3, 1_200_000, 5),
    ];
    for has_checkpoints in [false, true] {
        for restart_after in 0..=history.len() {
            let file_system: Arc<dyn FileSystem> = Arc::new(MemoryFileSystem::new());
            let durability = durability(&file_system);
            let mut engine = open(&durability).expect("opened");
            define(&engine).expect("defined");
            let window = Some(Duration::from_secs(80));
            engine.remember_events(window).expect("remembered");
            for (step, (kind, id, at_ms, rows)) in history.into_iter().enumerate() {
                if step == restart_after {
                    if has_checkpoints {
                        engine.checkpoint().expect("a checkpoint");
                    }
                    engine.shutdown();
                    engine = open(&durability).expect("opened again");
                    let replayed = engine.recovered().transactions;
                    assert_eq!(replayed == 0, has_checkpoints, "{replayed}");
                    engine.remember_events(window).expect("as it was");
                }
                engine.submit(event(kind, id, at_ms)).expect("submitted");
                engine.flush().expect("complete");
                let found = rows_of(&engine, "sales").len();
                let place = format!("step {step}, {has_checkpoints}, restart {restart_after}");
                assert_eq!(found, rows, "{place}");
            }
            engine.shutdown();
        }
    }
}
