//! Views that outgrow the budget, or are dropped, while they are being filled.

use mainstem::engine::{Engine, EngineError, Session};

use super::{open_with_budget, runtime, until_taken};
use crate::engine::{open, rows, run, wait_for};

/// Of 200 million rows, if the table has 20,000.
const PAIRS: &str = "SELECT a.id AS n, b.id AS other FROM t AS a JOIN t AS b ON a.k = b.k";

const BUILDING: &str = "SELECT count(*) FROM mainstem.views WHERE state = 'building'";

/// A table of 30,000 rows of two kinds.
async fn fill_table(session: &mut Session) {
    for sql in [
        "CREATE TABLE t (id BIGINT PRIMARY KEY, k BIGINT)",
        "INSERT INTO t SELECT n, n % 2 FROM generate_series(1, 30000) AS g(n)",
    ] {
        run(session, sql).await.expect(sql);
    }
}

/// Runs a statement that fills a view for a while, in a session of its own.
fn begin(engine: &Engine, sql: &str) -> std::thread::JoinHandle<Result<String, EngineError>> {
    let (engine, sql) = (engine.clone(), sql.to_owned());
    std::thread::spawn(move || runtime().block_on(async { run(&mut engine.session(), &sql).await }))
}

#[test]
fn a_view_that_outgrows_the_budget_while_it_is_being_filled_is_not_created() {
    const BUDGET: u64 = 64 << 20;
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open_with_budget(directory.path(), BUDGET);
    runtime().block_on(async {
        let mut session = engine.session();
        for sql in [
            "CREATE TABLE t (id BIGINT PRIMARY KEY, k BIGINT)",
            "INSERT INTO t SELECT n, n % 2 FROM generate_series(1, 20000) AS g(n)",
            "CREATE MATERIALIZED VIEW counts AS SELECT k, count(*) AS n FROM t GROUP BY k",
        ] {
            run(&mut session, sql).await.expect(sql);
        }
        let pairs = format!("CREATE MATERIALIZED VIEW pairs AS {PAIRS}");
        let refused = run(&mut session, &pairs).await.expect_err("too large");
        assert_eq!(refused.sqlstate(), "53200", "{refused}");
        let is_told =
            matches!(&refused, EngineError::TooLargeToFill { view, .. } if view == "pairs");
        assert!(is_told, "{refused}");
        let missing = run(&mut session, "SELECT * FROM pairs").await;
        let missing = missing.expect_err("it is not there");
        assert_eq!(missing.sqlstate(), "42P01", "{missing}");
        // Everything else goes on.
        until_taken(&mut session, "INSERT INTO t VALUES (20001, 1)").await;
        let counted = "SELECT n FROM counts WHERE k = 1";
        assert_eq!(rows(&mut session, counted).await, "10001");
    });
    engine.shutdown();
    drop(engine);
    let engine = open_with_budget(directory.path(), BUDGET);
    runtime().block_on(async {
        let mut session = engine.session();
        let views = "SELECT name FROM mainstem.views";
        assert_eq!(rows(&mut session, views).await, "counts");
    });
    engine.shutdown();
}

#[test]
fn a_view_that_is_being_filled_is_dropped_without_waiting_for_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path(), 2);
    runtime().block_on(async {
        let mut session = engine.session();
        fill_table(&mut session).await;
        // Of 450 million rows.
        let created = begin(
            &engine,
            "CREATE MATERIALIZED VIEW pairs AS SELECT a.id + b.id AS id, count(*) AS n \
             FROM t AS a JOIN t AS b ON a.k = b.k GROUP BY a.id + b.id",
        );
        wait_for(&mut session, BUILDING, "1").await;
        run(&mut session, "DROP MATERIALIZED VIEW pairs")
            .await
            .expect("dropped");
        let refused = created.join().expect("ended").expect_err("it is not there");
        assert_eq!(refused.sqlstate(), "55000", "{refused}");
        let is_told =
            matches!(&refused, EngineError::DroppedWhileFilled { view } if view == "pairs");
        assert!(is_told, "{refused}");
        run(&mut session, "INSERT INTO t VALUES (30001, 1)")
            .await
            .expect("taken");
        let count = "SELECT count(*) FROM t";
        assert_eq!(rows(&mut session, count).await, "30001");
    });
    engine.shutdown();
}

