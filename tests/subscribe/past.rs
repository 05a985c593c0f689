//! The past, as far as it is kept: read, and followed from there.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use mainstem::engine::{Durability, Engine, EngineOptions};

use super::subscription;
use crate::engine::{open, run};

/// An engine that keeps an hour.
fn open_with_history(directory: &Path) -> Engine {
    Engine::open(with_history(directory)).expect("the engine opens")
}

fn with_history(directory: &Path) -> EngineOptions {
    EngineOptions {
        data_dir: directory.to_path_buf(),
        workers: 2,
        history_ms: 3_600_000,
    }
}

#[test]
fn the_past_can_be_read_as_far_as_it_is_kept() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open_with_history(directory.path());
        let mut session = engine.session();
        for sql in [
            "CREATE TABLE t (id BIGINT PRIMARY KEY, v BIGINT)",
            "CREATE MATERIALIZED VIEW total AS SELECT count(*) AS n, sum(v) AS v FROM t",
        ] {
            run(&mut session, sql).await.expect(sql);
        }
        let mut moments = Vec::new();
        for round in 0..20 {
            let sql = match round % 4 {
                3 => format!("DELETE FROM t WHERE id = {}", round - 2),
                _ => format!("INSERT INTO t VALUES ({round}, {round})"),
            };
            run(&mut session, &sql).await.expect("written");
            let answers = [
                run(&mut session, "SELECT n, v FROM total")
                    .await
                    .expect("read"),
                run(&mut session, "SELECT id, v FROM t ORDER BY id")
                    .await
                    .expect("read"),
            ];
            moments.push((engine.read().expect("a moment").timestamp_ms(), answers));
        }
        for (timestamp_ms, answers) in &moments {
            for (query, answer) in ["SELECT n, v FROM total", "SELECT id, v FROM t ORDER BY id"]
                .iter()
                .zip(answers)
            {
                let sql = format!("{query} AS OF {timestamp_ms}");
                assert_eq!(
                    &run(&mut session, &sql).await.expect("the past"),
                    answer,
                    "{sql}"
                );
            }
        }
        for wrong in ["1", "99999999999999", "'1999-01-01'"] {
            let error = run(&mut session, &format!("SELECT * FROM t AS OF {wrong}")).await;
            let error = error.expect_err("not kept").to_string();
            assert!(error.contains("what is kept is from"), "{error}");
        }
        run(&mut session, "SELECT * FROM t AS OF 'noon'")
            .await
            .expect_err("no timestamp");
        engine.shutdown();
    });
}

/// A change of a view with two columns of numbers: when, how many, the columns.
type Counted = (i64, i64, (i64, i64));

/// The changes of a subscription with progress up to a timestamp.
async fn changes_until(rows: &mut SendableRecordBatchStream, timestamp_ms: u64) -> Vec<Counted> {
    let mut changes = Vec::new();
    loop {
        let batch = rows.next().await.expect("no end").expect("rows");
        let numbers = |column: usize| batch.column(column).as_primitive::<Int64Type>().clone();
        let is_progress = batch.column(1).as_boolean();
        for row in 0..batch.num_rows() {
            let time = numbers(0).value(row);
            if !is_progress.value(row) {
                let values = (numbers(3).value(row), numbers(4).value(row));
                changes.push((time, numbers(2).value(row), values));
            } else if time >= timestamp_ms as i64 {
                return changes;
            }
        }
    }
}

/// The rows that changes up to a timestamp add up to.
fn sum(changes: &[Counted], until_ms: u64) -> BTreeMap<(i64, i64), i64> {
    let mut rows = BTreeMap::new();
    for (_, difference, row) in changes.iter().filter(|change| change.0 <= until_ms as i64) {
        *rows.entry(*row).or_default() += difference;
    }
    rows.retain(|_, count| *count != 0);
    rows
}

