//! Parquet: columns keep their types; all kinds of text become Utf8.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::super::error::SourceError;
use super::input::InputFile;
use super::raw::{AddedColumns, BATCH_BYTES, RawBatch, RowReader, clashing_name, raw_schema};

/// Reads the rows of a Parquet file.
pub struct ParquetReader {
    file: InputFile,
    reader: ParquetRecordBatchReader,
    /// What was read and not handed out.
    ahead: Option<Result<RecordBatch, ArrowError>>,
    /// The file's own columns.
    plain_schema: SchemaRef,
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
            plain_schema: Arc::new(Schema::new(fields.clone())),
            schema: raw_schema(fields),
            reader: builder.with_batch_size(8192).build().map_err(failed)?,
            ahead: None,
            added: AddedColumns::new(file, identity),
            rows_done: 0,
        })
    }

    /// The next rows, at most `rows_max`, with their plain types; none at the end of the file. Those
    /// before a failure are handed out first.
    fn read(&mut self, rows_max: usize) -> Result<Vec<RecordBatch>, ArrowError> {
        let mut batches = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        while rows < rows_max && bytes < BATCH_BYTES {
            let batch = match self.ahead.take().or_else(|| self.reader.next()) {
                None => break,
                Some(Ok(batch)) => batch,
                Some(Err(error)) if batches.is_empty() => return Err(error),
                Some(error) => {
                    self.ahead = Some(error);
                    break;
                }
            };
            let taken = batch.num_rows().min(rows_max - rows);
            if taken < batch.num_rows() {
                self.ahead = Some(Ok(batch.slice(taken, batch.num_rows() - taken)));
            }
            rows += taken;
            bytes += batch.get_array_memory_size();
            batches.push(self.plain(&batch.slice(0, taken))?);
        }
        Ok(batches)
    }

    fn plain(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let typed = batch.columns().iter().zip(self.plain_schema.fields());
        let typed = typed.map(|(column, field)| cast(column, field.data_type()));
        let typed = typed.collect::<Result<Vec<ArrayRef>, _>>()?;
        RecordBatch::try_new(SchemaRef::clone(&self.plain_schema), typed)
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
        let batches = self.read(rows_max).map_err(|error| self.failure(error))?;
        if batches.is_empty() {
            return Ok(None);
        }
        let batch = concat_batches(&self.plain_schema, &batches);
        let batch = batch.map_err(|error| self.failure(error))?;
        for row in 1..=batch.num_rows() as u64 {
            self.added.push_row(self.rows_done + row);
        }
        let mut columns = batch.columns().to_vec();
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