#[test]
fn a_view_stays_when_what_is_to_replace_it_outgrows_the_budget() {
    const BUDGET: u64 = 64 << 20;
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open_with_budget(directory.path(), BUDGET);
    let kept = "SELECT k, n FROM counts ORDER BY k";
    let read = "SELECT total FROM totals";
    runtime().block_on(async {
        let mut session = engine.session();
        for sql in [
            "CREATE TABLE t (id BIGINT PRIMARY KEY, k BIGINT)",
            "INSERT INTO t SELECT n, n % 2 FROM generate_series(1, 20000) AS g(n)",
            "CREATE MATERIALIZED VIEW counts AS SELECT k, count(*) AS n FROM t GROUP BY k",
            // It is made anew over what counts becomes, and made anew once more.
            "CREATE MATERIALIZED VIEW totals AS SELECT sum(n) AS total FROM counts",
        ] {
            run(&mut session, sql).await.expect(sql);
        }
        let replaced = begin(
            &engine,
            &format!("CREATE OR REPLACE MATERIALIZED VIEW counts AS {PAIRS}"),
        );
        // Whoever reads meanwhile waits and finds what there was.
        while !replaced.is_finished() {
            assert_eq!(rows(&mut session, read).await, "20000");
        }
        let refused = replaced.join().expect("ended").expect_err("too large");
        assert_eq!(refused.sqlstate(), "53200", "{refused}");
        let said = refused.to_string();
        assert!(said.contains("\"counts\" is not replaced"), "{said}");
        assert_eq!(rows(&mut session, kept).await, "0,10000 1,10000");
        // It follows what comes.
        until_taken(&mut session, "INSERT INTO t VALUES (20001, 1)").await;
        assert_eq!(rows(&mut session, kept).await, "0,10000 1,10001");
        assert_eq!(rows(&mut session, read).await, "20001");
        // What fits takes its place.
        let fits = "CREATE OR REPLACE MATERIALIZED VIEW counts AS \
            SELECT k, count(*) + 1 AS n FROM t GROUP BY k";
        until_taken(&mut session, fits).await;
        assert_eq!(rows(&mut session, read).await, "20003");
    });
    engine.shutdown();
    drop(engine);
    let engine = open_with_budget(directory.path(), BUDGET);
    runtime().block_on(async {
        let mut session = engine.session();
        assert_eq!(rows(&mut session, kept).await, "0,10001 1,10002");
        assert_eq!(rows(&mut session, read).await, "20003");
    });
    engine.shutdown();
}

#[test]
fn a_replacement_of_what_reads_a_table_that_is_dropped_meanwhile_is_dropped() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open_with_budget(directory.path(), 64 << 20);
    runtime().block_on(async {
        let mut session = engine.session();
        for sql in [
            "CREATE TABLE t (id BIGINT PRIMARY KEY, k BIGINT)",
            "CREATE TABLE u (n BIGINT)",
            "INSERT INTO t SELECT n, n % 2 FROM generate_series(1, 20000) AS g(n)",
            "CREATE MATERIALIZED VIEW v AS SELECT n FROM u",
        ] {
            run(&mut session, sql).await.expect(sql);
        }
        let replaced = begin(
            &engine,
            &format!("CREATE OR REPLACE MATERIALIZED VIEW v AS {PAIRS}"),
        );
        // It is read until it is what the other view reads.
        while run(&mut session, "DROP TABLE u").await.is_err() {
            assert!(!replaced.is_finished(), "nothing took its place");
        }
        let refused = replaced.join().expect("ended").expect_err("too large");
        assert_eq!(refused.sqlstate(), "53200", "{refused}");
        let said = refused.to_string();
        assert!(said.contains("\"v\" is not created"), "{said}");
        let missing = run(&mut session, "SELECT * FROM v").await;
        let missing = missing.expect_err("it is not there");
        assert_eq!(missing.sqlstate(), "42P01", "{missing}");
    });
    engine.shutdown();
}

#[test]
fn a_view_that_is_made_anew_while_it_is_being_filled_is_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path(), 2);
    runtime().block_on(async {
        let mut session = engine.session();
        fill_table(&mut session).await;
        // Of 450 million pairs.
        let created = begin(
            &engine,
            &format!("CREATE MATERIALIZED VIEW v AS SELECT count(n) AS n FROM ({PAIRS}) AS p"),
        );
        wait_for(&mut session, BUILDING, "1").await;
        let smaller = "CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM t";
        run(&mut session, smaller).await.expect("replaced");
        created
            .join()
            .expect("ended")
            .expect("there is such a view");
        assert_eq!(rows(&mut session, "SELECT n FROM v").await, "30000");
    });
    engine.shutdown();
}
