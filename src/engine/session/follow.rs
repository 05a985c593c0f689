//! SUBSCRIBE: follows a live view that is there, or one that is made for the subscription.

use datafusion::execution::SendableRecordBatchStream;
use datafusion::sql::sqlparser::ast::Query;

use super::Session;
use super::rows::quoted;
use crate::engine::EngineError;
use crate::engine::commit::Request;
use crate::engine::reading;
use crate::engine::subscription::{Subscription, View};
use crate::engine::temporary::{Creation, Temporary};
use crate::sql::statement::parse_query;
use crate::sql::{SqlError, Subscribe, SubscribeSource};

/// All rows of a table or view, as a query.
pub(super) fn all_of(name: &str) -> Result<Box<Query>, SqlError> {
    parse_query(&format!("SELECT * FROM {}", quoted(name)))
}

impl Session {
    pub(super) async fn subscribe(
        &mut self,
        subscribe: &Subscribe,
    ) -> Result<SendableRecordBatchStream, EngineError> {
        if self.block.changes().is_some() {
            let message = "SUBSCRIBE can't follow rows that wait for COMMIT";
            return Err(SqlError::unsupported(message).into());
        }
        let view = match &subscribe.source {
            SubscribeSource::Query(query) => self.temporary(query.clone(), subscribe.as_of).await?,
            SubscribeSource::Relation(name) => match self.live_view(name).await? {
                Some(view) => view,
                None => self.temporary(all_of(name)?, subscribe.as_of).await?,
            },
        };
        Ok(Subscription::begin(view, subscribe)?.into_stream())
    }

    /// A live view that is complete, as of the session's own writes or later.
    async fn live_view(&self, name: &str) -> Result<Option<View>, EngineError> {
        let state = self.engine.shared.state();
        let Some(number) = state.numbers.get(name) else {
            return Ok(None);
        };
        let since_ms = self.last_write_ms.max(state.catalog_timestamp_ms);
        self.engine.completed(since_ms).await?;
        Ok(Some(View {
            engine: self.engine.clone(),
            number: *number,
            name: format!("view \"{name}\""),
            is_temporary: false,
        }))
    }

    /// A view of a query that goes with its subscription, from a timestamp (ms) of the past on if
    /// one is given: then it is computed from what the tables were, and what they have gone through
    /// since.
    async fn temporary(
        &self,
        query: Box<Query>,
        since_ms: Option<u64>,
    ) -> Result<View, EngineError> {
        if let Some(timestamp_ms) = since_ms {
            self.engine.completed(self.last_write_ms).await?;
            let shared = &self.engine.shared;
            reading::check_as_of(shared, timestamp_ms, shared.progress.completed())?;
        }
        let create = |reply| {
            Request::Temporary(Creation {
                query,
                since_ms,
                reply,
            })
        };
        let Temporary {
            number,
            timestamp_ms,
        } = self.call(create).await?;
        let view = View {
            engine: self.engine.clone(),
            number,
            name: "the query".to_owned(),
            is_temporary: true,
        };
        self.engine
            .completed(self.last_write_ms.max(timestamp_ms))
            .await?;
        Ok(view)
    }
}
