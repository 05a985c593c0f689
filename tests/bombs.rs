//! Statements that would take all memory, all stack or all time end in an error within their
//! limits, ad hoc and as live views, and the engine lives.

use std::time::{Duration, Instant};

use mainstem::engine::QueryLimits;

use crate::engine::{open, rows, run};

/// Whoever takes longer hangs, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(600);

fn repeated(what: &str, times: usize, between: &str) -> String {
    vec![what; times].join(between)
}

fn nested(open: &str, inner: &str, close: &str, times: usize) -> String {
    format!("{}{inner}{}", open.repeat(times), close.repeat(times))
}

/// Queries that are refused, with the SQLSTATE.
fn refused() -> Vec<(String, &'static str)> {
    let mut bombs: Vec<(String, &'static str)> = [
        format!("SELECT {} AS x", repeated("1", 20_000, "+")),
        format!("SELECT {} AS x", repeated("a", 3_000, " || ")),
        format!("SELECT a FROM t WHERE {}", repeated("a = 1", 5_000, " OR ")),
        format!("SELECT a FROM t WHERE {}", repeated("a=1", 6_000, " AND ")),
        format!("SELECT {} AS x FROM t", nested("(", "a", ")", 5_000)),
        format!("SELECT {} AS x FROM t", nested("abs(", "a", ")", 2_000)),
        format!("SELECT a{} AS x FROM t", " IS NULL".repeat(6_000)),
        format!("SELECT a{} AS x FROM t", "::bigint".repeat(6_000)),
        format!("SELECT a{} AS x FROM t", "[1]".repeat(6_000)),
        format!("SELECT a{} AS x FROM t", ".a".repeat(6_000)),
        format!("SELECT a{} AS x FROM t", " ->> 'a'".repeat(6_000)),
        format!("SELECT a{} AS x FROM t", " IN (1)".repeat(4_000)),
        format!("SELECT {}a AS x FROM t", "- ".repeat(10_000)),
        format!("SELECT {}true AS x FROM t", "NOT ".repeat(10_000)),
        format!(
            "SELECT {} AS x FROM t",
            nested("CASE WHEN a = 1 THEN ", "1", " END", 3_000)
        ),
        nested("SELECT * FROM (", "SELECT a FROM t", ") AS x", 1_000),
        nested("SELECT (", "SELECT 1", ") AS x", 1_000),
        repeated("SELECT a FROM t", 4_000, " UNION ALL "),
        repeated("SELECT 1 AS x", 1_000, " UNION ALL "),
        repeated("SELECT 1 AS x", 202, " UNION ALL "),
        repeated("SELECT 1 AS x", 700, " EXCEPT "),
        format!(
            "SELECT count(*) AS x FROM (SELECT {0} FROM t) AS y GROUP BY CUBE ({1})",
            (0..18)
                .map(|n| format!("a + {n} AS c{n}"))
                .collect::<Vec<_>>()
                .join(", "),
            (0..18)
                .map(|n| format!("c{n}"))
                .collect::<Vec<_>>()
                .join(", "),
        ),
        format!("SELECT 1 AS x FROM {}", repeated("t", 9_000, ", ")),
        format!("SELECT 1 AS x FROM t {}", "CROSS JOIN t ".repeat(5_000)),
        format!(
            "SELECT a FROM t WHERE a IN ({})",
            repeated("1", 30_000, ",")
        ),
        format!("SELECT '{}' AS x", "x".repeat(300_000)),
        format!(
            "SELECT {} AS x FROM t",
            nested("coalesce(", "a", ", 1)", 45)
        ),
        doubling(30),
        correlated(20),
    ]
    .into_iter()
    .map(|sql| (sql, "54001"))
    .collect();
    for call in [
        "generate_series(1, 1000000000000)",
        "range(1000000000000)",
        "generate_series(9223372036854775807, -9223372036854775807, -1)",
        "generate_series(DATE '0001-01-01', DATE '9999-12-31', INTERVAL '1 second')",
        "generate_series(TIMESTAMP '2000-01-01', TIMESTAMP '2100-01-01', INTERVAL '1 millisecond')",
        "repeat('a', 1000000000000)",
        "repeat(repeat('a', 1000000), 1000000)",
        "lpad('a', 2000000000)",
        "rpad('a', 2000000000, 'xy')",
        "array_repeat(1, 100000000000)",
        "array_repeat(repeat('a', 1000000), 100000000)",
        "array_resize([1], 100000000000, 0)",
    ] {
        bombs.push((format!("SELECT {call} AS x"), "54000"));
        bombs.push((
            format!("SELECT count(*) AS x FROM (SELECT unnest({call}))"),
            "54000",
        ));
    }
    for call in [
        "length(replace(repeat('a', 1000000), 'a', repeat('b', 100000)))",
        "length(regexp_replace(repeat('a', 1000000), 'a', repeat('b', 100000), 'g'))",
        "length(array_to_string(array_repeat('a', 1000000), repeat('b', 100000)))",
        "cardinality(array_repeat(array_repeat(1, 10000), 10000))",
        "cardinality(array_repeat(repeat('a', 1000000), 1000000))",
    ] {
        bombs.push((format!("SELECT {call} AS x"), "54000"));
    }
    // Constants would be copied with the plan.
    let large = "repeat('a', 90000000 + a)";
    let joined = repeated(large, 3, " || ");
    bombs.push((format!("SELECT length({joined}) AS x FROM t"), "54000"));
    let joined = format!("concat({})", repeated(large, 3, ", "));
    bombs.push((format!("SELECT length({joined}) AS x FROM t"), "54000"));
    bombs.retain(|(sql, _)| {
        !sql.contains("unnest(repeat")
            && !sql.contains("unnest(lpad")
            && !sql.contains("unnest(rpad")
    });
    bombs
}

