//! Sessions: rows of one key of which each follows the one before within a gap.
//!
//! Where a session starts and ends are two window functions over the rows of a key in the order of
//! time. They depend on nothing but the rows of the session.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast as cast_array;
use arrow::datatypes::{
    DataType, FieldRef, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, TimeUnit,
};
use datafusion::common::{Column, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, LogicalPlan, PartitionEvaluator, Signature, Volatility, WindowUDF,
    WindowUDFImpl, cast,
};

use super::call::{Call, interval};
use super::type_of_first;

/// The window function that gives the first moment of a row's session.
pub const SESSION_START: &str = "session_start";
/// The window function that gives the last moment of a row's session plus the gap.
pub const SESSION_END: &str = "session_end";

/// Each row with the session that it belongs to.
pub fn session(mut call: Call) -> Result<LogicalPlan> {
    let mut time = call.time()?;
    let gap = call.length()?;
    if gap.months > 0 {
        return Err(call.refused("months differ in length; give the gap in days or less"));
    }
    let keys = call.rest()?;
    if let DataType::Timestamp(unit, zone) = call.type_of(&time)?
        && unit != TimeUnit::Microsecond
    {
        time = cast(time, DataType::Timestamp(TimeUnit::Microsecond, zone));
    }
    let bound = |function: &WindowUDF| {
        let bound = function.call(vec![time.clone(), interval(gap)]);
        let order = vec![time.clone().sort(true, false)];
        bound.partition_by(keys.clone()).order_by(order).build()
    };
    let (start, end) = (bound(&SESSIONS[0])?, bound(&SESSIONS[1])?);
    let result = |bound: &Expr| {
        let name = bound.schema_name().to_string();
        Expr::Column(Column::new_unqualified(name))
    };
    let (started, ended) = (result(&start), result(&end));
    let rows = call.timed_rows(&time)?.window([start, end])?;
    call.windowed(rows, started, ended)
}

/// A gap as what times in microseconds are compared with.
pub fn gap_in_microseconds(gap: IntervalMonthDayNano) -> i64 {
    i64::from(gap.days) * 86_400_000_000 + gap.nanoseconds / 1000
}

static SESSIONS: LazyLock<[WindowUDF; 2]> = LazyLock::new(|| {
    [SESSION_START, SESSION_END].map(|name| {
        WindowUDF::new_from_impl(SessionBound {
            name,
            signature: Signature::any(2, Volatility::Immutable),
        })
    })
});

#[derive(Debug, PartialEq, Eq, Hash)]
struct SessionBound {
    name: &'static str,
    signature: Signature,
}

impl WindowUDFImpl for SessionBound {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(
        &self,
        _arguments: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(SessionEvaluator {
            is_end: self.name == SESSION_END,
        }))
    }

    fn field(&self, arguments: WindowUDFFieldArgs) -> Result<FieldRef> {
        type_of_first(&arguments)
    }
}

#[derive(Debug)]
struct SessionEvaluator {
    is_end: bool,
}

impl PartitionEvaluator for SessionEvaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let [times, gaps] = values else {
            return internal_err!("a session is made of times and a gap");
        };
        let moments = cast_array(times, &DataType::Int64)?;
        let moments: &Int64Array = moments.as_primitive::<Int64Type>();
        let gaps = gaps.as_primitive::<IntervalMonthDayNanoType>();
        let gap = match gaps.is_empty() {
            true => 0,
            false => gap_in_microseconds(gaps.value(0)),
        };
        let follows = |row: usize| {
            let (before, moment) = (moments.value(row - 1), moments.value(row));
            moment <= before.saturating_add(gap)
        };
        let mut bounds = vec![0; rows];
        for row in 0..rows {
            bounds[row] = match row > 0 && follows(row) {
                true => bounds[row - 1],
                false => moments.value(row),
            };
        }
        if self.is_end {
            for row in (0..rows).rev() {
                bounds[row] = match row + 1 < rows && follows(row + 1) {
                    true => bounds[row + 1],
                    false => moments.value(row).saturating_add(gap),
                };
            }
        }
        let bounds: ArrayRef = Arc::new(Int64Array::from(bounds));
        Ok(cast_array(&bounds, times.data_type())?)
    }
}
