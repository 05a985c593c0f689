//! What a base table refuses, in words that name the table, the column and the row.

use arrow::datatypes::DataType;
use arrow::error::ArrowError;

/// Why a change or a read of a base table was refused. The table is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The definition uses a type whose values cannot be compared.
    #[error(
        "column {column} of table {table} has type {data_type}, whose values cannot be compared; \
         use another type"
    )]
    UnsupportedType {
        table: String,
        column: String,
        data_type: DataType,
    },
    /// The definition names a column position that does not exist.
    #[error(
        "table {table} has {columns} columns, but its key, version or event identity names column \
         number {position} (counted from 0); correct the definition"
    )]
    NoSuchColumn {
        table: String,
        columns: usize,
        position: usize,
    },
    /// The change is meant for another table.
    #[error("a change of table {found} was handed to table {table}")]
    WrongTable { table: String, found: String },
    /// The rows do not have the table's columns.
    #[error("the rows do not fit table {table}: {detail}; send all its columns, in order")]
    SchemaMismatch { table: String, detail: String },
    /// A key column is NULL.
    #[error(
        "row {row} (counted from 0) has NULL in key column {column} of table {table}; every row \
         needs a full key"
    )]
    NullKey {
        table: String,
        column: String,
        row: usize,
    },
    /// A column that must have a value is NULL.
    #[error(
        "row {row} (counted from 0) has NULL in column {column} of table {table}, which must have \
         a value"
    )]
    NullValue {
        table: String,
        column: String,
        row: usize,
    },
    /// A value is longer than a value may be.
    #[error(
        "row {row} (counted from 0) has {bytes} bytes in column {column} of table {table}; a value \
         has at most {limit}"
    )]
    ValueTooLong {
        table: String,
        column: String,
        row: usize,
        bytes: usize,
        limit: usize,
    },
    /// A change adds or removes more than can be applied at a time.
    #[error(
        "a change of table {table} has {bytes} bytes in one column, at most {limit} can be added \
         and as many removed at a time; do it in parts"
    )]
    ChangeTooLarge {
        table: String,
        bytes: usize,
        limit: usize,
    },
    /// Rows of an append-only table are never changed or removed.
    #[error("table {table} is append-only: its rows cannot be changed or deleted")]
    AppendOnly { table: String },
    /// The timestamp lies before one already applied.
    #[error(
        "table {table} is at timestamp {last} ms and cannot go back to {timestamp} ms; apply \
         transactions in order"
    )]
    TimestampRegressed {
        table: String,
        timestamp: u64,
        last: u64,
    },
    /// The wanted moment is no longer kept.
    #[error(
        "table {table} can be read from timestamp {horizon} ms on, {timestamp} ms is no longer \
         kept; read at a later timestamp"
    )]
    BeforeHorizon {
        table: String,
        timestamp: u64,
        horizon: u64,
    },
    /// A lookup in a table without a primary key, or with values that are not of the key's types.
    #[error("a lookup in table {table} needs one value per key column, of its type: {detail}")]
    NotTheKey { table: String, detail: String },
    /// Arrow could not compute on the rows, for example because a text column outgrew 2 GiB.
    #[error(
        "rows of table {table} could not be processed; try with fewer rows at a time: {source}"
    )]
    Arrow { table: String, source: ArrowError },
}

impl TableError {
    /// Names the table an Arrow error came from.
    pub(super) fn arrow(table: &str) -> impl Fn(ArrowError) -> Self {
        move |source| Self::Arrow {
            table: table.to_owned(),
            source,
        }
    }
}
