//! Torn ends, flipped bits, swapped and missing files: cut or named, never wrong data.

use std::path::PathBuf;

use super::*;
use crate::log::format::segment_name;

fn segment_path(first_offset: u64) -> PathBuf {
    Path::new(DIRECTORY).join(segment_name(first_offset))
}

/// Opens and reads everything; what is read must be right.
fn open_and_read(file_system: &MemoryFileSystem) -> Result<(Opened, usize), LogError> {
    let (log, opened) = open(file_system, small_segments())?;
    let mut count = 0;
    for record in log.read_from(0)? {
        let record = record?;
        assert_eq!(record.offset, count as u64);
        assert_eq!(record.timestamp_ms, 1000 + record.offset);
        assert_eq!(record.payload, payload(record.offset));
        count += 1;
    }
    Ok((opened, count))
}

#[test]
fn a_record_torn_at_any_byte_is_cut() {
    let (file_system, log) = synced_log(2, LogOptions::default());
    let before = log.size_bytes() as usize;
    drop(log);
    let (file_system, whole) = {
        let (mut log, _) = open(&file_system, LogOptions::default()).unwrap();
        log.append(1002, &payload(2)).unwrap();
        log.sync().unwrap();
        let bytes = file_system.read(&segment_path(0)).unwrap();
        (file_system, bytes)
    };
    for length in before..whole.len() {
        for zeros in [0, whole.len() - length] {
            let mut torn = whole[..length].to_vec();
            torn.resize(length + zeros, 0);
            file_system.replace(&segment_path(0), &torn).unwrap();
            let (opened, count) = open_and_read(&file_system).unwrap();
            assert_eq!(count, 2, "torn at byte {length}");
            let cut_bytes = (torn.len() - before) as u64;
            match opened.cut {
                None => assert_eq!(cut_bytes, 0),
                Some(cut) => {
                    assert_eq!((cut.offset, cut.position), (2, before as u64));
                    assert_eq!(cut.bytes, cut_bytes);
                }
            }
            assert_eq!(open_and_read(&file_system).unwrap().0.cut, None);
        }
    }
}

#[test]
fn a_flipped_bit_is_cut_or_named() {
    let (file_system, log) = synced_log(3, LogOptions::default());
    let whole = file_system.read(&segment_path(0)).unwrap();
    let last_begins = whole.len() - 32 - payload(2).len();
    drop(log);
    for position in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[position] ^= 1 << bit;
            file_system.replace(&segment_path(0), &flipped).unwrap();
            match open_and_read(&file_system) {
                Ok((opened, count)) => {
                    assert!(position >= last_begins, "byte {position} passed");
                    assert_eq!(count, 2);
                    assert_eq!(opened.cut.unwrap().offset, 2);
                }
                Err(LogError::Damaged {
                    path, position: at, ..
                }) => {
                    assert!(position < last_begins, "byte {position} stopped the start");
                    assert_eq!(path, segment_path(0));
                    assert!(at <= position as u64);
                }
                Err(other) => panic!("byte {position}: {other}"),
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_an_older_segment_is_named() {
    let (file_system, log) = synced_log(9, small_segments());
    let segments: Vec<PathBuf> = log.segments_for_test();
    drop(log);
    let (newest, older) = segments.split_last().unwrap();
    assert!(older.len() >= 2);
    for path in older {
        let whole = file_system.read(path).unwrap();
        for position in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[position] ^= 1 << (position % 8);
            file_system.replace(path, &flipped).unwrap();
            let error = open_and_read(&file_system).unwrap_err();
            assert!(
                matches!(&error, LogError::Damaged { path: named, .. } if named == path),
                "byte {position}: {error}"
            );
        }
        file_system
            .replace(path, &whole[..whole.len() - 1])
            .unwrap();
        assert!(open_and_read(&file_system).is_err());
        file_system.replace(path, &whole).unwrap();
    }
    assert!(file_system.exists(newest).unwrap());
    assert_eq!(open_and_read(&file_system).unwrap().1, 9);
}

#[test]
fn holes_among_unsynced_records_are_cut() {
    let (file_system, mut log) = synced_log(1, LogOptions::default());
    let synced = log.size_bytes() as usize;
    for number in 1..4 {
        log.append(1000 + number, &payload(number)).unwrap();
    }
    log.sync().unwrap();
    let mut bytes = file_system.read(&segment_path(0)).unwrap();
    bytes[synced + 2] ^= 1;
    file_system.replace(&segment_path(0), &bytes).unwrap();
    let (opened, count) = open_and_read(&file_system).unwrap();
    assert_eq!(count, 1);
    assert_eq!(opened.cut.unwrap().position, synced as u64);
}

#[test]
fn missing_swapped_and_foreign_segments_are_named() {
    let (file_system, log) = synced_log(9, small_segments());
    let segments = log.segments_for_test();
    drop(log);
    let bytes: Vec<_> = segments
        .iter()
        .map(|path| file_system.read(path).unwrap())
        .collect();
    file_system.remove_file(&segments[1]).unwrap();
    let error = open_and_read(&file_system).unwrap_err();
    assert!(matches!(error, LogError::Gap { path, .. } if path == segments[2]));

    file_system.replace(&segments[1], &bytes[2]).unwrap();
    let error = open_and_read(&file_system).unwrap_err();
    assert!(matches!(error, LogError::Damaged { path, .. } if path == segments[1]));

    let (other, other_log) = synced_log(0, small_segments());
    drop(other_log);
    let (mut other_log, _) = open(&other, small_segments()).unwrap();
    for number in 0..9 {
        other_log.append(1001 + number, &payload(number)).unwrap();
        other_log.sync().unwrap();
    }
    let foreign = other.read(&segments[1]).unwrap();
    file_system.replace(&segments[1], &foreign).unwrap();
    let error = open_and_read(&file_system).unwrap_err();
    assert!(matches!(error, LogError::Damaged { path, .. } if path == segments[1]));
}

#[test]
fn a_record_written_twice_is_named() {
    let (file_system, log) = synced_log(2, LogOptions::default());
    drop(log);
    let mut bytes = file_system.read(&segment_path(0)).unwrap();
    let last_begins = bytes.len() - 32 - payload(1).len();
    bytes.extend_from_within(last_begins..);
    file_system.replace(&segment_path(0), &bytes).unwrap();
    let error = open_and_read(&file_system).unwrap_err();
    assert!(matches!(error, LogError::Damaged { .. }), "{error}");
}

#[test]
fn another_version_is_refused() {
    let (file_system, log) = synced_log(1, LogOptions::default());
    drop(log);
    let mut bytes = file_system.read(&segment_path(0)).unwrap();
    bytes[8] = 2;
    let checksum = crc32c::crc32c(&bytes[..36]);
    bytes[36..40].copy_from_slice(&checksum.to_le_bytes());
    file_system.replace(&segment_path(0), &bytes).unwrap();
    let error = open_and_read(&file_system).unwrap_err();
    assert!(matches!(
        error,
        LogError::UnsupportedVersion { version: 2, .. }
    ));
}

#[test]
fn the_format_stays_as_it_is() {
    let (file_system, log) = synced_log(1, LogOptions::default());
    drop(log);
    let bytes = file_system.read(&segment_path(0)).unwrap();
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let header = "4d4e53544d4c4f47010000000000000000000000000000000000000000000000000000001ed8369c";
    assert_eq!(&text[..80], header);
    assert_eq!(&text[80..88], "21000000");
    assert_eq!(
        &text[96..144],
        "0000000000000000e8030000000000000000000000000000"
    );
    assert_eq!(&bytes[72..], payload(0));
}
