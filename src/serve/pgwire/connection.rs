//! One client's connection: simple and extended queries, and rows sent by COPY.

use std::fmt::Debug;
use std::sync::Arc;

use arrow_pg::datatypes::{arrow_schema_to_pg_fields, encode_recordbatch, into_pg_type};
use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::scalar::ScalarValue;
use futures::{Sink, SinkExt, StreamExt, stream};
use pgwire::api::auth::StartupHandler;
use pgwire::api::auth::noop::NoopStartupHandler;
use pgwire::api::cancel::{CancelHandler, DefaultCancelHandler};
use pgwire::api::copy::CopyHandler;
use pgwire::api::portal::{Format, Portal};
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use pgwire::api::results::{CopyResponse, FieldInfo, QueryResponse, Response, Tag};
use pgwire::api::stmt::QueryParser;
use pgwire::api::store::PortalStore;
use pgwire::api::{ClientInfo, ClientPortalStore, ConnectionManager, PgWireServerHandlers, Type};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::PgWireFrontendMessage;
use pgwire::messages::copy::{CopyData, CopyDone, CopyFail};
use pgwire::messages::data::DataRow;
use tokio::sync::Mutex;

use super::copy::CopyIn;
use super::parameters;
use super::{failure, refusal};
use crate::engine::{Description, Engine, EngineError, Outcome, Session};
use crate::sql::{SqlError, Statement};

/// A connection; clones are handles to the same one.
#[derive(Clone)]
pub struct Connection {
    session: Arc<Mutex<Session>>,
    /// The COPY that is under way.
    copy: Arc<Mutex<Option<CopyIn>>>,
    connections: Arc<ConnectionManager>,
    has_place: bool,
}

/// A statement that has been parsed and described.
#[derive(Debug)]
pub struct Prepared {
    statement: Statement,
    description: Description,
}

impl Connection {
    /// A new session; without a place it is told so and ended.
    pub fn new(
        engine: &Engine,
        connections: &Arc<ConnectionManager>,
        has_place: bool,
    ) -> Connection {
        Connection {
            session: Arc::new(Mutex::new(engine.session())),
            copy: Arc::default(),
            connections: Arc::clone(connections),
            has_place,
        }
    }

    async fn execute(
        &self,
        session: &mut Session,
        statement: &Statement,
        parameters: &[ScalarValue],
        format: &Format,
    ) -> PgWireResult<Response> {
        let outcome = session
            .execute(statement, parameters)
            .await
            .map_err(failure)?;
        Ok(match outcome {
            Outcome::Rows(rows) => Response::Query(rows_response(rows, format)?),
            Outcome::Done(tag) => match tag.as_str() {
                "BEGIN" => Response::TransactionStart(Tag::new(&tag)),
                "COMMIT" | "ROLLBACK" => Response::TransactionEnd(Tag::new(&tag)),
                _ => Response::Execution(Tag::new(&tag)),
            },
            Outcome::CopyIn(target) => {
                let columns = target.columns.fields().len();
                *self.copy.lock().await = Some(CopyIn::new(target)?);
                Response::CopyIn(CopyResponse::new(0, columns, stream::empty()))
            }
        })
    }
}

/// Rows that are encoded batch by batch, as the client takes them.
fn rows_response(rows: SendableRecordBatchStream, format: &Format) -> PgWireResult<QueryResponse> {
    let fields = arrow_schema_to_pg_fields(&rows.schema(), format, None)?;
    let fields = Arc::new(fields);
    let encoded = Arc::clone(&fields);
    let rows = rows.flat_map(move |batch| {
        let rows: Vec<PgWireResult<DataRow>> = match batch {
            Ok(batch) => encode_recordbatch(Arc::clone(&encoded), batch).collect(),
            Err(error) => vec![Err(failure(EngineError::from(SqlError::from(error))))],
        };
        stream::iter(rows)
    });
    Ok(QueryResponse::new(fields, rows))
}

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
    async fn do_query<C>(&self, _: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let mut session = self.session.lock().await;
        let statements = session.parse(query).map_err(failure)?;
        let mut responses = Vec::new();
        for statement in &statements {
            let response = self.execute(&mut session, statement, &[], &Format::UnifiedText);
            match response.await {
                Ok(response) => responses.push(response),
                // The answers to the statements before it stand.
                Err(error) => {
                    responses.push(Response::Error(Box::new(error.into())));
                    break;
                }
            }
        }
        if responses.is_empty() {
            responses.push(Response::EmptyQuery);
        }
        Ok(responses)
    }
}

#[async_trait]
impl QueryParser for Connection {
    type Statement = Arc<Prepared>;

    async fn parse_sql<C>(
        &self,
        _: &C,
        sql: &str,
        _: &[Option<Type>],
    ) -> PgWireResult<Option<Arc<Prepared>>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let mut session = self.session.lock().await;
        let mut statements = session.parse(sql).map_err(failure)?;
        let (Some(statement), true) = (statements.pop(), statements.is_empty()) else {
            let message = "a prepared statement is one statement";
            return match sql.contains(';') {
                true => Err(refusal("42601", message)),
                false => Ok(None),
            };
        };
        let description = session.describe(&statement).await.map_err(failure)?;
        Ok(Some(Arc::new(Prepared {
            statement,
            description,
        })))
    }

    fn get_parameter_types(&self, prepared: &Arc<Prepared>) -> PgWireResult<Vec<Type>> {
        prepared
            .description
            .parameters
            .iter()
            .map(into_pg_type)
            .collect()
    }

    fn get_result_schema(
        &self,
        prepared: &Arc<Prepared>,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        match &prepared.description.columns {
            None => Ok(Vec::new()),
            Some(columns) => {
                arrow_schema_to_pg_fields(columns, format.unwrap_or(&Format::UnifiedText), None)
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
        let prepared = &portal.statement.statement;
        let parameters = parameters::read(portal, &prepared.description.parameters)?;
        let mut session = self.session.lock().await;
        let format = &portal.result_column_format;
        self.execute(&mut session, &prepared.statement, &parameters, format)
            .await
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
        let (target, rows) = copy.finish().inspect_err(|_| session.fail())?;
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
        *self.copy.lock().await = None;
        self.session.lock().await.fail();
        let message = format!("COPY was broken off by the client: {}", fail.message);
        refusal("57014", message)
    }
}
