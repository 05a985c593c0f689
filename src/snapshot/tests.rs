//! Snapshots: written, read back, retained, and whole after a power cut at any moment.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;

use super::*;
use crate::log::fs::{Fault, FaultyFileSystem, FileSystem, MemoryFileSystem, RealFileSystem};

const ROOT: &str = "/snapshots";

fn rows(first: i64, count: i64) -> RecordBatch {
    let numbers = Int64Array::from_iter_values(first..first + count);
    let words = (first..first + count).map(|n| (n % 3 != 0).then(|| format!("word {n}")));
    let amounts = Decimal128Array::from_iter_values((first..first + count).map(i128::from));
    let times = TimestampMicrosecondArray::from_iter_values(first..first + count);
    let amounts = amounts.with_precision_and_scale(38, 4).expect("fits");
    RecordBatch::try_from_iter_with_nullable([
        ("n", Arc::new(numbers) as _, false),
        ("word", Arc::new(StringArray::from_iter(words)) as _, true),
        ("amount", Arc::new(amounts) as _, true),
        ("at", Arc::new(times.with_timezone("UTC")) as _, true),
    ])
    .expect("equal lengths")
}

fn writer(file_system: impl FileSystem + 'static, retain: usize) -> SnapshotWriter {
    let options = SnapshotOptions {
        retain,
        row_group_rows: 40,
        part_rows: 100,
        ..SnapshotOptions::default()
    };
    SnapshotWriter::new(Arc::new(file_system), ROOT, options).expect("good options")
}

/// With half as many transactions as milliseconds.
fn moment(timestamp_ms: u64) -> Moment {
    Moment {
        timestamp_ms,
        log: Some(LogRange::before(timestamp_ms / 2)),
    }
}

fn write(
    writer: &SnapshotWriter,
    timestamp_ms: u64,
    batches: &[RecordBatch],
) -> Result<SnapshotReport, SnapshotError> {
    let batches = batches.iter().cloned().map(Ok::<_, Infallible>);
    writer.write("sales", moment(timestamp_ms), rows(0, 0).schema(), batches)
}

fn timestamps(file_system: &dyn FileSystem) -> Vec<u64> {
    let entries = list(file_system, Path::new(ROOT)).expect("listed");
    entries.iter().map(|entry| entry.timestamp_ms).collect()
}

#[test]
fn what_is_written_is_read_back_in_parts() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().join("snapshots");
    let options = SnapshotOptions {
        part_rows: 100,
        ..SnapshotOptions::default()
    };
    let writer = SnapshotWriter::new(Arc::new(RealFileSystem), &root, options).expect("options");
    let batches = [rows(0, 70), rows(70, 150)];
    let report = write(&writer, 1_323_434_999_123, &batches).expect("written");
    assert_eq!((report.rows, report.parts, report.existed), (220, 3, false));
    assert!(report.path.ends_with("sales/20111209T124959.123Z"));
    let manifest = verify(&RealFileSystem, &root.join("sales/latest")).expect("whole");
    assert_eq!(manifest.rows, 220);
    assert_eq!(manifest.moment(), moment(1_323_434_999_123));
    let read = read(&root.join("sales/latest")).expect("read");
    let whole = arrow::compute::concat_batches(&rows(0, 0).schema(), &read).expect("one schema");
    assert_eq!(whole, rows(0, 220));
}

#[test]
fn an_empty_view_has_columns() {
    let disk = MemoryFileSystem::new();
    let report = write(&writer(disk.clone(), 1), 5, &[]).expect("written");
    assert_eq!((report.rows, report.parts), (0, 1));
    assert_eq!(verify(&disk, &report.path).expect("whole").schema.len(), 4);
}

#[test]
fn a_snapshot_never_changes() {
    let disk = MemoryFileSystem::new();
    let writer = writer(disk.clone(), 3);
    write(&writer, 5, &[rows(0, 10)]).expect("written");
    let again = write(&writer, 5, &[rows(0, 99)]).expect("there already");
    assert_eq!((again.existed, again.rows), (true, 10));
    let other = arrow::datatypes::Schema::empty();
    let none: [Result<RecordBatch, Infallible>; 0] = [];
    let error = writer.write("sales", moment(5), Arc::new(other), none);
    assert!(matches!(error, Err(SnapshotError::DifferentColumns { .. })));
    let other = Moment {
        log: Some(LogRange::before(3)),
        ..moment(5)
    };
    let none: [Result<RecordBatch, Infallible>; 0] = [];
    let error = writer.write("sales", other, rows(0, 0).schema(), none);
    let error = error.expect_err("other transactions").to_string();
    assert!(error.contains("0..2 of a log, not 0..3"), "{error}");
}

#[test]
fn the_newest_are_kept_and_latest_is_among_them() {
    let disk = MemoryFileSystem::new();
    let writer = writer(disk.clone(), 2);
    for timestamp_ms in [10, 20, 30, 40] {
        write(&writer, timestamp_ms, &[rows(0, 3)]).expect("written");
    }
    assert_eq!(timestamps(&disk), [30, 40]);
    write(&writer, 1, &[rows(0, 3)]).expect("written");
    let newest = latest(&disk, Path::new(ROOT), "sales")
        .expect("whole")
        .expect("some");
    assert_eq!(newest.timestamp_ms, 1);
    verify(&disk, &newest.path).expect("whole");
}

