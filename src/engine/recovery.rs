//! Coming back: a checkpoint and the log behind it are read into the tables, then all views are
//! filled from them.

use std::path::PathBuf;

use super::catalog::{Definitions, apply_to_catalog, name_of};
use super::checkpoint::{self, CheckpointContent, CheckpointError, CheckpointFile, TableContent};
use super::commit::Conductor;
use super::transaction::{CatalogChange, Transaction};
use super::{EngineError, Restoring};
use crate::log::Cut;
use crate::log::fs::FileSystem;
use crate::sql::{Catalog, Planner, SqlError};

/// What opening found.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// The newest timestamp (ms) of the log; 0 if it is empty.
    pub timestamp_ms: u64,
    /// The offset of the first transaction that the checkpoint did not contain; `None`: there was
    /// no checkpoint.
    pub checkpoint_offset: Option<u64>,
    /// Checkpoints that could not be used, with the reason.
    pub skipped_checkpoints: Vec<(PathBuf, String)>,
    /// Transactions that were replayed from the log.
    pub transactions: u64,
    /// An unfinished end of the log that was cut off, as a power cut leaves it.
    pub cut: Option<Cut>,
    /// Views that can no longer be planned, with the reason; they do not run.
    pub broken_views: Vec<(String, String)>,
}

impl Conductor {
    /// Restores tables and catalog: from the newest whole checkpoint and the log behind it, or
    /// from the whole log. A damaged checkpoint is reported and an older one taken, never trusted
    /// in part.
    pub(super) fn restore(
        &mut self,
        file_system: &dyn FileSystem,
        observer: &mut dyn FnMut(Restoring),
    ) -> Result<(), EngineError> {
        let mut start = 0;
        for file in self.checkpoints.found.clone().into_iter().rev() {
            if file.offset < self.log.first_offset() {
                let reason = "the log behind it is no longer there".to_owned();
                self.skipped.push((file.path, reason));
                continue;
            }
            match self.restore_checkpoint(file_system, &file, observer) {
                Ok(()) => {
                    start = file.offset;
                    self.checkpoints.newest_offset = Some(file.offset);
                    break;
                }
                Err(error) => {
                    self.forget_everything();
                    if matches!(
                        error,
                        EngineError::Checkpoint(CheckpointError::Damaged { .. })
                    ) {
                        self.checkpoints.damaged.push(file.path.clone());
                    }
                    self.skipped.push((file.path, error.to_string()));
                }
            }
        }
        if start < self.log.first_offset() {
            return Err(EngineError::NothingToStartFrom {
                first_offset: self.log.first_offset(),
                skipped: self.skipped.clone(),
            });
        }
        self.replay(start, observer)
    }

    fn restore_checkpoint(
        &mut self,
        file_system: &dyn FileSystem,
        file: &CheckpointFile,
        observer: &mut dyn FnMut(Restoring),
    ) -> Result<(), EngineError> {
        let planner = self.planner.clone();
        let total = checkpoint::length(file_system, &file.path)?;
        let mut names = Vec::new();
        let mut timestamp_ms = 0;
        checkpoint::read(file_system, &file.path, |content, done| {
            observer(Restoring::Checkpoint { done, total });
            let (table, content) = match content {
                CheckpointContent::Head(head) => {
                    timestamp_ms = head.timestamp_ms;
                    names = head.tables;
                    self.positions = head.positions;
                    for change in &head.definitions {
                        self.replay_change(&planner, change)?;
                    }
                    return Ok::<(), EngineError>(());
                }
                CheckpointContent::Table(table, content) => (table, content),
            };
            let name = names.get(table).map_or("", String::as_str);
            let store = self.stores.get_mut(name);
            let store = store.ok_or_else(|| SqlError::undefined_table(name))?;
            match content {
                TableContent::Rows(rows) => store.restore_rows(&rows, timestamp_ms)?,
                TableContent::Deletions(rows) => store.restore_deletions(&rows)?,
                TableContent::RemovedEvents(rows) => store.restore_removed_events(rows)?,
                TableContent::ListedEvents(rows) => store.restore_listed_events(&rows)?,
            }
            Ok(())
        })?;
        self.last_timestamp_ms = timestamp_ms;
        for store in self.stores.values_mut() {
            store.set_horizon(timestamp_ms);
        }
        Ok(())
    }

