//! `COPY … FROM STDIN (FORMAT csv)`: rows as the client sends them, in batches.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Decoder;
use arrow::datatypes::{DataType, Field, Schema};
use pgwire::error::PgWireResult;

use super::refusal;
use crate::engine::CopyTarget;
use crate::sql::CopyFormat;

const BATCH_ROWS: usize = 8192;

/// A COPY is one transaction, which is held in memory until it is whole.
const BYTES_MAX: usize = 1 << 30;

/// The longest end marker with the end of the line before it.
const END_MARKER_BYTES: usize = b"\n\\.\r\n".len();

/// Rows under way.
pub struct CopyIn {
    target: CopyTarget,
    /// The newest bytes, which may turn out to be the end marker.
    tail: Vec<u8>,
    decoder: Decoder,
    rows: Vec<RecordBatch>,
    row_count: usize,
    bytes: usize,
}

impl CopyIn {
    /// Rows for a target.
    pub fn new(target: CopyTarget) -> PgWireResult<CopyIn> {
        let CopyFormat::Csv {
            header,
            delimiter,
            null,
        } = &target.format
        else {
            let message = "COPY takes CSV only; write COPY … FROM STDIN (FORMAT csv)";
            return Err(refusal("0A000", message));
        };
        if !null.is_empty() {
            let message = "NULL is an empty field; the option NULL of COPY is not supported";
            return Err(refusal("0A000", message));
        }
        let texts = target.columns.fields().iter();
        let texts = texts.map(|field| Field::new(field.name(), DataType::Utf8, true));
        let decoder = ReaderBuilder::new(Arc::new(Schema::new(texts.collect::<Vec<_>>())))
            .with_header(*header)
            .with_delimiter(*delimiter)
            .with_batch_size(BATCH_ROWS)
            .build_decoder();
        Ok(CopyIn {
            target,
            tail: Vec::new(),
            decoder,
            rows: Vec::new(),
            row_count: 0,
            bytes: 0,
        })
    }

    /// Takes in what the client has sent.
    pub fn take(&mut self, data: &[u8]) -> PgWireResult<()> {
        self.bytes += data.len();
        if self.bytes > BYTES_MAX {
            let message = format!(
                "a COPY is one transaction of at most {BYTES_MAX} bytes; send the rows in parts, \
                 or read the file as a source"
            );
            return Err(refusal("54000", message));
        }
        let mut known = std::mem::take(&mut self.tail);
        known.extend_from_slice(data);
        self.tail = known.split_off(known.len().saturating_sub(END_MARKER_BYTES));
        self.decode(&known)
    }

    /// All rows, once the client has sent the last.
    pub fn finish(mut self) -> PgWireResult<(CopyTarget, Vec<RecordBatch>)> {
        let tail = std::mem::take(&mut self.tail);
        self.decode(without_end_marker(&tail))?;
        // No data ends the last line.
        self.decoder
            .decode(&[])
            .map_err(|error| self.wrong(error))?;
        self.flush()?;
        Ok((self.target, self.rows))
    }

    fn decode(&mut self, mut data: &[u8]) -> PgWireResult<()> {
        while !data.is_empty() {
            let read = self
                .decoder
                .decode(data)
                .map_err(|error| self.wrong(error))?;
            if read == 0 || self.decoder.capacity() == 0 {
                self.flush()?;
            }
            data = data.get(read..).unwrap_or_default();
        }
        Ok(())
    }

    fn flush(&mut self) -> PgWireResult<()> {
        let texts = self.decoder.flush().map_err(|error| self.wrong(error))?;
        let Some(texts) = texts else {
            return Ok(());
        };
        let options = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        let fields = self.target.columns.fields();
        let columns = texts.columns().iter().zip(fields).map(|(texts, field)| {
            cast_with_options(texts, field.data_type(), &options).map_err(|error| {
                let from = self.row_count + 1;
                let to = self.row_count + texts.len();
                let message = format!("rows {from} to {to}, column {}: {error}", field.name());
                refusal("22P02", message)
            })
        });
        let columns = columns.collect::<PgWireResult<Vec<ArrayRef>>>()?;
        self.row_count += texts.num_rows();
        let rows = RecordBatch::try_new(Arc::clone(&self.target.columns), columns);
        self.rows
            .push(rows.map_err(|error| refusal("23502", error.to_string()))?);
        Ok(())
    }

    fn wrong(&self, error: impl ToString) -> pgwire::error::PgWireError {
        let message = format!("COPY {}: {}", self.target.table, error.to_string());
        refusal("22P04", message)
    }
}

/// The last bytes without the line `\.`, with which psql before version 17 ends rows in a script.
fn without_end_marker(tail: &[u8]) -> &[u8] {
    let line = [&b"\\.\r\n"[..], b"\\.\n", b"\\."];
    let rest = line.iter().find_map(|marker| tail.strip_suffix(*marker));
    match rest {
        Some(rest) if rest.is_empty() || rest.ends_with(b"\n") => rest,
        _ => tail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_line_is_the_end_marker() {
        assert_eq!(without_end_marker(b"1\n\\.\n"), b"1\n");
        assert_eq!(without_end_marker(b"\n\\.\r\n"), b"\n");
        assert_eq!(without_end_marker(b"\\.\n"), b"");
        assert_eq!(without_end_marker(b"a\\.\n"), b"a\\.\n");
    }
}
