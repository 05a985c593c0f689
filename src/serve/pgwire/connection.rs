//! What the library asks of a connection: the messages of the protocol, one by one.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{Sink, SinkExt};
use pgwire::api::auth::StartupHandler;
use pgwire::api::auth::noop::NoopStartupHandler;
use pgwire::api::cancel::{CancelHandler, DefaultCancelHandler};
use pgwire::api::copy::CopyHandler;
use pgwire::api::portal::{Format, Portal};
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler, send_ready_for_query};
use pgwire::api::results::{FieldInfo, Response, Tag};
use pgwire::api::stmt::QueryParser;
use pgwire::api::store::PortalStore;
use pgwire::api::{
    ClientInfo, ClientPortalStore, ConnectionManager, DEFAULT_NAME, PgWireConnectionState,
    PgWireServerHandlers, Type,
};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::copy::{CopyData, CopyDone, CopyFail};
use pgwire::messages::data::RowDescription;
use pgwire::messages::extendedquery::{Describe, Execute, TARGET_TYPE_BYTE_PORTAL};
use pgwire::messages::response::EmptyQueryResponse;
use pgwire::messages::simplequery::Query;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};

use super::conversation::{Connection, Prepared, Wanted, cancel_handle, is_bounded};
use super::encode::fields;
use super::{failure, failure_in, parameters, portal, refusal};
use crate::sql::Statement;

impl PgWireServerHandlers for Connection {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::new(self.clone())
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        Arc::new(self.clone())
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        Arc::new(self.clone())
    }

    fn copy_handler(&self) -> Arc<impl CopyHandler> {
        Arc::new(self.clone())
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        Arc::new(DefaultCancelHandler::new(Arc::clone(&self.connections)))
    }
}

#[async_trait]
impl NoopStartupHandler for Connection {
    fn connection_manager(&self) -> Option<Arc<ConnectionManager>> {
        Some(Arc::clone(&self.connections))
    }

    async fn post_startup<C>(&self, _: &mut C, _: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if self.has_place {
            return Ok(());
        }
        let mut info = ErrorInfo::new(
            "FATAL".to_owned(),
            "53300".to_owned(),
            "too many connections are open".to_owned(),
        );
        info.hint = Some("close some, or use a pool".to_owned());
        Err(PgWireError::UserError(Box::new(info)))
    }
}

#[async_trait]
impl SimpleQueryHandler for Connection {
    async fn on_query<C>(&self, client: &mut C, query: Query) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let answered = SimpleQueryHandler::do_query(self, client, &query.query).await;
        client.set_transaction_status(self.status().await);
        answered?;
        if self.copy.lock().await.is_some() {
            client.set_state(PgWireConnectionState::CopyInProgress(false));
            return Ok(());
        }
        client.set_state(PgWireConnectionState::ReadyForQuery);
        let status = client.transaction_status();
        send_ready_for_query(client, status).await
    }

    /// Sends the answers itself, as they come, so that there are none left to return.
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let parsed = self.session.lock().await.parse(query);
        let statements = parsed.map_err(|error| failure_in(error, query))?;
        if statements.is_empty() {
            let message = PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new());
            client.feed(message).await?;
        }
        let is_copy = |statement: &Statement| matches!(statement, Statement::Copy(_));
        let others = statements
            .split_last()
            .map_or(&[][..], |(_, others)| others);
        if others.iter().any(is_copy) {
            let message = "COPY … FROM STDIN is the last statement of its text";
            self.session.lock().await.fail();
            return Err(refusal("0A000", message));
        }
        for statement in &statements {
            let handle = cancel_handle(client);
            let wanted = Wanted {
                format: &Format::UnifiedText,
                is_described: false,
                columns: None,
                text: query,
            };
            let answer = self.answer(client, statement, &[], wanted);
            let tag = self.bounded(handle, is_bounded(statement), answer).await?;
            portal::let_go(client, statement);
            if let Some(tag) = tag {
                let message = PgWireBackendMessage::CommandComplete(tag.into());
                client.feed(message).await?;
            }
        }
        Ok(Vec::new())
    }
}

#[async_trait]
impl QueryParser for Connection {
    type Statement = Arc<Prepared>;

