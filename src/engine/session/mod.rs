//! Sessions: SQL statements of one client, in order, each seeing those before it.

mod block;
mod conflict;
mod cursor;
mod define;
mod describe;
mod explain;
mod follow;
mod own_writes;
mod prepared;
mod query;
mod returning;
mod rewrite;
mod row_limit;
mod rows;
mod settings;
mod show;
mod time_limit;
mod tries;
mod write;

use std::time::Duration;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::scalar::ScalarValue;
use tokio::sync::oneshot;

use super::commit::Request;
use super::{Engine, EngineError};
use crate::model::{Change, Submission};
use crate::sql::{CopyFormat, CopySource, SqlError, Statement, parse, parse_declared};
use block::{Block, Ended};
use cursor::Cursors;
use prepared::PreparedStatements;
use settings::Settings;

pub use block::TransactionState;

/// One client's conversation with the engine: its reads see at least its own writes.
pub struct Session {
    engine: Engine,
    /// The timestamp (ms) of the session's newest write.
    last_write_ms: u64,
    block: Block,
    settings: Settings,
    cursors: Cursors,
    prepared: PreparedStatements,
}

/// What a statement takes and gives, before it is run.
#[derive(Clone, Debug)]
pub struct Description {
    /// The types of the parameters $1, $2, ….
    pub parameters: Vec<DataType>,
    /// The columns of the result; `None` for statements that return no rows.
    pub columns: Option<SchemaRef>,
}

/// The result of a statement.
pub enum Outcome {
    /// Rows of a query.
    Rows(SendableRecordBatchStream),
    /// What a statement gives back of the rows that it has written, and its tag.
    Returned {
        /// The rows.
        rows: SendableRecordBatchStream,
        /// The Postgres command tag, such as `INSERT 0 3`.
        tag: String,
    },
    /// Rows without end, to be handed on as they come.
    Subscription(SendableRecordBatchStream),
    /// A statement without rows; the text is the Postgres command tag, such as `INSERT 0 3`.
    Done(String),
    /// The client is to send rows, which go to [`Session::copy_in`].
    CopyIn(CopyTarget),
    /// The client is to be sent rows.
    CopyOut {
        /// The rows.
        rows: SendableRecordBatchStream,
        /// How they are written.
        format: CopyFormat,
        /// Whether they are without end.
        is_live: bool,
    },
}

/// Where the rows of a `COPY … FROM STDIN` go and how they are written.
#[derive(Clone, Debug)]
pub struct CopyTarget {
    /// The table to be filled.
    pub table: String,
    /// The columns the client sends, in its order, with their types.
    pub columns: SchemaRef,
    /// The text format of the rows.
    pub format: CopyFormat,
}

impl Session {
    pub(super) fn new(engine: Engine) -> Session {
        Session {
            engine,
            last_write_ms: 0,
            block: Block::None,
            settings: Settings::default(),
            cursors: Cursors::default(),
            prepared: PreparedStatements::default(),
        }
    }

    /// Splits and parses SQL text; an empty text gives no statements.
    pub fn parse(&mut self, sql: &str) -> Result<Vec<Statement>, EngineError> {
        let parsed = parse(sql).map_err(EngineError::from);
        self.failing(parsed)
    }

    /// The same with the types that a client declares for parameters, by their names in SQL.
    pub fn parse_declared(
        &mut self,
        sql: &str,
        types: &[Option<&str>],
    ) -> Result<Vec<Statement>, EngineError> {
        let parsed = parse_declared(sql, types).map_err(EngineError::from);
        self.failing(parsed)
    }

    /// How long a statement may take, rows included; `None`: as long as it needs.
    pub fn statement_timeout(&self) -> Option<Duration> {
        self.settings.statement_timeout()
    }

    /// Memory of all queries for an answer that is held as a whole; of nothing yet.
    pub fn answer_memory(&self) -> MemoryReservation {
        self.engine.shared.query_runtime().answer_memory()
    }

    /// Whether the session is inside of a transaction block.
    pub fn transaction_state(&self) -> TransactionState {
        self.block.state()
    }

