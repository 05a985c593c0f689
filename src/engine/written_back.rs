//! Rows that are written back where they have been read: UPDATE, DELETE, INSERT … ON CONFLICT.
//!
//! A session reads rows at one timestamp and writes at a later one; in between anybody may write.
//! So it says what it has read, and the committing thread refuses its changes where that is no
//! longer so. What is refused is not logged, and the session reads anew. Where a row is written
//! without pause, that would never come to an end: after some tries the committing thread takes
//! nothing else until the rows are here.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use arrow::array::RecordBatch;

use super::EngineError;
use super::commit::{Conductor, Reply};
use super::disk::Appended;
use crate::model::Submission;

/// For how long others wait at most for a session that reads and writes alone.
const ALONE_MAX: Duration = Duration::from_secs(2);

/// What a session has read of a table before it writes to it.
pub struct Read {
    pub table: Arc<str>,
    /// The moment (ms) it has read.
    pub timestamp_ms: u64,
    /// Rows that were there, all columns of them.
    pub there: Vec<RecordBatch>,
    /// Rows whose keys were not there.
    pub missing: Vec<RecordBatch>,
}

/// Changes that stand only where nothing of what was read has changed.
pub struct Rewrite {
    pub submission: Submission,
    pub read: Read,
    pub reply: Reply,
}

/// A wish to read and write while nobody else does.
pub struct Alone {
    /// Where the moment (ms) goes that is to be read.
    pub begun: Reply,
    /// Where the rewrite comes from, or nothing.
    pub rewrite: Receiver<Rewrite>,
}

impl Conductor {
    /// Takes a rewrite in, unless what it has read has changed.
    pub(super) fn rewrite(&mut self, rewrite: Rewrite, appended: &mut Vec<Appended>) {
        let Rewrite {
            submission,
            read,
            reply,
        } = rewrite;
        match self.check_unchanged(&read) {
            Ok(()) => self.take_in(submission, Some(reply), appended),
            Err(error) => self.answer(Some(reply), Err(error)),
        }
    }

    /// Tells a session the moment from which on it is alone, and waits for what it writes.
    /// Everything before has been finished.
    pub(super) fn leave_alone(
        &mut self,
        begun: Result<u64, EngineError>,
        alone: Alone,
        appended: &mut Vec<Appended>,
    ) {
        let has_begun = begun.is_ok();
        self.answer(Some(alone.begun), begun);
        // Whoever has nothing to write, or has been ended, hangs up.
        if has_begun && let Ok(rewrite) = alone.rewrite.recv_timeout(ALONE_MAX) {
            self.rewrite(rewrite, appended);
        }
    }

    fn check_unchanged(&self, read: &Read) -> Result<(), EngineError> {
        let changed = || EngineError::Changed {
            table: read.table.to_string(),
            timestamp_ms: self.last_timestamp_ms,
        };
        // The table may be another of the same name.
        if self.catalog_timestamp_ms > read.timestamp_ms {
            return Err(changed());
        }
        let Some(store) = self.stores.get(read.table.as_ref()) else {
            return Err(changed());
        };
        match store.is_unchanged(read.timestamp_ms, &read.there, &read.missing)? {
            true => Ok(()),
            false => Err(changed()),
        }
    }
}
