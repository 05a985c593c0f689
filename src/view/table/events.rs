//! The identities of events that have been seen: for ever, or for a window of time.
//!
//! With a window they are kept by generations, each of an eighth of it, and forgotten by whole
//! generations once every event of one is older than the window. What is remembered depends on the
//! transactions and their timestamps alone, so replaying them remembers the same.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, AsArray, FixedSizeBinaryBuilder, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, UInt64Type};
use arrow::error::ArrowError;
use hashbrown::HashTable;

/// Generations that a window is divided into.
const GENERATIONS: u64 = 8;

/// The bytes of a fingerprint.
const FINGERPRINT_BYTES: i32 = 16;

/// Fingerprints of events; uniform already, so they are hashed by taking half of them.
type Fingerprints = HashTable<u128>;

/// Half of a fingerprint, as its hash.
fn hash(event: &u128) -> u64 {
    *event as u64
}

/// The events of a table that have been seen.
#[derive(Default)]
pub(super) struct Events {
    /// The oldest first; without a window there is one at most.
    generations: VecDeque<Generation>,
    /// How long events are remembered, in milliseconds; `None`: for ever.
    window_ms: Option<u64>,
    /// Whether there ever was a window: then rows do not tell which events are remembered.
    is_listed: bool,
}

/// Events that were seen from one moment until the next generation begins.
#[derive(Clone)]
struct Generation {
    since_ms: u64,
    /// Shared with checkpoints being written.
    seen: Arc<Fingerprints>,
}

impl Events {
    /// Whether an event has been seen and is remembered.
    pub(super) fn contains(&self, event: u128) -> bool {
        let mut generations = self.generations.iter().rev();
        generations.any(|generation| has(&generation.seen, event))
    }

    /// Forgets what is older than the window at a timestamp (ms).
    pub(super) fn forget(&mut self, timestamp_ms: u64) {
        let (Some(window_ms), Some(step_ms)) = (self.window_ms, self.step_ms()) else {
            return;
        };
        let age_ms = window_ms.saturating_add(step_ms);
        while let Some(oldest) = self.generations.front()
            && oldest.since_ms.saturating_add(age_ms) <= timestamp_ms
        {
            self.generations.pop_front();
        }
    }

    /// Remembers events that were seen for the first time at a timestamp (ms).
    pub(super) fn insert(&mut self, events: Vec<u128>, timestamp_ms: u64) {
        if events.is_empty() {
            return;
        }
        let step_ms = self.step_ms();
        let is_over = self.generations.back().is_none_or(|newest| {
            step_ms.is_some_and(|step_ms| newest.since_ms.saturating_add(step_ms) <= timestamp_ms)
        });
        if is_over {
            self.begin(timestamp_ms);
        }
        if let Some(newest) = self.generations.back_mut() {
            let seen = Arc::make_mut(&mut newest.seen);
            seen.reserve(events.len(), hash);
            for event in events {
                seen.insert_unique(hash(&event), event, hash);
            }
        }
    }

    /// How long a generation lasts.
    fn step_ms(&self) -> Option<u64> {
        let step = |window_ms: u64| (window_ms / GENERATIONS).max(1);
        self.window_ms.map(step)
    }

    fn begin(&mut self, since_ms: u64) {
        self.generations.push_back(Generation {
            since_ms,
            seen: Arc::default(),
        });
    }

    /// Remembers events for a time (ms) from now on, `None`: for ever. What was seen before the
    /// first window counts as seen at `timestamp_ms`.
    pub(super) fn set_window(&mut self, window_ms: Option<u64>, timestamp_ms: u64) {
        if !self.is_listed {
            for generation in &mut self.generations {
                generation.since_ms = timestamp_ms;
            }
        }
        self.is_listed = true;
        self.window_ms = window_ms;
    }

    /// Whether a checkpoint lists what is remembered.
    pub(super) fn is_listed(&self) -> bool {
        self.is_listed
    }

    /// How many events are remembered.
    pub(super) fn len(&self) -> usize {
        self.generations.iter().map(|one| one.seen.len()).sum()
    }

