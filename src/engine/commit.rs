//! The committing thread: the only writer of log, tables, catalog and dataflow.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};

use tokio::sync::oneshot;

use super::catalog::{Definitions, apply_to_catalog, live_view};
use super::checkpointing::{Checkpoints, Outcome};
use super::definition::FROM_FILE;
use super::disk::{Disk, Unanswered};
use super::fills::{Fills, Refusals};
use super::memory::{Memory, MemoryClock};
use super::metrics::Metrics;
use super::offsets::{Offsets, Place};
use super::queue::Inbox;
use super::times::Times;
use super::transaction::{CatalogChange, Transaction};
use super::written_back::{Alone, Rewrite};
use super::{Durability, EngineError, Restoring, Shared, State};
use crate::dataflow::{Command, Workers};
use crate::log::{DirectoryLock, Log, LogOptions, Opened};
use crate::model::Submission;
use crate::sql::{Catalog, Planner};
use crate::view::TableStore;

/// Transactions that are written to the log with one sync.
const GROUP_COMMIT_MAX: usize = 64;

/// Rows from which on no more are taken in with one sync.
const GROUP_COMMIT_ROWS: usize = 64 * 1024;

/// Bytes of the log from which on they are synced without waiting for more: the workers are to
/// get something to do.
const GROUP_COMMIT_BYTES: u64 = 4 << 20;

/// The directory of the log in a data directory.
pub const LOG_DIRECTORY: &str = "log";

/// Where the timestamp of a request goes, or its failure.
pub type Reply = oneshot::Sender<Result<u64, EngineError>>;

/// What the committing thread is asked to do.
pub enum Request {
    /// Commits rows.
    Submit {
        submission: Submission,
        reply: Option<Reply>,
    },
    /// Commits rows if what was read for them has not changed.
    Rewrite(Rewrite),
    /// Takes nothing else while a session reads and writes.
    Alone(Alone),
    /// Changes the catalog, all or nothing.
    Catalog {
        changes: Vec<CatalogChange>,
        reply: Reply,
    },
    /// Computes a query as a view that is in no catalog.
    Temporary(super::temporary::Creation),
    /// Answers with the newest timestamp, or the first failure of what came without a reply.
    Flush { reply: Reply },
    /// Lets time pass up to the wall clock.
    PassTime { reply: Reply },
    /// Makes the thread look anew at what it waits for.
    Wake,
    /// Writes a checkpoint; answers with its timestamp.
    Checkpoint { reply: Reply },
    /// A checkpoint has been written, or failed.
    Checkpointed(Outcome),
    /// Ends the thread.
    Stop,
}

impl Request {
    fn rows(&self) -> usize {
        match self {
            Request::Submit { submission, .. } => submission.rows(),
            Request::Rewrite(rewrite) => rewrite.submission.rows(),
            _ => 0,
        }
    }
}

/// The state of the committing thread.
pub struct Conductor {
    pub(super) log: Log,
    pub(super) opened: Opened,
    pub(super) workers: Workers,
    pub(super) planner: Planner,
    pub(super) stores: BTreeMap<String, TableStore>,
    pub(super) catalog: Catalog,
    /// What makes the catalog from nothing, in order.
    pub(super) definitions: Definitions,
    pub(super) numbers: BTreeMap<String, u64>,
    pub(super) from_files: BTreeMap<String, String>,
    pub(super) positions: BTreeMap<String, String>,
    pub(super) last_timestamp_ms: u64,
    /// The timestamp of the newest change of the catalog.
    pub(super) catalog_timestamp_ms: u64,
    /// Views of the log that can no longer be planned, with the reason.
    pub(super) broken: Vec<(String, String)>,
    /// Whether the newest transaction has come with a timestamp of its own.
    pub(super) replays_history: bool,
    pub(super) temporaries: super::temporary::Temporaries,
    pub(super) fills: Fills,
    pub(super) refusals: Arc<Refusals>,
    pub(super) next_number: u64,
    /// For how long events are remembered, where that has ever been said.
    pub(super) remembering: Option<Option<u64>>,
    /// Transactions replayed from the log.
    pub(super) replayed: u64,
    /// Checkpoints that could not be used, with the reason.
    pub(super) skipped: Vec<(PathBuf, String)>,
    pub(super) checkpoints: Checkpoints,
    pub(super) disk: Arc<Disk>,
    pub(super) memory: Arc<Memory>,
    pub(super) memory_clock: MemoryClock,
    pub(super) unanswered: Unanswered,
    pub(super) metrics: Arc<Metrics>,
    pub(super) offsets: Arc<Offsets>,
    pub(super) times: Times,
    _lock: DirectoryLock,
}