    /// Runs a statement.
    pub async fn execute(
        &mut self,
        statement: &Statement,
        parameters: &[ScalarValue],
    ) -> Result<Outcome, EngineError> {
        match statement {
            Statement::Commit => self.commit().await,
            Statement::Rollback => {
                self.cursors.close(None)?;
                self.settings.end_block();
                self.block.rollback()?;
                Ok(Outcome::Done("ROLLBACK".to_owned()))
            }
            Statement::RollbackTo(name) => {
                self.block.rollback_to(name)?;
                Ok(Outcome::Done("ROLLBACK".to_owned()))
            }
            other => {
                self.block.check_usable()?;
                let outcome = match other {
                    Statement::Execute { name, arguments } => {
                        self.execute_prepared(name, arguments, parameters).await
                    }
                    other => self.execute_statement(other, parameters).await,
                };
                self.failing(outcome)
            }
        }
    }

    /// Tells the session that its client has failed outside of a statement, as when it breaks off
    /// a `COPY`: an open transaction block takes nothing more.
    pub fn fail(&mut self) {
        self.block.fail();
    }

    fn failing<T>(&mut self, result: Result<T, EngineError>) -> Result<T, EngineError> {
        if result.is_err() {
            self.block.fail();
        }
        result
    }

    async fn execute_statement(
        &mut self,
        statement: &Statement,
        parameters: &[ScalarValue],
    ) -> Result<Outcome, EngineError> {
        if self.settings.is_read_only() && writes(statement) {
            let message = "the session, or its transaction block, is read-only";
            return Err(SqlError::new("25006", message).into());
        }
        match statement {
            Statement::Query(query) => Ok(Outcome::Rows(self.query(query, parameters).await?)),
            Statement::QueryAsOf(query, timestamp_ms) => {
                let rows = self.query_as_of(query, *timestamp_ms, parameters).await?;
                Ok(Outcome::Rows(rows))
            }
            Statement::Subscribe(subscribe) => {
                Ok(Outcome::Subscription(self.subscribe(subscribe).await?))
            }
            Statement::CopyOut(copy) => {
                let (rows, is_live) = match &copy.source {
                    CopySource::Query(query) => (self.query(query, parameters).await?, false),
                    CopySource::QueryAsOf(query, timestamp_ms) => {
                        let rows = self.query_as_of(query, *timestamp_ms, parameters).await?;
                        (rows, false)
                    }
                    CopySource::Subscribe(subscribe) => (self.subscribe(subscribe).await?, true),
                };
                Ok(Outcome::CopyOut {
                    rows,
                    format: copy.format.clone(),
                    is_live,
                })
            }
            Statement::Copy(copy) => Ok(Outcome::CopyIn(self.copy_target(copy)?)),
            Statement::Explain(query) => self.explain(query),
            Statement::ExplainView(name) => self.explain_view(name),
            Statement::AnalyzeView(name) => self.analyze_view(name),
            Statement::ExplainAnalyze(query) => self.explain_analyze(query).await,
            Statement::Show(show) => self.show(show),
            Statement::Fetch {
                name,
                rows,
                timeout,
            } => {
                let rows = self.cursors.fetch(name, *rows, *timeout).await?;
                Ok(Outcome::Rows(rows))
            }
            Statement::Insert(_) | Statement::Update { .. } | Statement::Delete { .. } => {
                self.change(statement, parameters).await
            }
            other => Ok(Outcome::Done(self.run(other, parameters).await?)),
        }
    }

    /// Runs a statement that changes rows.
    async fn change(
        &mut self,
        statement: &Statement,
        parameters: &[ScalarValue],
    ) -> Result<Outcome, EngineError> {
        let (verb, written) = match statement {
            Statement::Insert(insert) => ("INSERT 0", self.insert(insert, parameters).await?),
            Statement::Update { .. } => ("UPDATE", self.rewrite(statement, parameters).await?),
            _ => ("DELETE", self.rewrite(statement, parameters).await?),
        };
        let tag = match statement {
            Statement::Delete {
                is_truncate: true, ..
            } => "TRUNCATE TABLE".to_owned(),
            _ => format!("{verb} {}", written.count),
        };
        Ok(match written.returned {
            None => Outcome::Done(tag),
            Some(rows) => Outcome::Returned { rows, tag },
        })
    }

