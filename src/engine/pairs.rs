//! Views that would join each row of a large table with each of another.
//!
//! Filling one keeps the workers busy for longer than anybody means to wait, whether or not memory
//! ends, so it is refused before they begin.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};

use super::EngineError;
use super::catalog::live_view;
use super::commit::Conductor;
use super::transaction::CatalogChange;
use crate::sql::plan::Plan;
use crate::sql::plan::pairs;
use crate::sql::{Catalog, SqlError};
use crate::view::TableStore;

/// Most pairs of rows that a view makes of what tables hold when it is created.
const PAIRS_MAX: u64 = 1_000_000_000;

/// Rows of a table that are looked at.
const SAMPLE: usize = 100_000;

impl Conductor {
    /// Refuses live views that are to be created and whose joins without an equality would make too
    /// many pairs of the rows there are.
    pub(super) fn check_pairs(
        &self,
        changes: &[CatalogChange],
        catalog: &Catalog,
    ) -> Result<(), EngineError> {
        for change in changes {
            let CatalogChange::CreateLiveView { statement, .. } = change else {
                continue;
            };
            let (name, ..) = live_view(statement)?;
            if let Some(view) = catalog.live_views.get(&name) {
                self.check_pairs_of(&view.plan)?;
            }
        }
        Ok(())
    }

    /// The same of a plan.
    pub(super) fn check_pairs_of(&self, plan: &Plan) -> Result<(), EngineError> {
        let mut different = |table: &str, columns: &[usize]| {
            let store = self.stores.get(table);
            store.map_or(1, |store| self.different_rows(store, columns))
        };
        let made = pairs::without_equality(plan, &mut different);
        if made <= PAIRS_MAX {
            return Ok(());
        }
        let message = format!(
            "the query joins tables without an equality, which makes {made} pairs of rows; the \
             limit of what is kept up to date is {PAIRS_MAX}"
        );
        let hint = "add the condition with = that is missing, join filtered or grouped rows, or \
                    use ASOF JOIN";
        Err(SqlError::new("54000", message).with_hint(hint).into())
    }

    /// About how many different rows the columns of a table have: as many as there are rows where
    /// the first ones are all different.
    fn different_rows(&self, store: &TableStore, columns: &[usize]) -> u64 {
        let Ok(snapshot) = store.snapshot(self.last_timestamp_ms) else {
            return 1;
        };
        if columns.is_empty() {
            return 1;
        }
        let mut seen = Seen::default();
        for rows in snapshot.scan(Some(columns)) {
            let taken = rows.and_then(|rows| seen.take(&rows));
            if taken.is_err() || seen.rows >= SAMPLE {
                break;
            }
        }
        match seen.hashes.len() == seen.rows {
            true => snapshot.row_count() as u64,
            false => seen.hashes.len() as u64,
        }
    }
}

/// Rows that have been looked at.
#[derive(Default)]
struct Seen {
    rows: usize,
    hashes: HashSet<u64>,
    state: RandomState,
}

impl Seen {
    /// Takes in as many rows as are still wanted.
    fn take(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let rows = rows.slice(0, rows.num_rows().min(SAMPLE - self.rows));
        let fields = rows.schema();
        let fields = fields.fields().iter();
        let fields = fields.map(|field| SortField::new(field.data_type().clone()));
        let converter = RowConverter::new(fields.collect())?;
        let encoded = converter.convert_columns(rows.columns())?;
        for row in encoded.iter() {
            self.hashes.insert(self.state.hash_one(row.data()));
        }
        self.rows += rows.num_rows();
        Ok(())
    }
}
