//! The catalog: what tables and views there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::error::SqlError;
use super::plan::Plan;
use crate::model::TableDefinition;

/// A live view as it was created.
#[derive(Clone, Debug)]
pub struct ViewDefinition {
    /// The view's name.
    pub name: String,
    /// The whole `CREATE MATERIALIZED VIEW` statement.
    pub statement: String,
    /// What it computes.
    pub plan: Arc<Plan>,
    /// Its columns.
    pub schema: SchemaRef,
    /// Positions of columns known to be unique; empty if none are.
    pub key: Vec<usize>,
    /// The tables and live views it reads directly.
    pub inputs: Vec<String>,
}

/// Names and definitions of everything that can be queried. Names are unique over all kinds.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Base tables.
    pub tables: BTreeMap<String, Arc<TableDefinition>>,
    /// Live views.
    pub live_views: BTreeMap<String, Arc<ViewDefinition>>,
    /// Plain views: the text of their query.
    pub plain_views: BTreeMap<String, String>,
}

impl Catalog {
    /// Whether a name is taken by anything.
    pub fn contains(&self, name: &str) -> bool {
        self.tables.contains_key(name)
            || self.live_views.contains_key(name)
            || self.plain_views.contains_key(name)
    }

    /// A base table.
    pub fn table(&self, name: &str) -> Result<&Arc<TableDefinition>, SqlError> {
        self.tables.get(name).ok_or_else(|| match self.contains(name) {
            true => SqlError::new("42809", format!("\"{name}\" is a view, not a table"))
                .with_hint("rows are written to tables; views follow by themselves"),
            false => SqlError::undefined_table(name),
        })
    }

    /// The live views that read a table or live view directly.
    pub fn readers(&self, name: &str) -> Vec<String> {
        let reads = |view: &&Arc<ViewDefinition>| view.inputs.iter().any(|input| input == name);
        let readers = self.live_views.values().filter(reads);
        readers.map(|view| view.name.clone()).collect()
    }

    /// The primary key of a table or the unique columns of a live view.
    pub fn key(&self, name: &str) -> Vec<usize> {
        let table = self.tables.get(name).map(|table| table.primary_key.clone());
        let view = || self.live_views.get(name).map(|view| view.key.clone());
        table.or_else(view).unwrap_or_default()
    }
}
