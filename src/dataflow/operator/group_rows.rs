//! The rows of one group of a sorted arrangement, read from either end as of any new time.
//!
//! The earlier batches are merged once and only as far as somebody asks, whatever the number of
//! new times; the few new rows are merged in for each of them.

use std::cmp::Ordering;

use super::super::cursor::{Cursor, Reader};
use super::super::examined::examine;
use super::super::lane::Pick;

/// The order in which a group's rows are walked.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    pub reader: &'a Reader<'a>,
    /// From the end rather than from the beginning.
    pub from_end: bool,
    /// How many of the first columns tell rows apart, see
    /// [`telling_columns`](super::super::arrange::Layout::telling_columns).
    pub columns: usize,
}

impl Order<'_> {
    /// How two rows of one hash follow each other.
    #[inline]
    pub fn compare(&self, left: Pick, right: Pick) -> Ordering {
        let ordering = self.reader.compare_first(left, right, self.columns);
        match self.from_end {
            false => ordering,
            true => ordering.reverse(),
        }
    }

    /// Whether a row comes before another.
    #[inline]
    pub fn is_before(&self, left: Pick, right: Pick) -> bool {
        self.compare(left, right) == Ordering::Less
    }

    /// Whether two rows are the same but for time and count.
    #[inline]
    pub fn is_same(&self, left: Pick, right: Pick) -> bool {
        left == right || self.compare(left, right) == Ordering::Equal
    }
}

/// A group's rows in walking order.
pub struct GroupRows<'a> {
    order: Order<'a>,
    /// A row of the group, for its key.
    key: Pick,
    /// Where the earlier batches are, the one with the next row last.
    heads: Vec<Cursor<'a>>,
    /// The distinct rows read from the earlier batches, each with its count.
    earlier: Vec<(Pick, i64)>,
    /// The new rows in walking order.
    novel: Vec<Pick>,
}

/// A place among a group's rows.
pub struct Place {
    earlier: usize,
    novel: usize,
    as_of: Option<u64>,
}

impl<'a> GroupRows<'a> {
    /// The rows of the group with the key of `key`: its new ones, and those at and behind `starts`,
    /// which are the first rows in walking order that the earlier batches have of the same hash.
    pub fn new(
        order: Order<'a>,
        key: Pick,
        mut novel: Vec<Pick>,
        mut starts: Vec<Cursor<'a>>,
    ) -> Self {
        novel.sort_by(|left, right| order.compare(*left, *right));
        starts.sort_by(|left, right| order.compare(right.pick(), left.pick()));
        GroupRows {
            order,
            key,
            heads: starts,
            earlier: Vec::new(),
            novel,
        }
    }

    /// The place before all rows: those before the new batches (`None`), or those as of a time
    /// within them.
    pub fn begin(&self, as_of: Option<u64>) -> Place {
        Place {
            earlier: 0,
            novel: match as_of {
                None => self.novel.len(),
                Some(_) => 0,
            },
            as_of,
        }
    }

    /// The first row that is there.
    pub fn first(&mut self, as_of: Option<u64>) -> Option<Pick> {
        let mut place = self.begin(as_of);
        while let Some((pick, copies)) = self.next(&mut place) {
            if copies > 0 {
                return Some(pick);
            }
        }
        None
    }

    /// The next distinct row with its count, which may be zero.
    pub fn next(&mut self, place: &mut Place) -> Option<(Pick, i64)> {
        if place.earlier == self.earlier.len() {
            self.read_earlier();
        }
        let earlier = self.earlier.get(place.earlier).copied();
        let novel = self.novel.get(place.novel).copied();
        let ordering = match (earlier, novel) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((earlier, _)), Some(novel)) => self.order.compare(earlier, novel),
        };
        let mut copies = 0;
        let mut found = None;
        if ordering != Ordering::Greater {
            let (pick, count) = earlier?;
            copies += count;
            found = Some(pick);
            place.earlier += 1;
        }
        if ordering != Ordering::Less {
            let first = novel?;
            found = found.or(novel);
            while let Some(pick) = self.novel.get(place.novel).copied()
                && self.order.is_same(pick, first)
            {
                copies += self.count_as_of(pick, place.as_of);
                place.novel += 1;
            }
        }
        Some((found?, copies))
    }

    fn count_as_of(&self, pick: Pick, as_of: Option<u64>) -> i64 {
        let (body, row) = (self.order.reader.body(pick), pick.row as usize);
        match as_of.is_some_and(|time| body.times.get(row) <= time) {
            true => body.counts.get(row),
            false => 0,
        }
    }

    /// Reads one more row that is there from the earlier batches, if there is one.
    fn read_earlier(&mut self) {
        let reader = self.order.reader;
        while let Some(first) = self.heads.last().map(Cursor::pick) {
            let mut copies = 0;
            while let Some(head) = self.heads.last()
                && self.order.is_same(head.pick(), first)
            {
                examine(1);
                let pick = head.pick();
                copies += reader.body(pick).counts.get(pick.row as usize);
                self.advance_head();
            }
            if copies != 0 && reader.same_key(first, self.key) {
                self.earlier.push((first, copies));
                return;
            }
        }
    }

    /// Moves the batch with the next row on, within the rows of its hash, and puts it in its place
    /// among the others.
    fn advance_head(&mut self) {
        let Some(mut head) = self.heads.pop() else {
            return;
        };
        if !head.step_within_hash(self.order.from_end) {
            return;
        }
        let pick = head.pick();
        let mut place = self.heads.len();
        while place > 0 && self.order.is_before(self.heads[place - 1].pick(), pick) {
            place -= 1;
        }
        self.heads.insert(place, head);
    }
}