    async fn parse_sql<C>(
        &self,
        _: &C,
        sql: &str,
        types: &[Option<Type>],
    ) -> PgWireResult<Option<Arc<Prepared>>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let mut session = self.session.lock().await;
        let refused = |error| failure_in(error, sql);
        let types = parameters::declared(types);
        let mut statements = session.parse_declared(sql, &types).map_err(refused)?;
        let Some(statement) = statements.pop() else {
            return Ok(None);
        };
        if !statements.is_empty() {
            return Err(refusal("42601", "a prepared statement is one statement"));
        }
        let description = session.describe(&statement).await.map_err(refused)?;
        Ok(Some(Arc::new(Prepared {
            statement,
            description,
        })))
    }

    fn get_parameter_types(&self, prepared: &Arc<Prepared>) -> PgWireResult<Vec<Type>> {
        let parameters = prepared.description.parameters.iter();
        parameters.map(parameters::wire_type).collect()
    }

    fn get_result_schema(
        &self,
        prepared: &Arc<Prepared>,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        match &prepared.description.columns {
            None => Ok(Vec::new()),
            Some(columns) => {
                let fields = fields(columns, format.unwrap_or(&Format::UnifiedText))?;
                Ok(Arc::unwrap_or_clone(fields))
            }
        }
    }
}

#[async_trait]
impl ExtendedQueryHandler for Connection {
    type Statement = Arc<Prepared>;
    type QueryParser = Connection;

    fn query_parser(&self) -> Arc<Connection> {
        Arc::new(self.clone())
    }

    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Arc<Prepared>>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let answered = portal::execute(self, client, &message).await;
        client.set_transaction_status(self.status().await);
        answered?;
        let state = match self.copy.lock().await.is_some() {
            true => PgWireConnectionState::CopyInProgress(true),
            false => PgWireConnectionState::ReadyForQuery,
        };
        client.set_state(state);
        Ok(())
    }

    /// Drivers describe a cursor of DECLARE as if it were a portal.
    async fn on_describe<C>(&self, client: &mut C, message: Describe) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Arc<Prepared>>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        let is_portal = message.target_type == TARGET_TYPE_BYTE_PORTAL;
        if !is_portal || client.portal_store().get_portal(name).is_some() {
            return self._on_describe(client, message).await;
        }
        let Some(columns) = self.session.lock().await.cursor_columns(name) else {
            return Err(PgWireError::PortalNotFound(name.to_owned()));
        };
        let fields = fields(&columns, &Format::UnifiedText)?;
        let description = RowDescription::new(fields.iter().map(Into::into).collect());
        client
            .send(PgWireBackendMessage::RowDescription(description))
            .await?;
        Ok(())
    }

    /// Runs a portal from which the client takes rows bit by bit.
    async fn do_query<C>(
        &self,
        _: &mut C,
        portal: &Portal<Arc<Prepared>>,
        _: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Arc<Prepared>>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        portal::open(self, portal).await
    }
}

#[async_trait]
impl CopyHandler for Connection {
    async fn on_copy_data<C>(&self, _: &mut C, data: CopyData) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let mut copy = self.copy.lock().await;
        let Some(running) = copy.as_mut() else {
            return Ok(());
        };
        let taken = running.take(&data.data);
        if taken.is_err() {
            *copy = None;
            self.session.lock().await.fail();
        }
        taken
    }

    async fn on_copy_done<C>(&self, client: &mut C, _: CopyDone) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let Some(copy) = self.copy.lock().await.take() else {
            return Ok(());
        };
        let mut session = self.session.lock().await;
        let (target, rows, _reservation) = copy.finish().inspect_err(|_| session.fail())?;
        let copied = session.copy_in(&target, rows).await;
        let copied = copied.map_err(failure)?;
        let tag = Tag::new("COPY").with_rows(usize::try_from(copied).unwrap_or(usize::MAX));
        client
            .send(PgWireBackendMessage::CommandComplete(tag.into()))
            .await?;
        Ok(())
    }

    async fn on_copy_fail<C>(&self, _: &mut C, fail: CopyFail) -> PgWireError
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        self.break_off().await;
        let message = format!("COPY was broken off by the client: {}", fail.message);
        refusal("57014", message)
    }
}