impl Conductor {
    /// Restores the tables from a checkpoint and the log; views are known but do not run yet.
    pub fn open(
        durability: &Durability,
        directory: &Path,
        workers: Workers,
        planner: &Planner,
        observer: &mut dyn FnMut(Restoring),
    ) -> Result<Conductor, EngineError> {
        let file_system = &durability.file_system;
        let lock = DirectoryLock::acquire(file_system.as_ref(), directory)?;
        let checkpoints = Checkpoints::open(durability, directory)?;
        let options = LogOptions {
            durable_below: checkpoints.durable_below(),
            ..durability.log.clone()
        };
        let log_directory = directory.join(LOG_DIRECTORY);
        let (log, opened) = Log::open(Arc::clone(file_system), &log_directory, options)?;
        let metrics = Arc::new(Metrics::default());
        let budget_bytes = &metrics.budget_bytes;
        budget_bytes.store(durability.memory_budget_bytes, Ordering::Relaxed);
        let min_free_bytes = durability.min_free_bytes;
        let disk = Disk::new(file_system, &log_directory, min_free_bytes, &metrics);
        let mut conductor = Conductor {
            log,
            opened,
            workers,
            planner: planner.clone(),
            stores: BTreeMap::new(),
            catalog: Catalog::default(),
            definitions: Definitions::default(),
            numbers: BTreeMap::new(),
            from_files: BTreeMap::new(),
            positions: BTreeMap::new(),
            last_timestamp_ms: 0,
            catalog_timestamp_ms: 0,
            broken: Vec::new(),
            replays_history: false,
            temporaries: BTreeMap::new(),
            fills: Fills::new(),
            refusals: Arc::default(),
            next_number: 1,
            remembering: None,
            replayed: 0,
            skipped: Vec::new(),
            checkpoints,
            disk: Arc::new(disk),
            memory: Arc::new(Memory::new(durability.memory_budget_bytes, &metrics)),
            memory_clock: MemoryClock::default(),
            unanswered: Unanswered::default(),
            metrics,
            offsets: Arc::new(Offsets::new(0, 0)),
            times: Times::default(),
            _lock: lock,
        };
        conductor.restore(file_system.as_ref(), observer)?;
        let next_offset = conductor.log.next_offset();
        conductor.offsets = Arc::new(Offsets::new(conductor.last_timestamp_ms, next_offset));
        Ok(conductor)
    }

    /// What readers are to see.
    pub fn state(&self) -> State {
        let readers = self.stores.iter();
        let readers = readers.map(|(name, store)| (name.clone(), store.reader()));
        State {
            catalog: Arc::new(self.catalog.clone()),
            tables: Arc::new(readers.collect()),
            numbers: Arc::new(self.numbers.clone()),
            from_files: Arc::new(self.from_files.clone()),
            positions: Arc::new(self.positions.clone()),
            catalog_timestamp_ms: self.catalog_timestamp_ms,
            remembering: self.remembering,
        }
    }

    /// Commits until told to stop, or until nobody is left to ask.
    pub fn run(mut self, inbox: &Inbox, shared: &Weak<Shared>) {
        while let Some(first) = self.next_request(inbox, shared) {
            let mut rows = first.rows();
            let mut group = vec![first];
            while group.len() < GROUP_COMMIT_MAX && rows < GROUP_COMMIT_ROWS {
                let Some(request) = inbox.try_next() else {
                    break;
                };
                rows += request.rows();
                group.push(request);
            }
            let stops = group.iter().any(|request| matches!(request, Request::Stop));
            self.commit_group(group, shared);
            self.tell_failure(shared);
            if stops {
                break;
            }
            self.measure_memory_if_due();
            self.give_up_fills_if_full(shared);
            self.checkpoint_if_due(shared);
        }
        self.give_up_checkpoint(inbox);
    }