#[test]
fn a_subscription_may_begin_in_the_past() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open_with_history(directory.path());
        let mut session = engine.session();
        for sql in [
            "CREATE TABLE t (id BIGINT PRIMARY KEY, k BIGINT)",
            "CREATE MATERIALIZED VIEW sums AS SELECT k, count(*) AS n FROM t GROUP BY k",
        ] {
            run(&mut session, sql).await.expect(sql);
        }
        let mut moments = Vec::new();
        for round in 0..15 {
            let sql = match round % 4 {
                3 => format!("DELETE FROM t WHERE id = {}", round - 2),
                2 => format!("UPDATE t SET k = k + 1 WHERE id = {}", round - 2),
                _ => format!("INSERT INTO t VALUES ({round}, {})", round % 3),
            };
            run(&mut session, &sql).await.expect("written");
            let answer = run(&mut session, "SELECT k, n FROM sums ORDER BY k").await;
            let moment_ms = engine.read().expect("a moment").timestamp_ms();
            moments.push((moment_ms, answer.expect("read")));
        }
        let newest_ms = moments[moments.len() - 1].0;
        let sources = [
            ("sums", "SELECT k, n FROM sums"),
            // What has no past of its own is computed from that of the tables and views.
            ("t", "SELECT id, k FROM t"),
            ("(SELECT k, count(*) AS n FROM t GROUP BY k)", "SELECT k, n FROM sums"),
            ("(SELECT k, n FROM sums WHERE n > 0)", "SELECT k, n FROM sums"),
            (
                "(SELECT t.k, max(s.n) AS n FROM t JOIN sums AS s ON s.k = t.k JOIN t AS u ON u.k = s.k GROUP BY t.k)",
                "SELECT k, n FROM sums",
            ),
        ];
        let begins = moments.iter().enumerate();
        let begins = begins.flat_map(|begin| sources.map(|source| (begin, source)));
        for ((number, (begin_ms, _)), (source, query)) in begins {
            let sql = format!("SUBSCRIBE TO {source} AS OF {begin_ms} WITH (progress)");
            let mut rows = subscription(&mut session, &sql).await;
            let changes = changes_until(&mut rows, newest_ms).await;
            assert!(changes.iter().all(|change| change.0 >= *begin_ms as i64));
            for (moment_ms, _) in &moments[number..] {
                let as_of = format!("{query} AS OF {moment_ms}");
                let there = run(&mut session, &as_of).await.expect("the past");
                let rows = sum(&changes, *moment_ms);
                assert!(rows.values().all(|count| *count == 1), "{rows:?}");
                assert_eq!(
                    there.matches("\n|").count() - 1,
                    rows.len(),
                    "{sql}: {there}"
                );
                for (k, n) in rows.keys() {
                    let is_row = |line: &str| {
                        line.split('|').map(str::trim).eq(["", &k.to_string(), &n.to_string(), ""])
                    };
                    let is_there = there.lines().any(is_row);
                    assert!(is_there, "{k}, {n} at {moment_ms} in {sql}: {there}");
                }
            }
            let sql =
                format!("SUBSCRIBE TO {source} AS OF {begin_ms} WITH (progress, snapshot = false)");
            let mut rows = subscription(&mut session, &sql).await;
            let later = changes_until(&mut rows, newest_ms).await;
            let expected = changes.iter().filter(|change| change.0 > *begin_ms as i64);
            assert_eq!(later, expected.copied().collect::<Vec<_>>());
        }
        let (begin_ms, answer) = &moments[7];
        for sql in [
            format!("DECLARE c CURSOR FOR SELECT k, n FROM sums ORDER BY k AS OF {begin_ms}"),
            format!("COPY (SELECT * FROM sums AS OF {begin_ms}) TO STDOUT"),
            format!("COPY (SUBSCRIBE sums AS OF {begin_ms}) TO STDOUT"),
        ] {
            run(&mut session, &sql).await.expect(&sql);
        }
        let fetched = run(&mut session, "FETCH ALL FROM c")
            .await
            .expect("fetched");
        assert_eq!(&fetched, answer);
        for (sql, state) in [
            ("SUBSCRIBE TO sums AS OF 1", "22023"),
            ("SUBSCRIBE TO sums AS OF 99999999999999", "22023"),
            ("SUBSCRIBE TO t AS OF 5", "22023"),
            ("SUBSCRIBE TO (SELECT * FROM sums) AS OF 5", "22023"),
            ("SUBSCRIBE TO sums AS OF noon", "42601"),
        ] {
            let error = run(&mut session, sql).await.expect_err(sql);
            assert_eq!(error.sqlstate(), state, "{sql}: {error}");
        }
        engine.shutdown();
    });
}

#[test]
fn adding_up_the_memory_takes_nothing_of_the_past() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let durability = Durability {
            memory_budget_bytes: 1 << 30,
            ..Durability::default()
        };
        let options = with_history(directory.path());
        let engine = Engine::open_with(options, &durability, &mut |_| {}).expect("opened");
        let mut session = engine.session();
        for sql in [
            "CREATE TABLE t (id BIGINT PRIMARY KEY, v BIGINT)",
            "INSERT INTO t VALUES (1, 0)",
        ] {
            run(&mut session, sql).await.expect(sql);
        }
        session.settled().await.expect("complete");
        let early_ms = engine.read().expect("a moment").timestamp_ms();
        let early = run(&mut session, "SELECT id, v FROM t").await;
        // The memory is added up a few times a second while something changes.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(1500) {
            run(&mut session, "UPDATE t SET v = v + 1")
                .await
                .expect("written");
            std::thread::sleep(Duration::from_millis(20));
        }
        session.settled().await.expect("complete");
        let newest_ms = engine.read().expect("a moment").timestamp_ms();
        let sql = format!("SELECT id, v FROM t AS OF {early_ms}");
        let there = run(&mut session, &sql).await.expect("the past");
        assert_eq!(there, early.expect("read"));
        for source in ["t", "(SELECT id, v FROM t)"] {
            let sql = format!("SUBSCRIBE TO {source} AS OF {early_ms} WITH (progress)");
            let mut rows = subscription(&mut session, &sql).await;
            let changes = changes_until(&mut rows, newest_ms).await;
            let began = sum(&changes, early_ms);
            assert_eq!(began, BTreeMap::from([((1, 0), 1)]), "{sql}");
        }
        engine.shutdown();
    });
}

#[test]
fn a_moment_that_ceases_to_be_kept_is_refused_as_such() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 2);
        let mut session = engine.session();
        run(&mut session, "CREATE TABLE t (id BIGINT PRIMARY KEY)")
            .await
            .expect("created");
        let mut writer = engine.session();
        let writing = tokio::spawn(async move {
            for id in 0..300 {
                let sql = format!("INSERT INTO t VALUES ({id})");
                run(&mut writer, &sql).await.expect("written");
            }
        });
        // Nothing but the newest moment is kept, and it may pass before it is read.
        while !writing.is_finished() {
            let newest_ms = engine.read().expect("a moment").timestamp_ms();
            for sql in [
                format!("SELECT * FROM t AS OF {newest_ms}"),
                format!("SUBSCRIBE TO t AS OF {newest_ms}"),
            ] {
                if let Err(error) = run(&mut session, &sql).await {
                    assert_eq!(error.sqlstate(), "22023", "{sql}: {error}");
                }
            }
        }
        writing.await.expect("written");
        engine.shutdown();
    });
}
