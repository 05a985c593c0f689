//! Which dataflows a transaction touches.
//!
//! A dataflow that is told of a time runs nearly all of its operators, although there is nothing
//! to do: one that reads none of the tables that change is left where it is. Dataflows that read
//! each other, or an index in common, wait for each other's times, so that all that are connected
//! are told together. What depends on the clock is told every time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::command::TableChange;
use super::render::{CLOCK, IndexName};
use super::running::{Flow, RunningView, SharedIndex};

/// The tables of a dataflow and of all that are connected with it.
#[derive(Debug, Default)]
pub struct Watched(HashSet<Arc<str>>);

impl Watched {
    /// Whether a transaction with these changes concerns any of them.
    pub fn is_touched(&self, changes: &[TableChange]) -> bool {
        let is_watched = |change: &TableChange| self.0.contains(&change.table);
        self.0.contains(CLOCK) || changes.iter().any(is_watched)
    }
}

/// Tells all dataflows what they watch; to be called whenever one comes or goes.
pub fn watch(
    views: &mut BTreeMap<u64, RunningView>,
    indexes: &mut HashMap<IndexName, SharedIndex>,
) {
    let parts = parts(views, indexes);
    let views = views.values_mut().map(|view| &mut view.flow);
    let flows = views.chain(indexes.values_mut().map(|index| &mut index.flow));
    for (flow, watched) in flows.zip(connect(&parts)) {
        flow.watched = watched;
    }
}

/// The dataflows in their order: those of views, then those of indexes.
fn parts(
    views: &BTreeMap<u64, RunningView>,
    indexes: &HashMap<IndexName, SharedIndex>,
) -> Vec<Part> {
    let view_places: HashMap<u64, usize> = views.keys().copied().zip(0..).collect();
    let index_places: HashMap<&IndexName, usize> = indexes.keys().zip(views.len()..).collect();
    let links = |reads: &[u64], names: &[IndexName]| -> Vec<usize> {
        let reads = reads.iter().filter_map(|view| view_places.get(view));
        let names = names.iter().filter_map(|name| index_places.get(name));
        reads.chain(names).copied().collect()
    };
    let of_views = views
        .values()
        .map(|view| Part::new(&view.flow, links(&view.reads, &view.indexes)));
    let of_indexes = indexes
        .values()
        .map(|index| Part::new(&index.flow, links(&index.reads, &[])));
    of_views.chain(of_indexes).collect()
}

/// A dataflow among others.
struct Part {
    tables: Vec<Arc<str>>,
    /// The places of those that it reads.
    links: Vec<usize>,
}

impl Part {
    fn new(flow: &Flow, links: Vec<usize>) -> Part {
        Part {
            tables: flow.inputs.keys().cloned().collect(),
            links,
        }
    }
}

/// What each of several dataflows watches.
fn connect(parts: &[Part]) -> Vec<Arc<Watched>> {
    // The least place spreads along the links until all that are connected have it.
    let mut groups: Vec<usize> = (0..parts.len()).collect();
    let mut has_changed = true;
    while has_changed {
        has_changed = false;
        for (place, part) in parts.iter().enumerate() {
            for other in &part.links {
                let (one, two) = (groups[place], groups[*other]);
                has_changed |= one != two;
                groups[place] = one.min(two);
                groups[*other] = one.min(two);
            }
        }
    }
    let mut watched: Vec<Watched> = parts.iter().map(|_| Watched::default()).collect();
    for (part, group) in parts.iter().zip(&groups) {
        watched[*group].0.extend(part.tables.iter().cloned());
    }
    let watched: Vec<Arc<Watched>> = watched.into_iter().map(Arc::new).collect();
    let of_group = |group: &usize| Arc::clone(&watched[*group]);
    groups.iter().map(of_group).collect()
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Schema;
    use arrow::record_batch::RecordBatch;

    use super::*;

    fn part(tables: &[&str], links: &[usize]) -> Part {
        Part {
            tables: tables.iter().map(|table| Arc::from(*table)).collect(),
            links: links.to_vec(),
        }
    }

    fn change(table: &str) -> TableChange {
        TableChange {
            table: table.into(),
            rows: RecordBatch::new_empty(Arc::new(Schema::empty())),
            counts: None,
        }
    }

    #[test]
    fn what_is_connected_is_touched_together_and_the_rest_is_not() {
        let parts = [
            part(&["a"], &[]),
            part(&["b"], &[]),
            // Reads the first by way of the one behind.
            part(&["c"], &[3]),
            part(&[], &[0]),
            part(&[CLOCK, "d"], &[]),
        ];
        let watched = connect(&parts);
        let touched = |table: &str| -> Vec<bool> {
            let changes = [change(table)];
            let watched = watched.iter();
            watched.map(|one| one.is_touched(&changes)).collect()
        };
        assert_eq!(touched("a"), [true, false, true, true, true]);
        assert_eq!(touched("b"), [false, true, false, false, true]);
        assert_eq!(touched("c"), [true, false, true, true, true]);
        assert_eq!(touched("d"), [false, false, false, false, true]);
    }
}