/// A query whose WITH queries each read the one before twice.
fn doubling(levels: usize) -> String {
    let mut text = "WITH w0 AS (SELECT a FROM t)".to_owned();
    for level in 1..levels {
        let before = level - 1;
        text +=
            &format!(", w{level} AS (SELECT x.a FROM w{before} x JOIN w{before} y ON x.a = y.a)");
    }
    format!("{text} SELECT a FROM w{}", levels - 1)
}

/// Correlated subqueries on a condition without =, each over a query with another one.
fn correlated(levels: usize) -> String {
    let mut text = "SELECT a FROM t".to_owned();
    for _ in 0..levels {
        text =
            format!("SELECT (SELECT max(x.a) FROM t AS x WHERE x.a < o.a) AS a FROM ({text}) AS o");
    }
    text
}

/// Queries near the limits, which are answered or refused, but end.
fn just_within() -> Vec<String> {
    vec![
        format!("SELECT {} AS x FROM t", repeated("a", 500, " + ")),
        format!("SELECT {} AS x FROM t", repeated("'a'", 500, " || ")),
        format!("SELECT a FROM t WHERE {}", repeated("a = 1", 250, " OR ")),
        format!(
            "SELECT a FROM t WHERE {}",
            (0..250)
                .map(|n| format!("a <> {n}"))
                .collect::<Vec<_>>()
                .join(" AND ")
        ),
        format!("SELECT {} AS x FROM t", nested("(", "a", ")", 45)),
        format!("SELECT {} AS x FROM t", nested("abs(", "a", ")", 45)),
        format!("SELECT {} AS x FROM t", nested("coalesce(", "a", ", 1)", 9)),
        format!("SELECT {} AS x FROM t", nested("make_array(", "a", ")", 45)),
        nested("SELECT * FROM (", "SELECT a FROM t", ") AS x", 45),
        nested("SELECT a FROM t WHERE a IN (", "SELECT a FROM t", ")", 45),
        repeated("SELECT a FROM t", 201, " UNION ALL "),
        repeated("SELECT 1 AS x", 201, " UNION ALL "),
        repeated("SELECT a FROM t", 100, " UNION "),
        format!(
            "SELECT a FROM t WHERE a IN ({})",
            (0..9_000)
                .map(|n| n.to_string())
                .collect::<Vec<_>>()
                .join(",")
        ),
        format!("SELECT a{} AS x FROM t", "::bigint".repeat(450)),
        format!("SELECT a{} AS x FROM t", " IS NULL".repeat(450)),
        format!(
            "SELECT t0.a FROM t AS t0 {}",
            (1..40)
                .map(|n| format!("JOIN t AS t{n} ON t{n}.a = t0.a"))
                .collect::<Vec<_>>()
                .join(" ")
        ),
        format!(
            "SELECT {} FROM t",
            (0..900)
                .map(|n| format!("a + {n} AS c{n}"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        format!(
            "SELECT CASE {} END AS x FROM t",
            (0..400)
                .map(|n| format!("WHEN a = {n} THEN {n}"))
                .collect::<Vec<_>>()
                .join(" ")
        ),
        doubling(7),
        "SELECT unnest(generate_series(1, 100000)) AS x".to_owned(),
    ]
}

#[test]
fn bombs_end_in_an_error_and_the_engine_lives() {
    crate::engine::runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 2);
        let mut session = engine.session();
        run(
            &mut session,
            "CREATE TABLE t (a BIGINT); INSERT INTO t VALUES (1)",
        )
        .await
        .expect("created");
        for (sql, state) in refused() {
            let short: String = sql.chars().take(80).collect();
            let begun = Instant::now();
            for sql in [
                sql.clone(),
                format!("CREATE MATERIALIZED VIEW v AS {sql}"),
                format!("EXPLAIN {sql}"),
            ] {
                let outcome = run(&mut session, &sql).await;
                if state == "54000" && sql.starts_with("CREATE") && outcome.is_ok() {
                    // The row that is too large is an error of the view.
                    let read = run(&mut session, "SELECT * FROM v").await;
                    let error = read.expect_err(&short).to_string();
                    assert!(error.contains("the limit is"), "{short}: {error}");
                    run(&mut session, "DROP MATERIALIZED VIEW v")
                        .await
                        .expect("dropped");
                    continue;
                }
                if state == "54000" && sql.starts_with("EXPLAIN") {
                    continue;
                }
                let error = outcome.expect_err(&short);
                assert_eq!(error.sqlstate(), state, "{short}: {error}");
            }
            assert!(begun.elapsed() < PATIENCE, "{short}: {:?}", begun.elapsed());
        }
        let (mut answered, within) = (0, just_within());
        for sql in &within {
            let short: String = sql.chars().take(80).collect();
            let begun = Instant::now();
            let answer = run(&mut session, sql).await;
            let queried = begun.elapsed();
            let found = answer.as_deref().ok().map(count);
            if let Err(error) = &answer {
                let state = error.sqlstate();
                assert!(["54000", "54001"].contains(&state), "{short}: {error}");
            }
            answered += usize::from(answer.is_ok());
            let create = format!("CREATE MATERIALIZED VIEW v AS {sql}");
            match run(&mut session, &create).await {
                Ok(_) => {
                    match (run(&mut session, "SELECT * FROM v").await, found) {
                        (Ok(rows), Some(found)) => assert_eq!(count(&rows), found, "{short}"),
                        (Ok(_), None) => {}
                        (Err(error), _) => {
                            assert!(
                                error.to_string().contains("the limit is"),
                                "{short}: {error}"
                            );
                        }
                    }
                    run(&mut session, "DROP MATERIALIZED VIEW v")
                        .await
                        .expect("dropped");
                }
                Err(error) => {
                    let state = error.sqlstate();
                    let states = ["54000", "54001", "0A000"];
                    assert!(states.contains(&state), "live, {short}: {error}");
                }
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{short}: {queried:?}, {:?}",
                begun.elapsed()
            );
        }
        // Limits that let nothing through would be none.
        assert!(
            answered * 2 > within.len(),
            "{answered} of {} queries are answered",
            within.len()
        );
        assert_eq!(rows(&mut session, "SELECT a FROM t").await, "1");
        engine.shutdown();
    });
}

