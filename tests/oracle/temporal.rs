//! Views that change as time passes, against the same SQL with the time written into it.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::grammar::pick;
use super::harness::Harness;
use super::history::History;
use super::{seed, seed_and_cases};

/// `e(a, b, t, at, day)`: `at` is within the first milliseconds of the epoch, `day` within its
/// first days.
const EVENTS: &str = "(SELECT a, b, t, arrow_cast(b, 'Timestamp(Millisecond, Some(\"UTC\"))') AS at, arrow_cast(a, 'Date32') AS day FROM r)";

/// Views that change within milliseconds.
pub const BY_MILLISECOND: &[&str] = &[
    "SELECT a, b, at FROM {e} AS e WHERE at > now() - INTERVAL '3 milliseconds'",
    "SELECT a, b FROM {e} AS e WHERE at <= now()",
    "SELECT a, b FROM {e} AS e WHERE at + INTERVAL '2 milliseconds' < now() AND b > 1",
    "SELECT a, b FROM {e} AS e WHERE at BETWEEN now() - INTERVAL '4 milliseconds' AND now() + INTERVAL '1 millisecond'",
    "SELECT a, count(*) AS n, count(*) FILTER (WHERE at > now() - INTERVAL '2 milliseconds') AS short, sum(b) FILTER (WHERE at > now() - INTERVAL '5 milliseconds') AS long FROM {e} AS e GROUP BY a",
    "SELECT count(*) AS n, min(b) AS low, max(t) AS high FROM {e} AS e WHERE at > now() - INTERVAL '3 milliseconds'",
    "SELECT a, CASE WHEN at > now() THEN 'to come' WHEN at > now() - INTERVAL '4 milliseconds' THEN 'fresh' ELSE 'old' END AS state FROM {e} AS e",
    "SELECT a, b FROM {e} AS e WHERE at > now() + INTERVAL '1 millisecond' OR at < now() - INTERVAL '3 milliseconds' OR t = 'a'",
    "SELECT a, b FROM {e} AS e WHERE NOT (at > now() OR at IS NULL)",
    "SELECT a, at > now() AS is_ahead, at = now() AS is_just_there, at <> now() AS is_not FROM {e} AS e",
    "SELECT a, b FROM {e} AS e WHERE date_trunc('second', now()) >= at",
    "SELECT a, b FROM {e} AS e WHERE at > n - INTERVAL '3 milliseconds'",
    "SELECT a, b FROM {e} AS e WHERE now() + INTERVAL '2 milliseconds' = at AND (at <= now() + INTERVAL '2 milliseconds' OR at > now() - INTERVAL '3 milliseconds')",
    "SELECT e.a, s.v FROM {e} AS e JOIN s ON e.a = s.k AND e.at > now() - INTERVAL '3 milliseconds'",
    "SELECT e.a, s.v FROM {e} AS e LEFT JOIN s ON e.a = s.k AND arrow_cast(s.v, 'Timestamp(Millisecond, Some(\"UTC\"))') > now()",
    "SELECT e.a, s.v FROM {e} AS e JOIN s ON e.a = s.k AND e.at - arrow_cast(s.v, 'Duration(Millisecond)') > now() - INTERVAL '6 milliseconds'",
    "SELECT a, b FROM r WHERE a NOT IN (SELECT a FROM {e} AS e WHERE at > now() - INTERVAL '1 millisecond')",
    "SELECT k, v FROM s WHERE EXISTS (SELECT 1 FROM {e} AS e WHERE e.a = s.k AND e.at > now() - INTERVAL '2 milliseconds')",
    "SELECT a, b, t FROM {e} AS e WHERE at <= now() ORDER BY b DESC, a, t LIMIT 3",
    "SELECT DISTINCT a FROM {e} AS e WHERE at > now() - INTERVAL '3 milliseconds' UNION ALL SELECT k FROM s",
    "SELECT v.n, now() < v.at AS is_ahead FROM (VALUES (1, arrow_cast(4, 'Timestamp(Millisecond, Some(\"UTC\"))')), (2, arrow_cast(9, 'Timestamp(Millisecond, Some(\"UTC\"))'))) AS v(n, at) WHERE v.at > now() - INTERVAL '3 milliseconds'",
];

/// Tumbling, hopping and session windows as docs/sql-queries.md writes them.
pub const WINDOWS: &[&str] = &[
    "SELECT date_bin(INTERVAL '2 milliseconds', at) AS start, count(*) AS n FROM {e} AS e WHERE at IS NOT NULL GROUP BY 1",
    "SELECT start, count(*) AS n, sum(b) AS s FROM (SELECT b, unnest(generate_series(date_bin(INTERVAL '2 milliseconds', at) - INTERVAL '4 milliseconds', date_bin(INTERVAL '2 milliseconds', at), INTERVAL '2 milliseconds')) AS start FROM {e} AS e WHERE at IS NOT NULL) AS h GROUP BY start",
    "WITH e AS (SELECT a, at FROM {e} AS i WHERE at IS NOT NULL), starts AS (SELECT DISTINCT a, at FROM e WHERE NOT EXISTS (SELECT 1 FROM e AS p WHERE p.a = e.a AND p.at < e.at AND p.at >= e.at - INTERVAL '1 millisecond')), sessions AS (SELECT e.a, e.at, max(starts.at) AS start FROM (SELECT DISTINCT a, at FROM e) AS e JOIN starts ON starts.a = e.a AND starts.at <= e.at GROUP BY e.a, e.at) SELECT a, start, max(at) AS last, count(*) AS moments FROM sessions GROUP BY a, start",
];

