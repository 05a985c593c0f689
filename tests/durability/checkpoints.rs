//! Starts from checkpoints, whole ones and damaged ones, and what stays of the log before them.

use std::path::Path;
use std::sync::Arc;

use mainstem::engine::Durability;
use mainstem::log::fs::{Fault, FaultyFileSystem, FileSystem, MemoryFileSystem};

use super::{DATA, answers, define, durability, open, right_answers, submission};

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
