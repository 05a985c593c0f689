//! `FORCE_NULL` and `FORCE_NOT_NULL`: columns of CSV in which quotes do not tell NULL from a text.

use arrow::datatypes::Schema;

use crate::sql::{CsvFormat, SqlError};

/// The columns, and how NULL is written.
#[derive(Default)]
pub(super) struct Forced {
    null: Vec<u8>,
    not_null: Vec<bool>,
    nulls: Vec<bool>,
}

impl Forced {
    pub(super) fn new(format: &CsvFormat, columns: &Schema) -> Result<Forced, SqlError> {
        Ok(Forced {
            null: format.null.as_bytes().to_vec(),
            not_null: format.force_not_null.among("FORCE_NOT_NULL", columns)?,
            nulls: format.force_null.among("FORCE_NULL", columns)?,
        })
    }

    /// What a field of a column stands for; `None` is NULL.
    pub(super) fn field<'f>(
        &'f self,
        position: usize,
        field: Option<&'f [u8]>,
    ) -> Option<&'f [u8]> {
        let is_one = |columns: &[bool]| columns.get(position).copied().unwrap_or_default();
        match field {
            None if is_one(&self.not_null) => Some(self.null.as_slice()),
            Some(text) if is_one(&self.nulls) && text == self.null => None,
            field => field,
        }
    }
}
