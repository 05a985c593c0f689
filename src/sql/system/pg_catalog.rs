//! The tables of `pg_catalog`.

use super::builder::Kind::{Bool, Char, Float4, Int2, Int2List, Int4, Oid, Text, TextList};
use super::builder::{Built, Cell};
use super::empty;
use super::facts::{Facts, Relation, RelationKind};
use super::pg_lists::{
    access_methods, databases, index_list, roles, settings, tables, tablespaces, views,
};
use super::pg_types::{TYPES, catalog_oid, of_column};
use super::routines::{self, ARRAY_RECEIVER};
use super::{PUBLIC, USER_OID};

/// The schemas, with the numbers that Postgres gives the first two.
pub(super) const SCHEMAS: &[(i32, &str)] = &[
    (11, "pg_catalog"),
    (PUBLIC_OID, PUBLIC),
    (13_000, "information_schema"),
    (13_001, "mainstem"),
];
pub(super) const PUBLIC_OID: i32 = 2200;

/// A table by its name.
pub(super) fn table(facts: &Facts, name: &str) -> Option<Built> {
    Some(match name {
        "pg_namespace" => namespaces(),
        "pg_class" => classes(facts),
        "pg_attribute" => attributes(facts),
        "pg_type" => types(),
        "pg_attrdef" => defaults(facts),
        "pg_index" => indexes(facts),
        "pg_constraint" => constraints(facts),
        "pg_description" => descriptions(facts),
        "pg_database" => databases(),
        "pg_roles" | "pg_user" | "pg_authid" => roles(),
        "pg_am" => access_methods(),
        "pg_tablespace" => tablespaces(),
        "pg_settings" => settings(facts),
        "pg_tables" => tables(facts),
        "pg_views" => views(facts, RelationKind::PlainView),
        "pg_matviews" => views(facts, RelationKind::LiveView),
        "pg_indexes" => index_list(facts),
        "pg_proc" => return routines::functions(facts),
        name => return empty::of_pg_catalog(name),
    })
}

fn namespaces() -> Built {
    let mut built = Built::new(&[
        ("oid", Oid),
        ("nspname", Text),
        ("nspowner", Oid),
        ("nspacl", TextList),
    ]);
    for (oid, name) in SCHEMAS {
        built.push(vec![
            ("oid", Cell::Oid(*oid)),
            ("nspname", (*name).into()),
            ("nspowner", Cell::Oid(USER_OID)),
        ]);
    }
    built
}

/// The letter for a kind of relation.
fn letter(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::Table => "r",
        RelationKind::LiveView => "m",
        RelationKind::PlainView => "v",
    }
}

