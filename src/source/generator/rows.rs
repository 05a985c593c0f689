//! Rows on their way, and how they become record batches of the model's tables.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Decimal128Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::places::System;
use crate::model::{Change, ChangeKind, TableDefinition, standard_tables};

/// A table of the model that the generator writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    Locations,
    Products,
    Prices,
    InventoryLevels,
    Customers,
    CustomerIdentifiers,
    Orders,
    OrderLines,
    Payments,
    Refunds,
    RefundLines,
    Interactions,
}

impl Table {
    /// All of them, in the order in which a transaction has them.
    pub const ALL: [Table; 12] = [
        Table::Locations,
        Table::Products,
        Table::Prices,
        Table::InventoryLevels,
        Table::Customers,
        Table::CustomerIdentifiers,
        Table::Orders,
        Table::OrderLines,
        Table::Payments,
        Table::Refunds,
        Table::RefundLines,
        Table::Interactions,
    ];

    /// The table's name in the model.
    pub fn name(self) -> &'static str {
        match self {
            Table::Locations => "locations",
            Table::Products => "products",
            Table::Prices => "prices",
            Table::InventoryLevels => "inventory_levels",
            Table::Customers => "customers",
            Table::CustomerIdentifiers => "customer_identifiers",
            Table::Orders => "orders",
            Table::OrderLines => "order_lines",
            Table::Payments => "payments",
            Table::Refunds => "refunds",
            Table::RefundLines => "refund_lines",
            Table::Interactions => "interactions",
        }
    }
}

/// The value of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Word(&'static str),
    Text(String),
    Flag(bool),
    Integer(i64),
    /// Whole units of a quantity, or minor units (hundredths) of a unit price.
    Decimal(i64),
    /// Microseconds since the epoch.
    Time(i64),
}

/// Makes a [`Decimal128`](DataType::Decimal128) of quantities (four places) from whole units, and
/// of unit prices (six places) from hundredths.
const DECIMAL_FACTOR: i128 = 10_000;

