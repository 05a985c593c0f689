//! The tables of `information_schema`.

use super::builder::Kind::{Int4, Text};
use super::builder::{Built, Cell};
use super::empty;
use super::facts::{Facts, Relation, RelationKind};
use super::pg_catalog::key_name;
use super::pg_types::of_column;
use super::routines;
use super::{DATABASE, PUBLIC};

/// A table by its name.
pub(super) fn table(facts: &Facts, name: &str) -> Option<Built> {
    Some(match name {
        "tables" => tables(facts),
        "columns" => columns(facts),
        "views" => views(facts),
        "schemata" => schemata(),
        "routines" => return routines::standard_list(facts),
        "table_constraints" => table_constraints(facts),
        "key_column_usage" => key_columns(facts),
        "constraint_column_usage" => constraint_columns(facts),
        name => return empty::of_information_schema(name),
    })
}

fn kind(relation: &Relation) -> &'static str {
    match relation.kind {
        RelationKind::Table => "BASE TABLE",
        // Postgres lists no materialized views here; tools that look here would miss them.
        RelationKind::LiveView | RelationKind::PlainView => "VIEW",
    }
}

fn tables(facts: &Facts) -> Built {
    let mut built = Built::new(&[
        ("table_catalog", Text),
        ("table_schema", Text),
        ("table_name", Text),
        ("table_type", Text),
        ("self_referencing_column_name", Text),
        ("reference_generation", Text),
        ("user_defined_type_catalog", Text),
        ("user_defined_type_schema", Text),
        ("user_defined_type_name", Text),
        ("is_insertable_into", Text),
        ("is_typed", Text),
        ("commit_action", Text),
    ]);
    for relation in &facts.relations {
        let is_table = relation.kind == RelationKind::Table;
        built.push(vec![
            ("table_catalog", DATABASE.into()),
            ("table_schema", PUBLIC.into()),
            ("table_name", (&relation.name).into()),
            ("table_type", kind(relation).into()),
            ("is_insertable_into", yes_or_no(is_table)),
            ("is_typed", "NO".into()),
        ]);
    }
    built
}

fn yes_or_no(is: bool) -> Cell {
    if is { "YES" } else { "NO" }.into()
}

fn columns(facts: &Facts) -> Built {
    let mut built = Built::new(&[
        ("table_catalog", Text),
        ("table_schema", Text),
        ("table_name", Text),
        ("column_name", Text),
        ("ordinal_position", Int4),
        ("column_default", Text),
        ("is_nullable", Text),
        ("data_type", Text),
        ("character_maximum_length", Int4),
        ("character_octet_length", Int4),
        ("numeric_precision", Int4),
        ("numeric_precision_radix", Int4),
        ("numeric_scale", Int4),
        ("datetime_precision", Int4),
        ("interval_type", Text),
        ("interval_precision", Int4),
        ("character_set_name", Text),
        ("collation_schema", Text),
        ("collation_name", Text),
        ("domain_schema", Text),
        ("domain_name", Text),
        ("udt_catalog", Text),
        ("udt_schema", Text),
        ("udt_name", Text),
        ("maximum_cardinality", Int4),
        ("dtd_identifier", Text),
        ("is_self_referencing", Text),
        ("is_identity", Text),
        ("identity_generation", Text),
        ("identity_start", Text),
        ("identity_increment", Text),
        ("identity_maximum", Text),
        ("identity_minimum", Text),
        ("identity_cycle", Text),
        ("is_generated", Text),
        ("generation_expression", Text),
        ("is_updatable", Text),
    ]);
    for relation in &facts.relations {
        for (position, field) in relation.schema.fields().iter().enumerate() {
            let (found, modifier) = of_column(field.data_type());
            let definition = relation.table.as_ref();
            let column = definition.and_then(|table| table.columns.get(position));
            let default = column.and_then(|column| column.default.clone());
            let name = match found.element {
                0 => found.formatted,
                _ => "ARRAY",
            };
            let mut cells = vec![
                ("table_catalog", DATABASE.into()),
                ("table_schema", PUBLIC.into()),
                ("table_name", (&relation.name).into()),
                ("column_name", field.name().into()),
                ("ordinal_position", Cell::Int(position as i64 + 1)),
                ("column_default", default.into()),
                ("is_nullable", yes_or_no(field.is_nullable())),
                ("data_type", name.into()),
                ("udt_catalog", DATABASE.into()),
                ("udt_schema", "pg_catalog".into()),
                ("udt_name", found.name.into()),
                ("dtd_identifier", (position + 1).to_string().into()),
                ("is_self_referencing", "NO".into()),
                ("is_identity", "NO".into()),
                ("is_generated", "NEVER".into()),
                ("is_updatable", yes_or_no(relation.table.is_some())),
            ];
            if modifier >= 4 {
                cells.push(("numeric_precision_radix", Cell::Int(10)));
                cells.push(("numeric_precision", Cell::Int((modifier - 4) >> 16)));
                cells.push(("numeric_scale", Cell::Int((modifier - 4) & 0xffff)));
            }
            built.push(cells);
        }
    }
    built
}

