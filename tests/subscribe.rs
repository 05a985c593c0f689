//! SUBSCRIBE: what is streamed adds up to the view at every timestamp.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::{StreamExt, TryStreamExt};
use mainstem::engine::{Engine, EngineOptions, Outcome, Session, WallClock};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use tokio_postgres::SimpleQueryMessage;

use crate::engine::{open, run};
use crate::serve::{Served, code, texts};
use crate::tools::PATIENCE;

/// A message of a subscription with progress.
#[derive(Debug)]
pub enum Message {
    Change(i64, i64, Vec<String>),
    Progress(i64),
}

/// The messages of a subscription with progress over the simple protocol.
pub async fn subscribe(
    client: &tokio_postgres::Client,
    sql: &str,
) -> impl futures::Stream<Item = Result<Message, tokio_postgres::Error>> + use<> {
    let messages = client.simple_query_raw(sql).await.expect("subscribed");
    messages.try_filter_map(|message| async move {
        let SimpleQueryMessage::Row(row) = message else {
            return Ok(None);
        };
        let number = |column: usize| -> i64 {
            row.get(column)
                .expect("a number")
                .parse()
                .expect("a number")
        };
        Ok(Some(match row.get(1) {
            Some("t") => Message::Progress(number(0)),
            _ => {
                let cells = (3..row.len()).map(|column| row.get(column).unwrap_or("NULL"));
                Message::Change(number(0), number(2), cells.map(str::to_owned).collect())
            }
        }))
    })
}

/// Rows with their multiplicities.
type Bag = BTreeMap<Vec<String>, i64>;

fn add(bag: &mut Bag, row: Vec<String>, difference: i64) {
    let count = bag.entry(row.clone()).or_default();
    *count += difference;
    if *count == 0 {
        bag.remove(&row);
    }
}

#[test]
fn what_is_streamed_adds_up_to_the_view_at_every_timestamp() {
    let served = Served::start(20);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client
            .batch_execute(
                "CREATE TABLE t (id BIGINT PRIMARY KEY, k BIGINT, v BIGINT); \
                 CREATE MATERIALIZED VIEW sums AS SELECT k, count(*) AS n, sum(v) AS v FROM t GROUP BY k; \
                 INSERT INTO t VALUES (1, 1, 1), (2, 2, 2)",
            )
            .await
            .expect("created");
        let writer = served.connect().await.expect("connected");
        let writing = tokio::spawn(async move {
            let seed = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |now| u64::from(now.subsec_nanos()));
            println!("seed {seed}");
            let mut random = Pcg64::seed_from_u64(seed);
            for _ in 0..150 {
                let (id, k) = (random.random_range(0..40), random.random_range(0..6));
                let sql = match random.random_range(0..4) {
                    0 => format!("DELETE FROM t WHERE id = {id}"),
                    1 => format!("UPDATE t SET v = v + 1 WHERE k = {k}"),
                    _ => format!("INSERT INTO t VALUES ({id}, {k}, {})", random.random_range(0..100)),
                };
                writer.batch_execute(&sql).await.expect("written");
            }
            writer.batch_execute("INSERT INTO t VALUES (999, 999, 999)").await.expect("written");
            texts(&writer, "SELECT k, n, v FROM sums ORDER BY k").await
        });
        // A view that is there, and a query; both begin while rows are written.
        for (number, source) in ["sums", "(SELECT k, n, v FROM sums WHERE n > 0)"].iter().enumerate() {
            let reader = served.connect().await.expect("connected");
            let sql = format!("SUBSCRIBE TO {source} WITH (progress)");
            let messages = subscribe(&reader, &sql).await;
            let mut messages = pin!(messages);
            let mut bag = Bag::new();
            let mut last_ms = 0;
            loop {
                match messages.next().await.expect("no end").expect("a message") {
                    Message::Change(timestamp_ms, difference, row) => {
                        assert!(timestamp_ms >= last_ms, "{timestamp_ms} after {last_ms}");
                        last_ms = timestamp_ms;
                        add(&mut bag, row, difference);
                    }
                    Message::Progress(timestamp_ms) => {
                        assert!(timestamp_ms >= last_ms);
                        last_ms = timestamp_ms;
                        // Each group has one row at any moment.
                        assert!(bag.values().all(|count| *count == 1), "{number}: {bag:?}");
                        let keys: Vec<&String> = bag.keys().map(|row| &row[0]).collect();
                        let mut distinct = keys.clone();
                        distinct.dedup();
                        assert_eq!(keys, distinct, "{bag:?}");
                        if keys.iter().any(|key| *key == "999") {
                            break;
                        }
                    }
                }
            }
            let mut rows: Vec<String> = bag.keys().map(|row| row.join("|")).collect();
            rows.sort_by_key(|row| row.split('|').next().and_then(|key| key.parse::<i64>().ok()));
            assert_eq!(rows, texts(&client, "SELECT k, n, v FROM sums ORDER BY k").await);
        }
        writing.await.expect("written");
    });
}

