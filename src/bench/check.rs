//! The check behind every figure: each view equals the same SQL run from scratch over the tables.
//!
//! Rows are compared as bags, by an order-independent sum of fingerprints. Only where that fails
//! and there are floating-point columns, whose batch sums depend on the order of rows, both sides
//! are sorted and compared with a tolerance.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches, take};
use arrow::datatypes::{DataType, Float64Type, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use futures::TryStreamExt;
use xxhash_rust::xxh3::xxh3_128;

use super::BenchError;
use crate::engine::{Engine, EngineError, Outcome};
use crate::sql::{SqlError, Statement, parse};

/// How far floating-point results may differ, relative to their size.
const TOLERANCE: f64 = 1e-9;

/// A view that was found to be right, or whose batch answer could not be had.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The view's name.
    pub view: String,
    /// How many rows it has.
    pub rows: u64,
    /// Whether it was compared: the answer from scratch of a large view may need more memory than a
    /// query is given.
    pub is_compared: bool,
}

/// The SQLSTATE of a query that needs more memory than it is given.
const OUT_OF_MEMORY: &str = "53200";

/// Checks all views, given as name and definition.
pub fn check(engine: &Engine, views: &[(String, String)]) -> Result<Vec<Checked>, BenchError> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| BenchError::System {
        action: "start the threads that check answers".to_owned(),
        reason: error.to_string(),
    })?;
    let mut checked = Vec::new();
    for (view, definition) in views {
        let all = crate::sql::statement::parse_query(&format!("SELECT * FROM {view}"))?;
        let held = runtime.block_on(answer(engine, Statement::Query(all)))?;
        let fresh = match runtime.block_on(answer(engine, query_of(definition)?)) {
            Ok(fresh) => Some(fresh),
            Err(EngineError::Sql(error)) if error.sqlstate == OUT_OF_MEMORY => None,
            Err(error) => return Err(error.into()),
        };
        let difference = match &fresh {
            None => None,
            Some(fresh) => compare(fresh, &held).map_err(|error| BenchError::System {
                action: format!("compare view \"{view}\""),
                reason: error.to_string(),
            })?,
        };
        if let Some(difference) = difference {
            let view = view.clone();
            return Err(BenchError::Wrong { view, difference });
        }
        checked.push(Checked {
            view: view.clone(),
            rows: row_count(&held),
            is_compared: fresh.is_some(),
        });
    }
    Ok(checked)
}

/// The query inside a view's definition.
fn query_of(definition: &str) -> Result<Statement, SqlError> {
    match parse(definition)?.pop() {
        Some(Statement::CreateMaterializedView { query, .. }) => Ok(Statement::Query(query)),
        _ => Err(SqlError::syntax("expected CREATE MATERIALIZED VIEW")),
    }
}

async fn answer(engine: &Engine, statement: Statement) -> Result<Vec<RecordBatch>, EngineError> {
    match engine.session().execute(&statement, &[]).await? {
        Outcome::Rows(rows) => Ok(rows.try_collect().await?),
        // A check asks for queries only.
        _ => Ok(Vec::new()),
    }
}

fn row_count(batches: &[RecordBatch]) -> u64 {
    batches.iter().map(|batch| batch.num_rows() as u64).sum()
}

/// How the bags differ; `None` if they do not.
fn compare(fresh: &[RecordBatch], held: &[RecordBatch]) -> Result<Option<String>, ArrowError> {
    let (expected, found) = (row_count(fresh), row_count(held));
    if expected != found {
        return Ok(Some(format!("it has {found} rows instead of {expected}")));
    }
    if expected == 0 || fingerprint(fresh)? == fingerprint(held)? {
        return Ok(None);
    }
    let differs = Some("its rows differ from those of the same SQL".to_owned());
    let schema = fresh[0].schema();
    if !schema.fields().iter().any(|f| f.data_type().is_floating()) {
        return Ok(differs);
    }
    let is_close = are_close(&schema, fresh, held)?;
    Ok(differs.filter(|_| !is_close))
}

