//! Round trips, limits, locks, on the machine's own file system too.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::log::DirectoryLock;
use crate::log::fs::RealFileSystem;

#[test]
fn records_come_back_in_order_across_segments() {
    let (file_system, log) = synced_log(40, small_segments());
    assert_is_prefix(&read_all(&log).unwrap());
    drop(log);
    let (mut log, opened) = open(&file_system, small_segments()).unwrap();
    assert_eq!(opened.next_offset, 40);
    assert_eq!(opened.last_timestamp_ms, Some(1039));
    assert_eq!(opened.cut, None);
    assert!(opened.segments > 10, "{opened:?}");
    assert_eq!(log.append(1040, &payload(40)).unwrap(), 40);
    log.sync().unwrap();
    let records = read_all(&log).unwrap();
    assert_eq!(records.len(), 41);
    assert_is_prefix(&records);
    for offset in 0..=41 {
        let tail: Vec<_> = log.read_from(offset).unwrap().map(Result::unwrap).collect();
        assert_eq!(tail, records[offset as usize..]);
    }
    let error = log.read_from(42).unwrap_err();
    assert!(matches!(error, LogError::OffsetNotHeld { next: 41, .. }));
}

#[test]
fn a_new_log_is_empty() {
    let (file_system, log) = synced_log(0, LogOptions::default());
    assert_eq!(log.last_timestamp_ms(), None);
    assert_eq!(read_all(&log).unwrap(), []);
    drop(log);
    let (_, opened) = open(&file_system, LogOptions::default()).unwrap();
    assert_eq!((opened.next_offset, opened.segments), (0, 1));
    assert_eq!((opened.last_timestamp_ms, opened.cut), (None, None));
}

#[test]
fn readers_see_what_is_durable() {
    let (_, mut log) = synced_log(2, LogOptions::default());
    log.append(2000, b"not yet").unwrap();
    assert_eq!(read_all(&log).unwrap().len(), 2);
    assert_eq!((log.next_offset(), log.durable_offset()), (3, 2));
    log.sync().unwrap();
    assert_eq!(read_all(&log).unwrap().len(), 3);
}

#[test]
fn empty_and_large_payloads_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/log");
    let file_system: Arc<dyn FileSystem> = Arc::new(RealFileSystem);
    let options = LogOptions {
        segment_bytes: 3 << 20,
        ..LogOptions::default()
    };
    let large: Vec<u8> = (0..5_000_000_u32).map(|i| (i % 251) as u8).collect();
    let payloads: [&[u8]; 6] = [b"", &large[..1 << 20], b"x", &large, b"", b"end"];
    let (mut log, _) = Log::open(Arc::clone(&file_system), &path, options.clone()).unwrap();
    for bytes in payloads {
        log.append(7, bytes).unwrap();
    }
    log.sync().unwrap();
    let size = log.size_bytes();
    drop(log);
    let (log, opened) = Log::open(file_system, &path, options).unwrap();
    assert_eq!((opened.next_offset, opened.bytes), (6, size));
    let on_disk: u64 = std::fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert_eq!(on_disk, size);
    let records = read_all(&log).unwrap();
    assert!(
        records
            .iter()
            .map(|record| &record.payload[..])
            .eq(payloads)
    );
}

#[test]
fn refused_records_leave_the_log_as_it_was() {
    let options = LogOptions {
        max_record_bytes: 100,
        ..LogOptions::default()
    };
    let (_, mut log) = synced_log(1, options);
    let error = log.append(2000, &[0; 101]).unwrap_err();
    assert!(matches!(
        error,
        LogError::RecordTooLarge {
            bytes: 101,
            limit: 100
        }
    ));
    let error = log.append(999, b"earlier").unwrap_err();
    assert!(matches!(error, LogError::TimestampBackwards { .. }));
    assert_eq!(log.append(1000, &payload(1)).unwrap(), 1);
    log.sync().unwrap();
}

#[test]
fn a_log_that_is_given_up_takes_nothing_more_and_keeps_what_it_has() {
    let (_, mut log) = synced_log(1, LogOptions::default());
    log.give_up("the rows are nowhere");
    log.give_up("later");
    let error = log.append(2000, &payload(1)).unwrap_err();
    assert!(
        error.to_string().contains("the rows are nowhere"),
        "{error}"
    );
    assert!(matches!(log.sync(), Err(LogError::Poisoned { .. })));
    assert_eq!(log.durable_offset(), 1);
}

#[test]
fn a_directory_is_used_by_one_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let memory = MemoryFileSystem::new();
    let cases: [(&dyn FileSystem, &Path); 2] = [
        (&RealFileSystem, directory.path()),
        (&memory, Path::new("/data")),
    ];
    for (file_system, path) in cases {
        let lock = DirectoryLock::acquire(file_system, path).unwrap();
        let error = DirectoryLock::acquire(file_system, path).unwrap_err();
        assert!(matches!(&error, LogError::InUse { .. }));
        assert!(error.to_string().contains(path.to_str().unwrap()));
        drop(lock);
        DirectoryLock::acquire(file_system, path).unwrap();
    }
}
