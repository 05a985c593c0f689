//! The history of an arrangement: batches that are merged as they grow in number.
//!
//! Batches of about the same size are merged four at a time, so that a row is copied once for each
//! fourfold of the arrangement; sixteen at a time where nobody looks anything up and rows do not
//! cancel out, as in a view that is loaded. Merging is not done where rows arrive but afterwards,
//! when the transaction that brought them is complete: [`merge_what_is_due`] does as much as the
//! new rows owe, so that merges end before the next ones of their size begin. A worker that has
//! nothing else to do goes further, see [`merge_when_idle`]: then two batches are enough for a
//! merge.
//!
//! Times are totally ordered, so a frontier is at most one time.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use differential_dataflow::lattice::Lattice;
use differential_dataflow::logging::Logger;
use differential_dataflow::trace::{Description, ExertionLogic, Span, Trace, TraceReader};
use timely::dataflow::operators::generic::OperatorInfo;
use timely::order::PartialOrder;
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;
use timely::scheduling::activate::Activator;

use super::batch::Batch;
use super::chunk::Chunk;
use super::merge::Merge;

/// Batches of one size that are merged together.
const FANOUT: usize = 4;

/// The same where many batches cost nobody anything.
const LAZY_FANOUT: usize = 16;

/// Batches without a look-up after which none is expected.
const QUIET_BATCHES: usize = 16;

/// The same for a worker that has nothing else to do.
const IDLE_FANOUT: usize = 2;

/// Rows that every merge has to do for each new row. With one, a merge of four batches would end
/// just when four more have come.
const PACE: usize = 2;

/// Parts of a merge after each of which what it has read is let go.
const LET_GO_PARTS: usize = 16;

thread_local! {
    /// What the arrangements of this worker hold.
    static HISTORIES: RefCell<Vec<Weak<RefCell<History>>>> = const { RefCell::new(Vec::new()) };
}

/// The history of an arrangement.
pub struct Spine {
    history: Rc<RefCell<History>>,
    since: Antichain<u64>,
    physical: Antichain<u64>,
}

struct History {
    entries: Vec<Entry>,
    /// What readers may still want to read without what comes after it.
    pending: VecDeque<Span<u64, Batch>>,
    since: Antichain<u64>,
    upper: Antichain<u64>,
    /// Rows that have come since merges were last carried on.
    new_rows: usize,
    /// Whether there may be something to merge for a worker that has nothing else to do.
    is_restless: bool,
    /// Batches that have come since something was looked up.
    quiet_batches: usize,
    /// Whether the newest merge kept nearly all of its rows.
    keeps_rows: bool,
}

/// Something that is read as a whole.
enum Entry {
    Run(Span<u64, Batch>),
    Merging(Box<Merging>),
}

struct Merging {
    description: Description<u64>,
    merge: Merge,
    /// Rows of what is merged.
    rows: usize,
    /// What readers see of it.
    shown: Vec<Span<u64, Batch>>,
    /// Rows left when it is next shown anew.
    show_at: usize,
    /// Rows between two showings.
    part: usize,
    /// Rows that it may merge before it has to wait for new ones.
    credit: usize,
}

/// Carries merges on by what new rows owe; whether readers would see other batches.
pub fn merge_what_is_due() -> bool {
    each_history(|history| {
        let due = std::mem::take(&mut history.new_rows) * PACE;
        due > 0 && history.carry_on(due)
    })
}

/// What a worker that has nothing else to do has merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Nothing, and there is nothing left.
    Nothing,
    /// About one chunk.
    Some,
    /// The same, and readers would see other batches.
    Changed,
}

/// Merges about a chunk of one arrangement.
pub fn merge_when_idle() -> Idle {
    let mut outcome = Idle::Nothing;
    each_history(|history| {
        if outcome == Idle::Nothing {
            outcome = history.idle_step();
        }
        false
    });
    outcome
}

fn each_history(mut act: impl FnMut(&mut History) -> bool) -> bool {
    HISTORIES.with_borrow_mut(|histories| {
        let mut has_changed = false;
        histories.retain(|history| match history.upgrade() {
            Some(history) => {
                has_changed |= act(&mut history.borrow_mut());
                true
            }
            None => false,
        });
        has_changed
    })
}

impl History {
    fn new() -> History {
        History {
            entries: Vec::new(),
            pending: VecDeque::new(),
            since: Antichain::from_elem(0),
            upper: Antichain::from_elem(0),
            new_rows: 0,
            is_restless: false,
            quiet_batches: 0,
            keeps_rows: false,
        }
    }

