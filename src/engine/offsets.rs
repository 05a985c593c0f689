//! Which transactions of the log a moment holds.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The timestamps of the newest transactions with their places in the log, as far back as the
/// newest moment that is complete in all views.
pub struct Offsets(Mutex<VecDeque<Known>>);

/// From a timestamp on, all transactions before an offset are there.
struct Known {
    timestamp_ms: u64,
    next_offset: u64,
}

/// Where a transaction is in the log.
#[derive(Clone, Copy)]
pub struct Place {
    pub offset: u64,
    pub timestamp_ms: u64,
}

impl Offsets {
    /// Those of a log that ends at an offset, with a timestamp (ms).
    pub fn new(timestamp_ms: u64, next_offset: u64) -> Offsets {
        Offsets(Mutex::new(VecDeque::from([Known {
            timestamp_ms,
            next_offset,
        }])))
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<Known>> {
        // Consistent after every statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a transaction, before the workers are told of it.
    pub fn add(&self, place: Place) {
        self.known().push_back(Known {
            timestamp_ms: place.timestamp_ms,
            next_offset: place.offset + 1,
        });
    }

    /// The offset before which all transactions up to a timestamp (ms) are; `None` if that is not
    /// known any more.
    pub fn at(&self, timestamp_ms: u64) -> Option<u64> {
        let known = self.known();
        let behind = known.partition_point(|one| one.timestamp_ms <= timestamp_ms);
        Some(known.get(behind.checked_sub(1)?)?.next_offset)
    }

    /// Forgets what only earlier moments need.
    pub fn forget_before(&self, timestamp_ms: u64) {
        let mut known = self.known();
        let is_needless = |second: &Known| second.timestamp_ms <= timestamp_ms;
        while known.get(1).is_some_and(is_needless) {
            known.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_holds_the_transactions_up_to_it() {
        let offsets = Offsets::new(10, 4);
        for (offset, timestamp_ms) in [(4, 20), (5, 21)] {
            offsets.add(Place {
                offset,
                timestamp_ms,
            });
        }
        let at = [9, 10, 19, 20, 21, 99].map(|timestamp_ms| offsets.at(timestamp_ms));
        assert_eq!(at, [None, Some(4), Some(4), Some(5), Some(6), Some(6)]);
        offsets.forget_before(20);
        let at = [19, 20, 21].map(|timestamp_ms| offsets.at(timestamp_ms));
        assert_eq!(at, [None, Some(5), Some(6)]);
        offsets.forget_before(99);
        assert_eq!(offsets.at(99), Some(6));
    }
}
