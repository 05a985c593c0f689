//! Limits with clear answers: what the state takes and may take, queries, values, starting.

mod fills;
mod messages;
mod program;
mod readers;
mod turns;
mod web;

use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use futures::TryStreamExt;
use mainstem::engine::{
    Durability, Engine, EngineError, EngineOptions, Outcome, QueryLimits, Session,
};
use mainstem::model::Submission;
use mainstem::serve::restoring::{self, Notice};
use tokio::net::TcpListener;
use tokio_postgres::{Client, NoTls};

use crate::engine::{open, rows, run, wait_for};
use crate::serve::code;
use crate::tools::{Waiting, http_get};

/// A runtime with sockets and time.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a runtime")
}

fn open_with_budget(directory: &std::path::Path, memory_budget_bytes: u64) -> Engine {
    let durability = Durability {
        memory_budget_bytes,
        ..Durability::default()
    };
    let options = EngineOptions {
        data_dir: directory.to_path_buf(),
        workers: 2,
        history_ms: 0,
    };
    Engine::open_with(options, &durability, &mut |_| {}).expect("opened")
}

/// An INSERT of 100 rows of about a kilobyte, from an id on.
fn insert(first: usize) -> String {
    let rows = (first..first + 100).map(|id| format!("({id}, 's{}', '{id:01000}')", id % 50));
    format!(
        "INSERT INTO t VALUES {}",
        rows.collect::<Vec<_>>().join(", ")
    )
}

#[test]
fn tables_views_and_operators_tell_what_they_hold() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path(), 2);
    runtime().block_on(async {
        let mut session = engine.session();
        for sql in [
            "CREATE TABLE sales (id BIGINT PRIMARY KEY, shop TEXT, amount BIGINT)",
            "CREATE TABLE shops (shop TEXT PRIMARY KEY, city TEXT)",
            "CREATE MATERIALIZED VIEW totals AS SELECT shop, sum(amount) AS total FROM sales \
             GROUP BY shop",
            "CREATE MATERIALIZED VIEW placed AS SELECT s.id, p.city FROM sales s JOIN shops p \
             ON s.shop = p.shop",
            "CREATE MATERIALIZED VIEW paid AS SELECT s.amount, p.city FROM sales s JOIN shops p \
             ON s.shop = p.shop WHERE s.amount > 2",
            "CREATE MATERIALIZED VIEW broken AS SELECT id, 10 / (amount - 3) AS x FROM sales",
            "INSERT INTO shops VALUES ('a', 'Berlin'), ('b', 'Rome')",
            "INSERT INTO sales VALUES (1, 'a', 1), (2, 'a', 2), (3, 'b', 3), (4, 'b', 4)",
        ] {
            run(&mut session, sql).await.expect(sql);
        }
        session.settled().await.expect("complete");
        // Workers that are busy are not waited for: what they do not tell now they tell later.
        let tables = "SELECT name, rows FROM mainstem.tables ORDER BY name";
        wait_for(&mut session, tables, "sales,4 shops,2").await;
        let views = "SELECT name, state, rows, errors, reads FROM mainstem.views ORDER BY name";
        let expected = "broken,complete,3,1,sales paid,complete,2,0,sales, shops \
             placed,complete,4,0,sales, shops totals,complete,2,0,sales";
        wait_for(&mut session, views, expected).await;
        let problem = "SELECT problem FROM mainstem.views WHERE name = 'broken'";
        let problem = rows(&mut session, problem).await;
        assert!(
            problem.to_lowercase().contains("divide by zero"),
            "{problem}"
        );
        let inconsistent = "SELECT name FROM mainstem.views WHERE bytes <= 0 OR held_bytes < bytes \
            OR operators = 0 OR busy_us = 0 OR since_ms = 0 OR timestamp_ms < since_ms";
        wait_for(&mut session, inconsistent, "").await;
        // Every operator is there on both workers, and the parts add up to the whole.
        let uneven = "SELECT operator FROM mainstem.operators GROUP BY operator \
            HAVING count(*) <> 2 OR count(DISTINCT kind) <> 1";
        wait_for(&mut session, uneven, "").await;
        let sums = "SELECT v.name FROM mainstem.views v WHERE v.held_bytes <> \
            (SELECT sum(o.bytes) FROM mainstem.operators o \
             WHERE o.views = v.name AND NOT o.is_shared)";
        wait_for(&mut session, sums, "").await;
        // A view of groups has no rows of its own, any other has; what has none here is for the
        // errors of sums.
        let output = "SELECT views, kind, CAST(sum(rows) AS BIGINT) FROM mainstem.operators \
            WHERE kind IN ('Groups', 'Output') AND views IN ('placed', 'totals') \
            GROUP BY views, kind ORDER BY views, kind";
        wait_for(
            &mut session,
            output,
            "placed,Output,4 totals,Groups,2 totals,Output,0",
        )
        .await;
        let shared = "SELECT DISTINCT views FROM mainstem.operators WHERE is_shared \
            AND kind = 'Index' AND bytes > 0 AND views LIKE '%,%'";
        wait_for(&mut session, shared, "paid, placed").await;
        let node = "SELECT count(*) > 0 FROM mainstem.operators WHERE views = 'totals' \
            AND node LIKE 'Aggregate by [shop%' AND busy_us > 0";
        wait_for(&mut session, node, "true").await;
        // With other tables in one query, and as a table that can be copied from.
        let joined = "SELECT count(*) FROM sales s, mainstem.tables t WHERE t.name = 'sales'";
        assert_eq!(rows(&mut session, joined).await, "4");
        let view = "CREATE MATERIALIZED VIEW v AS SELECT name FROM mainstem.views";
        let refused = run(&mut session, view).await.expect_err("not maintainable");
        assert_eq!(refused.sqlstate(), "0A000", "{refused}");
        run(&mut session, "DROP MATERIALIZED VIEW broken")
            .await
            .expect("dropped");
        let gone = "SELECT count(*) FROM mainstem.operators WHERE views LIKE '%broken%'";
        wait_for(&mut session, gone, "0").await;
    });
    engine.shutdown();
}

