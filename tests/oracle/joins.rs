//! Inner joins of several relations: chains, stars and cycles, of a table with itself, with
//! duplicates and NULLs, changed in several places by one transaction.

use std::collections::BTreeSet;

use mainstem::log::fs::MemoryFileSystem;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::grammar::pick;
use super::harness::{Harness, catalog};
use super::history::History;
use super::restart::{assert_right, name, open, submission};
use super::{check, seed, seed_and_cases};

/// Views that each exercise one construct.
pub const JOINS: &[&str] = &[
    // Chains.
    "SELECT r.a, r.b, s.v, x.t FROM r JOIN s ON r.a = s.k JOIN r AS x ON s.v = x.b",
    "SELECT r.a, s.k, x.a AS xa, y.v FROM r JOIN s ON r.b = s.v JOIN r AS x ON x.t = s.w JOIN s AS y ON y.k = x.a",
    // Stars, by keys of their own and by one key.
    "SELECT r.a, s.w, x.v, y.d FROM r JOIN s ON r.a = s.k JOIN s AS x ON r.b = x.v JOIN r AS y ON r.t = y.t",
    "SELECT r.a, r.b, x.b AS xb, s.v FROM r JOIN r AS x ON r.a = x.a JOIN s ON s.k = x.a",
    "SELECT r.a, x.k, y.k AS yk, z.w FROM r, s AS x, s AS y, s AS z WHERE r.a = x.k AND x.k = y.k AND r.a = z.k",
    // Cycles.
    "SELECT x.k, y.k AS yk, z.k AS zk FROM s AS x JOIN s AS y ON x.v = y.k JOIN s AS z ON y.v = z.k AND z.v = x.k",
    "SELECT r.a, s.v, x.t FROM r JOIN s ON r.a = s.k AND r.b = s.v JOIN r AS x ON x.a = r.b AND x.b = s.k",
    // Keys of several columns, and two columns that equal a third.
    "SELECT r.a, s.w, x.b FROM r JOIN s ON r.a = s.k AND r.t = s.w JOIN r AS x ON x.b = s.v AND x.t = r.t",
    "SELECT r.a, s.w, x.d FROM r JOIN s ON r.a = s.k AND r.a = s.v JOIN r AS x ON x.a = r.a AND x.b = s.k",
    // Further conditions, some of which may fail for other rows.
    "SELECT r.a, s.v, x.b FROM r JOIN s ON r.a = s.k AND r.b < s.v JOIN r AS x ON s.v = x.b AND x.a <> r.a",
    "SELECT r.a, s.v, x.b FROM r JOIN s ON r.a = s.k JOIN r AS x ON s.v = x.b WHERE r.b + x.a > s.v OR r.t = s.w",
    "SELECT r.a + x.a AS p, upper(s.w) AS u FROM r JOIN s ON r.a = s.k JOIN r AS x ON s.v = x.b WHERE x.t IS NULL",
    // Under and over other operators.
    "SELECT r.a, count(*) AS n, sum(x.b) AS b FROM r JOIN s ON r.a = s.k JOIN r AS x ON s.v = x.b GROUP BY r.a",
    "SELECT count(*) AS n FROM r JOIN s ON r.a = s.k JOIN r AS x ON s.v = x.b",
    "SELECT r.a, g.n, s.w FROM r JOIN (SELECT a, count(*) AS n FROM r GROUP BY a) AS g ON r.a = g.a JOIN s ON s.v = g.n",
    "SELECT DISTINCT r.a, s.v FROM r JOIN s ON r.a = s.k JOIN (VALUES (1, 'a'), (2, 'b')) AS l(n, word) ON l.n = s.v",
    "SELECT r.a, s.v, x.b, y.w FROM r JOIN s ON r.a = s.k JOIN r AS x ON s.v = x.b LEFT JOIN s AS y ON y.k = x.a",
    "SELECT r.f, x.a, s.k FROM r JOIN r AS x ON r.f = x.f JOIN s ON s.k = x.a",
    "SELECT r.a AS p, r.a AS q, s.v, s.v AS v2, x.b FROM r JOIN s ON r.a = s.k JOIN r AS x ON s.v = x.b",
    // More than one join makes alone.
    "SELECT r.a, t.v FROM r JOIN s ON r.a = s.k JOIN s AS t ON t.k = s.v JOIN s AS u ON u.k = t.v JOIN r AS x ON x.b = u.v JOIN s AS y ON y.k = x.a JOIN s AS z ON z.v = y.v AND z.w = r.t",
];

#[test]
fn joins_of_several_relations_equal_batch_answers() {
    let seed = seed();
    for (number, sql) in JOINS.iter().enumerate() {
        for workers in [1, 2, 3] {
            let mut random = Pcg64::seed_from_u64(seed ^ number as u64);
            check(sql, workers, 8, &mut random, seed);
        }
    }
}

