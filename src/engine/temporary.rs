//! Views that are in no catalog and no log: what a subscription to a query reads.
//!
//! They run as live views do, from the tables as they stand, and go with their subscription, or
//! with what they read.

use std::collections::BTreeMap;
use std::sync::{PoisonError, Weak};

use datafusion::sql::sqlparser::ast::Query;
use tokio::sync::oneshot;

use super::commit::Conductor;
use super::transaction::CatalogChange;
use super::{EngineError, Shared};
use crate::dataflow::Command;

/// The running temporary views, by number, with what they read.
pub type Temporaries = BTreeMap<u64, Vec<String>>;

/// A temporary view to be made.
pub struct Creation {
    /// What it computes.
    pub query: Box<Query>,
    /// The timestamp (ms) of the past that it begins with; `None`: now.
    pub since_ms: Option<u64>,
    /// Where its number goes, and the timestamp (ms) at which it is complete.
    pub reply: oneshot::Sender<Result<Temporary, EngineError>>,
}

/// A temporary view that runs.
pub struct Temporary {
    /// Identifies it among all views.
    pub number: u64,
    /// When it is complete (ms).
    pub timestamp_ms: u64,
}

impl Conductor {
    /// Lets the workers compute a query.
    pub(super) fn create_temporary(&mut self, creation: Creation) {
        let outcome = self.start_temporary(&creation.query, creation.since_ms);
        if let Err(Ok(temporary)) = creation.reply.send(outcome) {
            // Whoever asked has gone away.
            self.drop_temporary(temporary.number);
        }
    }

    fn start_temporary(
        &mut self,
        query: &Query,
        since_ms: Option<u64>,
    ) -> Result<Temporary, EngineError> {
        self.check_log()?;
        // For display only: no name leads to the view, and one of the catalog may have the same.
        let name = "subscription";
        let view = self.planner.plan_view(&self.catalog, name, query, "")?;
        self.check_pairs_of(&view.plan)?;
        // A moment of its own, at which nothing but the view begins. It is not in the log: after a
        // restart there is no such view.
        let timestamp_ms = self.last_timestamp_ms + 1;
        let task = self.numbered(&view);
        let number = task.number;
        let command = match since_ms {
            None => Command::Create {
                tables: self.tables_at(&view, timestamp_ms)?,
                view: task,
                timestamp_ms,
            },
            Some(since_ms) => Command::CreateSince {
                past: self.past_since(&view, since_ms)?,
                tables: self.tables_at(&view, since_ms)?,
                view: task,
                since_ms,
                newest_ms: self.last_timestamp_ms,
            },
        };
        self.last_timestamp_ms = timestamp_ms;
        self.workers.send(&command)?;
        self.announce(timestamp_ms)?;
        self.temporaries.insert(number, view.inputs);
        Ok(Temporary {
            number,
            timestamp_ms,
        })
    }

    fn drop_temporary(&mut self, number: u64) {
        if self.temporaries.remove(&number).is_some() {
            // If the workers have failed, nothing runs any more.
            let _ = self.workers.send(&Command::Drop { view: number });
        }
    }

    /// Drops the views of subscriptions that have ended.
    pub(super) fn drop_finished(&mut self, shared: &Weak<Shared>) {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let finished = shared.finished.lock();
        let finished = std::mem::take(&mut *finished.unwrap_or_else(PoisonError::into_inner));
        for number in finished {
            self.drop_temporary(number);
        }
    }

    /// What is to be told to the workers before something goes that temporary views read.
    pub(super) fn drop_readers(&mut self, change: &CatalogChange) -> Vec<Command> {
        let (CatalogChange::DropTable { name } | CatalogChange::DropLiveView { name }) = change
        else {
            return Vec::new();
        };
        let readers = self.temporaries.iter();
        let readers: Vec<u64> = readers
            .filter(|(_, inputs)| inputs.contains(name))
            .map(|(number, _)| *number)
            .collect();
        for number in &readers {
            self.temporaries.remove(number);
        }
        readers
            .into_iter()
            .map(|view| Command::Drop { view })
            .collect()
    }
}
