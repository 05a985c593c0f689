//! Views that each exercise aggregate functions.

/// Aggregates that are sums or functions of sums.
pub const ADDITIVE: &[&str] = &[
    "SELECT a, var_samp(f) AS vs, var_pop(f) AS vp, stddev(f) AS ss, stddev_pop(b) AS sp, var_samp(d) AS vd FROM r GROUP BY a",
    "SELECT t, covar_samp(b, f) AS cs, covar_pop(f, d) AS cp, corr(b, f) AS c, corr(d, d) AS one FROM r GROUP BY t",
    "SELECT a, regr_slope(f, b) AS sl, regr_intercept(f, b) AS i, regr_count(f, b) AS n, regr_r2(f, b) AS r2, regr_avgx(f, b) AS ax, regr_avgy(f, b) AS ay, regr_sxx(f, b) AS sxx, regr_syy(f, b) AS syy, regr_sxy(f, b) AS sxy FROM r GROUP BY a",
    "SELECT var_samp(b) AS v, corr(b, d) AS c, regr_slope(b, d) AS s, regr_count(b, d) AS n, regr_r2(d, b) AS r2, stddev(b) FILTER (WHERE a > 1) AS x FROM r",
    "SELECT a, var_samp(f) FILTER (WHERE f > 0) AS v, covar_pop(b, d) FILTER (WHERE t IS NOT NULL) AS c, sum(f) AS s FROM r GROUP BY a",
    "SELECT a, bool_and(b > 2) AS every, bool_or(b > 5) AS some, bool_and(f > 0) FILTER (WHERE t IS NOT NULL) AS filtered FROM r GROUP BY a",
    "SELECT bool_and(b > 2) AS x, bool_or(b IS NULL) AS y, bit_or(b) AS z, bit_and(a) AS w FROM r WHERE a > 2",
    "SELECT a, bit_and(b) AS ba, bit_or(b) AS bo, bit_xor(b) AS bx, bit_or(DISTINCT b) AS db FROM r GROUP BY a",
    "SELECT a, bit_xor(CAST(b - 3 AS SMALLINT)) AS s, bit_or(CAST(b - 3 AS INT)) AS i, bit_and(CAST(b AS BIGINT UNSIGNED)) AS u, bit_and(CAST(b - 9 AS TINYINT)) AS t FROM r GROUP BY a",
    "SELECT a, count(b, t) AS n, count(b, t, d) FILTER (WHERE f > 0) AS m, count(DISTINCT 1) AS one FROM r GROUP BY a",
];

/// Values of one row of each group.
pub const PICKED: &[&str] = &[
    "SELECT DISTINCT ON (a) a, b, t, d, f FROM r ORDER BY a, b, t, d, f",
    "SELECT DISTINCT ON (t) t, a, b FROM r ORDER BY t, b DESC NULLS LAST, a",
    "SELECT DISTINCT ON (a + 1) a, t FROM r WHERE b > 1 ORDER BY a + 1, t DESC, b",
    "SELECT a, count(*) AS n, first_value(t ORDER BY b, t) AS ft, last_value(b ORDER BY f, b) AS lb, first_value(f ORDER BY b, f) AS ff FROM r GROUP BY a",
    "SELECT a, nth_value(t, 2 ORDER BY b DESC, t, d) AS second, sum(b) AS s FROM r GROUP BY a",
    "SELECT a, nth_value(b, -2 ORDER BY b, t) AS last_but_one, max(t) AS m FROM r GROUP BY a",
    "SELECT a, first_value(b ORDER BY d, b) FILTER (WHERE f > 0) AS p, last_value(t ORDER BY d, t) FILTER (WHERE b > 3) AS q FROM r GROUP BY a",
    "SELECT a, first_value(t ORDER BY b DESC, t) IGNORE NULLS AS x, last_value(b ORDER BY t, b) IGNORE NULLS AS y FROM r GROUP BY a",
    "SELECT first_value(t ORDER BY b, t) AS x, last_value(d ORDER BY d) AS y, count(*) AS n FROM r",
    "SELECT a, any_value(a + 1) AS x, max(t) AS y FROM r GROUP BY a",
];

