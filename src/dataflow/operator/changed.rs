//! Finding the groups of an arrangement that new batches change.

use super::super::ahead::Ahead;
use super::super::cursor::{Cursor, Reader, drain_hash};
use super::super::lane::Pick;
use super::accumulate::bring_forward;

/// A key with new rows.
pub struct ChangedGroup<'a> {
    /// A row of the group, for its key.
    pub key: Pick,
    /// The hash of the key.
    pub hash: u64,
    /// The new rows.
    pub rows: &'a [Pick],
    /// Their times in ascending order.
    pub times: &'a [u64],
    /// Whether all of them are added.
    pub only_grows: bool,
    /// How many of the batches are new; they come first.
    pub novel_batches: usize,
    /// All batches at their first row of this hash, as far as they have one.
    cursors: &'a [Cursor<'a>],
}

impl<'a> ChangedGroup<'a> {
    /// Where each batch's rows of this hash begin; `None` for batches without such rows.
    pub fn starts(&self) -> impl Iterator<Item = Option<Cursor<'a>>> {
        let hash = self.hash;
        let cursors = self.cursors.iter();
        cursors.map(move |cursor| (cursor.hash() == Some(hash)).then(|| cursor.clone()))
    }

    /// The first row of this hash, or the last one, in each of the batches that are not new and
    /// have such rows.
    pub fn earlier_starts(&self, from_end: bool) -> impl Iterator<Item = Cursor<'a>> {
        let hash = self.hash;
        let cursors = self.cursors[self.novel_batches..].iter();
        let cursors = cursors.filter(move |cursor| cursor.hash() == Some(hash));
        cursors.map(move |cursor| {
            let mut start = cursor.clone();
            if from_end {
                start.pass(hash);
                start.step_back();
            }
            start
        })
    }
}

/// Visits the groups that have rows in the first `novel_batches` of the batches being read.
pub fn for_each_changed_group(
    reader: &Reader,
    novel_batches: usize,
    mut visit: impl FnMut(&ChangedGroup),
) {
    let novel = reader.cursors[..novel_batches].to_vec();
    let mut ahead = Ahead::new(novel, reader.cursors.clone());
    let mut rows: Vec<Pick> = Vec::new();
    let mut times: Vec<u64> = Vec::new();
    while let Some((hash, cursors)) = ahead.next_hash() {
        let cursors = &*cursors;
        rows.clear();
        for cursor in &cursors[..novel_batches] {
            drain_hash(&mut [cursor.clone()], hash, &mut rows);
        }
        let mut start = 0;
        while let Some(key) = rows.get(start).copied() {
            let is_same = |pick: &Pick| reader.same_key(*pick, key);
            let end = start + bring_forward(&mut rows[start..], is_same);
            let group = &rows[start..end];
            let time = |pick: &Pick| reader.body(*pick).times.get(pick.row as usize);
            let count = |pick: &Pick| reader.body(*pick).counts.get(pick.row as usize);
            times.clear();
            times.extend(group.iter().map(time));
            times.sort_unstable();
            times.dedup();
            visit(&ChangedGroup {
                key,
                hash,
                rows: group,
                times: &times,
                only_grows: group.iter().all(|pick| count(pick) > 0),
                novel_batches,
                cursors,
            });
            start = end;
        }
    }
}
