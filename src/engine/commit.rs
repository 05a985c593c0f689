//! The committing thread: the only writer of log, tables, catalog and dataflow.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, PoisonError, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use super::definition::FROM_FILE;
use super::transaction::{CatalogChange, Transaction};
use super::{EngineError, Shared, State};
use crate::dataflow::{Command, TableChange, Tables, ViewTask, Workers};
use crate::log::fs::FileSystem;
use crate::log::{DirectoryLock, Log, LogOptions, Opened};
use crate::model::Submission;
use crate::sql::{Catalog, Planner, SqlError, Statement, ViewDefinition, parse};
use crate::view::{TableError, TableStore};

/// Transactions that are written to the log with one sync.
const GROUP_COMMIT_MAX: usize = 64;

/// Where the timestamp of a request goes, or its failure.
pub type Reply = oneshot::Sender<Result<u64, EngineError>>;

/// What the committing thread is asked to do.
pub enum Request {
    /// Commits rows.
    Submit {
        submission: Submission,
        reply: Option<Reply>,
    },
    /// Changes the catalog, all or nothing.
    Catalog {
        changes: Vec<CatalogChange>,
        reply: Reply,
    },
    /// Computes a query as a view that is in no catalog.
    Temporary(super::temporary::Creation),
    /// Answers with the newest timestamp, or the first failure of what came without a reply.
    Flush { reply: Reply },
    /// Ends the thread.
    Stop,
}

/// The state of the committing thread.
pub struct Conductor {
    pub(super) log: Log,
    pub(super) opened: Opened,
    pub(super) workers: Workers,
    pub(super) planner: Planner,
    pub(super) stores: BTreeMap<String, TableStore>,
    pub(super) catalog: Catalog,
    pub(super) numbers: BTreeMap<String, u64>,
    pub(super) from_files: BTreeMap<String, String>,
    pub(super) positions: BTreeMap<String, String>,
    pub(super) last_timestamp_ms: u64,
    /// The timestamp of the newest change of the catalog.
    pub(super) catalog_timestamp_ms: u64,
    /// Views of the log that can no longer be planned, with the reason.
    pub(super) broken: Vec<(String, String)>,
    pub(super) temporaries: super::temporary::Temporaries,
    next_number: u64,
    failure: Option<EngineError>,
    _lock: DirectoryLock,
}

