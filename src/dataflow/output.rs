//! What workers publish of their views: immutable runs of chunks that readers share.
//!
//! A worker publishes a view after each transaction that changed it. [`Progress`] knows how far
//! every worker has come; a reader takes all views at once, under one lock, and reads them at one
//! timestamp that all workers have completed. Compaction never goes beyond that timestamp, so a
//! published run always answers for it and every later one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::SchemaRef;

use super::arrange::Layout;
use super::chunk::Chunk;

/// The shape of a published collection.
#[derive(Clone, Debug)]
pub struct OutputShape {
    /// The view's columns.
    pub schema: SchemaRef,
    /// The columns that key the arrangement.
    pub key: Vec<usize>,
    /// For each column of the view, its position in the chunks.
    pub positions: Vec<usize>,
}

impl OutputShape {
    /// The shape of an arrangement of all columns by `key` (all columns if empty).
    pub fn new(schema: SchemaRef, key: &[usize]) -> OutputShape {
        let layout = Self::layout(&schema, key);
        let columns = 0..schema.fields().len();
        OutputShape {
            positions: columns
                .filter_map(|column| layout.position(column))
                .collect(),
            key: layout.key,
            schema,
        }
    }

    /// How the output of a view is arranged.
    pub fn layout(schema: &SchemaRef, key: &[usize]) -> Layout {
        let columns = 0..schema.fields().len();
        let key: Vec<usize> = match key {
            [] => columns.clone().collect(),
            key => key.to_vec(),
        };
        Layout {
            values: columns.filter(|column| !key.contains(column)).collect(),
            key,
            ..Layout::default()
        }
    }
}

/// One worker's share of a view: batches of sorted chunks, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Share {
    /// The rows of the view.
    pub rows: Vec<Arc<Vec<Chunk>>>,
    /// The rows that failed, as texts.
    pub errors: Vec<Arc<Vec<Chunk>>>,
}

/// A view as all workers have published it.
#[derive(Clone, Debug)]
pub struct PublishedView {
    /// How the chunks are to be read.
    pub shape: Arc<OutputShape>,
    /// One share per worker.
    pub shares: Vec<Arc<Share>>,
}

/// All views at one timestamp.
#[derive(Clone, Debug)]
pub struct PublishedViews {
    /// The newest timestamp (ms) that every worker has completed; updates with later times may be
    /// in the shares and are to be left out.
    pub timestamp_ms: u64,
    /// The views by the number of their [`ViewTask`](super::ViewTask).
    pub views: BTreeMap<u64, PublishedView>,
}

/// How far the workers have come, and what they have published.
pub struct Progress {
    state: Mutex<State>,
    advanced: Box<dyn Fn(u64) + Send + Sync>,
}

struct State {
    /// For each worker, the timestamp up to which it has completed everything.
    completed: Vec<u64>,
    /// For each worker, the timestamp at which rows change next if no transaction comes.
    next_changes: Vec<Option<u64>>,
    views: BTreeMap<u64, PublishedView>,
    /// How many workers have dropped each view that some still have.
    withdrawn: BTreeMap<u64, usize>,
    failure: Option<String>,
}

impl Progress {
    /// Progress of `workers` workers; `advanced` is called with each timestamp that all of them
    /// have completed, in ascending order, possibly skipping some.
    pub fn new(workers: usize, advanced: Box<dyn Fn(u64) + Send + Sync>) -> Progress {
        Progress {
            state: Mutex::new(State {
                completed: vec![0; workers],
                next_changes: vec![None; workers],
                views: BTreeMap::new(),
                withdrawn: BTreeMap::new(),
                failure: None,
            }),
            advanced,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is consistent after every statement, so a panic elsewhere does not matter.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest timestamp that every worker has completed.
    pub fn completed(&self) -> u64 {
        completed(&self.state())
    }

    /// The timestamp (ms) at which rows of some view change next by the passing of time alone, as
    /// far as everything that is completed shows.
    pub fn next_change(&self) -> Option<u64> {
        self.state().next_changes.iter().copied().flatten().min()
    }

    /// All views at the newest completed timestamp.
    pub fn read(&self) -> PublishedViews {
        let state = self.state();
        PublishedViews {
            timestamp_ms: completed(&state),
            views: state.views.clone(),
        }
    }

    /// Takes in what a worker has completed, and the views that changed in it.
    pub(super) fn publish(
        &self,
        worker: usize,
        completed_ms: u64,
        next_change_ms: Option<u64>,
        changed: Vec<(u64, Arc<OutputShape>, Share)>,
    ) {
        let mut state = self.state();
        let workers = state.completed.len();
        for (view, shape, share) in changed {
            let view = state.views.entry(view).or_insert_with(|| PublishedView {
                shape,
                shares: vec![Arc::default(); workers],
            });
            view.shares[worker] = Arc::new(share);
        }
        let before = completed(&state);
        state.completed[worker] = completed_ms;
        state.next_changes[worker] = next_change_ms;
        let now = completed(&state);
        drop(state);
        if now > before {
            (self.advanced)(now);
        }
    }

    /// Takes note that a worker has dropped a view, and forgets it with the last of them: a worker
    /// that lags behind still publishes it for timestamps at which readers may look for it.
    pub(super) fn withdraw(&self, view: u64) {
        let mut state = self.state();
        let workers = state.completed.len();
        let withdrawn = state.withdrawn.entry(view).or_insert(0);
        *withdrawn += 1;
        if *withdrawn == workers {
            state.withdrawn.remove(&view);
            state.views.remove(&view);
        }
    }

    /// Why the dataflow has stopped for good, if it has: a worker failed, which is a fault in
    /// Mainstem itself.
    pub fn failure(&self) -> Option<String> {
        self.state().failure.clone()
    }

    /// Records that a worker failed. Timestamps are reported once more, to wake who waits.
    pub(super) fn fail(&self, message: String) {
        let mut state = self.state();
        state.failure.get_or_insert(message);
        let now = completed(&state);
        drop(state);
        (self.advanced)(now);
    }
}

fn completed(state: &State) -> u64 {
    state.completed.iter().copied().min().unwrap_or(0)
}
