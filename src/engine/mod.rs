//! The conductor: timestamps, commit, the life cycle of views, recovery.
//!
//! One thread commits ([`commit`]): it gives each transaction its timestamp, writes it to the log,
//! syncs once for all that wait, applies it to the tables, and hands what changed to the dataflow
//! workers. Readers ([`reading`]) take all tables and views at one timestamp. Sessions
//! ([`session`]) run SQL and wait until they can read their own writes.

pub mod backup;
mod catalog;
pub mod checkpoint;
mod checkpointing;
mod clock;
mod commit;
mod completion;
mod create;
mod definition;
mod disk;
mod durability;
mod error;
mod examine;
mod failure;
mod fills;
mod memory;
mod metrics;
mod offsets;
mod overview;
mod pairs;
mod queue;
mod reading;
mod recovery;
mod rows;
mod session;
mod subscription;
mod temporary;
mod times;
mod transaction;
mod written_back;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::{unconstrained, yield_now};

use crate::dataflow::Workers;
use crate::model::{Submission, TableDefinition};
use crate::sql::query::QueryRuntime;
use crate::sql::{Catalog, Functions, PLANNING_STACK_BYTES, Planner};
use crate::view::TableReader;

use commit::{Conductor, Request};
use disk::Disk;
use failure::Witness;
use fills::Refusals;
use memory::Memory;
use offsets::Offsets;
use queue::Requests;
use transaction::CatalogChange;

pub use crate::sql::query::QueryLimits;
pub use crate::sql::{CopyColumns, CopyFormat, CopyHeader, CsvFormat};
pub use clock::WallClock;
pub use commit::LOG_DIRECTORY;
pub use durability::{Durability, Restoring, kept_for_the_log_bytes};
pub use error::EngineError;
pub use examine::{Finding, examine, examine_with_snapshots};
pub use memory::Reservation;
pub use metrics::{Metrics, SYNC_BUCKETS_US};
pub use overview::{OperatorOverview, Overview, ViewOverview, ViewState};
pub use reading::{Contents, ReadPoint};
pub use recovery::Recovered;
pub use session::{CopyTarget, Description, Outcome, Session, TransactionState};
pub use times::CommitTimes;

/// How an engine is opened.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The directory of the log; created if missing, locked while open.
    pub data_dir: PathBuf,
    /// Dataflow workers (threads); at least one.
    pub workers: usize,
    /// How far back (ms) tables and views can be read with `AS OF`; what changes in that time is
    /// kept in memory twice.
    pub history_ms: u64,
}

/// A running engine; clones are handles to the same one.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

