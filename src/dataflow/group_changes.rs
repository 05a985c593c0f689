//! What changes in a view whose rows are read off groups, for those who have subscribed.
//!
//! The arrangement tells which groups change. The rows that go and come are made from it only
//! where somebody wants to know.

use std::cmp::Ordering;
use std::sync::Arc;

use super::arrange::form_updates;
use super::changes::Piece;
use super::chunk::Chunk;
use super::cursor::{Reader, drain_hash, seek_all};
use super::grouping::{FoundGroups, Grouping};
use super::lane::{Lane, Pick};
use super::output::OutputShape;
use super::updates::{Updates, batch};

/// The rows that go and come with changes of groups, arranged as a view of this shape is where it
/// has rows of its own. The changes are all of the same times, which the arrangement still tells
/// apart.
pub(super) fn group_changes(
    arrangement: &[Arc<Vec<Chunk>>],
    changes: &[Piece],
    grouping: &Grouping,
    shape: &OutputShape,
) -> Option<Piece> {
    let Piece {
        after_ms, until_ms, ..
    } = *changes.first()?;
    let reader = Reader::new(arrangement.iter().map(|chunks| &chunks[..]));
    let mut states = States::new(&reader, after_ms);
    let mut cursors = reader.cursors.clone();
    let mut rows = Vec::new();
    for hash in changed_hashes(changes) {
        rows.clear();
        seek_all(&mut cursors, hash);
        drain_hash(&mut cursors, hash, &mut rows);
        rows.retain(|pick| states.time(pick) <= until_ms);
        states.add_groups(&mut rows);
    }
    if states.times.is_empty() {
        return None;
    }
    let all: Vec<usize> = (0..grouping.columns.len()).collect();
    let arrays = grouping.gather(&all, &reader.bodies, states.found);
    let rows = states.times.len();
    let updates = Updates {
        rows: batch(Arc::clone(&shape.schema), arrays, rows),
        times: states.times.into(),
        counts: states.signs.into(),
    };
    let chunk = form_updates(&updates, &OutputShape::layout(&shape.schema, &shape.key))?;
    Some(Piece {
        chunks: Arc::new(vec![chunk]),
        after_ms,
        until_ms,
    })
}

/// The hashes of the groups that change, in ascending order.
fn changed_hashes(changes: &[Piece]) -> Vec<u64> {
    let mut hashes = Vec::new();
    for piece in changes {
        let is_within = |time: u64| time > piece.after_ms && time <= piece.until_ms;
        for body in piece.chunks.iter().map(Chunk::body) {
            match &body.times {
                Lane::Constant(time, _) if !is_within(*time) => {}
                times => {
                    let rows = times.iter().zip(body.hashes.iter());
                    let rows = rows.filter(|(time, _)| is_within(*time));
                    hashes.extend(rows.map(|(_, hash)| *hash));
                }
            }
        }
    }
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// The states of groups before and after each change.
struct States<'a> {
    reader: &'a Reader<'a>,
    after_ms: u64,
    found: FoundGroups,
    times: Vec<u64>,
    signs: Vec<i64>,
}

impl<'a> States<'a> {
    fn new(reader: &'a Reader<'a>, after_ms: u64) -> States<'a> {
        States {
            reader,
            after_ms,
            found: FoundGroups::default(),
            times: Vec::new(),
            signs: Vec::new(),
        }
    }

    fn time(&self, pick: &Pick) -> u64 {
        self.reader.body(*pick).times.get(pick.row as usize)
    }

    /// Takes in all rows of one hash.
    fn add_groups(&mut self, rows: &mut [Pick]) {
        let reader = self.reader;
        rows.sort_by(|left, right| {
            let ordering = reader.compare(*left, *right);
            ordering.then_with(|| self.time(left).cmp(&self.time(right)))
        });
        let is_same = |left: &Pick, right: &Pick| reader.compare(*left, *right) == Ordering::Equal;
        for group in rows.chunk_by(is_same) {
            self.add_steps(group);
        }
    }

    /// Takes in the rows of a group in order of time.
    fn add_steps(&mut self, group: &[Pick]) {
        let mut old = group.partition_point(|pick| self.time(pick) <= self.after_ms);
        while old < group.len() {
            let time_ms = self.time(&group[old]);
            let new = group.partition_point(|pick| self.time(pick) <= time_ms);
            self.add_state(&group[..old], time_ms, -1);
            self.add_state(&group[..new], time_ms, 1);
            old = new;
        }
    }

    fn add_state(&mut self, rows: &[Pick], time_ms: u64, sign: i64) {
        let count = |pick: &Pick| self.reader.body(*pick).counts.get(pick.row as usize);
        if rows.iter().map(count).sum::<i64>() != 0 {
            self.found.push(rows);
            self.times.push(time_ms);
            self.signs.push(sign);
        }
    }
}