fn classes(facts: &Facts) -> Built {
    let mut built = Built::new(&[
        ("oid", Oid),
        ("tableoid", Oid),
        ("relname", Text),
        ("relnamespace", Oid),
        ("reltype", Oid),
        ("reloftype", Oid),
        ("relowner", Oid),
        ("relam", Oid),
        ("relfilenode", Oid),
        ("reltablespace", Oid),
        ("relpages", Int4),
        ("reltuples", Float4),
        ("reltoastrelid", Oid),
        ("relhasindex", Bool),
        ("relisshared", Bool),
        ("relpersistence", Char),
        ("relkind", Char),
        ("relnatts", Int2),
        ("relchecks", Int2),
        ("relhasrules", Bool),
        ("relhastriggers", Bool),
        ("relhassubclass", Bool),
        ("relrowsecurity", Bool),
        ("relforcerowsecurity", Bool),
        ("relispopulated", Bool),
        ("relreplident", Char),
        ("relispartition", Bool),
        ("relacl", TextList),
        ("reloptions", TextList),
        ("relpartbound", Text),
    ]);
    let mut add = |oid: i32, name: String, kind: &str, columns: usize, rows: u64, has_index| {
        built.push(vec![
            ("oid", Cell::Oid(oid)),
            ("tableoid", Cell::Oid(catalog_oid("pg_class"))),
            ("relname", name.into()),
            ("relnamespace", Cell::Oid(PUBLIC_OID)),
            ("reltype", Cell::Oid(0)),
            ("reloftype", Cell::Oid(0)),
            ("relowner", Cell::Oid(USER_OID)),
            ("relam", Cell::Oid(2)),
            ("relfilenode", Cell::Oid(oid)),
            ("reltablespace", Cell::Oid(0)),
            ("relpages", Cell::Int(0)),
            (
                "reltuples",
                Cell::Int(i64::try_from(rows).unwrap_or(i64::MAX)),
            ),
            ("reltoastrelid", Cell::Oid(0)),
            ("relhasindex", Cell::Bool(has_index)),
            ("relisshared", false.into()),
            ("relpersistence", "p".into()),
            ("relkind", kind.into()),
            ("relnatts", Cell::Int(columns as i64)),
            ("relchecks", Cell::Int(0)),
            ("relhasrules", false.into()),
            ("relhastriggers", false.into()),
            ("relhassubclass", false.into()),
            ("relrowsecurity", false.into()),
            ("relforcerowsecurity", false.into()),
            ("relispopulated", true.into()),
            ("relreplident", "d".into()),
            ("relispartition", false.into()),
        ]);
    };
    for relation in &facts.relations {
        let columns = relation.schema.fields().len();
        let rows = relation.statistics.rows;
        let name = relation.name.clone();
        let kind = letter(relation.kind);
        add(relation.oid, name, kind, columns, rows, relation.has_key());
        if relation.has_key() {
            let name = key_name(relation);
            add(
                relation.key_oid(),
                name,
                "i",
                relation.key.len(),
                rows,
                false,
            );
        }
    }
    built
}

/// What the primary key is called, as Postgres would.
pub(super) fn key_name(relation: &Relation) -> String {
    format!("{}_pkey", relation.name)
}

fn attributes(facts: &Facts) -> Built {
    let mut built = Built::new(&[
        ("attrelid", Oid),
        ("attname", Text),
        ("atttypid", Oid),
        ("attstattarget", Int4),
        ("attlen", Int2),
        ("attnum", Int2),
        ("attndims", Int4),
        ("atttypmod", Int4),
        ("attbyval", Bool),
        ("attalign", Char),
        ("attstorage", Char),
        ("attcompression", Char),
        ("attnotnull", Bool),
        ("atthasdef", Bool),
        ("attidentity", Text),
        ("attgenerated", Text),
        ("attisdropped", Bool),
        ("attislocal", Bool),
        ("attinhcount", Int4),
        ("attcollation", Oid),
        ("attacl", TextList),
        ("attoptions", TextList),
        ("attfdwoptions", TextList),
    ]);
    for relation in &facts.relations {
        let fields = relation.schema.fields().iter().enumerate();
        let own = fields.map(|(position, field)| (relation.oid, position, field, position));
        let key = relation.has_key().then_some(&relation.key);
        let key = key.into_iter().flatten().enumerate();
        let key = key.map(|(place, position)| {
            let field = &relation.schema.fields()[*position];
            (relation.key_oid(), place, field, *position)
        });
        for (oid, place, field, position) in own.chain(key) {
            let (found, modifier) = of_column(field.data_type());
            let definition = relation.table.as_ref();
            let column = definition.and_then(|table| table.columns.get(position));
            let has_default = column.is_some_and(|column| column.default.is_some());
            built.push(vec![
                ("attrelid", Cell::Oid(oid)),
                ("attname", field.name().into()),
                ("atttypid", Cell::Oid(found.oid)),
                ("attstattarget", Cell::Int(-1)),
                ("attlen", Cell::Int(found.length)),
                ("attnum", Cell::Int(place as i64 + 1)),
                ("attndims", Cell::Int(i64::from(found.element != 0))),
                ("atttypmod", Cell::Int(modifier)),
                ("attbyval", false.into()),
                ("attalign", "i".into()),
                ("attstorage", "p".into()),
                ("attcompression", "".into()),
                ("attnotnull", Cell::Bool(!field.is_nullable())),
                ("atthasdef", Cell::Bool(has_default)),
                ("attidentity", "".into()),
                ("attgenerated", "".into()),
                ("attisdropped", false.into()),
                ("attislocal", true.into()),
                ("attinhcount", Cell::Int(0)),
                ("attcollation", Cell::Oid(0)),
            ]);
        }
    }
    built
}

