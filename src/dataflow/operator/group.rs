//! Walking the rows of changed groups in the order of their arrangement.
//!
//! Each group of an ordered arrangement is sorted in every batch, so a walk over the batches side
//! by side gives its rows in order, from either end, without reading more of them than are asked
//! for.

use std::cmp::Ordering;

use super::super::cursor::{Cursor, Reader, least_hash};
use super::super::lane::Pick;

/// A key with new rows, and their times in ascending order.
pub struct ChangedGroup {
    /// A row of the group.
    pub key: Pick,
    /// When it changes.
    pub times: Vec<u64>,
}

/// One group's rows in all batches.
pub struct Walk<'a> {
    pub reader: &'a Reader<'a>,
    pub group: &'a ChangedGroup,
    hash: u64,
    novel_batches: usize,
    starts: Places<'a>,
}

/// Where a walk stands in each of the batches; `None` where it has no more rows.
#[derive(Clone)]
pub struct Places<'a> {
    cursors: Vec<Option<Cursor<'a>>>,
    from_end: bool,
}

/// Visits the groups that have rows in the first `novel_batches` of the batches being read.
pub fn for_each_changed_group<'a>(
    reader: &'a Reader<'a>,
    novel_batches: usize,
    from_end: bool,
    mut visit: impl FnMut(&Walk),
) {
    let mut cursors = reader.cursors.clone();
    while let Some(hash) = least_hash(&cursors[..novel_batches]) {
        for cursor in &mut cursors {
            cursor.seek(hash);
        }
        for group in changed_groups(reader, &cursors[..novel_batches], hash) {
            visit(&Walk {
                reader,
                group: &group,
                hash,
                novel_batches,
                starts: starts(&cursors, hash, from_end),
            });
        }
        for cursor in &mut cursors[..novel_batches] {
            pass(cursor, hash);
        }
    }
}

