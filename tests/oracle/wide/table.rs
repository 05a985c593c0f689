//! Tables of random columns, and the rows of a history.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::scalar::ScalarValue;
use mainstem::model::{ColumnDefinition, TableDefinition};
use rand::RngExt;
use rand_pcg::Pcg64;

use super::super::history::{self, RowR, RowS};
use super::value;

/// A row's values.
pub type Row = Vec<ScalarValue>;

/// A table: its name, its columns, and the positions of those of its primary key, if it has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub name: String,
    pub schema: SchemaRef,
    pub key: Vec<usize>,
}

impl Table {
    /// A table of three to seven columns, the first of which is a small number; about every second
    /// has a primary key that begins with it.
    pub fn random(name: &str, random: &mut Pcg64) -> Table {
        let types = value::types();
        let mut fields = vec![Field::new("c0", DataType::Int64, random.random_bool(0.5))];
        for number in 1..random.random_range(3..8) {
            let data_type = types[random.random_range(0..types.len())].clone();
            fields.push(Field::new(
                format!("c{number}"),
                data_type,
                random.random_bool(0.8),
            ));
        }
        let table = Table {
            name: name.to_owned(),
            schema: Arc::new(Schema::new(fields)),
            key: Vec::new(),
        };
        // The two zeros of a double are one key.
        let has_zeros = table.schema.field(1).data_type().is_floating();
        match random.random_range(0..6) {
            0 if !has_zeros => table.keyed(&[0, 1]),
            0..=2 => table.keyed(&[0]),
            _ => table,
        }
    }

    /// The table with a primary key.
    pub fn keyed(self, key: &[usize]) -> Table {
        let fields = self.schema.fields().iter().enumerate();
        let fields = fields.map(|(position, field)| {
            let is_nullable = field.is_nullable() && !key.contains(&position);
            field.as_ref().clone().with_nullable(is_nullable)
        });
        Table {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            key: key.to_vec(),
            ..self
        }
    }

    /// Whether one row takes the place of the other.
    pub fn is_same(&self, row: &[ScalarValue], other: &[ScalarValue]) -> bool {
        let mut key = self.key.iter();
        !self.key.is_empty() && key.all(|column| row[*column] == other[*column])
    }

    /// A random row.
    pub fn row(&self, random: &mut Pcg64) -> Row {
        let fields = self.schema.fields().iter();
        let values = fields.map(
            |field| match field.is_nullable() && random.random_bool(0.15) {
                true => ScalarValue::try_from(field.data_type()).expect("NULL"),
                false => value::random(field.data_type(), random),
            },
        );
        values.collect()
    }

    /// Rows as a batch.
    pub fn batch(&self, rows: &[&Row]) -> RecordBatch {
        if rows.is_empty() {
            return RecordBatch::new_empty(Arc::clone(&self.schema));
        }
        let columns = (0..self.schema.fields().len()).map(|column| {
            let values = rows.iter().map(|row| row[column].clone());
            ScalarValue::iter_to_array(values).expect("values of one type")
        });
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect()).expect("they fit")
    }

    /// The table as the catalog knows it.
    pub fn definition(&self) -> TableDefinition {
        let columns = self.schema.fields().iter().map(|field| ColumnDefinition {
            name: field.name().clone(),
            data_type: field.data_type().clone(),
            nullable: field.is_nullable(),
            description: String::new(),
            default: None,
            max_length: None,
        });
        TableDefinition {
            name: self.name.clone(),
            description: String::new(),
            columns: columns.collect(),
            primary_key: self.key.clone(),
            version: Vec::new(),
            event_identity: Vec::new(),
            append_only: false,
        }
    }
}

/// The table `r` of the other oracles.
pub fn r() -> Table {
    named("r")
}

/// The table `s` of the other oracles.
pub fn s() -> Table {
    named("s")
}

fn named(name: &'static str) -> Table {
    Table {
        name: name.to_owned(),
        schema: Arc::clone(&history::schemas()[name]),
        key: Vec::new(),
    }
}

/// A row of `r` as values.
pub fn of_r((a, b, t, d, f): RowR) -> Row {
    vec![
        ScalarValue::Int64(Some(a)),
        ScalarValue::Int64(b),
        ScalarValue::Utf8(t),
        ScalarValue::Decimal128(d, 12, 2),
        ScalarValue::Float64(f),
    ]
}

/// A row of `s` as values.
pub fn of_s((k, v, w): RowS) -> Row {
    vec![
        ScalarValue::Int64(k),
        ScalarValue::Int64(v),
        ScalarValue::Utf8(w),
    ]
}
