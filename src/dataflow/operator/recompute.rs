//! Reductions that compute a changed group anew from all its rows.
//!
//! The cost of a change is the size of its group. Old and new results both come from the
//! arrangement, and only their difference is given on, so whatever computes the results must give
//! the same for the same rows in the same order.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array, new_null_array};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, Fields, SchemaRef};
use datafusion::error::DataFusionError;

use super::super::arrange::{Changes, Index};
use super::super::chunk::columns;
use super::super::column::Column;
use super::super::cursor::{Reader, keep_picked};
use super::super::lane::Pick;
use super::super::updates::{Updates, batch};
use super::changed::for_each_changed_group;
use super::group::Walk;
use super::near::Near;
use super::outcome::{evaluate, failure, in_range};
use super::positions::Positions;
use super::resume::Before;
use super::resume::Resume;
use super::stateful::react_to_batches;
use super::whole::{self, Wanted};
use crate::sql::function::RankLimit;

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
                    emit(portion.changes(&reader, &how));
                }),
                Extent::Near(near) => portion.read_near(walk, near),
                Extent::Behind(resume) => portion.read_behind(walk, resume),
            }
            if portion.rows.len() >= ROWS_AT_ONCE || portion.bytes >= whole::BYTES_AT_ONCE {
                emit(std::mem::take(&mut portion).changes(&reader, &how));
            }
        });
        if !portion.states.is_empty() {
            emit(portion.changes(&reader, &how));
        }
    })
}

/// Some changed groups with their rows before and after each change.
#[derive(Default)]
struct Portion {
    rows: Vec<Pick>,
    /// About what they take in bytes, as far as whole groups have been read.
    bytes: usize,
    states: Vec<State>,
}

/// What a group holds from some time on, as far as it has been read.
struct State {
    key: Pick,
    /// When it begins; `None` for a state that only serves to be compared with the next one.
    time: Option<u64>,
    segments: Vec<Segment>,
    /// What the rows before them come to, where it is carried on.
    before: Option<Before>,
    /// Why it cannot be computed; its first row stands for it then.
    refusal: Option<String>,
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
        for time in &walk.group.times {
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
        for time in &walk.group.times {
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

    fn changes(self, reader: &Reader, how: &Recompute) -> Updates {
        let table = Table::compute(&self, reader, how);
        let mut output = Output::default();
        for pair in self.states.windows(2).zip(table.states.windows(2)) {
            let ([_, state], [old, new]) = pair else {
                continue;
            };
            if let Some(time) = state.time {
                table.emit_difference(old, new, time, reader, &mut output);
            }
        }
        output.take(table, &how.output)
    }
}

/// The results of all states.
struct Table {
    shape: Shape,
    /// The row of the arrangement that each row stands for.
    rows: Vec<Pick>,
    /// The rows of each state.
    states: Vec<Vec<Range<usize>>>,
    /// The columns that come out.
    columns: Vec<ArrayRef>,
    /// Those that have been computed, with words to compare.
    results: Vec<Column>,
}

impl Table {
    fn compute(portion: &Portion, reader: &Reader, how: &Recompute) -> Table {
        let inputs = gather(reader, &how.positions, &portion.rows);
        let inputs = batch(Arc::clone(&how.rows), inputs, portion.rows.len());
        let mut builder = Builder::new(how);
        for state in &portion.states {
            builder.states.push(Vec::new());
            for Segment { rows, wanted } in &state.segments {
                if !rows.is_empty() {
                    let picks = &portion.rows[rows.clone()];
                    let wanted = wanted.start - rows.start..wanted.end - rows.start;
                    let rows = inputs.slice(rows.start, rows.len());
                    builder.add(state, picks, wanted, &rows, how);
                }
            }
        }
        let mut columns = match how.shape {
            Shape::Rows => inputs.columns().to_vec(),
            Shape::Group { keys } => {
                let keys: Vec<usize> = (0..keys).collect();
                gather(reader, &keys, &builder.rows)
            }
        };
        let results = builder.results(how);
        columns.extend(results.iter().cloned());
        Table {
            shape: how.shape,
            rows: builder.rows,
            states: builder.states,
            columns,
            results: results.into_iter().map(Column::new).collect(),
        }
    }

    /// Both states are in walking order: a merge gives what left and what came.
    fn emit_difference(
        &self,
        old: &[Range<usize>],
        new: &[Range<usize>],
        time: u64,
        reader: &Reader,
        output: &mut Output,
    ) {
        let mut old = old.iter().cloned().flatten().peekable();
        let mut new = new.iter().cloned().flatten().peekable();
        loop {
            let ordering = match (old.peek(), new.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(left), Some(right)) => self.compare_rows(*left, *right, reader),
            };
            let left = if ordering.is_le() { old.next() } else { None };
            let right = if ordering.is_ge() { new.next() } else { None };
            if let (Some(left), Some(right)) = (left, right)
                && self.has_same_results(left, right)
            {
                continue;
            }
            output.extend(left.map(|row| (row, time, -1)));
            output.extend(right.map(|row| (row, time, 1)));
        }
    }

    fn compare_rows(&self, left: usize, right: usize, reader: &Reader) -> Ordering {
        let (left, right) = (self.rows[left], self.rows[right]);
        match self.shape {
            Shape::Group { .. } => Ordering::Equal,
            Shape::Rows => reader.body(left).compare_within_hash(
                left.row as usize,
                reader.body(right),
                right.row as usize,
            ),
        }
    }

    fn has_same_results(&self, left: usize, right: usize) -> bool {
        let mut results = self.results.iter();
        results.all(|column| column.compare(left, column, right) == Ordering::Equal)
    }
}

/// Puts the results of one state after those of another.
struct Builder {
    rows: Vec<Pick>,
    states: Vec<Vec<Range<usize>>>,
    /// For each result the values state by state.
    parts: Vec<Vec<ArrayRef>>,
    errors: Vec<Option<String>>,
}

impl Builder {
    fn new(how: &Recompute) -> Builder {
        Builder {
            rows: Vec::new(),
            states: Vec::new(),
            parts: vec![Vec::new(); results(how).len()],
            errors: Vec::new(),
        }
    }

