//! Joins on any condition, set operations, subqueries, lists and recursion.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::aggregates::OF_POSTGRES;
use super::grammar::{pick, relation};
use super::harness::Harness;
use super::history::History;
use super::{check, seed};

/// Views that each exercise one construct.
pub const RELATIONAL: &[&str] = &[
    "SELECT r.a, s.k, s.v FROM r FULL JOIN s ON r.b < s.v",
    "SELECT r.a, s.k, s.v FROM r LEFT JOIN s ON r.b < s.v OR r.t = s.w",
    "SELECT r.a, s.k, s.v FROM r RIGHT JOIN s ON r.b + s.v = 6",
    "SELECT r.a, s.k FROM r LEFT JOIN s ON r.a > 1",
    "SELECT r.a, s.k FROM r LEFT JOIN s ON s.v > 3",
    "SELECT r.a, s.k FROM r FULL JOIN s ON false",
    "SELECT r.a, r.b FROM r LEFT SEMI JOIN s ON r.b < s.v",
    "SELECT r.a, r.b FROM r LEFT ANTI JOIN s ON r.b < s.v",
    "SELECT s.k, s.v FROM r RIGHT SEMI JOIN s ON r.a = s.k AND r.b < s.v",
    "SELECT s.k, s.v FROM r RIGHT ANTI JOIN s ON r.a = s.k",
    "SELECT * FROM r NATURAL JOIN (SELECT k AS a, v FROM s) AS n",
    "SELECT a, v FROM r JOIN (SELECT k AS a, v FROM s) AS n USING (a)",
    "SELECT r.a, s.k, x.a AS xa FROM r, s, r AS x WHERE r.b = s.v AND x.t = s.w AND r.a <= x.a",
    "SELECT r.a, r.b, x.b AS xb, g.n FROM r JOIN r AS x ON r.a = x.a JOIN (SELECT k, count(*) AS n FROM s GROUP BY k) AS g ON r.b = g.k AND g.n < x.b",
    "SELECT r.a, x.b, g.k, g.n FROM r, r AS x, (SELECT k, count(*) AS n FROM s GROUP BY k) AS g WHERE r.a = x.a AND r.b = g.k AND r.a + x.b = g.n + 1",
    "SELECT a, b FROM r INTERSECT ALL SELECT k, v FROM s",
    "SELECT a, b FROM r EXCEPT ALL SELECT k, v FROM s",
    "SELECT a FROM r EXCEPT SELECT k FROM s INTERSECT SELECT v FROM s",
    "(SELECT a FROM r ORDER BY a LIMIT 2) UNION ALL (SELECT k FROM s ORDER BY k DESC NULLS LAST LIMIT 1)",
    "SELECT a, b FROM r ORDER BY a, b, t, d, f OFFSET 2",
    "SELECT a FROM r ORDER BY b DESC NULLS LAST, a, t, d, f LIMIT 2 OFFSET 1",
    "SELECT x + 1 AS y FROM (SELECT a AS x FROM r ORDER BY b, a, t, d, f LIMIT 3) AS q",
    "SELECT a FROM r LIMIT 0",
    "VALUES (1, 'one'), (2, NULL)",
    "SELECT a, b FROM r WHERE a + 1 NOT IN (SELECT k FROM s)",
    "SELECT a, b FROM r WHERE b = 2 OR EXISTS (SELECT 1 FROM s WHERE s.k = r.a AND s.v > r.b)",
    "SELECT a, b FROM r WHERE (SELECT count(*) FROM s WHERE s.k = r.a) > 1",
    "SELECT a, (SELECT max(v) FROM s WHERE s.k = r.a AND s.w = 'a') AS m, (SELECT count(*) FROM s WHERE s.k = r.a) AS n FROM r",
    "SELECT a, sum(b) AS s FROM r GROUP BY a HAVING sum(b) > (SELECT avg(v) FROM s)",
    "SELECT r.a, x.n FROM r, LATERAL (SELECT count(*) AS n FROM s WHERE s.k = r.a) AS x",
    "SELECT r.a, x.v FROM r LEFT JOIN LATERAL (SELECT v FROM s WHERE s.k = r.a) AS x ON true",
    "SELECT a, unnest(make_array(b, a, NULL)) AS e FROM r",
    "SELECT a, unnest(make_array(b, a)) AS e, unnest(make_array(t)) AS u FROM r",
    "SELECT e, count(*) AS n FROM (SELECT unnest(string_to_array(t, 'b')) AS e FROM r) AS u GROUP BY e",
    "SELECT a, e FROM (SELECT a, unnest(generate_series(1, b)) AS e FROM r WHERE b > 0) AS u WHERE e % 2 = 0",
    "SELECT unnest(make_array(1, 2, 3)) AS e",
    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 20) SELECT n.i, r.b FROM n JOIN r ON n.i = r.a",
    "WITH RECURSIVE up AS (SELECT a, b, 0 AS depth FROM r WHERE b > 4 UNION ALL SELECT s.k, s.v, depth + 1 FROM up JOIN s ON s.v = up.b - 1) SELECT * FROM up",
    "WITH RECURSIVE reach AS (SELECT k AS x, v AS y FROM s UNION SELECT reach.x, s.v FROM reach JOIN s ON reach.y = s.k) SELECT * FROM reach",
    "WITH RECURSIVE reach(node) AS (SELECT a FROM r WHERE b = 3 UNION SELECT s.v FROM reach, s WHERE s.k = node) SELECT node, count(*) AS n FROM reach GROUP BY node",
    "WITH RECURSIVE reach AS (SELECT k AS x FROM s WHERE w = 'a' UNION SELECT v FROM reach JOIN s ON k = x) SELECT a, b FROM r WHERE a NOT IN (SELECT x FROM reach WHERE x IS NOT NULL)",
];

