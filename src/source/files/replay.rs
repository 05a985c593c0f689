//! Mapping rejected rows again, with the mappings as they are.
//!
//! Rows are read from their files anew: so they are whole, and have the same place and identity as
//! the first time.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;

use super::raw::{RawBatch, row_number};
use super::{FileSource, change};
use crate::model::Change;
use crate::source::SourceError;

/// Rows by the name of their file and their number in it.
pub type FileRows = BTreeMap<String, BTreeSet<u64>>;

/// Some rejected rows that were mapped again.
#[derive(Debug, Default)]
pub struct Replayed {
    /// The file's name.
    pub file: String,
    /// What those that map make of the tables.
    pub changes: Vec<Change>,
    /// The numbers of those that map.
    pub mapped: BTreeSet<u64>,
    /// The others, with the reason.
    pub rejected: BTreeMap<u64, String>,
}

impl FileSource {
    /// Maps the wanted rows of the source's files again and hands them to `take`, some at a time.
    /// Rows of files that the source no longer has are left out. The position of the source stays.
    ///
    /// # Errors
    /// If a file cannot be read or mapped at all, and the first error of `take`.
    pub fn replay<E: From<SourceError>>(
        &mut self,
        wanted: &FileRows,
        mut take: impl FnMut(Replayed) -> Result<(), E>,
    ) -> Result<(), E> {
        for file in self.files.clone() {
            let name = file.name();
            let Some(rows) = wanted.get(&name) else {
                continue;
            };
            let mut reader = self.reader(&file, file.content_identity()?)?;
            let mapper = self.mapper(&file.path, &reader.schema())?;
            while let Some(batch) = self.options.read(reader.as_mut())? {
                let failed = |error| SourceError::file(&file.path, "rejected rows", error);
                let raw = chosen(&batch, rows).map_err(failed)?;
                let mut rejections = Vec::new();
                let mapped = mapper.map(&self.options.name, &raw.rows, &mut rejections);
                let mut replayed = Replayed {
                    file: name.clone(),
                    changes: mapped.into_iter().map(change).collect(),
                    ..Replayed::default()
                };
                for row in raw.unreadable {
                    replayed.rejected.insert(row.row, row.reason);
                }
                for rejection in rejections {
                    let row = row_number(&raw.rows, rejection.row);
                    replayed.rejected.insert(row, rejection.reason);
                }
                let numbers = (0..raw.rows.num_rows()).map(|row| row_number(&raw.rows, row));
                let is_mapped = |number: &u64| !replayed.rejected.contains_key(number);
                replayed.mapped = numbers.filter(is_mapped).collect();
                if !replayed.mapped.is_empty() || !replayed.rejected.is_empty() {
                    take(replayed)?;
                }
            }
        }
        Ok(())
    }
}

/// The wanted rows of a batch.
fn chosen(batch: &RawBatch, wanted: &BTreeSet<u64>) -> Result<RawBatch, arrow::error::ArrowError> {
    let numbers = (0..batch.rows.num_rows()).map(|row| row_number(&batch.rows, row));
    let mask: BooleanArray = numbers
        .map(|number| Some(wanted.contains(&number)))
        .collect();
    let unreadable = batch.unreadable.iter();
    let unreadable = unreadable.filter(|row| wanted.contains(&row.row));
    Ok(RawBatch {
        rows: filter_record_batch(&batch.rows, &mask)?,
        unreadable: unreadable.cloned().collect(),
        ..*batch
    })
}
