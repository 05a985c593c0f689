//! Rows that a view cannot compute: told with the row, and gone when the row goes.

use mainstem::engine::Session;

use crate::engine::{open, rows, run, runtime};

/// The message with which a query is refused.
async fn refusal(session: &mut Session, sql: &str) -> String {
    match run(session, sql).await {
        Ok(answer) => panic!("{sql} has an answer:\n{answer}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_scalar_subquery_of_several_rows_is_an_error_of_the_row_that_asks() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 2);
        let mut session = engine.session();
        run(&mut session, "CREATE TABLE orders (id BIGINT PRIMARY KEY, shop BIGINT); CREATE TABLE shops (id BIGINT, name TEXT)").await.expect("created");
        run(&mut session, "CREATE MATERIALIZED VIEW named AS SELECT id, (SELECT name FROM shops WHERE shops.id = orders.shop) AS shop FROM orders").await.expect("created");
        run(&mut session, "CREATE MATERIALIZED VIEW of_first AS SELECT id FROM orders WHERE shop = (SELECT id FROM shops)").await.expect("created");
        run(&mut session, "INSERT INTO shops VALUES (1, 'north'), (2, 'south'); INSERT INTO orders VALUES (10, 1), (11, 2), (12, 3), (13, NULL)").await.expect("inserted");
        let named = "SELECT * FROM named ORDER BY id";
        assert_eq!(rows(&mut session, named).await, "10,north 11,south 12, 13,");
        let message = refusal(&mut session, "SELECT * FROM of_first").await;
        assert!(message.contains("more than one row"), "{message}");
        run(&mut session, "INSERT INTO shops VALUES (2, 'south again')").await.expect("inserted");
        let message = refusal(&mut session, named).await;
        assert!(message.contains("more than one row"), "{message}");
        let ad_hoc = "SELECT id, (SELECT name FROM shops WHERE shops.id = orders.shop) AS shop FROM orders ORDER BY id";
        let message = refusal(&mut session, ad_hoc).await;
        assert!(message.contains("more than one row"), "{message}");
        run(&mut session, "DELETE FROM shops WHERE name = 'south again'").await.expect("deleted");
        assert_eq!(rows(&mut session, named).await, "10,north 11,south 12, 13,");
        assert_eq!(rows(&mut session, ad_hoc).await, "10,north 11,south 12, 13,");
        run(&mut session, "DELETE FROM shops WHERE id = 2").await.expect("deleted");
        assert_eq!(rows(&mut session, "SELECT * FROM of_first").await, "10");
        engine.shutdown();
    });
}

#[test]
fn a_row_that_fails_is_told_with_its_view_and_where_it_comes_from() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 2);
        let mut session = engine.session();
        for sql in [
            "CREATE TABLE t (id BIGINT PRIMARY KEY, a BIGINT, b BIGINT)",
            "CREATE MATERIALIZED VIEW ratios AS SELECT id, a / b AS r FROM t",
            "CREATE MATERIALIZED VIEW total AS SELECT sum(r) AS r FROM ratios",
            "CREATE MATERIALIZED VIEW beside AS SELECT count(*) AS n FROM t",
            "INSERT INTO t VALUES (1, 6, 3), (2, 17, 0)",
        ] {
            run(&mut session, sql).await.expect(sql);
        }
        // A view over a view that fails tells the row that is at fault, not one of its own.
        for view in ["ratios", "total"] {
            let error = run(&mut session, &format!("SELECT * FROM {view}")).await;
            let error = error.expect_err(view);
            assert_eq!(error.sqlstate(), "22000", "{error}");
            let message = error.to_string();
            let of_view = format!("view \"{view}\" has rows that cannot be computed: ");
            assert!(message.contains(&of_view), "{message}");
            assert!(
                message.contains("ivide by zero; in row (id: 2"),
                "{message}"
            );
            assert!(!message.contains("id: 1"), "{message}");
            let of_other = message.contains("in view \"ratios\": ");
            assert_eq!(of_other, view == "total", "{message}");
        }
        assert_eq!(rows(&mut session, "SELECT n FROM beside").await, "2");
        // The row is mended, fails anew, and goes.
        for (sql, sums) in [
            ("UPDATE t SET b = 1 WHERE id = 2", Some("19")),
            ("UPDATE t SET b = 0 WHERE id = 2", None),
            ("DELETE FROM t WHERE id = 2", Some("2")),
        ] {
            run(&mut session, sql).await.expect(sql);
            match sums {
                Some(sums) => assert_eq!(rows(&mut session, "SELECT r FROM total").await, sums),
                None => {
                    let message = refusal(&mut session, "SELECT r FROM total").await;
                    assert!(message.contains("in row (id: 2"), "{message}");
                }
            }
        }
        engine.shutdown();
    });
}

