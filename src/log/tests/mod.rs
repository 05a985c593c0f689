//! Tests of the log: what it gives back, what it survives, what it refuses.

mod basics;
mod crash;
mod damage;
mod retention;

use std::path::Path;
use std::sync::Arc;

use super::fs::{FileSystem, MemoryFileSystem};
use super::{Log, LogError, LogOptions, Opened, Record};

const DIRECTORY: &str = "/data/log";

/// A payload that tells which record it belongs to.
fn payload(number: u64) -> Vec<u8> {
    let text = format!("record {number} ");
    text.repeat(1 + number as usize % 5).into_bytes()
}

fn small_segments() -> LogOptions {
    LogOptions {
        segment_bytes: 200,
        ..LogOptions::default()
    }
}

fn open(file_system: &MemoryFileSystem, options: LogOptions) -> Result<(Log, Opened), LogError> {
    let file_system: Arc<dyn FileSystem> = Arc::new(file_system.clone());
    Log::open(file_system, Path::new(DIRECTORY), options)
}

fn read_all(log: &Log) -> Result<Vec<Record>, LogError> {
    log.read_from(log.first_offset())?.collect()
}

/// A log of `count` records, each synced, in one segment or several.
fn synced_log(count: u64, options: LogOptions) -> (MemoryFileSystem, Log) {
    let file_system = MemoryFileSystem::new();
    let (mut log, _) = open(&file_system, options).unwrap();
    for number in 0..count {
        log.append(1000 + number, &payload(number)).unwrap();
        log.sync().unwrap();
    }
    (file_system, log)
}

/// Asserts that the records are the first so many of those that [`payload`] makes.
fn assert_is_prefix(records: &[Record]) {
    for (number, record) in records.iter().enumerate() {
        let number = number as u64;
        assert_eq!(record.offset, number);
        assert_eq!(record.timestamp_ms, 1000 + number);
        assert_eq!(record.payload, payload(number));
    }
}
