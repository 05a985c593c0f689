//! The worker threads and the way to talk to them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use timely::communication::WorkerGuards;

use super::command::Command;
use super::measure::Measurements;
use super::output::Progress;
use super::worker::Running;

/// Commands that may wait for a worker: back-pressure for whoever sends them.
const WAITING_COMMANDS: usize = 64;

/// Rows that may wait for a worker: with as many, nothing more is sent that brings some. They are
/// memory beside the state, and a worker that has so many does not run dry.
const WAITING_ROWS: usize = 256 * 1024;

/// How long a worker that has too many is left alone at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(2));

/// Failure to run the dataflow.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The threads could not be started.
    #[error("cannot start {workers} dataflow workers: {reason}")]
    Start { workers: usize, reason: String },
    /// A worker has ended by a fault.
    #[error("a dataflow worker has failed: {0}; restart to go on from the log")]
    Failed(String),
}

/// The threads that run all dataflows.
pub struct Workers {
    workers: Vec<Mailbox>,
    guards: Option<WorkerGuards<()>>,
    progress: Arc<Progress>,
    measurements: Arc<Measurements>,
}

/// The way to one worker.
struct Mailbox {
    sender: SyncSender<Command>,
    waiting_rows: Arc<AtomicUsize>,
    thread: Thread,
}

/// The worker's end of it.
pub struct Commands {
    receiver: Receiver<Command>,
    waiting_rows: Arc<AtomicUsize>,
}

impl Commands {
    /// The next command, if there is one.
    pub fn try_recv(&self) -> Result<Command, TryRecvError> {
        let command = self.receiver.try_recv()?;
        self.waiting_rows
            .fetch_sub(command.rows(), Ordering::Relaxed);
        Ok(command)
    }
}

impl Workers {
    /// Starts `workers` threads (at least one); `advanced` is told each timestamp (ms) that all of
    /// them have completed, on their threads, and must return quickly.
    pub fn start(
        workers: usize,
        advanced: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<Workers, WorkerError> {
        Self::start_with_history(workers, 0, advanced)
    }

    /// As [`start`](Self::start); what views held can be read up to `history_ms` back.
    pub fn start_with_history(
        workers: usize,
        history_ms: u64,
        advanced: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<Workers, WorkerError> {
        let workers = workers.max(1);
        let progress = Arc::new(Progress::new(workers, history_ms, Box::new(advanced)));
        let mut ways = Vec::new();
        let mut ends = Vec::new();
        for _ in 0..workers {
            let (sender, receiver) = sync_channel(WAITING_COMMANDS);
            let waiting_rows = Arc::new(AtomicUsize::new(0));
            ways.push((sender, Arc::clone(&waiting_rows)));
            ends.push(Mutex::new(Some(Commands {
                receiver,
                waiting_rows,
            })));
        }
        let (announce, announced) = channel();
        let config = match workers {
            1 => timely::Config::thread(),
            _ => timely::Config::process(workers),
        };
        let shared = Arc::clone(&progress);
        let measurements = Arc::new(Measurements::new(workers));
        let measured = Arc::clone(&measurements);
        let guards = timely::execute(config, move |worker| {
            let index = worker.index();
            let slot = &ends[index];
            let commands = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(commands) = commands else { return };
            // Nobody listens only if starting has failed, and then there is nothing to do.
            let _ = announce.send((index, std::thread::current()));
            let running = Running::new(worker, Arc::clone(&shared), Arc::clone(&measured));
            let running = AssertUnwindSafe(running);
            let outcome = catch_unwind(|| {
                let running = running;
                running.0.run(&commands);
            });
            if let Err(panic) = outcome {
                shared.fail(panic_text(panic.as_ref()));
            }
        });
        let start_error = |reason: String| WorkerError::Start { workers, reason };
        let guards = guards.map_err(start_error)?;
        let mut threads = Vec::new();
        for _ in 0..workers {
            let announcement = announced.recv();
            threads.push(announcement.map_err(|error| start_error(error.to_string()))?);
        }
        threads.sort_by_key(|(index, _)| *index);
        let threads: Vec<Thread> = threads.into_iter().map(|(_, thread)| thread).collect();
        measurements.wake_these(threads.clone());
        let mailbox = |((sender, waiting_rows), thread)| Mailbox {
            sender,
            waiting_rows,
            thread,
        };
        Ok(Workers {
            workers: ways.into_iter().zip(threads).map(mailbox).collect(),
            guards: Some(guards),
            progress,
            measurements,
        })
    }

    /// What the workers have completed and published.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// What the workers' operators hold and do.
    pub fn measurements(&self) -> &Arc<Measurements> {
        &self.measurements
    }

    /// Gives all workers a command; waits while they have too many.
    pub fn send(&self, command: &Command) -> Result<(), WorkerError> {
        for worker in &self.workers {
            self.send_one(worker, command.clone())?;
            worker.thread.unpark();
        }
        Ok(())
    }

    /// A worker that waits for one that has failed takes nothing any more, so nobody may wait for it
    /// without looking.
    fn send_one(&self, worker: &Mailbox, command: Command) -> Result<(), WorkerError> {
        let (mut pause, longest) = PAUSES;
        let rows = command.rows();
        let mut waiting = command;
        loop {
            let failure = match worker.try_send(waiting, rows) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(command)) => {
                    waiting = command;
                    self.progress.failure()
                }
                Err(TrySendError::Disconnected(_)) => {
                    return Err(WorkerError::Failed(
                        self.progress.failure().unwrap_or_default(),
                    ));
                }
            };
            if let Some(reason) = failure {
                return Err(WorkerError::Failed(reason));
            }
            std::thread::sleep(pause);
            pause = (2 * pause).min(longest);
        }
    }

