//! What survives: checkpoints, power cuts at every file operation, failing syncs, full disks.

mod history;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mainstem::engine::{Durability, EngineError};
use mainstem::log::LogOptions;
use mainstem::log::fs::{Fault, FaultyFileSystem, FileSystem, MemoryFileSystem};
use mainstem::model::{ChangeKind, Submission};

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

/// What a client knows when the machine stops.
#[derive(Clone, Copy, Default)]
struct Known {
    sent: usize,
    acknowledged: usize,
    failed: bool,
}

const HISTORY: i64 = 9;

/// Submits the history with two checkpoints and a restart in it, until something fails.
fn live(durability: &Durability, known: &mut Known) -> Result<(), EngineError> {
    let mut engine = open(durability)?;
    let outcome = (|| {
        define(&engine)?;
        let begin = engine
            .source_positions()
            .get("shop")
            .map_or(0, |position| position.parse::<i64>().expect("a number") + 1);
        known.sent = known.sent.max(begin as usize);
        for number in begin..HISTORY {
            known.sent = known.sent.max(number as usize + 1);
            engine.submit(submission(number))?;
            known.acknowledged = known.acknowledged.max(number as usize + 1);
            if number % 3 == 1 {
                engine.checkpoint()?;
            }
            if number == 5 {
                engine.shutdown();
                engine = open(durability)?;
            }
        }
        Ok(())
    })();
    engine.shutdown();
    outcome
}

fn live_until_power_cut(disk: &MemoryFileSystem, after_operations: u64, known: &mut Known) {
    let faulty = FaultyFileSystem::new(Arc::new(disk.clone()));
    faulty.set_fault(Some(Fault::PowerCut { after_operations }));
    let file_system: Arc<dyn FileSystem> = Arc::new(faulty);
    known.failed = live(&durability(&file_system), known).is_err();
}

/// Opens a crash image and checks acknowledged ⊆ log ⊆ sent, and every answer.
fn check(
    image: &MemoryFileSystem,
    known: Known,
    right: &[Vec<(String, Vec<String>)>],
    label: &str,
) {
    let file_system: Arc<dyn FileSystem> = Arc::new(image.clone());
    let engine = open(&durability(&file_system)).unwrap_or_else(|error| panic!("{label}: {error}"));
    define(&engine).unwrap_or_else(|error| panic!("{label}: {error}"));
    let found = answers(&engine);
    let count = right.iter().position(|answers| *answers == found);
    let count = count.unwrap_or_else(|| panic!("{label}: answers of no moment: {found:?}"));
    assert!(count >= known.acknowledged, "{label}: lost");
    assert!(count <= known.sent, "{label}: invented");
    engine.shutdown();
}

#[test]
fn a_power_cut_at_every_file_operation_leaves_every_answer_right() {
    let right = right_answers(HISTORY);
    let mut operation = 0;
    loop {
        let disk = MemoryFileSystem::new();
        let mut known = Known::default();
        live_until_power_cut(&disk, operation, &mut known);
        for (seed, kept) in [(0, 0), (0, 100), (operation, 50)] {
            let label = format!("operation {operation}, seed {seed}, {kept} % kept");
            check(&disk.crash(seed, kept), known, &right, &label);
        }
        if !known.failed {
            break;
        }
        operation += 1;
    }
    println!("{operation} file operations");
    assert!(operation > 60, "only {operation} operations");
}

#[test]
fn a_power_cut_during_recovery_leaves_every_answer_right() {
    let right = right_answers(HISTORY);
    for first in (5..110).step_by(9) {
        let disk = MemoryFileSystem::new();
        let mut known = Known::default();
        live_until_power_cut(&disk, first, &mut known);
        for (seed, kept) in [(0, 0), (0, 100), (first, 40)] {
            for second in [0, 1, 2, 3, 5, 8, 13, 21] {
                let image = disk.crash(seed, kept);
                let mut known = known;
                live_until_power_cut(&image, second, &mut known);
                let label = format!("cuts {first} and {second}, {kept} % kept");
                check(&image.crash(second, 50), known, &right, &label);
            }
        }
    }
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
