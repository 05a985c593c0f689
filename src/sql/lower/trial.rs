//! Trying functions out when a view is planned, to refuse what DataFusion cannot compute.

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::windows::WindowExpr;
use datafusion::scalar::ScalarValue;

use super::super::error::SqlError;
use super::super::function::{AggregateCall, nullable};
use super::super::plan::{Aggregate, AggregateFunction};
use super::super::reason::bare;
use super::refused;

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
    let row = null_row(input)?;
    let mut accumulator = function.create_accumulator()?;
    let orders = function.order_bys().iter().map(|key| key.expr.clone());
    let arguments = function.expressions().into_iter().chain(orders);
    let values = arguments.map(|argument| argument.evaluate(&row)?.into_array(1));
    accumulator.update_batch(&values.collect::<Result<Vec<_>, _>>()?)?;
    accumulator.evaluate()?;
    function.create_accumulator()?.evaluate()
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

/// A row of zeros, empty texts and the like, NULL where a type has no such value.
fn plain_row(schema: &SchemaRef) -> Result<RecordBatch, DataFusionError> {
    let columns = schema.fields().iter().map(|field| {
        let value = ScalarValue::new_default(field.data_type());
        let array = value.and_then(|value| value.to_array());
        array.unwrap_or_else(|_| new_null_array(field.data_type(), 1))
    });
    row(schema, columns.collect())
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
