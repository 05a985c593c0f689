//! What workers publish of their views: immutable runs of chunks that readers share.
//!
//! A worker publishes a view after each transaction that changed it. [`Progress`] knows how far
//! every worker has come; a reader takes all views at once, under one lock, and reads them at one
//! timestamp that all workers have completed. Compaction never goes beyond that timestamp, so a
//! published run always answers for it and every later one.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arrow::datatypes::SchemaRef;

use super::arrange::Layout;
use super::changes::{Lost, Piece, Queue, SharedQueue, lock};
use super::chunk::Chunk;
use super::group_changes::group_changes;
use super::grouping::Grouping;
use super::retired::{Retired, bytes_beside};

/// The shape of a published collection.
#[derive(Clone, Debug)]
pub struct OutputShape {
    /// The view's columns.
    pub schema: SchemaRef,
    /// The columns that key the arrangement.
    pub key: Vec<usize>,
    /// Where its columns are.
    pub(super) columns: Columns,
}

/// Where the columns of a view are in the chunks of its arrangement.
#[derive(Clone, Debug)]
pub(super) enum Columns {
    /// Each at its position.
    Stored(Vec<usize>),
    /// In groups, each of which is a row.
    Grouped(Arc<Grouping>),
}

impl OutputShape {
    /// The shape of an arrangement of all columns by `key` (all columns if empty).
    pub fn new(schema: SchemaRef, key: &[usize]) -> OutputShape {
        let layout = Self::layout(&schema, key);
        OutputShape {
            columns: Columns::Stored(Self::positions(&schema, &layout)),
            key: layout.key,
            schema,
        }
    }

    /// The shape of an arrangement of groups; `key` are the columns that show their key.
    pub(super) fn grouped(
        schema: SchemaRef,
        key: Vec<usize>,
        grouping: Arc<Grouping>,
    ) -> OutputShape {
        OutputShape {
            columns: Columns::Grouped(grouping),
            key,
            schema,
        }
    }

    /// Where the columns stand in the changes that subscribers get.
    pub(super) fn positions_in_changes(&self) -> Vec<usize> {
        Self::positions(&self.schema, &Self::layout(&self.schema, &self.key))
    }

    fn positions(schema: &SchemaRef, layout: &Layout) -> Vec<usize> {
        let columns = 0..schema.fields().len();
        columns
            .filter_map(|column| layout.position(column))
            .collect()
    }

