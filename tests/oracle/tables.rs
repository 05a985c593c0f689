//! Random histories through the whole engine: rows come, change, go, come twice and too late; each
//! table holds what a plain model of its rules says, and views over them what their query gives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use mainstem::engine::{Engine, Session};
use mainstem::model::{Change, ChangeKind, ColumnDefinition, Submission, TableDefinition};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::seed_and_cases;
use crate::engine::{open, rows, run};

const CREATE: &str = "CREATE TABLE keyed (id BIGINT, part TEXT, v BIGINT, PRIMARY KEY (id, part))";

/// Views over all tables; each is compared with its own text asked ad hoc.
const VIEWS: &[&str] = &[
    "SELECT part, count(*) AS n, sum(v) AS v, min(v) AS low FROM keyed GROUP BY part",
    "SELECT k.id, k.part, o.v AS other FROM keyed k LEFT JOIN versioned o ON k.id = o.id",
    "SELECT id, v FROM versioned WHERE v NOT IN (SELECT v FROM keyed WHERE v IS NOT NULL)",
    "SELECT e.source, count(DISTINCT k.part) AS parts, max(e.v) AS v FROM events e JOIN keyed k ON e.v = k.v GROUP BY e.source",
    "SELECT v, rank() OVER (ORDER BY v DESC) AS r FROM (SELECT v FROM keyed UNION ALL SELECT v FROM versioned)",
];

/// What the tables should hold.
#[derive(Clone, Default)]
struct Model {
    keyed: BTreeMap<(i64, String), Option<i64>>,
    /// Version and value.
    versioned: BTreeMap<i64, (i64, i64)>,
    identities: BTreeSet<(String, i64)>,
    events: Vec<(String, i64, i64)>,
}

/// A table of numbers, but for the texts named.
fn table(name: &str, columns: &[&str], texts: &[&str]) -> TableDefinition {
    let columns = columns.iter().map(|column| ColumnDefinition {
        name: (*column).to_owned(),
        data_type: match texts.contains(column) {
            true => DataType::Utf8,
            false => DataType::Int64,
        },
        nullable: false,
        description: String::new(),
        default: None,
        max_length: None,
    });
    TableDefinition {
        name: name.to_owned(),
        description: String::new(),
        columns: columns.collect(),
        primary_key: Vec::new(),
        version: Vec::new(),
        event_identity: Vec::new(),
        append_only: false,
    }
}

fn definitions() -> Vec<TableDefinition> {
    vec![
        TableDefinition {
            primary_key: vec![0],
            version: vec![1],
            ..table("versioned", &["id", "version", "v"], &[])
        },
        TableDefinition {
            event_identity: vec![0, 1],
            ..table("events", &["source", "event", "v"], &["source"])
        },
    ]
}

#[test]
fn random_histories_of_tables_follow_their_rules() {
    let (seed, cases) = seed_and_cases(2);
    for case in 0..cases {
        let seed = seed.wrapping_add(case);
        let mut random = Pcg64::seed_from_u64(seed);
        crate::engine::runtime().block_on(check(&mut random, &format!("ORACLE_SEED={seed}")));
    }
}

async fn check(random: &mut Pcg64, context: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut model = Model::default();
    let mut engine = open(directory.path(), 2);
    engine.ensure_tables(&definitions()).expect("tables");
    let mut session = engine.session();
    run(&mut session, CREATE).await.expect("created");
    for (number, sql) in VIEWS.iter().enumerate() {
        let create = format!("CREATE MATERIALIZED VIEW v{number} AS {sql}");
        run(&mut session, &create).await.expect(sql);
    }
    for step in 0..30 {
        match random.random_range(0..10) {
            0..3 => submit(&engine, &mut model, random),
            3 => {
                if random.random_bool(0.5) {
                    engine.checkpoint().expect("written");
                }
                engine.shutdown();
                engine = open(directory.path(), 1 + step % 2);
                session = engine.session();
            }
            4 => transaction(&mut session, &mut model, random).await,
            _ => statement(&mut session, &mut model, random).await,
        }
        engine.flush().expect("complete");
        compare(&mut session, &model, &format!("{context} step={step}")).await;
    }
    engine.shutdown();
}

/// Several statements that take effect together, or not at all.
async fn transaction(session: &mut Session, model: &mut Model, random: &mut Pcg64) {
    let before = model.clone();
    run(session, "BEGIN").await.expect("begun");
    for _ in 0..random.random_range(1..5) {
        statement(session, model, random).await;
        let sql = "SELECT id, part, v FROM keyed ORDER BY id, part";
        assert_eq!(rows(session, sql).await, keyed(model), "own writes");
    }
    match random.random_bool(0.7) {
        true => run(session, "COMMIT").await.expect("committed"),
        false => {
            *model = before;
            run(session, "ROLLBACK").await.expect("forgotten")
        }
    };
}