/// A random join of three to five relations, each joined to one before it.
pub fn random_join(random: &mut Pcg64) -> String {
    let relations = random.random_range(3..=5);
    let tables: Vec<&str> = (0..relations).map(|_| pick(random, &["r", "s"])).collect();
    let numbers = |table: &str| match table {
        "r" => ["a", "b"],
        _ => ["k", "v"],
    };
    let text = |table: &str| if table == "r" { "t" } else { "w" };
    let number = |random: &mut Pcg64, relation: usize| {
        format!("q{relation}.{}", pick(random, &numbers(tables[relation])))
    };
    let mut joined = format!("{} AS q0", tables[0]);
    for relation in 1..relations {
        let mut conditions = Vec::new();
        for _ in 0..random.random_range(1..=2) {
            let other = random.random_range(0..relation);
            conditions.push(match random.random_range(0..6) {
                0 => format!(
                    "q{relation}.{} = q{other}.{}",
                    text(tables[relation]),
                    text(tables[other])
                ),
                _ => format!("{} = {}", number(random, relation), number(random, other)),
            });
        }
        if random.random_bool(0.3) {
            let other = random.random_range(0..relation);
            let operator = pick(random, &["<", "<>", ">="]);
            let (one, other) = (number(random, relation), number(random, other));
            conditions.push(format!("{one} {operator} {other}"));
        }
        let table = tables[relation];
        joined += &format!(
            " JOIN {table} AS q{relation} ON {}",
            conditions.join(" AND ")
        );
    }
    let columns: Vec<String> = (0..relations)
        .map(|relation| format!("{} AS c{relation}", number(random, relation)))
        .collect();
    let condition = match random.random_range(0..4) {
        0 => format!(" WHERE {} > 1", number(random, 0)),
        1 => format!(" WHERE {} IS NOT NULL", number(random, relations - 1)),
        _ => String::new(),
    };
    match random.random_range(0..3) {
        0 => format!(
            "SELECT c0, count(*) AS n FROM (SELECT {} FROM {joined}{condition}) AS j GROUP BY c0",
            columns.join(", ")
        ),
        _ => format!("SELECT {} FROM {joined}{condition}", columns.join(", ")),
    }
}

#[test]
fn random_joins_of_several_relations_equal_batch_answers() {
    let (seed, cases) = seed_and_cases(30);
    for case in 0..cases {
        let mut random = Pcg64::seed_from_u64(seed.wrapping_add(case));
        let sql = random_join(&mut random);
        let workers = random.random_range(1..=3);
        check(&sql, workers, 6, &mut random, seed.wrapping_add(case));
    }
}

/// Views begin and end while transactions are on their way, so that some find indexes that others
/// have made, with their history.
#[test]
fn joins_that_come_and_go_share_their_indexes() {
    let seed = seed();
    let mut random = Pcg64::seed_from_u64(seed);
    for workers in [1, 2] {
        let disk = MemoryFileSystem::new();
        let engine = open(&disk, workers);
        let tables = catalog().tables.into_values();
        let tables: Vec<_> = tables.map(|table| table.as_ref().clone()).collect();
        engine.ensure_tables(&tables).expect("tables");
        let mut history = History::new();
        let mut running: BTreeSet<usize> = BTreeSet::new();
        for step in 0..12 {
            for _ in 0..random.random_range(1..4) {
                let change = history.step(&mut random, 6);
                engine.enqueue(submission(&change)).expect("enqueued");
            }
            for _ in 0..2 {
                let view = random.random_range(0..JOINS.len());
                if !running.remove(&view) {
                    running.insert(view);
                }
            }
            let files: Vec<_> = running
                .iter()
                .map(|view| {
                    let name = name(*view);
                    let create = format!("CREATE MATERIALIZED VIEW {name} AS {}", JOINS[*view]);
                    (name, create)
                })
                .collect();
            engine.sync_views(&files).expect("views");
            engine.flush().expect("complete");
            let context = format!("ORACLE_SEED={seed} workers={workers} step={step}");
            let views = running.iter().map(|view| (*view, JOINS[*view].to_owned()));
            assert_right(&engine, views, &history, &context);
        }
        engine.shutdown();
    }
}

/// All inputs change at one moment, again and again: what counts twice or not at all shows at once.
#[test]
fn what_changes_at_one_moment_counts_once() {
    let triangle = JOINS[5];
    for workers in [1, 2] {
        let mut history = History::new();
        let mut harness = Harness::start(workers);
        harness.create(triangle, &history).expect("a view");
        let edges = [(1, 2), (2, 3), (3, 1), (1, 1), (1, 2)];
        for sign in [1, -1, 1] {
            let rows = edges.map(|(k, v)| (Some(k), Some(v), None));
            for row in &rows {
                match sign {
                    1 => history.s.push(row.clone()),
                    _ => history.s.retain(|other| other != row),
                }
            }
            let change = super::history::Change {
                r: Vec::new(),
                s: rows.into_iter().map(|row| (row, sign)).collect(),
            };
            harness.commit(&change);
            harness.assert_equal(&history, &format!("workers={workers} sign={sign}"));
        }
    }
}
