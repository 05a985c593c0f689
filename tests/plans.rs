//! Golden plans: what views become, as text. `INSTA_UPDATE=always cargo test plans::` accepts
//! changes, which the diff of `tests/golden/` then shows.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstem::model::standard_tables;
use mainstem::sql::{Catalog, Planner, Statement, parse};

use crate::engine::{open, rows, run, runtime, wait_for};
use crate::oracle;

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a text with `tests/golden/<name>.snap`.
fn compare(name: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => repository().join("tests/golden"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, text);
    });
}

/// The statements of the shipped views by name.
fn shipped() -> Vec<(String, String)> {
    let files = fs::read_dir(repository().join("dataflows")).expect("dataflows/ is there");
    let mut views: Vec<(String, String)> = files
        .map(|file| file.expect("a directory entry").path())
        .map(|path| (stem(&path), fs::read_to_string(&path).expect("text")))
        .collect();
    views.sort();
    views
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    stem.expect("a UTF-8 name").to_owned()
}

#[test]
fn shipped_views_have_their_golden_plans() {
    let planner = Planner::new();
    let mut catalog = Catalog::default();
    for table in standard_tables() {
        catalog.tables.insert(table.name.clone(), Arc::new(table));
    }
    let mut waiting = shipped();
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut failures = String::new();
        waiting.retain(|(name, text)| {
            let Some(Statement::CreateMaterializedView { query, text, .. }) =
                parse(text).expect(name).pop()
            else {
                panic!("{name} is not a view");
            };
            match planner.plan_view(&catalog, name, &query, &text) {
                Ok(view) => {
                    compare(&format!("view_{name}"), &view.plan.to_string());
                    catalog.live_views.insert(name.clone(), Arc::new(view));
                    false
                }
                Err(error) => {
                    failures += &format!("{name}: {error}\n");
                    true
                }
            }
        });
        assert!(waiting.len() < before, "{failures}");
    }
}

#[test]
fn constructs_have_their_golden_plans() {
    compare("constructs", &plans(oracle::CONSTRUCTS));
}

#[test]
fn aggregates_have_their_golden_plans() {
    let views = [
        oracle::aggregates::ADDITIVE,
        oracle::aggregates::PICKED,
        oracle::aggregates::QUANTILES,
        oracle::aggregates::MODES,
        oracle::aggregates::RECOMPUTED,
        oracle::aggregates::GROUPINGS,
    ];
    compare("aggregates", &plans(&views.concat()));
}

#[test]
fn window_functions_have_their_golden_plans() {
    compare("windows", &plans(oracle::windows::WINDOWS));
}

fn plans(views: &[&str]) -> String {
    let planner = Planner::new();
    let catalog = oracle::catalog();
    let mut text = String::new();
    for sql in views {
        let query = mainstem::sql::statement::parse_query(sql).expect(sql);
        let view = planner.plan_view(&catalog, "v", &query, sql).expect(sql);
        writeln!(text, "{sql}\n{}\n", view.plan).expect("writing to a String");
    }
    text
}

#[test]
fn relational_constructs_have_their_golden_plans() {
    let catalog = oracle::catalog();
    let temporal = oracle::temporal::views();
    let relational = oracle::relational::RELATIONAL
        .iter()
        .map(|sql| (*sql).to_owned());
    let time_relations = oracle::time_relations::views();
    let joins = oracle::joins::JOINS.iter().map(|sql| (*sql).to_owned());
    for (name, views) in [
        ("relational", relational.collect()),
        ("temporal", temporal),
        ("time_relations", time_relations),
        ("joins", joins.collect()),
    ] {
        let views: Vec<String> = views;
        let mut text = String::new();
        for sql in views {
            let query = mainstem::sql::statement::parse_query(&sql).expect(&sql);
            // Each with a planner of its own, so that the names it invents do not depend on the others.
            let view = Planner::new()
                .plan_view(&catalog, "v", &query, &sql)
                .expect(&sql);
            writeln!(text, "{sql}\n{}\n", view.plan).expect("writing to a String");
        }
        compare(name, &text);
    }
}

/// A catalog of the tables that a text creates.
fn catalog_of(tables: &str) -> Catalog {
    let mut catalog = Catalog::default();
    for statement in parse(tables).expect("tables") {
        let Statement::CreateTable { definition, .. } = statement else {
            panic!("a table");
        };
        let name = definition.name.clone();
        catalog.tables.insert(name, Arc::new(definition));
    }
    catalog
}

