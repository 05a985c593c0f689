//! Transaction blocks: what is written between BEGIN and COMMIT takes effect at one timestamp.
//!
//! The rows wait here until COMMIT. They are not in the tables before, so a query in the same
//! block that comes after a write could not see them: it is refused rather than answered without.

use arrow::array::RecordBatch;

use crate::model::Change;
use crate::sql::SqlError;

/// A block is one transaction, which is held in memory until it is whole.
const BYTES_MAX: usize = 1 << 30;

/// Whether a session is inside of BEGIN and COMMIT, and what waits there.
#[derive(Default)]
pub(super) enum Block {
    /// Outside: every statement commits by itself.
    #[default]
    None,
    /// Inside.
    Open {
        /// What is written at COMMIT.
        changes: Vec<Change>,
        /// Whether tables or views were created or dropped, which takes effect at once.
        has_definitions: bool,
    },
    /// A statement has failed; everything up to the end of the block is refused.
    Failed,
}

/// How a block ended.
pub(super) enum Ended {
    /// These changes are to be written; the tag is COMMIT.
    Commit(Vec<Change>),
    /// Nothing is to be written; the tag is ROLLBACK.
    Rollback,
}

impl Block {
    /// BEGIN; inside of a block it does nothing.
    pub(super) fn begin(&mut self) -> Result<(), SqlError> {
        self.check_usable()?;
        if matches!(self, Block::None) {
            *self = Block::Open {
                changes: Vec::new(),
                has_definitions: false,
            };
        }
        Ok(())
    }

    /// COMMIT; of a failed block it is a ROLLBACK.
    pub(super) fn commit(&mut self) -> Ended {
        match std::mem::take(self) {
            Block::None => Ended::Commit(Vec::new()),
            Block::Open { changes, .. } => Ended::Commit(changes),
            Block::Failed => Ended::Rollback,
        }
    }

    /// ROLLBACK; fails where something has taken effect already.
    pub(super) fn rollback(&mut self) -> Result<(), SqlError> {
        match std::mem::take(self) {
            Block::Open {
                has_definitions: true,
                ..
            } => Err(SqlError::new(
                "25000",
                "CREATE and DROP take effect at once and are not rolled back; the rows of this \
                 transaction are",
            )
            .with_hint("run definitions outside of transactions")),
            _ => Ok(()),
        }
    }

    /// A statement has failed.
    pub(super) fn fail(&mut self) {
        if matches!(self, Block::Open { .. }) {
            *self = Block::Failed;
        }
    }

    /// Refuses statements after a failed one.
    pub(super) fn check_usable(&self) -> Result<(), SqlError> {
        match self {
            Block::Failed => Err(SqlError::new(
                "25P02",
                "a statement of this transaction has failed; nothing more is taken in it",
            )
            .with_hint("send ROLLBACK, and then all statements of the transaction anew")),
            _ => Ok(()),
        }
    }

    /// Refuses what would have to see rows that are written but not committed.
    pub(super) fn check_readable(&self) -> Result<(), SqlError> {
        match self {
            Block::Open { changes, .. } if !changes.is_empty() => Err(SqlError::unsupported(
                "tables can't be read in a transaction that has written to one",
            )
            .with_hint("COMMIT first, or read before writing; drivers: switch autocommit on")),
            _ => Ok(()),
        }
    }

    /// Notes that tables or views are created or dropped; refused after writes.
    pub(super) fn note_definition(&mut self) -> Result<(), SqlError> {
        self.check_readable()?;
        if let Block::Open {
            has_definitions, ..
        } = self
        {
            *has_definitions = true;
        }
        Ok(())
    }

    /// Keeps changes for COMMIT inside of a block; gives them back outside.
    pub(super) fn hold(&mut self, new: Vec<Change>) -> Result<Option<Vec<Change>>, SqlError> {
        let Block::Open { changes, .. } = self else {
            return Ok(Some(new));
        };
        changes.extend(new);
        let bytes = |change: &Change| RecordBatch::get_array_memory_size(&change.rows);
        if changes.iter().map(bytes).sum::<usize>() > BYTES_MAX {
            let message = format!("a transaction holds at most {BYTES_MAX} bytes of rows");
            return Err(SqlError::new("54000", message)
                .with_hint("commit in parts, or read files as a source"));
        }
        Ok(None)
    }
}
