//! The way of rows through the committing thread: checked, applied, logged and answered.

use std::sync::{Arc, Weak};
use std::time::Instant;

use super::clock::now_ms;
use super::commit::{Conductor, system};
use super::disk::Appended;
use super::offsets::Place;
use super::times::Steps;
use super::transaction::Transaction;
use super::{EngineError, Shared};
use crate::dataflow::{Command, TableChange, WorkerError};
use crate::log::LogError;
use crate::model::Submission;
use crate::sql::SqlError;
use crate::view::TableError;

/// Bytes that a record takes at most for each column, beside its values: its names, and the ends
/// of its buffers.
const COLUMN_BYTES: usize = 4 << 10;

/// The same for each change, and for the transaction.
const FRAME_BYTES: usize = 64 << 10;

impl Conductor {
    /// Checks rows, brings them into tables and workers, and appends them to the log, not yet
    /// synced: the workers compute while the rows are encoded and while the disk syncs them.
    /// Readers see nothing of it before [`finish`](Self::finish). `is_first`: nothing else waits
    /// for a sync.
    ///
    /// What may be refused is refused before. Where the rest fails, nothing more is accepted.
    pub(super) fn append(
        &mut self,
        submission: &Submission,
        is_first: bool,
    ) -> Result<Appended, EngineError> {
        self.check_workers()?;
        self.check_log()?;
        let mut steps = Steps::begin();
        for change in &submission.changes {
            let store = self.stores.get(change.table.as_ref());
            let store = store.ok_or_else(|| SqlError::undefined_table(&change.table))?;
            store.validate(change)?;
            store.check_limits(change)?;
        }
        steps.end(&mut self.times.spent.check);
        let record = self.encode_if_large(submission)?;
        steps.end(&mut self.times.spent.encode);
        let timestamp_ms = self.next_timestamp(submission.timestamp_ms.unwrap_or_else(now_ms));
        if is_first {
            let progress = self.workers.progress();
            progress.show_until(timestamp_ms - 1);
        }
        self.last_timestamp_ms = timestamp_ms;
        self.replays_history = submission.timestamp_ms.is_some();
        self.state_changes();
        self.offsets.add(Place {
            offset: self.log.next_offset(),
            timestamp_ms,
        });
        let handed_over = self.apply(submission, timestamp_ms)?;
        if let Err(error) = self.log_rows(submission, record, timestamp_ms) {
            self.log.give_up(&error.to_string());
            return Err(error);
        }
        Ok(Appended {
            outcome: handed_over
                .map(|()| timestamp_ms)
                .map_err(EngineError::from),
            has_position: submission.position.is_some(),
            reply: None,
        })
    }

    /// The wanted timestamp, or the next free one if that has passed.
    fn next_timestamp(&self, wanted_ms: u64) -> u64 {
        wanted_ms.max(self.last_timestamp_ms + 1)
    }

    /// The record of rows that may be more than the log takes, which must be known before tables
    /// and workers have them; `None` for all others.
    fn encode_if_large(&self, submission: &Submission) -> Result<Option<Vec<u8>>, EngineError> {
        if most_bytes(submission) as u64 <= self.log.max_record_bytes() {
            return Ok(None);
        }
        let record = encode(submission)?;
        self.log.check_size(&record)?;
        Ok(Some(record))
    }

    /// Appends to the log what tables and workers have, encoded if it is not yet.
    fn log_rows(
        &mut self,
        submission: &Submission,
        record: Option<Vec<u8>>,
        timestamp_ms: u64,
    ) -> Result<(), EngineError> {
        let mut steps = Steps::begin();
        let record = match record {
            Some(record) => record,
            None => encode(submission)?,
        };
        steps.end(&mut self.times.spent.encode);
        self.log.append(timestamp_ms, &record)?;
        self.memory.count(record.len());
        steps.end(&mut self.times.spent.append);
        Ok(())
    }

    /// Syncs what has been appended, makes it visible and answers.
    pub(super) fn finish(&mut self, appended: Vec<Appended>, shared: &Weak<Shared>) {
        if appended.is_empty() {
            return;
        }
        let has_positions = appended.iter().any(|rows| rows.has_position);
        if let Err(error) = self.sync_log() {
            let message = error.to_string();
            let mut first = Some(EngineError::Log(error));
            for rows in appended {
                let error = first
                    .take()
                    .unwrap_or_else(|| system("sync the log", &message));
                self.answer(rows.reply, Err(error));
            }
            return;
        }
        let progress = Arc::clone(self.workers.progress());
        progress.show_until(u64::MAX);
        // Before the answers: who has one finds its transaction in the figures, too.
        self.metrics.note_log(&self.log, self.last_timestamp_ms);
        self.times.publish();
        for rows in appended {
            self.answer(rows.reply, rows.outcome);
        }
        if has_positions {
            self.publish_positions(shared);
        }
        self.offsets.forget_before(progress.completed());
        self.forget_past();
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

    /// Applies rows to the tables and hands the workers what changed; inside, whether these took
    /// it. Where the tables do not take what has been checked, they are no longer what the log
    /// says, and nothing more is accepted.
    fn apply(
        &mut self,
        submission: &Submission,
        timestamp_ms: u64,
    ) -> Result<Result<(), WorkerError>, EngineError> {
        let mut steps = Steps::begin();
        let applied = self.apply_to_tables(submission, timestamp_ms);
        let changes = applied.inspect_err(|error| self.log.give_up(&error.to_string()))?;
        steps.end(&mut self.times.spent.apply);
        self.times.spent.transactions += 1;
        self.metrics.count(submission);
        if let Some((source, position)) = &submission.position {
            self.positions.insert(source.clone(), position.clone());
        }
        let handed_over = self.workers.send(&Command::Commit {
            timestamp_ms,
            changes: Arc::new(changes),
        });
        steps.end(&mut self.times.spent.hand_over);
        Ok(handed_over)
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

/// The bytes of the record.
fn encode(submission: &Submission) -> Result<Vec<u8>, EngineError> {
    Transaction::Rows(submission.clone())
        .encode()
        .map_err(|error| system("encode a transaction", error))
}

/// What the record of rows takes at most. Values take what they do in memory; where no value of a
/// column is NULL, the record says so for each, which is less than as much again.
fn most_bytes(submission: &Submission) -> usize {
    let changes = submission.changes.iter().map(|change| {
        let columns = change.rows.num_columns() * COLUMN_BYTES;
        FRAME_BYTES + columns + 2 * change.rows.get_array_memory_size()
    });
    let position = submission.position.as_ref();
    let position = position.map_or(0, |(source, place)| 6 * (source.len() + place.len()));
    FRAME_BYTES + position + changes.sum::<usize>()
}