#[test]
fn joins_keep_no_intermediate_rows_where_that_is_certain_to_be_less() {
    let catalog = catalog_of(
        "CREATE TABLE lines (id BIGINT PRIMARY KEY, order_id BIGINT, item BIGINT, amount BIGINT);
        CREATE TABLE orders (id BIGINT PRIMARY KEY, place BIGINT, placed BIGINT);
        CREATE TABLE items (id BIGINT PRIMARY KEY, kind TEXT);
        CREATE TABLE places (id BIGINT PRIMARY KEY, region TEXT);
        CREATE TABLE notes (order_id BIGINT PRIMARY KEY, note TEXT);
        CREATE TABLE prices (item BIGINT, place BIGINT, price BIGINT, PRIMARY KEY (item, place));
        CREATE TABLE sold (source TEXT, id BIGINT, ticket BIGINT, item BIGINT, PRIMARY KEY (source, id));
        CREATE TABLE tickets (source TEXT, id BIGINT, place BIGINT, PRIMARY KEY (source, id));
        CREATE TABLE goods (source TEXT, id BIGINT, kind TEXT, PRIMARY KEY (source, id))",
    );
    let chain = "FROM lines AS l JOIN orders AS o ON l.order_id = o.id";
    let star =
        format!("{chain} JOIN items AS i ON l.item = i.id JOIN places AS p ON o.place = p.id");
    let mut text = String::new();
    for (reason, query) in [
        ("a star", format!("SELECT l.amount, o.placed, i.kind, p.region {star}")),
        ("a chain", format!("SELECT l.amount, p.region {chain} JOIN places AS p ON o.place = p.id")),
        (
            "a filter on the last",
            format!("SELECT l.amount, i.kind {chain} JOIN items AS i ON l.item = i.id AND i.kind = 'b'"),
        ),
        (
            "a filter on the first two: the rows that are left are fewer than those of the table",
            format!("SELECT l.amount, i.kind {chain} AND o.placed > 3 JOIN items AS i ON l.item = i.id"),
        ),
        (
            "what is filtered is joined first and kept, the rest is not",
            format!("SELECT l.amount, n.note, i.kind {chain} AND o.placed > 3 JOIN items AS i ON l.item = i.id JOIN notes AS n ON n.order_id = l.order_id"),
        ),
        (
            "one to one: which table is larger is not known",
            "SELECT o.placed, n.note, p.region FROM orders AS o JOIN notes AS n ON n.order_id = o.id JOIN places AS p ON o.place = p.id".to_owned(),
        ),
        (
            "keys of several columns, one of which all have in common",
            "SELECT s.id, t.place, g.kind FROM sold AS s JOIN tickets AS t ON s.source = t.source AND s.ticket = t.id JOIN goods AS g ON g.source = t.source AND s.item = g.id".to_owned(),
        ),
        (
            "a part of the columns of a join would be looked up",
            format!("SELECT l.amount, p.price {chain} JOIN prices AS p ON p.item = l.item AND p.place = o.place"),
        ),
        ("two", format!("SELECT l.amount, o.placed {chain}")),
        (
            "a condition that may fail",
            format!("SELECT l.amount {chain} AND l.amount / o.placed > 2 JOIN items AS i ON l.item = i.id"),
        ),
    ] {
        let parsed = mainstem::sql::statement::parse_query(&query).expect("a query");
        let view = Planner::new().plan_view(&catalog, "v", &parsed, &query);
        let plan = view.expect("a plan").plan;
        writeln!(text, "{reason}: {query}\n{plan}\n").expect("writing to a String");
    }
    compare("delta_joins", &text);
}

#[test]
fn joins_by_a_unique_key_come_before_those_that_multiply_rows() {
    let catalog = catalog_of(
        "CREATE TABLE sales (id BIGINT PRIMARY KEY, item BIGINT, day DATE);
        CREATE TABLE stock (day DATE, item BIGINT, quantity BIGINT, PRIMARY KEY (day, item));
        CREATE TABLE items (id BIGINT PRIMARY KEY, kind TEXT)",
    );
    let order = |joins: &str| -> Vec<String> {
        let sql = format!("SELECT s.id, k.quantity FROM sales AS s {joins}");
        let query = mainstem::sql::statement::parse_query(&sql).expect("a query");
        let view = Planner::new().plan_view(&catalog, "v", &query, &sql);
        let plan = view.expect("a plan").plan.to_string();
        let tables = plan
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Table "));
        tables.map(str::to_owned).collect()
    };
    let by_item = "JOIN stock AS k ON s.item = k.item JOIN items AS i ON s.item = i.id";
    assert_eq!(order(by_item), ["sales", "items", "stock"]);
    let by_item_and_day = "JOIN stock AS k ON s.item = k.item AND s.day = k.day \
        JOIN items AS i ON s.item = i.id";
    assert_eq!(order(by_item_and_day), ["sales", "stock", "items"]);
    let listed = ", stock AS k, items AS i WHERE s.item = k.item AND i.id = s.item";
    assert_eq!(order(listed), ["sales", "items", "stock"]);
}

