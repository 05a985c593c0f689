//! Power cuts at every operation, failing syncs and writes, full disks.

use std::cell::RefCell;

use super::*;
use crate::log::fs::{Fault, FaultyFileSystem};

const HISTORY: u64 = 14;

/// What a writer knows when it stops.
#[derive(Default)]
struct Outcome {
    /// So many records were handed to the log.
    sent: usize,
    /// So many were acknowledged.
    acknowledged: usize,
    /// Whether an operation failed before the end.
    failed: bool,
}

/// Appends records in groups of one to three, each group synced, until something fails.
fn write_history(file_system: Arc<dyn FileSystem>) -> Outcome {
    let outcome = RefCell::new(Outcome::default());
    let run = || -> Result<(), LogError> {
        let (mut log, opened) = Log::open(file_system, Path::new(DIRECTORY), small_segments())?;
        let start = opened.next_offset;
        outcome.borrow_mut().sent = start as usize;
        outcome.borrow_mut().acknowledged = start as usize;
        for number in start..start + HISTORY {
            outcome.borrow_mut().sent += 1;
            assert_eq!(log.append(1000 + number, &payload(number))?, number);
            if number % 3 != 1 {
                log.sync()?;
                outcome.borrow_mut().acknowledged = log.next_offset() as usize;
            }
        }
        Ok(())
    };
    let result = run();
    outcome.borrow_mut().failed = result.is_err();
    outcome.into_inner()
}

/// Opens a crash image, twice, and checks acknowledged ⊆ log ⊆ sent.
fn check_image(image: &MemoryFileSystem, outcome: &Outcome, label: &str) {
    let (log, _) = open(image, small_segments()).unwrap_or_else(|error| panic!("{label}: {error}"));
    let records = read_all(&log).unwrap_or_else(|error| panic!("{label}: {error}"));
    assert_is_prefix(&records);
    assert!(records.len() >= outcome.acknowledged, "{label}: lost");
    assert!(records.len() <= outcome.sent, "{label}: invented");
    drop(log);
    // What the first start has seen must outlast a second crash right after it.
    let again = image.crash(0, 0);
    let (log, opened) = open(&again, small_segments()).unwrap();
    assert_eq!(opened.cut, None, "{label}: recovery is not idempotent");
    assert_eq!(read_all(&log).unwrap(), records, "{label}");
}

/// Runs the history on `disk` with a power cut after so many operations; the image's outcome.
fn cut_power(disk: &MemoryFileSystem, after_operations: u64) -> Outcome {
    let faulty = FaultyFileSystem::new(Arc::new(disk.clone()));
    faulty.set_fault(Some(Fault::PowerCut { after_operations }));
    write_history(Arc::new(faulty))
}

/// Seeds and percentages of unsynced data kept: nothing, everything, and mixes.
fn crash_kinds(base: u64) -> Vec<(u64, u8)> {
    let mut kinds = vec![(0, 0), (0, 100)];
    kinds.extend((0..6).map(|n| (base * 31 + n, [50, 20, 80, 95, 5, 60][n as usize])));
    kinds
}

#[test]
fn a_power_cut_at_every_operation_loses_nothing_acknowledged() {
    let mut operation = 0;
    loop {
        let disk = MemoryFileSystem::new();
        let outcome = cut_power(&disk, operation);
        for (seed, kept) in crash_kinds(operation) {
            let label = format!("operation {operation}, seed {seed}, {kept} % kept");
            check_image(&disk.crash(seed, kept), &outcome, &label);
        }
        if !outcome.failed {
            break;
        }
        operation += 1;
    }
    assert!(operation > 40, "only {operation} operations");
}

#[test]
fn a_power_cut_during_recovery_loses_nothing_acknowledged() {
    for first in (0..40).step_by(3) {
        let disk = MemoryFileSystem::new();
        let before = cut_power(&disk, first);
        for (seed, kept) in crash_kinds(first) {
            for second in 0..12 {
                let image = disk.crash(seed, kept);
                let after = cut_power(&image, second);
                let both = Outcome {
                    sent: before.sent.max(after.sent),
                    acknowledged: before.acknowledged.max(after.acknowledged),
                    failed: true,
                };
                for (seed, kept) in crash_kinds(second) {
                    let label = format!("cuts {first} and {second}, seed {seed}, {kept} % kept");
                    check_image(&image.crash(seed, kept), &both, &label);
                }
            }
        }
    }
}

#[test]
fn a_failed_sync_or_write_poisons_the_log() {
    let faults = [
        Fault::FailSync { number: 0 },
        Fault::FailWrite {
            number: 0,
            bytes: 9,
        },
        Fault::NoSpace { after_bytes: 9 },
    ];
    for fault in faults {
        let disk = MemoryFileSystem::new();
        let faulty = FaultyFileSystem::new(Arc::new(disk.clone()));
        let shared: Arc<dyn FileSystem> = Arc::new(faulty.clone());
        let (mut log, _) = Log::open(shared, Path::new(DIRECTORY), LogOptions::default()).unwrap();
        log.append(1000, &payload(0)).unwrap();
        log.sync().unwrap();
        faulty.set_fault(Some(fault));
        log.append(1001, &payload(1)).unwrap();
        assert!(matches!(log.sync(), Err(LogError::Io { .. })), "{fault:?}");
        faulty.set_fault(None);
        assert!(matches!(log.sync(), Err(LogError::Poisoned { .. })));
        let error = log.append(1002, &payload(2)).unwrap_err();
        assert!(matches!(error, LogError::Poisoned { .. }));
        assert_eq!(read_all(&log).unwrap().len(), 1);
        drop(log);
        let outcome = Outcome {
            sent: 2,
            acknowledged: 1,
            failed: true,
        };
        for (seed, kept) in crash_kinds(1) {
            check_image(&disk.crash(seed, kept), &outcome, &format!("{fault:?}"));
        }
        check_image(&disk, &outcome, &format!("{fault:?}, no crash"));
    }
}

#[test]
fn every_sync_and_write_may_fail() {
    for number in 0..60 {
        let faults = [
            Fault::FailSync { number },
            Fault::FailWrite { number, bytes: 7 },
            Fault::ShortWrite { number, bytes: 7 },
            Fault::NoSpace {
                after_bytes: number * 17,
            },
        ];
        for fault in faults {
            let disk = MemoryFileSystem::new();
            let faulty = FaultyFileSystem::new(Arc::new(disk.clone()));
            faulty.set_fault(Some(fault));
            let outcome = write_history(Arc::new(faulty));
            let is_short = matches!(fault, Fault::ShortWrite { .. });
            assert!(!(is_short && outcome.failed), "a short write is continued");
            for (seed, kept) in crash_kinds(number) {
                let label = format!("{fault:?}, seed {seed}, {kept} % kept");
                check_image(&disk.crash(seed, kept), &outcome, &label);
            }
        }
    }
}
