//! `tumble`, `hop`, `session` and ASOF joins against the same in other words, live and ad hoc.

use std::sync::Arc;

use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::error::Result;
use datafusion::logical_expr::TableSource;
use datafusion::prelude::SessionContext;
use mainstem::sql::planner::Sources;
use mainstem::sql::session_state::session_config;
use mainstem::sql::{Planner, statement};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::compare::differences;
use super::grammar::pick;
use super::harness::{Harness, batch_answer};
use super::history::{History, batch_r, batch_s};
use super::{seed, seed_and_cases};

/// Events whose times lie within a few milliseconds, or days.
const EVENTS: &str = "(SELECT a, b, t, arrow_cast(b, 'Timestamp(Microsecond, Some(\"UTC\"))') AS at, arrow_cast(b, 'Timestamp(Millisecond, None)') AS coarse, arrow_cast(b, 'Date32') AS day FROM r)";

/// A view, and a query that says the same in DataFusion's own words.
struct Pair {
    view: String,
    words: String,
}

/// Views that each exercise one construct.
pub fn views() -> Vec<String> {
    fixed().into_iter().map(|pair| pair.view).collect()
}

fn fixed() -> Vec<Pair> {
    let fine = "microseconds";
    let mut pairs = vec![
        tumble("e", "at", fine, 2, None),
        tumble("e", "coarse", "milliseconds", 3, Some(1)),
        tumble("(SELECT * FROM e WHERE a > 0)", "day", "days", 2, None),
        hop("e", "at", fine, (2, 4), None),
        hop("e", "at", fine, (2, 3), Some(1)),
        hop("e", "at", fine, (3, 1), None),
        hop("e", "day", "days", (1, 3), None),
        session("e", "at", fine, 1, Some("a")),
        session("e", "at", fine, 2, None),
        session("e", "coarse", "milliseconds", 1, Some("t")),
        session(
            "(SELECT * FROM e WHERE b <> 3)",
            "day",
            "days",
            1,
            Some("a"),
        ),
        grouped_sessions(1),
    ];
    for operator in [">=", ">", "<=", "<"] {
        pairs.push(as_of(operator, true));
        pairs.push(as_of(operator, false));
    }
    pairs.extend(as_of_chains());
    pairs
}

fn with_events(query: &str) -> String {
    format!("WITH e AS {EVENTS} {query}")
}

fn moment(time: &str) -> String {
    match time {
        "day" => "CAST(day AS TIMESTAMP)".to_owned(),
        time => time.to_owned(),
    }
}

/// `moment` moved by an interval, if there is one.
fn moved(moment: &str, sign: char, length: Option<u32>, unit: &str) -> String {
    match length {
        None => moment.to_owned(),
        Some(length) => format!("{moment} {sign} INTERVAL '{length} {unit}'"),
    }
}

fn tumble(of: &str, time: &str, unit: &str, size: u32, offset: Option<u32>) -> Pair {
    let argument = offset.map_or(String::new(), |offset| {
        format!(", INTERVAL '{offset} {unit}'")
    });
    let counted = moved(&moment(time), '-', offset, unit);
    let start = format!("date_bin(INTERVAL '{size} {unit}', {counted})");
    let start = moved(&start, '+', offset, unit);
    Pair {
        view: with_events(&format!(
            "SELECT a, b, t, window_start, window_end FROM tumble({of}, {time}, INTERVAL '{size} {unit}'{argument})"
        )),
        words: with_events(&format!(
            "SELECT a, b, t, {start} AS s, {start} + INTERVAL '{size} {unit}' AS x FROM {of} AS q WHERE {time} IS NOT NULL"
        )),
    }
}

fn hop(of: &str, time: &str, unit: &str, (slide, size): (u32, u32), offset: Option<u32>) -> Pair {
    let argument = offset.map_or(String::new(), |offset| {
        format!(", INTERVAL '{offset} {unit}'")
    });
    let moment = moment(time);
    let zone = if time == "at" {
        ", Some(\"UTC\")"
    } else {
        ", None"
    };
    let epoch = |shift: i64| format!("arrow_cast({shift}, 'Timestamp(Nanosecond{zone})')");
    let start = moved("start", '+', offset, unit);
    let steps = 12 * slide;
    Pair {
        view: with_events(&format!(
            "SELECT q.a, q.b, q.t, q.window_start, q.window_end FROM hop({of}, {time}, INTERVAL '{slide} {unit}', INTERVAL '{size} {unit}'{argument}) AS q"
        )),
        words: with_events(&format!(
            "SELECT a, b, t, w.s, w.s + INTERVAL '{size} {unit}' AS x FROM {of} AS q JOIN (SELECT {start} AS s FROM (SELECT unnest(generate_series({0} - INTERVAL '{steps} {unit}', {0} + INTERVAL '{steps} {unit}', INTERVAL '{slide} {unit}')) AS start) AS g) AS w ON w.s <= {moment} AND {moment} < w.s + INTERVAL '{size} {unit}'",
            epoch(0)
        )),
    }
}