    pub(super) fn commit_group(&mut self, group: Vec<Request>, shared: &Weak<Shared>) {
        self.drop_finished(shared);
        let mut appended = Vec::new();
        let mut synced_bytes = self.log.size_bytes();
        self.take_in_held(&mut appended);
        for request in group {
            match request {
                Request::Submit { submission, reply } => {
                    self.take_in(submission, reply, &mut appended);
                    if self.log.size_bytes() > synced_bytes + GROUP_COMMIT_BYTES {
                        self.finish(std::mem::take(&mut appended), shared);
                        synced_bytes = self.log.size_bytes();
                    }
                }
                Request::Rewrite(rewrite) => self.rewrite(rewrite, &mut appended),
                Request::Alone(alone) => {
                    self.finish(std::mem::take(&mut appended), shared);
                    // The statement may ask for the time, and nobody else answers meanwhile.
                    let begun = self.pass_time(shared);
                    self.leave_alone(begun, alone, &mut appended);
                }
                Request::Catalog { changes, reply } => {
                    self.finish(std::mem::take(&mut appended), shared);
                    let outcome = self.change_catalog(changes, shared);
                    self.answer(Some(reply), outcome);
                }
                Request::Temporary(creation) => {
                    self.finish(std::mem::take(&mut appended), shared);
                    self.create_temporary(creation);
                }
                Request::Flush { reply } => {
                    self.take_in_held(&mut appended);
                    self.finish(std::mem::take(&mut appended), shared);
                    let outcome = self.flushed();
                    self.answer(Some(reply), outcome);
                }
                Request::PassTime { reply } => {
                    self.finish(std::mem::take(&mut appended), shared);
                    let outcome = self.pass_time(shared);
                    self.answer(Some(reply), outcome);
                }
                Request::Checkpoint { reply } => {
                    self.finish(std::mem::take(&mut appended), shared);
                    self.checkpoint_on_demand(reply, shared);
                }
                Request::Checkpointed(outcome) => {
                    self.finish(std::mem::take(&mut appended), shared);
                    self.checkpointed(outcome, shared);
                }
                Request::Wake | Request::Stop => {}
            }
        }
        self.finish(appended, shared);
    }

    /// Changes the catalog: checked as a whole, logged, then carried out.
    pub(super) fn change_catalog(
        &mut self,
        changes: Vec<CatalogChange>,
        shared: &Weak<Shared>,
    ) -> Result<u64, EngineError> {
        let is_view =
            |change: &CatalogChange| matches!(change, CatalogChange::CreateLiveView { .. });
        if changes.iter().any(is_view) {
            self.memory.check()?;
        }
        let checked = self.check_changes(&changes)?;
        self.check_pairs(&changes, &checked)?;
        self.make_changes(changes, shared)
    }

    /// The catalog as it would be with changes, if they can be made.
    pub(super) fn check_changes(&self, changes: &[CatalogChange]) -> Result<Catalog, EngineError> {
        self.check_workers()?;
        self.disk.check()?;
        let mut checked = self.catalog.clone();
        for change in changes {
            apply_to_catalog(&self.planner, &mut checked, change)?;
        }
        Ok(checked)
    }

