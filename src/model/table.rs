//! The definition of a base table, shared by the model, the catalog, the log and the readers.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most bytes of a text or binary value: as many of them as a chunk of a view has rows fit a
/// column of 2 GiB.
pub const VALUE_BYTES_MAX: usize = 256 << 10;

/// One column of a base table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDefinition {
    /// The column's name, in lower case as SQL folds it.
    pub name: String,
    /// The Arrow type of the values.
    #[serde(
        serialize_with = "serialize_type",
        deserialize_with = "deserialize_type"
    )]
    pub data_type: DataType,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// What the column means, with unit and origin; shown by `mainstem tables`.
    pub description: String,
    /// The SQL expression whose value a row gets that is inserted without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// The most characters of a text; `None`: as many as a value may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u32>,
}

/// A base relation: a table of the standard model or one made with `CREATE TABLE`.
///
/// A table with a primary key is *keyed*: rows are upserted and deleted by key, and of several
/// versions of a row the greatest by `version` wins, whatever order they arrive in. A table
/// without one is *append-only* for sources: rows are added, and a row whose `event_identity` has
/// been seen before is a duplicate delivery and changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDefinition {
    /// The table's name, in lower case.
    pub name: String,
    /// What one row of the table is.
    pub description: String,
    /// The columns, in order.
    pub columns: Vec<ColumnDefinition>,
    /// Indices of the primary-key columns; empty for a table without a key.
    pub primary_key: Vec<usize>,
    /// Indices of the columns that order versions of one key, most significant first (source
    /// sequence, recorded time, event id). Empty: the later transaction wins.
    pub version: Vec<usize>,
    /// Indices of the columns that identify an event (source, event id) in a table without a key.
    /// Empty: every row counts.
    pub event_identity: Vec<usize>,
    /// Whether rows, once there, are never changed or removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub append_only: bool,
}

impl TableDefinition {
    /// The Arrow schema of the table's rows.
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<Field> = self
            .columns
            .iter()
            .map(|column| Field::new(&column.name, column.data_type.clone(), column.nullable))
            .collect();
        Arc::new(Schema::new(fields))
    }

    /// The position of the column called `name`, if there is one.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Whether rows are upserted and deleted by primary key.
    pub fn is_keyed(&self) -> bool {
        !self.primary_key.is_empty()
    }
}

fn serialize_type<S: Serializer>(data_type: &DataType, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&data_type.to_string())
}

fn deserialize_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DataType, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}