    /// Takes in what no reader tells apart any more.
    fn take_in_pending(&mut self, physical: &Antichain<u64>) {
        let mut has_come = false;
        while let Some(first) = self.pending.front()
            && PartialOrder::less_equal(first.upper(), physical)
            && let Some(span) = self.pending.pop_front()
        {
            has_come |= span.has_updates();
            self.quiet_batches += usize::from(span.has_updates());
            self.new_rows += rows(&span);
            match self.entries.last_mut() {
                Some(Entry::Run(last)) if !span.has_updates() && !last.has_updates() => {
                    *last = Span::new(join(&last.desc, &span.desc, &last.desc), None);
                }
                _ => self.entries.push(Entry::Run(span)),
            }
        }
        if has_come {
            self.is_restless = true;
            self.begin_merges(self.fanout());
        }
    }

    /// How many batches of one size are merged together.
    fn fanout(&self) -> usize {
        match self.keeps_rows && self.quiet_batches >= QUIET_BATCHES {
            true => LAZY_FANOUT,
            false => FANOUT,
        }
    }

    /// Begins to merge wherever `fanout` neighbours are of one size; whether there were any.
    fn begin_merges(&mut self, fanout: usize) -> bool {
        let mut has_begun = false;
        let mut end = self.entries.len();
        while end > 0 {
            let (start, count) = self.neighbours(end);
            if count >= fanout {
                self.begin_merge(start, end);
                has_begun = true;
            }
            end = start.min(end - 1);
        }
        has_begun
    }

    /// The batches before `end` that are of one size, or smaller than those after them: where they
    /// begin, and how many of them have rows.
    fn neighbours(&self, end: usize) -> (usize, usize) {
        let level_after = self.entries[end..].iter().map(Entry::level).max();
        let mut level = level_after.unwrap_or(0);
        let mut count = 0;
        for start in (0..end).rev() {
            let Entry::Run(span) = &self.entries[start] else {
                return (start + 1, count);
            };
            if span.has_updates() {
                let own = self.entries[start].level();
                if own > level && count > 0 {
                    return (start + 1, count);
                }
                level = level.max(own);
                count += 1;
            }
        }
        (0, count)
    }

    fn begin_merge(&mut self, start: usize, end: usize) {
        let since = self.since.clone();
        let spans = self
            .entries
            .drain(start..end)
            .filter_map(|entry| match entry {
                Entry::Run(span) => Some(span),
                Entry::Merging(_) => None,
            });
        let spans: Vec<Span<u64, Batch>> = spans.collect();
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else {
            return;
        };
        let beyond = Description::new(first.lower().clone(), last.upper().clone(), since.clone());
        let description = join(&first.desc, &last.desc, &beyond);
        let batches = spans.iter().filter_map(|span| span.inner.clone());
        let merge = Merge::new(batches, since.first().copied());
        let part = merge.rows_left() / LET_GO_PARTS;
        let merging = Merging {
            show_at: merge.rows_left().saturating_sub(part),
            rows: merge.rows_left(),
            part,
            description,
            merge,
            shown: spans,
            credit: 0,
        };
        self.entries
            .insert(start, Entry::Merging(Box::new(merging)));
    }

    fn carry_on(&mut self, rows: usize) -> bool {
        let mut has_changed = false;
        let mut has_ended = false;
        for entry in &mut self.entries {
            if let Entry::Merging(merging) = entry {
                has_changed |= merging.carry_on(rows);
                if merging.merge.rows_left() == 0 {
                    has_ended = true;
                    self.keeps_rows = entry.end();
                }
            }
        }
        if has_ended {
            self.begin_merges(self.fanout());
        }
        has_changed || has_ended
    }

    fn idle_step(&mut self) -> Idle {
        if !self.is_restless {
            return Idle::Nothing;
        }
        let merging = self.entries.iter_mut().filter_map(|entry| match entry {
            Entry::Merging(merging) => Some((merging.merge.rows_left(), entry)),
            Entry::Run(_) => None,
        });
        match merging.min_by_key(|(rows, _)| *rows) {
            Some((_, entry)) => {
                let Entry::Merging(merging) = entry else {
                    return Idle::Nothing;
                };
                let has_changed = merging.step();
                if merging.merge.rows_left() == 0 {
                    self.keeps_rows = entry.end();
                    return Idle::Changed;
                }
                match has_changed {
                    true => Idle::Changed,
                    false => Idle::Some,
                }
            }
            None => {
                self.is_restless = self.begin_merges(IDLE_FANOUT);
                match self.is_restless {
                    true => Idle::Some,
                    false => Idle::Nothing,
                }
            }
        }
    }

    fn spans(&self) -> impl Iterator<Item = &Span<u64, Batch>> {
        let entries = self.entries.iter().flat_map(|entry| match entry {
            Entry::Run(span) => std::slice::from_ref(span),
            Entry::Merging(merging) => &merging.shown,
        });
        entries.chain(&self.pending)
    }
}