#[test]
fn refusals_say_why_and_what_to_do() {
    let planner = Planner::new();
    let catalog = oracle::catalog();
    let mut planned: Vec<String> = Vec::new();
    let mut text = String::new();
    for sql in [
        "SELECT now() AS at FROM r",
        "SELECT random() AS x FROM r",
        "SELECT approx_distinct(b) AS x FROM r",
        "SELECT a, approx_percentile_cont(f, 0.5) AS x FROM r GROUP BY a",
        "SELECT count(DISTINCT a, b) AS x FROM r",
        "SELECT a, bit_xor(DISTINCT b) AS x, count(DISTINCT t) AS n FROM r GROUP BY a",
        "SELECT bit_and(b) OVER (ORDER BY a ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS x FROM r",
        "SELECT current_time AS at FROM r",
        "SELECT now() - arrow_cast(b, 'Timestamp(Microsecond, Some(\"UTC\"))') AS age FROM r",
        "SELECT a FROM r WHERE arrow_cast(b, 'Timestamp(Microsecond, Some(\"UTC\"))') > now() - INTERVAL '1 month'",
        "SELECT a FROM r WHERE arrow_cast(b, 'Timestamp(Microsecond, Some(\"UTC\"))') > now() - INTERVAL '900 years'",
        "SELECT a FROM r WHERE date_part('hour', now()) = b",
        "SELECT a FROM r LEFT JOIN s ON r.a = s.k AND arrow_cast(r.b + s.v, 'Timestamp(Microsecond, Some(\"UTC\"))') > now()",
        "SELECT a, a FROM r",
        "SELECT nothing FROM r",
        "SELECT a FROM nowhere",
        "SELECT a, nofunc(b) AS x FROM r",
        "SELECT a,\n  count(*) AS n\nFROM r JOIN s ON r.a = s.k\nWHERE  nothing > 1 GROUP BY a",
        "SELECT k FROM s AS one, s AS two",
        "SELECT sum(b) FROM r WHERE sum(b) > 1",
        "SELECT a, b FROM r GROUP BY a",
        "SELECT a FROM r WHERE t > 1.5 + d'",
        "SELECT a FROM r WHERE",
        "SELECT FROM r GROUP",
        "SELECT json_get(a, 'x') AS x FROM r",
        "SELECT json_get(t, 1.5) AS x FROM r",
        "SELECT a FROM r, regexp_matches(t) AS j",
        "SELECT a FROM r LIMIT b",
        "SELECT a FROM r FETCH FIRST 3 ROWS WITH TIES",
        "SELECT a FROM mainstem.views",
        "SELECT a FROM other.r",
        "SELECT a, percentile_cont(0.5) WITHIN GROUP (ORDER BY t) AS x FROM r GROUP BY a",
        "SELECT a FROM r TABLESAMPLE BERNOULLI (10)",
        "SELECT uuid() AS id, a FROM r",
        "SELECT * FROM r PIVOT (sum(b) FOR a IN (1, 2))",
        "SELECT a, max(b) OVER (PARTITION BY nobody) AS x FROM r",
        "SELECT * FROM r, LATERAL (SELECT k FROM s WHERE s.k < r.a GROUP BY ROLLUP (k)) AS x",
        "WITH RECURSIVE path AS (SELECT k, v FROM s UNION SELECT l.k, r.v FROM path AS l JOIN path AS r ON l.v = r.k) SELECT * FROM path",
        "SELECT a, (SELECT max(v) FROM (SELECT v FROM s WHERE s.k < r.a GROUP BY CUBE (v)) AS u) AS m FROM r",
        "SELECT * FROM tumble(r, a, INTERVAL '1 hour')",
        "SELECT * FROM tumble(r, current_date)",
        "SELECT * FROM tumble(r, current_date, 5)",
        "SELECT * FROM tumble(nowhere, a, INTERVAL '1 hour')",
        "SELECT * FROM tumble((SELECT *, 1 AS window_start FROM r), current_date, INTERVAL '1 day')",
        "SELECT * FROM hop(r, current_date, INTERVAL '1 second', INTERVAL '1 year')",
        "SELECT * FROM hop(r, current_date, INTERVAL '-1 day', INTERVAL '1 day')",
        "SELECT * FROM session(r, current_date, INTERVAL '1 month')",
        "SELECT * FROM r ASOF JOIN s MATCH_CONDITION (r.b >= s.v) USING (a)",
        "SELECT * FROM r ASOF JOIN s MATCH_CONDITION (r.b >= s.v) ON r.a = s.k AND r.b < 3",
        "SELECT * FROM r ASOF JOIN s MATCH_CONDITION (r.b = s.v) ON r.a = s.k",
        "SELECT * FROM r ASOF JOIN s MATCH_CONDITION (r.t >= s.w) ON r.a = s.k",
        "SELECT * FROM r ASOF JOIN s MATCH_CONDITION (r.b >= 1) ON r.a = s.k",
    ] {
        let parsed = parse(sql).and_then(|mut statements| match statements.pop() {
            Some(Statement::Query(query)) => planner.plan_view(&catalog, "v", &query, sql),
            other => panic!("{sql} is no query: {other:?}"),
        });
        let error = match parsed {
            Ok(view) => {
                planned.push(format!("{sql} is planned:\n{}", view.plan));
                continue;
            }
            Err(error) => error,
        };
        let hint = error.hint.clone().unwrap_or_default();
        writeln!(text, "{sql}\n  {} {error}\n  {hint}\n", error.sqlstate)
            .expect("writing to a String");
    }
    assert!(planned.is_empty(), "{}", planned.join("\n"));
    compare("refusals", &text);
}