impl Conductor {
    /// Opens the log and replays it into the tables; views are known but do not run yet.
    pub fn open(
        file_system: Arc<dyn FileSystem>,
        directory: &Path,
        workers: Workers,
        planner: &Planner,
    ) -> Result<Conductor, EngineError> {
        let lock = DirectoryLock::acquire(file_system.as_ref(), directory)?;
        let (log, opened) = Log::open(file_system, &directory.join("log"), LogOptions::default())?;
        let mut conductor = Conductor {
            log,
            opened,
            workers,
            planner: planner.clone(),
            stores: BTreeMap::new(),
            catalog: Catalog::default(),
            numbers: BTreeMap::new(),
            from_files: BTreeMap::new(),
            positions: BTreeMap::new(),
            last_timestamp_ms: 0,
            catalog_timestamp_ms: 0,
            broken: Vec::new(),
            temporaries: BTreeMap::new(),
            next_number: 1,
            failure: None,
            _lock: lock,
        };
        conductor.replay()?;
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
        }
    }

    /// Commits until told to stop, or until nobody is left to ask.
    pub fn run(mut self, requests: &Receiver<Request>, shared: &Weak<Shared>) {
        while let Ok(first) = requests.recv() {
            let mut group = vec![first];
            while group.len() < GROUP_COMMIT_MAX {
                match requests.try_recv() {
                    Ok(request) => group.push(request),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            let stops = group.iter().any(|request| matches!(request, Request::Stop));
            self.commit_group(group, shared);
            if stops {
                break;
            }
        }
    }

    fn commit_group(&mut self, group: Vec<Request>, shared: &Weak<Shared>) {
        self.drop_finished(shared);
        let mut appended = Vec::new();
        for request in group {
            match request {
                Request::Submit { submission, reply } => match self.append(&submission) {
                    Ok(timestamp_ms) => appended.push((submission, timestamp_ms, reply)),
                    Err(error) => self.answer(reply, Err(error)),
                },
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
                    self.finish(std::mem::take(&mut appended), shared);
                    let outcome = match self.failure.take() {
                        None => Ok(self.last_timestamp_ms),
                        Some(error) => Err(error),
                    };
                    self.answer(Some(reply), outcome);
                }
                Request::Stop => {}
            }
        }
        self.finish(appended, shared);
    }

    /// Checks rows and appends them to the log, not yet synced.
    fn append(&mut self, submission: &Submission) -> Result<u64, EngineError> {
        for change in &submission.changes {
            let store = self.stores.get(change.table.as_ref());
            let store = store.ok_or_else(|| SqlError::undefined_table(&change.table))?;
            store.validate(change)?;
        }
        let timestamp_ms = self.next_timestamp(submission.timestamp_ms.unwrap_or_else(now_ms));
        let record = Transaction::Rows(submission.clone())
            .encode()
            .map_err(|error| system("encode a transaction", error))?;
        self.log.append(timestamp_ms, &record)?;
        self.last_timestamp_ms = timestamp_ms;
        Ok(timestamp_ms)
    }

    /// The wanted timestamp, or the next free one if that has passed.
    fn next_timestamp(&self, wanted_ms: u64) -> u64 {
        wanted_ms.max(self.last_timestamp_ms + 1)
    }

    /// Syncs what has been appended, makes it visible and answers.
    fn finish(&mut self, appended: Vec<(Submission, u64, Option<Reply>)>, shared: &Weak<Shared>) {
        if appended.is_empty() {
            return;
        }
        if let Err(error) = self.log.sync() {
            let message = error.to_string();
            let mut first = Some(EngineError::Log(error));
            for (_, _, reply) in appended {
                let error = first
                    .take()
                    .unwrap_or_else(|| system("sync the log", &message));
                self.answer(reply, Err(error));
            }
            return;
        }
        let has_positions = appended.iter().any(|(rows, _, _)| rows.position.is_some());
        for (submission, timestamp_ms, reply) in appended {
            let outcome = self.apply(submission, timestamp_ms).map(|()| timestamp_ms);
            self.answer(reply, outcome);
        }
        if has_positions {
            self.publish(shared);
        }
        let horizon_ms = self.workers.progress().since();
        for store in self.stores.values_mut() {
            store.set_horizon(horizon_ms);
        }
    }

    /// Applies durable rows to the tables and hands the workers what changed.
    fn apply(&mut self, submission: Submission, timestamp_ms: u64) -> Result<(), EngineError> {
        let changes = self.apply_to_tables(&submission, timestamp_ms)?;
        if let Some((source, position)) = submission.position {
            self.positions.insert(source, position);
        }
        self.workers.send(&Command::Commit {
            timestamp_ms,
            changes: Arc::new(changes),
        })?;
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

    /// Changes the catalog: checked as a whole, logged, then carried out.
    fn change_catalog(
        &mut self,
        changes: Vec<CatalogChange>,
        shared: &Weak<Shared>,
    ) -> Result<u64, EngineError> {
        let mut checked = self.catalog.clone();
        for change in &changes {
            apply_to_catalog(&self.planner, &mut checked, change)?;
        }
        // Takes no time of the wall clock, so that history on the clock of its events can follow.
        let timestamp_ms = self.last_timestamp_ms + 1;
        let record = Transaction::Catalog(changes.clone())
            .encode()
            .map_err(|error| system("encode a transaction", error))?;
        self.log.append(timestamp_ms, &record)?;
        self.log.sync()?;
        self.last_timestamp_ms = timestamp_ms;
        self.catalog_timestamp_ms = timestamp_ms;
        let mut commands = Vec::new();
        for change in changes {
            commands.extend(self.drop_readers(&change));
            apply_to_catalog(&self.planner, &mut self.catalog, &change)?;
            commands.extend(self.carry_out(&change, timestamp_ms)?);
        }
        // Before the workers are told, so that a reader who misses a dropped view finds the new
        // catalog.
        self.publish(shared);
        for command in &commands {
            self.workers.send(command)?;
        }
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
                let (name, _) = live_view(statement)?;
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
        match change {
            CatalogChange::CreateTable { definition } => {
                let store = TableStore::new(definition.clone())?;
                self.stores.insert(definition.name.clone(), store);
            }
            CatalogChange::DropTable { name } => {
                self.stores.remove(name);
            }
            CatalogChange::CreateLiveView { statement, origin } if origin == FROM_FILE => {
                let (name, _) = live_view(statement)?;
                self.from_files.insert(name, statement.clone());
            }
            CatalogChange::DropLiveView { name } => {
                self.from_files.remove(name);
            }
            _ => {}
        }
        Ok(())
    }

    /// Lets the workers compute a view.
    pub(super) fn run_view(
        &mut self,
        view: &ViewDefinition,
        timestamp_ms: u64,
    ) -> Result<(), EngineError> {
        let command = self.creation(view, timestamp_ms)?;
        Ok(self.workers.send(&command)?)
    }

    /// Gives a view a number, and the command to compute it from what its tables hold at the
    /// timestamp.
    pub(super) fn creation(
        &mut self,
        view: &ViewDefinition,
        timestamp_ms: u64,
    ) -> Result<Command, EngineError> {
        let mut tables = Tables::new();
        for name in self.tables_of(view) {
            if let Some(store) = self.stores.get(&name) {
                let rows = store.snapshot(timestamp_ms)?.scan(None);
                let rows = rows.collect::<Result<Vec<_>, _>>();
                let rows = rows.map_err(|error| system("read a table", error))?;
                tables.insert(Arc::from(name), rows);
            }
        }
        let reads = view.inputs.iter().filter_map(|input| {
            let number = self.numbers.get(input)?;
            Some((Arc::from(input.as_str()), *number))
        });
        let task = ViewTask {
            number: self.next_number,
            name: Arc::from(view.name.as_str()),
            plan: Arc::clone(&view.plan),
            key: view.key.clone(),
            reads: reads.collect(),
        };
        self.numbers.insert(view.name.clone(), self.next_number);
        self.next_number += 1;
        Ok(Command::Create {
            view: Arc::new(task),
            timestamp_ms,
            tables: Arc::new(tables),
        })
    }

    fn tables_of(&self, view: &ViewDefinition) -> BTreeSet<String> {
        let tables = view
            .inputs
            .iter()
            .filter(|input| self.stores.contains_key(*input));
        tables.cloned().collect()
    }

    fn publish(&self, shared: &Weak<Shared>) {
        if let Some(shared) = shared.upgrade() {
            *shared.state.lock().unwrap_or_else(PoisonError::into_inner) = self.state();
        }
    }

    fn answer(&mut self, reply: Option<Reply>, outcome: Result<u64, EngineError>) {
        match (reply, outcome) {
            // Whoever asked may have gone away; the outcome stands all the same.
            (Some(reply), outcome) => drop(reply.send(outcome)),
            (None, Ok(_)) => {}
            (None, Err(error)) => {
                self.failure.get_or_insert(error);
            }
        }
    }
}

/// The name and query of a `CREATE MATERIALIZED VIEW` statement.
pub fn live_view(
    statement: &str,
) -> Result<(String, Box<datafusion::sql::sqlparser::ast::Query>), SqlError> {
    match parse(statement)?.pop() {
        Some(Statement::CreateMaterializedView { name, query, .. }) => Ok((name, query)),
        _ => Err(SqlError::syntax("expected CREATE MATERIALIZED VIEW")),
    }
}

/// Checks a change against the catalog and makes it there.
pub fn apply_to_catalog(
    planner: &Planner,
    catalog: &mut Catalog,
    change: &CatalogChange,
) -> Result<(), SqlError> {
    let refuse_taken = |catalog: &Catalog, name: &str| match catalog.contains(name) {
        true => Err(SqlError::duplicate(name)),
        false => Ok(()),
    };
    let refuse_read = |catalog: &Catalog, name: &str| match catalog.readers(name).as_slice() {
        [] => Ok(()),
        readers => {
            let message = format!("\"{name}\" is read by {}", readers.join(", "));
            Err(SqlError::new("2BP01", message).with_hint("drop those first, or use CASCADE"))
        }
    };
    match change {
        CatalogChange::CreateTable { definition } => {
            refuse_taken(catalog, &definition.name)?;
            let name = definition.name.clone();
            catalog.tables.insert(name, Arc::new(definition.clone()));
        }
        CatalogChange::DropTable { name } => {
            refuse_read(catalog, name)?;
            if catalog.tables.remove(name).is_none() {
                return Err(SqlError::undefined_table(name));
            }
        }
        CatalogChange::CreateLiveView { statement, .. } => {
            let (name, query) = live_view(statement)?;
            refuse_taken(catalog, &name)?;
            let view = planner.plan_view(catalog, &name, &query, statement)?;
            catalog.live_views.insert(name, Arc::new(view));
        }
        CatalogChange::DropLiveView { name } => {
            refuse_read(catalog, name)?;
            if catalog.live_views.remove(name).is_none() {
                return Err(SqlError::undefined_table(name));
            }
        }
        CatalogChange::CreateView { name, query } => {
            refuse_taken(catalog, name)?;
            let parsed = crate::sql::statement::parse_query(query)?;
            planner.query_schema(catalog, &parsed)?;
            catalog.plain_views.insert(name.clone(), query.clone());
        }
        CatalogChange::DropView { name } => {
            if catalog.plain_views.remove(name).is_none() {
                return Err(SqlError::undefined_table(name));
            }
        }
    }
    Ok(())
}

pub(super) fn system(action: &str, reason: impl ToString) -> EngineError {
    EngineError::System {
        action: action.to_owned(),
        reason: reason.to_string(),
    }
}

/// The wall clock, in milliseconds since the epoch.
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}