/// Runs a statement until it is no longer refused for want of memory.
async fn until_taken(session: &mut Session, sql: &str) {
    let waiting = Waiting::begin();
    loop {
        match run(session, sql).await {
            Ok(_) => return,
            Err(error) => assert_eq!(error.sqlstate(), "53200", "{error}"),
        }
        waiting.check("it is never taken again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The same for a client. What others send takes room as long as the server receives it, so that a
/// refusal meanwhile is right.
async fn until_taken_from(client: &Client, sql: &str) {
    let waiting = Waiting::begin();
    while let Err(error) = client.batch_execute(sql).await {
        assert_eq!(code(&error), Some("53200"), "{error:?}");
        waiting.check("it is never taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_state_beyond_its_budget_grows_no_more_and_goes_on_by_itself() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open_with_budget(directory.path(), 8 << 20);
    runtime().block_on(async {
        let mut session = engine.session();
        for sql in [
            "CREATE TABLE t (id BIGINT PRIMARY KEY, shop TEXT, what TEXT)",
            "CREATE MATERIALIZED VIEW copies AS SELECT * FROM t",
        ] {
            run(&mut session, sql).await.expect(sql);
        }
        let mut inserted = 0;
        let error = loop {
            match run(&mut session, &insert(inserted)).await {
                Ok(_) => inserted += 100,
                Err(error) => break error,
            }
            assert!(inserted < 100_000, "the budget is never reached");
        };
        assert_eq!(error.sqlstate(), "53200", "{error}");
        // The largest are named once the workers have told.
        let waiting = Waiting::begin();
        loop {
            let view = "CREATE MATERIALIZED VIEW more AS SELECT id FROM t";
            let refused = run(&mut session, view).await.expect_err("over the budget");
            assert_eq!(refused.sqlstate(), "53200", "{refused}");
            if refused.to_string().contains("view copies: ") {
                let hint = refused.hint().unwrap_or_default();
                assert!(hint.contains("memory.budget"), "{hint}");
                break;
            }
            waiting.check(&refused.to_string());
        }
        // A source is refused, too, and hands in again.
        let submission = || Submission {
            changes: Vec::new(),
            ..Submission::default()
        };
        let held = engine.enqueue(submission()).expect_err("over the budget");
        assert!(held.is_passing() && matches!(held, EngineError::MemoryFull { .. }));
        let count = format!("{inserted}");
        assert_eq!(
            rows(&mut session, "SELECT count(*) FROM copies").await,
            count
        );
        let deleted = run(&mut session, "DELETE FROM t WHERE id < 10").await;
        assert_eq!(deleted.expect("deleting goes on"), "DELETE 10");
        run(&mut session, "DROP MATERIALIZED VIEW copies")
            .await
            .expect("dropping goes on");
        until_taken(&mut session, &insert(inserted)).await;
        let kept = format!("{}", inserted + 90);
        assert_eq!(rows(&mut session, "SELECT count(*) FROM t").await, kept);
        engine.enqueue(submission()).expect("taken again");
    });
    engine.shutdown();
}

#[test]
fn what_a_budget_held_back_comes_after_the_rows_are_gone() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open_with_budget(directory.path(), 8 << 20);
    runtime().block_on(async {
        let mut session = engine.session();
        let table = "CREATE TABLE t (id BIGINT PRIMARY KEY, shop TEXT, what TEXT)";
        run(&mut session, table).await.expect("created");
        let mut inserted = 0;
        while run(&mut session, &insert(inserted)).await.is_ok() {
            inserted += 100;
        }
        run(&mut session, "DELETE FROM t").await.expect("deleted");
        until_taken(&mut session, &insert(0)).await;
        assert_eq!(rows(&mut session, "SELECT count(*) FROM t").await, "100");
    });
    engine.shutdown();
}

#[test]
fn a_query_that_takes_too_much_memory_or_time_fails_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path(), 1);
    runtime().block_on(async {
        let mut session = engine.session();
        let table = "CREATE TABLE t (id BIGINT PRIMARY KEY, shop TEXT, what TEXT)";
        run(&mut session, table).await.expect("created");
        for first in 0..40 {
            run(&mut session, &insert(first * 100))
                .await
                .expect("inserted");
        }
        let limits = QueryLimits {
            memory_bytes: 1 << 20,
            ..QueryLimits::default()
        };
        engine.limit_queries(limits).expect("limited");
        let sort = "SELECT what, id FROM t ORDER BY what, id DESC";
        let refused = run(&mut session, sort).await.expect_err("too much memory");
        assert_eq!(refused.sqlstate(), "53200", "{refused}");
        assert_eq!(rows(&mut session, "SELECT count(*) FROM t").await, "4000");
        let limits = QueryLimits {
            timeout: Some(Duration::from_millis(50)),
            ..QueryLimits::default()
        };
        engine.limit_queries(limits).expect("limited");
        let cross = "SELECT count(*) FROM t a, t b WHERE a.what > b.what";
        let moment = engine.read().expect("a moment").timestamp_ms();
        for sql in [cross, &format!("{cross} AS OF {moment}")] {
            let refused = run(&mut session, sql).await.expect_err("too much time");
            assert_eq!(refused.sqlstate(), "57014", "{refused}");
        }
        engine
            .limit_queries(QueryLimits::default())
            .expect("limited");
        assert_eq!(rows(&mut session, "SELECT count(*) FROM t").await, "4000");
    });
    engine.shutdown();
}

#[test]
fn an_answer_of_too_many_rows_is_an_error_and_one_of_as_many_as_may_be_is_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path(), 1);
    runtime().block_on(async {
        let mut session = engine.session();
        run(&mut session, "CREATE TABLE t (id BIGINT PRIMARY KEY)")
            .await
            .expect("created");
        let limits = QueryLimits {
            rows: 10,
            ..QueryLimits::default()
        };
        engine.limit_queries(limits).expect("limited");
        // What is written is not an answer.
        let insert = "INSERT INTO t SELECT unnest(range(0, 11))";
        run(&mut session, insert).await.expect("inserted");
        let all = "SELECT id FROM t ORDER BY id";
        let refused = run(&mut session, all).await.expect_err("too many");
        assert_eq!(refused.sqlstate(), "54000", "{refused}");
        assert!(
            refused.to_string().contains("more than 10 rows"),
            "{refused}"
        );
        let ten = rows(&mut session, &format!("{all} LIMIT 10")).await;
        assert_eq!(ten, "0 1 2 3 4 5 6 7 8 9");
        assert_eq!(rows(&mut session, "SELECT count(*) FROM t").await, "11");
    });
    engine.shutdown();
}

