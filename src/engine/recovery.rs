//! Coming back: the log is replayed into the tables, then all views are filled from them.


use super::EngineError;
use super::commit::{Conductor, apply_to_catalog, live_view};
use super::transaction::{CatalogChange, Transaction};
use crate::log::Cut;
use crate::sql::Planner;

/// What opening found.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// The newest timestamp (ms) of the log; 0 if it is empty.
    pub timestamp_ms: u64,
    /// Transactions that were replayed.
    pub transactions: u64,
    /// An unfinished end of the log that was cut off, as a power cut leaves it.
    pub cut: Option<Cut>,
    /// Views that can no longer be planned, with the reason; they do not run.
    pub broken_views: Vec<(String, String)>,
}

impl Conductor {
    /// Replays the log into tables and catalog.
    pub(super) fn replay(&mut self) -> Result<(), EngineError> {
        let planner = Planner::new();
        for record in self.log.read_from(0)? {
            let record = record?;
            let damaged = |reason: String| EngineError::Transaction {
                offset: record.offset,
                reason,
            };
            self.last_timestamp_ms = record.timestamp_ms;
            match Transaction::decode(&record.payload).map_err(damaged)? {
                Transaction::Rows(submission) => {
                    self.apply_to_tables(&submission, record.timestamp_ms)?;
                    if let Some((source, position)) = submission.position {
                        self.positions.insert(source, position);
                    }
                }
                Transaction::Catalog(changes) => {
                    for change in changes {
                        self.replay_change(&planner, &change)?;
                    }
                }
            }
        }
        for store in self.stores.values_mut() {
            store.set_horizon(self.last_timestamp_ms);
        }
        Ok(())
    }

    /// A view that cannot be planned any more is remembered by its statement only, and reported
    /// when views are started.
    fn replay_change(
        &mut self,
        planner: &Planner,
        change: &CatalogChange,
    ) -> Result<(), EngineError> {
        let applied = apply_to_catalog(planner, &mut self.catalog, change);
        match (applied, change) {
            (Ok(()), _) => {}
            (Err(error), CatalogChange::CreateLiveView { statement, .. }) => {
                let (name, _) = live_view(statement)?;
                self.broken.push((name, error.message));
                return Ok(());
            }
            (Err(_), CatalogChange::DropLiveView { name }) => {
                self.broken.retain(|(broken, _)| broken != name);
            }
            (Err(error), _) => return Err(error.into()),
        }
        self.note(change)?;
        Ok(())
    }

    /// Lets the workers compute all views, each after those it reads.
    pub fn start_views(&mut self) -> Result<Recovered, EngineError> {
        let timestamp_ms = self.last_timestamp_ms;
        let mut waiting: Vec<_> = self.catalog.live_views.values().cloned().collect();
        while !waiting.is_empty() {
            let (ready, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|view| {
                let is_there = |input: &String| {
                    !self.catalog.live_views.contains_key(input) || self.numbers.contains_key(input)
                };
                view.inputs.iter().all(is_there)
            });
            for view in &ready {
                self.run_view(view, timestamp_ms)?;
            }
            waiting = later;
            if ready.is_empty() {
                break;
            }
        }
        self.announce(timestamp_ms)?;
        Ok(Recovered {
            timestamp_ms,
            transactions: self.opened.next_offset - self.opened.first_offset,
            cut: self.opened.cut.clone(),
            broken_views: self.broken.clone(),
        })
    }
}