/// Views for which DataFusion, asked directly, forgets NULLs or gives up, with a query that says
/// the same in other words.
const IN_OTHER_WORDS: &[(&str, &str)] = &[
    (
        "SELECT a, b, (SELECT count(*) FROM generate_series(1, r.b) AS g(i) WHERE i % 2 = 0) AS n FROM r",
        "SELECT a, b, CASE WHEN b > 0 THEN b / 2 ELSE 0 END AS n FROM r",
    ),
    (
        "SELECT a, b FROM r WHERE EXISTS (SELECT 1 FROM unnest(make_array(r.a, r.b + 1)) AS u(x) WHERE u.x = r.b)",
        "SELECT a, b FROM r WHERE a = b",
    ),
    (
        "SELECT r.a, r.b, g.i FROM r LEFT JOIN LATERAL generate_series(1, r.b) AS g(i) ON g.i > r.a",
        "SELECT q.a, q.b, g.i FROM r AS q LEFT JOIN (SELECT b, unnest(generate_series(1, b)) AS i FROM (SELECT DISTINCT b FROM r WHERE b > 0) AS d) AS g ON g.b = q.b AND g.i > q.a",
    ),
    (
        "SELECT k, count(*) AS n FROM (SELECT a AS k, array_agg(b ORDER BY b) AS l FROM r GROUP BY a) AS q, unnest(q.l) AS u(x) GROUP BY k, x",
        "SELECT a AS k, count(*) AS n FROM r GROUP BY a, b",
    ),
    (
        "SELECT DISTINCT k FROM (SELECT a AS k, array_agg(b ORDER BY b) AS l FROM r GROUP BY a) AS q, unnest(q.l) AS u(x)",
        "SELECT DISTINCT a AS k FROM r",
    ),
    (
        "SELECT a, b FROM r WHERE b > 3 OR a NOT IN (SELECT k FROM s WHERE v > 1)",
        "SELECT a, b FROM r WHERE b > 3 OR NOT EXISTS (SELECT 1 FROM s WHERE v > 1 AND (k = r.a OR k IS NULL))",
    ),
    (
        "SELECT a, b FROM r WHERE b NOT IN (SELECT v FROM s WHERE s.k = r.a)",
        "SELECT a, b FROM r WHERE NOT EXISTS (SELECT 1 FROM s WHERE s.k = r.a AND (v = r.b OR v IS NULL OR r.b IS NULL))",
    ),
    (
        "SELECT a, b FROM r WHERE NOT (b IN (SELECT v FROM s WHERE s.k = r.a) OR a = 2)",
        "SELECT a, b FROM r WHERE a <> 2 AND NOT EXISTS (SELECT 1 FROM s WHERE s.k = r.a AND (v = r.b OR v IS NULL OR r.b IS NULL))",
    ),
    (
        "SELECT a, b FROM r WHERE NOT (b = 1 AND a + 1 IN (SELECT v FROM s))",
        "SELECT a, b FROM r WHERE b <> 1 OR NOT EXISTS (SELECT 1 FROM s WHERE v = r.a + 1 OR v IS NULL)",
    ),
    (
        "SELECT a, EXISTS (SELECT 1 FROM s WHERE s.k = r.a) AS x, NOT EXISTS (SELECT 1 FROM s WHERE v = 3) AS y FROM r",
        "SELECT a, (SELECT count(*) FROM s WHERE s.k = r.a) > 0 AS x, (SELECT count(*) FROM s WHERE v = 3) = 0 AS y FROM r",
    ),
    (
        "SELECT a, b, b IN (SELECT v FROM s WHERE k = 2) AS x, b NOT IN (SELECT v FROM s) AS y FROM r",
        "SELECT a, b, CASE WHEN (SELECT count(*) FROM s WHERE k = 2 AND v = r.b) > 0 THEN true WHEN b IS NULL AND (SELECT count(*) FROM s WHERE k = 2) > 0 OR (SELECT count(*) FROM s WHERE k = 2 AND v IS NULL) > 0 THEN NULL ELSE false END AS x, CASE WHEN (SELECT count(*) FROM s WHERE v = r.b) > 0 THEN false WHEN b IS NULL AND (SELECT count(*) FROM s) > 0 OR (SELECT count(*) FROM s WHERE v IS NULL) > 0 THEN NULL ELSE true END AS y FROM r",
    ),
    (
        "SELECT r.a, r.b, x.v, x.w FROM r, LATERAL (SELECT v, w FROM s WHERE s.k = r.a AND v <> 3 ORDER BY v DESC NULLS LAST, w LIMIT 2) AS x",
        "SELECT r.a, r.b, x.v, x.w FROM r JOIN (SELECT *, row_number() OVER (PARTITION BY k ORDER BY v DESC NULLS LAST, w) AS n FROM s WHERE v <> 3) AS x ON x.k = r.a WHERE n <= 2",
    ),
    (
        "SELECT r.a, r.b, x.w FROM r LEFT JOIN LATERAL (SELECT w FROM (SELECT k + 1 AS key, v, w FROM s) AS i WHERE r.b = i.v AND i.key = r.a ORDER BY v, key, w LIMIT 1 OFFSET 1) AS x ON true",
        "SELECT r.a, r.b, x.w FROM r LEFT JOIN (SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY v, k ORDER BY w) AS n FROM s) AS m WHERE n = 2) AS x ON x.k + 1 = r.a AND x.v = r.b",
    ),
    (
        "SELECT a, (SELECT w FROM s WHERE s.k = r.a AND v > 1 ORDER BY v DESC, w LIMIT 1) AS w FROM r",
        "SELECT a, m.w FROM r LEFT JOIN (SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY v DESC, w) AS n FROM s WHERE v > 1) AS i WHERE n = 1) AS m ON m.k = r.a",
    ),
    (
        "SELECT a, b, (SELECT max(v) FROM s WHERE s.v < r.b) AS m, (SELECT count(*) FROM s WHERE s.v < r.b) AS n FROM r",
        "SELECT r.a, r.b, g.m, coalesce(g.n, 0) AS n FROM r LEFT JOIN (SELECT q.b, max(s.v) AS m, count(*) AS n FROM (SELECT DISTINCT b FROM r) AS q JOIN s ON s.v < q.b GROUP BY q.b) AS g ON g.b = r.b",
    ),
    (
        "SELECT a, b FROM r WHERE b > 1 AND (SELECT sum(v) + r.a FROM s WHERE s.k = r.a OR s.v = r.b) > 4",
        "SELECT a, b FROM (SELECT r.a, r.b, g.m FROM r JOIN (SELECT q.a, q.b, sum(s.v) AS m FROM (SELECT DISTINCT a, b FROM r) AS q JOIN s ON s.k = q.a OR s.v = q.b GROUP BY q.a, q.b) AS g ON (g.a IS NOT DISTINCT FROM r.a) AND (g.b IS NOT DISTINCT FROM r.b)) AS x WHERE b > 1 AND m + a > 4",
    ),
    (
        "SELECT a, b FROM r WHERE (SELECT count(DISTINCT w) FROM s WHERE s.v <> r.b OR r.b IS NULL) = 0",
        "SELECT a, b FROM r WHERE NOT EXISTS (SELECT 1 FROM s WHERE (s.v <> r.b OR r.b IS NULL) AND s.w IS NOT NULL)",
    ),
    (
        "SELECT r.a, r.b, x.w FROM r, LATERAL (SELECT w FROM s WHERE s.v < r.b ORDER BY v DESC, k, w LIMIT 1) AS x",
        "SELECT r.a, r.b, g.w FROM r JOIN (SELECT * FROM (SELECT q.b, s.w, row_number() OVER (PARTITION BY q.b ORDER BY s.v DESC, s.k, s.w) AS n FROM (SELECT DISTINCT b FROM r) AS q JOIN s ON s.v < q.b) AS m WHERE n = 1) AS g ON g.b = r.b",
    ),
    (
        "SELECT a, b, (SELECT w FROM s WHERE s.v >= r.b ORDER BY v, k DESC NULLS LAST, w LIMIT 1) AS w FROM r",
        "SELECT r.a, r.b, g.w FROM r LEFT JOIN (SELECT * FROM (SELECT q.b, s.w, row_number() OVER (PARTITION BY q.b ORDER BY s.v, s.k DESC NULLS LAST, s.w) AS n FROM (SELECT DISTINCT b FROM r) AS q JOIN s ON s.v >= q.b) AS m WHERE n = 1) AS g ON g.b = r.b",
    ),
    (
        "SELECT a, (SELECT max(n) FROM (SELECT count(*) AS n FROM s WHERE s.v < r.b GROUP BY k) AS c) AS m FROM r",
        "SELECT r.a, g.m FROM r LEFT JOIN (SELECT b, max(n) AS m FROM (SELECT q.b, s.k, count(*) AS n FROM (SELECT DISTINCT b FROM r) AS q JOIN s ON s.v < q.b GROUP BY q.b, s.k) AS c GROUP BY b) AS g ON g.b = r.b",
    ),
    (
        "SELECT a, b, (SELECT max(x) FROM (SELECT sum(v) OVER (PARTITION BY w) AS x FROM s WHERE s.k = r.a) AS c) AS m FROM r",
        "SELECT r.a, r.b, g.m FROM r LEFT JOIN (SELECT k, max(x) AS m FROM (SELECT k, sum(v) AS x FROM s GROUP BY k, w) AS c GROUP BY k) AS g ON g.k = r.a",
    ),
    (
        "SELECT a, EXISTS (SELECT 1 FROM s WHERE s.v < r.b) AS x FROM r",
        "SELECT r.a, g.b IS NOT NULL AS x FROM r LEFT JOIN (SELECT DISTINCT q.b FROM (SELECT DISTINCT b FROM r) AS q JOIN s ON s.v < q.b) AS g ON g.b = r.b",
    ),
    (
        "SELECT a, (SELECT w FROM s WHERE s.k = r.a AND s.v = 6 AND s.w = 'a' GROUP BY w) AS w FROM r",
        "SELECT a, (SELECT min(w) FROM s WHERE s.k = r.a AND s.v = 6 AND s.w = 'a') AS w FROM r",
    ),
    (
        "SELECT a, b FROM r WHERE EXISTS (SELECT max(v) FROM s WHERE s.k = r.a HAVING count(*) > 1)",
        "SELECT a, b FROM r WHERE (SELECT count(*) FROM s WHERE s.k = r.a) > 1",
    ),
    (
        "SELECT a, b FROM r WHERE EXISTS (SELECT v FROM s WHERE s.k = r.a ORDER BY v OFFSET 1)",
        "SELECT a, b FROM r WHERE (SELECT count(*) FROM s WHERE s.k = r.a) > 1",
    ),
    (
        "SELECT a, b FROM r WHERE b IN (SELECT count(*) FROM s WHERE s.k = r.a)",
        "SELECT a, b FROM r WHERE b = (SELECT count(*) FROM s WHERE s.k = r.a)",
    ),
    (
        "SELECT a, (SELECT max(n) FROM (SELECT count(*) AS n FROM s WHERE s.k = r.a) AS c) AS m FROM r",
        "SELECT a, (SELECT count(*) FROM s WHERE s.k = r.a) AS m FROM r",
    ),
    (
        "SELECT r.a, r.b, l.w FROM r, LATERAL (SELECT DISTINCT w FROM s WHERE s.v < r.b) AS l",
        "SELECT r.a, r.b, g.w FROM r JOIN (SELECT DISTINCT q.b, s.w FROM (SELECT DISTINCT b FROM r) AS q JOIN s ON s.v < q.b) AS g ON g.b = r.b",
    ),
    (
        "SELECT a, b, (SELECT count(*) FROM s WHERE s.k = r.a AND EXISTS (SELECT 1 FROM s AS i WHERE i.v > s.v AND i.v < r.b)) AS n FROM r",
        "SELECT r.a, r.b, coalesce(g.n, 0) AS n FROM r LEFT JOIN (SELECT q.a, q.b, count(*) AS n FROM (SELECT DISTINCT a, b FROM r) AS q JOIN s ON s.k = q.a WHERE EXISTS (SELECT 1 FROM s AS i WHERE i.v > s.v AND i.v < q.b) GROUP BY q.a, q.b) AS g ON (g.a IS NOT DISTINCT FROM r.a) AND (g.b IS NOT DISTINCT FROM r.b)",
    ),
    (
        "SELECT a, sum((SELECT count(*) FROM s WHERE s.v < r.b)) AS n FROM r GROUP BY a",
        "SELECT a, sum(n) AS n FROM (SELECT r.a, coalesce(g.n, 0) AS n FROM r LEFT JOIN (SELECT q.b, count(*) AS n FROM (SELECT DISTINCT b FROM r) AS q JOIN s ON s.v < q.b GROUP BY q.b) AS g ON g.b = r.b) AS c GROUP BY a",
    ),
    (
        "SELECT r.a, r.b, s.v FROM r FULL JOIN s ON r.a = s.k AND r.b IN (SELECT v FROM s AS i WHERE i.w = 'a')",
        "SELECT q.a, q.b, s.v FROM (SELECT *, (SELECT count(*) FROM s AS i WHERE i.w = 'a' AND i.v = r.b) AS n FROM r) AS q FULL JOIN s ON q.a = s.k AND q.n > 0",
    ),
    (
        "SELECT a, (SELECT max(v) FROM (SELECT v FROM s WHERE s.k = r.a UNION ALL SELECT r.b) AS u) AS m FROM r",
        "SELECT a, CASE WHEN m IS NULL OR b > m THEN b ELSE m END AS m FROM (SELECT r.a, r.b, g.m FROM r LEFT JOIN (SELECT k, max(v) AS m FROM s GROUP BY k) AS g ON g.k = r.a) AS x",
    ),
    (
        "SELECT a, (SELECT count(*) FROM (SELECT v FROM s WHERE s.k = r.a EXCEPT SELECT r.b) AS e) AS n FROM r",
        "SELECT r.a, coalesce(g.n, 0) AS n FROM r LEFT JOIN (SELECT q.a, q.b, count(*) AS n FROM (SELECT DISTINCT a, b FROM r) AS q JOIN (SELECT DISTINCT k, v FROM s) AS d ON d.k = q.a AND (d.v IS DISTINCT FROM q.b) GROUP BY q.a, q.b) AS g ON (g.a IS NOT DISTINCT FROM r.a) AND (g.b IS NOT DISTINCT FROM r.b)",
    ),
    (
        "SELECT a, b FROM r WHERE EXISTS (SELECT k FROM s WHERE s.v < r.b UNION ALL SELECT v FROM s WHERE s.k = r.a)",
        "SELECT a, b FROM r WHERE EXISTS (SELECT 1 FROM s WHERE s.v < r.b OR s.k = r.a)",
    ),
    (
        "SELECT a, b, (SELECT sum((SELECT count(*) FROM s AS i WHERE i.v > s.v AND i.v < r.b)) FROM s WHERE s.k = r.a) AS n FROM r",
        "SELECT r.a, r.b, g.n FROM r LEFT JOIN (SELECT q.a, q.b, count(i.v) AS n FROM (SELECT DISTINCT a, b FROM r) AS q JOIN s ON s.k = q.a LEFT JOIN s AS i ON i.v > s.v AND i.v < q.b GROUP BY q.a, q.b) AS g ON (g.a IS NOT DISTINCT FROM r.a) AND (g.b IS NOT DISTINCT FROM r.b)",
    ),
    (
        "SELECT a, sum(12 / b) FILTER (WHERE b <> 0) AS s FROM r GROUP BY a",
        "SELECT a, sum(CASE WHEN b <> 0 THEN 12 / b END) AS s FROM r GROUP BY a",
    ),
    (
        "SELECT a, b, CASE WHEN b <> 0 THEN (SELECT max(v) + 12 / r.b FROM s WHERE s.v < 12 / r.b) END AS m FROM r",
        "SELECT r.a, r.b, g.m FROM r LEFT JOIN (SELECT q.b, max(s.v) + 12 / q.b AS m FROM (SELECT DISTINCT b FROM r WHERE b <> 0) AS q JOIN s ON s.v < 12 / q.b GROUP BY q.b) AS g ON g.b = r.b",
    ),
    (
        "SELECT DISTINCT ON (a) a, b FROM r ORDER BY a, (SELECT count(*) FROM s WHERE s.k = r.b) DESC, b, t, d, f",
        "SELECT DISTINCT ON (a) a, b FROM (SELECT r.*, coalesce(g.n, 0) AS n FROM r LEFT JOIN (SELECT k, count(*) AS n FROM s GROUP BY k) AS g ON g.k = r.b) AS x ORDER BY a, n DESC, b, t, d, f",
    ),
    (
        "SELECT (SELECT max(v) FROM s WHERE s.k = r.a) AS m, a, count(*) AS n FROM r GROUP BY ROLLUP (m, a)",
        "SELECT m, a, count(*) AS n FROM (SELECT r.a, g.m FROM r LEFT JOIN (SELECT k, max(v) AS m FROM s GROUP BY k) AS g ON g.k = r.a) AS x GROUP BY ROLLUP (m, a)",
    ),
    (
        "SELECT a, sum(b) AS s FROM r GROUP BY CUBE (a, r.a)",
        "SELECT a, sum(b) AS s FROM r GROUP BY GROUPING SETS ((a), (a), (a), ())",
    ),
    (
        "SELECT a, b FROM r WHERE (b IN (SELECT v FROM s WHERE k = 2)) IS NULL",
        "SELECT a, b FROM r WHERE (SELECT count(*) FROM s WHERE k = 2 AND v = r.b) = 0 AND (b IS NULL AND (SELECT count(*) FROM s WHERE k = 2) > 0 OR (SELECT count(*) FROM s WHERE k = 2 AND v IS NULL) > 0)",
    ),
];

