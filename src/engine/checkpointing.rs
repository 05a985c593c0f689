//! When checkpoints are written: on schedule and on demand, beside the committing thread, which
//! only takes the image.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::checkpoint::{
    self, CHECKPOINT_DIRECTORY, CheckpointError, CheckpointFile, CheckpointImage, CheckpointReport,
    Head,
};
use super::commit::{Conductor, Reply, Request, system};
use super::disk::RECHECK;
use super::queue::Inbox;
use super::{Durability, EngineError, Shared};
use crate::log::fs::{FileSystem, ModestFileSystem, create_directories};
use crate::log::{LogError, Removed, Segments};

/// The checkpoints of a data directory and what is being done about them.
pub struct Checkpoints {
    /// Where they are written; they leave the log its space.
    file_system: ModestFileSystem,
    directory: PathBuf,
    every: Option<Duration>,
    retain: usize,
    log_retain: Option<Duration>,
    /// Those on disk when the engine was opened, by offset.
    pub(super) found: Vec<CheckpointFile>,
    /// Those of them that turned out to be damaged.
    pub(super) damaged: Vec<PathBuf>,
    /// The offset up to which the newest whole checkpoint goes, if there is one.
    pub(super) newest_offset: Option<u64>,
    /// When the last one was begun, or the engine opened.
    begun: Instant,
    running: Option<Running>,
    /// Those who asked for a checkpoint and have not been answered.
    asked: Vec<Reply>,
}

/// A checkpoint being written.
struct Running {
    thread: JoinHandle<()>,
    gives_up: Arc<AtomicBool>,
    replies: Vec<Reply>,
}

/// A checkpoint that was written, and what of the log was let go for it.
pub struct Finished {
    report: CheckpointReport,
    removed: Result<Removed, LogError>,
}

/// How writing a checkpoint ended.
pub type Outcome = Result<Finished, CheckpointError>;

impl Checkpoints {
    /// Those of a data directory, which is created if missing.
    pub fn open(durability: &Durability, data_dir: &Path) -> Result<Checkpoints, EngineError> {
        let file_system = Arc::clone(&durability.file_system);
        let directory = data_dir.join(CHECKPOINT_DIRECTORY);
        create_directories(file_system.as_ref(), &directory).map_err(|(path, error)| {
            system(&format!("create the directory {}", path.display()), error)
        })?;
        checkpoint::remove_leftovers(file_system.as_ref(), &directory)?;
        Ok(Checkpoints {
            found: checkpoint::list(file_system.as_ref(), &directory)?,
            file_system: ModestFileSystem::new(file_system, durability.kept_for_the_log_bytes()),
            directory,
            every: durability.checkpoint_every,
            retain: durability.checkpoint_retain,
            log_retain: durability.log_retain,
            damaged: Vec::new(),
            newest_offset: None,
            begun: Instant::now(),
            running: None,
            asked: Vec::new(),
        })
    }

    /// All records below this were durable once: a checkpoint by its name contains them.
    pub fn durable_below(&self) -> u64 {
        self.found.last().map_or(0, |newest| newest.offset)
    }

    /// How long until the next scheduled one; `None`: there is nothing to wait for.
    fn due_in(&self, next_offset: u64) -> Option<Duration> {
        let every = self.every?;
        let has_news = next_offset > self.newest_offset.unwrap_or(0);
        (has_news && self.running.is_none()).then(|| every.saturating_sub(self.begun.elapsed()))
    }
}

