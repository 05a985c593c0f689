//! Parquet: columns keep their types; all kinds of text become Utf8.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::super::error::SourceError;
use super::input::InputFile;
use super::raw::{AddedColumns, RawBatch, RowReader, clashing_name, raw_schema};

/// Reads the rows of a Parquet file.
pub struct ParquetReader {
    file: InputFile,
    reader: ParquetRecordBatchReader,
    /// Rows read and not handed out.
    ahead: Option<RecordBatch>,
    schema: SchemaRef,
    added: AddedColumns,
    rows_done: u64,
}

impl ParquetReader {
    /// Opens a file and reads its footer.
    pub fn open(file: &InputFile, identity: u128) -> Result<ParquetReader, SourceError> {
        let bytes = File::open(&file.path);
        let bytes = bytes.map_err(|error| SourceError::file(&file.path, "start", error))?;
        let failed = |error| {
            let problem = format!("not a whole Parquet file: {error}");
            SourceError::file(&file.path, "footer", problem)
        };
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(failed)?;
        let fields: Vec<Field> = builder.schema().fields().iter().map(|f| plain(f)).collect();
        let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        if let Some(name) = clashing_name(&names) {
            let problem = format!("the column `{name}` is there twice or is added to all rows");
            return Err(SourceError::file(&file.path, "footer", problem));
        }
        Ok(ParquetReader {
            file: file.clone(),
            schema: raw_schema(fields),
            reader: builder.with_batch_size(8192).build().map_err(failed)?,
            ahead: None,
            added: AddedColumns::new(file, identity),
            rows_done: 0,
        })
    }

    fn read(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        if let Some(batch) = self.ahead.take() {
            return Ok(Some(batch));
        }
        let next = self.reader.next().transpose();
        next.map_err(|error| self.failure(error))
    }

    fn failure(&self, error: impl ToString) -> SourceError {
        let position = format!("behind row {}", self.rows_done);
        SourceError::file(&self.file.path, &position, error)
    }
}

impl RowReader for ParquetReader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn next_batch(&mut self, rows_max: usize) -> Result<Option<RawBatch>, SourceError> {
        let Some(mut batch) = self.read()? else {
            return Ok(None);
        };
        if batch.num_rows() > rows_max {
            self.ahead = Some(batch.slice(rows_max, batch.num_rows() - rows_max));
            batch = batch.slice(0, rows_max);
        }
        for row in 1..=batch.num_rows() as u64 {
            self.added.push_row(self.rows_done + row);
        }
        let typed = batch.columns().iter().zip(self.schema.fields());
        let typed = typed.map(|(column, field)| cast(column, field.data_type()));
        let columns = typed.collect::<Result<Vec<ArrayRef>, _>>();
        let mut columns = columns.map_err(|error| self.failure(error))?;
        let no_text = new_null_array(&DataType::Utf8, batch.num_rows());
        columns.extend(self.added.finish(no_text));
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        let rows = rows.map_err(|error| self.failure(error))?;
        self.rows_done += batch.num_rows() as u64;
        Ok(Some(RawBatch {
            rows,
            unreadable: Vec::new(),
            rows_done: self.rows_done,
            digest: 0,
        }))
    }
}

/// A field with text in the one form that mappings see.
fn plain(field: &Field) -> Field {
    let is_text = |data_type: &DataType| {
        matches!(
            data_type,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        )
    };
    let data_type = match field.data_type() {
        data_type if is_text(data_type) => DataType::Utf8,
        DataType::Dictionary(_, values) if is_text(values) => DataType::Utf8,
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        other => other.clone(),
    };
    Field::new(field.name(), data_type, field.is_nullable())
}
