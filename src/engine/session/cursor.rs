//! Cursors: rows of a query or subscription that are fetched bit by bit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::scalar::ScalarValue;
use futures::{FutureExt, StreamExt, stream};

use super::Session;
use crate::engine::EngineError;
use crate::sql::{SqlError, Statement};

/// Cursors that a session may have open.
const CURSORS_MAX: usize = 100;

/// The open cursors, by name.
#[derive(Default)]
pub(super) struct Cursors(BTreeMap<String, Cursor>);

struct Cursor {
    schema: SchemaRef,
    /// Never waited for; the lock only lets sessions be shared between threads.
    rows: Mutex<SendableRecordBatchStream>,
    /// Rows that have come and not been fetched.
    rest: Option<RecordBatch>,
    /// Rows without end: what is there is enough for a FETCH.
    is_live: bool,
}

impl Session {
    /// DECLARE.
    pub(super) async fn declare(
        &mut self,
        name: &str,
        statement: &Statement,
        parameters: &[ScalarValue],
    ) -> Result<(), EngineError> {
        if self.cursors.0.contains_key(name) {
            let message = format!("cursor \"{name}\" exists already");
            return Err(SqlError::new("42P03", message).into());
        }
        if self.cursors.0.len() >= CURSORS_MAX {
            let message = format!("a session has at most {CURSORS_MAX} cursors");
            return Err(SqlError::new("53400", message)
                .with_hint("CLOSE those that have been read")
                .into());
        }
        let (rows, is_live) = match statement {
            Statement::Query(query) => (self.query(query, parameters).await?, false),
            Statement::QueryAsOf(query, timestamp_ms) => {
                let rows = self.query_as_of(query, *timestamp_ms, parameters).await?;
                (rows, false)
            }
            Statement::Subscribe(subscribe) => (self.subscribe(subscribe).await?, true),
            _ => return Err(SqlError::syntax("a cursor is for a query or a SUBSCRIBE").into()),
        };
        let cursor = Cursor {
            schema: rows.schema(),
            rows: Mutex::new(rows),
            rest: None,
            is_live,
        };
        self.cursors.0.insert(name.to_owned(), cursor);
        Ok(())
    }
}

impl Session {
    /// The columns of an open cursor.
    pub fn cursor_columns(&self, name: &str) -> Option<SchemaRef> {
        self.cursors.schema(name).ok()
    }
}

impl Cursors {
    /// The columns of a cursor.
    pub(super) fn schema(&self, name: &str) -> Result<SchemaRef, SqlError> {
        let cursor = self.0.get(name).ok_or_else(|| no_cursor(name))?;
        Ok(Arc::clone(&cursor.schema))
    }

    /// The next rows, at most the given number. Of a subscription those that are there, once there
    /// is one; where none comes within the timeout, none.
    pub(super) async fn fetch(
        &mut self,
        name: &str,
        count: Option<u64>,
        timeout: Option<Duration>,
    ) -> Result<SendableRecordBatchStream, EngineError> {
        let cursor = self.0.get_mut(name).ok_or_else(|| no_cursor(name))?;
        let wanted = count.map_or(usize::MAX, |count| {
            usize::try_from(count).unwrap_or(usize::MAX)
        });
        let mut fetched = Vec::new();
        let mut left = wanted;
        while left > 0 {
            let timeout = match fetched.is_empty() {
                true => timeout,
                false => Some(Duration::ZERO),
            };
            let Some(rows) = cursor.next(timeout).await? else {
                break;
            };
            let taken = rows.num_rows().min(left);
            if taken < rows.num_rows() {
                cursor.rest = Some(rows.slice(taken, rows.num_rows() - taken));
            }
            if taken > 0 {
                fetched.push(rows.slice(0, taken));
            }
            left -= taken;
        }
        let rows = stream::iter(fetched.into_iter().map(Ok));
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&cursor.schema),
            rows,
        )))
    }

    /// CLOSE of one, or of all.
    pub(super) fn close(&mut self, name: Option<&str>) -> Result<(), SqlError> {
        match name {
            None => self.0.clear(),
            Some(name) => {
                self.0.remove(name).ok_or_else(|| no_cursor(name))?;
            }
        }
        Ok(())
    }
}

impl Cursor {
    /// The next rows; `None` at the end, or where a subscription has none within the timeout.
    async fn next(
        &mut self,
        timeout: Option<Duration>,
    ) -> Result<Option<RecordBatch>, EngineError> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        let rows = self.rows.get_mut().unwrap_or_else(PoisonError::into_inner);
        let next = match timeout.filter(|_| self.is_live) {
            Some(Duration::ZERO) => rows.next().now_or_never().flatten(),
            Some(timeout) => tokio::time::timeout(timeout, rows.next())
                .await
                .unwrap_or_default(),
            None => rows.next().await,
        };
        Ok(next.transpose()?)
    }
}

fn no_cursor(name: &str) -> SqlError {
    SqlError::new("34000", format!("there is no cursor \"{name}\""))
        .with_hint("cursors end with COMMIT and ROLLBACK")
}
