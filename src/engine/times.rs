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

/// Totals that others read.
pub(super) type SharedTimes = Arc<Mutex<CommitTimes>>;

/// The totals so far.
pub(super) fn read(times: &SharedTimes) -> CommitTimes {
    *times.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The times of the thread itself.
#[derive(Default)]
pub(super) struct Times {
    pub shared: SharedTimes,
    /// Gathered since others were last told.
    pub spent: CommitTimes,
}

impl Times {
    /// Lets others read what has been gathered.
    pub fn publish(&mut self) {
        let spent = std::mem::take(&mut self.spent);
        let mut total = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        total.transactions += spent.transactions;
        total.check += spent.check;
        total.encode += spent.encode;
        total.append += spent.append;
        total.sync += spent.sync;
        total.apply += spent.apply;
        total.hand_over += spent.hand_over;
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