/// The rows of an answer as it is printed.
fn count(answer: &str) -> usize {
    let lines = answer.lines().filter(|line| line.starts_with('|'));
    lines.count().saturating_sub(1)
}

#[test]
fn views_that_stand_for_views_many_times_are_refused() {
    crate::engine::runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 1);
        let mut session = engine.session();
        run(
            &mut session,
            "CREATE TABLE t (a BIGINT); CREATE VIEW v0 AS SELECT a FROM t",
        )
        .await
        .expect("created");
        let mut refused = None;
        for level in 1..16 {
            let before = level - 1;
            let sql = format!(
                "CREATE VIEW v{level} AS SELECT x.a FROM v{before} x, v{before} y, v{before} z"
            );
            if let Err(error) = run(&mut session, &sql).await {
                refused = Some((level, error));
                break;
            }
        }
        let (level, error) = refused.expect("refused");
        assert_eq!(error.sqlstate(), "54001", "{error}");
        assert!((5..9).contains(&level), "{level}");
        let part = repeated("SELECT a FROM t", 151, " UNION ALL ");
        let whole = format!(
            "SELECT a FROM part{}",
            " UNION ALL SELECT a FROM t".repeat(100)
        );
        run(&mut session, &format!("CREATE VIEW part AS {part}"))
            .await
            .expect("created");
        for sql in [
            whole.clone(),
            format!("CREATE VIEW whole AS {whole}"),
            format!("CREATE MATERIALIZED VIEW whole AS {whole}"),
        ] {
            let error = run(&mut session, &sql).await.expect_err("refused");
            assert_eq!(error.sqlstate(), "54001", "{error}");
        }
        engine.shutdown();
    });
}

