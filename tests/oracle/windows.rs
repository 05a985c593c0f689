//! Views that each exercise window functions. Where a function tells rows apart that its order
//! does not, the order names all columns.

pub const WINDOWS: &[&str] = &[
    "SELECT a, b, rank() OVER (PARTITION BY a ORDER BY b) AS r, dense_rank() OVER (PARTITION BY a ORDER BY b) AS d FROM r",
    "SELECT a, b, percent_rank() OVER (PARTITION BY a ORDER BY b DESC) AS p, cume_dist() OVER (PARTITION BY a ORDER BY b DESC) AS c FROM r",
    "SELECT a, b, f, rank() OVER (ORDER BY f, b) AS r FROM r",
    "SELECT a, b, t, ntile(3) OVER (PARTITION BY a ORDER BY b, t, d, f) AS n, row_number() OVER (PARTITION BY a ORDER BY b, t, d, f) AS m FROM r",
    "SELECT a, b, lag(b) OVER (PARTITION BY a ORDER BY b, t, d, f) AS x, lead(t, 2) OVER (PARTITION BY a ORDER BY b, t, d, f) AS y, lag(b, 1, -1) OVER (PARTITION BY a ORDER BY b, t, d, f) AS z FROM r",
    "SELECT a, b, lag(b) IGNORE NULLS OVER (PARTITION BY a ORDER BY t, b, d, f) AS x, lead(b, 1, 0) OVER (ORDER BY a, b, t, d, f) AS y FROM r",
    "SELECT a, t, first_value(t) OVER (PARTITION BY a ORDER BY b, t, d, f) AS x, last_value(t) OVER (PARTITION BY a ORDER BY b, t, d, f) AS y, nth_value(t, 2) OVER (PARTITION BY a ORDER BY b, t, d, f) AS z FROM r",
    "SELECT a, b, sum(b) OVER (PARTITION BY a) AS s, count(*) OVER (PARTITION BY a) AS n, avg(d) OVER () AS m FROM r",
    "SELECT a, b, sum(b) OVER (PARTITION BY a ORDER BY b) AS s, count(b) OVER (PARTITION BY a ORDER BY b DESC) AS n, max(t) OVER (PARTITION BY a ORDER BY b) AS m FROM r",
    "SELECT a, b, sum(b) OVER (PARTITION BY a ORDER BY b, t, d, f ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS s, min(b) OVER (PARTITION BY a ORDER BY b, t, d, f ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS m FROM r",
    "SELECT a, b, sum(d) OVER (PARTITION BY a ORDER BY b, t, d, f ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS s, first_value(b) OVER (PARTITION BY a ORDER BY b, t, d, f ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING) AS x FROM r",
    "SELECT a, b, sum(b) OVER (PARTITION BY a ORDER BY b RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS s, count(*) OVER (PARTITION BY a ORDER BY b RANGE BETWEEN 2 PRECEDING AND 1 PRECEDING) AS n FROM r WHERE b IS NOT NULL",
    "SELECT a, b, sum(b) OVER (PARTITION BY a ORDER BY b GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s, count(*) OVER (ORDER BY a GROUPS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS n FROM r",
    "SELECT a, sum(b) FILTER (WHERE t IS NOT NULL) OVER (PARTITION BY a ORDER BY b) AS s, count(*) FILTER (WHERE b > 2) OVER () AS n FROM r",
    "SELECT a, array_agg(b) OVER (PARTITION BY a ORDER BY b, t, d, f ROWS UNBOUNDED PRECEDING) AS l FROM r",
    "SELECT a, b, t FROM r QUALIFY rank() OVER (PARTITION BY a ORDER BY b DESC) <= 2",
    "SELECT a, b, t FROM r QUALIFY dense_rank() OVER (PARTITION BY a ORDER BY b, d) < 3",
    "SELECT * FROM (SELECT a, b, rank() OVER (ORDER BY b DESC) AS r, dense_rank() OVER (ORDER BY b DESC) AS d FROM r) WHERE d <= 2 AND r > 1",
    "SELECT a, b FROM r QUALIFY b > avg(b) OVER (PARTITION BY a)",
    "SELECT a, count(*) AS n, rank() OVER (ORDER BY count(*) DESC) AS r, sum(sum(b)) OVER () AS total FROM r GROUP BY a",
    "SELECT a, b, sum(b) OVER (PARTITION BY a ORDER BY b) AS s, rank() OVER (PARTITION BY t ORDER BY a) AS r, count(*) OVER (ORDER BY a, b) AS n FROM r",
    "SELECT a + 1 AS x, b * 2 - lag(b * 2) OVER (PARTITION BY a + 1 ORDER BY b, t, d, f) AS step FROM r",
    "SELECT r.a, s.v, dense_rank() OVER (PARTITION BY r.a ORDER BY s.v) AS k FROM r JOIN s ON r.a = s.k",
    "SELECT a, f, sum(f) OVER (PARTITION BY a ORDER BY f RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS s, median(b) OVER (PARTITION BY a) AS m FROM r",
];
