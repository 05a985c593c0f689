//! What goes when a log lets go: whole segments, all that may and nothing that must stay.

use super::*;

const RECORDS: u64 = 20;

/// The first offsets of the segments on disk.
fn segment_starts(file_system: &MemoryFileSystem) -> Vec<u64> {
    let names = file_system.list(Path::new(DIRECTORY)).unwrap();
    let names = names
        .iter()
        .filter_map(|name| name.strip_suffix(".segment"));
    names.map(|name| name.parse().unwrap()).collect()
}

#[test]
fn only_segments_below_the_offset_and_before_the_time_go_and_all_of_them() {
    for offset in 0..=RECORDS {
        for before_ms in [0, 1000, 1004, 1005, 1000 + RECORDS, u64::MAX] {
            let (file_system, mut log) = synced_log(RECORDS, small_segments());
            let starts = segment_starts(&file_system);
            assert!(starts.len() > 4, "{starts:?}");
            let removed = log.segments().remove(offset, before_ms).unwrap();
            log.forget_removed(&removed);
            // Record n has the timestamp 1000 + n.
            let may_go = |start: &&u64| **start <= offset && 1000 + **start <= before_ms;
            let expected = starts.iter().rev().find(may_go).copied().unwrap_or(0);
            let place = format!("below {offset}, before {before_ms}");
            assert_eq!(removed.first_offset, expected, "{place}");
            assert_eq!(log.first_offset(), expected, "{place}");
            let left = segment_starts(&file_system);
            assert_eq!(left.first(), Some(&expected), "{place}");
            assert_eq!(removed.segments, starts.len() - left.len(), "{place}");
            drop(log);
            let (log, _) = open(&file_system, small_segments()).unwrap();
            let records = read_all(&log).unwrap();
            assert_eq!(records.len() as u64, RECORDS - expected, "{place}");
        }
    }
}
