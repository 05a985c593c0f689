//! The Postgres wire protocol, version 3: psql, drivers and business intelligence tools connect as
//! they would to PostgreSQL. Every connection is one session of the engine.

mod at_work;
mod connection;
mod conversation;
mod copy;
mod csv_encoder;
mod described;
mod encode;
mod exchange;
pub mod in_process;
mod parameters;
mod place;
mod portal;
mod receive;
mod send;
mod sent_value;
mod structure;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use pgwire::api::ConnectionManager;
use pgwire::error::{ErrorInfo, PgWireError};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::engine::{Engine, EngineError};
use conversation::Connection;
use exchange::exchange;

pub use at_work::AtWork;

/// After a failure to accept a connection, such as too many open files.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// How many clients without a place are talked to at a time: to be told that there is none, or to
/// cancel the statement of another connection. Further ones are hung up on.
const WITHOUT_PLACE: usize = 32;

/// Limits of serving.
#[derive(Clone, Debug)]
pub struct PgwireOptions {
    /// Connections at a time; further ones are refused.
    pub max_connections: usize,
    /// The largest message in bytes; larger ones are refused.
    pub max_message_bytes: usize,
    /// How long a client may take to say who it is.
    pub startup_time: Duration,
}

impl Default for PgwireOptions {
    fn default() -> Self {
        PgwireOptions {
            max_connections: 100,
            max_message_bytes: 16 << 20,
            startup_time: Duration::from_secs(10),
        }
    }
}

/// Serves connections until `stop` completes; those that are open then go on until the runtime
/// ends, and `at_work` counts those that wait for an answer. Whoever can connect may do everything:
/// there is no authentication.
pub async fn serve(
    listener: TcpListener,
    engine: Engine,
    options: PgwireOptions,
    at_work: AtWork,
    stop: impl Future<Output = ()>,
) {
    let room = Arc::new(Semaphore::new(options.max_connections));
    let beside = Arc::new(Semaphore::new(WITHOUT_PLACE));
    let connections = Arc::new(ConnectionManager::new());
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => return,
            accepted = listener.accept() => accepted,
        };
        let socket = match accepted {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!("a Postgres client can't be accepted: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let place = Arc::clone(&room).try_acquire_owned().ok();
        let has_place = place.is_some();
        let Some(place) = place.or_else(|| Arc::clone(&beside).try_acquire_owned().ok()) else {
            continue;
        };
        let connection = Connection::new(&engine, &connections, has_place);
        let (options, at_work) = (options.clone(), at_work.clone());
        tokio::spawn(async move {
            if let Err(error) = exchange(socket, connection, &options, &at_work).await {
                tracing::debug!("a Postgres client is gone: {error}");
            }
            drop(place);
        });
    }
}

/// An error of the engine as Postgres clients know it, with its place in the text that they sent.
fn error_info(error: &EngineError, text: &str) -> ErrorInfo {
    let mut info = ErrorInfo::new(
        "ERROR".to_owned(),
        error.sqlstate().to_owned(),
        error.to_string(),
    );
    info.hint = error.hint();
    if let EngineError::Sql(error) = error {
        info.position = place::position(error, text).map(|position| position.to_string());
    }
    info
}

fn failure(error: EngineError) -> PgWireError {
    failure_in(error, "")
}

/// An error of a statement in this text.
fn failure_in(error: EngineError, text: &str) -> PgWireError {
    PgWireError::UserError(Box::new(error_info(&error, text)))
}

/// An error that arises here, with its SQLSTATE.
fn refusal(sqlstate: &str, message: impl Into<String>) -> PgWireError {
    let info = ErrorInfo::new("ERROR".to_owned(), sqlstate.to_owned(), message.into());
    PgWireError::UserError(Box::new(info))
}