fn session(of: &str, time: &str, unit: &str, gap: u32, key: Option<&str>) -> Pair {
    let argument = key.map_or(String::new(), |key| format!(", {key}"));
    Pair {
        view: with_events(&format!(
            "SELECT a, b, t, window_start, window_end FROM session({of}, {time}, INTERVAL '{gap} {unit}'{argument})"
        )),
        words: with_events(&format!(
            "{}SELECT i.a, i.b, i.t, sessions.s, sessions.x FROM i JOIN sessions ON (sessions.g IS NOT DISTINCT FROM i.g) AND sessions.m = i.m",
            sessions(of, time, unit, gap, key)
        )),
    }
}

/// Common table expressions: `i` with the moment `m` and group `g` of each event, and `sessions`
/// with the bounds `s` and `x` of each moment.
fn sessions(of: &str, time: &str, unit: &str, gap: u32, key: Option<&str>) -> String {
    let (key, moment) = (key.unwrap_or("1"), moment(time));
    let gap = format!("INTERVAL '{gap} {unit}'");
    let other = |near: &str| {
        format!(
            "SELECT DISTINCT g, m FROM i WHERE NOT EXISTS (SELECT 1 FROM i AS p WHERE coalesce(p.g, '-') = coalesce(i.g, '-') AND {near})"
        )
    };
    format!(
        ", i AS (SELECT a, b, t, {moment} AS m, CAST({key} AS VARCHAR) AS g FROM {of} AS q WHERE {time} IS NOT NULL), starts AS ({}), ends AS ({}), sessions AS (SELECT d.g, d.m, max(starts.m) AS s, min(ends.m) + {gap} AS x FROM (SELECT DISTINCT g, m FROM i) AS d JOIN starts ON (starts.g IS NOT DISTINCT FROM d.g) AND starts.m <= d.m JOIN ends ON (ends.g IS NOT DISTINCT FROM d.g) AND ends.m >= d.m GROUP BY d.g, d.m) ",
        other(&format!("p.m < i.m AND p.m >= i.m - {gap}")),
        other(&format!("p.m > i.m AND p.m <= i.m + {gap}")),
    )
}

fn grouped_sessions(gap: u32) -> Pair {
    let columns = "count(*) AS n, sum(b) AS total";
    Pair {
        view: with_events(&format!(
            "SELECT q.a, q.window_start, q.window_end, {columns} FROM session(e, at, INTERVAL '{gap} microseconds', a) AS q GROUP BY q.a, q.window_start, q.window_end"
        )),
        words: with_events(&format!(
            "{}SELECT i.a, sessions.s, sessions.x, {columns} FROM i JOIN sessions ON sessions.g = i.g AND sessions.m = i.m GROUP BY i.a, sessions.s, sessions.x",
            sessions("e", "at", "microseconds", gap, Some("a"))
        )),
    }
}

/// The partner of a left row is, of those that its time admits, the nearest in time, and of those
/// the greatest.
fn as_of(operator: &str, has_key: bool) -> Pair {
    let (on, same) = match has_key {
        true => (" ON s.k = r.a", "s.k = l.a"),
        false => ("", "true"),
    };
    let direction = if operator.starts_with('>') {
        "DESC"
    } else {
        "ASC"
    };
    Pair {
        view: format!(
            "SELECT r.a, r.b, r.t, s.k, s.v, s.w FROM r ASOF JOIN s MATCH_CONDITION (r.b {operator} s.v){on}"
        ),
        words: format!(
            "SELECT r.a, r.b, r.t, best.k, best.v, best.w FROM r LEFT JOIN (SELECT * FROM (SELECT l.a, l.b, s.k, s.v, s.w, row_number() OVER (PARTITION BY l.a, l.b ORDER BY s.v {direction}, s.k DESC NULLS LAST, s.w DESC NULLS LAST) AS n FROM (SELECT DISTINCT a, b FROM r) AS l JOIN s ON {same} AND l.b {operator} s.v) AS m WHERE n = 1) AS best ON best.a = r.a AND best.b = r.b"
        ),
    }
}

