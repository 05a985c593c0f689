//! The test bed: an engine in a directory of its own that goes when the measurement is over.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::workload::{Workload, rows_of};
use super::{BenchError, check};
use crate::engine::{Engine, EngineOptions};
use crate::model::Submission;

/// Where an engine is measured and with how many workers.
#[derive(Clone, Debug)]
pub struct Place {
    /// Directories are made in here, and removed again. Its file system is what the log is synced
    /// to.
    pub directory: PathBuf,
    /// Dataflow workers.
    pub workers: usize,
}

/// An engine with the tables, views and first rows of a workload.
pub struct Bed {
    /// The engine.
    pub engine: Engine,
    directory: PathBuf,
}

impl Bed {
    /// Opens an empty engine and prepares the workload.
    pub fn new(place: &Place, workload: &Workload) -> Result<Bed, BenchError> {
        let directory = new_directory(&place.directory)?;
        let options = EngineOptions {
            data_dir: directory.clone(),
            workers: place.workers,
            history_ms: 0,
        };
        let bed = Bed {
            engine: Engine::open(options)?,
            directory,
        };
        bed.engine.ensure_tables(&workload.tables)?;
        if !workload.initial.is_empty() {
            bed.engine.submit(Submission {
                changes: workload.initial.clone(),
                ..Submission::default()
            })?;
        }
        bed.engine.sync_views(&workload.views)?;
        Ok(bed)
    }

    /// Hands transactions in, one behind the other without waiting, until all views are complete;
    /// returns the number of rows.
    pub fn load(&self, transactions: Vec<Submission>) -> Result<u64, BenchError> {
        let mut rows = 0;
        for transaction in transactions {
            rows += rows_of(&transaction) as u64;
            self.engine.enqueue(transaction)?;
        }
        self.engine.flush()?;
        Ok(rows)
    }

    /// Compares every view with the same SQL run from scratch.
    pub fn check(&self, workload: &Workload) -> Result<Vec<check::Checked>, BenchError> {
        check::check(&self.engine, &workload.views)
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.engine.shutdown();
        // What cannot be removed is left behind; the figures do not depend on it.
        let _ = fs::remove_dir_all(&self.directory);
        let _ = self.directory.parent().map(fs::remove_dir);
    }
}

/// Makes a directory that no one else has.
pub fn new_directory(parent: &Path) -> Result<PathBuf, BenchError> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let path = parent.join(format!("{}-{number}", std::process::id()));
    fs::create_dir_all(&path).map_err(|error| BenchError::file(&path, error))?;
    Ok(path)
}
