//! Statements that are refused, and the ways out.

use datafusion::sql::sqlparser::ast::{Query, SetExpr};

use super::unknown;
use crate::sql::SqlError;

/// What to do instead, by the words that a statement begins with.
const INSTEAD: &[(&str, &str)] = &[
    (
        "ALTER TABLE",
        "CREATE TABLE another, INSERT INTO it … SELECT from this one, then DROP this one; \
         CREATE VIEW gives a table a second name",
    ),
    (
        "ALTER VIEW",
        "CREATE OR REPLACE VIEW, or one of another name and DROP VIEW",
    ),
    ("CREATE INDEX", INDEXES),
    ("CREATE UNIQUE", INDEXES),
    (
        "CREATE FUNCTION",
        "programs that embed the engine bring functions along, see docs/embedding.md",
    ),
    (
        "CREATE SCHEMA",
        "all tables and views are in the schema public",
    ),
    (
        "CREATE SEQUENCE",
        "give rows their keys when they are written; DEFAULT uuid() makes one",
    ),
    ("GRANT", ROLES),
    ("REVOKE", ROLES),
    ("CREATE ROLE", ROLES),
    ("CREATE USER", ROLES),
    ("MERGE INTO", "INSERT … ON CONFLICT … DO UPDATE"),
    ("VACUUM", CLEANING),
    ("ANALYZE", CLEANING),
];

const INDEXES: &str =
    "views keep the indexes that they need by themselves; PRIMARY KEY finds rows by it";
const ROLES: &str =
    "there are no roles: whoever can connect may do everything, see docs/clients.md";
const CLEANING: &str = "space is given back, and statistics are kept, without being asked";

/// The refusal of a statement that begins with these words.
pub(super) fn statement(words: &str) -> SqlError {
    let refusal = unknown(words);
    let upper = words.to_ascii_uppercase();
    let instead = INSTEAD.iter().find(|(begin, _)| upper.starts_with(begin));
    match instead {
        Some((_, instead)) => refusal.with_hint(*instead),
        None => refusal,
    }
}

/// The refusal of `REFRESH MATERIALIZED VIEW`.
pub(super) fn refresh() -> SqlError {
    unknown("REFRESH").with_hint("materialized views are always up to date: leave it out")
}

/// Refuses a query that makes a table.
pub(super) fn check(query: &Query) -> Result<(), SqlError> {
    match query.body.as_ref() {
        SetExpr::Select(select) if select.into.is_some() => Err(unknown("SELECT … INTO")
            .with_hint("CREATE TABLE, then INSERT INTO … SELECT; or CREATE MATERIALIZED VIEW")),
        _ => Ok(()),
    }
}
