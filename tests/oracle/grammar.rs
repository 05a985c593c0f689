//! Random views within what Mainstem maintains.

use rand::RngExt;
use rand_pcg::Pcg64;

/// A random query over `r(a, b, t, d, f)` and `s(k, v, w)`.
pub fn query(random: &mut Pcg64) -> String {
    match random.random_range(0..8) {
        0 => plain(random),
        1 | 6 => grouped(random),
        7 => windowed(random),
        2 => top(random),
        3 => format!("{} UNION ALL {}", two_numbers(random), two_numbers(random)),
        4 => format!("{} EXCEPT {}", two_numbers(random), two_numbers(random)),
        _ => nested(random),
    }
}

pub fn pick<'a>(random: &mut Pcg64, choices: &[&'a str]) -> &'a str {
    choices[random.random_range(0..choices.len())]
}

/// A relation with columns x, y (numbers), z (text).
pub fn relation(random: &mut Pcg64, depth: usize) -> String {
    let choice = random.random_range(0..if depth == 0 { 2 } else { 9 });
    match choice {
        0 => format!(
            "(SELECT a AS x, b AS y, t AS z FROM r WHERE {})",
            condition_r(random)
        ),
        1 => "(SELECT k AS x, v AS y, w AS z FROM s)".to_owned(),
        2 => {
            let kind = pick(random, &["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
            let (left, right) = (relation(random, depth - 1), relation(random, depth - 1));
            let further = pick(
                random,
                &[
                    "",
                    " AND p.y < q.y",
                    " AND p.z = q.z",
                    " AND p.y IS NOT NULL",
                ],
            );
            format!(
                "(SELECT p.x, q.y, coalesce(p.z, q.z) AS z FROM {left} AS p {kind} {right} AS q ON p.x = q.x{further})"
            )
        }
        3 => {
            let of = relation(random, depth - 1);
            let aggregate = pick(
                random,
                &[
                    "sum(y)",
                    "count(*)",
                    "min(y)",
                    "max(y)",
                    "count(DISTINCT y)",
                    "sum(y) FILTER (WHERE z IS NOT NULL)",
                ],
            );
            format!("(SELECT x, {aggregate} AS y, max(z) AS z FROM {of} AS g GROUP BY x)")
        }
        4 => {
            let of = relation(random, depth - 1);
            let inner = relation(random, depth - 1);
            let test = pick(random, &["EXISTS", "NOT EXISTS"]);
            let further = pick(random, &["", " AND i.y > o.y"]);
            format!(
                "(SELECT * FROM {of} AS o WHERE {test} (SELECT 1 FROM {inner} AS i WHERE i.x = o.x{further}))"
            )
        }
        5 => {
            let of = relation(random, depth - 1);
            let inner = relation(random, depth - 1);
            let test = pick(random, &["IN", "NOT IN"]);
            format!("(SELECT * FROM {of} AS o WHERE o.y {test} (SELECT i.y FROM {inner} AS i))")
        }
        7 | 8 => super::relational::random_relation(random, depth),
        _ => {
            let of = relation(random, depth - 1);
            format!(
                "(SELECT DISTINCT x, y, z FROM {of} AS u WHERE {})",
                pick(
                    random,
                    &["x > 0", "y IS NOT NULL", "z <> 'a'", "x = 1 OR z IS NULL"]
                )
            )
        }
    }
}

fn condition_r(random: &mut Pcg64) -> &'static str {
    pick(
        random,
        &[
            "true",
            "b > 2",
            "t IS NOT NULL",
            "a <> 3",
            "length(t) < 2 OR b IS NULL",
            "d > 0",
            "f < 3.5",
        ],
    )
}

fn plain(random: &mut Pcg64) -> String {
    format!("SELECT x, y, z FROM {} AS q", relation(random, 2))
}

fn two_numbers(random: &mut Pcg64) -> String {
    format!("SELECT x, y FROM {} AS q", relation(random, 1))
}

fn grouped(random: &mut Pcg64) -> String {
    let key = pick(random, &["x", "z", "x, z", "y % 2"]);
    let keys = key.split(", ").count();
    let aggregates = [
        "var_pop(y)",
        "stddev(x)",
        "corr(x, y)",
        "regr_slope(y, x)",
        "bool_and(y > 2)",
        "bool_or(z IS NULL)",
        "bit_xor(y)",
        "bit_and(y)",
        "median(y)",
        "percentile_cont(y, 0.3)",
        "median(DISTINCT y)",
        "string_agg(z, ',' ORDER BY z)",
        "array_agg(y ORDER BY y)",
        "array_agg(DISTINCT z ORDER BY z)",
        "json_agg(y ORDER BY y)",
        "json_object_agg(z, y ORDER BY z, y)",
        "first_value(y ORDER BY z, y)",
        "last_value(z ORDER BY y, z)",
        "nth_value(y, 2 ORDER BY y DESC)",
        "count(*)",
        "count(y)",
        "sum(y)",
        "avg(y)",
        "min(y)",
        "max(y)",
        "min(z)",
        "max(z)",
        "count(DISTINCT z)",
        "sum(DISTINCT y)",
    ];
    let mut columns: Vec<String> = key
        .split(", ")
        .enumerate()
        .map(|(n, key)| format!("{key} AS k{n}"))
        .collect();
    for number in 0..random.random_range(1..5) {
        let filter = pick(random, &["", "", " FILTER (WHERE x > 1)"]);
        let mut aggregate = pick(random, &aggregates);
        // DataFusion has no plan for `nth_value` beside an aggregate of another order.
        let others = columns.iter().filter(|column| column.contains("ORDER BY"));
        let others: Vec<&String> = others.collect();
        let has_nth = others.iter().any(|column| column.contains("nth_value"));
        if aggregate.contains("ORDER BY")
            && (has_nth || aggregate.contains("nth_value") && !others.is_empty())
        {
            aggregate = "count(*)";
        }
        columns.push(format!("{aggregate}{filter} AS c{number}"));
    }
    let numbers: Vec<String> = (1..=keys).map(|number| number.to_string()).collect();
    let grouping = match random.random_range(0..7) {
        0 => format!("ROLLUP ({key})"),
        1 => format!("CUBE ({key})"),
        2 if keys == 2 => format!("GROUPING SETS (({key}), (z), ())"),
        2 => format!("GROUPING SETS (({key}), ())"),
        _ => numbers.join(", "),
    };
    let having = pick(random, &["", "", " HAVING count(*) > 1"]);
    format!(
        "SELECT {} FROM {} AS q GROUP BY {grouping}{having}",
        columns.join(", "),
        relation(random, 2)
    )
}

fn top(random: &mut Pcg64) -> String {
    let of = relation(random, 1);
    let order = pick(
        random,
        &[
            "x, y, z",
            "y DESC, x, z DESC",
            "z NULLS FIRST, y DESC NULLS LAST, x",
        ],
    );
    match random.random_range(0..3) {
        0 => format!("SELECT DISTINCT ON (x) x, y, z FROM {of} AS q ORDER BY x, z DESC, y"),
        1 => format!(
            "SELECT x, y, z FROM {of} AS q ORDER BY {order} LIMIT {} OFFSET {}",
            random.random_range(1..5),
            random.random_range(0..3)
        ),
        _ => format!(
            "SELECT x, y, z, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY x ORDER BY {order}) AS n FROM {of} AS q) WHERE n <= {}",
            random.random_range(1..4)
        ),
    }
}

/// Window functions; where a function tells rows apart that its order does not, the order names
/// all columns.
fn windowed(random: &mut Pcg64) -> String {
    let of = relation(random, 1);
    let partition = pick(random, &["", "PARTITION BY x ", "PARTITION BY z, x "]);
    let keys = pick(
        random,
        &["x, y, z", "y DESC NULLS LAST, z, x", "z, x DESC, y"],
    );
    let functions = [
        "row_number()",
        "lag(y)",
        "lead(z, 2)",
        "lag(x, 1, 0)",
        "ntile(2)",
        "first_value(z)",
        "nth_value(y, 2)",
    ];
    let function = pick(random, &functions);
    let key = pick(random, &["y", "z DESC", "x, y"]);
    let ranks = [
        "rank()",
        "dense_rank()",
        "percent_rank()",
        "cume_dist()",
        "sum(y)",
        "count(z)",
    ];
    let rank = pick(random, &ranks);
    let frames = [
        "ROWS BETWEEN 2 PRECEDING AND CURRENT ROW",
        "ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING",
        "ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING",
        "GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
        "ROWS UNBOUNDED PRECEDING",
        "RANGE UNBOUNDED PRECEDING",
    ];
    let frame = pick(random, &frames);
    match random.random_range(0..6) {
        0 => return near(random, &of, partition),
        1 => {
            let choice = pick(random, &["row_number", "rank", "dense_rank"]);
            let most = random.random_range(1..4);
            return format!(
                "SELECT x, y, z FROM {of} AS q QUALIFY {choice}() OVER ({partition}ORDER BY {keys}) <= {most}"
            );
        }
        _ => {}
    }
    let aggregate = pick(
        random,
        &["sum(y)", "count(*)", "max(z)", "min(x)", "avg(y)"],
    );
    format!(
        "SELECT x, y, z, {function} OVER ({partition}ORDER BY {keys}) AS f, {rank} OVER ({partition}ORDER BY {key}) AS r, {aggregate} OVER ({partition}ORDER BY {keys} {frame}) AS w FROM {of} AS q"
    )
}

/// Aggregates over the rows whose numbers are near.
fn near(random: &mut Pcg64, of: &str, partition: &str) -> String {
    let frames = [
        "1 PRECEDING AND 2 FOLLOWING",
        "2 PRECEDING AND 1 PRECEDING",
        "CURRENT ROW AND 1 FOLLOWING",
        "UNBOUNDED PRECEDING AND 1 FOLLOWING",
    ];
    let frame = pick(random, &frames);
    let aggregate = pick(random, &["sum(x)", "count(*)", "max(z)", "min(x)"]);
    let direction = pick(random, &["", " DESC"]);
    format!(
        "SELECT x, y, z, {aggregate} OVER ({partition}ORDER BY y{direction} RANGE BETWEEN {frame}) AS w FROM {of} AS q WHERE y IS NOT NULL"
    )
}

fn nested(random: &mut Pcg64) -> String {
    let (outer, inner) = (relation(random, 1), relation(random, 1));
    match random.random_range(0..3) {
        0 => format!("SELECT x, y, (SELECT max(i.y) FROM {inner} AS i) AS m FROM {outer} AS o"),
        1 => format!(
            "SELECT x, y, (SELECT count(*) FROM {inner} AS i WHERE i.x = o.x) AS m FROM {outer} AS o"
        ),
        _ => format!(
            "SELECT x, y FROM {outer} AS o WHERE y >= (SELECT avg(i.y) FROM {inner} AS i WHERE i.x = o.x)"
        ),
    }
}