fn as_of_chains() -> Vec<Pair> {
    let newest = |condition: &str| {
        format!(
            "(SELECT l.a, l.b, max(s.v) AS v FROM (SELECT DISTINCT a, b FROM r) AS l JOIN s ON s.k = l.a AND {condition} GROUP BY l.a, l.b)"
        )
    };
    let best = "(SELECT k, v, max(w) AS w FROM s GROUP BY k, v)";
    vec![
        Pair {
            view: "SELECT x.a, x.b, p.v, q.v AS qv FROM r AS x ASOF JOIN s AS p MATCH_CONDITION (p.v <= x.b) ON p.k = x.a ASOF JOIN (SELECT * FROM s WHERE w = 'a') AS q MATCH_CONDITION (x.b > q.v) ON x.a = q.k WHERE x.a < 3".to_owned(),
            words: format!("SELECT x.a, x.b, p.v, q.v AS qv FROM r AS x LEFT JOIN {} AS p ON p.a = x.a AND p.b = x.b LEFT JOIN {} AS q ON q.a = x.a AND q.b = x.b WHERE x.a < 3", newest("s.v <= l.b"), newest("s.v < l.b AND s.w = 'a'")),
        },
        Pair {
            view: "SELECT x.a, count(*) AS n, sum(p.v) AS total FROM s AS j JOIN r AS x ON j.v = x.b ASOF JOIN s AS p MATCH_CONDITION (x.b >= p.v) ON x.a = p.k AND p.w = x.t GROUP BY x.a".to_owned(),
            words: "SELECT x.a, count(*) AS n, sum(p.v) AS total FROM s AS j JOIN r AS x ON j.v = x.b LEFT JOIN (SELECT l.a, l.b, l.t, max(p.v) AS v FROM (SELECT DISTINCT a, b, t FROM r) AS l JOIN (SELECT k, v, w FROM s) AS p ON p.k = l.a AND p.w = l.t AND p.v <= l.b GROUP BY l.a, l.b, l.t) AS p ON p.a = x.a AND p.b = x.b AND p.t = x.t GROUP BY x.a".to_owned(),
        },
        Pair {
            view: format!("SELECT q.a, q.b, q.w FROM (r ASOF JOIN {best} AS g MATCH_CONDITION (r.b - 1 >= g.v) ON r.a + 1 = g.k) AS q"),
            words: format!("SELECT r.a, r.b, best.w FROM r LEFT JOIN (SELECT * FROM (SELECT l.a, l.b, g.w, row_number() OVER (PARTITION BY l.a, l.b ORDER BY g.v DESC) AS n FROM (SELECT DISTINCT a, b FROM r) AS l JOIN {best} AS g ON g.k = l.a + 1 AND g.v <= l.b - 1) AS m WHERE n = 1) AS best ON best.a = r.a AND best.b = r.b"),
        },
    ]
}

fn random_pair(random: &mut Pcg64) -> Pair {
    let unit = "microseconds";
    let of = pick(random, &["e", "e", "(SELECT * FROM e WHERE a <> 2)"]);
    let offset = random.random_bool(0.3).then(|| random.random_range(1..3));
    let (size, slide) = (random.random_range(1..5), random.random_range(1..4));
    match random.random_range(0..5) {
        0 => tumble(of, "at", unit, size, offset),
        1 => hop(of, "at", unit, (slide, size), offset),
        2 => {
            let key = pick(random, &["a", "t", "a % 2"]);
            session(of, "at", unit, random.random_range(1..4), Some(key))
        }
        3 => grouped_sessions(random.random_range(1..3)),
        _ => {
            let operator = pick(random, &[">=", ">", "<=", "<"]);
            as_of(operator, random.random_bool(0.8))
        }
    }
}

/// The tables as they are, for the planner.
struct Tables<'h>(&'h History);

