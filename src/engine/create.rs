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

    /// Gives a view a number, and the command to compute it from what its tables hold at the
    /// timestamp.
    pub(super) fn creation(
        &mut self,
        view: &ViewDefinition,
        timestamp_ms: u64,
    ) -> Result<Command, EngineError> {
        let mut tables = Tables::new();
        for name in self.tables_of(view) {
            if let Some(store) = self.stores.get(&name) {
                let rows = store.snapshot(timestamp_ms)?.scan(None);
                let rows = rows.collect::<Result<Vec<_>, _>>();
                let rows = rows.map_err(|error| system("read a table", error))?;
                tables.insert(Arc::from(name), rows);
            }
        }
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
        self.numbers.insert(view.name.clone(), self.next_number);
        self.next_number += 1;
        Ok(Command::Create {
            view: Arc::new(task),
            timestamp_ms,
            tables: Arc::new(tables),
        })
    }

    /// Gives a view a number, and the command to compute it from a timestamp (ms) of the past on,
    /// with all that its tables have gone through since.
    pub(super) fn creation_since(
        &mut self,
        view: &ViewDefinition,
        since_ms: u64,
    ) -> Result<Command, EngineError> {
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
        match self.creation(view, since_ms)? {
            Command::Create { view, tables, .. } => Ok(Command::CreateSince {
                view,
                since_ms,
                newest_ms,
                tables,
                past: Arc::new(past),
            }),
            other => Ok(other),
        }
    }

    fn tables_of(&self, view: &ViewDefinition) -> BTreeSet<String> {
        let tables = view
            .inputs
            .iter()
            .filter(|input| self.stores.contains_key(*input));
        tables.cloned().collect()
    }
}
