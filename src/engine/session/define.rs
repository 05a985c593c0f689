//! CREATE and DROP.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use arrow::compute::can_cast_types;
use futures::TryStreamExt;

use super::Session;
use super::rows::{default_of, fit};
use crate::engine::commit::Request;
use crate::engine::definition::{FROM_FILE, FROM_USER, add_readers, drop_order};
use crate::engine::transaction::CatalogChange;
use crate::engine::{EngineError, State};
use crate::model::{ColumnDefinition, TableDefinition};
use crate::sql::statement::parse_query;
use crate::sql::{Catalog, DropKind, SqlError, Statement};

impl Session {
    /// CREATE and DROP; returns the tag.
    pub(super) async fn define(&mut self, statement: &Statement) -> Result<String, EngineError> {
        self.block.note_definition()?;
        let state = self.engine.shared.state();
        let catalog = &state.catalog;
        let (changes, tag) = match statement {
            Statement::CreateTable {
                definition,
                if_not_exists,
            } => {
                if *if_not_exists && catalog.tables.contains_key(&definition.name) {
                    return Ok("CREATE TABLE".to_owned());
                }
                self.check_defaults(definition)?;
                self.check_values_of_defaults(definition).await?;
                let definition = definition.clone();
                (
                    vec![CatalogChange::CreateTable { definition }],
                    "CREATE TABLE",
                )
            }
            Statement::CreateMaterializedView {
                name,
                or_replace,
                if_not_exists,
                text,
                ..
            } => {
                if *if_not_exists && catalog.live_views.contains_key(name) {
                    return Ok("CREATE MATERIALIZED VIEW".to_owned());
                }
                let created = CatalogChange::CreateLiveView {
                    statement: text.clone(),
                    origin: FROM_USER.to_owned(),
                };
                let changes = match *or_replace && catalog.live_views.contains_key(name) {
                    true => replacement(&state, name, created),
                    false => vec![created],
                };
                (changes, "CREATE MATERIALIZED VIEW")
            }
            Statement::CreateView {
                name,
                or_replace,
                if_not_exists,
                query,
                ..
            } => {
                let exists = catalog.plain_views.contains_key(name);
                if *if_not_exists && exists {
                    return Ok("CREATE VIEW".to_owned());
                }
                self.engine
                    .shared
                    .planner
                    .check_view(catalog, name, query)?;
                let mut changes = Vec::new();
                if *or_replace && exists {
                    changes.push(CatalogChange::DropView { name: name.clone() });
                }
                changes.push(CatalogChange::CreateView {
                    name: name.clone(),
                    query: query.to_string(),
                });
                (changes, "CREATE VIEW")
            }
            Statement::Drop {
                kind,
                names,
                if_exists,
                cascade,
            } => self.drop_changes(*kind, names, *if_exists, *cascade)?,
            _ => return Err(SqlError::unsupported("this statement is not supported").into()),
        };
        if !changes.is_empty() {
            let fills = changes
                .iter()
                .any(|change| matches!(change, CatalogChange::CreateLiveView { .. }));
            let changed = self.call(|reply| Request::Catalog { changes, reply }).await;
            let timestamp_ms = changed.map_err(|error| self.located(error, catalog, statement))?;
            self.last_write_ms = self.last_write_ms.max(timestamp_ms);
            if fills {
                self.engine.filled(timestamp_ms).await?;
            }
        }
        Ok(tag.to_owned())
    }

    /// A refusal of a view with the place in the text that the user has sent; what is kept of it
    /// is written differently.
    fn located(&self, error: EngineError, catalog: &Catalog, statement: &Statement) -> EngineError {
        let planner = &self.engine.shared.planner;
        let planned = match statement {
            Statement::CreateMaterializedView {
                name,
                query,
                options,
                ..
            } => planner
                .plan_view_with(catalog, name, query, options, "")
                .map(|_| ()),
            Statement::CreateView { query, .. } => planner.query_schema(catalog, query).map(|_| ()),
            _ => return error,
        };
        match (planned, error) {
            (Err(located), EngineError::Sql(error)) if located.message == error.message => {
                located.into()
            }
            (_, error) => error,
        }
    }

    /// Refuses defaults that are no values of their column, or read tables.
    fn check_defaults(&self, table: &TableDefinition) -> Result<(), EngineError> {
        let planner = &self.engine.shared.planner;
        for column in &table.columns {
            let Some(default) = &column.default else {
                continue;
            };
            let wrong = |reason: String| {
                let message = format!("the default of column \"{}\": {reason}", column.name);
                SqlError::new("42804", message)
            };
            let query = parse_query(&format!("SELECT ({default})"))?;
            let schema = planner
                .query_schema(&Catalog::default(), &query)
                .map_err(|error| wrong(error.message))?;
            let found = schema.field(0).data_type();
            if !can_cast_types(found, &column.data_type) {
                let reason = format!("{found} is no {}", column.data_type);
                return Err(wrong(reason).into());
            }
        }
        Ok(())
    }

