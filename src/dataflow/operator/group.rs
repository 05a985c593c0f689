//! Walking the rows of changed groups in the order of their arrangement.
//!
//! Each group of an ordered arrangement is sorted in every batch, so a walk over the batches side
//! by side gives its rows in order, from either end, without reading more of them than are asked
//! for.

use std::cmp::Ordering;

use super::super::cursor::{Cursor, Reader};
use super::super::examined::examine;
use super::super::lane::Pick;
use super::changed::ChangedGroup;

/// One group's rows in all batches.
pub struct Walk<'a> {
    pub reader: &'a Reader<'a>,
    pub group: &'a ChangedGroup<'a>,
}

/// Where a walk stands in each of the batches; `None` where it has no more rows.
pub struct Places<'a> {
    cursors: Vec<Option<Cursor<'a>>>,
    from_end: bool,
}

impl<'a> Walk<'a> {
    /// The places before all rows.
    pub fn starts(&self) -> Places<'a> {
        Places {
            cursors: self.group.starts().collect(),
            from_end: false,
        }
    }

    /// The next distinct row of the group in walking order, with its count before the new batches
    /// (`None`) or as of a time within them.
    pub fn next_row(&self, places: &mut Places<'a>, as_of: Option<u64>) -> Option<(Pick, i64)> {
        let (row, [copies]) = self.next_counts(places, [as_of])?;
        Some((row, copies))
    }

    /// The next distinct row, with its count at each of several times.
    pub fn next_counts<const N: usize>(
        &self,
        places: &mut Places<'a>,
        as_of: [Option<u64>; N],
    ) -> Option<(Pick, [i64; N])> {
        loop {
            examine(1);
            let from_end = places.from_end;
            let picks = places.cursors.iter().flatten().map(Cursor::pick);
            let first = picks.reduce(|best, pick| {
                let is_before = match from_end {
                    false => self.compare(pick, best) == Ordering::Less,
                    true => self.compare(pick, best) == Ordering::Greater,
                };
                if is_before { pick } else { best }
            })?;
            let mut counts = [0; N];
            for (batch, slot) in places.cursors.iter_mut().enumerate() {
                while let Some(cursor) = slot {
                    let pick = cursor.pick();
                    if self.compare(pick, first) != Ordering::Equal {
                        break;
                    }
                    let (body, row) = (self.reader.body(pick), pick.row as usize);
                    for (count, as_of) in counts.iter_mut().zip(as_of) {
                        let has_happened = batch >= self.group.novel_batches
                            || as_of.is_some_and(|time| body.times.get(row) <= time);
                        if has_happened {
                            *count += body.counts.get(row);
                        }
                    }
                    if !cursor.step_within_hash(from_end) {
                        *slot = None;
                    }
                }
            }
            if self.reader.same_key(first, self.group.key) {
                return Some((first, counts));
            }
        }
    }

    /// The rows of the group that change at a time, in order, each once.
    pub fn changed_rows(&self, time: u64) -> Vec<Pick> {
        let time_of = |pick: &Pick| self.reader.body(*pick).times.get(pick.row as usize);
        let rows = self.group.rows.iter().copied();
        let mut rows: Vec<Pick> = rows.filter(|pick| time_of(pick) == time).collect();
        rows.sort_by(|left, right| self.compare(*left, *right));
        rows.dedup_by(|left, right| self.is_same_row(*left, *right));
        rows
    }

    /// The place from which to walk on behind all rows for which `is_before` holds, which must be
    /// a beginning of those of the hash.
    pub fn behind(&self, is_before: impl Fn(Pick) -> bool) -> Places<'a> {
        let cursors = self.group.starts().map(|cursor| {
            let mut cursor = cursor?;
            cursor.seek_row(|pick| {
                examine(1);
                let hash = self.reader.body(pick).hashes[pick.row as usize];
                hash < self.group.hash || hash == self.group.hash && is_before(pick)
            });
            (cursor.hash() == Some(self.group.hash)).then_some(cursor)
        });
        Places {
            cursors: cursors.collect(),
            from_end: false,
        }
    }

    /// The places from which to walk away from a row: backwards without it, and forwards with it.
    pub fn around(&self, row: Pick) -> (Places<'a>, Places<'a>) {
        self.split(|pick| self.compare(pick, row) == Ordering::Less)
    }

    /// The places from which to walk backwards over the rows of a beginning of the group, and
    /// forwards over the others. The beginning is also one of the rows of other keys with the same
    /// hash, which stand among those of the group.
    pub fn split(&self, is_before: impl Fn(Pick) -> bool) -> (Places<'a>, Places<'a>) {
        // Cursors start at the first row of the hash and may look at rows behind the last.
        let is_before = |pick: Pick| {
            examine(1);
            let hash = self.reader.body(pick).hashes[pick.row as usize];
            hash == self.group.hash && is_before(pick)
        };
        let of_hash =
            |cursor: Cursor<'a>| (cursor.hash() == Some(self.group.hash)).then_some(cursor);
        let (mut back, mut forth) = (Vec::new(), Vec::new());
        for cursor in self.group.starts() {
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

    /// Compares two rows by the order of the group alone, of which the sort key stands behind the
    /// key columns.
    pub fn compare_peers(&self, left: Pick, right: Pick) -> Ordering {
        let (body, other) = (self.reader.body(left), self.reader.body(right));
        let (row, other_row) = (left.row as usize, right.row as usize);
        let orders = body.orders.get(row).cmp(&other.orders.get(other_row));
        (0..=body.key_columns).fold(orders, |ordering, column| {
            let columns = (&body.columns[column], &other.columns[column]);
            ordering.then_with(|| columns.0.compare(row, columns.1, other_row))
        })
    }

    /// Whether two rows are equal.
    pub fn is_same_row(&self, left: Pick, right: Pick) -> bool {
        left == right || self.compare(left, right) == Ordering::Equal
    }

    #[inline]
    fn compare(&self, left: Pick, right: Pick) -> Ordering {
        self.reader.compare(left, right)
    }
}