impl Conductor {
    /// Waits for the next request and begins checkpoints that are due meanwhile; `None` once
    /// nobody is left to ask.
    pub(super) fn next_request(&mut self, inbox: &Inbox, shared: &Weak<Shared>) -> Option<Request> {
        loop {
            let due_in = self.checkpoints.due_in(self.log.next_offset());
            let recheck_in = self.waits_for_space().then_some(RECHECK);
            let tick_in = Self::tick_in(shared);
            let waits = [due_in, recheck_in, tick_in, self.memory_due_in()];
            match inbox.next(waits.into_iter().flatten().min()) {
                Ok(request) => return Some(request),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.measure_memory_if_due();
            self.give_up_fills_if_full(shared);
            self.commit_group(Vec::new(), shared);
            self.checkpoint_if_due(shared);
            self.tick_if_due(shared);
        }
    }

    /// Begins a checkpoint if it is time for one.
    pub(super) fn checkpoint_if_due(&mut self, shared: &Weak<Shared>) {
        let due_in = self.checkpoints.due_in(self.log.next_offset());
        if due_in.is_some_and(|wait| wait.is_zero()) {
            self.begin_checkpoint(shared);
        }
    }

    /// Writes a checkpoint for whoever asks, after the one being written if there is one.
    pub(super) fn checkpoint_on_demand(&mut self, reply: Reply, shared: &Weak<Shared>) {
        self.checkpoints.asked.push(reply);
        if self.checkpoints.running.is_none() {
            self.begin_checkpoint(shared);
        }
    }

    fn begin_checkpoint(&mut self, shared: &Weak<Shared>) {
        self.checkpoints.begun = Instant::now();
        let replies = std::mem::take(&mut self.checkpoints.asked);
        let has_failed = self.log.failure().is_some();
        if !has_failed && self.checkpoints.newest_offset == Some(self.log.next_offset()) {
            for reply in replies {
                self.answer(Some(reply), Ok(self.last_timestamp_ms));
            }
            return;
        }
        match self
            .image()
            .and_then(|image| self.write_beside(image, shared))
        {
            Ok((thread, gives_up)) => {
                self.checkpoints.running = Some(Running {
                    thread,
                    gives_up,
                    replies,
                });
            }
            Err(error) => {
                tracing::error!("no checkpoint: {error}");
                let reason = error.to_string();
                for reply in replies {
                    let error = system("write a checkpoint", &reason);
                    self.answer(Some(reply), Err(error));
                }
            }
        }
    }

    /// The state after the newest transaction, which must be durable.
    fn image(&mut self) -> Result<CheckpointImage, EngineError> {
        // The tables may then have rows that have not come to the log at all.
        self.check_log()?;
        if self.log.durable_offset() != self.log.next_offset() {
            return Err(system("write a checkpoint", "the log is not durable"));
        }
        let timestamp_ms = self.last_timestamp_ms;
        let images = self.stores.values_mut();
        let tables: Vec<_> = images
            .map(|store| store.image(timestamp_ms))
            .collect::<Result<_, _>>()?;
        let names = tables.iter().map(|table| table.definition().name.clone());
        Ok(CheckpointImage {
            head: Head {
                offset: self.log.next_offset(),
                timestamp_ms,
                definitions: self.definitions.changes(),
                positions: self.positions.clone(),
                tables: names.collect(),
            },
            tables,
        })
    }

    /// Starts the thread that writes the image, tells the committing thread, and lets go of what
    /// is no longer needed.
    fn write_beside(
        &self,
        image: CheckpointImage,
        shared: &Weak<Shared>,
    ) -> Result<(JoinHandle<()>, Arc<AtomicBool>), EngineError> {
        let requests = shared.upgrade().ok_or(EngineError::ShutDown)?;
        let requests = requests.requests.clone();
        let gives_up = Arc::new(AtomicBool::new(false));
        // It will be about as long as the one before.
        let Checkpoints {
            file_system,
            directory,
            ..
        } = &self.checkpoints;
        let before_bytes = self.metrics.checkpoint_bytes.load(Ordering::Relaxed);
        let has_room = file_system.check(directory, before_bytes);
        has_room.map_err(CheckpointError::io("write to", directory))?;
        let task = Task {
            file_system: Arc::new(file_system.clone()),
            directory: self.checkpoints.directory.clone(),
            retain: self.checkpoints.retain,
            log_retain: self.checkpoints.log_retain,
            damaged: self.checkpoints.damaged.clone(),
            segments: self.log.segments(),
            gives_up: Arc::clone(&gives_up),
            image,
        };
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || {
                let outcome = task.run();
                // The image is gone by now, so that the tables may free what only it needed. The
                // engine may have ended meanwhile; the checkpoint stands all the same.
                let _ = requests.send(Request::Checkpointed(outcome));
            })
            .map_err(|error| system("start the checkpoint thread", error))?;
        Ok((thread, gives_up))
    }