#[test]
fn a_live_view_of_too_many_pairs_is_refused() {
    crate::engine::runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 1);
        let mut session = engine.session();
        for sql in [
            "CREATE TABLE t (a BIGINT, b BIGINT)",
            "INSERT INTO t SELECT x, x % 10 FROM (SELECT unnest(generate_series(1, 40000)) AS x)",
        ] {
            run(&mut session, sql).await.expect(sql);
        }
        for query in [
            "SELECT x.a, y.a AS b FROM t x, t y",
            "SELECT x.a, count(*) AS n FROM t x JOIN t y ON x.a < y.a GROUP BY x.a",
        ] {
            let sql = format!("CREATE MATERIALIZED VIEW v AS {query}");
            let error = run(&mut session, &sql).await.expect_err(query);
            assert_eq!(error.sqlstate(), "54000", "{query}: {error}");
            assert!(error.to_string().contains("1600000000 pairs"), "{error}");
        }
        // Equal rows are one.
        let few = "CREATE MATERIALIZED VIEW v AS SELECT x.b, count(*) AS n FROM t x, t y \
                   WHERE x.b < y.b GROUP BY x.b";
        run(&mut session, few).await.expect(few);
        let counted = rows(&mut session, "SELECT n FROM v WHERE b = 0").await;
        assert_eq!(counted, "144000000");
        // Of a row that is there more than a thousand million times, as many come as are asked for.
        let ones = "CREATE MATERIALIZED VIEW ones AS SELECT 1 AS one FROM t x, t y";
        run(&mut session, ones).await.expect(ones);
        let some = rows(&mut session, "SELECT one FROM ones LIMIT 3").await;
        assert_eq!(some, "1 1 1");
        engine.shutdown();
    });
}

#[test]
fn a_view_may_join_texts_that_are_too_long_for_one_column_together() {
    crate::engine::runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 1);
        let mut session = engine.session();
        for sql in [
            "CREATE TABLE documents (id BIGINT PRIMARY KEY, kind BIGINT, body TEXT)",
            "CREATE TABLE readers (id BIGINT, kind BIGINT)",
            "INSERT INTO documents SELECT id, 1, repeat('x', 200000) \
             FROM (SELECT unnest(generate_series(1, 60)) AS id)",
            "INSERT INTO readers SELECT id, 1 FROM (SELECT unnest(generate_series(1, 200)) AS id)",
            "CREATE MATERIALIZED VIEW lengths AS SELECT r.id, length(d.body) AS length \
             FROM documents d JOIN readers r ON d.kind = r.kind",
        ] {
            run(&mut session, sql).await.expect(sql);
        }
        let read = "SELECT count(*), sum(length) FROM lengths";
        assert_eq!(rows(&mut session, read).await, "12000,2400000000");
        engine.shutdown();
    });
}

