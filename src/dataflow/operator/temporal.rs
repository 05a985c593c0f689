//! Rows that change as time passes: filter and projection over conditions on `now()`.
//!
//! When a row comes, the moments at which its conditions change are found by halving the time
//! ahead, with the expression itself as the judge, so that they are exactly those at which the
//! same SQL would answer differently. What the row is until the first of them is emitted at once.
//! The row itself waits in a [`Schedule`], once however many conditions there are, with the moments
//! of its further changes beside it, until the clock, a stream that carries nothing but its
//! frontier, has passed the next one; then it changes, and waits for the one behind.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use datafusion::error::Result;
use datafusion::physical_expr::expressions::Column;
use timely::container::NoopBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::super::arrange::Changes;
use super::super::measure::Held;
use super::super::meter;
use super::super::schedule::Schedule;
use super::super::updates::{Updates, batch};
use super::map::{Map, error_row};
use crate::sql::plan::Expression;
use crate::sql::plan::temporal::{Condition, LATEST_MS, Turn, now_type, replace_now};

/// The earliest time (ms) at which something is scheduled; `u64::MAX`: nothing is.
pub type Due = Rc<Cell<u64>>;

/// Conditions of rows, and what is made of rows and conditions.
pub struct Temporal {
    conditions: Vec<(Expression, Turn)>,
    /// Over the columns of the input followed by one per condition.
    map: Map,
    input: SchemaRef,
    /// The columns of the input followed by the moment.
    momentary: SchemaRef,
    /// The columns of the input followed by one per condition.
    flagged: SchemaRef,
    /// The columns of the input followed by the moments of the changes behind the next one, of
    /// which there are fewer than conditions.
    waiting: SchemaRef,
}

/// The moment of a change that there is not.
const NEVER: u64 = u64::MAX;

/// What becomes of rows: at once, and later.
#[derive(Default)]
struct Made {
    results: Vec<Updates>,
    failed: Vec<Updates>,
    /// Rows that wait for their next change, which is at their time.
    later: Vec<Updates>,
}

impl Temporal {
    /// Conditions over `input`, and a map over its columns and the conditions' values.
    pub fn new(input: &SchemaRef, conditions: &[Condition], map: Map) -> Result<Temporal> {
        let columns = input.fields().len();
        let moment: Expression = Arc::new(Column::new("now()", columns));
        let conditions_at = conditions.iter().map(|condition| {
            let expression = replace_now(&condition.expression, &moment)?;
            Ok((expression, condition.turn))
        });
        let wider = |fields: Vec<Field>| {
            let own = input.fields().iter().map(|field| field.as_ref().clone());
            Arc::new(Schema::new(own.chain(fields).collect::<Vec<_>>()))
        };
        let flags = conditions
            .iter()
            .map(|condition| Field::new(condition.expression.to_string(), DataType::Boolean, true));
        let further = (2..=conditions.len())
            .map(|number| Field::new(format!("change {number}"), DataType::UInt64, false));
        Ok(Temporal {
            conditions: conditions_at.collect::<Result<_>>()?,
            map,
            input: Arc::clone(input),
            momentary: wider(vec![Field::new("now()", now_type(), false)]),
            flagged: wider(flags.collect()),
            waiting: wider(further.collect()),
        })
    }

    /// What a batch of rows that come becomes. A batch that fails is halved until the failing rows
    /// stand alone.
    fn begin(&self, updates: &Updates, made: &mut Made) {
        if updates.len() == 0 {
            return;
        }
        match self.try_begin(updates) {
            Ok((now, later)) => {
                made.results.extend(self.map.apply(&now, &mut made.failed));
                made.later.extend(later);
            }
            Err(error) if updates.len() == 1 => made.failed.push(error_row(updates, &error)),
            Err(_) => {
                let half = updates.len() / 2;
                self.begin(&updates.slice(0, half), made);
                self.begin(&updates.slice(half, updates.len() - half), made);
            }
        }
    }

    /// The rows with the values of the conditions, and those of them that will change.
    fn try_begin(&self, updates: &Updates) -> Result<(Updates, Option<Updates>)> {
        let mut turns: Vec<Vec<u64>> = vec![Vec::new(); updates.len()];
        for (condition, turn) in &self.conditions {
            self.collect_turns(condition, *turn, updates, &mut turns)?;
        }
        for row in &mut turns {
            row.sort_unstable();
            row.dedup();
        }
        let begin: Vec<u64> = updates.times.iter().collect();
        let now = self.flagged(updates, &begin)?;
        let changes: BooleanArray = turns.iter().map(|row| Some(!row.is_empty())).collect();
        turns.retain(|row| !row.is_empty());
        let turn = |row: &Vec<u64>, number: usize| row.get(number).copied().unwrap_or(NEVER);
        let part = updates.filter(&changes)?;
        let further = (1..self.conditions.len()).map(|number| {
            let moments = turns.iter().map(|row| turn(row, number));
            Arc::new(UInt64Array::from_iter_values(moments)) as ArrayRef
        });
        let columns = part.rows.columns().iter().cloned().chain(further).collect();
        let next: Vec<u64> = turns.iter().map(|row| turn(row, 0)).collect();
        let later = (!turns.is_empty()).then(|| Updates {
            rows: batch(Arc::clone(&self.waiting), columns, turns.len()),
            times: next.into(),
            counts: part.counts,
        });
        Ok((now, later))
    }

