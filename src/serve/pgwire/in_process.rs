//! COPY of a session in this process: the formats of a connection, without one.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::Sink;
use pgwire::error::PgWireError;
use pgwire::messages::PgWireBackendMessage;

use super::copy::CopyIn;
use super::failure;
use super::send::{Sending, copy_rows};
use crate::engine::{CopyTarget, Engine, Reservation, Session};
use crate::sql::CopyFormat;

/// Why rows were not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The engine does not take them or has failed to give them.
    #[error("{what}")]
    Refused {
        /// What is wrong.
        what: String,
        /// What to do; may be empty.
        hint: String,
    },
    /// They could not be written where they were to go.
    #[error("the rows can't be written: {0}")]
    Output(#[source] io::Error),
}

impl From<PgWireError> for CopyError {
    fn from(error: PgWireError) -> CopyError {
        match error {
            PgWireError::UserError(info) => CopyError::Refused {
                what: info.message.clone(),
                hint: info.hint.clone().unwrap_or_default(),
            },
            PgWireError::IoError(error) => CopyError::Output(error),
            other => CopyError::Refused {
                what: other.to_string(),
                hint: String::new(),
            },
        }
    }
}

/// Fills a table with the rows that `next` gives, as text, until it gives none; how many there were.
///
/// # Errors
/// If `next` fails, or the rows are not those of the table.
pub async fn copy_in<E: From<CopyError>>(
    engine: &Engine,
    session: &mut Session,
    target: CopyTarget,
    next: &mut dyn FnMut() -> Result<Option<Vec<u8>>, E>,
) -> Result<u64, E> {
    let taken = take_rows(engine, target, next);
    // Its memory is reserved until the rows are written.
    let (target, rows, _reservation) = taken.inspect_err(|_| session.fail())?;
    let copied = session.copy_in(&target, rows).await;
    copied.map_err(|error| CopyError::from(failure(error)).into())
}

fn take_rows<E: From<CopyError>>(
    engine: &Engine,
    target: CopyTarget,
    next: &mut dyn FnMut() -> Result<Option<Vec<u8>>, E>,
) -> Result<(CopyTarget, Vec<RecordBatch>, Reservation), E> {
    let mut copy = CopyIn::new(target, engine.reservation()).map_err(CopyError::from)?;
    while let Some(data) = next()? {
        copy.take(&data).map_err(CopyError::from)?;
    }
    Ok(copy.finish().map_err(CopyError::from)?)
}

/// Writes rows as a client of COPY is sent them.
///
/// # Errors
/// If they cannot be computed, or written.
pub async fn copy_out(
    rows: SendableRecordBatchStream,
    format: &CopyFormat,
    out: &mut dyn Write,
) -> Result<(), CopyError> {
    let mut client = Written(out);
    copy_rows(&mut client, Sending::ending(rows), format).await?;
    client.0.flush().map_err(CopyError::Output)
}

/// A client of whose messages only the rows are written.
struct Written<'w>(&'w mut dyn Write);

impl Sink<PgWireBackendMessage> for Written<'_> {
    type Error = io::Error;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, message: PgWireBackendMessage) -> io::Result<()> {
        match message {
            PgWireBackendMessage::CopyData(rows) => self.get_mut().0.write_all(&rows.data),
            _ => Ok(()),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
