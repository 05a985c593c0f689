//! Rows with columns of the types that their client has been told: it would misread others.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use pgwire::error::PgWireResult;

use super::encode::wire_type;
use super::failure;
use crate::sql::SqlError;

/// Rows as they have been described, if they have. Tables may have been made anew since: values
/// that are none of the types told are refused.
pub fn as_described(
    rows: SendableRecordBatchStream,
    columns: Option<&SchemaRef>,
) -> PgWireResult<SendableRecordBatchStream> {
    let Some(told) = columns else {
        return Ok(rows);
    };
    let found = rows.schema();
    if found.fields().len() != told.fields().len() {
        return Err(failure(changed().into()));
    }
    let pairs = found.fields().iter().zip(told.fields());
    let fields = pairs.map(|(found, told)| sent_field(found, told));
    let fields = fields.collect::<PgWireResult<Vec<Arc<Field>>>>()?;
    if fields.iter().eq(found.fields().iter()) {
        return Ok(rows);
    }
    let schema = Arc::new(Schema::new(fields));
    let sent = Arc::clone(&schema);
    let rows = rows.map(move |batch| cast_batch(&batch?, &sent));
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
}

fn changed() -> SqlError {
    let message = "the statement gives columns of other types than when it was prepared";
    SqlError::new("0A000", message).with_hint("prepare it again")
}

/// The column that is sent for the one found.
fn sent_field(found: &Arc<Field>, told: &Arc<Field>) -> PgWireResult<Arc<Field>> {
    let is_same = found.data_type() == told.data_type() || wire_type(found)? == wire_type(told)?;
    if is_same {
        return Ok(Arc::clone(found));
    }
    match can_cast_types(found.data_type(), told.data_type()) {
        true => Ok(Arc::new(told.as_ref().clone().with_nullable(true))),
        false => Err(failure(changed().into())),
    }
}

fn cast_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, DataFusionError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast_exactly(column, field.data_type()));
    let columns = columns.collect::<Option<Vec<ArrayRef>>>();
    let columns = columns.ok_or_else(|| DataFusionError::External(Box::new(changed())))?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// The same values in another type; `None`: it does not have all of them.
fn cast_exactly(column: &ArrayRef, data_type: &DataType) -> Option<ArrayRef> {
    if column.data_type() == data_type {
        return Some(Arc::clone(column));
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let both = || -> Result<(ArrayRef, bool), ArrowError> {
        let cast = cast_with_options(column, data_type, &options)?;
        if column.logical_null_count() == column.len() {
            return Ok((cast, true));
        }
        let back = cast_with_options(&cast, column.data_type(), &options)?;
        let is_exact = back.as_ref() == column.as_ref();
        Ok((cast, is_exact))
    };
    match both() {
        Ok((cast, true)) => Some(cast),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int32Array, Int64Array, StringArray};

    use super::*;

    fn cast(column: impl Array + 'static, data_type: &DataType) -> Option<ArrayRef> {
        let column: ArrayRef = Arc::new(column);
        cast_exactly(&column, data_type)
    }

    #[test]
    fn values_are_cast_whole_or_not_at_all() {
        let small: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), None]));
        let large = Int64Array::from(vec![Some(7), None]);
        assert_eq!(cast(large, &DataType::Int32), Some(small));
        let text: ArrayRef = Arc::new(StringArray::from(vec!["7"]));
        assert_eq!(cast(Int64Array::from(vec![7]), &DataType::Utf8), Some(text));
        let large = Int64Array::from(vec![7_000_000_000]);
        assert_eq!(cast(large, &DataType::Int32), None);
        assert_eq!(cast(Float64Array::from(vec![1.5]), &DataType::Int32), None);
    }
}
