//! Finding the groups of an arrangement that new batches change.

use super::super::ahead::Ahead;
use super::super::cursor::{Cursor, Reader};
use super::super::lane::Pick;

/// A key with new rows.
pub struct ChangedGroup<'a> {
    /// A row of the group, for its key.
    pub key: Pick,
    /// The hash of the key.
    pub hash: u64,
    /// The new rows.
    pub rows: Vec<Pick>,
    /// Their times in ascending order.
    pub times: Vec<u64>,
    /// Whether all of them are added.
    pub only_grows: bool,
    /// How many of the batches are new; they come first.
    pub novel_batches: usize,
    /// All batches at their first row of this hash, as far as they have one.
    cursors: &'a [Cursor<'a>],
}

impl<'a> ChangedGroup<'a> {
    /// Where each batch's rows of this hash begin, or, from the end, the last of them; `None` for
    /// batches without such rows.
    pub fn starts(&self, from_end: bool) -> impl Iterator<Item = Option<Cursor<'a>>> {
        let hash = self.hash;
        let cursors = self.cursors.iter();
        cursors.map(move |cursor| start(cursor, hash, from_end))
    }

    /// The same of the batches that are not new, and only of those that have such rows.
    pub fn earlier_starts(&self, from_end: bool) -> impl Iterator<Item = Cursor<'a>> {
        let hash = self.hash;
        let cursors = self.cursors[self.novel_batches..].iter();
        cursors.filter_map(move |cursor| start(cursor, hash, from_end))
    }
}

/// The first or last row of a hash in a batch whose cursor stands at the first, if it has one.
fn start<'a>(cursor: &Cursor<'a>, hash: u64, from_end: bool) -> Option<Cursor<'a>> {
    if cursor.hash() != Some(hash) {
        return None;
    }
    let mut start = cursor.clone();
    if from_end {
        start.pass(hash);
        start.step_back();
    }
    Some(start)
}

/// Visits the groups that have rows in the first `novel_batches` of the batches being read.
pub fn for_each_changed_group(
    reader: &Reader,
    novel_batches: usize,
    mut visit: impl FnMut(&ChangedGroup),
) {
    let novel = reader.cursors[..novel_batches].to_vec();
    let mut ahead = Ahead::new(novel, reader.cursors.clone());
    while let Some((hash, cursors)) = ahead.next_hash() {
        for group in changed_groups(reader, cursors, novel_batches, hash) {
            visit(&group);
        }
    }
}

/// The keys of this hash that have new rows.
fn changed_groups<'a>(
    reader: &Reader,
    cursors: &'a [Cursor<'a>],
    novel_batches: usize,
    hash: u64,
) -> Vec<ChangedGroup<'a>> {
    let mut groups: Vec<ChangedGroup> = Vec::new();
    for cursor in &cursors[..novel_batches] {
        let mut cursor = cursor.clone();
        while cursor.hash() == Some(hash) {
            let pick = cursor.pick();
            let (body, row) = (reader.body(pick), pick.row as usize);
            let time = body.times.get(row);
            let is_added = body.counts.get(row) > 0;
            let mut known = groups.iter_mut();
            match known.find(|group| reader.same_key(pick, group.key)) {
                Some(group) => {
                    group.rows.push(pick);
                    group.times.push(time);
                    group.only_grows &= is_added;
                }
                None => groups.push(ChangedGroup {
                    key: pick,
                    hash,
                    rows: vec![pick],
                    times: vec![time],
                    only_grows: is_added,
                    novel_batches,
                    cursors,
                }),
            }
            cursor.step();
        }
    }
    for group in &mut groups {
        group.times.sort_unstable();
        group.times.dedup();
    }
    groups
}
