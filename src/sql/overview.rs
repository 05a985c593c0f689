//! The schema `mainstem`: what the engine tells about itself, as tables that queries read like any
//! other. The engine supplies the rows; here is only what names mean.

use datafusion::sql::sqlparser::ast::{ObjectName, Query};

use super::error::SqlError;
use super::syntax::see_relations;

/// The schema of the system tables.
const SYSTEM_SCHEMA: &str = "mainstem";

/// The system tables.
const SYSTEM_TABLES: &[&str] = &["tables", "views", "operators"];

/// What a query reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Tables and views of users, or nothing.
    Relations,
    /// System tables alone.
    SystemTables,
    /// Both.
    Both,
}

/// What a query reads, as far as its names tell.
pub fn reads(query: &Query) -> Reads {
    let (mut system, mut others) = (false, false);
    see_relations(query, &mut |name| match is_system_name(name) {
        true => system = true,
        false => others = true,
    });
    match (system, others) {
        (true, true) => Reads::Both,
        (true, false) => Reads::SystemTables,
        (false, _) => Reads::Relations,
    }
}

fn is_system_name(name: &ObjectName) -> bool {
    let parts = name.0.iter().filter_map(|part| part.as_ident());
    let parts: Vec<String> = parts
        .map(|part| match part.quote_style {
            None => part.value.to_lowercase(),
            Some(_) => part.value.clone(),
        })
        .collect();
    match &parts[..] {
        [.., schema, table] => schema == SYSTEM_SCHEMA && is_system_table(table),
        _ => false,
    }
}

/// Whether a table of the schema is a system table.
fn is_system_table(name: &str) -> bool {
    SYSTEM_TABLES.contains(&name)
}

/// Whether a name in a schema is that of a system table.
pub fn is_system(schema: Option<&str>, name: &str) -> bool {
    schema == Some(SYSTEM_SCHEMA) && is_system_table(name)
}

/// The refusal of a live view over a system table.
pub fn not_in_views(name: &str) -> SqlError {
    let message =
        format!("\"{SYSTEM_SCHEMA}.{name}\" tells about the engine and cannot be read by a view");
    SqlError::unsupported(message).with_hint("query it when you need it; it is always up to date")
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_query;
    use super::*;

    #[test]
    fn what_a_query_reads_is_told_by_its_names() {
        let cases = [
            ("SELECT 1", Reads::Relations),
            ("SELECT * FROM views", Reads::Relations),
            ("SELECT * FROM mainstem.views", Reads::SystemTables),
            ("SELECT * FROM Mainstem.Operators o", Reads::SystemTables),
            ("SELECT * FROM mainstem.orders", Reads::Relations),
            (
                "SELECT * FROM orders WHERE id IN (SELECT rows FROM mainstem.tables)",
                Reads::Both,
            ),
        ];
        for (sql, expected) in cases {
            let query = parse_query(sql).expect("a query");
            assert_eq!(reads(&query), expected, "{sql}");
        }
    }
}