/// What the committing thread and the readers share.
struct Shared {
    requests: Requests,
    state: Mutex<State>,
    /// The newest timestamp (ms) that is complete in all views.
    completed: watch::Receiver<u64>,
    /// Why the log has failed for good.
    log_failure: watch::Sender<Option<String>>,
    progress: Arc<crate::dataflow::Progress>,
    measurements: Arc<crate::dataflow::Measurements>,
    times: times::SharedTimes,
    /// Held by the one session that reads rows to write them back, so that these do not get in each
    /// other's way; the timestamp (ms) of the newest such write.
    newest_rewrite_ms: tokio::sync::Mutex<u64>,
    /// Views of subscriptions that have ended, by number.
    finished: Mutex<Vec<u64>>,
    planner: Planner,
    queries: Mutex<QueryRuntime>,
    recovered: Recovered,
    wall_clock: Mutex<WallClock>,
    metrics: Arc<Metrics>,
    disk: Arc<Disk>,
    memory: Arc<Memory>,
    /// Why views that were being filled were given up.
    refusals: Arc<Refusals>,
    offsets: Arc<Offsets>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What there is, as of the newest committed transaction.
#[derive(Clone, Default)]
struct State {
    catalog: Arc<Catalog>,
    tables: Arc<BTreeMap<String, TableReader>>,
    /// The number under which each live view runs.
    numbers: Arc<BTreeMap<String, u64>>,
    /// The live views that came from files.
    from_files: Arc<BTreeMap<String, String>>,
    positions: Arc<BTreeMap<String, String>>,
    /// For how long events are remembered, where that has ever been said.
    remembering: Option<Option<u64>>,
    /// Reads are at this timestamp (ms) or later: only then all views of the catalog are there.
    catalog_timestamp_ms: u64,
}

impl Shared {
    fn state(&self) -> State {
        let state = self.state.lock();
        state.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn query_runtime(&self) -> QueryRuntime {
        let queries = self.queries.lock();
        queries.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Engine {
    /// Opens the data directory with the default [`Durability`].
    pub fn open(options: EngineOptions) -> Result<Engine, EngineError> {
        Engine::open_with(options, &Durability::default(), &mut |_| {})
    }

    /// Opens the data directory, restores the tables from the newest checkpoint and the log behind
    /// it, and starts the workers; returns when all views are complete. `observer` is told how far
    /// that is.
    pub fn open_with(
        options: EngineOptions,
        durability: &Durability,
        observer: &mut dyn FnMut(Restoring),
    ) -> Result<Engine, EngineError> {
        Engine::open_with_functions(options, durability, &Functions::default(), observer)
    }

    /// As [`open_with`](Self::open_with), with functions of the embedding program. They are there
    /// before the views are, as views on disk may call them. A view whose function is missing does
    /// not run and is told by [`recovered`](Self::recovered); it runs again when the engine is
    /// opened with the function.
    pub fn open_with_functions(
        options: EngineOptions,
        durability: &Durability,
        functions: &Functions,
        observer: &mut dyn FnMut(Restoring),
    ) -> Result<Engine, EngineError> {
        let planner = Planner::with_functions(functions)?;
        let (sender, completed) = watch::channel(0);
        // Two threads may tell in the other order. Who waits is woken in any case.
        let advanced = move |timestamp_ms: u64| {
            sender.send_modify(|completed| *completed = timestamp_ms.max(*completed));
        };
        let workers = Workers::start_with_history(options.workers, options.history_ms, advanced)?;
        let progress = Arc::clone(workers.progress());
        let measurements = Arc::clone(workers.measurements());
        let data_dir = &options.data_dir;
        let mut conductor = Conductor::open(durability, data_dir, workers, &planner, observer)?;
        let recovered = conductor.start_views(observer)?;
        let (requests, inbox) = queue::queue(&conductor.metrics);
        let shared = Arc::new(Shared {
            requests,
            state: Mutex::new(conductor.state()),
            completed,
            log_failure: watch::Sender::new(None),
            progress,
            measurements,
            times: Arc::clone(&conductor.times.shared),
            newest_rewrite_ms: tokio::sync::Mutex::new(0),
            finished: Mutex::default(),
            planner,
            queries: Mutex::new(QueryRuntime::new(QueryLimits::default())?),
            recovered,
            wall_clock: Mutex::default(),
            metrics: Arc::clone(&conductor.metrics),
            disk: Arc::clone(&conductor.disk),
            memory: Arc::clone(&conductor.memory),
            refusals: Arc::clone(&conductor.refusals),
            offsets: Arc::clone(&conductor.offsets),
            thread: Mutex::new(None),
        });
        let engine = Engine { shared };
        engine.wait_for(engine.shared.recovered.timestamp_ms)?;
        let shared = Arc::downgrade(&engine.shared);
        let thread = std::thread::Builder::new()
            .name("commit".to_owned())
            .stack_size(PLANNING_STACK_BYTES)
            .spawn(move || {
                let _witness = Witness(Weak::clone(&shared));
                conductor.run(&inbox, &shared);
            })
            .map_err(|error| EngineError::System {
                action: "start the committing thread".to_owned(),
                reason: error.to_string(),
            })?;
        *engine
            .shared
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(engine)
    }

    /// What opening found in the log.
    pub fn recovered(&self) -> &Recovered {
        &self.shared.recovered
    }

    /// Says what queries may take from then on.
    pub fn limit_queries(&self, limits: QueryLimits) -> Result<(), EngineError> {
        let runtime = QueryRuntime::new(limits)?;
        let queries = self.shared.queries.lock();
        *queries.unwrap_or_else(PoisonError::into_inner) = runtime;
        Ok(())
    }

    /// A new conversation.
    pub fn session(&self) -> Session {
        Session::new(self.clone())
    }

    /// Hands in changes and returns when they are durable: the transaction's timestamp (ms). Waits
    /// while too much is queued.
    pub fn submit(&self, submission: Submission) -> Result<u64, EngineError> {
        self.call(|reply| Request::Submit {
            submission,
            reply: Some(reply),
        })
    }

    /// As [`submit`](Self::submit), but returns once queued. A failure of the changes is told by
    /// the next [`flush`](Self::flush).
    ///
    /// # Errors
    /// [`EngineError::DiskFull`] while the disk is, [`EngineError::MemoryFull`] while the state
    /// takes too much memory: hand the same in again later.
    pub fn enqueue(&self, submission: Submission) -> Result<(), EngineError> {
        self.shared.disk.check()?;
        self.shared.memory.check()?;
        let request = Request::Submit {
            submission,
            reply: None,
        };
        self.shared.requests.send(request)
    }

    /// Waits until everything enqueued so far is durable and complete in all views: the newest
    /// timestamp (ms). Fails with the first failure of what was enqueued.
    pub fn flush(&self) -> Result<u64, EngineError> {
        let timestamp_ms = self.call(|reply| Request::Flush { reply })?;
        self.wait_for(timestamp_ms)?;
        Ok(timestamp_ms)
    }

    /// Waits until a timestamp beyond the given one is complete in all views: the newest complete
    /// timestamp (ms).
    pub fn wait_beyond(&self, timestamp_ms: u64) -> Result<u64, EngineError> {
        self.wait_for(timestamp_ms + 1)?;
        Ok(self.shared.progress.completed())
    }

    /// How the committing thread has spent its time so far.
    pub fn commit_times(&self) -> CommitTimes {
        times::read(&self.shared.times)
    }

    /// Writes a checkpoint and returns when it is durable: its timestamp (ms). Returns at once if
    /// nothing was committed since the last one.
    pub fn checkpoint(&self) -> Result<u64, EngineError> {
        self.call(|reply| Request::Checkpoint { reply })
    }

    /// Memory for what a client sends, counted against the budget; of nothing yet.
    pub fn reservation(&self) -> Reservation {
        Reservation::new(&self.shared.memory)
    }

    /// What the engine counts.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// The position each source has durably reached.
    pub fn source_positions(&self) -> BTreeMap<String, String> {
        self.shared.state().positions.as_ref().clone()
    }

    /// Adds the tables that are not there yet.
    pub fn ensure_tables(&self, tables: &[TableDefinition]) -> Result<(), EngineError> {
        let missing: Vec<CatalogChange> = {
            let catalog = self.shared.state().catalog;
            let missing = tables.iter().filter(|table| !catalog.contains(&table.name));
            let create = |table: &TableDefinition| CatalogChange::CreateTable {
                definition: table.clone(),
            };
            missing.map(create).collect()
        };
        if !missing.is_empty() {
            self.call(|reply| Request::Catalog {
                changes: missing,
                reply,
            })?;
        }
        Ok(())
    }

    /// Remembers the identities of events for a time, `None`: for ever. It is part of the log: what
    /// counted as a repetition does so when it is replayed.
    pub fn remember_events(&self, window: Option<Duration>) -> Result<(), EngineError> {
        let millis = |window: Duration| u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let window_ms = window.map(millis);
        if self.shared.state().remembering.unwrap_or(None) != window_ms {
            let changes = vec![CatalogChange::RememberEvents { window_ms }];
            self.call(|reply| Request::Catalog { changes, reply })?;
        }
        Ok(())
    }

    /// The definitions of all tables, by name.
    pub fn tables(&self) -> Vec<Arc<TableDefinition>> {
        self.shared
            .state()
            .catalog
            .tables
            .values()
            .cloned()
            .collect()
    }

    /// The names of all live views.
    pub fn views(&self) -> Vec<String> {
        self.shared
            .state()
            .catalog
            .live_views
            .keys()
            .cloned()
            .collect()
    }

    /// Creates, replaces and drops live views until those that come from files are exactly the
    /// given ones, each a `CREATE MATERIALIZED VIEW` statement with the name of its file for
    /// messages. The order does not matter.
    pub fn sync_views(&self, files: &[(String, String)]) -> Result<(), EngineError> {
        let state = self.shared.state();
        let changes = definition::plan_sync(&self.shared.planner, &state, files)?;
        if !changes.is_empty() {
            let timestamp_ms = self.call(|reply| Request::Catalog { changes, reply })?;
            self.wait_for(timestamp_ms)?;
        }
        Ok(())
    }

    /// All tables and views at one moment, the newest that is complete. Blocks while a view that
    /// has just been created is being filled.
    pub fn read(&self) -> Result<ReadPoint, EngineError> {
        futures::executor::block_on(unconstrained(self.read_since(0)))
    }

    /// All tables and views at one moment, at a timestamp (ms) or later.
    async fn read_since(&self, timestamp_ms: u64) -> Result<ReadPoint, EngineError> {
        loop {
            let state = self.shared.state();
            self.completed(timestamp_ms.max(state.catalog_timestamp_ms))
                .await?;
            if let Some(point) = reading::read(&self.shared, state)? {
                return Ok(point);
            }
        }
    }

    /// All tables and views as of a timestamp (ms) of the past, as far as it is kept.
    async fn read_as_of(&self, timestamp_ms: u64) -> Result<ReadPoint, EngineError> {
        let mut state = self.shared.state();
        loop {
            let catalog_timestamp_ms = state.catalog_timestamp_ms;
            if let Some(point) = reading::read_as_of(&self.shared, state, timestamp_ms)? {
                return Ok(point);
            }
            // The catalog without a view is there before the view goes.
            state = self.shared.state();
            if state.catalog_timestamp_ms == catalog_timestamp_ms {
                return Err(reading::not_kept(&self.shared, timestamp_ms));
            }
            yield_now().await;
        }
    }

    /// Stops after what is queued is durable. Idempotent; handles that are left over get
    /// [`EngineError::ShutDown`].
    pub fn shutdown(&self) {
        // A failure to send means that the thread has ended already.
        let _ = self.shared.requests.send(Request::Stop);
        let thread = self
            .shared
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // A panic there has been reported by its own message.
            let _ = thread.join();
        }
    }

    /// Sends a request and blocks for the reply.
    fn call(&self, request: impl FnOnce(commit::Reply) -> Request) -> Result<u64, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.shared.requests.send(request(reply))?;
        // Callers are plain threads, or tasks that have declared themselves blocking: these must not
        // be asked to pause, as nobody would let them go on.
        let answer = futures::executor::block_on(unconstrained(answer));
        answer.map_err(|_| EngineError::ShutDown)?
    }
}
