//! Handing a view to the workers, with what its tables hold.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::EngineError;
use super::commit::{Conductor, system};
use crate::dataflow::{Command, Past, TableChange, Tables, ViewTask};
use crate::sql::ViewDefinition;

impl Conductor {
    /// Lets the workers compute a view.
    pub(super) fn run_view(
        &mut self,
        view: &ViewDefinition,
        timestamp_ms: u64,
    ) -> Result<(), EngineError> {
        let command = self.creation(view, timestamp_ms)?;
        Ok(self.workers.send(&command)?)
    }

    /// Gives a view of the catalog a number, and the command to compute it from what its tables
    /// hold at the timestamp.
    pub(super) fn creation(
        &mut self,
        view: &ViewDefinition,
        timestamp_ms: u64,
    ) -> Result<Command, EngineError> {
        let tables = self.tables_at(view, timestamp_ms)?;
        let task = self.numbered(view);
        self.numbers.insert(view.name.clone(), task.number);
        Ok(Command::Create {
            view: task,
            timestamp_ms,
            tables,
        })
    }

    /// Gives a view a number. Its name does not lead to that yet.
    pub(super) fn numbered(&mut self, view: &ViewDefinition) -> Arc<ViewTask> {
        let reads = view.inputs.iter().filter_map(|input| {
            let number = self.numbers.get(input)?;
            Some((Arc::from(input.as_str()), *number))
        });
        let task = ViewTask {
            number: self.next_number,
            name: Arc::from(view.name.as_str()),
            plan: Arc::clone(&view.plan),
            key: view.key.clone(),
            reads: reads.collect(),
        };
        self.next_number += 1;
        Arc::new(task)
    }

    /// What the tables of a view hold at a timestamp (ms).
    pub(super) fn tables_at(
        &self,
        view: &ViewDefinition,
        timestamp_ms: u64,
    ) -> Result<Arc<Tables>, EngineError> {
        let mut tables = Tables::new();
        for name in self.tables_of(view) {
            if let Some(store) = self.stores.get(&name) {
                let rows = store.snapshot(timestamp_ms)?.scan(None);
                let rows = rows.collect::<Result<Vec<_>, _>>();
                let rows = rows.map_err(|error| system("read a table", error))?;
                tables.insert(Arc::from(name), rows);
            }
        }
        Ok(Arc::new(tables))
    }

    /// What the tables of a view have gone through after a timestamp (ms), up to the newest.
    pub(super) fn past_since(
        &self,
        view: &ViewDefinition,
        since_ms: u64,
    ) -> Result<Arc<Past>, EngineError> {
        let newest_ms = self.last_timestamp_ms;
        let mut past = Past::new();
        for name in self.tables_of(view) {
            let Some(store) = self.stores.get(&name) else {
                continue;
            };
            let changes = store.snapshot(newest_ms)?.changes_after(since_ms);
            let changes = changes.map_err(|error| system("read the past of a table", error))?;
            for change in changes {
                let changes = past.entry(change.timestamp_ms).or_default();
                changes.push(TableChange {
                    table: Arc::from(name.as_str()),
                    rows: change.rows,
                    counts: Some(change.counts),
                });
            }
        }
        Ok(Arc::new(past))
    }

    fn tables_of(&self, view: &ViewDefinition) -> BTreeSet<String> {
        let tables = view
            .inputs
            .iter()
            .filter(|input| self.stores.contains_key(*input));
        tables.cloned().collect()
    }
}
