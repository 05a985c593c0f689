//! Rows that a table has let go of and that readers still hold.

use std::sync::{Arc, Weak};

use super::segment::Segment;
use super::snapshot::TableReader;
use super::store::TableStore;

/// Segments that are in no table any more, as long as a reader holds them.
#[derive(Default)]
pub struct Retired(Vec<Weak<Segment>>);

impl Retired {
    /// Takes note of segments that a table lets go of.
    pub(super) fn add<'s>(&mut self, segments: impl IntoIterator<Item = &'s Arc<Segment>>) {
        self.0.retain(|segment| segment.strong_count() > 0);
        self.0.extend(segments.into_iter().map(Arc::downgrade));
    }

    /// Takes note of a table that is gone.
    pub fn take_in(&mut self, table: &TableStore) {
        let mut state = table.shared.write();
        self.0.append(&mut state.retired.0);
        self.add(state.segments.iter());
    }

    /// The memory of what readers still hold, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        let held = self.0.iter().filter_map(Weak::upgrade);
        held.map(|segment| segment.memory_bytes() as u64).sum()
    }
}

impl TableReader {
    /// The memory in bytes of rows that are not in the table any more and that readers still hold.
    pub fn retired_bytes(&self) -> u64 {
        self.shared.read().retired.memory_bytes()
    }
}
