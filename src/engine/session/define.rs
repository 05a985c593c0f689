//! CREATE and DROP.

use std::collections::BTreeSet;

use super::{Outcome, Session};
use crate::engine::EngineError;
use crate::engine::commit::Request;
use crate::engine::definition::{FROM_USER, add_readers, drop_order};
use crate::engine::transaction::CatalogChange;
use crate::sql::{DropKind, SqlError, Statement};

impl Session {
    /// CREATE and DROP.
    pub(super) async fn define(&mut self, statement: &Statement) -> Result<Outcome, EngineError> {
        self.block.note_definition()?;
        let state = self.engine.shared.state();
        let catalog = &state.catalog;
        let (changes, tag) = match statement {
            Statement::CreateTable {
                definition,
                if_not_exists,
            } => {
                if *if_not_exists && catalog.tables.contains_key(&definition.name) {
                    return Ok(Outcome::Done("CREATE TABLE".to_owned()));
                }
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
                    return Ok(Outcome::Done("CREATE MATERIALIZED VIEW".to_owned()));
                }
                let mut changes = Vec::new();
                if *or_replace && catalog.live_views.contains_key(name) {
                    changes.push(CatalogChange::DropLiveView { name: name.clone() });
                }
                changes.push(CatalogChange::CreateLiveView {
                    statement: text.clone(),
                    origin: FROM_USER.to_owned(),
                });
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
                    return Ok(Outcome::Done("CREATE VIEW".to_owned()));
                }
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
            self.call(|reply| Request::Catalog { changes, reply })
                .await?;
        }
        Ok(Outcome::Done(tag.to_owned()))
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
        let mut changes = Vec::new();
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
                return Err(SqlError::undefined_table(name).into());
            }
            if cascade {
                let mut readers = BTreeSet::new();
                for reader in catalog.readers(name) {
                    add_readers(catalog, &reader, &mut readers);
                }
                let readers = drop_order(catalog, &readers).into_iter();
                changes.extend(readers.map(|name| CatalogChange::DropLiveView { name }));
            }
            let name = name.clone();
            changes.push(match kind {
                DropKind::Table => CatalogChange::DropTable { name },
                DropKind::MaterializedView => CatalogChange::DropLiveView { name },
                DropKind::View => CatalogChange::DropView { name },
            });
        }
        Ok((changes, tag))
    }
}