impl From<&'static str> for Value {
    fn from(word: &'static str) -> Value {
        Value::Word(word)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Value {
        Value::Text(text.clone())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Flag(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Integer(number)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

/// Where a row comes from.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The system.
    pub system: System,
    /// The event's identity in the system.
    pub event_id: String,
    /// The version of what the row is about.
    pub version: u64,
    /// When it happened, in microseconds since the epoch.
    pub occurred_us: i64,
}

/// One row of a table.
#[derive(Clone, Debug)]
pub struct Row {
    /// The table.
    pub table: Table,
    /// The columns that are not NULL, in the model's order.
    cells: Vec<(&'static str, Value)>,
}

impl Row {
    /// A row with its envelope.
    pub fn new(table: Table, envelope: Envelope) -> Row {
        let Envelope {
            system,
            event_id,
            version,
            occurred_us,
        } = envelope;
        let recorded_us = occurred_us + system.recording_delay_us();
        let mut cells = Vec::with_capacity(24);
        cells.push(("source", Value::Word(system.name())));
        cells.push(("event_id", Value::Text(event_id)));
        cells.push(("sequence", Value::Text(format!("{version:08}"))));
        cells.push(("occurred_at", Value::Time(occurred_us)));
        cells.push(("recorded_at", Value::Time(recorded_us)));
        Row { table, cells }
    }

    /// Adds the value of the next column that has one.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Row {
        self.cells.push((name, value.into()));
        self
    }

    /// Adds a time in microseconds since the epoch.
    pub fn time(self, name: &'static str, time_us: i64) -> Row {
        self.with(name, Value::Time(time_us))
    }

    /// Adds a quantity of whole units.
    pub fn units(self, name: &'static str, units: i64) -> Row {
        self.with(name, Value::Decimal(units))
    }

    /// Adds a unit price given in minor units of a currency with two places.
    pub fn unit_price(self, name: &'static str, minor: i64) -> Row {
        self.with(name, Value::Decimal(minor))
    }
}

/// Collects rows into one batch a table.
pub struct Batches {
    tables: Vec<Columns>,
}

/// The columns of one table.
struct Columns {
    table: Table,
    definition: TableDefinition,
    schema: SchemaRef,
    builders: Vec<Builder>,
    rows: usize,
}

enum Builder {
    Text(StringBuilder),
    Flag(BooleanBuilder),
    Integer(Int64Builder),
    Decimal(Decimal128Builder),
    Time(TimestampMicrosecondBuilder),
}

impl Batches {
    /// No rows yet.
    ///
    /// # Errors
    /// If the model lacks a table or has types that the generator does not know.
    pub fn new() -> Result<Batches, ArrowError> {
        let definitions = standard_tables();
        let columns = Table::ALL.map(|table| {
            let definition = definitions.iter().find(|d| d.name == table.name());
            let definition =
                definition.ok_or_else(|| wrong(table, "the model has no such table"))?;
            Columns::new(table, definition.clone())
        });
        Ok(Batches {
            tables: columns.into_iter().collect::<Result<_, _>>()?,
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// If the row does not fit its table.
    pub fn push(&mut self, row: Row) -> Result<(), ArrowError> {
        // Tables stand in the order of their enumeration.
        self.tables[row.table as usize].push(row)
    }

    /// The rows so far as changes of their tables; none is left.
    ///
    /// # Errors
    /// If a column that must have values has none.
    pub fn finish(&mut self) -> Result<Vec<Change>, ArrowError> {
        let filled = self.tables.iter_mut().filter(|columns| columns.rows > 0);
        filled.map(Columns::finish).collect()
    }
}

impl Columns {
    fn new(table: Table, definition: TableDefinition) -> Result<Columns, ArrowError> {
        let builders = definition.columns.iter().map(|column| {
            Builder::new(&column.data_type).ok_or_else(|| wrong(table, &column.name))
        });
        Ok(Columns {
            table,
            builders: builders.collect::<Result<_, _>>()?,
            schema: definition.schema(),
            definition,
            rows: 0,
        })
    }

    fn push(&mut self, row: Row) -> Result<(), ArrowError> {
        let mut cells = row.cells.into_iter().peekable();
        for (column, builder) in self.definition.columns.iter().zip(&mut self.builders) {
            let value = cells.next_if(|(name, _)| *name == column.name);
            let value = value.map_or(Value::Null, |(_, value)| value);
            if !builder.append(value) {
                return Err(wrong(self.table, &column.name));
            }
        }
        self.rows += 1;
        match cells.next() {
            Some((name, _)) => Err(wrong(self.table, name)),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<Change, ArrowError> {
        self.rows = 0;
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        Ok(Change {
            table: Arc::from(self.table.name()),
            kind: ChangeKind::Upsert,
            rows: RecordBatch::try_new(SchemaRef::clone(&self.schema), columns)?,
        })
    }
}

fn wrong(table: Table, what: &str) -> ArrowError {
    let name = table.name();
    ArrowError::SchemaError(format!("rows for {name} do not fit the model: {what}"))
}

impl Builder {
    fn new(data_type: &DataType) -> Option<Builder> {
        Some(match data_type {
            DataType::Utf8 => Builder::Text(StringBuilder::new()),
            DataType::Boolean => Builder::Flag(BooleanBuilder::new()),
            DataType::Int64 => Builder::Integer(Int64Builder::new()),
            DataType::Decimal128(..) => {
                Builder::Decimal(Decimal128Builder::new().with_data_type(data_type.clone()))
            }
            DataType::Timestamp(..) => {
                let builder = TimestampMicrosecondBuilder::new();
                Builder::Time(builder.with_data_type(data_type.clone()))
            }
            _ => return None,
        })
    }

    /// False if the value is not of the column's type.
    fn append(&mut self, value: Value) -> bool {
        match (self, value) {
            (Builder::Text(builder), Value::Word(word)) => builder.append_value(word),
            (Builder::Text(builder), Value::Text(text)) => builder.append_value(text),
            (Builder::Text(builder), Value::Null) => builder.append_null(),
            (Builder::Flag(builder), Value::Flag(flag)) => builder.append_value(flag),
            (Builder::Flag(builder), Value::Null) => builder.append_null(),
            (Builder::Integer(builder), Value::Integer(number)) => builder.append_value(number),
            (Builder::Integer(builder), Value::Null) => builder.append_null(),
            (Builder::Decimal(builder), Value::Decimal(number)) => {
                builder.append_value(i128::from(number) * DECIMAL_FACTOR);
            }
            (Builder::Decimal(builder), Value::Null) => builder.append_null(),
            (Builder::Time(builder), Value::Time(time_us)) => builder.append_value(time_us),
            (Builder::Time(builder), Value::Null) => builder.append_null(),
            _ => return false,
        }
        true
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Text(builder) => Arc::new(builder.finish()),
            Builder::Flag(builder) => Arc::new(builder.finish()),
            Builder::Integer(builder) => Arc::new(builder.finish()),
            Builder::Decimal(builder) => Arc::new(builder.finish()),
            Builder::Time(builder) => Arc::new(builder.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let envelope = Envelope {
            system: System::Marketplace,
            event_id: "stock/1".into(),
            version: 3,
            occurred_us: 5,
        };
        Row::new(Table::InventoryLevels, envelope)
            .with("product_id", "p")
            .with("location_id", "l")
            .with("bucket", "on_hand")
            .units("quantity", 7)
    }

    #[test]
    fn a_row_has_its_envelope_and_null_where_nothing_is_given() {
        let mut batches = Batches::new().expect("the model is known");
        batches.push(row()).expect("a good row");
        let changes = batches.finish().expect("whole columns");
        assert_eq!(changes.len(), 1);
        let text = arrow::util::pretty::pretty_format_batches(&[changes[0].rows.clone()]);
        let text = text.expect("printable").to_string();
        for value in ["| 00000003 |", "| 7.0000 ", "1970-01-01T00:01:00.000005Z"] {
            assert!(text.contains(value), "{text}");
        }
        assert!(batches.finish().expect("nothing").is_empty());
    }

    #[test]
    fn what_does_not_fit_its_table_is_an_error() {
        let push = |row| Batches::new().expect("the model is known").push(row);
        assert!(push(row().with("bucket", "out of order")).is_err());
        assert!(push(row().with("reason", true)).is_err());
    }
}
