//! Changes of the catalog: checked and made, and remembered so that a checkpoint can repeat them.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::Query;

use super::transaction::CatalogChange;
use crate::sql::statement::parse_stored;
use crate::sql::{Catalog, Planner, SqlError, Statement, ViewOptions};

/// The name, query and options of a `CREATE MATERIALIZED VIEW` statement.
pub fn live_view(statement: &str) -> Result<(String, Box<Query>, ViewOptions), SqlError> {
    match parse_stored(statement)?.pop() {
        Some(Statement::CreateMaterializedView {
            name,
            query,
            options,
            ..
        }) => Ok((name, query, options)),
        _ => Err(SqlError::syntax("expected CREATE MATERIALIZED VIEW")),
    }
}

/// Checks a change against the catalog and makes it there.
pub fn apply_to_catalog(
    planner: &Planner,
    catalog: &mut Catalog,
    change: &CatalogChange,
) -> Result<(), SqlError> {
    let refuse_taken = |catalog: &Catalog, name: &str| match catalog.contains(name) {
        true => Err(SqlError::duplicate(name)),
        false => Ok(()),
    };
    let refuse_read = |catalog: &Catalog, name: &str| match catalog.readers(name).as_slice() {
        [] => Ok(()),
        readers => {
            let message = format!("\"{name}\" is read by {}", readers.join(", "));
            Err(SqlError::new("2BP01", message).with_hint("drop those first, or use CASCADE"))
        }
    };
    match change {
        CatalogChange::CreateTable { definition } => {
            refuse_taken(catalog, &definition.name)?;
            let name = definition.name.clone();
            catalog.tables.insert(name, Arc::new(definition.clone()));
        }
        CatalogChange::DropTable { name } => {
            refuse_read(catalog, name)?;
            if catalog.tables.remove(name).is_none() {
                return Err(SqlError::undefined_table(name));
            }
        }
        CatalogChange::CreateLiveView { statement, .. } => {
            let (name, query, options) = live_view(statement)?;
            refuse_taken(catalog, &name)?;
            let view = planner.plan_view_with(catalog, &name, &query, &options, statement)?;
            catalog.live_views.insert(name, Arc::new(view));
        }
        CatalogChange::DropLiveView { name } => {
            refuse_read(catalog, name)?;
            if catalog.live_views.remove(name).is_none() {
                return Err(SqlError::undefined_table(name));
            }
        }
        CatalogChange::CreateView { name, query } => {
            refuse_taken(catalog, name)?;
            let parsed = crate::sql::statement::parse_query(query)?;
            planner.query_schema(catalog, &parsed)?;
            catalog.plain_views.insert(name.clone(), query.clone());
        }
        CatalogChange::DropView { name } => {
            if catalog.plain_views.remove(name).is_none() {
                return Err(SqlError::undefined_table(name));
            }
        }
        CatalogChange::RememberEvents { .. } => {}
    }
    Ok(())
}

/// The changes that make the catalog from nothing, in an order in which each finds what it needs.
#[derive(Default)]
pub struct Definitions(Vec<(String, CatalogChange)>);

impl Definitions {
    /// Takes a change of the catalog into account. A view that can no longer be planned is kept:
    /// another version of the program may plan it.
    pub fn note(&mut self, change: &CatalogChange) {
        let name = name_of(change);
        self.0.retain(|(other, _)| *other != name);
        match change {
            CatalogChange::DropTable { .. }
            | CatalogChange::DropLiveView { .. }
            | CatalogChange::DropView { .. } => {}
            create => self.0.push((name, create.clone())),
        }
    }

    /// The change that makes what has a name.
    pub fn of(&self, name: &str) -> Option<&CatalogChange> {
        let named = self.0.iter().find(|(other, _)| other == name);
        named.map(|(_, change)| change)
    }

    /// The changes.
    pub fn changes(&self) -> Vec<CatalogChange> {
        self.0.iter().map(|(_, change)| change.clone()).collect()
    }
}

/// The name that a change is about.
pub fn name_of(change: &CatalogChange) -> String {
    match change {
        CatalogChange::CreateTable { definition } => definition.name.clone(),
        // A statement that no longer parses has no name but itself.
        CatalogChange::CreateLiveView { statement, .. } => {
            live_view(statement).map_or_else(|_| statement.clone(), |(name, ..)| name)
        }
        CatalogChange::CreateView { name, .. }
        | CatalogChange::DropTable { name }
        | CatalogChange::DropLiveView { name }
        | CatalogChange::DropView { name } => name.clone(),
        // No relation has this name.
        CatalogChange::RememberEvents { .. } => String::new(),
    }
}