    /// Runs a statement that gives no rows; returns its tag.
    async fn run(
        &mut self,
        statement: &Statement,
        parameters: &[ScalarValue],
    ) -> Result<String, EngineError> {
        let tag = match statement {
            Statement::Begin { tag, is_read_only } => {
                self.block.begin()?;
                if *is_read_only {
                    self.settings
                        .set_local("transaction_read_only", Some("on"))?;
                }
                (*tag).to_owned()
            }
            Statement::Savepoint(name) => {
                self.block.savepoint(name)?;
                "SAVEPOINT".to_owned()
            }
            Statement::Release(name) => {
                self.block.release(name)?;
                "RELEASE".to_owned()
            }
            Statement::Set {
                name,
                value,
                is_local,
            } => {
                match (*is_local, self.block.state()) {
                    (false, _) => self.settings.set(name, value.as_deref())?,
                    // It would end with this statement.
                    (true, TransactionState::Outside) => {}
                    (true, _) => self.settings.set_local(name, value.as_deref())?,
                }
                "SET".to_owned()
            }
            Statement::Reset(name) => {
                match name {
                    Some(name) => self.settings.set(name, None)?,
                    None => self.settings.reset(),
                }
                "RESET".to_owned()
            }
            Statement::DeclareCursor { name, statement } => {
                self.declare(name, statement, parameters).await?;
                "DECLARE CURSOR".to_owned()
            }
            Statement::CloseCursor(name) => {
                self.cursors.close(name.as_deref())?;
                let all = if name.is_none() { " ALL" } else { "" };
                format!("CLOSE CURSOR{all}")
            }
            Statement::Prepare {
                name,
                types,
                statement,
            } => {
                self.prepare(name, types, statement).await?;
                "PREPARE".to_owned()
            }
            Statement::Deallocate(name) => {
                self.prepared.deallocate(name.as_deref());
                let all = if name.is_none() { " ALL" } else { "" };
                format!("DEALLOCATE{all}")
            }
            Statement::DiscardAll => {
                self.discard_all()?;
                "DISCARD ALL".to_owned()
            }
            Statement::Session(tag) => (*tag).to_owned(),
            definition => self.define(definition).await?,
        };
        Ok(tag)
    }

    /// The session as it was at its beginning; what it has written stays.
    fn discard_all(&mut self) -> Result<(), EngineError> {
        if self.block.state() != TransactionState::Outside {
            let message = "DISCARD ALL cannot run inside of a transaction block";
            return Err(SqlError::new("25001", message)
                .with_hint("COMMIT or ROLLBACK first")
                .into());
        }
        self.cursors.close(None)?;
        self.prepared.deallocate(None);
        self.settings.reset();
        Ok(())
    }

    async fn commit(&mut self) -> Result<Outcome, EngineError> {
        self.cursors.close(None)?;
        self.settings.end_block();
        match self.block.commit() {
            Ended::Commit(changes) => {
                self.submit(changes).await?;
                Ok(Outcome::Done("COMMIT".to_owned()))
            }
            Ended::Rollback => Ok(Outcome::Done("ROLLBACK".to_owned())),
        }
    }

    /// Waits until what this session has written is complete in all views: from then on every
    /// session reads it.
    pub async fn settled(&self) -> Result<(), EngineError> {
        self.engine.completed(self.last_write_ms).await
    }

    /// Writes changes at one timestamp.
    async fn submit(&mut self, changes: Vec<Change>) -> Result<(), EngineError> {
        if changes.is_empty() {
            return Ok(());
        }
        let submission = Submission {
            changes,
            ..Submission::default()
        };
        let submit = |reply| Request::Submit {
            submission,
            reply: Some(reply),
        };
        let timestamp_ms = self.call(submit).await?;
        self.last_write_ms = self.last_write_ms.max(timestamp_ms);
        Ok(())
    }

    /// Asks the committing thread.
    async fn call<T: Send + 'static>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, EngineError>>) -> Request,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        let request = request(reply);
        let requests = self.engine.shared.requests.clone();
        // The queue may be full: waiting for room must not hold up other sessions.
        let sent = tokio::task::spawn_blocking(move || requests.send(request).is_ok()).await;
        if !sent.unwrap_or(false) {
            return Err(EngineError::ShutDown);
        }
        answer.await.map_err(|_| EngineError::ShutDown)?
    }
}

/// Whether a statement changes rows, tables or views.
fn writes(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Insert(_)
            | Statement::Update { .. }
            | Statement::Delete { .. }
            | Statement::Copy(_)
            | Statement::CreateTable { .. }
            | Statement::CreateView { .. }
            | Statement::CreateMaterializedView { .. }
            | Statement::Drop { .. }
    )
}