    /// The changes of a view's rows, from those of the arrangement in which a worker has them.
    pub(super) fn changes(
        &self,
        arrangement: &[Arc<Vec<Chunk>>],
        changes: Vec<Piece>,
    ) -> Vec<Piece> {
        match &self.columns {
            Columns::Stored(_) => changes,
            Columns::Grouped(grouping) => {
                let changes = group_changes(arrangement, &changes, grouping, self);
                changes.into_iter().collect()
            }
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
    /// The oldest timestamp (ms) at which what is published can be read.
    pub since_ms: u64,
    /// The views by the number of their [`ViewTask`](super::ViewTask).
    pub views: BTreeMap<u64, PublishedView>,
}

/// How far the workers have come, and what they have published.
pub struct Progress {
    state: Mutex<State>,
    /// How often views have been given up.
    times_given_up: AtomicU64,
    /// How far behind the newest completed timestamp history is kept (ms).
    history_ms: u64,
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
    /// Views of which nothing more is published, although some workers still have them.
    given_up: BTreeSet<u64>,
    /// The queues of those who have subscribed, with the view.
    subscribers: Vec<(u64, Weak<Mutex<Queue>>)>,
    retired: Retired,
    /// The newest timestamp that readers may see.
    shown_ms: u64,
    failure: Option<String>,
}

/// What a worker publishes of one view.
pub(super) struct Publication {
    pub(super) view: u64,
    pub(super) shape: Arc<OutputShape>,
    pub(super) share: Share,
    /// The changes of the arrangement that have become complete.
    pub(super) arranged: Vec<Piece>,
    /// The changes of the rows, once somebody wants them.
    pub(super) changes: OnceCell<Vec<Piece>>,
}

impl Publication {
    /// The changes of the rows.
    pub(super) fn changes(&self) -> &[Piece] {
        self.changes
            .get_or_init(|| self.shape.changes(&self.share.rows, self.arranged.clone()))
    }
}

impl Progress {
    /// Progress of `workers` workers; `advanced` is called with each timestamp that all of them
    /// have completed and readers may see, possibly skipping some. Two threads may call it at a time.
    pub fn new(
        workers: usize,
        history_ms: u64,
        advanced: Box<dyn Fn(u64) + Send + Sync>,
    ) -> Progress {
        Progress {
            history_ms,
            state: Mutex::new(State {
                completed: vec![0; workers],
                next_changes: vec![None; workers],
                views: BTreeMap::new(),
                withdrawn: BTreeMap::new(),
                given_up: BTreeSet::new(),
                subscribers: Vec::new(),
                retired: Retired::default(),
                shown_ms: u64::MAX,
                failure: None,
            }),
            times_given_up: AtomicU64::new(0),
            advanced,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is consistent after every statement, so a panic elsewhere does not matter.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest timestamp that every worker has completed and readers may see.
    pub fn completed(&self) -> u64 {
        completed(&self.state())
    }

    /// Lets readers see nothing beyond a timestamp (ms): what comes after it is being computed but
    /// not known to be durable.
    pub fn show_until(&self, timestamp_ms: u64) {
        let mut state = self.state();
        let before = completed(&state);
        state.shown_ms = timestamp_ms;
        let now = completed(&state);
        drop(state);
        if now > before {
            (self.advanced)(now);
        }
    }

    /// The timestamp (ms) at which rows of some view change next by the passing of time alone, as
    /// far as everything that is completed shows.
    pub fn next_change(&self) -> Option<u64> {
        self.state().next_changes.iter().copied().flatten().min()
    }

    /// The oldest timestamp that is kept readable.
    pub fn since(&self) -> u64 {
        self.completed().saturating_sub(self.history_ms)
    }

    /// A view as it was last published.
    pub fn view(&self, view: u64) -> Option<PublishedView> {
        self.state().views.get(&view).cloned()
    }

    /// All views at the newest completed timestamp.
    pub fn read(&self) -> PublishedViews {
        let state = self.state();
        let timestamp_ms = completed(&state);
        PublishedViews {
            timestamp_ms,
            since_ms: timestamp_ms.saturating_sub(self.history_ms),
            views: state.views.clone(),
        }
    }

    /// Takes in what a worker has completed, and the views that changed in it.
    pub(super) fn publish(
        &self,
        worker: usize,
        completed_ms: u64,
        next_change_ms: Option<u64>,
        changed: Vec<Publication>,
    ) {
        let mut state = self.state();
        let workers = state.completed.len();
        for publication in changed {
            if state.given_up.contains(&publication.view) {
                continue;
            }
            state.give(&publication);
            let State { views, retired, .. } = &mut *state;
            let view = views.entry(publication.view);
            let view = view.or_insert_with(|| PublishedView {
                shape: publication.shape,
                shares: vec![Arc::default(); workers],
            });
            let share = Arc::new(publication.share);
            let replaced = std::mem::replace(&mut view.shares[worker], Arc::clone(&share));
            retired.replace(&replaced, &share);
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
    /// that lags behind still publishes it for timestamps at which readers may look for it. With it
    /// end the subscriptions to it, and timestamps are reported once more, to wake who waits.
    pub(super) fn withdraw(&self, view: u64) {
        let mut state = self.state();
        let workers = state.completed.len();
        let withdrawn = state.withdrawn.entry(view).or_insert(0);
        *withdrawn += 1;
        if *withdrawn < workers {
            return;
        }
        state.withdrawn.remove(&view);
        state.given_up.remove(&view);
        if let Some(view) = state.views.remove(&view) {
            state.retired.take_in(&view);
        }
        let had_subscribers = state.end_subscriptions(view);
        let now = completed(&state);
        drop(state);
        if had_subscribers {
            (self.advanced)(now);
        }
    }

    /// Gives up views that are not complete yet and are about to be dropped: nothing of them is
    /// published any more, and their joins end.
    pub fn give_up(&self, views: &[u64]) {
        let mut state = self.state();
        for number in views {
            state.given_up.insert(*number);
            if let Some(view) = state.views.remove(number) {
                state.retired.take_in(&view);
            }
        }
        drop(state);
        self.times_given_up.fetch_add(1, Ordering::Release);
    }

    /// How often that has happened.
    pub(super) fn times_given_up(&self) -> u64 {
        self.times_given_up.load(Ordering::Acquire)
    }

    /// The views that are given up and that some workers still have.
    pub(super) fn given_up(&self) -> BTreeSet<u64> {
        self.state().given_up.clone()
    }

    /// The views that somebody has subscribed to.
    pub(super) fn subscribed(&self) -> BTreeSet<u64> {
        let state = self.state();
        let subscribers = state.subscribers.iter();
        subscribers.map(|(view, _)| *view).collect()
    }

    /// Subscribes to a view: what it is at the newest completed timestamp, that timestamp, and
    /// where the changes after it will wait; `None` if it is not there.
    pub(super) fn subscribe(&self, view: u64) -> Option<(PublishedView, u64, SharedQueue)> {
        let mut state = self.state();
        let published = state.views.get(&view)?.clone();
        let timestamp_ms = completed(&state);
        // What a worker has completed before the others has been given out already.
        let mut queue = Queue::default();
        for (share, completed_ms) in published.shares.iter().zip(&state.completed) {
            if *completed_ms > timestamp_ms {
                let batches = share.rows.iter();
                let ahead = batches
                    .filter_map(|chunks| Piece::between(chunks, timestamp_ms, *completed_ms));
                queue.push(&published.shape.changes(&share.rows, ahead.collect()));
            }
        }
        let queue = Arc::new(Mutex::new(queue));
        state.subscribers.push((view, Arc::downgrade(&queue)));
        Some((published, timestamp_ms, queue))
    }

    /// The memory in bytes of what is in no view any more, and that readers and subscribers still
    /// hold.
    pub fn retired_bytes(&self) -> u64 {
        let (views, held) = {
            let state = self.state();
            let mut held = state.retired.held();
            let queues = state.subscribers.iter();
            for queue in queues.filter_map(|(_, queue)| queue.upgrade()) {
                held.extend(lock(&queue).waiting().cloned());
            }
            if held.is_empty() {
                return 0;
            }
            (state.views.clone(), held)
        };
        bytes_beside(views.values(), &held)
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

impl State {
    /// Gives the changes of a view to all who have subscribed to it.
    fn give(&mut self, publication: &Publication) {
        self.subscribers.retain(|(subscribed, queue)| {
            let Some(queue) = queue.upgrade() else {
                return false;
            };
            if *subscribed == publication.view {
                lock(&queue).push(publication.changes());
            }
            true
        });
    }

    /// Ends the subscriptions to a view; whether there were any.
    fn end_subscriptions(&mut self, view: u64) -> bool {
        let before = self.subscribers.len();
        self.subscribers.retain(|(subscribed, queue)| {
            let ends = *subscribed == view;
            if ends && let Some(queue) = queue.upgrade() {
                lock(&queue).end(Lost::Dropped);
            }
            !ends
        });
        self.subscribers.len() < before
    }
}

fn completed(state: &State) -> u64 {
    let completed = state.completed.iter().copied().min();
    completed.unwrap_or(0).min(state.shown_ms)
}
