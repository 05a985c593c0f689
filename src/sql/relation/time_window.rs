//! Windows of a fixed length: `tumble` and `hop`.

use std::ops::{Add, Sub};

use arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::{Column, UnnestOptions};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, cast};

use super::call::{Call, interval, own_column};

/// The name of the lists of windows before they are taken apart.
const WINDOWS: &str = "[windows]";
/// Most windows of one row.
const WINDOWS_MAX: i128 = 10_000;

/// One window for each row.
pub fn tumble(mut call: Call) -> Result<LogicalPlan> {
    let time = call.time()?;
    let size = call.length()?;
    let offset = call.offset()?;
    let time_type = call.type_of(&time)?;
    let counted = moved(time.clone(), offset, Expr::sub);
    let start = call.scalar("date_bin", vec![interval(size), counted])?;
    let start = cast(start, time_type);
    let end = start.clone() + interval(size);
    let rows = call.timed_rows(&time)?;
    let (start, end) = (
        moved(start, offset, Expr::add),
        moved(end, offset, Expr::add),
    );
    call.windowed(rows, start, end)
}

/// A row for each of the windows that a row falls into: those that start at a multiple of the
/// slide, not after the row and less than the size before it.
pub fn hop(mut call: Call) -> Result<LogicalPlan> {
    let time = call.time()?;
    let (slide, size) = (call.length()?, call.length()?);
    if nanoseconds(size) > nanoseconds(slide) * WINDOWS_MAX {
        return Err(call.refused(&format!(
            "a row would be in more than {WINDOWS_MAX} windows"
        )));
    }
    let offset = call.offset()?;
    let time_type = call.type_of(&time)?;
    let counted = moved(time.clone(), offset, Expr::sub);
    let bin = |moment| call.scalar("date_bin", vec![interval(slide), moment]);
    let first = bin(counted.clone() - interval(size))? + interval(slide);
    let last = bin(counted.clone())?;
    let series = call.scalar("generate_series", vec![first, last, interval(slide)])?;
    let columns = call.columns().chain([series.alias(WINDOWS)]);
    let options = UnnestOptions::new().with_preserve_nulls(false);
    let rows = call
        .timed_rows(&time)?
        .project(columns.collect::<Vec<_>>())?
        .unnest_column_with_options(Column::new_unqualified(WINDOWS), options)?;
    let start = cast(own_column(WINDOWS), time_type);
    let end = start.clone() + interval(size);
    // Months differ in length, so the first windows may end too early.
    let rows = rows.filter(end.clone().gt(counted))?;
    let (start, end) = (
        moved(start, offset, Expr::add),
        moved(end, offset, Expr::add),
    );
    call.windowed(rows, start, end)
}

fn moved(
    moment: Expr,
    offset: Option<IntervalMonthDayNano>,
    how: impl Fn(Expr, Expr) -> Expr,
) -> Expr {
    match offset {
        None => moment,
        Some(offset) => how(moment, interval(offset)),
    }
}

/// About how long an interval is.
fn nanoseconds(length: IntervalMonthDayNano) -> i128 {
    const DAY: i128 = 86_400_000_000_000;
    let days = i128::from(length.months) * 30 + i128::from(length.days);
    days * DAY + i128::from(length.nanoseconds)
}