    /// What a batch of rows becomes that have waited for their changes.
    fn turn(&self, waiting: &Updates, made: &mut Made) {
        let (columns, further) = waiting.rows.columns().split_at(self.input.fields().len());
        let rows = Updates {
            rows: batch(Arc::clone(&self.input), columns.to_vec(), waiting.len()),
            ..waiting.clone()
        };
        self.change(&rows, made);
        if let Some(next) = further.first() {
            made.later.extend(self.behind(&rows, next, &further[1..]));
        }
    }

    fn change(&self, updates: &Updates, made: &mut Made) {
        let at: Vec<u64> = updates.times.iter().collect();
        // No condition changes between a change and the moment before the next one.
        let before: Vec<u64> = at.iter().map(|at| at - 1).collect();
        let flagged = |moments: &[u64]| self.flagged(updates, moments);
        match flagged(&before).and_then(|old| Ok((old, flagged(&at)?))) {
            Ok((old, new)) => {
                let old = self.map.apply(&old.negated(), &mut made.failed);
                made.results.extend(old);
                made.results.extend(self.map.apply(&new, &mut made.failed));
            }
            Err(error) if updates.len() == 1 => made.failed.push(error_row(updates, &error)),
            Err(_) => {
                let half = updates.len() / 2;
                self.change(&updates.slice(0, half), made);
                self.change(&updates.slice(half, updates.len() - half), made);
            }
        }
    }

    /// The rows as they wait for the change behind, those for which there is one.
    fn behind(&self, rows: &Updates, next: &ArrayRef, further: &[ArrayRef]) -> Option<Updates> {
        let next = next.as_primitive::<UInt64Type>();
        let none = UInt64Array::from_value(NEVER, next.len());
        let mut columns = rows.rows.columns().to_vec();
        columns.extend_from_slice(further);
        columns.push(Arc::new(none));
        let all = Updates {
            rows: batch(Arc::clone(&self.waiting), columns, rows.len()),
            times: next.values().to_vec().into(),
            counts: rows.counts.clone(),
        };
        let waits = next.values().iter().map(|moment| Some(*moment != NEVER));
        let kept = all.filter(&waits.collect());
        let kept = kept.expect("columns of numbers and rows can be filtered");
        (kept.len() > 0).then_some(kept)
    }

    /// The rows with the conditions' values at some moments.
    fn flagged(&self, updates: &Updates, moments: &[u64]) -> Result<Updates> {
        let momentary = self.at(&updates.rows, moments);
        let mut columns = updates.rows.columns().to_vec();
        for (condition, _) in &self.conditions {
            columns.push(evaluate(condition, &momentary)?);
        }
        Ok(Updates {
            rows: batch(Arc::clone(&self.flagged), columns, updates.len()),
            ..updates.clone()
        })
    }

    /// Adds, for each row, the moment after its time at which a condition changes.
    fn collect_turns(
        &self,
        condition: &Expression,
        turn: Turn,
        updates: &Updates,
        turns: &mut [Vec<u64>],
    ) -> Result<()> {
        let begin: Vec<u64> = updates.times.iter().collect();
        let latest = vec![LATEST_MS; begin.len()];
        let at_begin = is_true(&evaluate(condition, &self.at(&updates.rows, &begin))?);
        let at_end = is_true(&evaluate(condition, &self.at(&updates.rows, &latest))?);
        let changes = |row: usize| match turn {
            Turn::Begins => !at_begin[row] && at_end[row],
            Turn::Ends => at_begin[row] && !at_end[row],
        };
        let changing: Vec<usize> = (0..begin.len())
            .filter(|row| begin[*row] < LATEST_MS && changes(*row))
            .collect();
        let mask: BooleanArray = (0..begin.len())
            .map(|row| Some(changing.binary_search(&row).is_ok()))
            .collect();
        let part = updates.filter(&mask)?.rows;
        let mut before: Vec<u64> = changing.iter().map(|row| begin[*row]).collect();
        let mut behind = vec![LATEST_MS; changing.len()];
        let begins = turn == Turn::Begins;
        while before
            .iter()
            .zip(&behind)
            .any(|(before, behind)| behind - before > 1)
        {
            let middle: Vec<u64> = before
                .iter()
                .zip(&behind)
                .map(|(before, behind)| before + (behind - before) / 2)
                .collect();
            let holds = is_true(&evaluate(condition, &self.at(&part, &middle))?);
            for (row, middle) in middle.into_iter().enumerate() {
                if holds[row] == begins {
                    behind[row] = middle;
                } else {
                    before[row] = middle;
                }
            }
        }
        for (row, at) in changing.into_iter().zip(behind) {
            turns[row].push(at);
        }
        Ok(())
    }

