//! The memory budget: while the state of tables and views takes more, nothing is taken in that
//! makes it grow.
//!
//! The committing thread adds the state up a few times a second while there is work, from sizes
//! that the tables know and the workers tell. What came since is counted by its bytes in the log,
//! so that a burst between two measurements is seen, too.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;

use super::EngineError;
use super::commit::Conductor;
use super::metrics::Metrics;
use crate::dataflow::Progress;
use crate::model::{ChangeKind, Submission};
use crate::view::{Retired, TableReader, TableStore};

/// How often the state is added up while it changes or is too large.
const MEASURE_EVERY: Duration = Duration::from_millis(250);

/// How many of the largest tables and views a refusal names.
const NAMED: usize = 3;

/// What readers hold, as a refusal names it.
const READERS: &str = "open queries and subscriptions";

/// What writers have not handed over yet, as a refusal names it.
const WRITERS: &str = "messages being received and open transactions";

/// Knows how much memory the state takes and how much it may.
pub struct Memory {
    budget_bytes: u64,
    metrics: Arc<Metrics>,
    /// Bytes appended to the log since the state was added up.
    since_bytes: AtomicU64,
    largest: Mutex<Vec<(String, u64)>>,
    /// Tables that are gone and whose rows readers may still hold.
    dropped: Mutex<Retired>,
    /// Bytes of changes that subscriptions have made ready and not given out.
    ready_bytes: AtomicU64,
}

impl Memory {
    /// No more than so many bytes; 0: as much as there is.
    pub fn new(budget_bytes: u64, metrics: &Arc<Metrics>) -> Memory {
        Memory {
            budget_bytes,
            metrics: Arc::clone(metrics),
            since_bytes: AtomicU64::new(0),
            largest: Mutex::default(),
            dropped: Mutex::default(),
            ready_bytes: AtomicU64::new(0),
        }
    }

    /// Fails with [`EngineError::MemoryFull`] while the state takes more than it may.
    pub fn check(&self) -> Result<(), EngineError> {
        match self.is_exceeded() {
            false => Ok(()),
            true => Err(self.full_with(0)),
        }
    }

    /// Tells what there is, with what a writer asks for in addition.
    fn full_with(&self, more_bytes: u64) -> EngineError {
        let mut largest = self.largest().clone();
        let incoming_bytes = self.metrics.incoming_bytes.load(Relaxed) + more_bytes;
        if incoming_bytes > 0 {
            largest.push((WRITERS.to_owned(), incoming_bytes));
        }
        EngineError::MemoryFull {
            used_bytes: self.used_bytes() + more_bytes,
            budget_bytes: self.budget_bytes,
            largest: largest_first(largest),
        }
    }

    fn largest(&self) -> MutexGuard<'_, Vec<(String, u64)>> {
        self.largest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the state takes more than it may.
    pub fn is_exceeded(&self) -> bool {
        !self.has_room(self.metrics.incoming_bytes.load(Relaxed))
    }

    /// Whether the state by itself, without what writers have not handed over, takes more than it
    /// may.
    pub(super) fn is_outgrown(&self) -> bool {
        !self.has_room(0)
    }

    /// Tells that a view is given up while it is being filled; if it was to take the place of
    /// another, that one stays.
    pub(super) fn too_large_to_fill(&self, view: &str, is_replacement: bool) -> EngineError {
        EngineError::TooLargeToFill {
            view: view.to_owned(),
            is_replacement,
            used_bytes: self.kept_bytes(),
            budget_bytes: self.budget_bytes,
        }
    }

    /// Whether there is room for the state and for so much that writers have not handed over.
    fn has_room(&self, incoming_bytes: u64) -> bool {
        self.budget_bytes == 0 || self.kept_bytes() + incoming_bytes <= self.budget_bytes
    }

    fn used_bytes(&self) -> u64 {
        self.kept_bytes() + self.metrics.incoming_bytes.load(Relaxed)
    }

    /// What has been handed over.
    fn kept_bytes(&self) -> u64 {
        self.metrics.state_bytes.load(Relaxed) + self.since_bytes.load(Relaxed)
    }

    /// Counts what a writer wants to send if there is room for it, in one step: what is refused is
    /// never counted, or it would take the room of others until it is taken back.
    fn book(&self, more_bytes: u64) -> bool {
        let booked = |incoming_bytes: u64| {
            let booked_bytes = incoming_bytes + more_bytes;
            self.has_room(booked_bytes).then_some(booked_bytes)
        };
        let incoming_bytes = &self.metrics.incoming_bytes;
        let outcome = incoming_bytes.fetch_update(Relaxed, Relaxed, booked);
        outcome.is_ok()
    }

