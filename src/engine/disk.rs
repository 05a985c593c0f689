//! A disk that is nearly full: changes are refused or held back before a write can fail, and taken
//! again when there is space. What waits here waits for memory, too.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::EngineError;
use super::commit::{Conductor, Reply, system};
use super::metrics::Metrics;
use crate::log::fs::FileSystem;
use crate::model::Submission;

/// How often a full disk is looked at again.
pub const RECHECK: Duration = Duration::from_millis(500);

/// Rows in the log that are not synced yet.
pub struct Appended {
    /// What whoever sent them is told once they are.
    pub outcome: Result<u64, EngineError>,
    /// Whether they say how far their source is.
    pub has_position: bool,
    pub reply: Option<Reply>,
}

/// Looks at the free space of the disk that the log is on.
pub struct Disk {
    file_system: Arc<dyn FileSystem>,
    directory: PathBuf,
    min_free_bytes: u64,
    metrics: Arc<Metrics>,
}

impl Disk {
    pub fn new(
        file_system: &Arc<dyn FileSystem>,
        directory: &Path,
        min_free_bytes: u64,
        metrics: &Arc<Metrics>,
    ) -> Disk {
        Disk {
            file_system: Arc::clone(file_system),
            directory: directory.to_path_buf(),
            min_free_bytes,
            metrics: Arc::clone(metrics),
        }
    }

    /// Fails with [`EngineError::DiskFull`] while there is less free space than there must be.
    pub fn check(&self) -> Result<(), EngineError> {
        if self.min_free_bytes == 0 {
            return Ok(());
        }
        let free = self.file_system.free_bytes(&self.directory);
        let free_bytes = free.map_err(|error| system("look at the free space", error))?;
        let is_full = free_bytes < self.min_free_bytes;
        self.metrics.set_disk_full(is_full);
        match is_full {
            false => Ok(()),
            true => Err(EngineError::DiskFull {
                directory: self.directory.clone(),
                free_bytes,
                min_free_bytes: self.min_free_bytes,
            }),
        }
    }

    /// Whether the disk was full when it was last looked at.
    pub fn was_full(&self) -> bool {
        self.metrics.is_disk_full()
    }
}

/// What came without a reply, so that nobody can send it again.
#[derive(Default)]
pub struct Unanswered {
    /// Waiting for space. Bounded by the queue: while anything waits here, the disk or the memory
    /// is known to be full and nothing more without a reply is let into the queue.
    held: VecDeque<Submission>,
    /// Sources of which something has failed: what they sent after it must not go before it.
    failed_sources: BTreeSet<String>,
    failure: Option<EngineError>,
}

impl Conductor {
    /// Appends rows to the log, or refuses them, or holds them back.
    pub(super) fn take_in(
        &mut self,
        submission: Submission,
        reply: Option<Reply>,
        appended: &mut Vec<Appended>,
    ) {
        if reply.is_none() && !self.unanswered.held.is_empty() {
            self.unanswered.held.push_back(submission);
            return;
        }
        match self.append_in_turn(&submission, appended.is_empty()) {
            Ok(rows) => appended.push(Appended { reply, ..rows }),
            Err(error) if reply.is_none() && error.is_passing() => {
                tracing::warn!("{error}; sources wait");
                self.unanswered.held.push_back(submission);
            }
            Err(error) => self.refuse(&submission, reply, error),
        }
    }

    /// Tries what was held back again, in its order.
    pub(super) fn take_in_held(&mut self, appended: &mut Vec<Appended>) {
        while let Some(submission) = self.unanswered.held.pop_front() {
            match self.append_in_turn(&submission, appended.is_empty()) {
                Ok(rows) => appended.push(rows),
                Err(error) if error.is_passing() => {
                    self.unanswered.held.push_front(submission);
                    return;
                }
                Err(error) => self.refuse(&submission, None, error),
            }
        }
    }

    /// Whether anything waits for space, so that disk and memory are to be looked at again.
    pub(super) fn waits_for_space(&self) -> bool {
        self.disk.was_full() || !self.unanswered.held.is_empty()
    }

    fn append_in_turn(
        &mut self,
        submission: &Submission,
        is_first: bool,
    ) -> Result<Appended, EngineError> {
        if let Some((source, _)) = &submission.position
            && self.unanswered.failed_sources.contains(source)
        {
            return Err(EngineError::AfterFailure {
                origin: source.clone(),
            });
        }
        self.disk.check()?;
        self.check_memory(submission)?;
        self.append(submission, is_first)
    }

    fn refuse(&mut self, submission: &Submission, reply: Option<Reply>, error: EngineError) {
        if let (None, Some((source, _))) = (&reply, &submission.position) {
            self.unanswered.failed_sources.insert(source.clone());
        }
        self.answer(reply, Err(error));
    }

    /// Keeps the first failure of what came without a reply.
    pub(super) fn note_failure(&mut self, error: EngineError) {
        self.unanswered.failure.get_or_insert(error);
    }

    /// What a flush is told: the newest timestamp, unless something failed or still waits.
    pub(super) fn flushed(&mut self) -> Result<u64, EngineError> {
        self.check_log()?;
        self.unanswered.failed_sources.clear();
        if let Some(error) = self.unanswered.failure.take() {
            return Err(error);
        }
        if self.unanswered.held.is_empty() {
            return Ok(self.last_timestamp_ms);
        }
        self.disk.check()?;
        self.memory.check()?;
        // There is space again since what is held back was tried; it is tried again soon.
        Err(system(
            "flush",
            "the disk or the memory was full a moment ago; flush again",
        ))
    }
}
