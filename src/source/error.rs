//! What can go wrong with a source as a whole. A row that goes wrong is no error but a row of
//! `rejected_events`.

use std::path::{Path, PathBuf};

/// Why a source cannot be opened or read on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Settings that do not fit together.
    #[error("source {name}: {problem}")]
    Options { name: String, problem: String },
    /// Nothing to read.
    #[error(
        "source {name}: no file matches {pattern}; check the path, which is relative to the working directory unless it is absolute"
    )]
    NoFile { name: String, pattern: String },
    /// A file that cannot be read, or not to its end.
    #[error("{}, {position}: {problem}", path.display())]
    File {
        path: PathBuf,
        /// Where in the file: a row and, for text, the byte.
        position: String,
        problem: String,
    },
    /// A mapping that does not fit the file or the table.
    #[error("source {name}, mapping to {table}: {problem}")]
    Mapping {
        name: String,
        table: String,
        problem: String,
    },
    /// Rows that do not fit the tables of the model.
    #[error("source {name}: {problem}")]
    Rows { name: String, problem: String },
    /// A saved position that does not fit the files as they are.
    #[error("source {name}: cannot resume: {problem}")]
    Position { name: String, problem: String },
}

impl SourceError {
    /// An error of a file as a whole.
    pub(super) fn file(path: &Path, position: &str, problem: impl ToString) -> SourceError {
        SourceError::File {
            path: path.to_owned(),
            position: position.to_owned(),
            problem: problem.to_string(),
        }
    }
}
