//! Portals: prepared statements with their parameters, run at once or bit by bit.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use futures::{Sink, SinkExt, StreamExt};
use pgwire::api::portal::{Portal, PortalExecutionState};
use pgwire::api::results::{Response, Tag};
use pgwire::api::store::{Entry, PortalStore};
use pgwire::api::{ClientInfo, ClientPortalStore, DEFAULT_NAME};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::extendedquery::{Execute, PortalSuspended};
use pgwire::messages::response::EmptyQueryResponse;

use super::conversation::{
    Connection, Prepared, Wanted, bound, cancel_handle, is_bounded, tag_of_rows,
};
use super::failure;
use super::send::{Sending, response};
use crate::engine::Outcome;
use crate::sql::Statement;

/// Executes a portal: all of it where the client wants all rows, else the next rows.
pub async fn execute<C>(
    connection: &Connection,
    client: &mut C,
    message: &Execute,
) -> PgWireResult<()>
where
    C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
    C::PortalStore: PortalStore<Statement = Arc<Prepared>>,
    C::Error: Debug,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
    let portal = match client.portal_store().get_portal(name) {
        Some(Entry::Value(portal)) => portal,
        Some(Entry::Empty) => {
            let message = PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new());
            client.feed(message).await?;
            return Ok(());
        }
        None => return Err(PgWireError::PortalNotFound(name.to_owned())),
    };
    let most_rows = usize::try_from(message.max_rows).unwrap_or(0);
    let is_new = {
        let state = portal.state();
        let state = state.lock().await;
        matches!(*state, PortalExecutionState::Initial)
    };
    let statement = &portal.statement.statement.statement;
    let handle = cancel_handle(client);
    let is_bounded = is_bounded(statement);
    if is_new && most_rows == 0 {
        let parameters = bound(&portal)?;
        let wanted = Wanted {
            format: &portal.result_column_format,
            is_described: true,
            columns: described(&portal),
            text: "",
        };
        let answer = connection.answer(client, statement, &parameters, wanted);
        let tag = connection.bounded(handle, is_bounded, answer).await?;
        *portal.state().lock().await = PortalExecutionState::Finished;
        let_go(client, statement);
        if let Some(tag) = tag {
            let message = PgWireBackendMessage::CommandComplete(tag.into());
            client.feed(message).await?;
        }
        return Ok(());
    }
    if is_new {
        let opened = connection
            .bounded(handle.clone(), is_bounded, open(connection, &portal))
            .await?;
        match opened {
            Response::Query(rows) => portal.start(rows).await,
            Response::Execution(tag) => {
                *portal.state().lock().await = PortalExecutionState::Finished;
                let message = PgWireBackendMessage::CommandComplete(tag.into());
                client.feed(message).await?;
                return Ok(());
            }
            _ => return Ok(()),
        }
    }
    let fetched = portal.fetch(most_rows);
    let mut fetched = connection.bounded(handle, is_bounded, fetched).await?;
    let mut count = 0;
    while let Some(row) = fetched.response.data_rows().next().await {
        client.feed(PgWireBackendMessage::DataRow(row?)).await?;
        count += 1;
    }
    let message = match fetched.suspended {
        true => PgWireBackendMessage::PortalSuspended(PortalSuspended::new()),
        false => {
            let tag = tag_of_rows(statement, count);
            PgWireBackendMessage::CommandComplete(tag.into())
        }
    };
    client.feed(message).await?;
    Ok(())
}

/// DEALLOCATE may be about one of the protocol's own statements.
pub fn let_go<C>(client: &C, statement: &Statement)
where
    C: ClientPortalStore,
    C::PortalStore: PortalStore,
{
    if let Statement::Deallocate(Some(name)) = statement {
        client.portal_store().rm_statement(name);
    }
}

/// The columns of which clients are told.
fn described(portal: &Portal<Arc<Prepared>>) -> Option<&SchemaRef> {
    portal.statement.statement.description.columns.as_ref()
}

/// Runs a portal's statement and leaves its rows to be taken.
pub async fn open(
    connection: &Connection,
    portal: &Portal<Arc<Prepared>>,
) -> PgWireResult<Response> {
    let parameters = bound(portal)?;
    let statement = &portal.statement.statement.statement;
    if matches!(statement, Statement::Copy(_) | Statement::CopyOut(_)) {
        let message = "COPY gives and takes all rows at once; execute it without a number of rows";
        return Err(super::refusal("0A000", message));
    }
    let mut session = connection.session.lock().await;
    let outcome = session.execute(statement, &parameters).await;
    let sending = match outcome.map_err(failure)? {
        Outcome::Done(tag) => return Ok(Response::Execution(Tag::new(&tag))),
        Outcome::Rows(rows) | Outcome::Returned { rows, .. } => Sending::ending(rows),
        Outcome::Subscription(rows) => Sending::live(rows),
        Outcome::CopyIn(_) | Outcome::CopyOut { .. } => return Ok(Response::EmptyQuery),
    };
    let rows = response(sending, &portal.result_column_format, described(portal))?;
    Ok(Response::Query(rows))
}
