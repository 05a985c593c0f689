//! Renders the model as the reference `docs/model.md`.
//!
//! The words come from the declarations alone; what is said here is what holds for all tables.
//! A test keeps the file in the repository equal to the rendering: run it with `UPDATE_DOCS=1` to
//! write the file anew.

use std::fmt::Write;

use arrow::datatypes::{DataType, TimeUnit};

use super::table::{ColumnDefinition, TableDefinition};

const INTRODUCTION: &str = "\
# The standard commerce model

Every source is mapped to these tables; the shipped views and queries are written over them. This
page is generated from the declarations in `src/model/entities`; `mainstem tables` shows the same.

- **Sources.** Ids are the source's own and mean something only together with `source`. The same
  person, order or product in two systems is two rows.
- **Envelope.** `source`, `event_id`, `sequence`, `occurred_at` and `recorded_at` say where a row
  comes from, after CloudEvents 1.0.
- **Keyed tables** hold the current state. Of several versions of a row the one with the greatest
  `(sequence, recorded_at, event_id)` wins, whatever order they arrive in. **Fact tables** only
  grow; an event delivered again changes nothing.
- **Money** is a whole number of minor units (`…_minor`) with an ISO 4217 `currency` in the same
  row; amounts of different currencies are never added. **Unit prices** are rates and therefore
  decimals of major units with six places.
- **Quantities** are decimals with four places. **Times** are UTC with microseconds.
- **NULL** means that the source doesn't say.
";

/// The reference of these tables as Markdown.
pub fn render_markdown(tables: &[TableDefinition]) -> String {
    let mut text = String::from(INTRODUCTION);
    text.push_str("\n| Table | One row is |\n|---|---|\n");
    for table in tables {
        // Writing to a String can't fail.
        let _ = writeln!(text, "| [{0}](#{0}) | {1} |", table.name, table.description);
    }
    for table in tables {
        render_table(table, &mut text);
    }
    text
}

fn render_table(table: &TableDefinition, text: &mut String) {
    let _ = write!(text, "\n## {}\n\n{}\n\n", table.name, table.description);
    let identity = match table.is_keyed() {
        true => ("Keyed by", &table.primary_key),
        false => ("Append-only; an event is known by", &table.event_identity),
    };
    let _ = writeln!(text, "{} {}.", identity.0, column_names(table, identity.1));
    if !table.version.is_empty() {
        let version = column_names(table, &table.version);
        let _ = writeln!(text, "The newest version is the greatest by {version}.");
    }
    text.push_str("\n| Column | Type | Meaning |\n|---|---|---|\n");
    for column in &table.columns {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} |",
            column.name,
            type_text(column),
            column.description
        );
    }
}

fn column_names(table: &TableDefinition, indices: &[usize]) -> String {
    let names: Vec<String> = indices
        .iter()
        .filter_map(|index| table.columns.get(*index))
        .map(|column| format!("`{}`", column.name))
        .collect();
    names.join(", ")
}

/// The type as SQL writes it, with NOT NULL where it holds.
fn type_text(column: &ColumnDefinition) -> String {
    let name = match &column.data_type {
        DataType::Utf8 => "text".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision}, {scale})"),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamptz".to_owned(),
        other => other.to_string(),
    };
    match column.nullable {
        true => name,
        false => format!("{name} not null"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::standard_tables;

    #[test]
    fn the_reference_in_the_repository_is_the_rendering() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/model.md");
        let rendered = render_markdown(&standard_tables());
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &rendered).expect("docs/model.md can be written");
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == rendered,
            "docs/model.md is not what the model says: run the test with UPDATE_DOCS=1"
        );
    }

    #[test]
    fn every_column_has_a_row() {
        let tables = standard_tables();
        let text = render_markdown(&tables);
        for table in &tables {
            assert!(text.contains(&format!("\n## {}\n", table.name)));
            for column in &table.columns {
                assert!(text.contains(&format!("| `{}` | ", column.name)));
            }
        }
    }
}
