//! The changes of a published view on their way to those who have subscribed.
//!
//! A [`Tap`] on a view's output keeps the batches that its worker has sealed until they are
//! complete. Subscribers get them as [`Piece`]s: chunks with the range of times that counts in
//! them, so that each change comes exactly once. They wait in the subscriber's [`Queue`], which is
//! bounded: who does not take them loses the subscription, and nobody waits.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::batch::Batch;
use super::chunk::Chunk;
use super::column::Column;
use super::lane::Lane;

/// Bytes of changes that may wait for a subscriber.
const QUEUE_BYTES_MAX: usize = 64 << 20;

/// Of some chunks the updates with `after_ms < time <= until_ms`.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) chunks: Arc<Vec<Chunk>>,
    pub(super) after_ms: u64,
    pub(super) until_ms: u64,
}

impl Piece {
    /// Of some chunks those with updates in a range of times; `None` if there are none.
    pub(super) fn between(chunks: &[Chunk], after_ms: u64, until_ms: u64) -> Option<Piece> {
        let is_within = |time: u64| time > after_ms && time <= until_ms;
        let has_some = |chunk: &&Chunk| match &chunk.body().times {
            Lane::Constant(time, _) => is_within(*time),
            times => times.iter().any(is_within),
        };
        let chunks: Vec<Chunk> = chunks.iter().filter(has_some).cloned().collect();
        (!chunks.is_empty()).then(|| Piece {
            chunks: Arc::new(chunks),
            after_ms,
            until_ms,
        })
    }
}

/// The batches of an output that are not complete yet.
#[derive(Clone, Default)]
pub(super) struct Tap(Rc<RefCell<Vec<Arc<Vec<Chunk>>>>>);

impl Tap {
    /// Takes in a batch that has been sealed.
    pub(super) fn add(&self, batch: &Batch) {
        self.0.borrow_mut().push(Arc::clone(&batch.chunks));
    }

    /// Whether there is anything to take.
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// The updates that have become complete; what has later ones stays.
    pub(super) fn take(&self, after_ms: u64, until_ms: u64) -> Vec<Piece> {
        let mut batches = self.0.borrow_mut();
        let pieces = batches.iter().map(|chunks| Piece {
            chunks: Arc::clone(chunks),
            after_ms,
            until_ms,
        });
        let pieces = pieces.collect();
        batches.retain(|chunks| {
            let mut times = chunks.iter().flat_map(|chunk| chunk.body().times.iter());
            times.any(|time| time > until_ms)
        });
        pieces
    }
}

/// What waits for one subscriber.
#[derive(Default)]
pub(super) struct Queue {
    pieces: Vec<Piece>,
    bytes: usize,
    lost: Option<Lost>,
}

/// Why a subscription has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Too much was waiting.
    #[error(
        "the subscriber did not keep up: more than {} MiB of changes were waiting for it",
        QUEUE_BYTES_MAX >> 20
    )]
    Behind,
    /// The view is gone.
    #[error("the view has been dropped or replaced")]
    Dropped,
}

/// The shared end of a queue.
pub(super) type SharedQueue = Arc<Mutex<Queue>>;

pub(super) fn lock(queue: &SharedQueue) -> MutexGuard<'_, Queue> {
    // The queue is consistent after every statement.
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    /// Adds changes; where they are too many, all are dropped and the subscriber with them.
    pub(super) fn push(&mut self, pieces: &[Piece]) {
        if self.lost.is_some() {
            return;
        }
        self.bytes += pieces.iter().map(bytes).sum::<usize>();
        if self.bytes > QUEUE_BYTES_MAX {
            self.end(Lost::Behind);
            return;
        }
        self.pieces.extend_from_slice(pieces);
    }

    /// The chunks that wait.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Arc<Vec<Chunk>>> {
        self.pieces.iter().map(|piece| &piece.chunks)
    }

    /// Ends the subscription.
    pub(super) fn end(&mut self, reason: Lost) {
        self.lost.get_or_insert(reason);
        self.pieces = Vec::new();
    }

    /// Takes the changes up to a time; what has later ones stays.
    pub(super) fn take(&mut self, until_ms: u64) -> Result<Vec<Piece>, Lost> {
        if let Some(lost) = self.lost {
            return Err(lost);
        }
        let pieces = std::mem::take(&mut self.pieces);
        let later = pieces.iter().filter(|piece| piece.until_ms > until_ms);
        self.pieces = later
            .map(|piece| Piece {
                after_ms: piece.after_ms.max(until_ms),
                ..piece.clone()
            })
            .collect();
        self.bytes = self.pieces.iter().map(bytes).sum();
        Ok(pieces)
    }
}

/// The memory a piece holds on to.
fn bytes(piece: &Piece) -> usize {
    let columns = piece.chunks.iter().flat_map(|chunk| &chunk.body().columns);
    columns.map(Column::held_bytes).sum()
}