impl Entry {
    /// How many times the least batch would have to be made four times as large.
    fn level(&self) -> u32 {
        self.rows().max(1).ilog2() / 2
    }

    fn rows(&self) -> usize {
        match self {
            Entry::Run(span) => rows(span),
            Entry::Merging(merging) => merging.shown.iter().map(rows).sum(),
        }
    }

    /// What has been merged takes the place of a merge that is done; whether nearly all rows are
    /// left.
    fn end(&mut self) -> bool {
        let Entry::Merging(merging) = self else {
            return false;
        };
        let merge = std::mem::replace(&mut merging.merge, Merge::new([], None));
        let before = merging.rows;
        *self = Entry::Run(Span::new(merging.description.clone(), merge.done()));
        self.rows() >= before - before / 8
    }
}

impl Merging {
    fn carry_on(&mut self, rows: usize) -> bool {
        self.credit += rows;
        let mut has_changed = false;
        let next = |merge: &Merge| merge.rows_left().clamp(1, Chunk::TARGET_ROWS);
        while self.merge.rows_left() > 0 && self.credit >= next(&self.merge) {
            let left = self.merge.rows_left();
            has_changed |= self.step();
            let done = left - self.merge.rows_left();
            self.credit = self.credit.saturating_sub(done);
        }
        has_changed
    }

    /// Merges about a chunk; whether readers would see other batches.
    fn step(&mut self) -> bool {
        self.merge.step();
        let left = self.merge.rows_left();
        if left == 0 || left > self.show_at || self.part < Chunk::TARGET_ROWS {
            return false;
        }
        self.show_at = left.saturating_sub(self.part);
        let batches = self.merge.let_go().into_iter();
        self.shown = batches
            .map(|batch| Span::new(self.description.clone(), Some(batch)))
            .collect();
        true
    }
}

fn rows(span: &Span<u64, Batch>) -> usize {
    span.inner.as_ref().map_or(0, Batch::rows)
}

/// From the beginning of one to the end of another, with no history before any of three.
fn join(
    first: &Description<u64>,
    last: &Description<u64>,
    beyond: &Description<u64>,
) -> Description<u64> {
    let since = first.since().join(last.since()).join(beyond.since());
    Description::new(first.lower().clone(), last.upper().clone(), since)
}

impl TraceReader for Spine {
    type Time = u64;
    type Batch = Batch;

    fn spans_through(&mut self, upper: AntichainRef<u64>) -> Option<Vec<Span<u64, Batch>>> {
        let mut history = self.history.borrow_mut();
        history.quiet_batches = 0;
        let spans = history.spans().filter(|span| {
            span.has_updates() && PartialOrder::less_equal(&span.upper().borrow(), &upper)
        });
        Some(spans.cloned().collect())
    }

    fn set_logical_compaction(&mut self, frontier: AntichainRef<u64>) {
        self.since = frontier.to_owned();
        self.history.borrow_mut().since = self.since.clone();
    }

    fn get_logical_compaction(&mut self) -> AntichainRef<'_, u64> {
        self.since.borrow()
    }

    fn set_physical_compaction(&mut self, frontier: AntichainRef<'_, u64>) {
        self.physical = frontier.to_owned();
        self.history.borrow_mut().take_in_pending(&self.physical);
    }

    fn get_physical_compaction(&mut self) -> AntichainRef<'_, u64> {
        self.physical.borrow()
    }

    fn map_spans<F: FnMut(&Span<u64, Batch>)>(&self, visit: F) {
        self.history.borrow().spans().for_each(visit);
    }
}

impl Trace for Spine {
    fn new(_: OperatorInfo, _: Option<Logger>, _: Option<Activator>) -> Spine {
        let history = Rc::new(RefCell::new(History::new()));
        HISTORIES.with_borrow_mut(|histories| histories.push(Rc::downgrade(&history)));
        Spine {
            history,
            since: Antichain::from_elem(0),
            physical: Antichain::from_elem(0),
        }
    }

    /// Does nothing: the worker says when merges are carried on.
    fn exert(&mut self) {}

    /// Changes nothing: the worker says when merges are carried on.
    fn set_exert_logic(&mut self, _: ExertionLogic) {}

    fn insert(&mut self, span: Span<u64, Batch>) {
        let mut history = self.history.borrow_mut();
        assert_eq!(span.lower(), &history.upper, "batches follow each other");
        history.upper.clone_from(span.upper());
        history.pending.push_back(span);
        history.take_in_pending(&self.physical);
    }

    fn close(&mut self) {
        let upper = self.history.borrow().upper.clone();
        if !upper.is_empty() {
            self.insert(Span::empty(upper, Antichain::new()));
        }
    }
}
