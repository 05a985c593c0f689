//! How a measurement fails.

use std::path::PathBuf;

use crate::dataflow::WorkerError;
use crate::engine::EngineError;
use crate::sql::SqlError;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The workers failed.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// A view cannot be planned or asked.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A view differs from the same SQL run from scratch. The figures are worthless.
    #[error("view `{view}` is wrong: {difference}")]
    Wrong { view: String, difference: String },
    /// The workload does not give what was asked for.
    #[error("{0}")]
    Input(String),
    /// A file.
    #[error("{path}: {reason}")]
    File { path: PathBuf, reason: String },
    /// A step that another process does.
    #[error("cannot {action}: {reason}")]
    System { action: String, reason: String },
}

impl BenchError {
    /// A failure at a path.
    pub(super) fn file(path: &std::path::Path, reason: impl ToString) -> BenchError {
        BenchError::File {
            path: path.to_path_buf(),
            reason: reason.to_string(),
        }
    }
}
