//! What workers are told.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::record_batch::RecordBatch;

use super::lane::Lane;
use super::updates::Updates;
use crate::sql::plan::Plan;

/// The rows that tables hold at some timestamp.
pub type Tables = HashMap<Arc<str>, Vec<RecordBatch>>;

/// What has changed in tables, by timestamp (ms).
pub type Past = BTreeMap<u64, Vec<TableChange>>;

/// Rows that come and go in one base table within one transaction.
#[derive(Clone, Debug)]
pub struct TableChange {
    /// The table.
    pub table: Arc<str>,
    /// The rows, with all columns of the table.
    pub rows: RecordBatch,
    /// For each row how many copies are added, negative if removed; `None`: one each.
    pub counts: Option<Arc<[i64]>>,
}

impl TableChange {
    /// The part of the rows that one of several workers takes in.
    pub(super) fn share(&self, worker: usize, workers: usize, timestamp_ms: u64) -> Updates {
        let rows = self.rows.num_rows();
        let start = rows * worker / workers;
        let length = rows * (worker + 1) / workers - start;
        let counts = match &self.counts {
            None => Lane::Constant(1, length),
            Some(counts) => counts[start..start + length].to_vec().into(),
        };
        Updates {
            rows: self.rows.slice(start, length),
            times: Lane::Constant(timestamp_ms, length),
            counts,
        }
    }
}

/// A view to be computed.
#[derive(Clone, Debug)]
pub struct ViewTask {
    /// Identifies the view among all that ever ran; a view that is replaced gets a new number.
    pub number: u64,
    /// The view's name, for display.
    pub name: Arc<str>,
    /// What it computes.
    pub plan: Arc<Plan>,
    /// Columns known to be unique; rows can be looked up by them. Empty: none are.
    pub key: Vec<usize>,
    /// The views it reads, by the names in the plan, with their numbers.
    pub reads: Vec<(Arc<str>, u64)>,
}

impl ViewTask {
    /// The numbers of the views it reads.
    pub(super) fn numbers_read(&self) -> Vec<u64> {
        self.reads.iter().map(|(_, number)| *number).collect()
    }
}

/// What workers are told to do. A timestamp is complete with the [`Command::Commit`] that has it:
/// whatever is created or dropped before belongs to the same moment.
#[derive(Clone, Debug)]
pub enum Command {
    /// Computes a view, from the rows that its tables have at the timestamp, which is not below
    /// that of any commit so far.
    Create {
        view: Arc<ViewTask>,
        timestamp_ms: u64,
        tables: Arc<Tables>,
    },
    /// Computes a view from the past on: from the rows that its tables had at a timestamp, and what
    /// has changed in them up to the newest one. It shares no arrangements, which have no past.
    CreateSince {
        view: Arc<ViewTask>,
        since_ms: u64,
        /// The newest timestamp so far.
        newest_ms: u64,
        tables: Arc<Tables>,
        past: Arc<Past>,
    },
    /// Stops computing a view that no other view reads.
    Drop { view: u64 },
    /// Takes a transaction in; timestamps never go back.
    Commit {
        timestamp_ms: u64,
        changes: Arc<Vec<TableChange>>,
    },
    /// Ends the worker.
    Stop,
}

impl Command {
    /// The rows that come and go with it.
    pub(super) fn rows(&self) -> usize {
        match self {
            Command::Commit { changes, .. } => {
                changes.iter().map(|change| change.rows.num_rows()).sum()
            }
            _ => 0,
        }
    }
}