    /// Their memory in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        let generations = self.generations.iter();
        generations.map(|one| one.seen.allocation_size()).sum()
    }

    /// What is remembered, for a checkpoint; nothing if rows tell it.
    pub(super) fn listed(&self) -> ListedEvents {
        ListedEvents(match self.is_listed {
            true => self.generations.iter().cloned().collect(),
            false => Vec::new(),
        })
    }

    /// Puts back what a checkpoint lists, in its order.
    pub(super) fn restore(&mut self, events: &RecordBatch) -> Result<(), ArrowError> {
        let wrong = || ArrowError::SchemaError("these are no remembered events".to_owned());
        if events.schema() != schema() {
            return Err(wrong());
        }
        let fingerprints = events.column(0).as_fixed_size_binary();
        let since = events.column(1).as_primitive::<UInt64Type>();
        for row in 0..events.num_rows() {
            let bytes = fingerprints.value(row).try_into().map_err(|_| wrong())?;
            let since_ms = since.value(row);
            if self
                .generations
                .back()
                .is_none_or(|newest| newest.since_ms != since_ms)
            {
                self.begin(since_ms);
            }
            if let Some(newest) = self.generations.back_mut() {
                let event = u128::from_le_bytes(bytes);
                Arc::make_mut(&mut newest.seen).insert_unique(hash(&event), event, hash);
            }
        }
        Ok(())
    }
}

fn has(seen: &Fingerprints, event: u128) -> bool {
    seen.find(hash(&event), |other| *other == event).is_some()
}

/// Remembered events as of one moment.
pub(super) struct ListedEvents(Vec<Generation>);

impl ListedEvents {
    /// The events with the beginning of their generation, the oldest first.
    pub(super) fn batches(&self) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + '_ {
        self.0
            .iter()
            .filter(|one| !one.seen.is_empty())
            .map(|generation| {
                let count = generation.seen.len();
                let mut fingerprints =
                    FixedSizeBinaryBuilder::with_capacity(count, FINGERPRINT_BYTES);
                for event in generation.seen.iter() {
                    fingerprints.append_value(event.to_le_bytes())?;
                }
                let since = UInt64Array::from_value(generation.since_ms, count);
                let columns: Vec<Arc<dyn Array>> =
                    vec![Arc::new(fingerprints.finish()), Arc::new(since)];
                RecordBatch::try_new(schema(), columns)
            })
    }
}

/// The columns of listed events. The name of the first one stands for how fingerprints are made:
/// with another way it must change, and what was listed before is refused rather than mistaken.
fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![
        Field::new(
            "xxh3 of arrow row",
            DataType::FixedSizeBinary(FINGERPRINT_BYTES),
            false,
        ),
        Field::new("since_ms", DataType::UInt64, false),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_remembered_for_the_window_and_little_longer() {
        let mut events = Events::default();
        events.set_window(Some(800), 0);
        for timestamp_ms in 0..5000_u64 {
            events.forget(timestamp_ms);
            events.insert(vec![u128::from(timestamp_ms)], timestamp_ms);
            for age in [0, 1, 700, 800] {
                let seen = timestamp_ms.checked_sub(age);
                assert!(
                    seen.is_none_or(|seen| events.contains(u128::from(seen))),
                    "{age} old"
                );
            }
            assert!(timestamp_ms < 1000 || !events.contains(u128::from(timestamp_ms - 1000)));
            assert!(events.len() <= 1000, "{}", events.len());
        }
    }

    #[test]
    fn what_is_listed_comes_back_and_ages_the_same() {
        let mut events = Events::default();
        events.insert(vec![1, 2], 10);
        events.set_window(Some(80), 100);
        events.insert(vec![3], 105);
        events.insert(vec![4], 150);
        let mut restored = Events::default();
        restored.set_window(Some(80), 0);
        for batch in events.listed().batches() {
            restored.restore(&batch.expect("events")).expect("restored");
        }
        for timestamp_ms in 150..400 {
            events.forget(timestamp_ms);
            restored.forget(timestamp_ms);
            for event in 1..=4 {
                let (was, is) = (events.contains(event), restored.contains(event));
                assert_eq!(was, is, "{event} at {timestamp_ms}");
            }
        }
    }
}