fn types() -> Built {
    let mut built = Built::new(&[
        ("oid", Oid),
        ("typname", Text),
        ("typnamespace", Oid),
        ("typowner", Oid),
        ("typlen", Int2),
        ("typbyval", Bool),
        ("typtype", Char),
        ("typcategory", Char),
        ("typispreferred", Bool),
        ("typisdefined", Bool),
        ("typdelim", Char),
        ("typrelid", Oid),
        ("typelem", Oid),
        ("typarray", Oid),
        ("typinput", Text),
        ("typreceive", Oid),
        ("typnotnull", Bool),
        ("typbasetype", Oid),
        ("typtypmod", Int4),
        ("typndims", Int4),
        ("typcollation", Oid),
        ("typdefault", Text),
        ("typacl", TextList),
    ]);
    for found in TYPES {
        let (input, receiver) = match found.element {
            0 => (format!("{}in", found.name), 0),
            _ => ("array_in".to_owned(), ARRAY_RECEIVER),
        };
        built.push(vec![
            ("oid", Cell::Oid(found.oid)),
            ("typname", found.name.into()),
            ("typnamespace", Cell::Oid(11)),
            ("typowner", Cell::Oid(USER_OID)),
            ("typlen", Cell::Int(found.length)),
            ("typbyval", false.into()),
            (
                "typtype",
                if found.category == "P" { "p" } else { "b" }.into(),
            ),
            ("typcategory", found.category.into()),
            ("typispreferred", false.into()),
            ("typisdefined", true.into()),
            ("typdelim", ",".into()),
            ("typrelid", Cell::Oid(0)),
            ("typelem", Cell::Oid(found.element)),
            ("typarray", Cell::Oid(found.array)),
            ("typinput", input.into()),
            ("typreceive", Cell::Oid(receiver)),
            ("typnotnull", false.into()),
            ("typbasetype", Cell::Oid(0)),
            ("typtypmod", Cell::Int(-1)),
            ("typndims", Cell::Int(0)),
            ("typcollation", Cell::Oid(0)),
        ]);
    }
    built
}

fn defaults(facts: &Facts) -> Built {
    let mut built = Built::new(&[
        ("oid", Oid),
        ("adrelid", Oid),
        ("adnum", Int2),
        ("adbin", Text),
    ]);
    for relation in &facts.relations {
        let columns = relation.table.iter().flat_map(|table| &table.columns);
        for (position, column) in columns.enumerate() {
            if let Some(default) = &column.default {
                built.push(vec![
                    ("oid", Cell::Oid(relation.oid)),
                    ("adrelid", Cell::Oid(relation.oid)),
                    ("adnum", Cell::Int(position as i64 + 1)),
                    ("adbin", default.into()),
                ]);
            }
        }
    }
    built
}

/// The key's columns by their numbers.
fn key_numbers(relation: &Relation) -> Vec<i16> {
    let columns = relation.key.iter();
    columns
        .filter_map(|column| i16::try_from(column + 1).ok())
        .collect()
}

