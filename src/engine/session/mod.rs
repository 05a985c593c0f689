//! Sessions: SQL statements of one client, in order, each seeing those before it.

mod block;
mod define;
mod show;
mod time_limit;
mod write;

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::Query;
use tokio::sync::oneshot;

use super::commit::Request;
use super::{Engine, EngineError, Overview, ReadPoint};
use crate::model::{Change, Submission};
use crate::sql::overview::{self, Reads};
use crate::sql::query::QueryContext;
use crate::sql::{CopyFormat, SqlError, Statement, parse};
use block::{Block, Ended};
use show::{show_schema, text_schema};
use time_limit::within;

/// One client's conversation with the engine: its reads see at least its own writes.
pub struct Session {
    engine: Engine,
    /// The timestamp (ms) of the session's newest write.
    last_write_ms: u64,
    block: Block,
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
    /// A statement without rows; the text is the Postgres command tag, such as `INSERT 0 3`.
    Done(String),
    /// The client is to send rows, which go to [`Session::copy_in`].
    CopyIn(CopyTarget),
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
        }
    }

    /// Splits and parses SQL text; an empty text gives no statements.
    pub fn parse(&mut self, sql: &str) -> Result<Vec<Statement>, EngineError> {
        let parsed = parse(sql).map_err(EngineError::from);
        self.failing(parsed)
    }

    /// The parameters and columns of a statement.
    pub async fn describe(&mut self, statement: &Statement) -> Result<Description, EngineError> {
        let description = self.describe_statement(statement).await;
        self.failing(description)
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
                self.block.rollback()?;
                Ok(Outcome::Done("ROLLBACK".to_owned()))
            }
            other => {
                self.block.check_usable()?;
                let outcome = self.execute_statement(other, parameters).await;
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

    async fn describe_statement(
        &mut self,
        statement: &Statement,
    ) -> Result<Description, EngineError> {
        let (parameters, columns) = match statement {
            Statement::Query(query) => {
                let plan = self.context(query).await?.plan(query)?;
                let columns = Arc::clone(plan.schema().inner());
                (QueryContext::parameter_types(&plan)?, Some(columns))
            }
            Statement::Insert {
                table,
                columns,
                source,
            } => (self.insert_parameters(table, columns, source).await?, None),
            Statement::Update { .. } | Statement::Delete { .. } => {
                let query = self.affected_rows(statement)?;
                let plan = self.context(&query).await?.plan(&query)?;
                (QueryContext::parameter_types(&plan)?, None)
            }
            Statement::Explain(_) | Statement::ExplainView(_) => {
                (Vec::new(), Some(text_schema("plan")))
            }
            Statement::Show(show) => (Vec::new(), Some(show_schema(show))),
            _ => (Vec::new(), None),
        };
        Ok(Description {
            parameters,
            columns,
        })
    }

    async fn execute_statement(
        &mut self,
        statement: &Statement,
        parameters: &[ScalarValue],
    ) -> Result<Outcome, EngineError> {
        let tag = match statement {
            Statement::Query(query) => {
                return Ok(Outcome::Rows(self.query(query, parameters).await?));
            }
            Statement::Copy(copy) => return Ok(Outcome::CopyIn(self.copy_target(copy)?)),
            Statement::Explain(query) => return self.explain(query),
            Statement::ExplainView(name) => return self.explain_view(name),
            Statement::Show(show) => return self.show(show),
            Statement::Insert {
                table,
                columns,
                source,
            } => {
                let rows = self.insert(table, columns, source, parameters).await?;
                format!("INSERT 0 {rows}")
            }
            Statement::Update { .. } => {
                format!("UPDATE {}", self.rewrite(statement, parameters).await?)
            }
            Statement::Delete { .. } => {
                format!("DELETE {}", self.rewrite(statement, parameters).await?)
            }
            Statement::Begin => {
                self.block.begin()?;
                "BEGIN".to_owned()
            }
            Statement::Session(tag) => (*tag).to_owned(),
            definition => return self.define(definition).await,
        };
        Ok(Outcome::Done(tag))
    }

    async fn commit(&mut self) -> Result<Outcome, EngineError> {
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

    /// What a query reads, at a moment that includes the session's own writes.
    async fn context(&self, query: &Query) -> Result<QueryContext, EngineError> {
        self.context_since(query, self.last_write_ms).await
    }

    async fn context_since(
        &self,
        query: &Query,
        timestamp_ms: u64,
    ) -> Result<QueryContext, EngineError> {
        let point = match overview::reads(query) {
            Reads::Relations => self.engine.read_since(timestamp_ms).await?,
            Reads::SystemTables => ReadPoint::of_the_system(self.overview().await?),
            Reads::Both => {
                let point = self.engine.read_since(timestamp_ms).await?;
                point.with_overview(self.overview().await?)
            }
        };
        Ok(point.query_context(&self.engine.shared))
    }

    async fn overview(&self) -> Result<Arc<Overview>, EngineError> {
        let engine = self.engine.clone();
        // The workers are waited for, which must not hold up other sessions.
        let overview = tokio::task::spawn_blocking(move || engine.overview()).await;
        overview
            .map(Arc::new)
            .map_err(|error| super::commit::system("take the overview", error))
    }

    /// A plan with what it is to be run in; if it asks for the time, time passes first.
    async fn planned(
        &mut self,
        query: &Query,
        since_ms: u64,
        plan: impl Fn(&QueryContext) -> Result<LogicalPlan, SqlError>,
    ) -> Result<(QueryContext, LogicalPlan), EngineError> {
        let context = self.context_since(query, since_ms).await?;
        let planned = plan(&context)?;
        if !QueryContext::reads_clock(&planned)? {
            return Ok((context, planned));
        }
        let now_ms = self.call(|reply| Request::PassTime { reply }).await?;
        let since_ms = now_ms.max(since_ms);
        let context = self.context_since(query, since_ms).await?;
        let planned = plan(&context)?;
        Ok((context, planned))
    }

    async fn query(
        &mut self,
        query: &Query,
        parameters: &[ScalarValue],
    ) -> Result<SendableRecordBatchStream, EngineError> {
        let since_ms = self.last_write_ms;
        let (context, plan) = self
            .planned(query, since_ms, |context| context.plan(query))
            .await?;
        let plan = QueryContext::bind(plan, parameters)?;
        if reads_tables(&plan)? {
            self.block.check_readable()?;
        }
        let rows = context.execute(plan).await?;
        Ok(match self.engine.shared.query_runtime().limits().timeout {
            Some(timeout) => within(rows, timeout),
            None => rows,
        })
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
        self.call(submit).await.map(drop)
    }

    async fn call(
        &mut self,
        request: impl FnOnce(super::commit::Reply) -> Request,
    ) -> Result<u64, EngineError> {
        let (reply, answer) = oneshot::channel();
        let request = request(reply);
        let requests = self.engine.shared.requests.clone();
        // The queue may be full: waiting for room must not hold up other sessions.
        let sent = tokio::task::spawn_blocking(move || requests.send(request).is_ok()).await;
        if !sent.unwrap_or(false) {
            return Err(EngineError::ShutDown);
        }
        let timestamp_ms = answer.await.map_err(|_| EngineError::ShutDown)??;
        self.last_write_ms = self.last_write_ms.max(timestamp_ms);
        Ok(timestamp_ms)
    }
}

fn reads_tables(plan: &LogicalPlan) -> Result<bool, EngineError> {
    let mut reads = false;
    plan.apply_with_subqueries(|node| {
        reads |= matches!(node, LogicalPlan::TableScan(_));
        Ok(match reads {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(reads)
}
