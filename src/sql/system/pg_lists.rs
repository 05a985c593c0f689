//! The tables of `pg_catalog` that list the server's own things, and the relations by name.

use super::builder::Kind::{Bool, Char, Int4, Oid, Text, TextList};
use super::builder::{Built, Cell};
use super::facts::{Facts, RelationKind};
use super::functions::index_statement;
use super::pg_catalog::key_name;
use super::{DATABASE, DATABASE_OID, PUBLIC, USER, USER_OID};

/// The number that Postgres gives the place of all tables.
const TABLESPACE_OID: i32 = 1663;

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
        ("dattablespace", Cell::Oid(TABLESPACE_OID)),
        ("datcollate", "C".into()),
        ("datctype", "C".into()),
    ]);
    built
}

/// The one place that all tables are in, as Postgres calls it.
pub(super) fn tablespaces() -> Built {
    let mut built = Built::new(&[
        ("oid", Oid),
        ("spcname", Text),
        ("spcowner", Oid),
        ("spcacl", TextList),
        ("spcoptions", TextList),
    ]);
    built.push(vec![
        ("oid", Cell::Oid(TABLESPACE_OID)),
        ("spcname", "pg_default".into()),
        ("spcowner", Cell::Oid(USER_OID)),
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
        ("extra_desc", Text),
        ("context", Text),
        ("vartype", Text),
        ("source", Text),
        ("min_val", Text),
        ("max_val", Text),
        ("enumvals", TextList),
        ("boot_val", Text),
        ("reset_val", Text),
        ("sourcefile", Text),
        ("sourceline", Int4),
        ("pending_restart", Bool),
    ]);
    for (name, setting) in facts.settings.iter() {
        built.push(vec![
            ("name", name.into()),
            ("setting", setting.into()),
            ("context", "user".into()),
            ("vartype", "string".into()),
            ("source", "session".into()),
            ("pending_restart", false.into()),
        ]);
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
        ("rolconfig", TextList),
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
    let mut built = Built::new(&[
        ("oid", Oid),
        ("amname", Text),
        ("amhandler", Text),
        ("amtype", Char),
    ]);
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

pub(super) fn index_list(facts: &Facts) -> Built {
    let mut built = Built::new(&[
        ("schemaname", Text),
        ("tablename", Text),
        ("indexname", Text),
        ("tablespace", Text),
        ("indexdef", Text),
    ]);
    for relation in facts.relations.iter().filter(|relation| relation.has_key()) {
        built.push(vec![
            ("schemaname", PUBLIC.into()),
            ("tablename", (&relation.name).into()),
            ("indexname", key_name(relation).into()),
            ("indexdef", index_statement(relation).into()),
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