#[test]
fn rows_leave_a_subscription_when_their_time_comes() {
    let served = Served::start(10);
    served.engine.set_wall_clock(WallClock::Followed);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client
            .batch_execute("CREATE TABLE t (id BIGINT PRIMARY KEY, at TIMESTAMPTZ DEFAULT now())")
            .await
            .expect("created");
        for source in [
            "recent",
            "(SELECT id FROM t WHERE at > now() - INTERVAL '10 seconds')",
        ] {
            let reader = served.connect().await.expect("connected");
            client
                .batch_execute(
                    "CREATE MATERIALIZED VIEW IF NOT EXISTS recent AS \
                     SELECT id FROM t WHERE at > now() - INTERVAL '10 seconds'",
                )
                .await
                .expect("created");
            let messages =
                subscribe(&reader, &format!("SUBSCRIBE TO {source} WITH (progress)")).await;
            let mut messages = pin!(messages);
            messages.next().await.expect("no end").expect("a message");
            // It would never be there if its time were over before it is committed.
            client
                .batch_execute("INSERT INTO t (id) VALUES (7)")
                .await
                .expect("inserted");
            let both = async {
                let mut changes = Vec::new();
                while changes.len() < 2 {
                    let message = messages.next().await.expect("no end");
                    if let Message::Change(at_ms, difference, row) = message.expect("a message") {
                        changes.push((at_ms, difference, row));
                    }
                }
                changes
            };
            let changes = tokio::time::timeout(PATIENCE, both).await;
            let changes = changes.expect("the row comes and goes");
            let row = vec!["7".to_owned()];
            assert_eq!((changes[0].1, &changes[0].2), (1, &row));
            assert_eq!((changes[1].1, &changes[1].2), (-1, &row));
            assert!(changes[1].0 > changes[0].0, "{changes:?}");
        }
    });
}

#[test]
fn subscriptions_come_by_copy_and_cursor_too() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client
            .batch_execute("CREATE TABLE t (a BIGINT); INSERT INTO t VALUES (1), (1), (2)")
            .await
            .expect("created");
        let reader = served.connect().await.expect("connected");
        let copy = reader
            .copy_out("COPY (SUBSCRIBE TO t) TO STDOUT (FORMAT csv)")
            .await;
        let mut copy = pin!(copy.expect("subscribed"));
        let mut lines = Vec::new();
        let mut line = async |copy: &mut std::pin::Pin<&mut tokio_postgres::CopyOutStream>| {
            while lines.is_empty() {
                let data = copy.next().await.expect("no end").expect("data");
                let text = String::from_utf8(data.to_vec()).expect("text");
                lines.extend(text.lines().map(str::to_owned));
            }
            let line: String = lines.remove(0);
            line.split_once(',').expect("columns").1.to_owned()
        };
        let mut first = vec![
            line(&mut copy).await,
            line(&mut copy).await,
            line(&mut copy).await,
        ];
        first.sort();
        assert_eq!(first, ["1,1", "1,1", "1,2"]);
        client
            .batch_execute("DELETE FROM t WHERE a = 2")
            .await
            .expect("deleted");
        assert_eq!(line(&mut copy).await, "-1,2");

        let cursor = served.connect().await.expect("connected");
        cursor
            .batch_execute("BEGIN; DECLARE c CURSOR FOR SUBSCRIBE TO t WITH (snapshot = false)")
            .await
            .expect("declared");
        client
            .batch_execute("INSERT INTO t VALUES (7)")
            .await
            .expect("inserted");
        let rows = texts(&cursor, "FETCH 10 FROM c").await;
        let rows: Vec<&str> = rows
            .iter()
            .map(|row| row.split_once('|').expect("columns").1)
            .collect();
        assert_eq!(rows, ["1|7"]);
        for timeout in ["'0s'", "'20ms'"] {
            let sql = format!("FETCH ALL FROM c WITH (timeout = {timeout})");
            assert_eq!(texts(&cursor, &sql).await, Vec::<String>::new(), "{timeout}");
        }
        client
            .batch_execute("INSERT INTO t VALUES (8)")
            .await
            .expect("inserted");
        let rows = texts(&cursor, "FETCH ALL FROM c WITH (timeout = '10min')").await;
        assert_eq!(rows.len(), 1);
        for (sql, state) in [
            ("FETCH ALL FROM c WITH (timeout = 'soon')", "22023"),
            ("FETCH ALL FROM c WITH (patience = 1)", "0A000"),
            ("FETCH PRIOR FROM c", "0A000"),
        ] {
            let error = cursor.simple_query(sql).await.expect_err(sql);
            assert_eq!(code(&error), Some(state), "{error:?}");
            cursor.batch_execute("ROLLBACK; BEGIN").await.expect("begun");
            cursor
                .batch_execute("DECLARE c CURSOR FOR SUBSCRIBE TO t")
                .await
                .expect("declared");
        }
        // The time of a statement ends a FETCH that waits, and the cursor goes on.
        cursor
            .batch_execute("COMMIT; DECLARE d CURSOR FOR SUBSCRIBE TO t WITH (snapshot = false); SET statement_timeout = '50ms'")
            .await
            .expect("declared");
        let error = cursor.simple_query("FETCH 1 FROM d").await.expect_err("too long");
        assert_eq!(code(&error), Some("57014"), "{error:?}");
        cursor.batch_execute("SET statement_timeout = 0").await.expect("set");
        client
            .batch_execute("INSERT INTO t VALUES (9)")
            .await
            .expect("inserted");
        assert_eq!(texts(&cursor, "FETCH 1 FROM d").await.len(), 1);
        cursor.batch_execute("BEGIN; DECLARE c CURSOR FOR SELECT 1").await.expect("declared");
        cursor
            .batch_execute("CLOSE c; COMMIT")
            .await
            .expect("ended");
    });
}

