//! The least and the greatest value of each group: what stands at the ends of an ordered
//! arrangement.
//!
//! A group that changes is looked for once, whichever of its ends are wanted, and comes out as one
//! row. Each end is found by walking the batches from there: a change costs the rows at that end
//! that have cancelled out, not the size of the group.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;

use super::super::arrange::{Changes, Index};
use super::super::chunk::columns;
use super::super::column::Column;
use super::super::cursor::{Reader, keep_picked};
use super::super::extremes::End;
use super::super::lane::Pick;
use super::super::updates::{Updates, batch};
use super::changed::{ChangedGroup, for_each_changed_group};
use super::group_rows::{GroupRows, Order};
use super::stateful::react_to_batches;

/// Rows given on at once.
const ROWS_AT_ONCE: usize = 8192;

/// The same in bytes of texts and the like: a column may have no more than 2 GiB.
const BYTES_AT_ONCE: usize = 64 << 20;

/// The ends of ordered groups.
pub struct Ends {
    /// Where the columns of the key stand in the arrangement.
    pub keys: Vec<usize>,
    /// Where the value stands, which is never NULL.
    pub value: usize,
    /// The end that each result is.
    pub wanted: Vec<End>,
    /// How many of the first columns tell rows of a group apart.
    pub columns: usize,
    /// The columns of the key, then the results.
    pub output: SchemaRef,
}

/// Emits the ends of each group that has rows.
pub fn ends(index: Index<'_>, how: Ends) -> Changes<'_> {
    react_to_batches(index, "Extremes", move |novel, earlier, emit| {
        let batches = novel.iter().chain(earlier);
        let reader = Reader::new(batches.map(|batch| &batch.chunks[..]));
        let mut output = Output::new(&reader, &how, emit);
        for_each_changed_group(&reader, novel.len(), |group| output.add_changes(group));
        output.give();
    })
}

/// One end of a group.
struct Side<'a> {
    order: Order<'a>,
    group: &'a ChangedGroup<'a>,
    rows: GroupRows<'a>,
    /// The row that stands there, before the new batches or as of a time within them.
    found: Option<Pick>,
    /// The one before that.
    before: Option<Pick>,
}

impl<'a> Side<'a> {
    /// An end as it is before the new batches.
    fn new(order: Order<'a>, group: &'a ChangedGroup<'a>) -> Side<'a> {
        // Rows that are only added need not be put in order.
        let novel = match group.only_grows {
            true => Vec::new(),
            false => group.rows.to_vec(),
        };
        let earlier = group.earlier_starts(order.from_end).collect();
        let mut rows = GroupRows::new(order, group.key, novel, earlier);
        Side {
            order,
            group,
            found: rows.first(None),
            before: None,
            rows,
        }
    }

    /// Goes on to the next of the new times; whether another value stands at the end now.
    fn go_on(&mut self, time: u64) -> bool {
        let new = match self.group.only_grows {
            true => self.with_added(time),
            false => self.rows.first(Some(time)),
        };
        let is_same = match (self.found, new) {
            (Some(old), Some(new)) => self.order.is_same(old, new),
            (old, new) => old == new,
        };
        self.before = std::mem::replace(&mut self.found, new);
        !is_same
    }

    /// Where rows are only added, only these can take the place of the one that stands there: the
    /// group need not be read again for each time.
    fn with_added(&self, time: u64) -> Option<Pick> {
        let time_of = |pick: &Pick| self.order.reader.body(*pick).times.get(pick.row as usize);
        let added = self.group.rows.iter().filter(|pick| time_of(pick) == time);
        added.copied().fold(self.found, |best, pick| match best {
            Some(best) if !self.order.is_before(pick, best) => Some(best),
            _ => Some(pick),
        })
    }
}

/// Groups whose ends come or go.
pub(super) struct Output<'r, 'e> {
    reader: &'r Reader<'r>,
    how: &'r Ends,
    emit: &'e mut dyn FnMut(Updates),
    /// For each result the rows that have it.
    picks: Vec<Vec<Pick>>,
    times: Vec<u64>,
    counts: Vec<i64>,
    /// The columns whose values take different numbers of bytes.
    varying: Vec<usize>,
    /// What those of the rows take.
    bytes: usize,
}

impl<'r, 'e> Output<'r, 'e> {
    pub(super) fn new(
        reader: &'r Reader<'r>,
        how: &'r Ends,
        emit: &'e mut dyn FnMut(Updates),
    ) -> Output<'r, 'e> {
        let first = reader.bodies.first();
        Output {
            reader,
            how,
            emit,
            picks: vec![Vec::new(); how.wanted.len()],
            times: Vec::new(),
            counts: Vec::new(),
            varying: first.map(|body| body.varying()).unwrap_or_default(),
            bytes: 0,
        }
    }

    /// Adds what changes at the ends of a group.
    pub(super) fn add_changes(&mut self, group: &ChangedGroup) {
        let (reader, how) = (self.reader, self.how);
        let order = |end: &End| Order {
            reader,
            from_end: *end == End::Greatest,
            columns: how.columns,
        };
        let orders = how.wanted.iter().map(order);
        let mut sides: Vec<Side> = orders.map(|order| Side::new(order, group)).collect();
        for time in group.times {
            let mut has_changed = false;
            for side in &mut sides {
                has_changed |= side.go_on(*time);
            }
            if has_changed {
                self.push(&sides, |side| side.before, *time, -1);
                self.push(&sides, |side| side.found, *time, 1);
            }
        }
    }

    /// Adds a row of what stands at the ends, unless the group is empty.
    fn push(&mut self, sides: &[Side], at: impl Fn(&Side) -> Option<Pick>, time: u64, count: i64) {
        if sides.iter().any(|side| at(side).is_none()) {
            return;
        }
        for (picks, pick) in self.picks.iter_mut().zip(sides.iter().filter_map(at)) {
            let body = self.reader.body(pick);
            self.bytes += body.varying_bytes(pick.row as usize, &self.varying);
            picks.push(pick);
        }
        self.times.push(time);
        self.counts.push(count);
        if self.times.len() >= ROWS_AT_ONCE || self.bytes >= BYTES_AT_ONCE {
            self.give();
        }
    }

    /// Gives on what has been added.
    pub(super) fn give(&mut self) {
        if self.times.is_empty() {
            return;
        }
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for (result, picks) in self.picks.iter_mut().enumerate() {
            let mut picks = std::mem::take(picks);
            let bodies = keep_picked(&self.reader.bodies, &mut picks);
            let gather = |position: usize| -> ArrayRef {
                let sources = columns(&bodies, position);
                Column::gather(&sources, &picks).array()
            };
            // Rows at either end have the key.
            if result == 0 {
                arrays.extend(self.how.keys.iter().map(|position| gather(*position)));
            }
            arrays.push(gather(self.how.value));
        }
        let rows = batch(Arc::clone(&self.how.output), arrays, self.times.len());
        self.bytes = 0;
        (self.emit)(Updates {
            rows,
            times: std::mem::take(&mut self.times).into(),
            counts: std::mem::take(&mut self.counts).into(),
        });
    }
}
