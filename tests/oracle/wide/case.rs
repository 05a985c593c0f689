//! A case: a view, tables, and what happens to them.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::scalar::ScalarValue;
use rand::RngExt;
use rand_pcg::Pcg64;
use serde_json::{Value, json};

use super::super::history::History;
use super::table::{self, Row, Table};
use super::value;

/// Transactions of a case.
const STEPS: usize = 8;

/// A row that comes or goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The position of its table.
    pub table: usize,
    pub row: Row,
    /// Whether it goes; where there is no such row, nothing happens. A row that comes takes the
    /// place of the one with its key.
    pub goes: bool,
}

/// A view over some tables, and transactions, the first of them before the view is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    pub view: String,
    /// The same for DataFusion, where it does not plan what the view is written with.
    pub words: Option<String>,
    pub workers: usize,
    pub tables: Vec<Table>,
    pub steps: Vec<Vec<Change>>,
}

impl Case {
    /// A random history of the tables.
    pub fn random(view: String, tables: Vec<Table>, random: &mut Pcg64) -> Case {
        let steps = match tables[0].name.as_str() {
            "r" => narrow_steps(&tables, random),
            _ => steps(&tables, random),
        };
        Case {
            view,
            words: None,
            workers: random.random_range(1..3),
            tables,
            steps,
        }
    }

    /// The case as JSON.
    pub fn to_json(&self) -> Value {
        let columns = |table: &Table| -> Vec<Value> {
            let fields = table.schema.fields().iter();
            let column = fields.map(|field| {
                let data_type = field.data_type().to_string();
                json!([field.name(), data_type, field.is_nullable()])
            });
            column.collect()
        };
        let tables = self.tables.iter();
        let table = |table: &Table| {
            let columns = columns(table);
            json!({"name": table.name, "columns": columns, "key": table.key})
        };
        let tables = tables.map(table);
        let change = |change: &Change| {
            let row: Vec<Option<String>> = change.row.iter().map(value::to_text).collect();
            let sign = if change.goes { "-" } else { "+" };
            json!([sign, self.tables[change.table].name, row])
        };
        let steps = self.steps.iter();
        let steps = steps.map(|step| step.iter().map(change).collect::<Vec<_>>());
        json!({
            "view": self.view,
            "words": self.words,
            "workers": self.workers,
            "tables": tables.collect::<Vec<_>>(),
            "steps": steps.collect::<Vec<_>>(),
        })
    }

    /// The case that JSON tells.
    pub fn from_json(json: &Value) -> Case {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let list = |value: &Value| value.as_array().expect("a list").clone();
        let table = |json: &Value| Table {
            name: text(&json["name"]),
            schema: Arc::new(Schema::new(
                list(&json["columns"])
                    .iter()
                    .map(|column| {
                        let data_type: DataType = text(&column[1]).parse().expect("a type");
                        let is_nullable = column[2].as_bool().expect("true or false");
                        Field::new(text(&column[0]), data_type, is_nullable)
                    })
                    .collect::<Vec<_>>(),
            )),
            key: json["key"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|column| column.as_u64().expect("a position") as usize)
                .collect(),
        };
        let tables: Vec<Table> = list(&json["tables"]).iter().map(table).collect();
        let change = |json: &Value| {
            let name = text(&json[1]);
            let named = tables.iter().position(|table| table.name == name);
            let table = named.expect("a table of the case");
            let fields = tables[table].schema.fields().iter();
            let values = list(&json[2]);
            let row = values.iter().zip(fields);
            Change {
                table,
                row: row
                    .map(|(value, field)| value::from_text(value.as_str(), field.data_type()))
                    .collect(),
                goes: json[0] == "-",
            }
        };
        let step = |json: &Value| list(json).iter().map(change).collect();
        Case {
            view: text(&json["view"]),
            words: json["words"].as_str().map(str::to_owned),
            workers: json["workers"].as_u64().expect("a number") as usize,
            steps: list(&json["steps"]).iter().map(step).collect(),
            tables,
        }
    }
}

fn steps(tables: &[Table], random: &mut Pcg64) -> Vec<Vec<Change>> {
    let mut there: Vec<Vec<Row>> = vec![Vec::new(); tables.len()];
    let mut steps = Vec::new();
    for step in 0..STEPS {
        let most = if step == 0 { 16 } else { 6 };
        let mut changes = Vec::new();
        for _ in 0..random.random_range(0..=most) {
            let table = random.random_range(0..tables.len());
            let rows = &mut there[table];
            let choice = random.random_range(0..10);
            if choice < 4 && !rows.is_empty() {
                let row = rows.swap_remove(random.random_range(0..rows.len()));
                changes.push(Change {
                    table,
                    row: row.clone(),
                    goes: true,
                });
                // An update: another version of it comes.
                if choice < 2 {
                    let other = tables[table].row(random);
                    let mut new = row;
                    let column = random.random_range(0..new.len());
                    new[column] = other[column].clone();
                    rows.retain(|row| !tables[table].is_same(row, &new));
                    rows.push(new.clone());
                    changes.push(Change {
                        table,
                        row: new,
                        goes: false,
                    });
                }
                continue;
            }
            // A duplicate now and then.
            let row = match choice == 9 && !rows.is_empty() {
                true => rows[random.random_range(0..rows.len())].clone(),
                false => tables[table].row(random),
            };
            rows.retain(|other| !tables[table].is_same(other, &row));
            rows.push(row.clone());
            changes.push(Change {
                table,
                row,
                goes: false,
            });
        }
        steps.push(changes);
    }
    steps
}

/// The histories of the other oracles; keys are never NULL.
fn narrow_steps(tables: &[Table], random: &mut Pcg64) -> Vec<Vec<Change>> {
    let with_key = |table: usize, mut row: Row| {
        for column in &tables[table].key {
            if row[*column].is_null() {
                row[*column] = ScalarValue::Int64(Some(0));
            }
        }
        row
    };
    let mut history = History::new();
    let steps = (0..STEPS).map(|step| {
        let change = history.step(random, if step == 0 { 12 } else { 6 });
        let of_r = change.r.into_iter().map(|(row, count)| Change {
            table: 0,
            row: with_key(0, table::of_r(row)),
            goes: count < 0,
        });
        let of_s = change.s.into_iter().map(|(row, count)| Change {
            table: 1,
            row: with_key(1, table::of_s(row)),
            goes: count < 0,
        });
        of_r.chain(of_s).collect()
    });
    steps.collect()
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "view: {}\nworkers: {}", self.view, self.workers)?;
        if let Some(words) = &self.words {
            writeln!(f, "the same in other words: {words}")?;
        }
        for table in &self.tables {
            let columns = table.schema.fields().iter();
            let columns: Vec<String> = columns
                .map(|field| format!("{} {}", field.name(), field.data_type()))
                .collect();
            let key = &table.key;
            writeln!(f, "{} ({}), key {key:?}", table.name, columns.join(", "))?;
        }
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "step {number}")?;
            for change in step {
                let sign = if change.goes { "-" } else { "+" };
                let row: Vec<Option<String>> = change.row.iter().map(value::to_text).collect();
                writeln!(f, "  {sign} {} {row:?}", self.tables[change.table].name)?;
            }
        }
        Ok(())
    }
}
