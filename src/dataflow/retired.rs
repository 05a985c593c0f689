//! Chunks that are in no view any more and that readers still hold.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use super::chunk::{Body, Chunk};
use super::output::{PublishedView, Share};
use super::size::body_bytes;

/// A published batch.
type Published = Arc<Vec<Chunk>>;

/// Batches that were published once, as long as a reader holds them.
#[derive(Default)]
pub(super) struct Retired(Vec<Weak<Vec<Chunk>>>);

impl Retired {
    /// Takes note of the batches that are not in the share that replaces another.
    pub(super) fn replace(&mut self, old: &Share, new: &Share) {
        let still: HashSet<*const Vec<Chunk>> = batches(new).map(Arc::as_ptr).collect();
        self.0.retain(|batch| batch.strong_count() > 0);
        let gone = batches(old).filter(|batch| !still.contains(&Arc::as_ptr(batch)));
        self.0.extend(gone.map(Arc::downgrade));
    }

    /// Takes note of a view that is gone.
    pub(super) fn take_in(&mut self, view: &PublishedView) {
        let shares = view.shares.iter();
        self.0
            .extend(shares.flat_map(|share| batches(share)).map(Arc::downgrade));
    }

    /// Those that are held.
    pub(super) fn held(&self) -> Vec<Published> {
        self.0.iter().filter_map(Weak::upgrade).collect()
    }
}

fn batches(share: &Share) -> impl Iterator<Item = &Published> {
    share.rows.iter().chain(&share.errors)
}

/// The memory in bytes of the chunks of batches, each once, that no view has.
pub(super) fn bytes_beside<'v>(
    views: impl Iterator<Item = &'v PublishedView>,
    held: &[Published],
) -> u64 {
    let shares = views.flat_map(|view| &view.shares);
    let current = shares.flat_map(|share| batches(share));
    let address = |chunk: &Chunk| std::ptr::from_ref::<Body>(chunk.body());
    let mut counted: HashSet<*const Body> = current
        .flat_map(|chunks| chunks.iter().map(address))
        .collect();
    let chunks = held.iter().flat_map(|chunks| chunks.iter());
    let others = chunks.filter(|chunk| counted.insert(address(chunk)));
    others.map(|chunk| body_bytes(chunk.body()) as u64).sum()
}

#[cfg(test)]
mod tests {
    use std::cell::OnceCell;

    use arrow::array::Int64Array;
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::dataflow::changes::lock;
    use crate::dataflow::column::Column;
    use crate::dataflow::form::{Unsorted, form};
    use crate::dataflow::output::{OutputShape, Progress, Publication};
    use crate::dataflow::size::summary_bytes;
    use crate::dataflow::tally::Term;

    /// A chunk of numbers that come at one time.
    fn chunk(first: i64, rows: usize, time: u64) -> Chunk {
        let numbers: Int64Array = (first..).take(rows).collect::<Vec<_>>().into();
        let formed = form(vec![Unsorted {
            columns: vec![Column::new(Arc::new(numbers))],
            key_columns: 1,
            orders: None,
            times: vec![time; rows].into(),
            counts: vec![1; rows].into(),
            sums: Vec::new(),
        }]);
        formed.expect("rows")
    }

    fn published(rows: Vec<Published>) -> Vec<Publication> {
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, false)]);
        vec![Publication {
            view: 1,
            shape: Arc::new(OutputShape::new(Arc::new(schema), &[0])),
            share: Share {
                rows,
                errors: Vec::new(),
            },
            arranged: Vec::new(),
            changes: OnceCell::new(),
        }]
    }

    #[test]
    fn what_readers_hold_beside_a_view_counts_once_and_as_long_as_they_do() {
        let progress = Progress::new(1, 0, Box::new(|_| {}));
        let (shared, old, new) = (chunk(0, 100, 1), chunk(100, 50, 1), chunk(100, 60, 2));
        let batch = Arc::new(vec![shared.clone(), old.clone()]);
        progress.publish(0, 1, None, published(vec![batch]));
        let readers = [progress.read(), progress.read()];
        assert_eq!(progress.retired_bytes(), 0, "it is still in the view");
        let batch = Arc::new(vec![shared.clone(), new]);
        progress.publish(0, 2, None, published(vec![batch]));
        let expected = body_bytes(old.body()) as u64;
        assert_eq!(progress.retired_bytes(), expected);
        progress.withdraw(1);
        let expected = expected + body_bytes(shared.body()) as u64;
        assert_eq!(progress.retired_bytes(), expected);
        drop(readers);
        assert_eq!(progress.retired_bytes(), 0);
    }

    #[test]
    fn a_subscription_that_begins_while_a_worker_is_ahead_holds_only_what_is_ahead() {
        let progress = Progress::new(2, 0, Box::new(|_| {}));
        let (settled, ahead) = (chunk(0, 4000, 1), chunk(9000, 3, 2));
        let rows = vec![
            Arc::new(vec![settled.clone(), chunk(5000, 5, 2)]),
            Arc::new(vec![settled]),
            Arc::new(vec![ahead.clone()]),
        ];
        progress.publish(0, 2, None, published(rows));
        progress.publish(1, 1, None, published(Vec::new()));
        let (_, timestamp_ms, queue) = progress.subscribe(1).expect("a view");
        assert_eq!(timestamp_ms, 1);
        let waiting: Vec<usize> = lock(&queue)
            .waiting()
            .map(|chunks| chunks.iter().map(Chunk::rows).sum())
            .collect();
        assert_eq!(waiting, [5, 3]);
        // In no view any more, it is the subscriber's alone.
        progress.publish(0, 3, None, published(Vec::new()));
        assert!(progress.retired_bytes() >= body_bytes(ahead.body()) as u64);
        drop(queue);
        assert_eq!(progress.retired_bytes(), 0);
    }

    #[test]
    fn what_rows_come_to_takes_memory_once_it_is_known() {
        let chunk = chunk(0, 10, 1);
        assert_eq!(summary_bytes(&chunk), 0);
        let term = Term {
            argument: Some(0),
            filter: None,
            has_ends: false,
        };
        chunk.summary(&[term]);
        let one = summary_bytes(&chunk);
        let other = self::chunk(0, 10, 1);
        other.summary(&[term, term]);
        assert!(0 < one && one < summary_bytes(&other));
    }
}
