//! The oracle: after every step of a random history, each live view equals what DataFusion answers
//! from scratch over the same rows, with one worker and with two.

pub mod aggregates;
mod compare;
mod grammar;
mod harness;
mod history;
pub mod joins;
mod large;
mod readers;
pub mod relational;
mod restart;
mod tables;
pub mod temporal;
pub mod time_relations;
mod wide;
pub mod windows;

use std::io::Write;

use harness::Harness;
pub use harness::catalog;
use history::{Change, History};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// Views that each exercise one construct; the random grammar combines them.
pub const CONSTRUCTS: &[&str] = &[
    "SELECT * FROM r",
    "SELECT a + 1 AS x, upper(t) AS y FROM r WHERE b > 2 OR t IS NULL",
    "SELECT a, count(*) AS n, count(b) AS nb, sum(b) AS sb, sum(d) AS sd, avg(b) AS ab, avg(d) AS ad FROM r GROUP BY a",
    "SELECT a, min(b) AS low, max(b) AS high, min(d) AS dl, max(d) AS dh FROM r GROUP BY a",
    "SELECT a, min(t) AS low, max(t) AS high, count(*) AS n FROM r GROUP BY a",
    "SELECT t, a, count(DISTINCT b) AS n, sum(DISTINCT b) AS s, count(DISTINCT t) AS nt FROM r GROUP BY t, a",
    "SELECT count(*) AS n, sum(b) AS s, min(t) AS low, max(d) AS high, avg(f) AS af FROM r",
    "SELECT count(*) FILTER (WHERE b > 3) AS n, sum(b) FILTER (WHERE t IS NOT NULL) AS s, max(b) FILTER (WHERE a = 1) AS m FROM r",
    "SELECT a, sum(f) AS s, avg(f) AS m FROM r GROUP BY a",
    "SELECT DISTINCT a, t FROM r",
    "SELECT a, b FROM r UNION ALL SELECT k, v FROM s",
    "SELECT a, b FROM r UNION SELECT k, v FROM s",
    "SELECT a FROM r EXCEPT SELECT k FROM s",
    "SELECT a FROM r INTERSECT SELECT k FROM s",
    "SELECT r.a, r.b, s.v FROM r JOIN s ON r.a = s.k",
    "SELECT r.a, r.b, s.v FROM r LEFT JOIN s ON r.a = s.k",
    "SELECT r.a, r.b, s.k, s.v FROM r RIGHT JOIN s ON r.a = s.k",
    "SELECT r.a, r.b, s.k, s.v FROM r FULL JOIN s ON r.a = s.k",
    "SELECT r.a, r.b, s.v FROM r JOIN s ON r.a = s.k AND r.b < s.v",
    "SELECT r.a, r.b, s.v FROM r LEFT JOIN s ON r.a = s.k AND r.b < s.v",
    "SELECT r.a, r.b, s.k, s.v FROM r FULL JOIN s ON r.a = s.k AND r.b < s.v",
    "SELECT r.a, s.k FROM r JOIN s ON r.b < s.v",
    "SELECT r.a, s.k FROM r CROSS JOIN s",
    "SELECT r.a, x.t, s.w FROM r JOIN r AS x ON r.a = x.b JOIN s ON x.t = s.w",
    "SELECT r.a + 1 AS p, s.k FROM r JOIN s ON r.a + 1 = s.k * 2",
    "SELECT a, b FROM r WHERE EXISTS (SELECT 1 FROM s WHERE s.k = r.a)",
    "SELECT a, b FROM r WHERE NOT EXISTS (SELECT 1 FROM s WHERE s.k = r.a AND s.v > r.b)",
    "SELECT a, b FROM r WHERE a IN (SELECT k FROM s)",
    "SELECT a, b FROM r WHERE b NOT IN (SELECT v FROM s)",
    "SELECT a, b FROM r WHERE b > 3 OR a IN (SELECT k FROM s)",
    "SELECT a, (SELECT max(v) FROM s) AS m FROM r",
    "SELECT a, (SELECT count(*) FROM s WHERE s.k = r.a) AS n FROM r",
    "SELECT a, b FROM r WHERE b > (SELECT avg(v) FROM s WHERE s.k = r.a)",
    "SELECT * FROM (SELECT a, b, t, ROW_NUMBER() OVER (PARTITION BY a ORDER BY b DESC, t, d, f) AS n FROM r) WHERE n <= 2",
    "SELECT a, b, t FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY a ORDER BY b, t NULLS FIRST, d, f) AS n FROM r) WHERE n = 1",
    "SELECT a, b FROM r ORDER BY b DESC NULLS LAST, a LIMIT 3",
    "SELECT a, t FROM r ORDER BY t, a LIMIT 2 OFFSET 1",
    "SELECT a, n FROM (SELECT a, count(*) AS n FROM r GROUP BY a) ORDER BY n DESC, a LIMIT 2",
    "WITH g AS (SELECT a, sum(b) AS s FROM r GROUP BY a) SELECT x.a, x.s, y.s AS z FROM g x JOIN g y ON x.a = y.a + 1",
    "SELECT a, count(*) AS n FROM r GROUP BY a HAVING count(*) > 1",
    "SELECT CASE WHEN b IS NULL THEN 'none' WHEN b > 3 THEN 'big' ELSE 'small' END AS size, count(*) AS n FROM r GROUP BY 1",
    "SELECT * FROM (VALUES (1, 'one'), (2, 'two')) AS v(n, word) LEFT JOIN r ON r.a = v.n",
    "SELECT s.w, count(*) AS n FROM r JOIN s ON r.a = s.k GROUP BY s.w",
    "SELECT 1 AS one, sum(v) AS total FROM s HAVING sum(v) > 5",
];

