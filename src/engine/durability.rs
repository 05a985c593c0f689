//! How the engine keeps its state safe: the settings of log, checkpoints, disk and memory.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::log::LogOptions;
use crate::log::fs::{FileSystem, RealFileSystem};

/// The settings of log, checkpoints, disk and memory.
#[derive(Clone, Debug)]
pub struct Durability {
    /// Where files are kept.
    pub file_system: Arc<dyn FileSystem>,
    /// The limits of the log.
    pub log: LogOptions,
    /// Transactions older than this against the newest checkpoint, by their timestamps, may be
    /// removed from the log, by whole segments, once all kept checkpoints contain them. `None`:
    /// the log is kept whole.
    pub log_retain: Option<Duration>,
    /// The time between checkpoints, while there are transactions; `None`: only on demand.
    pub checkpoint_every: Option<Duration>,
    /// How many checkpoints are kept; at least 1.
    pub checkpoint_retain: usize,
    /// While the disk has fewer free bytes than this, changes are refused. 0: they never are.
    pub min_free_bytes: u64,
    /// While tables and views take more memory than this, what adds to them is refused. 0: it
    /// never is.
    pub memory_budget_bytes: u64,
}

impl Durability {
    /// The free space in bytes that what is written beside the log leaves on its disk: the log is to
    /// come to its own floor last.
    pub fn kept_for_the_log_bytes(&self) -> u64 {
        kept_for_the_log_bytes(self.min_free_bytes)
    }
}

/// The free space in bytes that checkpoints, snapshots and backups leave on the disk of a log that
/// takes nothing more below `min_free_bytes`.
pub fn kept_for_the_log_bytes(min_free_bytes: u64) -> u64 {
    min_free_bytes.saturating_mul(2)
}

impl Default for Durability {
    /// The machine's files, checkpoints on demand only, a log that is kept whole.
    fn default() -> Durability {
        Durability {
            file_system: Arc::new(RealFileSystem),
            log: LogOptions::default(),
            log_retain: None,
            checkpoint_every: None,
            checkpoint_retain: 2,
            min_free_bytes: 0,
            memory_budget_bytes: 0,
        }
    }
}

impl fmt::Display for Restoring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |done: u64, total: u64| (done * 100).checked_div(total).unwrap_or(100);
        match *self {
            Restoring::Checkpoint { done, total } => {
                let mebibytes = total >> 20;
                write!(
                    f,
                    "{} % of a checkpoint of {mebibytes} MiB read",
                    percent(done, total)
                )
            }
            Restoring::Log { done, total } => {
                write!(
                    f,
                    "{done} of {total} transactions replayed, {} %",
                    percent(done, total)
                )
            }
            Restoring::Views { count } => write!(f, "{count} views are being computed"),
        }
    }
}

/// How far opening an engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restoring {
    /// A checkpoint is read: bytes done, bytes in all.
    Checkpoint { done: u64, total: u64 },
    /// Transactions of the log are applied: done, in all.
    Log { done: u64, total: u64 },
    /// So many views are computed from the tables.
    Views { count: u64 },
}