    /// The rows with a moment (ms) each.
    fn at(&self, rows: &RecordBatch, moments: &[u64]) -> RecordBatch {
        let micros = moments.iter().map(|moment| *moment as i64 * 1000);
        let moments = TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC");
        let mut columns = rows.columns().to_vec();
        columns.push(Arc::new(moments));
        batch(Arc::clone(&self.momentary), columns, rows.num_rows())
    }
}

fn evaluate(condition: &Expression, rows: &RecordBatch) -> Result<ArrayRef> {
    condition.evaluate(rows)?.into_array(rows.num_rows())
}

fn is_true(values: &ArrayRef) -> Vec<bool> {
    let values = values.as_boolean();
    let is_true = |row| values.is_valid(row) && values.value(row);
    (0..values.len()).map(is_true).collect()
}

/// The rows that wait, with the right to send what becomes of them to either output.
#[derive(Default)]
struct Waiting {
    schedule: Schedule,
    capabilities: [Option<Capability<u64>>; 2],
}

impl Waiting {
    fn insert(
        &mut self,
        rows: Vec<Updates>,
        capability: impl Fn(usize) -> Option<Capability<u64>>,
    ) {
        if rows.is_empty() {
            return;
        }
        rows.into_iter().for_each(|rows| self.schedule.insert(rows));
        for (port, own) in self.capabilities.iter_mut().enumerate() {
            let earlier = capability(port);
            *own = match (own.take(), earlier) {
                (Some(own), Some(other)) if own.time() <= other.time() => Some(own),
                (own, other) => other.or(own),
            };
        }
    }

    /// What becomes, before a time, of the rows whose changes have come due.
    fn release(&mut self, temporal: &Temporal, time: u64) -> Made {
        let mut made = Made::default();
        loop {
            let due = self.schedule.advance(time);
            if due.is_empty() {
                return made;
            }
            due.iter().for_each(|rows| temporal.turn(rows, &mut made));
            // A row may change again before that time.
            let later = made.later.drain(..);
            later.for_each(|rows| self.schedule.insert(rows));
        }
    }

    /// Gives up the right to send anything before the next change.
    fn downgrade(&mut self) {
        for own in &mut self.capabilities {
            match (self.schedule.earliest(), own.as_mut()) {
                (Some(earliest), Some(capability)) if *capability.time() < earliest => {
                    capability.downgrade(&earliest);
                }
                (Some(_), _) => {}
                (None, _) => *own = None,
            }
        }
    }
}

/// Applies conditions to a collection. The second stream carries the rows that failed, as error
/// texts. The clock's frontier says which time has come; `due` is kept at the next change.
pub fn temporal<'scope>(
    stream: Changes<'scope>,
    clock: Changes<'scope>,
    temporal: Temporal,
    due: Due,
) -> (Changes<'scope>, Changes<'scope>) {
    let scope = stream.scope();
    let mut builder = OperatorBuilder::new("Temporal".to_owned(), scope);
    let mut input = builder.new_input(stream, Pipeline);
    let mut clock = builder.new_input(clock, Pipeline);
    let (results, results_stream) = builder.new_output::<Updates>();
    let (errors, errors_stream) = builder.new_output::<Updates>();
    let mut results = OutputBuilder::<_, NoopBuilder<Updates>>::from(results);
    let mut errors = OutputBuilder::<_, NoopBuilder<Updates>>::from(errors);
    let waiting = Rc::new(RefCell::new(Waiting::default()));
    let kept = Rc::downgrade(&waiting);
    let gauge = move || match kept.upgrade() {
        Some(kept) => kept.borrow().schedule.held(),
        None => Held::default(),
    };
    let operator = builder.operator_info().global_id;
    meter::note(scope.worker(), operator, Rc::new(gauge));
    builder.build(move |_| {
        move |frontiers| {
            let mut waiting = waiting.borrow_mut();
            let mut outputs = [results.activate(), errors.activate()];
            clock.for_each(|_, _| {});
            input.for_each(|capability, updates| {
                let updates = std::mem::take(updates);
                let mut made = Made::default();
                temporal.begin(&updates, &mut made);
                for (output, made) in outputs.iter_mut().zip([made.results, made.failed]) {
                    for mut updates in made.into_iter().filter(|updates| updates.len() > 0) {
                        output
                            .session_with_builder(&capability)
                            .give_container(&mut updates);
                    }
                }
                waiting.insert(made.later, |port| capability.retain_least(port));
            });
            // A clock that has ended belongs to a view that is being dropped.
            match frontiers[1].frontier().first().copied() {
                None => *waiting = Waiting::default(),
                Some(time) => {
                    let made = waiting.release(&temporal, time);
                    let capabilities = &waiting.capabilities;
                    let made = [made.results, made.failed].into_iter().zip(capabilities);
                    for (output, (made, capability)) in outputs.iter_mut().zip(made) {
                        let Some(capability) = capability else {
                            continue;
                        };
                        for mut updates in made.into_iter().filter(|updates| updates.len() > 0) {
                            output
                                .session_with_builder(capability)
                                .give_container(&mut updates);
                        }
                    }
                    waiting.downgrade();
                }
            }
            due.set(waiting.schedule.earliest().unwrap_or(u64::MAX));
        }
    });
    (results_stream, errors_stream)
}
