//! Transaction blocks: what is written between BEGIN and COMMIT takes effect at one timestamp.
//!
//! The rows wait here until COMMIT. Queries of the same block see them in their tables; live views
//! follow at COMMIT.

use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::engine::{Engine, EngineError, Reservation};
use crate::model::{Change, ChangeKind};
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
    Open(Held),
    /// A statement has failed; everything up to the end of the block, or back to a savepoint, is
    /// refused.
    Failed(Held),
}

/// What waits for COMMIT.
#[derive(Default)]
pub(super) struct Held {
    changes: Arc<Vec<Change>>,
    bytes: usize,
    /// The memory of the changes, as the budget knows it.
    reservation: Option<Reservation>,
    /// Savepoints with the number of changes before them.
    savepoints: Vec<(String, usize)>,
    /// Whether tables or views were created or dropped, which takes effect at once.
    has_definitions: bool,
}

/// How a block ended.
pub(super) enum Ended {
    /// These changes are to be written; the tag is COMMIT.
    Commit(Vec<Change>),
    /// Nothing is to be written; the tag is ROLLBACK.
    Rollback,
}

/// Whether a session is inside of a transaction block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionState {
    /// It is not: every statement commits by itself.
    Outside,
    /// It is.
    Open,
    /// It is, and a statement has failed.
    Failed,
}

impl Block {
    /// Whether it is open.
    pub(super) fn state(&self) -> TransactionState {
        match self {
            Block::None => TransactionState::Outside,
            Block::Open(_) => TransactionState::Open,
            Block::Failed(_) => TransactionState::Failed,
        }
    }

    /// BEGIN; inside of a block it does nothing.
    pub(super) fn begin(&mut self) -> Result<(), SqlError> {
        self.check_usable()?;
        if matches!(self, Block::None) {
            *self = Block::Open(Held::default());
        }
        Ok(())
    }

    /// COMMIT; of a failed block it is a ROLLBACK.
    pub(super) fn commit(&mut self) -> Ended {
        match std::mem::take(self) {
            Block::None => Ended::Commit(Vec::new()),
            Block::Open(held) => Ended::Commit(Arc::unwrap_or_clone(held.changes)),
            Block::Failed(_) => Ended::Rollback,
        }
    }

    /// ROLLBACK; fails where something has taken effect already.
    pub(super) fn rollback(&mut self) -> Result<(), SqlError> {
        match std::mem::take(self) {
            Block::Open(Held {
                has_definitions: true,
                ..
            }) => Err(SqlError::new(
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
        *self = match std::mem::take(self) {
            Block::Open(held) => Block::Failed(held),
            other => other,
        };
    }

    /// Refuses statements after a failed one.
    pub(super) fn check_usable(&self) -> Result<(), SqlError> {
        match self {
            Block::Failed(_) => Err(SqlError::new(
                "25P02",
                "a statement of this transaction has failed; nothing more is taken in it",
            )
            .with_hint("send ROLLBACK, and then all statements of the transaction anew")),
            _ => Ok(()),
        }
    }

    /// What is written but not committed.
    pub(super) fn changes(&self) -> Option<&Arc<Vec<Change>>> {
        match self {
            Block::Open(held) if !held.changes.is_empty() => Some(&held.changes),
            _ => None,
        }
    }

    /// Notes that tables or views are created or dropped; refused after writes.
    pub(super) fn note_definition(&mut self) -> Result<(), SqlError> {
        let Block::Open(held) = self else {
            return Ok(());
        };
        if !held.changes.is_empty() {
            return Err(SqlError::unsupported(
                "CREATE and DROP take effect at once, so they can't follow rows that wait for \
                 COMMIT",
            )
            .with_hint("COMMIT first, or define before writing; drivers: switch autocommit on"));
        }
        held.has_definitions = true;
        Ok(())
    }

    /// Keeps changes for COMMIT inside of a block; gives them back outside.
    pub(super) fn hold(
        &mut self,
        new: Vec<Change>,
        engine: &Engine,
    ) -> Result<Option<Vec<Change>>, EngineError> {
        let Block::Open(held) = self else {
            return Ok(Some(new));
        };
        let total = held.bytes + new.iter().map(bytes).sum::<usize>();
        if total > BYTES_MAX {
            let message = format!("a transaction holds at most {BYTES_MAX} bytes of rows");
            return Err(SqlError::new("54000", message)
                .with_hint("commit in parts, or read files as a source")
                .into());
        }
        let reserved = held.reservation.get_or_insert_with(|| engine.reservation());
        match new.iter().all(|change| change.kind == ChangeKind::Delete) {
            // What makes the state smaller is taken however large it is.
            true => reserved.resize_anyway(total),
            false => reserved.resize(total)?,
        }
        held.bytes = total;
        Arc::make_mut(&mut held.changes).extend(new);
        Ok(None)
    }

    /// SAVEPOINT.
    pub(super) fn savepoint(&mut self, name: &str) -> Result<(), SqlError> {
        self.check_usable()?;
        let Block::Open(held) = self else {
            return Err(outside("SAVEPOINT"));
        };
        held.savepoints.push((name.to_owned(), held.changes.len()));
        Ok(())
    }

    /// ROLLBACK TO: what was written since the savepoint is forgotten, and a failure with it.
    pub(super) fn rollback_to(&mut self, name: &str) -> Result<(), SqlError> {
        let (Block::Open(held) | Block::Failed(held)) = self else {
            return Err(outside("ROLLBACK TO"));
        };
        let place = held.place(name)?;
        held.savepoints.truncate(place + 1);
        Arc::make_mut(&mut held.changes).truncate(held.savepoints[place].1);
        held.bytes = held.changes.iter().map(bytes).sum();
        if let Some(reservation) = &mut held.reservation {
            reservation.resize_anyway(held.bytes);
        }
        *self = match std::mem::take(self) {
            Block::Failed(held) => Block::Open(held),
            other => other,
        };
        Ok(())
    }

    /// RELEASE: the savepoint and those after it are forgotten, what was written stays.
    pub(super) fn release(&mut self, name: &str) -> Result<(), SqlError> {
        self.check_usable()?;
        let Block::Open(held) = self else {
            return Err(outside("RELEASE"));
        };
        let place = held.place(name)?;
        held.savepoints.truncate(place);
        Ok(())
    }
}

impl Held {
    fn place(&self, name: &str) -> Result<usize, SqlError> {
        let place = self.savepoints.iter().rposition(|(other, _)| other == name);
        place.ok_or_else(|| SqlError::new("3B001", format!("there is no savepoint \"{name}\"")))
    }
}

fn bytes(change: &Change) -> usize {
    RecordBatch::get_array_memory_size(&change.rows)
}

fn outside(statement: &str) -> SqlError {
    SqlError::new(
        "25P01",
        format!("{statement} stands between BEGIN and COMMIT"),
    )
}
