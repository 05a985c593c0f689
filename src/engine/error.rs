//! What the engine refuses or fails at, in words for the user.

use crate::dataflow::WorkerError;
use crate::log::LogError;
use crate::sql::SqlError;
use crate::view::TableError;

/// Anything that can go wrong in the engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A statement is refused.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A change does not fit its table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The log cannot be read or written; nothing more is accepted.
    #[error("{0}; nothing more is accepted until the engine is restarted")]
    Log(#[from] LogError),
    /// The log holds a transaction that cannot be read.
    #[error("transaction {offset} of the log cannot be read: {reason}")]
    Transaction { offset: u64, reason: String },
    /// The dataflow has failed.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The engine has been shut down.
    #[error("the engine has been shut down")]
    ShutDown,
    /// Files, threads.
    #[error("cannot {action}: {reason}")]
    System { action: String, reason: String },
}

impl EngineError {
    /// The five-character SQLSTATE for Postgres clients.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            EngineError::Sql(error) => error.sqlstate,
            EngineError::Table(error) => match error {
                TableError::NullKey { .. } | TableError::NullValue { .. } => "23502",
                TableError::NoSuchColumn { .. } => "42703",
                TableError::AppendOnly { .. } => "55000",
                _ => "22000",
            },
            EngineError::Log(_) => "58030",
            EngineError::ShutDown => "57P01",
            _ => "XX000",
        }
    }

    /// What to do about it, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            EngineError::Sql(error) => error.hint.clone(),
            _ => None,
        }
    }
}

impl From<datafusion::error::DataFusionError> for EngineError {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        EngineError::Sql(error.into())
    }
}
