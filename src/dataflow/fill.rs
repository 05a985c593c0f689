//! What a new dataflow is given: the rows of its tables, and what they have gone through since.

use std::collections::HashMap;
use std::sync::Arc;

use super::command::{Past, TableChange, Tables};
use super::render::TableInput;

/// A worker's place among all.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub worker: usize,
    pub workers: usize,
}

/// The inputs of a dataflow, by table.
type Inputs = HashMap<Arc<str>, TableInput>;

/// Gives a new dataflow what its tables hold.
pub fn fill(inputs: &mut Inputs, place: Place, timestamp_ms: u64, tables: &Tables) {
    for (table, input) in inputs {
        input.advance_to(timestamp_ms);
        for rows in tables.get(table).into_iter().flatten() {
            let change = TableChange {
                table: Arc::clone(table),
                rows: rows.clone(),
                counts: None,
            };
            input.send_batch(&mut change.share(place.worker, place.workers, timestamp_ms));
        }
    }
}

/// Gives a new dataflow what its tables have gone through, up to the newest timestamp: what is on
/// its way at that timestamp does not wait for it.
pub fn fill_past(inputs: &mut Inputs, place: Place, past: &Past, newest_ms: u64) {
    for (timestamp_ms, changes) in past {
        for change in changes {
            if let Some(input) = inputs.get_mut(&change.table) {
                input.advance_to(*timestamp_ms);
                input.send_batch(&mut change.share(place.worker, place.workers, *timestamp_ms));
            }
        }
    }
    for input in inputs.values_mut() {
        input.advance_to(newest_ms + 1);
    }
}