fn indexes(facts: &Facts) -> Built {
    let mut built = Built::new(&[
        ("indexrelid", Oid),
        ("indrelid", Oid),
        ("indnatts", Int2),
        ("indnkeyatts", Int2),
        ("indisunique", Bool),
        ("indnullsnotdistinct", Bool),
        ("indisprimary", Bool),
        ("indisexclusion", Bool),
        ("indimmediate", Bool),
        ("indisclustered", Bool),
        ("indisvalid", Bool),
        ("indisready", Bool),
        ("indislive", Bool),
        ("indisreplident", Bool),
        ("indkey", Int2List),
        ("indclass", Int2List),
        ("indoption", Int2List),
        ("indexprs", Text),
        ("indpred", Text),
    ]);
    for relation in facts.relations.iter().filter(|relation| relation.has_key()) {
        let numbers = key_numbers(relation);
        built.push(vec![
            ("indexrelid", Cell::Oid(relation.key_oid())),
            ("indrelid", Cell::Oid(relation.oid)),
            ("indnatts", Cell::Int(numbers.len() as i64)),
            ("indnkeyatts", Cell::Int(numbers.len() as i64)),
            ("indisunique", true.into()),
            ("indnullsnotdistinct", false.into()),
            ("indisprimary", true.into()),
            ("indisexclusion", false.into()),
            ("indimmediate", true.into()),
            ("indisclustered", false.into()),
            ("indisvalid", true.into()),
            ("indisready", true.into()),
            ("indislive", true.into()),
            ("indisreplident", false.into()),
            ("indoption", Cell::Int2List(vec![0; numbers.len()])),
            ("indclass", Cell::Int2List(vec![0; numbers.len()])),
            ("indkey", Cell::Int2List(numbers)),
        ]);
    }
    built
}

fn constraints(facts: &Facts) -> Built {
    let mut built = Built::new(&[
        ("oid", Oid),
        ("tableoid", Oid),
        ("conname", Text),
        ("connamespace", Oid),
        ("contype", Char),
        ("condeferrable", Bool),
        ("condeferred", Bool),
        ("convalidated", Bool),
        ("conrelid", Oid),
        ("contypid", Oid),
        ("conindid", Oid),
        ("conparentid", Oid),
        ("confrelid", Oid),
        ("confupdtype", Char),
        ("confdeltype", Char),
        ("confmatchtype", Char),
        ("conislocal", Bool),
        ("conkey", Int2List),
        ("confkey", Int2List),
        ("conbin", Text),
    ]);
    for relation in facts.relations.iter().filter(|relation| relation.has_key()) {
        built.push(vec![
            ("oid", Cell::Oid(relation.key_oid())),
            ("tableoid", Cell::Oid(catalog_oid("pg_constraint"))),
            ("conname", key_name(relation).into()),
            ("connamespace", Cell::Oid(PUBLIC_OID)),
            ("contype", "p".into()),
            ("condeferrable", false.into()),
            ("condeferred", false.into()),
            ("convalidated", true.into()),
            ("conrelid", Cell::Oid(relation.oid)),
            ("contypid", Cell::Oid(0)),
            ("conindid", Cell::Oid(relation.key_oid())),
            ("conparentid", Cell::Oid(0)),
            ("confrelid", Cell::Oid(0)),
            ("conislocal", true.into()),
            ("conkey", Cell::Int2List(key_numbers(relation))),
        ]);
    }
    built
}

fn descriptions(facts: &Facts) -> Built {
    let mut built = Built::new(&[
        ("objoid", Oid),
        ("classoid", Oid),
        ("objsubid", Int4),
        ("description", Text),
    ]);
    for relation in &facts.relations {
        let Some(table) = &relation.table else {
            continue;
        };
        let columns = table.columns.iter().map(|column| &column.description);
        let texts = std::iter::once(&table.description).chain(columns);
        for (number, text) in texts.enumerate().filter(|(_, text)| !text.is_empty()) {
            built.push(vec![
                ("objoid", Cell::Oid(relation.oid)),
                ("classoid", Cell::Oid(catalog_oid("pg_class"))),
                ("objsubid", Cell::Int(number as i64)),
                ("description", text.into()),
            ]);
        }
    }
    built
}