    /// Adds consecutive rows of a group to the last state.
    fn add(
        &mut self,
        state: &State,
        picks: &[Pick],
        wanted: Range<usize>,
        rows: &RecordBatch,
        how: &Recompute,
    ) {
        let start = self.rows.len();
        let (length, wanted) = match how.shape {
            Shape::Group { .. } => {
                self.rows.push(state.key);
                (1, 0..1)
            }
            Shape::Rows => {
                self.rows.extend_from_slice(picks);
                (picks.len(), wanted)
            }
        };
        let outcome = match &state.refusal {
            Some(refusal) => Err(failure(refusal, rows)),
            None => evaluate(rows, length, how),
        };
        // A partition that failed comes out as one row, that of the error.
        let shown = match &outcome {
            Ok(_) => wanted.clone(),
            Err(_) => wanted.start..wanted.end.min(wanted.start + 1),
        };
        if let Some(ranges) = self.states.last_mut() {
            ranges.push(start + shown.start..start + shown.end);
        }
        self.errors.resize(start + length, None);
        let values = match (outcome, &how.extent, &state.before) {
            (Ok(values), Extent::Behind(resume), Some(before)) => resume.carry_on(values, before),
            (Ok(values), ..) => values,
            (Err(error), ..) => {
                self.errors[start + wanted.start.min(length - 1)] = Some(error);
                let fields = results(how).iter();
                let nulls = fields.map(|field| new_null_array(field.data_type(), length));
                nulls.collect()
            }
        };
        let (values, errors) = in_range(values, results(how), wanted, rows);
        for (row, error) in errors {
            self.errors[start + row] = Some(error);
        }
        for (part, values) in self.parts.iter_mut().zip(values) {
            part.push(values);
        }
    }

    /// The result columns and that of the errors.
    fn results(&mut self, how: &Recompute) -> Vec<ArrayRef> {
        let parts = self.parts.iter().zip(results(how));
        let mut columns: Vec<ArrayRef> = parts
            .map(|(parts, field)| {
                let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
                match parts.is_empty() {
                    true => new_null_array(field.data_type(), 0),
                    false => concat(&parts).expect("the parts of a result have one type"),
                }
            })
            .collect();
        columns.push(Arc::new(StringArray::from(std::mem::take(
            &mut self.errors,
        ))));
        columns
    }
}

/// The fields of the results.
pub fn results(how: &Recompute) -> &[Arc<Field>] {
    let fields: &Fields = how.output.fields();
    let end = fields.len() - 1;
    match how.shape {
        Shape::Rows => &fields[how.rows.fields().len()..end],
        Shape::Group { keys } => &fields[keys..end],
    }
}

/// Those of some columns whose values take different numbers of bytes.
fn varying(reader: &Reader, positions: &[usize]) -> Vec<usize> {
    let first = reader.bodies.first();
    let mut varying = first.map(|body| body.varying()).unwrap_or_default();
    varying.retain(|column| positions.contains(column));
    varying
}

fn gather(reader: &Reader, positions: &[usize], picks: &[Pick]) -> Vec<ArrayRef> {
    let mut picks = picks.to_vec();
    let bodies = match picks.is_empty() {
        true => reader.bodies[..1].to_vec(),
        false => keep_picked(&reader.bodies, &mut picks),
    };
    let gathered = positions.iter().map(|position| {
        let sources = columns(&bodies, *position);
        Column::gather(&sources, &picks).array()
    });
    gathered.collect()
}

/// Rows of the table that come or go.
#[derive(Default)]
struct Output {
    rows: Vec<u32>,
    times: Vec<u64>,
    counts: Vec<i64>,
}

impl Output {
    fn extend(&mut self, change: Option<(usize, u64, i64)>) {
        if let Some((row, time, count)) = change {
            self.rows.push(row as u32);
            self.times.push(time);
            self.counts.push(count);
        }
    }

    fn take(self, table: Table, schema: &SchemaRef) -> Updates {
        let length = self.rows.len();
        let rows = UInt32Array::from(self.rows);
        let columns = table.columns.iter().map(|column| {
            take(column, &rows, None).expect("the rows that come out are rows of the table")
        });
        Updates {
            rows: batch(Arc::clone(schema), columns.collect(), length),
            times: self.times.into(),
            counts: self.counts.into(),
        }
    }
}