/// What EXPLAIN ANALYZE tells of a step: rows, bytes and the time, as it is written.
fn figures(line: &str) -> Option<(u64, u64, &str)> {
    let (before, rest) = line.split_once(" rows, ")?;
    let (bytes, rest) = rest.split_once(" bytes kept, ")?;
    let (time, _) = rest.split_once(')')?;
    let rows = before.rsplit('(').next()?.parse().ok()?;
    Some((rows, bytes.parse().ok()?, time))
}

#[test]
fn a_view_that_is_analyzed_tells_rows_bytes_and_time_of_each_step() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 2);
        let mut session = engine.session();
        for sql in [
            "CREATE TABLE t (id BIGINT PRIMARY KEY, a BIGINT)",
            "CREATE TABLE u (a BIGINT, c TEXT)",
            "INSERT INTO u VALUES (0, 'x'), (1, 'y'), (2, 'y')",
            "CREATE MATERIALIZED VIEW k AS SELECT u.c, sum(t.id) AS s FROM t JOIN u ON t.a = u.a GROUP BY u.c",
            "INSERT INTO t SELECT x, x % 3 FROM generate_series(1, 900) AS g(x)",
        ] {
            run(&mut session, sql).await.expect(sql);
        }
        assert_eq!(rows(&mut session, "SELECT * FROM k ORDER BY c").await, "x,135450 y,270000");
        // What workers do not tell now they tell later.
        let told = "SELECT count(DISTINCT node) FROM mainstem.operators \
            WHERE views = 'k' AND busy_us > 0 AND (node LIKE 'Join%' OR node LIKE 'Aggregate%')";
        wait_for(&mut session, told, "2").await;
        let sum = "SELECT sum(rows) >= 905 FROM mainstem.operators WHERE views = 'k'";
        wait_for(&mut session, sum, "true").await;
        let text = run(&mut session, "EXPLAIN ANALYZE MATERIALIZED VIEW k").await;
        let text = text.expect("analyzed");
        for step in ["Join inner", "Aggregate by", "Result and what is shared"] {
            let line = text.lines().find(|line| line.contains(step)).expect(step);
            let (_, _, time) = figures(line).unwrap_or_else(|| panic!("no figures: {line}"));
            // A number with its unit: ns, µs, ms or s.
            let number = time.trim_end_matches(|c: char| c.is_alphabetic());
            assert!(number.parse::<f64>().is_ok_and(|n| n > 0.0), "{line}");
            assert!(time.ends_with('s'), "{line}");
        }
        let steps: Vec<_> = text.lines().filter_map(figures).collect();
        // The rows of both tables by their key, and the groups.
        let kept: u64 = steps.iter().map(|(rows, ..)| rows).sum();
        assert!(kept >= 905, "{text}");
        for (rows, bytes, _) in steps {
            assert!(rows == 0 || bytes > 0, "{text}");
        }
        engine.shutdown();
    });
}