    /// Counts what is appended to the log.
    pub fn count(&self, bytes: usize) {
        self.since_bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Takes note of a table that is gone.
    pub fn drop_table(&self, table: &TableStore) {
        self.dropped().take_in(table);
    }

    fn dropped(&self) -> MutexGuard<'_, Retired> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The memory in bytes of what only open queries and subscriptions still hold.
    pub fn held_by_readers<'t>(
        &self,
        tables: impl Iterator<Item = &'t TableReader>,
        progress: &Progress,
    ) -> u64 {
        let of_tables: u64 = tables.map(TableReader::retired_bytes).sum();
        let of_dropped = self.dropped().memory_bytes();
        of_tables + of_dropped + progress.retired_bytes() + self.ready_bytes.load(Relaxed)
    }

    fn set(&self, used_bytes: u64, sizes: Vec<(String, u64)>) {
        *self.largest() = largest_first(sizes);
        self.metrics.state_bytes.store(used_bytes, Relaxed);
        self.since_bytes.store(0, Relaxed);
    }
}

fn largest_first(mut sizes: Vec<(String, u64)>) -> Vec<(String, u64)> {
    sizes.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    sizes.truncate(NAMED);
    sizes
}

/// Memory of what a writer has sent and not handed over yet: a message that is being received, the
/// rows of a COPY or of an open transaction. It counts against the budget until it is dropped.
pub struct Reservation {
    memory: Arc<Memory>,
    bytes: u64,
}

impl Reservation {
    /// Of nothing yet.
    pub(super) fn new(memory: &Arc<Memory>) -> Reservation {
        Reservation {
            memory: Arc::clone(memory),
            bytes: 0,
        }
    }

    /// So many bytes from now on.
    ///
    /// # Errors
    /// [`EngineError::MemoryFull`] if these are more than before and the budget has no room for
    /// them; it is then as before.
    pub fn resize(&mut self, bytes: usize) -> Result<(), EngineError> {
        let bytes = bytes as u64;
        match bytes.checked_sub(self.bytes) {
            None | Some(0) => self.set(bytes),
            Some(more) if self.memory.book(more) => self.bytes = bytes,
            Some(more) => return Err(self.memory.full_with(more)),
        }
        Ok(())
    }

    /// So many bytes from now on, whether or not there is room: for what makes the state smaller.
    pub fn resize_anyway(&mut self, bytes: usize) {
        self.set(bytes as u64);
    }