/// A random relation with columns x, y (numbers), z (text) over the constructs of this file.
pub fn random_relation(random: &mut Pcg64, depth: usize) -> String {
    let of = relation(random, depth - 1);
    let inner = relation(random, depth - 1);
    match random.random_range(0..7) {
        0 => {
            let kind = pick(random, &["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
            let on = pick(
                random,
                &[
                    "p.y < q.y",
                    "p.x = q.y OR p.y = q.x",
                    "p.z = q.z OR p.x > q.x",
                ],
            );
            format!(
                "(SELECT p.x, q.y, coalesce(q.z, p.z) AS z FROM {of} AS p {kind} {inner} AS q ON {on})"
            )
        }
        1 => {
            let operation = pick(
                random,
                &[
                    "INTERSECT",
                    "EXCEPT",
                    "UNION",
                    "INTERSECT ALL",
                    "EXCEPT ALL",
                ],
            );
            format!("(SELECT x, y, z FROM {of} AS p {operation} SELECT x, y, z FROM {inner} AS q)")
        }
        2 => {
            format!(
                "(SELECT * FROM {of} AS o WHERE o.y > 4 OR o.x IN (SELECT i.y FROM {inner} AS i))"
            )
        }
        3 => format!(
            "(SELECT * FROM {of} AS o WHERE o.y > 4 OR EXISTS (SELECT 1 FROM {inner} AS i WHERE i.x = o.x AND i.y < o.y))"
        ),
        4 => format!("(SELECT x, unnest(make_array(y, x, 3)) AS y, z FROM {of} AS u)"),
        5 => format!(
            "(SELECT o.x, l.y, o.z FROM {of} AS o, LATERAL (SELECT max(i.y) AS y FROM {inner} AS i WHERE i.x = o.x) AS l)"
        ),
        _ => format!(
            "(WITH RECURSIVE walk{depth} AS (SELECT x, y, z FROM {of} AS b UNION SELECT walk{depth}.x, i.y, walk{depth}.z FROM walk{depth} JOIN {inner} AS i ON walk{depth}.y = i.x) SELECT x, y, z FROM walk{depth})"
        ),
    }
}

#[test]
fn relational_constructs_equal_batch_answers() {
    let seed = seed();
    for (number, sql) in RELATIONAL.iter().enumerate() {
        for workers in [1, 2] {
            let mut random = Pcg64::seed_from_u64(seed ^ number as u64);
            check(sql, workers, 8, &mut random, seed);
        }
    }
}

#[test]
fn constructs_equal_the_same_in_other_words() {
    let seed = seed();
    let pairs = IN_OTHER_WORDS.iter().chain(OF_POSTGRES);
    for (number, (sql, other)) in pairs.enumerate() {
        for workers in [1, 2] {
            let context = format!("ORACLE_SEED={seed} workers={workers} view: {sql}");
            let mut random = Pcg64::seed_from_u64(seed ^ number as u64);
            let mut history = History::new();
            let mut harness = Harness::start(workers);
            harness.commit(&history.step(&mut random, 12));
            let created = harness.create(sql, &history);
            created.unwrap_or_else(|error| panic!("{context}: {error}"));
            harness.expect(other);
            for step in 0..10 {
                harness.assert_equal(&history, &format!("{context} step={step}"));
                harness.commit(&history.step(&mut random, 6));
            }
        }
    }
}
