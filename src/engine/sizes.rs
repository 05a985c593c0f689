//! How large tables and views are.

use super::{Engine, EngineError};
use crate::view::Relation;

/// The size of a table or live view at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationSize {
    /// Its name.
    pub name: String,
    /// Whether it is a live view.
    pub is_view: bool,
    /// Its rows.
    pub rows: u64,
    /// The memory of its rows in bytes. Of a table without its index, of a view without what its
    /// operators remember.
    pub bytes: u64,
}

impl Engine {
    /// The sizes of all tables and live views at one moment.
    pub fn sizes(&self) -> Result<Vec<RelationSize>, EngineError> {
        let moment = self.read()?;
        let tables = moment.tables.iter().map(|(name, table)| RelationSize {
            name: name.clone(),
            is_view: false,
            rows: table.row_count() as u64,
            bytes: table.memory_bytes(),
        });
        let views = moment.views.iter().map(|(name, view)| RelationSize {
            name: name.clone(),
            is_view: true,
            rows: view.row_count() as u64,
            bytes: view.memory_bytes(),
        });
        Ok(tables.chain(views).collect())
    }

    /// The newest timestamp (ms) that is complete in all views.
    pub fn completed_ms(&self) -> u64 {
        self.shared.progress.completed()
    }
}
