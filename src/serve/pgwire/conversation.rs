//! One client's conversation: statements are run, and what they give is sent.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::scalar::ScalarValue;
use futures::future::{Either, select};
use futures::{Sink, SinkExt};
use pgwire::api::portal::{Format, Portal};
use pgwire::api::results::Tag;
use pgwire::api::{ClientInfo, ConnectionHandle, ConnectionManager};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::copy::CopyInResponse;
use pgwire::messages::response::TransactionStatus;
use tokio::sync::Mutex;

use super::copy::CopyIn;
use super::send::{Sending, copy_rows, send_rows};
use super::{failure_in, parameters, refusal};
use crate::engine::{CopyTarget, Description, Engine, Outcome, Session, TransactionState};
use crate::sql::{CopySource, Statement};

/// A connection; clones are handles to the same one.
#[derive(Clone)]
pub struct Connection {
    pub(super) engine: Engine,
    pub(super) session: Arc<Mutex<Session>>,
    /// The COPY that is under way.
    pub(super) copy: Arc<Mutex<Option<CopyIn>>>,
    pub(super) connections: Arc<ConnectionManager>,
    pub(super) has_place: bool,
}

/// A statement that has been parsed and described.
#[derive(Debug)]
pub struct Prepared {
    pub(super) statement: Statement,
    pub(super) description: Description,
}

/// How a client wants its rows.
pub struct Wanted<'a> {
    pub(super) format: &'a Format,
    /// Whether it knows the columns already.
    pub(super) is_described: bool,
    /// What it has been told about them.
    pub(super) columns: Option<&'a SchemaRef>,
    /// The text of the statement, for the places of errors; empty where it is not at hand.
    pub(super) text: &'a str,
}

impl Connection {
    /// A new session; without a place it is told so and ended.
    pub fn new(
        engine: &Engine,
        connections: &Arc<ConnectionManager>,
        has_place: bool,
    ) -> Connection {
        Connection {
            engine: engine.clone(),
            session: Arc::new(Mutex::new(engine.session())),
            copy: Arc::default(),
            connections: Arc::clone(connections),
            has_place,
        }
    }

    /// Runs a statement and sends all it gives. `None`: the client is to send rows.
    pub(super) async fn answer<C>(
        &self,
        client: &mut C,
        statement: &Statement,
        parameters: &[ScalarValue],
        wanted: Wanted<'_>,
    ) -> PgWireResult<Option<Tag>>
    where
        C: Sink<PgWireBackendMessage> + Unpin,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let mut session = self.session.lock().await;
        let outcome = session
            .execute(statement, parameters)
            .await
            .map_err(|error| failure_in(error, wanted.text))?;
        let sent = match outcome {
            Outcome::Done(tag) => return Ok(Some(Tag::new(&tag))),
            Outcome::CopyIn(target) => {
                self.begin_copy(client, target).await?;
                return Ok(None);
            }
            Outcome::Rows(rows) => {
                let sent = send_rows(client, Sending::ending(rows), &wanted).await;
                sent.map(|count| tag_of_rows(statement, count))
            }
            Outcome::Returned { rows, tag } => {
                let sent = send_rows(client, Sending::ending(rows), &wanted).await;
                sent.map(|_| Tag::new(&tag))
            }
            Outcome::Subscription(rows) => {
                let sent = send_rows(client, Sending::live(rows), &wanted).await;
                sent.map(|count| tag_of_rows(statement, count))
            }
            Outcome::CopyOut {
                rows,
                format,
                is_live,
            } => copy_rows(client, Sending { rows, is_live }, &format).await,
        };
        sent.map(Some).inspect_err(|_| session.fail())
    }

    async fn begin_copy<C>(&self, client: &mut C, target: CopyTarget) -> PgWireResult<()>
    where
        C: Sink<PgWireBackendMessage> + Unpin,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let columns = target.columns.fields().len();
        *self.copy.lock().await = Some(CopyIn::new(target, self.engine.reservation())?);
        let columns_wire = i16::try_from(columns).unwrap_or(i16::MAX);
        let begin = CopyInResponse::new(0, columns_wire, vec![0; columns]);
        client
            .send(PgWireBackendMessage::CopyInResponse(begin))
            .await?;
        Ok(())
    }

    /// Waits for an answer, but not longer than the session's statements may take, nor when the
    /// client asks to stop.
    pub(super) async fn bounded<T>(
        &self,
        handle: Option<Arc<ConnectionHandle>>,
        is_bounded: bool,
        answer: impl Future<Output = PgWireResult<T>>,
    ) -> PgWireResult<T> {
        let timeout = match is_bounded {
            true => self.session.lock().await.statement_timeout(),
            false => None,
        };
        let answer = async {
            match timeout {
                None => answer.await,
                Some(timeout) => match tokio::time::timeout(timeout, answer).await {
                    Ok(answer) => answer,
                    Err(_) => Err(refusal(
                        "57014",
                        "the statement took longer than statement_timeout and was ended",
                    )),
                },
            }
        };
        let outcome = match handle {
            None => answer.await,
            Some(handle) => {
                let cancelled = handle.start_query().await;
                match select(Box::pin(answer), cancelled).await {
                    Either::Left((answer, _)) => answer,
                    Either::Right(_) => Err(refusal(
                        "57014",
                        "the statement was ended at the client's request",
                    )),
                }
            }
        };
        if outcome.is_err() {
            self.session.lock().await.fail();
        }
        outcome
    }

    /// A message was refused: what it belonged to has failed.
    pub(super) async fn break_off(&self) {
        *self.copy.lock().await = None;
        self.session.lock().await.fail();
    }

    /// Where the session stands, as clients are told after each statement.
    pub(super) async fn status(&self) -> TransactionStatus {
        match self.session.lock().await.transaction_state() {
            TransactionState::Outside => TransactionStatus::Idle,
            TransactionState::Open => TransactionStatus::Transaction,
            TransactionState::Failed => TransactionStatus::Error,
        }
    }
}

/// The tag of a statement that has given rows.
pub(super) fn tag_of_rows(statement: &Statement, count: usize) -> Tag {
    let tag = match statement {
        Statement::Show(_) => return Tag::new("SHOW"),
        Statement::Explain(_)
        | Statement::ExplainView(_)
        | Statement::ExplainAnalyze(_)
        | Statement::AnalyzeView(_) => return Tag::new("EXPLAIN"),
        Statement::Fetch { .. } => Tag::new("FETCH"),
        Statement::Insert(_) => Tag::new("INSERT 0"),
        Statement::Update { .. } => Tag::new("UPDATE"),
        Statement::Delete { .. } => Tag::new("DELETE"),
        // Those of EXECUTE are SELECT's, too, but for a RETURNING that is fetched bit by bit.
        _ => Tag::new("SELECT"),
    };
    tag.with_rows(count)
}

/// The parameters bound to a portal.
pub(super) fn bound(portal: &Portal<Arc<Prepared>>) -> PgWireResult<Vec<ScalarValue>> {
    let prepared = &portal.statement.statement;
    parameters::read(portal, &prepared.description.parameters)
}

/// Whether a statement ends by itself.
pub(super) fn is_bounded(statement: &Statement) -> bool {
    match statement {
        Statement::Subscribe(_) => false,
        Statement::CopyOut(copy) => !matches!(copy.source, CopySource::Subscribe(_)),
        _ => true,
    }
}

/// What ends a connection's running statement.
pub(super) fn cancel_handle(client: &impl ClientInfo) -> Option<Arc<ConnectionHandle>> {
    let handle = client.session_extensions().get::<Arc<ConnectionHandle>>()?;
    Some(handle.as_ref().clone())
}