async fn statement(session: &mut Session, model: &mut Model, random: &mut Pcg64) {
    let id = random.random_range(0..5);
    let part = ["", "a", "ß"][random.random_range(0..3)];
    let value = match random.random_range(0..8) {
        0 => None,
        _ => Some(random.random_range(0..6)),
    };
    let text = value.map_or("NULL".to_owned(), |value: i64| value.to_string());
    let key = (id, part.to_owned());
    let rows = &mut model.keyed;
    let row = format!("({id}, '{part}', {text})");
    let sql = match random.random_range(0..7) {
        0 => {
            rows.remove(&key);
            format!("DELETE FROM keyed WHERE id = {id} AND part = '{part}'")
        }
        1 => {
            rows.retain(|_, v| *v != value || v.is_none());
            format!("DELETE FROM keyed WHERE v = {text}")
        }
        2 => {
            let changed = rows.iter_mut().filter(|((_, p), _)| p == part);
            changed.for_each(|(_, v)| *v = v.map(|v| v + 1));
            format!("UPDATE keyed SET v = v + 1 WHERE part = '{part}'")
        }
        3 => {
            rows.entry(key).or_insert(value);
            format!("INSERT INTO keyed VALUES {row} ON CONFLICT DO NOTHING")
        }
        4 => {
            let sum = |old: &mut Option<i64>| *old = old.zip(value).map(|(old, new)| old + new);
            rows.entry(key).and_modify(sum).or_insert(value);
            format!(
                "INSERT INTO keyed VALUES {row} ON CONFLICT (id, part) DO UPDATE SET v = keyed.v + excluded.v"
            )
        }
        _ => {
            rows.insert(key, value);
            format!("INSERT INTO keyed VALUES {row}")
        }
    };
    run(session, &sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Versions and events, out of order and several times.
fn submit(engine: &Engine, model: &mut Model, random: &mut Pcg64) {
    let mut versions: Vec<(i64, i64, i64)> = (0..random.random_range(0..8))
        .map(|_| {
            let version = random.random_range(0..40);
            // What a version of an id says never changes.
            let id = random.random_range(0..5);
            (id, version, (version * 7 + id) % 6)
        })
        .collect();
    versions.shuffle(random);
    for (id, version, v) in &versions {
        let there = model.versioned.get(id).map(|(version, _)| *version);
        if there.is_none_or(|there| there <= *version) {
            model.versioned.insert(*id, (*version, *v));
        }
    }
    let events: Vec<(String, i64, i64)> = (0..random.random_range(0..6))
        .map(|_| {
            let source = ["shop", "till"][random.random_range(0..2)].to_owned();
            (
                source,
                random.random_range(0..30),
                random.random_range(0..6),
            )
        })
        .collect();
    for event in &events {
        if model.identities.insert((event.0.clone(), event.1)) {
            model.events.push(event.clone());
        }
    }
    let numbers = |of: &dyn Fn(usize) -> i64, length: usize| -> ArrayRef {
        Arc::new((0..length).map(of).collect::<Int64Array>())
    };
    let versioned = [
        numbers(&|row| versions[row].0, versions.len()),
        numbers(&|row| versions[row].1, versions.len()),
        numbers(&|row| versions[row].2, versions.len()),
    ];
    let sources: StringArray = events.iter().map(|event| Some(event.0.as_str())).collect();
    let happened = [
        Arc::new(sources) as ArrayRef,
        numbers(&|row| events[row].1, events.len()),
        numbers(&|row| events[row].2, events.len()),
    ];
    let columns = [versioned.to_vec(), happened.to_vec()];
    let changes = definitions().into_iter().zip(columns);
    let changes = changes.map(|(table, columns)| Change {
        table: Arc::from(table.name.as_str()),
        kind: ChangeKind::Upsert,
        rows: RecordBatch::try_new(table.schema(), columns).expect("columns fit"),
    });
    let submission = Submission {
        changes: changes
            .filter(|change| change.rows.num_rows() > 0)
            .collect(),
        ..Submission::default()
    };
    if !submission.changes.is_empty() {
        engine.submit(submission).expect("submitted");
    }
}

fn keyed(model: &Model) -> String {
    let rows = model.keyed.iter().map(|((id, part), v)| {
        let v = v.map_or(String::new(), |v| v.to_string());
        format!("{id},{part},{v}")
    });
    rows.collect::<Vec<_>>().join(" ")
}

async fn compare(session: &mut Session, model: &Model, context: &str) {
    let sql = "SELECT id, part, v FROM keyed ORDER BY id, part";
    assert_eq!(rows(session, sql).await, keyed(model), "{context}");
    let versioned = model.versioned.iter();
    let versioned: Vec<String> = versioned
        .map(|(id, (version, v))| format!("{id},{version},{v}"))
        .collect();
    let sql = "SELECT id, version, v FROM versioned ORDER BY id";
    assert_eq!(rows(session, sql).await, versioned.join(" "), "{context}");
    let mut events: Vec<String> = model
        .events
        .iter()
        .map(|(source, event, v)| format!("{source},{event},{v}"))
        .collect();
    events.sort();
    let found = rows(session, "SELECT source, event, v FROM events").await;
    let mut found: Vec<&str> = found.split(' ').filter(|row| !row.is_empty()).collect();
    found.sort_unstable();
    assert_eq!(found, events, "{context}");
    for (number, sql) in VIEWS.iter().enumerate() {
        let order = "ORDER BY 1 NULLS LAST, 2 NULLS LAST";
        let live = rows(session, &format!("SELECT * FROM v{number} {order}")).await;
        let fresh = rows(session, &format!("SELECT * FROM ({sql}) {order}")).await;
        let sorted = |text: &str| {
            let mut rows: Vec<String> = text.split(' ').map(str::to_owned).collect();
            rows.sort();
            rows
        };
        assert_eq!(sorted(&live), sorted(&fresh), "{context} view {sql}");
    }
}
