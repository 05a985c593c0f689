//! The conductor: timestamps, commit, the life cycle of views, recovery.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::scalar::ScalarValue;

use crate::model::{Submission, TableDefinition};
use crate::sql::Statement;

/// How an engine is opened.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The directory of the log; created if missing, locked while open.
    pub data_dir: PathBuf,
    /// Timely worker threads.
    pub workers: usize,
}

/// A running engine; clones are handles to the same one.
#[derive(Clone)]
pub struct Engine {}

/// One client's conversation with the engine: its reads see at least its own writes.
pub struct Session {}

/// What a statement will take and give, before it is run.
pub struct Description {
    /// The types of the parameters $1, $2, ….
    pub parameters: Vec<DataType>,
    /// The result's columns; `None` for statements that return no rows.
    pub columns: Option<SchemaRef>,
}

/// The result of a statement.
pub enum Outcome {
    /// Rows of a query.
    Rows(SendableRecordBatchStream),
    /// A statement without rows; the text is the Postgres command tag, such as `INSERT 0 3`.
    Done(String),
    /// The client is to send rows, which go to [`Session::copy_in`].
    CopyIn(CopyTarget),
}

/// Where the rows of a `COPY … FROM STDIN` go and how they are written.
#[derive(Clone, Debug)]
pub struct CopyTarget {
    /// The table to be filled.
    pub table: String,
    /// The columns the client sends, in its order, with their types.
    pub columns: SchemaRef,
    /// The text format of the rows.
    pub format: CopyFormat,
}

/// Text formats of `COPY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    /// Comma-separated values.
    Csv {
        header: bool,
        delimiter: u8,
        null: String,
    },
    /// Postgres's tab-separated text with backslash escapes.
    Text { delimiter: u8, null: String },
}

/// Anything the engine refuses or fails at, in words for the user.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Sql(#[from] crate::sql::SqlError),
    #[error("{0}")]
    Other(String),
}

impl EngineError {
    /// The five-character SQLSTATE for Postgres clients.
    pub fn sqlstate(&self) -> &'static str {
        unimplemented!()
    }
    /// What to do about it, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        unimplemented!()
    }
}

impl Engine {
    /// Opens the data directory, replays the log and starts the workers. Blocks until views are
    /// consistent.
    pub fn open(_options: EngineOptions) -> Result<Engine, EngineError> {
        unimplemented!()
    }
    /// A new conversation.
    pub fn session(&self) -> Session {
        unimplemented!()
    }
    /// Hands in changes and returns when they are durable: the transaction's timestamp in ms.
    /// Waits while the queue is full.
    pub fn submit(&self, _submission: Submission) -> Result<u64, EngineError> {
        unimplemented!()
    }
    /// As [`submit`](Self::submit) but returns once queued; errors surface in [`Engine::flush`].
    pub fn enqueue(&self, _submission: Submission) -> Result<(), EngineError> {
        unimplemented!()
    }
    /// Waits until everything enqueued is durable and visible in all views: its timestamp in ms.
    pub fn flush(&self) -> Result<u64, EngineError> {
        unimplemented!()
    }
    /// The last position each source has durably reached.
    pub fn source_positions(&self) -> BTreeMap<String, String> {
        unimplemented!()
    }
    /// Adds the tables that are not there yet.
    pub fn ensure_tables(&self, _tables: &[TableDefinition]) -> Result<(), EngineError> {
        unimplemented!()
    }
    /// The definitions of all tables, by name.
    pub fn tables(&self) -> Vec<TableDefinition> {
        unimplemented!()
    }
    /// The names of all live views, in creation order.
    pub fn views(&self) -> Vec<String> {
        unimplemented!()
    }
    /// The whole content of a view or table at the newest complete timestamp, and that timestamp.
    pub fn read_all(
        &self,
        _names: &[String],
    ) -> Result<(u64, Vec<(String, SchemaRef, Vec<RecordBatch>)>), EngineError> {
        unimplemented!()
    }
    /// Creates, replaces or drops live views until the engine has exactly these (name, SQL of the
    /// `CREATE MATERIALIZED VIEW` statement) among those that came from files.
    pub fn sync_views(&self, _files: &[(String, String)]) -> Result<(), EngineError> {
        unimplemented!()
    }
    /// Stops the workers after what is durable is complete. Idempotent.
    pub fn shutdown(&self) {
        unimplemented!()
    }
}

impl Session {
    /// Splits and parses SQL text; an empty text gives no statements.
    pub fn parse(&self, _sql: &str) -> Result<Vec<Statement>, EngineError> {
        unimplemented!()
    }
    /// The parameters and columns of a statement.
    pub async fn describe(&mut self, _statement: &Statement) -> Result<Description, EngineError> {
        unimplemented!()
    }
    /// Runs a statement.
    pub async fn execute(
        &mut self,
        _statement: &Statement,
        _parameters: &[ScalarValue],
    ) -> Result<Outcome, EngineError> {
        unimplemented!()
    }
    /// Adds rows sent by a client for a `COPY`; returns how many.
    pub async fn copy_in(
        &mut self,
        _target: &CopyTarget,
        _rows: Vec<RecordBatch>,
    ) -> Result<u64, EngineError> {
        unimplemented!()
    }
}
