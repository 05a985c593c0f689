//! The results of groups before and after each change, and what differs between them.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array, new_null_array};
use arrow::compute::{concat, take};
use arrow::datatypes::{Field, Fields, SchemaRef};

use super::super::chunk::columns;
use super::super::column::Column;
use super::super::cursor::{Reader, keep_picked};
use super::super::lane::Pick;
use super::super::updates::{Updates, batch};
use super::outcome::{evaluate, failure, in_range};
use super::recompute::{Extent, Portion, Recompute, Segment, Shape, State};

/// What changes for the groups of a portion.
pub(super) fn changes(portion: &Portion, reader: &Reader, how: &Recompute) -> Updates {
    let table = Table::compute(portion, reader, how);
    let mut output = Output::default();
    for pair in portion.states.windows(2).zip(table.states.windows(2)) {
        let ([_, state], [old, new]) = pair else {
            continue;
        };
        if let Some(time) = state.time {
            table.emit_difference(old, new, time, reader, &mut output);
        }
    }
    output.take(table, &how.output)
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
