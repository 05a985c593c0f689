//! What the engine refuses or fails at, in words for the user.

use std::path::PathBuf;

use super::checkpoint::CheckpointError;
use crate::dataflow::WorkerError;
use crate::log::LogError;
use crate::sql::{FunctionError, SqlError};
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
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The log does not begin at its beginning, and no checkpoint covers what is missing.
    #[error(
        "the log begins with transaction {first_offset}, and no checkpoint that contains what was \
         before can be read{}",
        listed(skipped)
    )]
    NothingToStartFrom {
        /// The offset of the first transaction of the log.
        first_offset: u64,
        /// The checkpoints there are, with what is wrong with each.
        skipped: Vec<(PathBuf, String)>,
    },
    /// There is too little free space to take changes.
    #[error(
        "no changes are taken while the disk of {} has less than {min_free_bytes} bytes free; it \
         has {free_bytes}",
        directory.display()
    )]
    DiskFull {
        /// The directory of the log.
        directory: PathBuf,
        /// The free space in bytes.
        free_bytes: u64,
        /// The free space there must be, in bytes.
        min_free_bytes: u64,
    },
    /// The state takes more memory than it may.
    #[error(
        "nothing that adds to the state is taken while it takes more than the memory budget of \
         {budget_bytes} bytes; it takes {used_bytes}{}",
        largest_named(largest)
    )]
    MemoryFull {
        /// The memory of tables and views in bytes.
        used_bytes: u64,
        /// What they may take, in bytes.
        budget_bytes: u64,
        /// The largest of them, with their bytes.
        largest: Vec<(String, u64)>,
    },
    /// A view was given up while it was being filled, as the state outgrew its budget.
    #[error(
        "the view \"{view}\" is not {}: while it was being filled the state came to take \
         {used_bytes} bytes, more than the memory budget of {budget_bytes} bytes",
        made(*is_replacement)
    )]
    TooLargeToFill {
        /// The view.
        view: String,
        /// Whether it was to take the place of another, which stays.
        is_replacement: bool,
        /// The memory of tables and views in bytes, with what was filled of it.
        used_bytes: u64,
        /// What they may take, in bytes.
        budget_bytes: u64,
    },
    /// A view was dropped by somebody else while it was being filled.
    #[error("the view \"{view}\" was dropped by another session before it was filled")]
    DroppedWhileFilled {
        /// The view.
        view: String,
    },
    /// Rows that a statement was to write back have been changed since it read them.
    #[error(
        "rows of \"{table}\" were changed by others whenever this statement was about to write them \
         back"
    )]
    Changed {
        /// The table.
        table: String,
        /// A moment (ms) at which they have changed.
        timestamp_ms: u64,
    },
    /// A function of the embedding program is not taken.
    #[error(transparent)]
    Function(#[from] FunctionError),
    /// Something a source sent before this was refused, so this cannot be taken either.
    #[error("source {origin}: something it sent before was refused")]
    AfterFailure {
        /// The source.
        origin: String,
    },
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
                TableError::ValueTooLong { .. } | TableError::ChangeTooLarge { .. } => "54000",
                TableError::AppendOnly { .. } => "55000",
                TableError::BeforeHorizon { .. } => "22023",
                _ => "22000",
            },
            EngineError::DiskFull { .. } => "53100",
            EngineError::MemoryFull { .. } | EngineError::TooLargeToFill { .. } => "53200",
            EngineError::DroppedWhileFilled { .. } => "55000",
            EngineError::Changed { .. } => "40001",
            EngineError::Log(error) if error.is_disk_full() => "53100",
            EngineError::Log(_) | EngineError::Checkpoint(_) => "58030",
            EngineError::NothingToStartFrom { .. } => "XX001",
            EngineError::Function(_) => "42P13",
            EngineError::ShutDown => "57P01",
            _ => "XX000",
        }
    }

    /// Whether it passes by itself, so that the same may be handed in again later.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            EngineError::DiskFull { .. } | EngineError::MemoryFull { .. }
        )
    }

    /// What to do about it, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            EngineError::Sql(error) => error.hint.clone(),
            EngineError::DiskFull { .. } => Some(
                "free space, or lower log.min_free; reading goes on, and changes are taken again \
                 by themselves"
                    .to_owned(),
            ),
            EngineError::MemoryFull { .. } => Some(
                "drop views or delete rows (`SELECT * FROM mainstem.views ORDER BY held_bytes \
                 DESC` shows what takes how much), end queries that are not read (query.timeout \
                 does), or raise memory.budget; reading, deleting and \
                 dropping go on, and changes are taken again by themselves"
                    .to_owned(),
            ),
            EngineError::TooLargeToFill { .. } => Some(
                "let the view keep less: fewer rows of its joins, aggregates instead of rows, fewer \
                 columns; or drop other views, delete rows, or raise memory.budget"
                    .to_owned(),
            ),
            EngineError::Changed { .. } => {
                Some("nothing of it has taken effect: send the statement again".to_owned())
            }
            EngineError::NothingToStartFrom { .. } => {
                Some("restore from a backup with `mainstem restore`".to_owned())
            }
            _ => None,
        }
    }
}

/// What does not become of a view.
fn made(is_replacement: bool) -> &'static str {
    match is_replacement {
        true => "replaced",
        false => "created",
    }
}

fn largest_named(largest: &[(String, u64)]) -> String {
    let named = largest
        .iter()
        .map(|(name, bytes)| format!("{name}: {bytes}"));
    match largest {
        [] => String::new(),
        _ => format!("; the largest: {}", named.collect::<Vec<_>>().join(", ")),
    }
}

/// The checkpoints that could not be used, a line each.
fn listed(skipped: &[(PathBuf, String)]) -> String {
    let lines = skipped.iter();
    lines
        .map(|(path, reason)| format!("; {}: {reason}", path.display()))
        .collect()
}

impl From<datafusion::error::DataFusionError> for EngineError {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        EngineError::Sql(error.into())
    }
}
