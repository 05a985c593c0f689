//! What system tables and functions tell of: the relations with their columns and numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use xxhash_rust::xxh3::xxh3_64;

use super::pg_types;
use super::routines::Routine;
use crate::model::TableDefinition;
use crate::sql::Catalog;

/// Numbers below are Postgres's own.
const FIRST_OID: i32 = 16_384;

/// The settings of a session by name.
pub type Settings = BTreeMap<String, String>;

/// How much a relation holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Statistics {
    /// Rows at the moment of the query.
    pub rows: u64,
    /// Bytes in memory, history included.
    pub bytes: u64,
}

/// What kind of relation it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RelationKind {
    Table,
    LiveView,
    PlainView,
}

/// A table or view.
pub(super) struct Relation {
    pub(super) oid: i32,
    pub(super) name: String,
    pub(super) kind: RelationKind,
    pub(super) schema: SchemaRef,
    /// The statement or query that defines a view.
    pub(super) definition: String,
    /// The definition of a table.
    pub(super) table: Option<Arc<TableDefinition>>,
    /// Positions of the columns that identify a row.
    pub(super) key: Vec<usize>,
    pub(super) statistics: Statistics,
}

/// Everything that system tables are made of, at one moment.
pub struct Facts {
    pub(super) relations: Vec<Relation>,
    pub(super) settings: Arc<Settings>,
    /// The functions, where they are asked about.
    pub(super) routines: Vec<Routine>,
}

impl Relation {
    /// The number of the index that the primary key stands for.
    pub(super) fn key_oid(&self) -> i32 {
        oid_of(&format!("{} key", self.name))
    }

    /// Whether it has a primary key.
    pub(super) fn has_key(&self) -> bool {
        self.kind == RelationKind::Table && !self.key.is_empty()
    }

    /// The names of the key's columns.
    pub(super) fn key_columns(&self) -> Vec<&str> {
        let columns = self.key.iter();
        columns
            .map(|column| self.schema.field(*column).name().as_str())
            .collect()
    }
}

impl Facts {
    /// The relations of a catalog, and the session's settings. `columns` gives those of a plain view, `statistics` what a
    /// relation holds.
    pub fn new(
        catalog: &Catalog,
        settings: Arc<Settings>,
        columns: impl Fn(&str) -> Option<SchemaRef>,
        statistics: impl Fn(&str) -> Statistics,
        routines: Vec<Routine>,
    ) -> Facts {
        let mut relations = BTreeMap::new();
        let mut add = |name: &String, kind, schema, definition: &str, table, key| {
            let relation = Relation {
                oid: oid_of(name),
                name: name.clone(),
                kind,
                schema,
                definition: definition.to_owned(),
                table,
                key,
                statistics: statistics(name),
            };
            relations.insert(name.clone(), relation);
        };
        for (name, table) in &catalog.tables {
            let key = table.primary_key.clone();
            let definition = Some(Arc::clone(table));
            add(
                name,
                RelationKind::Table,
                table.schema(),
                "",
                definition,
                key,
            );
        }
        for (name, view) in &catalog.live_views {
            let (schema, key) = (Arc::clone(&view.schema), view.key.clone());
            let query = query_of(&view.statement);
            add(name, RelationKind::LiveView, schema, query, None, key);
        }
        for (name, query) in &catalog.plain_views {
            if let Some(schema) = columns(name) {
                add(
                    name,
                    RelationKind::PlainView,
                    schema,
                    query,
                    None,
                    Vec::new(),
                );
            }
        }
        Facts {
            relations: relations.into_values().collect(),
            settings,
            routines,
        }
    }

    pub(super) fn relation(&self, oid: i64) -> Option<&Relation> {
        let mut relations = self.relations.iter();
        relations.find(|relation| i64::from(relation.oid) == oid)
    }

    pub(super) fn relation_of_key(&self, oid: i64) -> Option<&Relation> {
        let mut relations = self.relations.iter();
        relations.find(|relation| relation.has_key() && i64::from(relation.key_oid()) == oid)
    }

    /// The number of a relation by its name, qualified or not; also of Postgres's own tables.
    pub(super) fn oid(&self, name: &str) -> Option<i32> {
        let (schema, last) = name.rsplit_once('.').unwrap_or(("", name));
        let last = match last
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
        {
            Some(quoted) => quoted.to_owned(),
            None => last.to_lowercase(),
        };
        if schema == "pg_catalog" || (schema.is_empty() && last.starts_with("pg_")) {
            return Some(pg_types::catalog_oid(&last));
        }
        let mut relations = self.relations.iter();
        let found = relations.find(|relation| relation.name == last);
        found.map(|relation| relation.oid)
    }
}

/// A number that stays the same over restarts and is the same for all.
pub(super) fn oid_of(name: &str) -> i32 {
    let hash = xxh3_64(name.as_bytes());
    FIRST_OID + (hash % (i32::MAX - FIRST_OID) as u64) as i32
}

/// The query of a `CREATE MATERIALIZED VIEW … AS query`.
fn query_of(statement: &str) -> &str {
    let upper = statement.to_ascii_uppercase();
    match upper.find(" AS ") {
        Some(place) => &statement[place + 4..],
        None => statement,
    }
}
