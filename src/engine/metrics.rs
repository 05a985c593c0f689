//! What the engine counts while it runs, for operators.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::log::Log;
use crate::model::{REJECTED_EVENTS, Submission};

/// The upper bounds of the buckets of sync times, in microseconds.
pub const SYNC_BUCKETS_US: [u64; 12] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000,
];

/// Counters and gauges; each is right by itself, and they are read one after the other.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Transactions committed since the start.
    pub transactions: AtomicU64,
    /// Rows submitted in them.
    pub rows: AtomicU64,
    /// Those of them for `rejected_events`.
    pub rejected_rows: AtomicU64,
    /// The memory of tables and views in bytes, as the memory budget counts it; 0 without one.
    pub state_bytes: AtomicU64,
    /// The memory in bytes of what writers have sent and not handed over yet.
    pub incoming_bytes: AtomicU64,
    /// The memory budget in bytes; 0: there is none.
    pub budget_bytes: AtomicU64,
    /// Requests that wait for the committing thread.
    pub queued: AtomicI64,
    /// The newest committed timestamp (ms).
    pub committed_ms: AtomicU64,
    /// The offset of the first transaction the log holds.
    pub log_first_offset: AtomicU64,
    /// The offset of the next transaction.
    pub log_next_offset: AtomicU64,
    /// The size of the log in bytes.
    pub log_bytes: AtomicU64,
    /// Checkpoints written since the start.
    pub checkpoints: AtomicU64,
    /// Checkpoints that failed since the start.
    pub checkpoint_failures: AtomicU64,
    /// The offset of the first transaction the newest checkpoint does not contain.
    pub checkpoint_offset: AtomicU64,
    /// The length of the newest checkpoint written since the start, in bytes.
    pub checkpoint_bytes: AtomicU64,
    /// How long syncs of the log took.
    pub syncs: SyncTimes,
    disk_full: AtomicBool,
}

/// A histogram of sync times.
#[derive(Debug, Default)]
pub struct SyncTimes {
    /// Syncs by the bucket of [`SYNC_BUCKETS_US`] they fall into; the last one takes the rest.
    pub buckets: [AtomicU64; SYNC_BUCKETS_US.len() + 1],
    /// The sum of all times in microseconds.
    pub sum_us: AtomicU64,
}

impl SyncTimes {
    /// Counts a sync.
    pub fn observe(&self, time: Duration) {
        let time_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = SYNC_BUCKETS_US.partition_point(|bound| *bound < time_us);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(time_us, Relaxed);
    }
}

impl Metrics {
    /// Counts what a transaction brought.
    pub(super) fn count(&self, submission: &Submission) {
        self.transactions.fetch_add(1, Relaxed);
        for change in &submission.changes {
            let rows = change.rows.num_rows() as u64;
            self.rows.fetch_add(rows, Relaxed);
            if &*change.table == REJECTED_EVENTS {
                self.rejected_rows.fetch_add(rows, Relaxed);
            }
        }
    }

    /// Notes how far the log is.
    pub(super) fn note_log(&self, log: &Log, committed_ms: u64) {
        let gauges = [
            (&self.committed_ms, committed_ms),
            (&self.log_first_offset, log.first_offset()),
            (&self.log_next_offset, log.next_offset()),
            (&self.log_bytes, log.size_bytes()),
        ];
        for (gauge, value) in gauges {
            gauge.store(value, Relaxed);
        }
    }

    /// Whether changes are refused because the disk is nearly full.
    pub fn is_disk_full(&self) -> bool {
        self.disk_full.load(Relaxed)
    }

    pub(super) fn set_disk_full(&self, is_full: bool) {
        self.disk_full.store(is_full, Relaxed);
    }
}