fn views(facts: &Facts) -> Built {
    let mut built = Built::new(&[
        ("table_catalog", Text),
        ("table_schema", Text),
        ("table_name", Text),
        ("view_definition", Text),
        ("check_option", Text),
        ("is_updatable", Text),
        ("is_insertable_into", Text),
    ]);
    let views = facts.relations.iter();
    for relation in views.filter(|relation| relation.kind != RelationKind::Table) {
        built.push(vec![
            ("table_catalog", DATABASE.into()),
            ("table_schema", PUBLIC.into()),
            ("table_name", (&relation.name).into()),
            ("view_definition", (&relation.definition).into()),
            ("check_option", "NONE".into()),
            ("is_updatable", "NO".into()),
            ("is_insertable_into", "NO".into()),
        ]);
    }
    built
}

fn schemata() -> Built {
    let mut built = Built::new(&[
        ("catalog_name", Text),
        ("schema_name", Text),
        ("schema_owner", Text),
    ]);
    for name in [PUBLIC, "pg_catalog", "information_schema", "mainstem"] {
        built.push(vec![
            ("catalog_name", DATABASE.into()),
            ("schema_name", name.into()),
            ("schema_owner", super::USER.into()),
        ]);
    }
    built
}

/// The columns that tell a primary key and its table.
const KEY: [(&str, super::builder::Kind); 6] = [
    ("constraint_catalog", Text),
    ("constraint_schema", Text),
    ("constraint_name", Text),
    ("table_catalog", Text),
    ("table_schema", Text),
    ("table_name", Text),
];

fn key_cells(relation: &Relation) -> Vec<(&'static str, Cell)> {
    vec![
        ("constraint_catalog", DATABASE.into()),
        ("constraint_schema", PUBLIC.into()),
        ("constraint_name", key_name(relation).into()),
        ("table_catalog", DATABASE.into()),
        ("table_schema", PUBLIC.into()),
        ("table_name", (&relation.name).into()),
    ]
}

fn table_constraints(facts: &Facts) -> Built {
    let own = [
        ("constraint_type", Text),
        ("is_deferrable", Text),
        ("initially_deferred", Text),
        ("enforced", Text),
    ];
    let mut built = Built::new(&[&KEY[..], &own].concat());
    for relation in facts.relations.iter().filter(|relation| relation.has_key()) {
        let mut cells = key_cells(relation);
        cells.extend([
            ("constraint_type", "PRIMARY KEY".into()),
            ("is_deferrable", "NO".into()),
            ("initially_deferred", "NO".into()),
            ("enforced", "YES".into()),
        ]);
        built.push(cells);
    }
    built
}

fn key_columns(facts: &Facts) -> Built {
    let own = [
        ("column_name", Text),
        ("ordinal_position", Int4),
        ("position_in_unique_constraint", Int4),
    ];
    let mut built = Built::new(&[&KEY[..], &own].concat());
    for relation in facts.relations.iter().filter(|relation| relation.has_key()) {
        for (position, column) in relation.key_columns().into_iter().enumerate() {
            let mut cells = key_cells(relation);
            cells.extend([
                ("column_name", column.into()),
                ("ordinal_position", Cell::Int(position as i64 + 1)),
            ]);
            built.push(cells);
        }
    }
    built
}

/// The columns that a constraint is about: those of the keys, as there are no others.
fn constraint_columns(facts: &Facts) -> Built {
    let mut built = Built::new(&[&KEY[..], &[("column_name", Text)]].concat());
    for relation in facts.relations.iter().filter(|relation| relation.has_key()) {
        for column in relation.key_columns() {
            let mut cells = key_cells(relation);
            cells.push(("column_name", column.into()));
            built.push(cells);
        }
    }
    built
}
