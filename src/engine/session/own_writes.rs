//! What a transaction block has written, as its own queries see it before COMMIT.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;

use crate::engine::{EngineError, ReadPoint};
use crate::model::{Change, ChangeKind, TableDefinition};
use crate::sql::query::{Relations, with_changes};
use crate::sql::system::Statistics;
use crate::sql::{Catalog, SqlError};
use crate::view::{RelationProvider, TableError, TableStore};

/// Everything at one moment, with the block's own rows in their tables.
pub(super) struct OwnWrites {
    point: ReadPoint,
    changes: Arc<Vec<Change>>,
}

impl OwnWrites {
    /// The changes on top of what is committed.
    pub(super) fn new(point: ReadPoint, changes: Arc<Vec<Change>>) -> OwnWrites {
        OwnWrites { point, changes }
    }

    /// Whether a live view would have to follow the block's rows.
    fn is_behind(&self, name: &str) -> bool {
        let catalog = self.point.catalog();
        let Some(view) = catalog.live_views.get(name) else {
            return false;
        };
        let is_written =
            |input: &String| self.changes.iter().any(|change| *change.table == **input);
        let mut inputs = view.inputs.iter();
        inputs.any(|input| is_written(input) || self.is_behind(input))
    }
}

impl Relations for OwnWrites {
    fn provider(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, SqlError> {
        let changes = self.changes.iter();
        let changes: Vec<&Change> = changes.filter(|change| *change.table == *name).collect();
        if !changes.is_empty() {
            let table = Arc::clone(self.point.catalog().table(name)?);
            return table_with(&self.point, &table, &changes).map(Some);
        }
        if self.is_behind(name) {
            return Err(SqlError::unsupported(format!(
                "view \"{name}\" follows the rows of this transaction at COMMIT, and can't be read \
                 before"
            ))
            .with_hint("COMMIT first; drivers: switch autocommit on"));
        }
        self.point.provider(name)
    }

    fn catalog(&self) -> &Catalog {
        Relations::catalog(&self.point)
    }

    fn timestamp_ms(&self) -> u64 {
        Relations::timestamp_ms(&self.point)
    }

    fn system_table(&self, name: &str) -> Result<Option<RecordBatch>, SqlError> {
        self.point.system_table(name)
    }

    fn statistics(&self, name: &str, wants_bytes: bool) -> Statistics {
        self.point.statistics(name, wants_bytes)
    }
}

/// A table with changes on top. Versions and event identities are resolved at COMMIT only, against
/// all that has ever been there.
fn table_with(
    point: &ReadPoint,
    table: &TableDefinition,
    changes: &[&Change],
) -> Result<Arc<dyn TableProvider>, SqlError> {
    let failed = |error: TableError| SqlError::new("22000", error.to_string());
    if !table.version.is_empty() || !table.event_identity.is_empty() {
        return Err(SqlError::unsupported(format!(
            "table \"{}\" can't be read in a transaction that has written to it",
            table.name
        ))
        .with_hint("COMMIT first, or read before writing; drivers: switch autocommit on"));
    }
    let has_deletions = changes
        .iter()
        .any(|change| change.kind == ChangeKind::Delete);
    let mut store = TableStore::new(table.clone()).map_err(failed)?;
    let needs_all = !table.is_keyed() && has_deletions;
    if needs_all {
        let unreadable = |error: EngineError| SqlError::new("58030", error.to_string());
        for rows in point.contents(&table.name).map_err(unreadable)?.rows {
            let change = Change {
                table: Arc::from(table.name.as_str()),
                kind: ChangeKind::Upsert,
                rows: rows.map_err(unreadable)?,
            };
            store.apply(&change, 0).map_err(failed)?;
        }
    }
    for change in changes {
        store.apply(change, 1).map_err(failed)?;
    }
    let rows = store.snapshot(1).map_err(failed)?;
    if needs_all {
        let provider = RelationProvider::new(&table.name, Arc::new(rows));
        return Ok(Arc::new(provider));
    }
    let base = point
        .provider(&table.name)?
        .ok_or_else(|| SqlError::undefined_table(&table.name))?;
    let touched = changes.iter().map(|change| {
        let keys = change.rows.project(&table.primary_key);
        keys.map_err(DataFusionError::from)
    });
    let touched = match table.is_keyed() {
        true => touched.collect::<Result<Vec<RecordBatch>, _>>()?,
        false => Vec::new(),
    };
    let written = Arc::new(RelationProvider::new(&table.name, Arc::new(rows)));
    with_changes(&table.name, base, touched, written)
}
