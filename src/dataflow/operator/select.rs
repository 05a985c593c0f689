//! Reductions that select the first rows of an ordered group: top-k, `ROW_NUMBER() <= k`.
//!
//! Each group of an ordered arrangement is sorted in every batch, so the first rows are found by
//! walking the batches side by side: the cost of a change is the number of rows wanted plus those
//! among them that have cancelled out, not the size of the group.

use arrow::datatypes::SchemaRef;

use super::super::arrange::{Changes, Index};
use super::super::cursor::Reader;
use super::super::lane::Pick;
use super::changed::{ChangedGroup, for_each_changed_group};
use super::chosen::Chosen;
use super::group_rows::{GroupRows, Order};
use super::stateful::react_to_batches;

/// Rows given on at once.
const ROWS_AT_ONCE: usize = 8192;

/// Which rows of a group are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Rows to be passed over first.
    pub offset: u64,
    /// How many rows are wanted; `None`: all.
    pub limit: Option<u64>,
    /// Whether each row comes with its position (from 1).
    pub with_position: bool,
    /// How many of the first columns tell rows of a group apart.
    pub columns: usize,
}

/// Emits the wanted rows of each group: the arrangement's columns at `positions` and, if wanted,
/// the row's position in its group.
pub fn select<'scope>(
    index: Index<'scope>,
    name: &str,
    schema: SchemaRef,
    positions: Vec<usize>,
    wanted: Wanted,
) -> Changes<'scope> {
    react_to_batches(index, name, move |novel, earlier, emit| {
        let batches = novel.iter().chain(earlier);
        let reader = Reader::new(batches.map(|batch| &batch.chunks[..]));
        let mut output = Chosen::default();
        for_each_changed_group(&reader, novel.len(), |group| {
            select_of_group(&reader, group, wanted, &mut output);
            if output.picks.len() >= ROWS_AT_ONCE {
                let with_position = wanted.with_position;
                std::mem::take(&mut output).give(&reader, &schema, &positions, with_position, emit);
            }
        });
        if !output.picks.is_empty() {
            output.give(&reader, &schema, &positions, wanted.with_position, emit);
        }
    })
}

/// Emits the wanted rows of a group that change.
pub(super) fn select_of_group<'a>(
    reader: &'a Reader<'a>,
    group: &'a ChangedGroup<'a>,
    wanted: Wanted,
    output: &mut Chosen,
) {
    let order = Order {
        reader,
        from_end: false,
        columns: wanted.columns,
    };
    let earlier = group.earlier_starts(false).collect();
    let mut walk = Walk {
        order,
        group,
        wanted,
        rows: GroupRows::new(order, group.key, group.rows.to_vec(), earlier),
    };
    walk.emit_changes(output);
}

/// One group's rows in all batches.
struct Walk<'a> {
    order: Order<'a>,
    group: &'a ChangedGroup<'a>,
    wanted: Wanted,
    rows: GroupRows<'a>,
}

/// A row that is selected, with how many copies and the position of the first.
#[derive(Clone, Copy)]
struct Selected {
    pick: Pick,
    copies: i64,
    position: u64,
}

impl Walk<'_> {
    fn emit_changes(&mut self, output: &mut Chosen) {
        let mut old = self.selected(None);
        let wants_first = self.wanted.offset == 0 && self.wanted.limit == Some(1);
        if wants_first && self.group.only_grows {
            return self.emit_replacements(old.first().map(|row| row.pick), output);
        }
        for time in self.group.times {
            let new = self.selected(Some(*time));
            if self.wanted.with_position {
                self.emit_positions(&old, &new, *time, output);
            } else {
                self.emit_difference(&old, &new, *time, output);
            }
            old = new;
        }
    }

    /// Where one row is wanted and rows are only added, only these can take its place: the group
    /// need not be read again for each time.
    fn emit_replacements(&self, mut best: Option<Pick>, output: &mut Chosen) {
        let position = u64::from(self.wanted.with_position);
        let time_of = |pick: &Pick| self.order.reader.body(*pick).times.get(pick.row as usize);
        for time in self.group.times {
            let added = self.group.rows.iter().filter(|pick| time_of(pick) == *time);
            let new = added.copied().fold(best, |best, pick| match best {
                Some(best) if !self.order.is_before(pick, best) => Some(best),
                _ => Some(pick),
            });
            if new == best {
                continue;
            }
            for (pick, count) in [(best, -1), (new, 1)] {
                if let Some(pick) = pick {
                    output.push(pick, *time, count, position);
                }
            }
            best = new;
        }
    }

    /// The selected rows before the new batches (`None`) or as of a time within them.
    fn selected(&mut self, as_of: Option<u64>) -> Vec<Selected> {
        let mut place = self.rows.begin(as_of);
        let mut selected = Vec::new();
        let mut position = 0u64;
        let end = self
            .wanted
            .limit
            .map(|limit| self.wanted.offset.saturating_add(limit));
        while end.is_none_or(|end| position < end) {
            let Some((pick, copies)) = self.rows.next(&mut place) else {
                break;
            };
            if copies <= 0 {
                continue;
            }
            let first = position.max(self.wanted.offset);
            position += copies.unsigned_abs();
            let last = end.map_or(position, |end| position.min(end));
            if last > first {
                selected.push(Selected {
                    pick,
                    copies: (last - first) as i64,
                    position: first + 1,
                });
            }
        }
        selected
    }

    /// Both lists are in walking order: a merge gives what left and what came.
    fn emit_difference(&self, old: &[Selected], new: &[Selected], time: u64, output: &mut Chosen) {
        let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
        loop {
            let (pick, copies) = match (old.peek(), new.peek()) {
                (Some(left), Some(right)) if self.order.is_same(left.pick, right.pick) => {
                    let change = (left.pick, right.copies - left.copies);
                    old.next();
                    new.next();
                    change
                }
                (Some(left), right)
                    if right.is_none_or(|right| self.order.is_before(left.pick, right.pick)) =>
                {
                    let change = (left.pick, -left.copies);
                    old.next();
                    change
                }
                (_, Some(right)) => {
                    let change = (right.pick, right.copies);
                    new.next();
                    change
                }
                _ => break,
            };
            if copies != 0 {
                output.push(pick, time, copies, 0);
            }
        }
    }

    fn emit_positions(&self, old: &[Selected], new: &[Selected], time: u64, output: &mut Chosen) {
        let mut old = old.iter().flat_map(Selected::each).peekable();
        let mut new = new.iter().flat_map(Selected::each).peekable();
        // Positions are dense from the offset on, so the lists pair up.
        loop {
            match (old.next(), new.next()) {
                (Some((left, _)), Some((right, _))) if self.order.is_same(left, right) => {}
                (None, None) => break,
                (left, right) => {
                    if let Some((pick, position)) = left {
                        output.push(pick, time, -1, position);
                    }
                    if let Some((pick, position)) = right {
                        output.push(pick, time, 1, position);
                    }
                }
            }
        }
    }
}

impl Selected {
    fn each(&self) -> impl Iterator<Item = (Pick, u64)> {
        let (pick, first) = (self.pick, self.position);
        (0..self.copies.unsigned_abs()).map(move |copy| (pick, first + copy))
    }
}
