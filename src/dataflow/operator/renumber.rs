//! Numbers all rows of each ordered group: `ROW_NUMBER()` without a bound.
//!
//! A change numbers the rows from it on anew, up to where they stand as they did before: what
//! comes before the first changed row is counted, not read.

use std::cmp::Ordering;
use std::ops::Range;

use arrow::datatypes::SchemaRef;

use super::super::arrange::{Changes, Index};
use super::super::cursor::Reader;
use super::super::lane::Pick;
use super::changed::for_each_changed_group;
use super::chosen::Chosen;
use super::group::Walk;
use super::positions::Positions;
use super::stateful::react_to_batches;

/// Rows given on at once.
const ROWS_AT_ONCE: usize = 8192;

/// Emits the rows of each group: the arrangement's columns at `columns`, and the row's position
/// in its group, from 1.
pub fn renumber<'scope>(
    index: Index<'scope>,
    name: &str,
    schema: SchemaRef,
    columns: Vec<usize>,
) -> Changes<'scope> {
    react_to_batches(index, name, move |novel, earlier, emit| {
        let batches = novel.iter().chain(earlier);
        let reader = Reader::new(batches.map(|batch| &batch.chunks[..]));
        let mut chosen = Chosen::default();
        for_each_changed_group(&reader, novel.len(), |group| {
            let walk = Walk {
                reader: &reader,
                group,
            };
            renumber_group(&walk, &mut chosen);
            if chosen.picks.len() >= ROWS_AT_ONCE {
                std::mem::take(&mut chosen).give(&reader, &schema, &columns, true, emit);
            }
        });
        if !chosen.picks.is_empty() {
            chosen.give(&reader, &schema, &columns, true, emit);
        }
    })
}

/// Emits the numbers of a group that change.
pub fn renumber_group(walk: &Walk, chosen: &mut Chosen) {
    let positions = Positions::new(walk.reader, walk.group, &[]);
    let mut before = None;
    for time in walk.group.times {
        walk.renumber(&positions, [before, Some(*time)], *time, chosen);
        before = Some(*time);
    }
}

impl Walk<'_> {
    /// Emits the numbers that differ between two times, of which the second one is `time`.
    fn renumber(
        &self,
        positions: &Positions,
        between: [Option<u64>; 2],
        time: u64,
        chosen: &mut Chosen,
    ) {
        let changed = self.changed_rows(time);
        let (Some(first), Some(last)) = (changed.first(), changed.last()) else {
            return;
        };
        let is_before = |pick: Pick| self.reader.compare(pick, *first) == Ordering::Less;
        let before = positions.tally(&positions.place(is_before), between[0]);
        let mut places = self.behind(is_before);
        let (mut old, mut new) = (before.copies, before.copies);
        while let Some((row, [old_copies, new_copies])) = self.next_counts(&mut places, between) {
            let is_behind = self.reader.compare(row, *last) == Ordering::Greater;
            if is_behind && old == new {
                return;
            }
            let (gone, come) = (old..old + old_copies.max(0), new..new + new_copies.max(0));
            for position in without(&gone, &come) {
                chosen.push(row, time, -1, position as u64 + 1);
            }
            for position in without(&come, &gone) {
                chosen.push(row, time, 1, position as u64 + 1);
            }
            (old, new) = (gone.end, come.end);
        }
    }
}

/// The numbers of a range that are not in another.
fn without(range: &Range<i64>, other: &Range<i64>) -> impl Iterator<Item = i64> {
    let other = other.clone();
    range.clone().filter(move |number| !other.contains(number))
}