/// Values at positions of each ordered group.
pub const QUANTILES: &[&str] = &[
    "SELECT a, median(b) AS mb, median(f) AS mf, median(d) AS md, median(DISTINCT b) AS mx FROM r GROUP BY a",
    "SELECT a, percentile_cont(0.25) WITHIN GROUP (ORDER BY b) AS p, percentile_cont(d, 0.9) AS q, percentile_cont(0.1) WITHIN GROUP (ORDER BY f DESC) AS u, percentile_cont(f, 0.333) AS v FROM r GROUP BY a",
    "SELECT median(b) AS m, median(b) FILTER (WHERE a = 1) AS n, percentile_cont(b, 0.75) AS p, percentile_cont(b, 0.5) AS q FROM r",
    "SELECT a, percentile_cont(f, 0.0) AS low, quantile_cont(f, 1.0) AS high, percentile_cont(DISTINCT f, 0.7) AS p, median(DISTINCT d) AS m, min(f) AS least FROM r WHERE f < 100 GROUP BY a",
    "SELECT t, median(CAST(b AS REAL)) AS m, median(f) FILTER (WHERE b > 3) AS x, percentile_cont(b, 0.99) AS p, count(*) AS n FROM r GROUP BY t",
    "SELECT a, median(b) AS m FROM r GROUP BY a HAVING median(b) > 2",
    "SELECT median(m) AS mm FROM (SELECT t, median(f) AS m FROM r GROUP BY t)",
];

/// Values that come most often.
pub const MODES: &[&str] = &[
    "SELECT a, mode(b) AS b, mode(t) AS t, mode(d) FILTER (WHERE b > 2) AS d FROM r GROUP BY a",
    "SELECT mode() WITHIN GROUP (ORDER BY b) AS b, mode(f) AS f, count(*) AS n FROM r WHERE a < 3",
    "SELECT t, mode(b + a) AS m, max(b) AS b, string_agg(t, ',' ORDER BY t) AS l FROM r GROUP BY ROLLUP (t)",
    "SELECT m, count(*) AS n FROM (SELECT a, mode(t) AS m FROM r GROUP BY a) AS q GROUP BY m",
];

/// Aggregates that are computed anew for each changed group.
pub const RECOMPUTED: &[&str] = &[
    "SELECT a, array_agg(b ORDER BY b, t) AS x, array_agg(t ORDER BY t DESC NULLS LAST) AS y FROM r GROUP BY a",
    "SELECT a, array_agg(DISTINCT b ORDER BY b) AS x, string_agg(DISTINCT t, ',' ORDER BY t) AS y, string_agg(t, '|' ORDER BY t) AS z FROM r GROUP BY a",
    "SELECT a, json_agg(b ORDER BY b, t) AS x, json_agg(DISTINCT t ORDER BY t) AS y, json_agg(d ORDER BY d) FILTER (WHERE b > 2) AS z, json_object_agg(t, f ORDER BY t, f, b) AS o FROM r GROUP BY a",
    "SELECT a, json_agg(b ORDER BY b) AS x, nth_value(b, 2 ORDER BY b DESC) AS y FROM r GROUP BY a",
    "SELECT json_object_agg(b, d ORDER BY b, d) AS x, json_agg(f ORDER BY f) AS y FROM r",
    "SELECT a, json_build_object('b', b, 't', t, 'l', make_array(f), 'd', d) AS x, to_json(t) AS y FROM r",
    "SELECT a, array_sort(array_agg(b)) AS x, array_sort(array_agg(DISTINCT t)) AS y FROM r GROUP BY a",
    "SELECT a, string_agg(t, ', ' ORDER BY t) AS s, count(*) AS n, median(b) AS m, max(t) AS h FROM r GROUP BY a",
    "SELECT array_agg(b ORDER BY b) AS x, string_agg(t, '' ORDER BY t, a) FILTER (WHERE b > 2) AS y, count(*) AS n FROM r",
    "SELECT a, var_samp(DISTINCT b) AS s, var_pop(DISTINCT f) AS v, count(DISTINCT t) AS n FROM r GROUP BY a",
    "SELECT t, median(b) FILTER (WHERE f > 0) AS m, array_agg(a ORDER BY a) FILTER (WHERE b > 3) AS x FROM r GROUP BY t",
    "SELECT a, array_agg(b ORDER BY b) AS x FROM r GROUP BY a HAVING count(*) > 2",
    "SELECT x.a, x.l, s.w FROM (SELECT a, string_agg(t, '+' ORDER BY t) AS l FROM r GROUP BY a) x JOIN s ON x.a = s.k",
];

