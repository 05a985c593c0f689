//! Rows that change as time passes: filter and projection over conditions on `now()`.
//!
//! When a row comes, the moments at which its conditions change are found by halving the time
//! ahead, with the expression itself as the judge, so that they are exactly those at which the
//! same SQL would answer differently. What the row is until the first of them is emitted at once;
//! its changes wait in a [`Schedule`] until the clock, a stream that carries nothing but its
//! frontier, has passed them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
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
use crate::sql::temporal::{Condition, LATEST_MS, Turn, now_type, replace_now};

/// The earliest time (ms) at which something is scheduled; `u64::MAX`: nothing is.
pub type Due = Rc<Cell<u64>>;

/// Conditions of rows, and what is made of rows and conditions.
pub struct Temporal {
    conditions: Vec<(Expression, Turn)>,
    /// Over the columns of the input followed by one per condition.
    map: Map,
    /// The columns of the input followed by the moment.
    momentary: SchemaRef,
    /// The columns of the input followed by one per condition.
    flagged: SchemaRef,
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
        Ok(Temporal {
            conditions: conditions_at.collect::<Result<_>>()?,
            map,
            momentary: wider(vec![Field::new("now()", now_type(), false)]),
            flagged: wider(flags.collect()),
        })
    }

    /// What a batch of rows becomes: at once, and later. A batch that fails is halved until the
    /// failing rows stand alone.
    fn apply(&self, updates: &Updates, results: &mut Vec<Updates>, failed: &mut Vec<Updates>) {
        if updates.len() == 0 {
            return;
        }
        match self.stages(updates) {
            Ok(stages) => {
                for stage in stages {
                    results.extend(self.map.apply(&stage, failed));
                }
            }
            Err(error) if updates.len() == 1 => failed.push(error_row(updates, &error)),
            Err(_) => {
                let half = updates.len() / 2;
                self.apply(&updates.slice(0, half), results, failed);
                self.apply(&updates.slice(half, updates.len() - half), results, failed);
            }
        }
    }

    /// The rows with the values of the conditions: as they come, then as each of their changes
    /// makes them.
    fn stages(&self, updates: &Updates) -> Result<Vec<Updates>> {
        let rows = updates.len();
        let mut turns: Vec<Vec<u64>> = vec![Vec::new(); rows];
        for (condition, turn) in &self.conditions {
            self.collect_turns(condition, *turn, updates, &mut turns)?;
        }
        for row in &mut turns {
            row.sort_unstable();
            row.dedup();
        }
        let begin: Vec<u64> = updates.times.iter().collect();
        let mut stages = vec![self.flagged(updates, &begin, &begin, 1)?];
        let most = turns.iter().map(Vec::len).max().unwrap_or(0);
        for number in 0..most {
            let turning: BooleanArray = turns.iter().map(|row| Some(row.len() > number)).collect();
            let part = updates.filter(&turning)?;
            let of_part = || {
                turns
                    .iter()
                    .zip(&begin)
                    .filter(|(row, _)| row.len() > number)
            };
            let at: Vec<u64> = of_part().map(|(row, _)| row[number]).collect();
            let before = of_part().map(|(row, begin)| match number {
                0 => *begin,
                _ => row[number - 1],
            });
            let before: Vec<u64> = before.collect();
            stages.push(self.flagged(&part, &before, &at, -1)?);
            stages.push(self.flagged(&part, &at, &at, 1)?);
        }
        Ok(stages)
    }

    /// The rows with the conditions' values at some moments, coming or going at others.
    fn flagged(
        &self,
        updates: &Updates,
        moments: &[u64],
        times: &[u64],
        sign: i64,
    ) -> Result<Updates> {
        let momentary = self.at(&updates.rows, moments);
        let mut columns = updates.rows.columns().to_vec();
        for (condition, _) in &self.conditions {
            columns.push(evaluate(condition, &momentary)?);
        }
        let flagged = Updates {
            rows: batch(Arc::clone(&self.flagged), columns, updates.len()),
            times: times.to_vec().into(),
            counts: updates.counts.clone(),
        };
        Ok(match sign {
            1 => flagged,
            _ => flagged.negated(),
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

/// An output of the operator with what is scheduled for it.
struct Waiting {
    schedule: Schedule,
    capability: Option<Capability<u64>>,
}

impl Waiting {
    fn new() -> Waiting {
        Waiting {
            schedule: Schedule::default(),
            capability: None,
        }
    }

    /// Splits off what is to come after its message, whose capability is at `time`, and keeps it.
    fn keep_later(
        &mut self,
        updates: Updates,
        reached: u64,
        capability: impl FnOnce() -> Option<Capability<u64>>,
    ) -> Option<Updates> {
        if updates.times.iter().all(|time| time <= reached) {
            return Some(updates);
        }
        self.schedule.insert(updates);
        let earlier = capability();
        self.capability = match (self.capability.take(), earlier) {
            (Some(own), Some(other)) if own.time() <= other.time() => Some(own),
            (own, other) => other.or(own),
        };
        None
    }

    /// What has come due before a time, with the capability to send it.
    fn release(&mut self, time: u64) -> (Vec<Updates>, Option<Capability<u64>>) {
        let released = self.schedule.advance(time);
        let capability = self.capability.clone();
        match (self.schedule.earliest(), &mut self.capability) {
            (Some(earliest), Some(capability)) => {
                if *capability.time() < earliest {
                    capability.downgrade(&earliest);
                }
            }
            (_, capability) => *capability = None,
        }
        (released, capability)
    }
}

fn held(waiting: &[Waiting]) -> Held {
    let schedules = waiting.iter().map(|waiting| waiting.schedule.held());
    schedules.fold(Held::default(), Held::plus)
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
    let waiting = Rc::new(RefCell::new([Waiting::new(), Waiting::new()]));
    let kept = Rc::downgrade(&waiting);
    let gauge = move || match kept.upgrade() {
        Some(kept) => held(&*kept.borrow()),
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
                let reached = updates.times.iter().max().unwrap_or(0);
                let mut made = [Vec::new(), Vec::new()];
                let [mapped, failed] = &mut made;
                temporal.apply(&updates, mapped, failed);
                for (port, made) in made.into_iter().enumerate() {
                    for updates in made.into_iter().filter(|updates| updates.len() > 0) {
                        let retained = || capability.retain_least(port);
                        if let Some(mut ready) =
                            waiting[port].keep_later(updates, reached, retained)
                        {
                            let mut session = outputs[port].session_with_builder(&capability);
                            session.give_container(&mut ready);
                        }
                    }
                }
            });
            // A clock that has ended belongs to a view that is being dropped.
            let time = frontiers[1].frontier().first().copied();
            let mut earliest = u64::MAX;
            for (waiting, output) in waiting.iter_mut().zip(&mut outputs) {
                let Some(time) = time else {
                    *waiting = Waiting::new();
                    continue;
                };
                let (released, capability) = waiting.release(time);
                if let Some(capability) = capability {
                    for mut updates in released {
                        output
                            .session_with_builder(&capability)
                            .give_container(&mut updates);
                    }
                }
                earliest = earliest.min(waiting.schedule.earliest().unwrap_or(u64::MAX));
            }
            due.set(earliest);
        }
    });
    (results_stream, errors_stream)
}