/// Views that change within days.
pub const BY_DAY: &[&str] = &[
    "SELECT a, b FROM {e} AS e WHERE day = current_date",
    "SELECT a, b FROM {e} AS e WHERE day >= current_date - INTERVAL '2 days'",
    "SELECT a, b FROM {e} AS e WHERE day + INTERVAL '1 month' > current_date AND day <> current_date",
    "SELECT a, b FROM {e} AS e WHERE day < current_date - INTERVAL '1 month' OR day > current_date",
    "SELECT day, count(*) AS n FROM {e} AS e WHERE day > date_trunc('week', now()) - INTERVAL '1 month' GROUP BY day",
    "SELECT a, date_part('year', now()) > 1969 + a AS is_late FROM {e} AS e",
];

fn view(template: &str) -> String {
    let events = match template.contains(" n - INTERVAL") {
        true => format!("(SELECT *, now() AS n FROM {EVENTS} AS inside)"),
        false => EVENTS.to_owned(),
    };
    template.replace("{e}", &events)
}

/// All views of this file, as they are written.
pub fn views() -> Vec<String> {
    let templates = BY_MILLISECOND.iter().chain(BY_DAY).chain(WINDOWS);
    templates.map(|template| view(template)).collect()
}

/// A random condition on time.
fn condition(random: &mut Pcg64, depth: usize) -> String {
    if depth > 0 && random.random_bool(0.6) {
        let (left, right) = (condition(random, depth - 1), condition(random, depth - 1));
        return match random.random_range(0..3) {
            0 => format!("({left} AND {right})"),
            1 => format!("({left} OR {right})"),
            _ => format!("NOT {left}"),
        };
    }
    let operator = pick(random, &["<", "<=", ">", ">=", "=", "<>"]);
    let sign = pick(random, &["+", "-"]);
    let distance = random.random_range(0..6);
    match random.random_range(0..4) {
        0 => format!("b {operator} {distance}"),
        1 => format!("now() {sign} INTERVAL '{distance} milliseconds' {operator} at"),
        _ => format!("at {operator} now() {sign} INTERVAL '{distance} milliseconds'"),
    }
}

fn random_view(random: &mut Pcg64) -> String {
    let (one, two) = (condition(random, 2), condition(random, 1));
    match random.random_range(0..5) {
        0 => format!("SELECT a, b FROM {{e}} AS e WHERE {one}"),
        1 => format!(
            "SELECT a, count(*) FILTER (WHERE {one}) AS n, max(b) FILTER (WHERE {two}) AS m FROM {{e}} AS e GROUP BY a"
        ),
        2 => format!(
            "SELECT a, b, CASE WHEN {one} THEN 1 WHEN {two} THEN 2 END AS c FROM {{e}} AS e"
        ),
        3 => format!(
            "SELECT e.a, e.b, s.v FROM (SELECT * FROM {{e}} AS i WHERE {one}) AS e LEFT JOIN s ON e.a = s.k"
        ),
        _ => {
            format!("SELECT a, b, {one} AS c FROM {{e}} AS e WHERE {two} ORDER BY b, a, t LIMIT 4")
        }
    }
}

#[test]
fn random_conditions_follow_the_clock() {
    let (seed, cases) = seed_and_cases(25);
    for case in 0..cases {
        let seed = seed.wrapping_add(case);
        let mut random = Pcg64::seed_from_u64(seed);
        let template = random_view(&mut random);
        let workers = 1 + random.random_range(0..2);
        check(&template, 3, workers, &mut random, seed);
    }
}

fn check(template: &str, longest_pause_ms: u64, workers: usize, random: &mut Pcg64, seed: u64) {
    let sql = view(template);
    let context = format!("ORACLE_SEED={seed} workers={workers} view: {sql}");
    let mut history = History::new();
    let first = history.step(random, 12);
    let mut harness = Harness::start(workers);
    harness.commit(&first);
    let created = harness.create(&sql, &history);
    created.unwrap_or_else(|error| panic!("{context}: {error}"));
    harness.assert_equal(&history, &context);
    for step in 0..10 {
        match random.random_range(0..3) {
            0 => harness.pass(random.random_range(1..=longest_pause_ms)),
            _ => harness.commit(&history.step(random, 6)),
        }
        harness.assert_equal(&history, &format!("{context} step={step}"));
    }
}

#[test]
fn views_follow_the_clock() {
    let seed = seed();
    let lists = [(3, BY_MILLISECOND), (130_000_000, BY_DAY), (3, WINDOWS)];
    for (longest_pause_ms, templates) in lists {
        for (number, template) in templates.iter().enumerate() {
            for workers in [1, 2] {
                let mut random = Pcg64::seed_from_u64(seed ^ number as u64);
                check(template, longest_pause_ms, workers, &mut random, seed);
            }
        }
    }
}