    /// Logs changes of the catalog that can be made, then carries them out.
    pub(super) fn make_changes(
        &mut self,
        changes: Vec<CatalogChange>,
        shared: &Weak<Shared>,
    ) -> Result<u64, EngineError> {
        // Takes no time of the wall clock, so that history on the clock of its events can follow.
        let timestamp_ms = self.last_timestamp_ms + 1;
        let record = Transaction::Catalog(changes.clone())
            .encode()
            .map_err(|error| system("encode a transaction", error))?;
        let offset = self.log.append(timestamp_ms, &record)?;
        self.sync_log()?;
        self.offsets.add(Place {
            offset,
            timestamp_ms,
        });
        self.last_timestamp_ms = timestamp_ms;
        self.catalog_timestamp_ms = timestamp_ms;
        self.metrics.note_log(&self.log, timestamp_ms);
        self.state_changes();
        let formers = self.formers(&changes);
        let mut commands = Vec::new();
        for change in changes {
            commands.extend(self.drop_readers(&change));
            apply_to_catalog(&self.planner, &mut self.catalog, &change)?;
            commands.extend(self.carry_out(&change, timestamp_ms)?);
        }
        // Before the workers are told, so that a reader who misses a dropped view finds the new
        // catalog.
        self.publish(shared);
        self.give_up_dropped(&commands);
        for command in &commands {
            self.workers.send(command)?;
        }
        self.note_fills(&commands, formers);
        // Also where no view was touched, so that whoever waits for the timestamp gets it.
        self.announce(timestamp_ms)?;
        Ok(timestamp_ms)
    }

    /// Lets the workers complete a timestamp that brings no rows.
    pub(super) fn announce(&self, timestamp_ms: u64) -> Result<(), EngineError> {
        self.workers.send(&Command::Commit {
            timestamp_ms,
            changes: Arc::default(),
        })?;
        Ok(())
    }

    /// Makes a change that is in the catalog in the tables; returns what the workers are to do.
    fn carry_out(
        &mut self,
        change: &CatalogChange,
        timestamp_ms: u64,
    ) -> Result<Option<Command>, EngineError> {
        self.note(change)?;
        match change {
            CatalogChange::CreateLiveView { statement, .. } => {
                let (name, ..) = live_view(statement)?;
                let view = self.catalog.live_views.get(&name).cloned();
                let view = view.map(|view| self.creation(&view, timestamp_ms));
                view.transpose()
            }
            CatalogChange::DropLiveView { name } => {
                let number = self.numbers.remove(name);
                Ok(number.map(|view| Command::Drop { view }))
            }
            _ => Ok(None),
        }
    }

    /// Keeps the tables and the list of files in step with the catalog.
    pub(super) fn note(&mut self, change: &CatalogChange) -> Result<(), EngineError> {
        self.definitions.note(change);
        match change {
            CatalogChange::CreateTable { definition } => {
                let mut store = TableStore::new(definition.clone())?;
                if let Some(window_ms) = self.remembering {
                    store.remember_events(window_ms, self.last_timestamp_ms);
                }
                self.stores.insert(definition.name.clone(), store);
            }
            CatalogChange::DropTable { name } => {
                if let Some(table) = self.stores.remove(name) {
                    self.memory.drop_table(&table);
                }
            }
            CatalogChange::RememberEvents { window_ms } => {
                self.remembering = Some(*window_ms);
                for store in self.stores.values_mut() {
                    store.remember_events(*window_ms, self.last_timestamp_ms);
                }
            }
            CatalogChange::CreateLiveView { statement, origin } if origin == FROM_FILE => {
                let (name, ..) = live_view(statement)?;
                self.from_files.insert(name, statement.clone());
            }
            CatalogChange::DropLiveView { name } => {
                self.from_files.remove(name);
            }
            _ => {}
        }
        Ok(())
    }

    /// Lets others read how far sources are; all else of the state changes with the catalog only.
    pub(super) fn publish_positions(&self, shared: &Weak<Shared>) {
        if let Some(shared) = shared.upgrade() {
            let positions = Arc::new(self.positions.clone());
            let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.positions = positions;
        }
    }

    pub(super) fn publish(&self, shared: &Weak<Shared>) {
        if let Some(shared) = shared.upgrade() {
            *shared.state.lock().unwrap_or_else(PoisonError::into_inner) = self.state();
        }
    }

    pub(super) fn answer(&mut self, reply: Option<Reply>, outcome: Result<u64, EngineError>) {
        match (reply, outcome) {
            // Whoever asked may have gone away; the outcome stands all the same.
            (Some(reply), outcome) => drop(reply.send(outcome)),
            (None, Ok(_)) => {}
            (None, Err(error)) => self.note_failure(error),
        }
    }
}

pub(super) fn system(action: &str, reason: impl ToString) -> EngineError {
    EngineError::System {
        action: action.to_owned(),
        reason: reason.to_string(),
    }
}
