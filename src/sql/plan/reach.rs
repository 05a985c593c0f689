//! How far a window function looks from a row.
//!
//! Where it is known to depend on a few rows before and behind, a change need not recompute the
//! whole partition. That holds for functions that give the same whatever else is in the partition;
//! a running sum of doubles does not, as its rounding depends on all rows before.

use arrow::datatypes::DataType;
use datafusion::logical_expr::{
    WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
};
use datafusion::scalar::ScalarValue;

use super::function::{Argument, WindowCall, WindowNode};
use crate::sql::relation::{LATEST, SESSION_END, SESSION_START, gap_in_microseconds};

/// The furthest that is worth walking row by row.
const FURTHEST: u64 = 1000;

/// Which other rows of its partition a row's results depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those near it.
    Nearby(Nearby),
    /// Those of its session.
    Session(Gap),
    /// The newest one of the right side of an ASOF join, which gives its own rows no results.
    Newest(Sides),
}

/// So many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nearby {
    /// How many rows before it.
    pub before: u64,
    /// How many rows behind it.
    pub after: u64,
}

/// What parts sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The column of the times, in microseconds; the first of the order.
    pub time: usize,
    /// The longest time between two rows of one session.
    pub microseconds: i64,
}

/// The sides of an ASOF join in one collection, which is ordered by time and side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sides {
    /// The column that tells the rows of the left side.
    pub is_left: usize,
    /// Whether a right row of the same time does not count.
    pub is_strict: bool,
}

impl Nearby {
    fn union(self, other: Nearby) -> Nearby {
        Nearby {
            before: self.before.max(other.before),
            after: self.after.max(other.after),
        }
    }
}

impl WindowNode {
    /// How far the functions look; `None`: over the whole partition.
    pub fn reach(&self) -> Option<Reach> {
        let session = self.common(WindowNode::gap).map(Reach::Session);
        let newest = || self.common(WindowNode::sides).map(Reach::Newest);
        let nearby = || self.nearby().map(Reach::Nearby);
        session.or_else(newest).or_else(nearby)
    }

    /// What all calls have in common.
    fn common<T: PartialEq>(
        &self,
        of: impl Fn(&WindowNode, &WindowCall) -> Option<T>,
    ) -> Option<T> {
        let mut all = self.calls.iter().map(|call| of(self, call));
        let first = all.next()??;
        all.all(|other| other.as_ref() == Some(&first))
            .then_some(first)
    }

    fn gap(&self, call: &WindowCall) -> Option<Gap> {
        let is_session = matches!(call.function.name(), SESSION_START | SESSION_END);
        match &call.arguments[..] {
            [
                Argument::Column(time),
                Argument::Constant(ScalarValue::IntervalMonthDayNano(Some(gap))),
            ] if is_session && self.order.first()?.column == *time => Some(Gap {
                time: *time,
                microseconds: gap_in_microseconds(*gap),
            }),
            _ => None,
        }
    }

    fn sides(&self, call: &WindowCall) -> Option<Sides> {
        let side = self.order.get(1)?;
        match &call.arguments[..] {
            [_, Argument::Column(is_left)]
                if call.function.name() == LATEST && side.column == *is_left =>
            {
                Some(Sides {
                    is_left: *is_left,
                    is_strict: side.descending,
                })
            }
            _ => None,
        }
    }

    fn nearby(&self) -> Option<Nearby> {
        let none = Nearby {
            before: 0,
            after: 0,
        };
        let mut reaches = self.calls.iter().map(|call| self.reach_of(call));
        let reach = reaches.try_fold(none, |reach, other| Some(reach.union(other?)))?;
        (reach.before.max(reach.after) <= FURTHEST).then_some(reach)
    }

    fn reach_of(&self, call: &WindowCall) -> Option<Nearby> {
        match (&call.function, call.function.name()) {
            (WindowFunctionDefinition::WindowUDF(_), "lag") => shift(call, false),
            (WindowFunctionDefinition::WindowUDF(_), "lead") => shift(call, true),
            (
                WindowFunctionDefinition::WindowUDF(_),
                "first_value" | "last_value" | "nth_value",
            ) => frame(&call.frame),
            (WindowFunctionDefinition::AggregateUDF(_), "count" | "min" | "max") => {
                frame(&call.frame)
            }
            (WindowFunctionDefinition::AggregateUDF(_), "sum")
                if !self.has_floating(call) && !self.has_interval(call) =>
            {
                frame(&call.frame)
            }
            _ => None,
        }
    }

    fn has_floating(&self, call: &WindowCall) -> bool {
        let mut columns = call.arguments.iter().filter_map(Argument::column);
        columns.any(|column| self.input.schema.field(column).data_type().is_floating())
    }

    /// Whether an argument is an interval. A sum of them that is out of range is an error of the
    /// whole partition, whatever changes in it.
    fn has_interval(&self, call: &WindowCall) -> bool {
        let is_interval = |data_type: &DataType| matches!(data_type, DataType::Interval(_));
        call.arguments.iter().any(|argument| match argument {
            Argument::Column(column) => is_interval(self.input.schema.field(*column).data_type()),
            Argument::Constant(value) => is_interval(&value.data_type()),
        })
    }
}

/// The reach of `lag` and `lead`.
fn shift(call: &WindowCall, is_lead: bool) -> Option<Nearby> {
    if call.ignore_nulls {
        return None;
    }
    let rows = match call.arguments.get(1) {
        None => 1,
        Some(Argument::Constant(ScalarValue::Int64(Some(rows)))) => *rows,
        Some(_) => return None,
    };
    let (near, far) = (0, rows.unsigned_abs());
    Some(match is_lead == (rows >= 0) {
        true => Nearby {
            before: near,
            after: far,
        },
        false => Nearby {
            before: far,
            after: near,
        },
    })
}

/// The reach of a frame of so many rows.
fn frame(frame: &WindowFrame) -> Option<Nearby> {
    if frame.units != WindowFrameUnits::Rows {
        return None;
    }
    let distance = |value: &ScalarValue| match value {
        ScalarValue::UInt64(Some(rows)) => Some(*rows),
        _ => None,
    };
    let before = match &frame.start_bound {
        WindowFrameBound::Preceding(rows) => distance(rows)?,
        WindowFrameBound::CurrentRow => 0,
        WindowFrameBound::Following(rows) => distance(rows).map(|_| 0)?,
    };
    let after = match &frame.end_bound {
        WindowFrameBound::Following(rows) => distance(rows)?,
        WindowFrameBound::CurrentRow => 0,
        WindowFrameBound::Preceding(rows) => distance(rows).map(|_| 0)?,
    };
    Some(Nearby { before, after })
}
