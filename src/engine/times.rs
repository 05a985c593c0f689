//! How the committing thread spends its time: what durability costs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Totals since the engine was opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommitTimes {
    /// Transactions that brought rows.
    pub transactions: u64,
    /// Checking rows against their tables.
    pub check: Duration,
    /// Encoding rows for the log.
    pub encode: Duration,
    /// Appending records to the log, with their checksums.
    pub append: Duration,
    /// Syncing the log: waiting for the disk.
    pub sync: Duration,
    /// Resolving rows in the tables and keeping them.
    pub apply: Duration,
    /// Handing changes to the workers, waiting for room included.
    pub hand_over: Duration,
}

impl CommitTimes {
    /// What the log takes of it: encoding, appending, syncing.
    pub fn log(&self) -> Duration {
        self.encode + self.append + self.sync
    }

    /// What came to pass since an earlier reading.
    pub fn since(&self, earlier: &CommitTimes) -> CommitTimes {
        CommitTimes {
            transactions: self.transactions - earlier.transactions,
            check: self.check - earlier.check,
            encode: self.encode - earlier.encode,
            append: self.append - earlier.append,
            sync: self.sync - earlier.sync,
            apply: self.apply - earlier.apply,
            hand_over: self.hand_over - earlier.hand_over,
        }
    }
}

/// Times that one thread adds to and others read.
#[derive(Clone, Default)]
pub(super) struct SharedTimes(Arc<Mutex<CommitTimes>>);

impl SharedTimes {
    /// The totals so far.
    pub fn read(&self) -> CommitTimes {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what has been gathered, and begins to gather anew.
    pub fn add(&self, gathered: &mut CommitTimes) {
        let gathered = std::mem::take(gathered);
        let mut total = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        total.transactions += gathered.transactions;
        total.check += gathered.check;
        total.encode += gathered.encode;
        total.append += gathered.append;
        total.sync += gathered.sync;
        total.apply += gathered.apply;
        total.hand_over += gathered.hand_over;
    }
}

/// Measures consecutive steps.
pub(super) struct Steps(Instant);

impl Steps {
    pub fn begin() -> Steps {
        Steps(Instant::now())
    }

    /// Adds the time since the last step to one of the totals.
    pub fn end(&mut self, total: &mut Duration) {
        let now = Instant::now();
        *total += now - self.0;
        self.0 = now;
    }
}