    /// Ends the workers after what they have been given. Idempotent.
    pub fn stop(&mut self) {
        let Some(guards) = self.guards.take() else {
            return;
        };
        let has_stopped = self.send(&Command::Stop).is_ok();
        if has_stopped && self.progress.failure().is_none() {
            drop(guards);
        } else {
            // The threads that wait for the failed one never end; they go with the process.
            std::mem::forget(guards);
        }
    }
}

impl Mailbox {
    fn try_send(&self, command: Command, rows: usize) -> Result<(), TrySendError<Command>> {
        if rows > 0 && self.waiting_rows.load(Ordering::Relaxed) >= WAITING_ROWS {
            return Err(TrySendError::Full(command));
        }
        // Counted before the worker can take it, and not if it is not sent.
        self.waiting_rows.fetch_add(rows, Ordering::Relaxed);
        self.sender.try_send(command).inspect_err(|_| {
            self.waiting_rows.fetch_sub(rows, Ordering::Relaxed);
        })
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop();
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown fault".to_owned())
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};

    use super::*;
    use crate::dataflow::command::TableChange;

    fn commit(rows: usize) -> Command {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![0; rows]));
        let change = TableChange {
            table: "t".into(),
            rows: RecordBatch::try_from_iter([("n", numbers)]).expect("rows"),
            counts: None,
        };
        Command::Commit {
            timestamp_ms: 1,
            changes: Arc::new(vec![change]),
        }
    }

    #[test]
    fn a_worker_that_has_many_rows_waiting_gets_no_more_until_it_takes_some() {
        let (sender, receiver) = sync_channel(WAITING_COMMANDS);
        let waiting_rows = Arc::new(AtomicUsize::new(0));
        let mailbox = Mailbox {
            sender,
            waiting_rows: Arc::clone(&waiting_rows),
            thread: std::thread::current(),
        };
        let commands = Commands {
            receiver,
            waiting_rows: Arc::clone(&waiting_rows),
        };
        let send = |command: Command| {
            let rows = command.rows();
            mailbox.try_send(command, rows).is_ok()
        };
        assert!(send(commit(WAITING_ROWS - 1)));
        assert!(send(commit(5)));
        assert!(!send(commit(1)));
        assert!(send(Command::Drop { view: 1 }), "it brings no rows");
        commands.try_recv().expect("a command");
        assert!(send(commit(1)));
        while commands.try_recv().is_ok() {}
        assert_eq!(waiting_rows.load(Ordering::Relaxed), 0);
    }
}
