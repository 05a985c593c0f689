//! The queries of a session: the moment that they read, and how much and how long they may give.

use std::sync::Arc;

use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::Query;

use super::Session;
use super::own_writes::OwnWrites;
use super::row_limit::at_most;
use super::time_limit::within;
use super::tries::Since;
use crate::engine::commit::Request;
use crate::engine::{EngineError, ReadPoint};
use crate::sql::SqlError;
use crate::sql::overview::{self, Reads};
use crate::sql::query::{QueryContext, Relations};

impl Session {
    /// Everything that the session's next query reads.
    pub(super) async fn context(&self) -> Result<QueryContext, EngineError> {
        self.context_since(self.last_write_ms).await
    }

    /// Everything at a timestamp (ms) or later, with what the open block has written.
    pub(super) async fn context_since(
        &self,
        timestamp_ms: u64,
    ) -> Result<QueryContext, EngineError> {
        let shared = &self.engine.shared;
        let point = self.engine.read_since(timestamp_ms).await?.told_by(shared);
        let relations: Arc<dyn Relations> = match self.block.changes() {
            None => Arc::new(point),
            Some(changes) => Arc::new(OwnWrites::new(point, Arc::clone(changes))),
        };
        Ok(self.context_over(relations))
    }

    /// What a query is planned in; for one of system tables alone views are not waited for.
    pub(super) async fn context_of(&self, query: &Query) -> Result<QueryContext, EngineError> {
        match overview::reads(query) {
            Reads::SystemTables => Ok(self.system_context()),
            Reads::Relations | Reads::Both => self.context().await,
        }
    }

    /// What there is to tell about the system, and no rows of tables or views.
    pub(super) fn system_context(&self) -> QueryContext {
        let point = ReadPoint::of_the_system(&self.engine.shared);
        self.context_over(Arc::new(point))
    }

    /// What a query of this session is planned in over some tables and views.
    pub(super) fn context_over(&self, relations: Arc<dyn Relations>) -> QueryContext {
        let shared = &self.engine.shared;
        let planner = shared.planner.clone();
        let runtime = shared.query_runtime();
        QueryContext::new(planner, relations, self.settings.all(), &runtime)
    }

    /// A plan with what it is to be run in; if it asks for the time, time passes first.
    pub(super) async fn planned(
        &self,
        since: impl Into<Since>,
        plan: impl Fn(&QueryContext) -> Result<LogicalPlan, SqlError>,
    ) -> Result<(QueryContext, LogicalPlan), EngineError> {
        let since = since.into();
        let context = self.context_since(since.timestamp_ms).await?;
        let planned = plan(&context)?;
        if !QueryContext::reads_clock(&planned)? {
            return Ok((context, planned));
        }
        let since_ms = self.moment(since, true).await?;
        let context = self.context_since(since_ms).await?;
        let planned = plan(&context)?;
        Ok((context, planned))
    }

    /// The moment (ms) at or after which a statement is to run: where it asks for the time, time
    /// passes first.
    pub(super) async fn moment(
        &self,
        since: impl Into<Since>,
        asks_for_time: bool,
    ) -> Result<u64, EngineError> {
        let since = since.into();
        if since.is_now || !asks_for_time {
            return Ok(since.timestamp_ms);
        }
        let now_ms = self.call(|reply| Request::PassTime { reply }).await?;
        Ok(since.timestamp_ms.max(now_ms))
    }

    /// Runs a query.
    pub(super) async fn query(
        &self,
        query: &Query,
        parameters: &[ScalarValue],
    ) -> Result<SendableRecordBatchStream, EngineError> {
        let (context, plan) = match overview::reads(query) {
            Reads::SystemTables => {
                let context = self.system_context();
                let plan = context.plan(query)?;
                (context, plan)
            }
            Reads::Relations | Reads::Both => {
                self.planned(self.last_write_ms, |context| context.plan(query))
                    .await?
            }
        };
        let plan = QueryContext::bind(plan, parameters)?;
        self.run_query(&context, plan).await
    }

    /// The rows of a query, as many and for as long as may be.
    pub(super) async fn run_query(
        &self,
        context: &QueryContext,
        plan: LogicalPlan,
    ) -> Result<SendableRecordBatchStream, EngineError> {
        let rows = context.execute(plan).await?;
        let runtime = self.engine.shared.query_runtime();
        let limits = runtime.limits();
        let rows = match limits.rows {
            usize::MAX => rows,
            most => at_most(rows, most),
        };
        Ok(match limits.timeout {
            Some(timeout) => within(rows, timeout),
            None => rows,
        })
    }

    /// Runs a query over tables and views as they were.
    pub(super) async fn query_as_of(
        &self,
        query: &Query,
        timestamp_ms: u64,
        parameters: &[ScalarValue],
    ) -> Result<SendableRecordBatchStream, EngineError> {
        if self.block.changes().is_some() {
            let message = "AS OF can't follow rows that wait for COMMIT";
            return Err(SqlError::unsupported(message).into());
        }
        let shared = &self.engine.shared;
        let point = self.engine.read_as_of(timestamp_ms).await?.told_by(shared);
        let context = self.context_over(Arc::new(point));
        let plan = QueryContext::bind(context.plan(query)?, parameters)?;
        self.run_query(&context, plan).await
    }
}