#[test]
fn a_subscription_ends_with_its_view_and_on_request() {
    let served = Served::start(10);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        client
            .batch_execute("CREATE TABLE t (a BIGINT); CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM t")
            .await
            .expect("created");
        for (source, drop) in [
            ("v", "CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT count(a) AS n FROM t"),
            ("(SELECT n + 1 AS m FROM v)", "DROP MATERIALIZED VIEW v"),
            ("(SELECT a FROM t WHERE a > 1)", "DROP TABLE t"),
        ] {
            let reader = served.connect().await.expect("connected");
            let messages = subscribe(&reader, &format!("SUBSCRIBE TO {source} WITH (progress)")).await;
            let mut messages = pin!(messages);
            messages.next().await.expect("no end").expect("a message");
            client.batch_execute(drop).await.expect(drop);
            let error = loop {
                match messages.next().await.expect("no end") {
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            assert_eq!(code(&error), Some("55000"), "{error:?}");
            assert_eq!(texts(&reader, "SELECT 1").await, ["1"]);
        }
        client.batch_execute("CREATE TABLE t (a BIGINT)").await.expect("created");
        let reader = served.connect().await.expect("connected");
        let token = reader.cancel_token();
        let messages = subscribe(&reader, "SUBSCRIBE TO t WITH (progress)").await;
        let mut messages = pin!(messages);
        messages.next().await.expect("no end").expect("a message");
        token.cancel_query(tokio_postgres::NoTls).await.expect("asked");
        let error = loop {
            match messages.next().await.expect("no end") {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(code(&error), Some("57014"), "{error:?}");
        for (sql, state) in [
            ("SUBSCRIBE TO nothing", "42P01"),
            ("SUBSCRIBE TO (SELECT random() AS r FROM t)", "0A000"),
            ("SUBSCRIBE TO t WITH (nonsense)", "0A000"),
            ("SUBSCRIBE", "42601"),
        ] {
            let error = client.simple_query(sql).await.expect_err(sql);
            assert_eq!(code(&error), Some(state), "{sql}: {error:?}");
        }
    });
}

/// A subscription that is held but not read.
async fn subscription(
    session: &mut Session,
    sql: &str,
) -> datafusion::execution::SendableRecordBatchStream {
    let statement = session.parse(sql).expect("SQL").remove(0);
    match session.execute(&statement, &[]).await.expect("subscribed") {
        Outcome::Subscription(rows) => rows,
        _ => panic!("no subscription"),
    }
}

#[test]
fn a_subscriber_that_does_not_read_is_dropped_and_nobody_waits() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 2);
        let mut session = engine.session();
        run(&mut session, "CREATE TABLE t (a BIGINT, text TEXT)")
            .await
            .expect("created");
        let mut lazy = subscription(&mut session, "SUBSCRIBE TO t").await;
        let mut other = engine.session();
        let mut eager = subscription(&mut other, "SUBSCRIBE TO t WITH (snapshot = false)").await;
        let mut rows = 0;
        for round in 0..24 {
            let sql = format!(
                "INSERT INTO t SELECT value, repeat('x', 400) || value \
                 FROM (SELECT unnest(range({}, {})) AS value)",
                round * 10_000,
                round * 10_000 + 10_000
            );
            run(&mut session, &sql).await.expect("inserted");
            while rows < (round + 1) * 10_000 {
                rows += eager
                    .next()
                    .await
                    .expect("no end")
                    .expect("rows")
                    .num_rows();
            }
        }
        assert_eq!(rows, 240_000);
        let mut waited = 0;
        let error = loop {
            match lazy.next().await.expect("no end") {
                Ok(rows) => waited += rows.num_rows(),
                Err(error) => break error.to_string(),
            }
            assert!(waited < rows, "all has waited for it");
        };
        assert!(error.contains("did not keep up"), "{error}");
        engine.shutdown();
    });
}

/// An engine that keeps an hour.
fn open_with_history(directory: &Path) -> Engine {
    let options = EngineOptions {
        data_dir: directory.to_path_buf(),
        workers: 2,
        history_ms: 3_600_000,
    };
    Engine::open(options).expect("the engine opens")
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
async fn changes_until(
    rows: &mut datafusion::execution::SendableRecordBatchStream,
    timestamp_ms: u64,
) -> Vec<Counted> {
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