    /// Refuses defaults whose value, as it is now, their column does not take.
    async fn check_values_of_defaults(&self, table: &TableDefinition) -> Result<(), EngineError> {
        let context = self.system_context();
        let columns = table.columns.iter();
        for column in columns.filter(|column| column.default.is_some()) {
            let query = parse_query(&format!("SELECT ({}) AS value", default_of(column)))?;
            let plan = context.plan(&query)?;
            let rows: Vec<RecordBatch> = context.execute(plan).await?.try_collect().await?;
            // NULL is refused where it is inserted.
            let alone = TableDefinition {
                columns: vec![ColumnDefinition {
                    nullable: true,
                    ..column.clone()
                }],
                primary_key: Vec::new(),
                version: Vec::new(),
                event_identity: Vec::new(),
                ..table.clone()
            };
            for rows in &rows {
                let name = [column.name.clone()];
                fit(&alone, &name, rows).map_err(|error| SqlError {
                    message: format!("the default of {}", error.message),
                    ..error
                })?;
            }
        }
        Ok(())
    }

    fn drop_changes(
        &self,
        kind: DropKind,
        names: &[String],
        if_exists: bool,
        cascade: bool,
    ) -> Result<(Vec<CatalogChange>, &'static str), EngineError> {
        let state = self.engine.shared.state();
        let catalog = &state.catalog;
        let mut dropped = BTreeSet::new();
        let tag = match kind {
            DropKind::Table => "DROP TABLE",
            DropKind::MaterializedView => "DROP MATERIALIZED VIEW",
            DropKind::View => "DROP VIEW",
        };
        for name in names {
            let exists = match kind {
                DropKind::Table => catalog.tables.contains_key(name),
                DropKind::MaterializedView => catalog.live_views.contains_key(name),
                DropKind::View => catalog.plain_views.contains_key(name),
            };
            if !exists && if_exists {
                continue;
            }
            if !exists {
                return Err(not_there(catalog, name).into());
            }
            let mut dependents = BTreeSet::new();
            add_dependents(catalog, name, &mut dependents);
            dependents.retain(|dependent| !names.contains(dependent));
            if !cascade && !dependents.is_empty() {
                let readers = Vec::from_iter(dependents).join(", ");
                let message = format!("\"{name}\" is read by {readers}");
                return Err(SqlError::new("2BP01", message)
                    .with_hint("drop those first, or use CASCADE")
                    .into());
            }
            dropped.append(&mut dependents);
            dropped.insert(name.clone());
        }
        // Views before what they read, however they are named.
        Ok((drop_in_order(catalog, dropped), tag))
    }
}

/// Why a DROP finds nothing of its kind.
fn not_there(catalog: &Catalog, name: &str) -> SqlError {
    let found = match catalog {
        _ if catalog.tables.contains_key(name) => ("a table", "DROP TABLE"),
        _ if catalog.live_views.contains_key(name) => ("a live view", "DROP MATERIALIZED VIEW"),
        _ if catalog.plain_views.contains_key(name) => ("a plain view", "DROP VIEW"),
        _ => return SqlError::undefined_table(name),
    };
    let (kind, way) = found;
    SqlError::new("42809", format!("\"{name}\" is {kind}")).with_hint(format!("write {way}"))
}

/// The views of any kind that read a table or view, directly or not.
fn add_dependents(catalog: &Catalog, name: &str, found: &mut BTreeSet<String>) {
    for dependent in catalog.dependents(name) {
        if found.insert(dependent.clone()) {
            add_dependents(catalog, &dependent, found);
        }
    }
}

/// The drops of these tables and views, each before what it reads.
fn drop_in_order(catalog: &Catalog, mut names: BTreeSet<String>) -> Vec<CatalogChange> {
    let mut changes = Vec::new();
    let is_free = |name: &&String, names: &BTreeSet<String>| {
        let dependents = catalog.dependents(name);
        !dependents.iter().any(|dependent| names.contains(dependent))
    };
    while let Some(name) = names.iter().find(|name| is_free(name, &names)).cloned() {
        names.remove(&name);
        changes.push(match catalog {
            _ if catalog.tables.contains_key(&name) => CatalogChange::DropTable { name },
            _ if catalog.live_views.contains_key(&name) => CatalogChange::DropLiveView { name },
            _ => CatalogChange::DropView { name },
        });
    }
    changes
}

/// Exchanges a live view: those that read it are made anew over it, all at one timestamp.
fn replacement(state: &State, name: &str, created: CatalogChange) -> Vec<CatalogChange> {
    let mut readers = BTreeSet::new();
    add_readers(&state.catalog, name, &mut readers);
    let dropped = drop_order(&state.catalog, &readers);
    let mut changes: Vec<CatalogChange> = dropped
        .iter()
        .map(|name| CatalogChange::DropLiveView { name: name.clone() })
        .collect();
    changes.push(created);
    let remade = dropped.iter().rev().filter(|reader| *reader != name);
    changes.extend(remade.filter_map(|reader| {
        let view = state.catalog.live_views.get(reader)?;
        let origin = match state.from_files.contains_key(reader) {
            true => FROM_FILE,
            false => FROM_USER,
        };
        Some(CatalogChange::CreateLiveView {
            statement: view.statement.clone(),
            origin: origin.to_owned(),
        })
    }));
    changes
}
