//! The catalog: what tables and views there are.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::sql::sqlparser::ast::visit_relations;

use super::error::SqlError;
use super::plan::Plan;
use super::statement::{Statement, identifier, parse};
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
        self.tables
            .get(name)
            .ok_or_else(|| match self.contains(name) {
                true => SqlError::new("42809", format!("\"{name}\" is a view, not a table"))
                    .with_hint("rows are written to tables; views follow by themselves"),
                false => self.undefined(name),
            })
    }

    /// A table or view that is not there.
    pub fn undefined(&self, name: &str) -> SqlError {
        let names = self.tables.keys().chain(self.live_views.keys());
        let names = names.chain(self.plain_views.keys());
        SqlError::undefined_among(name, names.map(String::as_str))
    }

    /// The live views that read a table or live view directly.
    pub fn readers(&self, name: &str) -> Vec<String> {
        let reads = |view: &&Arc<ViewDefinition>| view.inputs.iter().any(|input| input == name);
        let readers = self.live_views.values().filter(reads);
        readers.map(|view| view.name.clone()).collect()
    }

    /// The views of any kind that read a table or view directly, or name it in their text.
    pub fn dependents(&self, name: &str) -> BTreeSet<String> {
        let mut found: BTreeSet<String> = self.readers(name).into_iter().collect();
        let live = self.live_views.values();
        let live = live.map(|view| (&view.name, view.statement.as_str()));
        let plain = self.plain_views.iter();
        let plain = plain.map(|(view, query)| (view, query.as_str()));
        for (view, text) in live.chain(plain) {
            if text.to_lowercase().contains(&name.to_lowercase()) && names(text).contains(name) {
                found.insert(view.clone());
            }
        }
        found
    }

    /// The primary key of a table or the unique columns of a live view.
    pub fn key(&self, name: &str) -> Vec<usize> {
        let table = self.tables.get(name).map(|table| table.primary_key.clone());
        let view = || self.live_views.get(name).map(|view| view.key.clone());
        table.or_else(view).unwrap_or_default()
    }
}

/// The names of relations in the text of a query or of a view's definition.
fn names(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for statement in parse(text).unwrap_or_default() {
        let (Statement::Query(query) | Statement::CreateMaterializedView { query, .. }) = statement
        else {
            continue;
        };
        let _ = visit_relations(&query, |relation| {
            let last = relation.0.last().and_then(|part| part.as_ident());
            names.extend(last.map(identifier));
            ControlFlow::<()>::Continue(())
        });
    }
    names
}