#[test]
fn constructs_equal_batch_answers() {
    check_all(CONSTRUCTS);
}

#[test]
fn aggregates_equal_batch_answers() {
    let views = [
        aggregates::ADDITIVE,
        aggregates::PICKED,
        aggregates::QUANTILES,
        aggregates::MODES,
        aggregates::RECOMPUTED,
        aggregates::GROUPINGS,
    ];
    check_all(&views.concat());
}

#[test]
fn window_functions_equal_batch_answers() {
    check_all(windows::WINDOWS);
}

/// Checks each view with one worker and with two, and reports all that fail.
fn check_all(views: &[&str]) {
    let seed = seed();
    let mut failures = Vec::new();
    for (number, sql) in views.iter().enumerate() {
        let outcome = std::panic::catch_unwind(|| {
            for workers in [1, 2] {
                let mut random = Pcg64::seed_from_u64(seed ^ number as u64);
                check(sql, workers, 12, &mut random, seed);
            }
        });
        if outcome.is_err() {
            failures.push(*sql);
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn random_views_equal_batch_answers() {
    let (seed, cases) = seed_and_cases(40);
    for case in 0..cases {
        let mut random = Pcg64::seed_from_u64(seed.wrapping_add(case));
        let sql = grammar::query(&mut random);
        let workers = 1 + random.random_range(0..2);
        check(&sql, workers, 8, &mut random, seed.wrapping_add(case));
    }
}

/// The seed that is asked for, or a fresh one.
pub fn seed() -> u64 {
    let seed = chosen_seed();
    tell(&format!("ORACLE_SEED={seed}"));
    seed
}

/// The same, with how many random cases there are to be: as many as are asked for, or a few.
fn seed_and_cases(few: u64) -> (u64, u64) {
    let seed = chosen_seed();
    let cases = std::env::var("ORACLE_CASES");
    let cases = cases.map_or(few, |cases| cases.parse().expect("a number"));
    tell(&format!("ORACLE_SEED={seed} cases={cases}"));
    (seed, cases)
}

/// Writes a line about the running test, also if it passes: what is printed is shown only of tests
/// that fail.
fn tell(line: &str) {
    let thread = std::thread::current();
    let line = format!("{}: {line}\n", thread.name().unwrap_or("oracle"));
    let _ = std::io::stderr().write_all(line.as_bytes());
}

fn chosen_seed() -> u64 {
    let given = std::env::var("ORACLE_SEED")
        .ok()
        .map(|seed| seed.parse().expect("a number"));
    let fresh = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |now| u64::from(now.subsec_nanos()))
    };
    given.unwrap_or_else(fresh)
}

fn check(sql: &str, workers: usize, steps: usize, random: &mut Pcg64, seed: u64) {
    let context = format!("ORACLE_SEED={seed} workers={workers} view: {sql}");
    let mut history = History::new();
    let first = history.step(random, 12);
    let mut harness = Harness::start(workers);
    harness.commit(&first);
    harness
        .create(sql, &history)
        .unwrap_or_else(|error| panic!("{context}: {error}"));
    harness.assert_equal(&history, &context);
    for step in 0..steps {
        let transactions = if step % 4 == 3 { 3 } else { 1 };
        let changes: Vec<Change> = (0..transactions).map(|_| history.step(random, 6)).collect();
        harness.commit_all(&changes.iter().collect::<Vec<_>>());
        harness.assert_equal(&history, &format!("{context} step={step}"));
    }
}
