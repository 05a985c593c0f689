//! The power goes at every file operation, and of what was not synced anything may be left.

use std::path::Path;
use std::sync::Arc;

use mainstem::engine::checkpoint::{self, CHECKPOINT_DIRECTORY};
use mainstem::engine::{Durability, EngineError, examine};
use mainstem::log::LogOptions;
use mainstem::log::fs::{Fault, FaultyFileSystem, FileSystem, MemoryFileSystem};

use super::{DATA, answers, define, durability, open, right_answers, submission};

/// What a client knows when the machine stops.
#[derive(Clone, Copy, Default)]
pub struct Known {
    pub sent: usize,
    pub acknowledged: usize,
    pub failed: bool,
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
pub fn check(
    image: &MemoryFileSystem,
    known: Known,
    right: &[Vec<(String, Vec<String>)>],
    label: &str,
) {
    let checkpoints = Path::new(DATA).join(CHECKPOINT_DIRECTORY);
    for file in checkpoint::list(image, &checkpoints).expect("listed") {
        // What has the name of a checkpoint is whole, whenever the power goes.
        let verified = checkpoint::verify(image, &file.path);
        verified.unwrap_or_else(|error| panic!("{label}: {error}"));
    }
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

/// Submits a history of which every checkpoint lets go of several segments and of the checkpoint
/// before it, until something fails.
fn live_and_let_go(durability: &Durability, known: &mut Known) -> Result<(), EngineError> {
    let engine = open(durability)?;
    let outcome = (|| {
        define(&engine)?;
        for number in 0..LETTING_GO {
            known.sent = number as usize + 1;
            engine.submit(submission(number))?;
            known.acknowledged = number as usize + 1;
            if number % 3 == 2 {
                engine.checkpoint()?;
            }
        }
        Ok(())
    })();
    engine.shutdown();
    outcome
}

const LETTING_GO: i64 = 7;

#[test]
fn a_power_cut_while_the_old_goes_leaves_what_follows_on_each_other() {
    let right = right_answers(LETTING_GO);
    let (mut operation, mut images) = (0, 0);
    loop {
        let disk = MemoryFileSystem::new();
        let faulty = FaultyFileSystem::new(Arc::new(disk.clone()));
        faulty.set_fault(Some(Fault::PowerCut {
            after_operations: operation,
        }));
        let file_system: Arc<dyn FileSystem> = Arc::new(faulty);
        let durability = Durability {
            log: LogOptions {
                // A segment for each transaction.
                segment_bytes: 1,
                ..LogOptions::default()
            },
            checkpoint_retain: 1,
            ..durability(&file_system)
        };
        let mut known = Known::default();
        known.failed = live_and_let_go(&durability, &mut known).is_err();
        // Whatever part of the names that were not synced has survived.
        for kept in 0..1 << disk.unsynced_names().min(10) {
            let image = disk.crash_with_names(kept);
            let label = format!("operation {operation}, names {kept:b}");
            if image.exists(Path::new(DATA)).expect("the root") {
                let findings = examine(&image, Path::new(DATA));
                let wrong = findings.iter().find(|finding| finding.remedy.is_some());
                assert_eq!(wrong, None, "{label}");
            }
            check(&image, known, &right, &label);
            images += 1;
        }
        if !known.failed {
            let segments = disk.list(&Path::new(DATA).join("log")).expect("the log");
            assert!(segments.len() < 4, "{segments:?} were not let go");
            break;
        }
        operation += 1;
    }
    println!("{operation} file operations, {images} images");
}
