//! Small tables, built row by row.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float32Builder, Int16Builder, Int32Builder, ListBuilder, RecordBatch,
    StringBuilder,
};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::error::Result;

/// Marks a column of numbers for the wire as one of identifiers.
const PG_OID_ALIAS_KEY: &str = "pg.oid_alias";
/// Marks a column of texts for the wire as one of single letters.
const PG_CHAR_KEY: &str = "pg.char";

/// The types that system tables have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An identifier of something in the catalog.
    Oid,
    Text,
    /// Postgres's type of a single letter.
    Char,
    Bool,
    Int2,
    Int4,
    Float4,
    Int2List,
    TextList,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Null,
    Oid(i32),
    Text(String),
    Bool(bool),
    Int(i64),
    Int2List(Vec<i16>),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }
}

impl From<&String> for Cell {
    fn from(text: &String) -> Cell {
        Cell::Text(text.clone())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl From<Option<String>> for Cell {
    fn from(text: Option<String>) -> Cell {
        text.map_or(Cell::Null, Cell::Text)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Cell {
        Cell::Bool(value)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Cell {
        Cell::Int(value)
    }
}

/// A table: its columns, and per row the values of those that are not always NULL.
pub(super) struct Built {
    columns: Vec<(&'static str, Kind)>,
    rows: Vec<HashMap<&'static str, Cell>>,
}

impl Built {
    /// A table without rows.
    pub(super) fn new(columns: &[(&'static str, Kind)]) -> Built {
        Built {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; columns that are not named are NULL.
    pub(super) fn push(&mut self, cells: Vec<(&'static str, Cell)>) {
        debug_assert!(
            cells
                .iter()
                .all(|(name, _)| self.columns.iter().any(|(other, _)| other == name))
        );
        self.rows.push(cells.into_iter().collect());
    }

    /// The table for queries.
    pub(super) fn provider(self) -> Result<Arc<dyn TableProvider>> {
        let fields = self.columns.iter().map(|(name, kind)| field(name, *kind));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let columns = self.columns.iter().map(|(name, kind)| {
            let cells = self.rows.iter().map(|row| row.get(name));
            column(*kind, cells)
        });
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect())?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
    }
}

fn field(name: &str, kind: Kind) -> Field {
    let (data_type, mark) = match kind {
        Kind::Oid => (DataType::Int32, Some((PG_OID_ALIAS_KEY, "oid"))),
        Kind::Char => (DataType::Utf8, Some((PG_CHAR_KEY, "char"))),
        Kind::Text => (DataType::Utf8, None),
        Kind::Bool => (DataType::Boolean, None),
        Kind::Int2 => (DataType::Int16, None),
        Kind::Int4 => (DataType::Int32, None),
        Kind::Float4 => (DataType::Float32, None),
        Kind::Int2List => (list_of(DataType::Int16), None),
        Kind::TextList => (list_of(DataType::Utf8), None),
    };
    let field = Field::new(name, data_type, true);
    match mark {
        Some((key, value)) => {
            field.with_metadata(HashMap::from([(key.to_owned(), value.to_owned())]))
        }
        None => field,
    }
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

fn column<'a>(kind: Kind, cells: impl Iterator<Item = Option<&'a Cell>>) -> ArrayRef {
    let number = |cell: Option<&Cell>| match cell {
        Some(Cell::Oid(oid)) => Some(i64::from(*oid)),
        Some(Cell::Int(value)) => Some(*value),
        _ => None,
    };
    match kind {
        Kind::Oid | Kind::Int4 => {
            let mut values = Int32Builder::new();
            cells.for_each(|cell| {
                values.append_option(number(cell).and_then(|value| i32::try_from(value).ok()));
            });
            Arc::new(values.finish())
        }
        Kind::Int2 => {
            let mut values = Int16Builder::new();
            cells.for_each(|cell| {
                values.append_option(number(cell).and_then(|value| i16::try_from(value).ok()));
            });
            Arc::new(values.finish())
        }
        Kind::Float4 => {
            let mut values = Float32Builder::new();
            cells.for_each(|cell| values.append_option(number(cell).map(|value| value as f32)));
            Arc::new(values.finish())
        }
        Kind::Text | Kind::Char => {
            let mut values = StringBuilder::new();
            cells.for_each(|cell| match cell {
                Some(Cell::Text(text)) => values.append_value(text),
                _ => values.append_null(),
            });
            Arc::new(values.finish())
        }
        Kind::Bool => {
            let mut values = BooleanBuilder::new();
            cells.for_each(|cell| match cell {
                Some(Cell::Bool(value)) => values.append_value(*value),
                _ => values.append_null(),
            });
            Arc::new(values.finish())
        }
        Kind::Int2List => {
            let mut values = ListBuilder::new(Int16Builder::new());
            cells.for_each(|cell| match cell {
                Some(Cell::Int2List(list)) => {
                    list.iter()
                        .for_each(|item| values.values().append_value(*item));
                    values.append(true);
                }
                _ => values.append(false),
            });
            Arc::new(values.finish())
        }
        Kind::TextList => {
            let mut values = ListBuilder::new(StringBuilder::new());
            cells.for_each(|_| values.append(false));
            Arc::new(values.finish())
        }
    }
}