#[test]
fn a_recursion_that_does_not_end_is_an_error_until_it_does() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 2);
        let mut session = engine.session();
        run(&mut session, "CREATE TABLE edges (origin BIGINT, target BIGINT)").await.expect("created");
        let all = "WITH RECURSIVE walk AS (SELECT 1 AS node, 0 AS steps UNION ALL SELECT target, steps + 1 FROM walk JOIN edges ON origin = node) SELECT * FROM walk";
        let distinct = "WITH RECURSIVE walk AS (SELECT 1 AS node UNION SELECT target FROM walk JOIN edges ON origin = node) SELECT * FROM walk";
        run(&mut session, &format!("CREATE MATERIALIZED VIEW walks AS {all}")).await.expect("created");
        run(&mut session, &format!("CREATE MATERIALIZED VIEW reached AS {distinct}")).await.expect("created");
        run(&mut session, "INSERT INTO edges VALUES (1, 2), (2, 3)").await.expect("inserted");
        assert_eq!(rows(&mut session, "SELECT * FROM walks ORDER BY steps").await, "1,0 2,1 3,2");
        run(&mut session, "INSERT INTO edges VALUES (3, 1)").await.expect("inserted");
        let message = refusal(&mut session, "SELECT * FROM walks").await;
        assert!(message.contains("\"walk\" goes beyond 100 levels"), "{message}");
        assert_eq!(rows(&mut session, "SELECT * FROM reached ORDER BY node").await, "1 2 3");
        run(&mut session, "DELETE FROM edges WHERE origin = 2").await.expect("deleted");
        assert_eq!(rows(&mut session, "SELECT * FROM walks ORDER BY steps").await, "1,0 2,1");
        assert_eq!(rows(&mut session, "SELECT * FROM reached ORDER BY node").await, "1 2");
        assert_eq!(rows(&mut session, &format!("{distinct} ORDER BY node")).await, "1 2");
        for view in ["walks", "reached"] {
            run(&mut session, &format!("DROP MATERIALIZED VIEW {view}")).await.expect("dropped");
        }
        run(&mut session, &format!("CREATE MATERIALIZED VIEW walks WITH (recursion_levels = 3) AS {all}")).await.expect("created");
        run(&mut session, "DELETE FROM edges").await.expect("deleted");
        run(&mut session, "INSERT INTO edges VALUES (1, 2), (2, 3)").await.expect("inserted");
        assert_eq!(rows(&mut session, "SELECT * FROM walks ORDER BY steps").await, "1,0 2,1 3,2");
        run(&mut session, "INSERT INTO edges VALUES (3, 4)").await.expect("inserted");
        let message = refusal(&mut session, "SELECT * FROM walks").await;
        assert!(message.contains("\"walk\" goes beyond 3 levels"), "{message}");
        run(&mut session, &format!("CREATE OR REPLACE MATERIALIZED VIEW walks WITH (recursion_levels = 4) AS {all}")).await.expect("replaced");
        assert_eq!(rows(&mut session, "SELECT * FROM walks ORDER BY steps").await, "1,0 2,1 3,2 4,3");
        engine.shutdown();
    });
}

/// Sums of a table `t` with whole numbers `a` and decimals `d`.
const SUMS: &[&str] = &[
    "SELECT id, sum(a) OVER (ORDER BY id) AS x, count(*) OVER (ORDER BY id) AS n FROM t",
    "SELECT id, sum(d) OVER (PARTITION BY k ORDER BY id) AS x FROM t",
    "SELECT id, sum(d) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS x, sum(a) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS y FROM t",
    "SELECT id, sum(DISTINCT a) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS x FROM t",
    "SELECT k, sum(a) AS x, sum(d) AS y, count(*) AS n FROM t GROUP BY k",
    "SELECT k, avg(d) AS x FROM t GROUP BY k",
];

#[test]
fn sums_are_out_of_range_in_a_view_when_they_are_in_its_query() {
    const NUMBERS: [&str; 8] = [
        "9223372036854775807",
        "-9223372036854775807",
        "1",
        "-1",
        "5",
        "-7",
        "0",
        "NULL",
    ];
    const DECIMALS: [&str; 8] = [
        "'60000000000000000000000000000000000000'",
        "'-60000000000000000000000000000000000000'",
        "1",
        "-1",
        "5",
        "-7",
        "0",
        "NULL",
    ];
    let mut seed = 7u64;
    let mut random = |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 2);
        let mut session = engine.session();
        run(
            &mut session,
            "CREATE TABLE t (id BIGINT PRIMARY KEY, k TEXT, a BIGINT, d NUMERIC(38, 0))",
        )
        .await
        .expect("created");
        for (number, sql) in SUMS.iter().enumerate() {
            run(
                &mut session,
                &format!("CREATE MATERIALIZED VIEW v{number} AS {sql}"),
            )
            .await
            .expect("created");
        }
        let (mut answers, mut refusals) = (0, 0);
        for _ in 0..60 {
            let id = random(10);
            run(&mut session, &format!("DELETE FROM t WHERE id = {id}"))
                .await
                .expect("deleted");
            if random(3) > 0 {
                let (number, decimal) = (NUMBERS[random(8)], DECIMALS[random(8)]);
                let insert = format!(
                    "INSERT INTO t VALUES ({id}, 'k{}', {number}, {decimal})",
                    id % 2
                );
                run(&mut session, &insert).await.expect("inserted");
            }
            for (number, sql) in SUMS.iter().enumerate() {
                let live = run(
                    &mut session,
                    &format!("SELECT * FROM v{number} ORDER BY 1, 2"),
                )
                .await;
                let ad_hoc = run(
                    &mut session,
                    &format!("SELECT * FROM ({sql}) AS q ORDER BY 1, 2"),
                )
                .await;
                match (live, ad_hoc) {
                    (Ok(live), Ok(ad_hoc)) => {
                        assert_eq!(live, ad_hoc, "{sql}");
                        answers += 1;
                    }
                    (Err(live), Err(ad_hoc)) => {
                        let (live, ad_hoc) = (live.to_string(), ad_hoc.to_string());
                        assert!(live.contains("out of the range"), "{sql}: {live}");
                        assert!(ad_hoc.contains("out of the range"), "{sql}: {ad_hoc}");
                        refusals += 1;
                    }
                    (live, ad_hoc) => panic!("{sql}: {live:?} live, {ad_hoc:?} ad hoc"),
                }
            }
        }
        assert!(
            answers > 50 && refusals > 50,
            "{answers} answers, {refusals} refusals"
        );
        engine.shutdown();
    });
}