#[test]
fn a_huge_cross_join_ends_with_its_time_limit_and_within_its_memory() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 1);
        engine
            .limit_queries(QueryLimits {
                memory_bytes: 64 << 20,
                partitions: 2,
                timeout: Some(Duration::from_secs(1)),
                ..QueryLimits::default()
            })
            .expect("limited");
        let mut session = engine.session();
        let insert = "INSERT INTO t SELECT unnest(generate_series(1, 20000))";
        for sql in ["CREATE TABLE t (a BIGINT)", insert] {
            run(&mut session, sql).await.expect(sql);
        }
        for sql in [
            "SELECT sum(x.a + y.a + z.a + w.a) FROM t x, t y, t z, t w",
            "SELECT x.a, y.a AS b FROM t x, t y, t z WHERE x.a + y.a + z.a < 0",
            "SELECT sum(x.a * y.a) FROM t x JOIN t y ON x.a < y.a JOIN t z ON z.a <> x.a",
            "SELECT x.a, y.a AS b FROM t x, t y ORDER BY 2 DESC, 1",
            "SELECT array_agg(x.a) FROM t x, t y",
        ] {
            let begun = Instant::now();
            let error = run(&mut session, sql).await.expect_err(sql);
            let state = error.sqlstate();
            assert!(
                ["57014", "53200"].contains(&state),
                "{sql}: {state} {error}"
            );
            assert!(begun.elapsed() < PATIENCE, "{sql}: {:?}", begun.elapsed());
        }
        // A query that does what it should may take its time.
        engine
            .limit_queries(QueryLimits::default())
            .expect("limited");
        assert_eq!(rows(&mut session, "SELECT count(*) FROM t").await, "20000");
        engine.shutdown();
    });
}

#[test]
fn statements_reach_no_files_and_no_network() {
    crate::engine::runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 1);
        let mut session = engine.session();
        run(&mut session, "CREATE TABLE t (a BIGINT)")
            .await
            .expect("created");
        let no_table = "there is no table or view called";
        let no_file = "COPY to or from a file is not supported";
        for (sql, reason) in [
            ("SELECT * FROM '/etc/passwd'", no_table),
            ("SELECT * FROM \"/etc/passwd\"", no_table),
            ("SELECT * FROM 'http://169.254.169.254/latest'", no_table),
            (
                "SELECT * FROM read_csv('/etc/passwd')",
                "read_csv() is no function for FROM",
            ),
            (
                "CREATE EXTERNAL TABLE p (a TEXT) STORED AS PARQUET LOCATION '/etc/passwd'",
                "EXTERNAL",
            ),
            ("COPY t TO '/tmp/t.csv'", no_file),
            ("COPY t FROM '/etc/passwd'", no_file),
            ("COPY t FROM PROGRAM 'id'", no_file),
            ("COPY (SELECT 1) TO PROGRAM 'id'", no_file),
        ] {
            let error = run(&mut session, sql).await.expect_err(sql).to_string();
            assert!(error.contains(reason), "{sql}: {error}");
        }
        for sql in [
            "LOAD 'x'",
            "INSTALL x",
            "ATTACH 'x' AS y",
            "SET datafusion.execution.batch_size = 1; CREATE FUNCTION f() RETURNS INT RETURN 1",
        ] {
            let error = run(&mut session, sql).await.expect_err(sql);
            let states = ["0A000", "42601"];
            assert!(states.contains(&error.sqlstate()), "{sql}: {error}");
        }
        let endless = "SELECT * FROM generate_series(1, 1000000000000)";
        let error = run(&mut session, endless).await.expect_err(endless);
        assert_eq!(error.sqlstate(), "54000", "{error}");
        engine.shutdown();
    });
}
