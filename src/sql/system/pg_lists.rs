//! The tables of `pg_catalog` that list the server's own things, and the relations by name.

use super::builder::Kind::{Bool, Char, Int4, Oid, Text, TextList};
use super::builder::{Built, Cell};
use super::facts::{Facts, RelationKind};
use super::{DATABASE, DATABASE_OID, PUBLIC, USER, USER_OID};

pub(super) fn databases() -> Built {
    let mut built = Built::new(&[
        ("oid", Oid),
        ("datname", Text),
        ("datdba", Oid),
        ("encoding", Int4),
        ("datlocprovider", Char),
        ("datistemplate", Bool),
        ("datallowconn", Bool),
        ("datconnlimit", Int4),
        ("dattablespace", Oid),
        ("datcollate", Text),
        ("datctype", Text),
        ("daticulocale", Text),
        ("daticurules", Text),
        ("datlocale", Text),
        ("datacl", TextList),
    ]);
    built.push(vec![
        ("oid", Cell::Oid(DATABASE_OID)),
        ("datname", DATABASE.into()),
        ("datdba", Cell::Oid(USER_OID)),
        ("encoding", Cell::Int(6)),
        ("datlocprovider", "c".into()),
        ("datistemplate", false.into()),
        ("datallowconn", true.into()),
        ("datconnlimit", Cell::Int(-1)),
        ("dattablespace", Cell::Oid(0)),
        ("datcollate", "C".into()),
        ("datctype", "C".into()),
    ]);
    built
}

/// What `SHOW ALL` shows.
pub(super) fn settings(facts: &Facts) -> Built {
    let mut built = Built::new(&[
        ("name", Text),
        ("setting", Text),
        ("unit", Text),
        ("category", Text),
        ("short_desc", Text),
    ]);
    for (name, setting) in facts.settings.iter() {
        built.push(vec![("name", name.into()), ("setting", setting.into())]);
    }
    built
}

pub(super) fn roles() -> Built {
    let mut built = Built::new(&[
        ("oid", Oid),
        ("rolname", Text),
        ("usename", Text),
        ("usesysid", Oid),
        ("rolsuper", Bool),
        ("rolinherit", Bool),
        ("rolcreaterole", Bool),
        ("rolcreatedb", Bool),
        ("rolcanlogin", Bool),
        ("rolreplication", Bool),
        ("rolbypassrls", Bool),
        ("rolconnlimit", Int4),
        ("rolvaliduntil", Text),
    ]);
    let is = |name| (name, Cell::Bool(true));
    built.push(vec![
        ("oid", Cell::Oid(USER_OID)),
        ("rolname", USER.into()),
        ("usename", USER.into()),
        ("usesysid", Cell::Oid(USER_OID)),
        is("rolsuper"),
        is("rolinherit"),
        is("rolcreaterole"),
        is("rolcreatedb"),
        is("rolcanlogin"),
        ("rolreplication", false.into()),
        ("rolbypassrls", false.into()),
        ("rolconnlimit", Cell::Int(-1)),
    ]);
    built
}

pub(super) fn access_methods() -> Built {
    let mut built = Built::new(&[("oid", Oid), ("amname", Text), ("amtype", Char)]);
    built.push(vec![
        ("oid", Cell::Oid(2)),
        ("amname", "columns".into()),
        ("amtype", "t".into()),
    ]);
    built
}

pub(super) fn tables(facts: &Facts) -> Built {
    let mut built = Built::new(&[
        ("schemaname", Text),
        ("tablename", Text),
        ("tableowner", Text),
        ("tablespace", Text),
        ("hasindexes", Bool),
        ("hasrules", Bool),
        ("hastriggers", Bool),
        ("rowsecurity", Bool),
    ]);
    let tables = facts.relations.iter();
    for relation in tables.filter(|relation| relation.kind == RelationKind::Table) {
        built.push(vec![
            ("schemaname", PUBLIC.into()),
            ("tablename", (&relation.name).into()),
            ("tableowner", USER.into()),
            ("hasindexes", Cell::Bool(relation.has_key())),
            ("hasrules", false.into()),
            ("hastriggers", false.into()),
            ("rowsecurity", false.into()),
        ]);
    }
    built
}

pub(super) fn views(facts: &Facts, kind: RelationKind) -> Built {
    let mut built = Built::new(&[
        ("schemaname", Text),
        ("viewname", Text),
        ("matviewname", Text),
        ("viewowner", Text),
        ("matviewowner", Text),
        ("ispopulated", Bool),
        ("definition", Text),
    ]);
    let views = facts.relations.iter();
    for relation in views.filter(|relation| relation.kind == kind) {
        built.push(vec![
            ("schemaname", PUBLIC.into()),
            ("viewname", (&relation.name).into()),
            ("matviewname", (&relation.name).into()),
            ("viewowner", USER.into()),
            ("matviewowner", USER.into()),
            ("ispopulated", true.into()),
            ("definition", (&relation.definition).into()),
        ]);
    }
    built
}
