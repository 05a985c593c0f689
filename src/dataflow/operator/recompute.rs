//! Reductions that compute a changed group anew from all its rows.
//!
//! The cost of a change is the size of its group. Old and new results both come from the
//! arrangement, and only their difference is given on, so whatever computes the results must give
//! the same for the same rows in the same order.

use std::ops::Range;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::error::DataFusionError;

use super::super::arrange::{Changes, Index};
use super::super::cursor::Reader;
use super::super::lane::Pick;
use super::changed::for_each_changed_group;
use super::difference::changes;
use super::group::Walk;
use super::near::Near;
use super::positions::Positions;
use super::resume::{Before, Resume};
use super::stateful::react_to_batches;
use super::whole::{self, Wanted};
use crate::sql::plan::function::RankLimit;

/// Rows read before results are given on.
const ROWS_AT_ONCE: usize = 8192;

/// Computes result columns from the rows of one group, which are never none.
pub type Evaluate = Box<dyn Fn(&RecordBatch) -> Result<Vec<ArrayRef>, DataFusionError>>;

/// What comes out for a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One row: the key, of so many columns, then the results.
    Group { keys: usize },
    /// Each row of the group, then its results.
    Rows,
}

/// Which rows of a group a change may give other results.
pub enum Extent {
    /// All.
    Group,
    /// Those near it.
    Near(Near),
    /// Those behind it, as long as it makes a difference.
    Behind(Resume),
}

/// A computation over groups.
pub struct Recompute {
    /// For display.
    pub name: &'static str,
    pub shape: Shape,
    /// The rows that are computed anew.
    pub extent: Extent,
    /// If only the first rows of a group, by the sort key of the arrangement, are needed.
    pub limit: Option<RankLimit>,
    /// The columns that `evaluate` sees.
    pub rows: SchemaRef,
    /// Where each of them stands in the arrangement.
    pub positions: Vec<usize>,
    pub evaluate: Evaluate,
    /// The key columns or those of the rows, then the results, which may be NULL, and last the
    /// error of a group that could not be computed.
    pub output: SchemaRef,
}

/// The column that says why a group has no results.
pub fn error_field() -> Field {
    Field::new("error", DataType::Utf8, true)
}

/// Emits the results of each group that changes.
pub fn recompute(index: Index<'_>, how: Recompute) -> Changes<'_> {
    react_to_batches(index, how.name, move |novel, earlier, emit| {
        let batches = novel.iter().chain(earlier);
        let reader = Reader::new(batches.map(|batch| &batch.chunks[..]));
        let wanted = Wanted::new(how.limit, varying(&reader, &how.positions));
        let mut portion = Portion::default();
        for_each_changed_group(&reader, novel.len(), |group| {
            let walk = &Walk {
                reader: &reader,
                group,
            };
            match &how.extent {
                Extent::Group => portion.read_group(walk, &wanted, &mut |portion: Portion| {
                    emit(changes(&portion, &reader, &how));
                }),
                Extent::Near(near) => portion.read_near(walk, near),
                Extent::Behind(resume) => portion.read_behind(walk, resume),
            }
            if portion.rows.len() >= ROWS_AT_ONCE || portion.bytes >= whole::BYTES_AT_ONCE {
                emit(changes(&std::mem::take(&mut portion), &reader, &how));
            }
        });
        if !portion.states.is_empty() {
            emit(changes(&portion, &reader, &how));
        }
    })
}

/// Some changed groups with their rows before and after each change.
#[derive(Default)]
pub(super) struct Portion {
    pub(super) rows: Vec<Pick>,
    /// About what they take in bytes, as far as whole groups have been read.
    bytes: usize,
    pub(super) states: Vec<State>,
}

/// What a group holds from some time on, as far as it has been read.
pub(super) struct State {
    pub(super) key: Pick,
    /// When it begins; `None` for a state that only serves to be compared with the next one.
    pub(super) time: Option<u64>,
    pub(super) segments: Vec<Segment>,
    /// What the rows before them come to, where it is carried on.
    pub(super) before: Option<Before>,
    /// Why it cannot be computed; its first row stands for it then.
    pub(super) refusal: Option<String>,
}

/// Consecutive rows of a group, by their positions among those that have been read.
#[derive(Clone)]
pub struct Segment {
    pub rows: Range<usize>,
    /// The rows whose results are wanted; those of the others may be wrong.
    pub wanted: Range<usize>,
}

impl Portion {
    /// Takes in a group before and after each of its changes. Where that becomes too much, what
    /// there is is handed on in between.
    fn read_group(&mut self, walk: &Walk, wanted: &Wanted, hand_on: &mut dyn FnMut(Portion)) {
        self.read_state(walk, wanted, [None, None]);
        let mut times = walk.group.times.iter().copied().peekable();
        while let Some(time) = times.next() {
            self.read_state(walk, wanted, [Some(time), Some(time)]);
            if self.bytes >= whole::BYTES_AT_ONCE && times.peek().is_some() {
                hand_on(std::mem::take(self));
                self.read_state(walk, wanted, [Some(time), None]);
            }
        }
    }

    /// Takes in a group as of a time, for a state that begins at one.
    fn read_state(&mut self, walk: &Walk, wanted: &Wanted, [as_of, time]: [Option<u64>; 2]) {
        let start = self.rows.len();
        let read = wanted.read(walk, as_of, &mut self.rows);
        let rows = start..self.rows.len();
        self.bytes += read.bytes;
        self.states.push(State {
            key: walk.group.key,
            time,
            segments: vec![Segment {
                wanted: rows.clone(),
                rows,
            }],
            before: None,
            refusal: read.refusal,
        });
    }

    /// Takes in what stands behind the first row that changes, before and after each change.
    fn read_behind(&mut self, walk: &Walk, resume: &Resume) {
        let positions = Positions::new(walk.reader, walk.group, &resume.terms);
        let mut previous = None;
        for time in walk.group.times {
            let between = [previous, Some(*time)];
            let read = resume.read(walk, &positions, between, *time, &mut self.rows);
            let begins = [None, Some(*time)];
            for (state, time) in read.into_iter().flatten().zip(begins) {
                self.states.push(State {
                    key: walk.group.key,
                    time,
                    segments: vec![state.segment],
                    before: Some(state.before),
                    refusal: None,
                });
            }
            previous = Some(*time);
        }
    }

    /// Takes in what stands near the rows that change, before and after each change.
    fn read_near(&mut self, walk: &Walk, near: &Near) {
        let mut previous = None;
        for time in walk.group.times {
            let changed = walk.changed_rows(*time);
            for (as_of, begins) in [(previous, None), (Some(*time), Some(*time))] {
                let segments = near.read(walk, &changed, as_of, &mut self.rows);
                self.states.push(State {
                    key: walk.group.key,
                    time: begins,
                    segments,
                    before: None,
                    refusal: None,
                });
            }
            previous = Some(*time);
        }
    }
}

/// Those of some columns whose values take different numbers of bytes.
fn varying(reader: &Reader, positions: &[usize]) -> Vec<usize> {
    let first = reader.bodies.first();
    let mut varying = first.map(|body| body.varying()).unwrap_or_default();
    varying.retain(|column| positions.contains(column));
    varying
}