/// The memory of the table and of the view in bytes.
async fn held_bytes(session: &mut Session) -> u64 {
    let bytes = "SELECT CAST((SELECT sum(bytes) FROM mainstem.tables) \
        + (SELECT sum(held_bytes) FROM mainstem.views) AS BIGINT)";
    rows(session, bytes).await.parse().expect("a number")
}

#[test]
fn a_query_that_is_not_fetched_keeps_its_moment_and_holds_nothing_else_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path(), 1);
    runtime().block_on(async {
        let mut session = engine.session();
        for sql in [
            "CREATE TABLE t (id BIGINT PRIMARY KEY, shop TEXT, what TEXT)",
            "CREATE MATERIALIZED VIEW copies AS SELECT id, what FROM t",
            &insert(0),
        ] {
            run(&mut session, sql).await.expect(sql);
        }
        session.settled().await.expect("complete");
        // What busy workers have not told would be missing in it.
        let is_told = "SELECT rows = 100 AND held_bytes > 50000 FROM mainstem.views";
        wait_for(&mut session, is_told, "true").await;
        let before = held_bytes(&mut session).await;
        let mut held = Vec::new();
        for sql in ["SELECT what FROM t", "SELECT what FROM copies"] {
            let statement = session.parse(sql).expect("SQL").remove(0);
            match session.execute(&statement, &[]).await.expect("begun") {
                Outcome::Rows(rows) => held.push(rows),
                _ => panic!("no rows"),
            }
        }
        for round in 0..50 {
            let update = format!("UPDATE t SET what = repeat('{}', 1000)", round % 10);
            run(&mut session, &update).await.expect("updated");
        }
        session.settled().await.expect("complete");
        // Fifty versions of each row would be here if compaction waited for the queries.
        let waiting = Waiting::begin();
        loop {
            let after = held_bytes(&mut session).await;
            if after < 10 * before {
                break;
            }
            waiting.check(&format!("{after} bytes after {before}"));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for rows in held {
            let batches: Vec<RecordBatch> = rows.try_collect().await.expect("rows");
            let texts = batches
                .iter()
                .flat_map(|batch| batch.column(0).as_string::<i32>());
            let mut ids: Vec<usize> = texts
                .map(|text| text.expect("a text").parse().expect("the id"))
                .collect();
            ids.sort_unstable();
            assert!(ids.into_iter().eq(0..100), "the rows of its moment");
        }
    });
    engine.shutdown();
}