/// The sum of the rows' fingerprints: the same for the same bag of rows.
fn fingerprint(batches: &[RecordBatch]) -> Result<u128, ArrowError> {
    let mut sum = 0u128;
    for batch in batches {
        let rows = encode(batch.columns())?;
        for row in rows.iter() {
            sum = sum.wrapping_add(xxh3_128(row.data()));
        }
    }
    Ok(sum)
}

fn encode(columns: &[ArrayRef]) -> Result<arrow::row::Rows, ArrowError> {
    let fields = columns
        .iter()
        .map(|column| SortField::new(column.data_type().clone()));
    RowConverter::new(fields.collect())?.convert_columns(columns)
}

/// Whether the rows are equal but for small differences of floating-point columns.
fn are_close(
    schema: &SchemaRef,
    fresh: &[RecordBatch],
    held: &[RecordBatch],
) -> Result<bool, ArrowError> {
    let (fresh, held) = (sorted(schema, fresh)?, sorted(schema, held)?);
    for (fresh, held) in fresh.iter().zip(&held) {
        let is_equal = match fresh.data_type().is_floating() {
            true => floats_are_close(fresh, held)?,
            false => fresh.to_data() == held.to_data(),
        };
        if !is_equal {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The columns in an order of rows that floating-point columns decide last.
fn sorted(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<ArrayRef>, ArrowError> {
    let all = concat_batches(&batches[0].schema(), batches)?;
    let is_floating = |column: &ArrayRef| column.data_type().is_floating();
    let (floats, others): (Vec<ArrayRef>, Vec<ArrayRef>) =
        all.columns().iter().cloned().partition(is_floating);
    let keys: Vec<ArrayRef> = others.into_iter().chain(floats).collect();
    let rows = encode(&keys)?;
    let mut order: Vec<u32> = (0..all.num_rows() as u32).collect();
    order.sort_unstable_by(|left, right| rows.row(*left as usize).cmp(&rows.row(*right as usize)));
    let order = arrow::array::UInt32Array::from(order);
    let columns = 0..schema.fields().len();
    columns
        .map(|column| take(all.column(column), &order, None))
        .collect()
}

fn floats_are_close(left: &ArrayRef, right: &ArrayRef) -> Result<bool, ArrowError> {
    let (left, right) = (
        cast(left, &DataType::Float64)?,
        cast(right, &DataType::Float64)?,
    );
    let (left, right) = (
        left.as_primitive::<Float64Type>(),
        right.as_primitive::<Float64Type>(),
    );
    let pairs = left.iter().zip(right.iter());
    let mut close = pairs.map(|pair| match pair {
        (Some(left), Some(right)) => {
            let size = left.abs().max(right.abs()).max(1e-300);
            left.to_bits() == right.to_bits() || (left - right).abs() <= TOLERANCE * size
        }
        (left, right) => left.is_none() && right.is_none(),
    });
    Ok(close.all(|is_close| is_close))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array};

    use super::*;

    fn rows(numbers: &[i64], floats: &[f64]) -> Vec<RecordBatch> {
        let numbers: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
        let floats: ArrayRef = Arc::new(Float64Array::from(floats.to_vec()));
        vec![RecordBatch::try_from_iter([("n", numbers), ("x", floats)]).expect("two columns")]
    }

    fn differ(left: &[RecordBatch], right: &[RecordBatch]) -> bool {
        compare(left, right).expect("comparable").is_some()
    }

    #[test]
    fn order_and_rounding_do_not_matter_and_rows_do() {
        let one = rows(&[1, 2, 2], &[0.1, 0.5, 0.3]);
        assert!(!differ(&one, &rows(&[2, 1, 2], &[0.3, 0.1, 0.5])));
        assert!(!differ(&one, &rows(&[2, 1, 2], &[0.3, 0.1 + 1e-16, 0.5])));
        assert!(differ(&one, &rows(&[2, 1, 2], &[0.3, 0.1001, 0.5])));
        assert!(differ(&one, &rows(&[1, 1, 2], &[0.1, 0.5, 0.3])));
        assert!(differ(&one, &rows(&[1, 2], &[0.1, 0.5])));
    }
}