    /// Back to an empty engine.
    fn forget_everything(&mut self) {
        self.stores.clear();
        self.catalog = Catalog::default();
        self.definitions = Definitions::default();
        self.remembering = None;
        self.from_files.clear();
        self.positions.clear();
        self.broken.clear();
        self.last_timestamp_ms = 0;
    }

    /// Replays the log from an offset on into tables and catalog.
    fn replay(
        &mut self,
        start: u64,
        observer: &mut dyn FnMut(Restoring),
    ) -> Result<(), EngineError> {
        let planner = self.planner.clone();
        let total = self.log.next_offset() - start;
        for record in self.log.read_from(start)? {
            let record = record?;
            let damaged = |reason: String| EngineError::Transaction {
                offset: record.offset,
                reason,
            };
            self.last_timestamp_ms = record.timestamp_ms;
            match Transaction::decode(&record.payload).map_err(damaged)? {
                Transaction::Rows(submission) => {
                    self.apply_to_tables(&submission, record.timestamp_ms)?;
                    if let Some((source, position)) = submission.position {
                        self.positions.insert(source, position);
                    }
                }
                Transaction::Catalog(changes) => {
                    for change in changes {
                        self.replay_change(&planner, &change)?;
                    }
                }
            }
            self.replayed += 1;
            observer(Restoring::Log {
                done: self.replayed,
                total,
            });
        }
        for store in self.stores.values_mut() {
            store.set_horizon(self.last_timestamp_ms);
        }
        self.metrics.note_log(&self.log, self.last_timestamp_ms);
        Ok(())
    }

    /// A view that cannot be planned any more is remembered by its statement only, and reported
    /// when views are started.
    fn replay_change(
        &mut self,
        planner: &Planner,
        change: &CatalogChange,
    ) -> Result<(), EngineError> {
        let applied = apply_to_catalog(planner, &mut self.catalog, change);
        let name = name_of(change);
        let was_broken = self.broken.iter().any(|(broken, _)| *broken == name);
        self.broken.retain(|(broken, _)| *broken != name);
        match (applied, change) {
            (Ok(()), _) => {}
            (
                Err(error),
                CatalogChange::CreateLiveView { .. } | CatalogChange::CreateView { .. },
            ) => {
                self.broken.push((name, error.message));
                self.definitions.note(change);
                return Ok(());
            }
            (Err(_), CatalogChange::DropLiveView { .. } | CatalogChange::DropView { .. })
                if was_broken => {}
            (Err(error), _) => return Err(error.into()),
        }
        self.note(change)?;
        Ok(())
    }

    /// Lets the workers compute all views, each after those it reads.
    pub fn start_views(
        &mut self,
        observer: &mut dyn FnMut(Restoring),
    ) -> Result<Recovered, EngineError> {
        let count = self.catalog.live_views.len() as u64;
        observer(Restoring::Views { count });
        let timestamp_ms = self.last_timestamp_ms;
        let mut waiting: Vec<_> = self.catalog.live_views.values().cloned().collect();
        while !waiting.is_empty() {
            let (ready, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|view| {
                let is_there = |input: &String| {
                    !self.catalog.live_views.contains_key(input) || self.numbers.contains_key(input)
                };
                view.inputs.iter().all(is_there)
            });
            for view in &ready {
                self.run_view(view, timestamp_ms)?;
            }
            waiting = later;
            if ready.is_empty() {
                break;
            }
        }
        self.announce(timestamp_ms)?;
        Ok(Recovered {
            timestamp_ms,
            checkpoint_offset: self.checkpoints.newest_offset,
            skipped_checkpoints: self.skipped.clone(),
            transactions: self.replayed,
            cut: self.opened.cut.clone(),
            broken_views: self.broken.clone(),
        })
    }
}
