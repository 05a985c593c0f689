//! The tables of the schema `mainstem`: how much there is of everything.

use super::builder::Kind::{Int8, Text};
use super::builder::{Built, Cell};
use super::facts::{Facts, RelationKind};

/// A table by its name.
pub(super) fn table(facts: &Facts, name: &str) -> Option<Built> {
    let wanted = match name {
        "tables" => RelationKind::Table,
        "views" => RelationKind::LiveView,
        _ => return None,
    };
    let mut built = Built::new(&[
        ("name", Text),
        ("rows", Int8),
        ("bytes", Int8),
        ("timestamp_ms", Int8),
    ]);
    let number = |value: u64| Cell::Int(i64::try_from(value).unwrap_or(i64::MAX));
    let relations = facts.relations.iter();
    for relation in relations.filter(|relation| relation.kind == wanted) {
        built.push(vec![
            ("name", (&relation.name).into()),
            ("rows", number(relation.statistics.rows)),
            ("bytes", number(relation.statistics.bytes)),
            ("timestamp_ms", number(facts.timestamp_ms)),
        ]);
    }
    Some(built)
}