/// The keys of this hash that have new rows.
fn changed_groups(reader: &Reader, novel: &[Cursor], hash: u64) -> Vec<ChangedGroup> {
    let mut groups: Vec<ChangedGroup> = Vec::new();
    for cursor in novel {
        let mut cursor = cursor.clone();
        while cursor.hash() == Some(hash) {
            let pick = cursor.pick();
            let (body, row) = (reader.body(pick), pick.row as usize);
            let time = body.times.get(row);
            let known = groups.iter_mut().find(|group| {
                let key = group.key;
                body.same_key(row, reader.body(key), key.row as usize)
            });
            match known {
                Some(group) => group.times.push(time),
                None => groups.push(ChangedGroup {
                    key: pick,
                    times: vec![time],
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

fn pass(cursor: &mut Cursor, hash: u64) {
    match hash.checked_add(1) {
        Some(next) => cursor.seek(next),
        None => {
            while cursor.hash().is_some() {
                cursor.step();
            }
        }
    }
}

/// Where each batch's rows of this hash begin, or, from the end, the last of them; `None` for
/// batches without such rows.
fn starts<'a>(cursors: &[Cursor<'a>], hash: u64, from_end: bool) -> Places<'a> {
    let cursors = cursors.iter().map(|cursor| {
        let mut start = cursor.clone();
        if start.hash() != Some(hash) {
            return None;
        }
        if from_end {
            pass(&mut start, hash);
            start.step_back();
        }
        Some(start)
    });
    Places {
        cursors: cursors.collect(),
        from_end,
    }
}

impl<'a> Walk<'a> {
    /// The places from which a walk begins.
    pub fn starts(&self) -> Places<'a> {
        self.starts.clone()
    }

    /// The next distinct row of the group in walking order, with its count before the new batches
    /// (`None`) or as of a time within them.
    pub fn next_row(&self, places: &mut Places<'a>, as_of: Option<u64>) -> Option<(Pick, i64)> {
        loop {
            let from_end = places.from_end;
            let picks = places.cursors.iter().flatten().map(Cursor::pick);
            let first = picks.reduce(|best, pick| {
                let is_before = match from_end {
                    false => self.compare(pick, best) == Ordering::Less,
                    true => self.compare(pick, best) == Ordering::Greater,
                };
                if is_before { pick } else { best }
            })?;
            let mut copies = 0;
            for (batch, slot) in places.cursors.iter_mut().enumerate() {
                while let Some(cursor) = slot {
                    let pick = cursor.pick();
                    if self.compare(pick, first) != Ordering::Equal {
                        break;
                    }
                    let (body, row) = (self.reader.body(pick), pick.row as usize);
                    let has_happened = batch >= self.novel_batches
                        || as_of.is_some_and(|time| body.times.get(row) <= time);
                    if has_happened {
                        copies += body.counts.get(row);
                    }
                    advance(slot, from_end);
                }
            }
            if self.is_of_group(first) {
                return Some((first, copies));
            }
        }
    }

    /// The rows of the group that change at a time, in order, each once.
    pub fn changed_rows(&self, time: u64) -> Vec<Pick> {
        let mut rows = Vec::new();
        for mut cursor in self.first_rows().take(self.novel_batches).flatten() {
            while cursor.hash() == Some(self.hash) {
                let pick = cursor.pick();
                let happens = self.reader.body(pick).times.get(pick.row as usize) == time;
                if happens && self.is_of_group(pick) {
                    rows.push(pick);
                }
                cursor.step();
            }
        }
        rows.sort_by(|left, right| self.compare(*left, *right));
        rows.dedup_by(|left, right| self.is_same_row(*left, *right));
        rows
    }

    /// The places from which to walk away from a row: backwards without it, and forwards with it.
    pub fn around(&self, row: Pick) -> (Places<'a>, Places<'a>) {
        let is_before = |pick: Pick| {
            let (body, target) = (self.reader.body(pick), self.reader.body(row));
            body.compare_rows(pick.row as usize, target, row.row as usize) == Ordering::Less
        };
        let of_hash = |cursor: Cursor<'a>| (cursor.hash() == Some(self.hash)).then_some(cursor);
        let (mut back, mut forth) = (Vec::new(), Vec::new());
        for cursor in self.first_rows() {
            let sought = cursor.map(|mut cursor| {
                cursor.seek_row(is_before);
                cursor
            });
            let mut previous = sought.clone();
            let has_previous = previous.as_mut().is_some_and(Cursor::step_back);
            back.push(previous.filter(|_| has_previous).and_then(of_hash));
            forth.push(sought.and_then(of_hash));
        }
        let back = Places {
            cursors: back,
            from_end: true,
        };
        let forth = Places {
            cursors: forth,
            from_end: false,
        };
        (back, forth)
    }

    /// For each batch its first row of this hash; only for walks from the beginning.
    fn first_rows(&self) -> impl Iterator<Item = Option<Cursor<'a>>> {
        debug_assert!(!self.starts.from_end, "the walk begins with the first rows");
        self.starts.cursors.iter().cloned()
    }

    fn is_of_group(&self, pick: Pick) -> bool {
        let key = self.group.key;
        let (body, of) = (self.reader.body(pick), self.reader.body(key));
        body.same_key(pick.row as usize, of, key.row as usize)
    }

    /// Whether one row comes before another in walking order.
    pub fn is_before(&self, left: Pick, right: Pick) -> bool {
        match self.starts.from_end {
            false => self.compare(left, right) == Ordering::Less,
            true => self.compare(left, right) == Ordering::Greater,
        }
    }

    /// Whether two rows are equal.
    pub fn is_same_row(&self, left: Pick, right: Pick) -> bool {
        left == right || self.compare(left, right) == Ordering::Equal
    }

    #[inline]
    fn compare(&self, left: Pick, right: Pick) -> Ordering {
        self.reader.body(left).compare_within_hash(
            left.row as usize,
            self.reader.body(right),
            right.row as usize,
        )
    }
}

/// Moves on within the rows of one hash.
fn advance(slot: &mut Option<Cursor>, from_end: bool) {
    let Some(cursor) = slot else { return };
    let hash = cursor.hash();
    let has_moved = match from_end {
        false => {
            cursor.step();
            true
        }
        true => cursor.step_back(),
    };
    if !has_moved || cursor.hash() != hash {
        *slot = None;
    }
}