/// Several groupings at once.
pub const GROUPINGS: &[&str] = &[
    "SELECT a, t, count(*) AS n, sum(b) AS s FROM r GROUP BY ROLLUP (a, t)",
    "SELECT a, t, count(*) AS n, grouping(a) AS ga, grouping(a, t) AS g FROM r GROUP BY CUBE (a, t)",
    "SELECT a, t, b, max(d) AS m, count(DISTINCT b) AS n FROM r GROUP BY GROUPING SETS ((a, t), (b), ())",
    "SELECT a, t, sum(b) AS s FROM r GROUP BY a, ROLLUP (t)",
    "SELECT a, min(t) AS m FROM r GROUP BY GROUPING SETS ((a), (a))",
    "SELECT a, t FROM r GROUP BY CUBE (a, t)",
    "SELECT a + 1 AS x, median(b) AS m, array_agg(t ORDER BY t) AS l FROM r GROUP BY ROLLUP (a + 1) HAVING count(*) > 1",
    "SELECT a, stddev(f) AS s, string_agg(t, ',' ORDER BY t) AS l FROM r GROUP BY GROUPING SETS ((a), ())",
];

/// Functions that Postgres has and DataFusion has not, and how it says the same.
pub const OF_POSTGRES: &[(&str, &str)] = &[
    (
        "SELECT a, percentile_disc(0.5) WITHIN GROUP (ORDER BY b) AS m, percentile_disc(0.9) WITHIN GROUP (ORDER BY t DESC) AS t, percentile_disc(0.25) WITHIN GROUP (ORDER BY f) FILTER (WHERE b > 2) AS f, every(b > 3) AS e FROM r GROUP BY a",
        "SELECT a, bs[greatest(1, CAST(ceil(0.5 * nb) AS BIGINT))] AS m, ts[greatest(1, CAST(ceil(0.9 * nt) AS BIGINT))] AS t, fs[greatest(1, CAST(ceil(0.25 * nf) AS BIGINT))] AS f, e FROM (SELECT a, array_agg(b ORDER BY b) FILTER (WHERE b IS NOT NULL) AS bs, count(b) AS nb, array_agg(t ORDER BY t DESC) FILTER (WHERE t IS NOT NULL) AS ts, count(t) AS nt, array_agg(f ORDER BY f) FILTER (WHERE f IS NOT NULL AND b > 2) AS fs, count(f) FILTER (WHERE b > 2) AS nf, bool_and(b > 3) AS e FROM r GROUP BY a)",
    ),
    (
        "SELECT a, mod(b, 3) AS m, div(b, 2) AS q, num_nulls(b, t, d) AS n, width_bucket(f, -10, 10, 5) AS w, sign(b) AS s FROM r WHERE f BETWEEN -100 AND 100",
        "SELECT a, b % 3 AS m, b / 2 AS q, CASE WHEN b IS NULL THEN 1 ELSE 0 END + CASE WHEN t IS NULL THEN 1 ELSE 0 END + CASE WHEN d IS NULL THEN 1 ELSE 0 END AS n, CASE WHEN f < -10 THEN 0 WHEN f >= 10 THEN 6 ELSE CAST(floor((f + 10) / 4) AS BIGINT) + 1 END AS w, signum(b) AS s FROM r WHERE f BETWEEN -100 AND 100",
    ),
    (
        "SELECT a, t SIMILAR TO '(x|y)%' AS s, count(*) AS n FROM r WHERE t NOT SIMILAR TO 'z' GROUP BY a, t",
        "SELECT a, t LIKE 'x%' OR t LIKE 'y%' AS s, count(*) AS n FROM r WHERE t <> 'z' GROUP BY a, t",
    ),
    (
        "SELECT a, g, count(*) AS n FROM r JOIN generate_series(1, 3) AS g ON r.b >= g GROUP BY a, g",
        "SELECT a, g, count(*) AS n FROM r JOIN (VALUES (1), (2), (3)) AS s(g) ON r.b >= s.g GROUP BY a, g",
    ),
];