#[test]
fn damage_is_told_with_its_file() {
    let disk = MemoryFileSystem::new();
    let report = write(&writer(disk.clone(), 1), 5, &[rows(0, 150)]).expect("written");
    let names = disk.list(&report.path).expect("its files");
    assert!(names.len() > 1, "{names:?}");
    for name in names {
        let path = report.path.join(&name);
        let whole = disk.read(&path).expect("a file");
        let told = |damaged: &[u8], what: &str| {
            disk.replace(&path, damaged).expect("replaced");
            let error = verify(&disk, &report.path).map(drop);
            let error = error.expect_err(&format!("{what} of {name}")).to_string();
            assert!(
                error.contains(&report.path.display().to_string()),
                "{error}"
            );
        };
        for position in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[position] ^= 1 << (position % 8);
            told(&flipped, &format!("byte {position}"));
        }
        // Without the end of its last line a text says the same.
        for length in 0..whole.trim_ascii_end().len() {
            told(&whole[..length], &format!("the first {length} bytes"));
        }
        disk.replace(&path, &whole).expect("put back");
    }
    verify(&disk, &report.path).expect("whole again");
    disk.remove_file(&report.path.join("part-00001.parquet"))
        .expect("removed");
    let error = verify(&disk, &report.path).expect_err("a file is missing");
    assert!(error.to_string().contains("part-00001.parquet"), "{error}");
}

#[test]
fn bad_names_rows_and_options_are_refused() {
    let disk = MemoryFileSystem::new();
    let writer = writer(disk.clone(), 1);
    for name in ["", "../up", "a/b", "1a", ".hidden"] {
        let none: [Result<RecordBatch, Infallible>; 0] = [];
        let error = writer.write(name, moment(1), rows(0, 0).schema(), none);
        assert!(
            matches!(error, Err(SnapshotError::InvalidViewName { .. })),
            "{name}"
        );
    }
    let failing = [Ok(rows(0, 5)), Err("the view broke")];
    let error = writer.write("sales", moment(1), rows(0, 0).schema(), failing);
    assert!(
        error
            .expect_err("no rows")
            .to_string()
            .contains("the view broke")
    );
    assert_eq!(timestamps(&disk), Vec::<u64>::new());
    let options = SnapshotOptions {
        retain: 0,
        ..SnapshotOptions::default()
    };
    assert!(SnapshotWriter::new(Arc::new(disk), ROOT, options).is_err());
}

/// A power cut at every operation of writing a second snapshot while the first must go.
#[test]
fn latest_is_whole_after_a_power_cut_at_any_moment() {
    let mut operation = 0;
    loop {
        let disk = MemoryFileSystem::new();
        write(&writer(disk.clone(), 1), 10, &[rows(0, 30)]).expect("written");
        let faulty = FaultyFileSystem::new(Arc::new(disk.clone()));
        faulty.set_fault(Some(Fault::PowerCut {
            after_operations: operation,
        }));
        let is_done = write(&writer(faulty, 1), 20, &[rows(0, 60)]).is_ok();
        for (seed, kept_percent) in [(0, 0), (0, 100), (operation, 50), (operation + 7, 20)] {
            let image = disk.crash(seed, kept_percent);
            let label = format!("operation {operation}, seed {seed}, {kept_percent} % kept");
            check_image(&image, is_done, &label);
        }
        if is_done {
            return;
        }
        operation += 1;
    }
}

/// A writer is killed, the next one begins with what it has left, and then the power goes.
#[test]
fn latest_is_whole_after_a_kill_followed_by_a_power_cut() {
    let write_until = |disk: &MemoryFileSystem, timestamp_ms, after_operations| {
        let faulty = FaultyFileSystem::new(Arc::new(disk.clone()));
        faulty.set_fault(Some(Fault::PowerCut { after_operations }));
        write(&writer(faulty, 1), timestamp_ms, &[rows(0, 30)]).is_ok()
    };
    let mut killed = 0;
    loop {
        let mut is_done = false;
        for cut in 0..8 {
            let disk = MemoryFileSystem::new();
            write(&writer(disk.clone(), 1), 10, &[rows(0, 30)]).expect("written");
            is_done = write_until(&disk, 20, killed);
            write_until(&disk, 25, cut);
            for (seed, kept_percent) in [(0, 0), (cut, 50), (killed, 80)] {
                let image = disk.crash(seed, kept_percent);
                let label = format!("killed at {killed}, cut at {cut}, {kept_percent} % kept");
                check_image(&image, false, &label);
            }
        }
        if is_done {
            return;
        }
        killed += 1;
    }
}

fn check_image(image: &MemoryFileSystem, is_done: bool, label: &str) {
    for entry in list(image, Path::new(ROOT)).expect(label) {
        verify(image, &entry.path).unwrap_or_else(|error| panic!("{label}: {error}"));
    }
    let newest = latest(image, Path::new(ROOT), "sales")
        .expect(label)
        .expect(label);
    verify(image, &newest.path).unwrap_or_else(|error| panic!("{label}: latest: {error}"));
    if is_done {
        assert_eq!(newest.timestamp_ms, 20, "{label}");
    }
    // The next writer tidies up and goes on.
    write(&writer(image.clone(), 1), 30, &[rows(0, 5)])
        .unwrap_or_else(|error| panic!("{label}: {error}"));
    assert_eq!(timestamps(image), [30], "{label}");
    let names = image.list(&Path::new(ROOT).join("sales")).expect(label);
    assert!(
        !names.iter().any(|name| name.starts_with(".temporary-")),
        "{label}: {names:?}"
    );
}