    /// Books the difference alone, so that nobody else finds less room meanwhile than there is.
    fn set(&mut self, bytes: u64) {
        let incoming_bytes = &self.memory.metrics.incoming_bytes;
        match bytes.checked_sub(self.bytes) {
            Some(more) => incoming_bytes.fetch_add(more, Relaxed),
            None => incoming_bytes.fetch_sub(self.bytes - bytes, Relaxed),
        };
        self.bytes = bytes;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// When the state is added up.
pub struct MemoryClock {
    measured: Instant,
    /// Whether what was told may be older than what has happened.
    is_stale: bool,
    /// Whether anything has happened since the workers were asked.
    has_changed: bool,
}

impl Default for MemoryClock {
    fn default() -> MemoryClock {
        MemoryClock {
            measured: Instant::now(),
            is_stale: true,
            has_changed: true,
        }
    }
}

impl Conductor {
    /// Takes note that the state changes.
    pub(super) fn state_changes(&mut self) {
        self.memory_clock.is_stale = true;
        self.memory_clock.has_changed = true;
    }

    /// How long until the state is to be added up; `None`: there is no need.
    pub(super) fn memory_due_in(&self) -> Option<Duration> {
        let is_wanted = self.memory.budget_bytes > 0
            && (self.memory_clock.is_stale || self.memory.is_exceeded());
        is_wanted.then(|| MEASURE_EVERY.saturating_sub(self.memory_clock.measured.elapsed()))
    }

    /// Adds the state up if it is time to, from what the workers told last, and asks them anew.
    pub(super) fn measure_memory_if_due(&mut self) {
        if !self.memory_due_in().is_some_and(|wait| wait.is_zero()) {
            return;
        }
        let measurements = Arc::clone(self.workers.measurements());
        let answers = measurements.newest();
        // An answer knows what was complete when the question was asked.
        let is_complete = self.workers.progress().completed() >= self.last_timestamp_ms;
        let is_current = !self.memory_clock.has_changed && measurements.is_answered();
        self.memory_clock.is_stale = !is_current;
        self.memory_clock.has_changed = !is_complete;
        measurements.ask();
        self.memory_clock.measured = Instant::now();
        // Also while nothing is committed.
        self.forget_past();
        let mut sizes: Vec<(String, u64)> = self
            .stores
            .iter()
            .map(|(name, store)| (format!("table {name}"), store.reader().memory_bytes()))
            .collect();
        let readers: Vec<TableReader> = self.stores.values().map(TableStore::reader).collect();
        let progress = self.workers.progress();
        let held = self.memory.held_by_readers(readers.iter(), progress);
        sizes.push((READERS.to_owned(), held));
        let beside_operators: u64 = sizes.iter().map(|(_, bytes)| *bytes).sum();
        let operators: u64 = answers.iter().map(|worker| worker.held().bytes).sum();
        for (name, number) in &self.numbers {
            let workers = answers.iter();
            let bytes = workers.map(|worker| worker.held_by(*number).bytes).sum();
            sizes.push((format!("view {name}"), bytes));
        }
        sizes.retain(|(_, bytes)| *bytes > 0);
        self.memory.set(beside_operators + operators, sizes);
    }

    /// Lets go what is in tables only for moments that no reader may ask for any more.
    pub(super) fn forget_past(&mut self) {
        let horizon_ms = self.workers.progress().since();
        for store in self.stores.values_mut() {
            store.set_horizon(horizon_ms);
        }
    }

    /// Fails with [`EngineError::MemoryFull`] if these rows would make too large a state grow.
    pub(super) fn check_memory(&self, submission: &Submission) -> Result<(), EngineError> {
        let grows = |kind| kind != ChangeKind::Delete;
        match submission.changes.iter().any(|change| grows(change.kind)) {
            true => self.memory.check(),
            false => Ok(()),
        }
    }
}

/// Rows that are ready to be given out; they count as memory until they have been.
pub struct Ready {
    rows: VecDeque<RecordBatch>,
    memory: Arc<Memory>,
}

impl Ready {
    /// None yet.
    pub fn new(memory: &Arc<Memory>) -> Ready {
        Ready {
            rows: VecDeque::new(),
            memory: Arc::clone(memory),
        }
    }

    /// Adds rows at the end.
    pub fn push(&mut self, rows: RecordBatch) {
        let bytes = rows.get_array_memory_size() as u64;
        self.memory.ready_bytes.fetch_add(bytes, Relaxed);
        self.rows.push_back(rows);
    }

    /// The first rows.
    pub fn pop(&mut self) -> Option<RecordBatch> {
        let rows = self.rows.pop_front()?;
        let bytes = rows.get_array_memory_size() as u64;
        self.memory.ready_bytes.fetch_sub(bytes, Relaxed);
        Some(rows)
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(budget_bytes: u64) -> Arc<Memory> {
        Arc::new(Memory::new(budget_bytes, &Arc::default()))
    }

    #[test]
    fn what_is_refused_is_not_counted_and_leaves_the_reservation_as_it_was() {
        let memory = memory(100);
        let mut reservation = Reservation::new(&memory);
        reservation.resize(60).expect("there is room");
        let refused = reservation.resize(101).expect_err("too much");
        let EngineError::MemoryFull { used_bytes, .. } = refused else {
            panic!("{refused}");
        };
        assert_eq!(used_bytes, 101);
        assert_eq!(memory.used_bytes(), 60);
        let mut other = Reservation::new(&memory);
        other.resize(40).expect("there is room");
        other.resize(41).expect_err("too much");
        reservation.resize_anyway(1000);
        reservation.resize(900).expect("less is always taken");
        reservation.resize(0).expect("less is always taken");
        assert_eq!(memory.used_bytes(), 40);
        drop(other);
        assert_eq!(memory.used_bytes(), 0);
    }

    #[test]
    fn a_writer_is_not_refused_for_what_another_one_is_refused_or_counts_anew() {
        const ROUNDS: usize = 20_000;
        let memory = memory(100);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut greedy = Reservation::new(&memory);
                for _ in 0..ROUNDS {
                    greedy.resize(1000).expect_err("too much");
                }
            });
            scope.spawn(|| {
                let mut steady = Reservation::new(&memory);
                for round in 0..ROUNDS {
                    steady.resize(50 - round % 2).expect("there is room");
                }
            });
            let mut modest = Reservation::new(&memory);
            for _ in 0..ROUNDS {
                modest.resize(50).expect("there is room");
                modest.resize(0).expect("less is always taken");
            }
        });
        assert_eq!(memory.used_bytes(), 0);
    }
}
