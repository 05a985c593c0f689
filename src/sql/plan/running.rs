//! Window functions that run on from row to row.
//!
//! On the rows from some row on they are known from these rows, from sums over all rows before,
//! and, for functions of the first rows of a partition, from those. So a change need not be
//! followed from the beginning of its partition, and no further than it makes a difference.

use arrow::datatypes::DataType;
use datafusion::logical_expr::{WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition};
use datafusion::scalar::ScalarValue;

use super::function::{Argument, WindowCall, WindowNode};

/// The most first rows of a partition that are read beside those that change.
const LONGEST_HEAD: u64 = 1000;

/// How the functions of a window run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// So many of the first rows of a partition may matter to all others.
    pub head: u64,
    /// Whether rows that the order does not tell apart have results in common.
    pub by_peers: bool,
    /// What each function carries on.
    pub carries: Vec<Carry>,
}

/// What a function takes over from the rows before those that it is computed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carry {
    Nothing,
    /// Their number.
    Rows,
    /// The number of those that take part.
    Count(Participants),
    /// The sum over those that take part, which is exact.
    Sum(Participants),
    /// The least of those that take part.
    Least(Participants),
    /// The greatest of those that take part.
    Greatest(Participants),
}

/// The rows that take part in an aggregate, by columns of the window's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Participants {
    /// The argument, which must not be NULL.
    pub argument: Option<usize>,
    /// A boolean column that must be true.
    pub filter: Option<usize>,
}

impl Carry {
    /// Whether it is the least or the greatest.
    pub fn is_end(&self) -> bool {
        matches!(self, Carry::Least(_) | Carry::Greatest(_))
    }

    /// The rows that are added up, or looked at.
    pub fn participants(&self) -> Option<Participants> {
        match self {
            Carry::Nothing | Carry::Rows => None,
            Carry::Count(rows) | Carry::Sum(rows) | Carry::Least(rows) | Carry::Greatest(rows) => {
                Some(*rows)
            }
        }
    }
}

impl WindowNode {
    /// How the functions run on, if all of them do.
    pub fn running(&self) -> Option<Running> {
        if self.limit.is_some() || self.order.is_empty() {
            return None;
        }
        let mut running = Running {
            head: 0,
            by_peers: false,
            carries: Vec::new(),
        };
        for call in &self.calls {
            let (carry, head) = self.carry(call)?;
            running.carries.push(carry);
            running.head = running.head.max(head);
            running.by_peers |= carry == Carry::Rows || call.frame.units != WindowFrameUnits::Rows;
        }
        Some(running)
    }

    /// What a function carries on, and how many of the first rows matter to it.
    fn carry(&self, call: &WindowCall) -> Option<(Carry, u64)> {
        let starts_first = call.frame.start_bound.is_unbounded();
        let ends_here = call.frame.end_bound == WindowFrameBound::CurrentRow;
        let ends_last = call.frame.end_bound.is_unbounded();
        match (&call.function, call.function.name()) {
            (WindowFunctionDefinition::WindowUDF(_), "rank") => Some((Carry::Rows, 0)),
            _ if call.ignore_nulls || call.distinct || !starts_first => None,
            (WindowFunctionDefinition::WindowUDF(_), "first_value") if ends_here || ends_last => {
                Some((Carry::Nothing, 1))
            }
            (WindowFunctionDefinition::WindowUDF(_), "nth_value") if ends_here || ends_last => {
                let rows = match call.arguments.get(1)? {
                    Argument::Constant(ScalarValue::Int64(Some(rows))) => u64::try_from(*rows),
                    _ => return None,
                };
                let rows = rows.ok()?;
                (1..=LONGEST_HEAD)
                    .contains(&rows)
                    .then_some((Carry::Nothing, rows))
            }
            (WindowFunctionDefinition::WindowUDF(_), "last_value") if ends_here => {
                Some((Carry::Nothing, 0))
            }
            (WindowFunctionDefinition::AggregateUDF(_), "count") if ends_here => {
                Some((Carry::Count(participants(call)?), 0))
            }
            (WindowFunctionDefinition::AggregateUDF(_), "sum") if ends_here => {
                let participants = participants(call)?;
                let argument = self.input.schema.field(participants.argument?).data_type();
                is_exact(argument).then_some((Carry::Sum(participants), 0))
            }
            (WindowFunctionDefinition::AggregateUDF(_), name @ ("min" | "max")) if ends_here => {
                let participants = participants(call)?;
                let argument = self.input.schema.field(participants.argument?).data_type();
                let carry = match name {
                    "min" => Carry::Least(participants),
                    _ => Carry::Greatest(participants),
                };
                has_ordered_words(argument).then_some((carry, 0))
            }
            _ => None,
        }
    }
}

fn participants(call: &WindowCall) -> Option<Participants> {
    let argument = match &call.arguments[..] {
        [Argument::Column(column)] => Some(*column),
        [Argument::Constant(value)] if !value.is_null() => None,
        _ => return None,
    };
    Some(Participants {
        argument,
        filter: call.filter,
    })
}

/// Whether sums of a type are the same in any order.
fn is_exact(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int64 | DataType::UInt64 | DataType::Decimal128(..)
    )
}

/// Whether values are kept as words of fixed width that are in the order of the values.
fn has_ordered_words(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int8
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt32
            | DataType::UInt64
            | DataType::Date32
            | DataType::Timestamp(..)
            | DataType::Decimal128(..)
    )
}
