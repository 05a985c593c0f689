//! The overview as tables of the schema `mainstem`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::error::ArrowError;

use super::{OperatorOverview, Overview, ViewOverview, ViewState};
use crate::view::TableSize;

impl Overview {
    /// The rows of a system table; `None` if there is none of this name.
    pub fn system_table(&self, name: &str) -> Result<Option<RecordBatch>, ArrowError> {
        let columns = match name {
            "tables" => self.tables_columns(),
            "views" => self.views_columns(),
            "operators" => self.operators_columns(),
            _ => return Ok(None),
        };
        let columns = columns.into_iter();
        let columns = columns.map(|(name, column)| (name, column, true));
        RecordBatch::try_from_iter_with_nullable(columns).map(Some)
    }

    fn tables_columns(&self) -> Vec<(&'static str, ArrayRef)> {
        let tables = &self.tables;
        let number = |value: &dyn Fn(&TableSize) -> u64| {
            numbers(tables.iter().map(|(_, size)| Some(value(size))))
        };
        vec![
            ("name", texts(tables.iter().map(|(name, _)| Some(name)))),
            ("timestamp_ms", number(&|_| self.timestamp_ms)),
            ("rows", number(&|size| size.rows)),
            ("bytes", number(&|size| size.bytes)),
            ("index_bytes", number(&|size| size.index_bytes)),
            ("deleted_keys", number(&|size| size.deleted_keys)),
            ("event_identities", number(&|size| size.event_identities)),
            ("remembered_bytes", number(&|size| size.remembered_bytes)),
        ]
    }

    fn views_columns(&self) -> Vec<(&'static str, ArrayRef)> {
        let views = &self.views;
        let number = |value: &dyn Fn(&ViewOverview) -> u64| {
            numbers(views.iter().map(|view| Some(value(view))))
        };
        // What is being built has no rows to be told of yet.
        let complete = |value: &dyn Fn(&ViewOverview) -> u64| {
            let is_complete = |view: &&ViewOverview| view.state == ViewState::Complete;
            let value = |view: &ViewOverview| Some(view).filter(is_complete).map(value);
            numbers(views.iter().map(value))
        };
        let state = views.iter().map(|view| match view.state {
            ViewState::Complete => Some("complete"),
            ViewState::Building => Some("building"),
            ViewState::Broken => Some("broken"),
        });
        let reads = views.iter().map(|view| Some(view.reads.join(", ")));
        vec![
            ("name", texts(views.iter().map(|view| Some(&view.name)))),
            ("state", texts(state)),
            ("timestamp_ms", complete(&|_| self.timestamp_ms)),
            ("since_ms", number(&|view| view.since_ms)),
            ("rows", complete(&|view| view.rows)),
            ("bytes", complete(&|view| view.bytes)),
            ("held_rows", number(&|view| view.held.rows)),
            ("held_bytes", number(&|view| view.held.bytes)),
            ("shared_bytes", number(&|view| view.shared.bytes)),
            ("operators", number(&|view| view.operators)),
            ("busy_us", number(&|view| micros(view.busy))),
            ("errors", complete(&|view| view.errors)),
            (
                "problem",
                texts(views.iter().map(|view| view.problem.as_ref())),
            ),
            ("reads", texts(reads)),
        ]
    }

    fn operators_columns(&self) -> Vec<(&'static str, ArrayRef)> {
        let operators = &self.operators;
        let number = |value: &dyn Fn(&OperatorOverview) -> u64| {
            numbers(operators.iter().map(|operator| Some(value(operator))))
        };
        let views = operators.iter().map(|one| Some(one.views.join(", ")));
        let is_shared = operators.iter().map(|one| Some(one.is_shared));
        let kind = operators.iter().map(|one| Some(&*one.measure.kind));
        let node = operators.iter().map(|one| &*one.measure.node);
        let node = node.map(|node| Some(node).filter(|node| !node.is_empty()));
        vec![
            ("views", texts(views)),
            ("is_shared", Arc::new(is_shared.collect::<BooleanArray>())),
            ("worker", number(&|one| one.worker as u64)),
            ("operator", number(&|one| one.measure.number)),
            ("kind", texts(kind)),
            ("node", texts(node)),
            ("rows", number(&|one| one.measure.held.rows)),
            ("bytes", number(&|one| one.measure.held.bytes)),
            ("batches", number(&|one| one.measure.held.batches)),
            ("busy_us", number(&|one| micros(one.measure.busy))),
            ("activations", number(&|one| one.measure.activations)),
        ]
    }
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn texts<T: AsRef<str>>(values: impl Iterator<Item = Option<T>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn numbers(values: impl Iterator<Item = Option<u64>>) -> ArrayRef {
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let values = values.map(|value| value.map(signed));
    Arc::new(values.collect::<Int64Array>())
}
