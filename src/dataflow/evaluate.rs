//! Aggregates and window functions computed by DataFusion from the rows of one group.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{
    SortColumn, SortOptions, filter_record_batch, lexsort_to_indices, prep_null_mask_filter,
    take_record_batch,
};
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use super::operator::recompute::Evaluate;
use crate::sql::plan::SortKey;
use crate::sql::plan::function::{AggregateCall, WindowNode};

/// An aggregate over the rows of a group.
struct Reduction {
    function: AggregateFunctionExpr,
    filter: Option<usize>,
    /// The order to bring the rows in; empty if they come in it.
    order: Vec<SortKey>,
}

/// Computes aggregates, each with its filter, from rows with the given columns that come in the
/// order `arranged`.
pub fn aggregates(
    calls: &[(AggregateCall, Option<usize>)],
    rows: &SchemaRef,
    arranged: &[SortKey],
) -> Evaluate {
    let reductions: Result<Vec<Reduction>, DataFusionError> = calls
        .iter()
        .map(|(call, filter)| {
            Ok(Reduction {
                function: call.compiled(rows)?,
                filter: *filter,
                order: match call.order == arranged {
                    true => Vec::new(),
                    false => call.order.clone(),
                },
            })
        })
        .collect();
    let reductions = reductions.expect("calls that do not compile are refused when planned");
    Box::new(move |rows| {
        let reductions = reductions.iter();
        reductions.map(|reduction| reduction.of(rows)).collect()
    })
}

impl Reduction {
    fn of(&self, rows: &RecordBatch) -> Result<ArrayRef, DataFusionError> {
        let mut rows = rows.clone();
        if let Some(filter) = self.filter {
            let mask = rows.column(filter).as_boolean();
            rows = match mask.null_count() {
                0 => filter_record_batch(&rows, mask)?,
                _ => filter_record_batch(&rows, &prep_null_mask_filter(mask))?,
            };
        }
        if !self.order.is_empty() && rows.num_rows() > 1 {
            rows = sorted(&rows, &self.order)?;
        }
        let mut accumulator = self.function.create_accumulator()?;
        if rows.num_rows() > 0 {
            let orders = self.function.order_bys().iter();
            let orders = orders.map(|key| key.expr.clone());
            let arguments = self.function.expressions().into_iter().chain(orders);
            let values: Result<Vec<ArrayRef>, DataFusionError> = arguments
                .map(|argument| argument.evaluate(&rows)?.into_array(rows.num_rows()))
                .collect();
            accumulator.update_batch(&values?)?;
        }
        accumulator.evaluate()?.to_array_of_size(1)
    }
}

fn sorted(rows: &RecordBatch, order: &[SortKey]) -> Result<RecordBatch, DataFusionError> {
    let columns: Vec<SortColumn> = order
        .iter()
        .map(|key| SortColumn {
            values: rows.column(key.column).clone(),
            options: Some(SortOptions {
                descending: key.descending,
                nulls_first: key.nulls_first,
            }),
        })
        .collect();
    let indices = lexsort_to_indices(&columns, None)?;
    Ok(take_record_batch(rows, &indices)?)
}

/// Computes window functions from a partition whose rows come in the window's order; sums come out
/// [wide](crate::sql::aggregates::wide_sums).
pub fn windows(window: &WindowNode) -> Evaluate {
    let calls = window.widened();
    let calls = calls.expect("calls that do not compile are refused when planned");
    Box::new(move |rows| calls.iter().map(|call| call.evaluate(rows)).collect())
}