#[test]
fn a_value_that_no_view_could_hold_is_refused_before_it_is_logged() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path(), 1);
    runtime().block_on(async {
        let mut session = engine.session();
        run(
            &mut session,
            "CREATE TABLE t (id BIGINT PRIMARY KEY, what TEXT)",
        )
        .await
        .expect("created");
        let long = "INSERT INTO t VALUES (1, repeat('x', 262145))";
        let refused = run(&mut session, long).await.expect_err("too long");
        assert_eq!(refused.sqlstate(), "54000", "{refused}");
        assert!(
            refused.to_string().contains("column what of table t"),
            "{refused}"
        );
        run(&mut session, "INSERT INTO t VALUES (1, 'short')")
            .await
            .expect("inserted");
    });
    engine.shutdown();
    let engine = open(directory.path(), 1);
    assert_eq!(engine.recovered().transactions, 2);
    engine.shutdown();
}

#[test]
fn clients_are_told_how_far_restoring_is_and_to_come_again() {
    let runtime = runtime();
    runtime.block_on(async {
        let notice = Notice::default();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let until = |mut stopped: tokio::sync::watch::Receiver<bool>| async move {
            drop(stopped.changed().await);
        };
        let postgres = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let postgres_address = postgres.local_addr().expect("an address");
        let http = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let http_address = http.local_addr().expect("an address");
        let serving = [
            tokio::spawn(restoring::pgwire(
                postgres,
                notice.clone(),
                until(stopped.clone()),
            )),
            tokio::spawn(restoring::http(http, notice.clone(), until(stopped))),
        ];
        notice.say("70 of 100 transactions replayed, 70 %".to_owned());
        let settings = format!("host=127.0.0.1 port={} user=any", postgres_address.port());
        let refused = tokio_postgres::connect(&settings, NoTls).await;
        let refused = refused.err().expect("not ready");
        let error = refused.as_db_error().expect("an error of the server");
        assert_eq!(error.code().code(), "57P03");
        assert!(
            error.message().contains("70 of 100 transactions"),
            "{error}"
        );
        let answers = tokio::task::spawn_blocking(move || {
            ["/healthz", "/readyz", "/sql"].map(|path| http_get(http_address, path))
        });
        let [health, ready, sql] = answers.await.expect("answers");
        assert!(health.starts_with("HTTP/1.1 200"), "{health}");
        for answer in [ready, sql] {
            assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
            assert!(answer.contains("70 of 100 transactions"), "{answer}");
            assert!(answer.contains("57P03"), "{answer}");
        }
        stop.send(true).expect("somebody listens");
        for task in serving {
            task.await.expect("it ends");
        }
    });
}
