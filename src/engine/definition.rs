//! Bringing the live views in line with files of definitions.

use std::collections::{BTreeMap, BTreeSet};

use super::transaction::CatalogChange;
use super::{EngineError, State};
use crate::sql::{Catalog, Planner, SqlError, Statement, ViewOptions, parse};

/// The origin of views that come from files.
pub const FROM_FILE: &str = "file";
/// The origin of views that users have created by a statement.
pub const FROM_USER: &str = "user";

/// A view as a file defines it.
struct Definition {
    file: String,
    statement: String,
    query: Box<datafusion::sql::sqlparser::ast::Query>,
    options: ViewOptions,
}

/// The changes that make the views from files exactly the given ones: first the views that are no
/// longer wanted or have changed are dropped, with all that read them, then what is missing is
/// created, each after what it reads.
pub fn plan_sync(
    planner: &Planner,
    state: &State,
    files: &[(String, String)],
) -> Result<Vec<CatalogChange>, EngineError> {
    let wanted = definitions(files)?;
    let mut stale = BTreeSet::new();
    for (name, statement) in state.from_files.iter() {
        let is_current = wanted
            .get(name)
            .is_some_and(|definition| definition.statement == *statement);
        if !is_current {
            add_readers(&state.catalog, name, &mut stale);
        }
    }
    let mut changes = Vec::new();
    let mut catalog = state.catalog.as_ref().clone();
    let mut recreated = Vec::new();
    for name in drop_order(&state.catalog, &stale) {
        if let Some(view) = catalog.live_views.remove(&name)
            && !state.from_files.contains_key(&name)
        {
            recreated.push((name.clone(), view.statement.clone()));
        }
        changes.push(CatalogChange::DropLiveView { name });
    }
    let mut missing: BTreeMap<String, (Definition, &str)> = BTreeMap::new();
    for (name, definition) in wanted {
        if catalog.live_views.contains_key(&name) && state.from_files.contains_key(&name) {
            continue;
        }
        if catalog.contains(&name) {
            let message = format!("{}: \"{name}\" exists already", definition.file);
            return Err(SqlError::new("42P07", message)
                .with_hint("rename the view in the file, or drop what has the name")
                .into());
        }
        missing.insert(name, (definition, FROM_FILE));
    }
    for (name, statement) in recreated {
        let [(name, definition)] = <[_; 1]>::try_from(
            definitions(&[(name.clone(), statement)])?
                .into_iter()
                .collect::<Vec<_>>(),
        )
        .map_err(|_| {
            SqlError::syntax(format!("view \"{name}\" is defined by several statements"))
        })?;
        missing.insert(name, (definition, FROM_USER));
    }
    create_in_order(planner, &mut catalog, missing, &mut changes)?;
    Ok(changes)
}

fn definitions(files: &[(String, String)]) -> Result<BTreeMap<String, Definition>, EngineError> {
    let mut definitions = BTreeMap::new();
    for (file, text) in files {
        let in_file = |error: SqlError| SqlError {
            message: format!("{file}: {}", error.message),
            ..error
        };
        let statements = parse(text).map_err(in_file)?;
        for statement in statements {
            let Statement::CreateMaterializedView {
                name,
                query,
                options,
                text,
                ..
            } = statement
            else {
                let error = SqlError::syntax("expected CREATE MATERIALIZED VIEW");
                return Err(in_file(error).into());
            };
            let definition = Definition {
                file: file.clone(),
                statement: text,
                query,
                options,
            };
            if let Some(other) = definitions.insert(name.clone(), definition) {
                let error = SqlError::duplicate(&name);
                let hint = format!("it is defined in {}, too", other.file);
                return Err(in_file(error).with_hint(hint).into());
            }
        }
    }
    Ok(definitions)
}

/// A view and all that read it, directly or not.
pub fn add_readers(catalog: &Catalog, name: &str, found: &mut BTreeSet<String>) {
    if found.insert(name.to_owned()) {
        for reader in catalog.readers(name) {
            add_readers(catalog, &reader, found);
        }
    }
}

/// Views in an order in which each comes before what it reads.
pub fn drop_order(catalog: &Catalog, names: &BTreeSet<String>) -> Vec<String> {
    let mut left = names.clone();
    let mut order = Vec::new();
    while let Some(name) = left
        .iter()
        .find(|name| {
            !catalog
                .readers(name)
                .iter()
                .any(|reader| left.contains(reader))
        })
        .cloned()
    {
        left.remove(&name);
        order.push(name);
    }
    order
}

/// Creates views round by round: in each, those whose inputs exist.
fn create_in_order(
    planner: &Planner,
    catalog: &mut Catalog,
    mut missing: BTreeMap<String, (Definition, &str)>,
    changes: &mut Vec<CatalogChange>,
) -> Result<(), EngineError> {
    while !missing.is_empty() {
        let mut created = Vec::new();
        let mut failure = None;
        for (name, (definition, origin)) in &missing {
            let Definition {
                query,
                options,
                statement,
                ..
            } = definition;
            match planner.plan_view_with(catalog, name, query, options, statement) {
                Ok(view) => {
                    changes.push(CatalogChange::CreateLiveView {
                        statement: definition.statement.clone(),
                        origin: (*origin).to_owned(),
                    });
                    catalog
                        .live_views
                        .insert(name.clone(), std::sync::Arc::new(view));
                    created.push(name.clone());
                }
                Err(error) => {
                    let message = format!("{}: {}", definition.file, error.message);
                    let names_missing = missing.keys().any(|other| {
                        other != name && error.message.contains(&format!("\"{other}\""))
                    });
                    // An error that is not about a view yet to come is the one to report.
                    if failure.is_none() || !names_missing {
                        failure = Some(SqlError { message, ..error });
                    }
                }
            }
        }
        if created.is_empty()
            && let Some(error) = failure
        {
            return Err(error.into());
        }
        for name in created {
            missing.remove(&name);
        }
    }
    Ok(())
}