impl Sources for Tables<'_> {
    fn source(&self, name: &str) -> Result<Arc<dyn TableSource>> {
        let rows = match name {
            "r" => batch_r(self.0.r.iter()),
            _ => batch_s(self.0.s.iter()),
        };
        let table = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
        Ok(provider_as_source(Arc::new(table)))
    }
}

/// Checks that a view, the same query ad hoc, and the same in other words agree all along.
fn check(
    pair: &Pair,
    (rows, steps): (usize, usize),
    workers: usize,
    random: &mut Pcg64,
    seed: u64,
) {
    let Pair { view, words } = pair;
    let context = format!("ORACLE_SEED={seed} workers={workers} view: {view}");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    let planner = Planner::new();
    let query = statement::parse_query(view).unwrap_or_else(|error| panic!("{context}: {error}"));
    let mut history = History::new();
    let mut harness = Harness::start(workers);
    harness.commit(&history.grow(random, rows));
    harness.commit(&history.step(random, 12));
    let created = harness.create(view, &history);
    created.unwrap_or_else(|error| panic!("{context}: {error}"));
    harness.expect(words);
    for step in 0..steps {
        let context = format!("{context} step={step}");
        harness.assert_equal(&history, &context);
        let plan = planner.logical_plan(&Tables(&history), &query);
        let plan = plan.unwrap_or_else(|error| panic!("{context}: {error}"));
        let (ad_hoc, answer) = runtime.block_on(async {
            let config = session_config().with_target_partitions(1 + step % 3);
            let session = SessionContext::new_with_config(config);
            let frame = session.execute_logical_plan(plan).await.expect(&context);
            let rows = frame.collect().await.expect(&context);
            (rows, batch_answer(words, &history).await)
        });
        let (missing, surplus) = differences(words, &answer, &ad_hoc);
        assert!(
            missing.is_empty() && surplus.is_empty(),
            "ad hoc, {context}\nmissing: {missing:#?}\nsurplus: {surplus:#?}"
        );
        let change = match random.random_bool(0.2) {
            true => history.grow(random, 40),
            false => history.step(random, 6),
        };
        harness.commit(&change);
    }
}

#[test]
fn time_relations_equal_the_same_in_other_words() {
    let seed = seed();
    for (number, pair) in fixed().iter().enumerate() {
        for workers in [1, 2] {
            let mut random = Pcg64::seed_from_u64(seed ^ number as u64);
            check(pair, (0, 10), workers, &mut random, seed);
        }
    }
}

#[test]
fn random_time_relations_equal_the_same_in_other_words() {
    let (seed, cases) = seed_and_cases(15);
    for case in 0..cases {
        let seed = seed.wrapping_add(case);
        let mut random = Pcg64::seed_from_u64(seed);
        let pair = random_pair(&mut random);
        let workers = 1 + random.random_range(0..2);
        check(&pair, (0, 10), workers, &mut random, seed);
    }
}

/// Groups of more than one chunk: what is found by search must be what a full read gives.
#[test]
fn large_time_relations_equal_the_same_in_other_words() {
    let rights = "(SELECT a AS k, d AS v, t AS w FROM r WHERE b = 3)";
    let many = |pair: Pair| Pair {
        view: pair
            .view
            .replace("ASOF JOIN s", &format!("ASOF JOIN {rights} AS s")),
        words: pair.words.replace("JOIN s", &format!("JOIN {rights} AS s")),
    };
    let by_cents = |pair: Pair| {
        let cents =
            |sql: String| sql.replace("arrow_cast(b,", "arrow_cast(CAST(d * 100 AS BIGINT),");
        Pair {
            view: cents(pair.view),
            words: cents(pair.words),
        }
    };
    let cents = |pair: Pair| {
        let cents = |sql: String| {
            sql.replace("r.b", "r.d")
                .replace("a, b FROM r", "a, d AS b FROM r")
        };
        Pair {
            view: cents(pair.view),
            words: cents(pair.words),
        }
    };
    let pairs = [
        by_cents(session("e", "at", "microseconds", 1, Some("a"))),
        by_cents(session("e", "at", "microseconds", 2, Some("t"))),
        cents(many(as_of(">=", true))),
        cents(many(as_of("<", false))),
    ];
    let seed = seed();
    for (number, pair) in pairs.iter().enumerate() {
        let mut random = Pcg64::seed_from_u64(seed ^ number as u64);
        check(pair, (5_000, 2), 1 + number % 2, &mut random, seed);
    }
}
