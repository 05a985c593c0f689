//! Trying functions and expressions out when a view is planned, to refuse what DataFusion cannot
//! compute.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_plan::windows::WindowExpr;
use datafusion::scalar::ScalarValue;

use super::super::error::SqlError;
use super::super::plan::function::{AggregateCall, nullable};
use super::super::plan::{Aggregate, AggregateFunction, Expression};
use super::super::reason::bare;
use super::{as_column, refused};

/// Refuses an expression that fails on every row, whatever its values are. What fails for values,
/// a division of constants by zero among it, is an error of the rows that have them.
pub fn check_expression(expression: &Expression, input: &SchemaRef) -> Result<(), SqlError> {
    let Some((failing, error)) = failing(expression, input) else {
        return Ok(());
    };
    let reason = error.find_root().strip_backtrace();
    let reason = bare(reason.lines().next().unwrap_or_default());
    let refusal = SqlError::unsupported(format!("{failing} cannot be computed: {reason}"))
        .with_hint("write it with functions and operators that take values of these types");
    Err(match failing.downcast_ref::<ScalarFunctionExpr>() {
        Some(call) => refusal.about(call.name()),
        None => refusal,
    })
}

/// The least part of an expression that fails on every row.
fn failing(expression: &Expression, input: &SchemaRef) -> Option<(Expression, DataFusionError)> {
    if as_column(expression).is_some() {
        return None;
    }
    let error = failure(expression, || null_row(input))?;
    failure(expression, || plain_row(input))?;
    let parts = expression.children().into_iter();
    let mut parts = parts.filter_map(|part| failing(part, input));
    let part = parts.next();
    Some(part.unwrap_or_else(|| (Arc::clone(expression), error)))
}

/// The error on a row, if it is not one of its values.
fn failure(
    expression: &Expression,
    row: impl Fn() -> Result<RecordBatch, DataFusionError>,
) -> Option<DataFusionError> {
    let tried = || {
        let row = row().ok()?;
        match expression.evaluate(&row) {
            Err(error) => Some(error),
            Ok(value) => other_type(expression, &row, &value.data_type()),
        }
    };
    // What breaks down over such a row may do better over others.
    let error = catch_unwind(AssertUnwindSafe(tried)).ok().flatten()?;
    is_of_types(&error).then_some(error)
}

/// The error of an expression that gives values of another type than it says.
fn other_type(
    expression: &Expression,
    row: &RecordBatch,
    given: &DataType,
) -> Option<DataFusionError> {
    let said = expression.data_type(&row.schema()).ok()?;
    let message = format!("it gives values of type {given}, and says that they are {said}");
    (said != *given).then_some(DataFusionError::NotImplemented(message))
}

/// Whether an error is one of the types of values, or of what there is.
fn is_of_types(error: &DataFusionError) -> bool {
    let root = error.find_root();
    let message = root.strip_backtrace().to_lowercase();
    let says = [
        "not supported",
        "unsupported",
        "implemented",
        "inconsistent types",
    ];
    matches!(
        root,
        DataFusionError::NotImplemented(_)
            | DataFusionError::Plan(_)
            | DataFusionError::Internal(_)
    ) || says.iter().any(|words| message.contains(words))
}

/// Refuses aggregates that DataFusion's accumulators do not take.
pub fn check_aggregates(
    aggregates: &[Aggregate],
    input: &SchemaRef,
    is_global: bool,
) -> Result<(), SqlError> {
    for aggregate in aggregates {
        if let AggregateFunction::Recomputed(call) = &aggregate.function {
            let name = call.function.name();
            let of_nothing = try_aggregate(call, input).map_err(|error| refusal(name, &error))?;
            if is_global && !of_nothing.is_null() {
                return Err(refused(&format!("{name}() without GROUP BY")));
            }
        }
    }
    Ok(())
}

/// The value over no rows.
fn try_aggregate(call: &AggregateCall, input: &SchemaRef) -> Result<ScalarValue, DataFusionError> {
    let function = call.compiled(input)?;
    let over = |rows: &[RecordBatch]| {
        let mut accumulator = function.create_accumulator()?;
        for row in rows {
            let orders = function.order_bys().iter().map(|key| key.expr.clone());
            let arguments = function.expressions().into_iter().chain(orders);
            let values = arguments.map(|argument| argument.evaluate(row)?.into_array(1));
            accumulator.update_batch(&values.collect::<Result<Vec<_>, _>>()?)?;
        }
        accumulator.evaluate()
    };
    over(&[null_row(input)?])?;
    let row = plain_row(input)?;
    match over(&[row.clone(), row]) {
        Err(error) if is_of_types(&error) => Err(error),
        _ => over(&[]),
    }
}

/// Evaluates a window function over a row of NULLs and over a row of values.
pub fn try_window(call: &dyn WindowExpr, input: &SchemaRef) -> Result<(), DataFusionError> {
    call.evaluate(&null_row(input)?)?;
    call.evaluate(&plain_row(input)?)?;
    Ok(())
}

fn null_row(schema: &SchemaRef) -> Result<RecordBatch, DataFusionError> {
    let columns = schema.fields().iter();
    row(
        schema,
        columns
            .map(|field| new_null_array(field.data_type(), 1))
            .collect(),
    )
}

/// A row of zeros, empty texts, lists of one such value and the like, NULL where a type has no such
/// value.
fn plain_row(schema: &SchemaRef) -> Result<RecordBatch, DataFusionError> {
    let columns = schema.fields().iter();
    let columns = columns.map(|field| plain_value(field.data_type()));
    row(schema, columns.collect())
}

fn plain_value(data_type: &DataType) -> ArrayRef {
    let value = match data_type {
        DataType::List(element) => {
            let values = plain_value(element.data_type());
            let lengths = OffsetBuffer::from_lengths([1]);
            let list = ListArray::try_new(Arc::clone(element), lengths, values, None);
            list.ok().map(|list| Arc::new(list) as ArrayRef)
        }
        other => {
            let value = ScalarValue::new_default(other);
            value.and_then(|value| value.to_array()).ok()
        }
    };
    value.unwrap_or_else(|| new_null_array(data_type, 1))
}

fn row(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch, DataFusionError> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let rows = RecordBatch::try_new_with_options(nullable(schema), columns, &options)?;
    Ok(rows)
}

/// The refusal of a function in DataFusion's words.
pub fn refusal(function: &str, error: &DataFusionError) -> SqlError {
    let reason = error.strip_backtrace();
    let reason = bare(reason.lines().next().unwrap_or_default());
    let refusal =
        |what: &str| SqlError::unsupported(format!("{function}(){what}: {reason}")).about(function);
    match reason {
        reason if reason.contains("DISTINCT with multiple arguments") => {
            refusal(" of several distinct arguments cannot be computed").with_hint(format!(
                "{function}(*) over a subquery SELECT DISTINCT …, or the arguments as one text"
            ))
        }
        reason if reason.contains("sliding accumulator") => {
            refusal(" cannot be computed over a frame whose beginning moves").with_hint(
                "let the frame begin at UNBOUNDED PRECEDING, or take array_agg() over the frame \
                 and compute with the list",
            )
        }
        _ => refusal(" cannot be computed this way"),
    }
}