    /// Takes note of a checkpoint that was written or failed.
    pub(super) fn checkpointed(&mut self, outcome: Outcome, shared: &Weak<Shared>) {
        let replies = self.checkpoints.running.take();
        let replies = replies.map_or_else(Vec::new, |running| running.replies);
        let outcome = outcome.map(|finished| self.take_note(finished));
        match outcome {
            Ok(timestamp_ms) => {
                for reply in replies {
                    self.answer(Some(reply), Ok(timestamp_ms));
                }
            }
            Err(error) => {
                tracing::error!("no checkpoint: {error}; the log goes on and nothing is lost");
                self.metrics
                    .checkpoint_failures
                    .fetch_add(1, Ordering::Relaxed);
                let reason = error.to_string();
                for reply in replies {
                    let error = system("write a checkpoint", &reason);
                    self.answer(Some(reply), Err(error));
                }
            }
        }
        if !self.checkpoints.asked.is_empty() {
            self.begin_checkpoint(shared);
        }
    }

    fn take_note(&mut self, finished: Finished) -> u64 {
        let Finished { report, removed } = finished;
        self.checkpoints.newest_offset = Some(report.file.offset);
        self.checkpoints.damaged.clear();
        match removed {
            Ok(removed) => self.log.forget_removed(&removed),
            Err(error) => tracing::warn!("the log before the checkpoints is kept: {error}"),
        }
        let metrics = &self.metrics;
        metrics.checkpoints.fetch_add(1, Ordering::Relaxed);
        let (offset, bytes) = (&metrics.checkpoint_offset, &metrics.checkpoint_bytes);
        offset.store(report.file.offset, Ordering::Relaxed);
        bytes.store(report.bytes, Ordering::Relaxed);
        metrics.note_log(&self.log, self.last_timestamp_ms);
        tracing::info!(
            "checkpoint up to transaction {} written, {} bytes",
            report.file.offset,
            report.bytes
        );
        report.timestamp_ms
    }

    /// Gives up a checkpoint that is being written, so that the engine ends soon.
    pub(super) fn give_up_checkpoint(&mut self, inbox: &Inbox) {
        let Some(running) = self.checkpoints.running.take() else {
            return;
        };
        running.gives_up.store(true, Ordering::Relaxed);
        // The thread may be waiting for room in the queue.
        while !running.thread.is_finished() {
            let _ = inbox.next(Some(Duration::from_millis(1)));
        }
        // A panic there has been reported by its own message.
        let _ = running.thread.join();
    }
}

/// Everything the thread that writes a checkpoint needs.
struct Task {
    file_system: Arc<dyn FileSystem>,
    directory: PathBuf,
    retain: usize,
    log_retain: Option<Duration>,
    damaged: Vec<PathBuf>,
    segments: Segments,
    gives_up: Arc<AtomicBool>,
    image: CheckpointImage,
}

impl Task {
    fn run(self) -> Outcome {
        let report = checkpoint::write(
            &self.file_system,
            &self.directory,
            &self.image,
            self.retain,
            &self.damaged,
            &self.gives_up,
        )?;
        let oldest = report.kept.first().map_or(0, |oldest| oldest.offset);
        let removed = match self.log_retain {
            None => self.segments.remove(0, 0),
            Some(retain) => {
                let retain_ms = u64::try_from(retain.as_millis()).unwrap_or(u64::MAX);
                let before_ms = report.timestamp_ms.saturating_sub(retain_ms);
                self.segments.remove(oldest, before_ms)
            }
        };
        Ok(Finished { report, removed })
    }
}
