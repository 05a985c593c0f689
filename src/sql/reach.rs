//! How far a window function looks from a row.
//!
//! Where it is known to depend on a few rows before and behind, a change need not recompute the
//! whole partition. That holds for functions that give the same whatever else is in the partition;
//! a running sum of doubles does not, as its rounding depends on all rows before.

use datafusion::logical_expr::{
    WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
};
use datafusion::scalar::ScalarValue;

use super::function::{Argument, WindowCall, WindowNode};

/// The furthest that is worth walking row by row.
const FURTHEST: u64 = 1000;

/// The rows that a row's results depend on, besides itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// How many rows before it.
    pub before: u64,
    /// How many rows behind it.
    pub after: u64,
}

impl Reach {
    fn union(self, other: Reach) -> Reach {
        Reach {
            before: self.before.max(other.before),
            after: self.after.max(other.after),
        }
    }
}

impl WindowNode {
    /// How far the functions look; `None`: over the whole partition.
    pub fn reach(&self) -> Option<Reach> {
        let none = Reach {
            before: 0,
            after: 0,
        };
        let mut reaches = self.calls.iter().map(|call| self.reach_of(call));
        let reach = reaches.try_fold(none, |reach, other| Some(reach.union(other?)))?;
        (reach.before.max(reach.after) <= FURTHEST).then_some(reach)
    }

    fn reach_of(&self, call: &WindowCall) -> Option<Reach> {
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
            (WindowFunctionDefinition::AggregateUDF(_), "sum") if !self.has_floating(call) => {
                frame(&call.frame)
            }
            _ => None,
        }
    }

    fn has_floating(&self, call: &WindowCall) -> bool {
        let mut columns = call.arguments.iter().filter_map(Argument::column);
        columns.any(|column| self.input.schema.field(column).data_type().is_floating())
    }
}

/// The reach of `lag` and `lead`.
fn shift(call: &WindowCall, is_lead: bool) -> Option<Reach> {
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
        true => Reach {
            before: near,
            after: far,
        },
        false => Reach {
            before: far,
            after: near,
        },
    })
}

/// The reach of a frame of so many rows.
fn frame(frame: &WindowFrame) -> Option<Reach> {
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
    Some(Reach { before, after })
}
