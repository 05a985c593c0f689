//! How COPY writes rows, or finds them written.

use arrow::datatypes::Schema;

use crate::sql::SqlError;

/// Formats of `COPY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    /// Comma-separated values.
    Csv(CsvFormat),
    /// Postgres's tab-separated text with backslash escapes.
    Text {
        header: CopyHeader,
        delimiter: u8,
        null: String,
    },
    /// Postgres's binary format; only out.
    Binary,
}

/// Comma-separated values, and what stands for the comma and around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvFormat {
    pub header: CopyHeader,
    pub delimiter: u8,
    /// How NULL is written: without quotes.
    pub null: String,
    pub quote: u8,
    /// What stands before a quote within quotes.
    pub escape: u8,
    /// Columns whose values are quoted, whatever they are.
    pub force_quote: CopyColumns,
    /// Columns that are not NULL where they are written like it.
    pub force_not_null: CopyColumns,
    /// Columns that are NULL where it is written within quotes, too.
    pub force_null: CopyColumns,
}

/// Whether the first line is one of names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyHeader {
    #[default]
    No,
    Yes,
    /// Of those of the columns, in their order, or the rows are refused.
    Match,
}

/// Columns that an option names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CopyColumns {
    #[default]
    None,
    All,
    Named(Vec<String>),
}

impl CopyColumns {
    /// For each column that is copied, whether it is one of these.
    ///
    /// # Errors
    /// If an option names a column that is not copied.
    pub fn among(&self, option: &str, copied: &Schema) -> Result<Vec<bool>, SqlError> {
        let columns = copied.fields();
        let CopyColumns::Named(names) = self else {
            return Ok(vec![*self == CopyColumns::All; columns.len()]);
        };
        if let Some(name) = names.iter().find(|name| columns.find(name).is_none()) {
            let message = format!("{option} names the column \"{name}\", which is not copied");
            return Err(SqlError::new("42703", message));
        }
        let is_named = columns.iter().map(|column| names.contains(column.name()));
        Ok(is_named.collect())
    }
}
