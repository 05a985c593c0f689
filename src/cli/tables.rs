//! `mainstem tables`: shows the standard model, from its own documentation.

use std::fmt::Write;

use clap::Args;

use super::failure::Failure;
use super::output::print_text;
use crate::config::closest;
use crate::model::TableDefinition;

/// Shows the tables of the standard model, or the columns of one
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  mainstem tables                 all tables with what a row of each is
  mainstem tables order_lines     the columns of one with types and meaning")]
pub struct Tables {
    /// The table to describe
    pub name: Option<String>,
}

impl Tables {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let tables = crate::model::standard_tables();
        let text = match &self.name {
            None => overview(&tables),
            Some(name) => description(find(&tables, name)?),
        };
        print_text(&text)
    }
}

fn find<'t>(tables: &'t [TableDefinition], name: &str) -> Result<&'t TableDefinition, Failure> {
    let folded = name.to_lowercase();
    tables
        .iter()
        .find(|table| table.name == folded)
        .ok_or_else(|| {
            let names = tables.iter().map(|table| table.name.as_str());
            let hint = match closest(&folded, names) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "`mainstem tables` lists them all".to_owned(),
            };
            Failure::new(format!("the standard model has no table `{name}`"), hint)
        })
}

fn overview(tables: &[TableDefinition]) -> String {
    let width = tables
        .iter()
        .map(|table| table.name.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for table in tables {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{:width$}  {}", table.name, table.description);
    }
    text
}

fn description(table: &TableDefinition) -> String {
    let names = table.columns.iter().map(|column| column.name.len());
    let types = table.columns.iter().map(|column| type_of(column).len());
    let (name_width, type_width) = (names.max().unwrap_or(0), types.max().unwrap_or(0));
    let mut text = format!("{}: {}\n", table.name, table.description);
    for (label, columns) in [
        ("Primary key", &table.primary_key),
        (
            "The newest version is that with the greatest",
            &table.version,
        ),
        ("Events are the same with the same", &table.event_identity),
    ] {
        if !columns.is_empty() {
            let _ = writeln!(text, "{label}: {}", names_of(table, columns));
        }
    }
    text.push('\n');
    for column in &table.columns {
        let _ = writeln!(
            text,
            "  {:name_width$}  {:type_width$}  {}",
            column.name,
            type_of(column),
            column.description
        );
    }
    text
}

fn names_of(table: &TableDefinition, columns: &[usize]) -> String {
    columns
        .iter()
        .filter_map(|index| table.columns.get(*index))
        .map(|column| column.name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

fn type_of(column: &crate::model::ColumnDefinition) -> String {
    match column.nullable {
        true => column.data_type.to_string(),
        false => format!("{} NOT NULL", column.data_type),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;
    use crate::model::ColumnDefinition;

    fn table() -> TableDefinition {
        let column = |name: &str, nullable| ColumnDefinition {
            name: name.into(),
            data_type: DataType::Int64,
            nullable,
            description: format!("the {name}"),
            default: None,
            max_length: None,
        };
        TableDefinition {
            name: "prices".into(),
            description: "one price".into(),
            columns: vec![column("product", false), column("amount", true)],
            primary_key: vec![0],
            version: vec![1],
            event_identity: Vec::new(),
            append_only: false,
        }
    }

    #[test]
    fn a_description_has_key_types_and_meanings() {
        let text = description(&table());
        assert!(
            text.starts_with("prices: one price\nPrimary key: product\n"),
            "{text}"
        );
        assert!(
            text.contains("  product  Int64 NOT NULL  the product\n"),
            "{text}"
        );
        assert!(
            text.contains("  amount   Int64           the amount\n"),
            "{text}"
        );
    }

    #[test]
    fn a_misspelt_table_gives_a_suggestion() {
        let failure = find(&[table()], "price").expect_err("no such table");
        assert!(failure.to_string().contains("`prices`"), "{failure}");
        assert!(find(&[table()], "PRICES").is_ok());
    }
}
