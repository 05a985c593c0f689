//! SUBSCRIBE: follows a live view that is there, or one that is made for the subscription.

use datafusion::execution::SendableRecordBatchStream;
use datafusion::sql::sqlparser::ast::Query;

use super::Session;
use super::rows::quoted;
use crate::engine::EngineError;
use crate::engine::commit::Request;
use crate::engine::subscription::{Subscription, View};
use crate::engine::temporary::{Creation, Temporary};
use crate::sql::statement::parse_query;
use crate::sql::{SqlError, Subscribe, SubscribeSource};

/// All rows of a table or view, as a query.
pub(super) fn all_of(name: &str) -> Result<Box<Query>, SqlError> {
    parse_query(&format!("SELECT * FROM {}", quoted(name)))
}

/// What a query or table would have been in the past is kept by live views only.
fn only_views_have_a_past() -> SqlError {
    SqlError::unsupported("SUBSCRIBE … AS OF to anything but a live view is not supported")
        .with_hint("CREATE MATERIALIZED VIEW of it first; its changes are kept from then on")
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
            SubscribeSource::Relation(name) if subscribe.as_of.is_some() => self
                .live_view(name)
                .await?
                .ok_or_else(only_views_have_a_past)?,
            SubscribeSource::Query(_) if subscribe.as_of.is_some() => {
                return Err(only_views_have_a_past().into());
            }
            SubscribeSource::Query(query) => self.temporary(query.clone()).await?,
            SubscribeSource::Relation(name) => match self.live_view(name).await? {
                Some(view) => view,
                None => self.temporary(all_of(name)?).await?,
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

    /// A view of a query that goes with its subscription.
    async fn temporary(&self, query: Box<Query>) -> Result<View, EngineError> {
        let create = |reply| Request::Temporary(Creation { query, reply });
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
