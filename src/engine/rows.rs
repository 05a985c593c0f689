//! The way of rows through the committing thread: checked, logged, applied and answered.

use std::sync::{Arc, Weak};
use std::time::Instant;

use super::clock::now_ms;
use super::commit::{Conductor, system};
use super::disk::Appended;
use super::offsets::Place;
use super::times::Steps;
use super::transaction::Transaction;
use super::{EngineError, Shared};
use crate::dataflow::{Command, TableChange};
use crate::log::LogError;
use crate::model::Submission;
use crate::sql::SqlError;
use crate::view::TableError;

impl Conductor {
    /// Checks rows and appends them to the log, not yet synced.
    pub(super) fn append(&mut self, submission: &Submission) -> Result<Place, EngineError> {
        self.check_workers()?;
        let mut steps = Steps::begin();
        for change in &submission.changes {
            let store = self.stores.get(change.table.as_ref());
            let store = store.ok_or_else(|| SqlError::undefined_table(&change.table))?;
            store.validate(change)?;
            store.check_limits(change)?;
        }
        steps.end(&mut self.times.spent.check);
        let timestamp_ms = self.next_timestamp(submission.timestamp_ms.unwrap_or_else(now_ms));
        let record = Transaction::Rows(submission.clone())
            .encode()
            .map_err(|error| system("encode a transaction", error))?;
        steps.end(&mut self.times.spent.encode);
        let offset = self.log.append(timestamp_ms, &record)?;
        self.memory.count(record.len());
        steps.end(&mut self.times.spent.append);
        self.last_timestamp_ms = timestamp_ms;
        self.replays_history = submission.timestamp_ms.is_some();
        Ok(Place {
            offset,
            timestamp_ms,
        })
    }

    /// The wanted timestamp, or the next free one if that has passed.
    fn next_timestamp(&self, wanted_ms: u64) -> u64 {
        wanted_ms.max(self.last_timestamp_ms + 1)
    }

    /// Makes what has been appended visible and answers, once it is synced. Tables and workers get
    /// the rows while the disk syncs them; readers see nothing of it before.
    pub(super) fn finish(&mut self, appended: Vec<Appended>, shared: &Weak<Shared>) {
        let Some(first) = appended.first() else {
            return;
        };
        let progress = Arc::clone(self.workers.progress());
        progress.show_until(first.place.timestamp_ms - 1);
        self.state_changes();
        let has_position = |rows: &Appended| rows.submission.position.is_some();
        let has_positions = appended.iter().any(has_position);
        let mut applied = Vec::with_capacity(appended.len());
        for rows in appended {
            self.offsets.add(rows.place);
            let timestamp_ms = rows.place.timestamp_ms;
            let outcome = self.apply(rows.submission, timestamp_ms);
            applied.push((rows.reply, outcome.map(|()| timestamp_ms)));
        }
        if let Err(error) = self.sync_log() {
            let message = error.to_string();
            let mut first = Some(EngineError::Log(error));
            for (reply, _) in applied {
                let error = first
                    .take()
                    .unwrap_or_else(|| system("sync the log", &message));
                self.answer(reply, Err(error));
            }
            return;
        }
        progress.show_until(u64::MAX);
        // Before the answers: who has one finds its transaction in the figures, too.
        self.metrics.note_log(&self.log, self.last_timestamp_ms);
        self.times.publish();
        for (reply, outcome) in applied {
            self.answer(reply, outcome);
        }
        if has_positions {
            self.publish(shared);
        }
        self.offsets.forget_before(progress.completed());
        let horizon_ms = progress.since();
        for store in self.stores.values_mut() {
            store.set_horizon(horizon_ms);
        }
    }

    /// Fails if the log has failed: tables and workers then have rows that nobody may see.
    pub(super) fn check_log(&self) -> Result<(), EngineError> {
        match self.log.failure() {
            None => Ok(()),
            Some(cause) => Err(LogError::Poisoned {
                cause: cause.to_owned(),
            }
            .into()),
        }
    }

    /// Syncs the log.
    pub(super) fn sync_log(&mut self) -> Result<(), LogError> {
        let begun = Instant::now();
        self.log.sync()?;
        let elapsed = begun.elapsed();
        self.times.spent.sync += elapsed;
        self.metrics.syncs.observe(elapsed);
        Ok(())
    }

    /// Applies rows to the tables and hands the workers what changed.
    fn apply(&mut self, submission: Submission, timestamp_ms: u64) -> Result<(), EngineError> {
        let mut steps = Steps::begin();
        let changes = self.apply_to_tables(&submission, timestamp_ms)?;
        steps.end(&mut self.times.spent.apply);
        self.times.spent.transactions += 1;
        self.metrics.count(&submission);
        if let Some((source, position)) = submission.position {
            self.positions.insert(source, position);
        }
        self.workers.send(&Command::Commit {
            timestamp_ms,
            changes: Arc::new(changes),
        })?;
        steps.end(&mut self.times.spent.hand_over);
        Ok(())
    }

    /// Resolves rows in the tables: which come and which go.
    pub(super) fn apply_to_tables(
        &mut self,
        submission: &Submission,
        timestamp_ms: u64,
    ) -> Result<Vec<TableChange>, TableError> {
        let mut changes = Vec::new();
        for change in &submission.changes {
            let Some(store) = self.stores.get_mut(change.table.as_ref()) else {
                continue;
            };
            let delta = store.apply(change, timestamp_ms)?;
            if delta.is_empty() {
                continue;
            }
            let is_plain = delta.diffs.iter().all(|diff| *diff == 1);
            changes.push(TableChange {
                table: Arc::clone(&change.table),
                rows: delta.rows,
                counts: (!is_plain).then(|| delta.diffs.into()),
            });
        }
        Ok(changes)
    }
}
