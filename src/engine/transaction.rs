//! What a record of the log holds: one transaction, as a JSON header and Arrow IPC streams.
//!
//! ```text
//! length of the header (u32, little-endian) | header (JSON) | one IPC stream per change
//! ```
//! Rows are logged as they were submitted, not as they were resolved: replaying them through the
//! tables gives the same result, and the versions and identities that decide it.

use std::io::Cursor;
use std::sync::Arc;

use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::model::{Change, ChangeKind, Submission, TableDefinition};

/// Rows from which on compressing them pays.
const COMPRESSED_ROWS: usize = 64;

/// A change of the catalog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum CatalogChange {
    CreateTable {
        definition: TableDefinition,
    },
    DropTable {
        name: String,
    },
    /// `origin` tells views of files from those of users: "file" or "user".
    CreateLiveView {
        statement: String,
        origin: String,
    },
    DropLiveView {
        name: String,
    },
    CreateView {
        name: String,
        query: String,
    },
    DropView {
        name: String,
    },
    /// For how long events are remembered; `None`: for ever.
    RememberEvents {
        window_ms: Option<u64>,
    },
}

/// The content of a record.
#[derive(Clone, Debug)]
pub enum Transaction {
    /// Rows.
    Rows(Submission),
    /// Tables and views.
    Catalog(Vec<CatalogChange>),
}

#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    catalog: Vec<CatalogChange>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    changes: Vec<ChangeHeader>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct ChangeHeader {
    table: String,
    kind: ChangeKind,
    bytes: usize,
}

impl Transaction {
    /// The bytes of the record.
    pub fn encode(&self) -> Result<Vec<u8>, ArrowError> {
        let mut streams = Vec::new();
        let header = match self {
            Transaction::Catalog(changes) => Header {
                catalog: changes.clone(),
                changes: Vec::new(),
                position: None,
            },
            Transaction::Rows(submission) => {
                let mut changes = Vec::new();
                for change in &submission.changes {
                    let before = streams.len();
                    encode_rows(&change.rows, &mut streams)?;
                    changes.push(ChangeHeader {
                        table: change.table.to_string(),
                        kind: change.kind,
                        bytes: streams.len() - before,
                    });
                }
                Header {
                    catalog: Vec::new(),
                    changes,
                    position: submission.position.clone(),
                }
            }
        };
        let header = serde_json::to_vec(&header)
            .map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
        let length = u32::try_from(header.len())
            .map_err(|_| ArrowError::InvalidArgumentError("a header of over 4 GiB".to_owned()))?;
        let mut record = Vec::with_capacity(4 + header.len() + streams.len());
        record.extend_from_slice(&length.to_le_bytes());
        record.extend_from_slice(&header);
        record.extend_from_slice(&streams);
        Ok(record)
    }

    /// Reads the bytes of a record; the error says what is wrong with them.
    pub fn decode(record: &[u8]) -> Result<Transaction, String> {
        let (length, rest) = record
            .split_first_chunk::<4>()
            .ok_or("it is shorter than its header's length")?;
        let length = u32::from_le_bytes(*length) as usize;
        let (header, mut rest) = rest
            .split_at_checked(length)
            .ok_or("it is shorter than its header")?;
        let header: Header = serde_json::from_slice(header).map_err(|error| error.to_string())?;
        if !header.catalog.is_empty() {
            return Ok(Transaction::Catalog(header.catalog));
        }
        let mut changes = Vec::new();
        for change in header.changes {
            let (stream, tail) = rest
                .split_at_checked(change.bytes)
                .ok_or("it is shorter than its rows")?;
            rest = tail;
            changes.push(Change {
                table: Arc::from(change.table),
                kind: change.kind,
                rows: decode_rows(stream).map_err(|error| error.to_string())?,
            });
        }
        Ok(Transaction::Rows(Submission {
            changes,
            timestamp_ms: None,
            position: header.position,
        }))
    }
}

/// Adds rows to `bytes` as an Arrow IPC stream of one batch.
pub(super) fn encode_rows(rows: &RecordBatch, bytes: &mut Vec<u8>) -> Result<(), ArrowError> {
    let compression = (rows.num_rows() >= COMPRESSED_ROWS).then_some(CompressionType::LZ4_FRAME);
    let options = IpcWriteOptions::default().try_with_compression(compression)?;
    let mut writer = StreamWriter::try_new_with_options(bytes, &rows.schema(), options)?;
    writer.write(rows)?;
    writer.finish()
}

/// The rows of an Arrow IPC stream of one batch.
pub(super) fn decode_rows(bytes: &[u8]) -> Result<RecordBatch, ArrowError> {
    let mut reader = StreamReader::try_new(Cursor::new(bytes), None)?;
    let schema = reader.schema();
    reader
        .next()
        .unwrap_or_else(|| Ok(RecordBatch::new_empty(schema)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    #[test]
    fn rows_and_positions_come_back() {
        let schema = Schema::new(vec![
            Field::new("n", DataType::Int64, false),
            Field::new("t", DataType::Utf8, true),
        ]);
        let n: Int64Array = (0..100).collect::<Vec<_>>().into();
        let t: StringArray = (0..100)
            .map(|n| (n % 3 > 0).then(|| format!("row {n}")))
            .collect();
        let rows = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(n), Arc::new(t)]).unwrap();
        let submission = Submission {
            changes: vec![
                Change {
                    table: "a".into(),
                    kind: ChangeKind::Upsert,
                    rows: rows.clone(),
                },
                Change {
                    table: "b".into(),
                    kind: ChangeKind::Delete,
                    rows: rows.slice(3, 1),
                },
            ],
            timestamp_ms: None,
            position: Some(("files".to_owned(), "7".to_owned())),
        };
        let bytes = Transaction::Rows(submission.clone()).encode().unwrap();
        let Transaction::Rows(read) = Transaction::decode(&bytes).unwrap() else {
            panic!("rows became something else");
        };
        assert_eq!(read.position, submission.position);
        assert_eq!(read.changes[0].rows, rows);
        assert_eq!(read.changes[1].rows, rows.slice(3, 1));
        assert_eq!(read.changes[1].kind, ChangeKind::Delete);
    }

    #[test]
    fn cut_records_are_refused() {
        let changes = vec![CatalogChange::DropView {
            name: "v".to_owned(),
        }];
        let bytes = Transaction::Catalog(changes).encode().unwrap();
        for length in 0..bytes.len() {
            assert!(
                Transaction::decode(&bytes[..length]).is_err(),
                "{length} bytes"
            );
        }
    }
}
