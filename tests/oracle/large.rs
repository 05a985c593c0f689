//! Groups and partitions of several chunks: what is found by search must be what a full read gives.

use rand::SeedableRng;
use rand_pcg::Pcg64;

use super::harness::Harness;
use super::history::{Change, History};
use super::seed;

/// More than two chunks of rows in one group.
const ROWS: usize = 10_000;

const VIEWS: &[&str] = &[
    "SELECT a, b, d, lag(d) OVER (ORDER BY d, a, b, t, f) AS x, lead(b, 2, -1) OVER (ORDER BY d, a, b, t, f) AS y FROM r",
    "SELECT a, d, sum(b) OVER (ORDER BY d, a, b, t, f ROWS BETWEEN 3 PRECEDING AND 2 FOLLOWING) AS s, max(d) OVER (ORDER BY d, a, b, t, f ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING) AS m FROM r",
    "SELECT a, b, d FROM r QUALIFY rank() OVER (ORDER BY d DESC NULLS LAST) <= 5",
    "SELECT count(*) AS n, median(d) AS m, first_value(t ORDER BY d, t) AS f, stddev(f) AS s FROM r WHERE f < 100",
    "SELECT a, median(f) AS m, percentile_cont(f, 0.95) AS p, median(d) AS n, median(DISTINCT d) AS x, percentile_cont(b, 0.1) FILTER (WHERE t IS NOT NULL) AS q FROM r GROUP BY a",
    "SELECT a, b, d, f, row_number() OVER (ORDER BY d DESC, a, b, t, f) AS n FROM r",
    "SELECT a, d, f, rank() OVER (ORDER BY d, f) AS k, count(*) OVER (ORDER BY d, f) AS c, sum(b) OVER (ORDER BY d, f) AS s, sum(d) FILTER (WHERE t IS NOT NULL) OVER (ORDER BY d, f) AS e FROM r",
    "SELECT a, b, d, f, max(b) OVER (ORDER BY f, a, b, t, d ROWS UNBOUNDED PRECEDING) AS x, min(d) FILTER (WHERE t IS NOT NULL) OVER (ORDER BY f, a, b, t, d ROWS UNBOUNDED PRECEDING) AS y FROM r",
    "SELECT a, d, b, dense_rank() OVER (ORDER BY d, b) AS x, rank() OVER (ORDER BY d, b) AS k FROM r",
    "SELECT a, b, d, nth_value(d, 7) OVER (ORDER BY f, a, b, t, d) AS x, first_value(t) OVER (ORDER BY f, a, b, t, d) AS y, sum(b) OVER (ORDER BY f, a, b, t, d ROWS UNBOUNDED PRECEDING) AS s FROM r",
];

#[test]
fn large_groups_equal_batch_answers() {
    let seed = seed();
    for (number, sql) in VIEWS.iter().enumerate() {
        for workers in [1, 2] {
            let context = format!("ORACLE_SEED={seed} workers={workers} view: {sql}");
            let mut random = Pcg64::seed_from_u64(seed ^ number as u64);
            let mut history = History::new();
            let mut harness = Harness::start(workers);
            harness.commit(&history.grow(&mut random, ROWS));
            let created = harness.create(sql, &history);
            created.unwrap_or_else(|error| panic!("{context}: {error}"));
            for step in 0..5 {
                let changes: Vec<Change> = (0..step % 3 + 1)
                    .map(|_| history.step(&mut random, 6))
                    .collect();
                harness.commit_all(&changes.iter().collect::<Vec<_>>());
                harness.assert_equal(&history, &format!("{context} step={step}"));
            }
        }
    }
}
