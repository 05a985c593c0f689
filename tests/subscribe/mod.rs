//! SUBSCRIBE: what is streamed adds up to the view at every timestamp.

mod fetched;
mod past;

use std::collections::BTreeMap;
use std::pin::pin;

use datafusion::execution::SendableRecordBatchStream;
use futures::{StreamExt, TryStreamExt};
use mainstem::engine::{Outcome, Session, WallClock};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use tokio_postgres::SimpleQueryMessage;

use crate::engine::{open, rows, run, wait_for};
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
async fn subscription(session: &mut Session, sql: &str) -> SendableRecordBatchStream {
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

#[test]
fn a_view_called_subscription_is_not_taken_for_one() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 2);
        let mut session = engine.session();
        for sql in [
            "CREATE TABLE t (id BIGINT PRIMARY KEY, v BIGINT)",
            "INSERT INTO t VALUES (1, 10), (2, 20)",
            "CREATE MATERIALIZED VIEW subscription AS SELECT count(*) AS c FROM t",
        ] {
            run(&mut session, sql).await.expect(sql);
        }
        let mut other = engine.session();
        let of_table = subscription(&mut other, "SUBSCRIBE TO (SELECT sum(v) AS v FROM t)").await;
        let of_view = "SUBSCRIBE TO (SELECT c + 1 AS c FROM subscription)";
        let of_view = subscription(&mut other, of_view).await;
        // With the catalog changes what readers see of it.
        for sql in [
            "CREATE TABLE another (id BIGINT)",
            "CREATE MATERIALIZED VIEW more AS SELECT c + 1 AS d FROM subscription",
            "INSERT INTO t VALUES (3, 30)",
        ] {
            run(&mut session, sql).await.expect(sql);
        }
        let both = "SELECT c, d FROM subscription, more";
        assert_eq!(rows(&mut session, both).await, "3,4");
        let views = "SELECT name, state, reads FROM mainstem.views ORDER BY name";
        let there = "more,complete,subscription subscription,complete,t";
        wait_for(&mut session, views, there).await;
        drop((of_table, of_view));
        run(&mut session, "INSERT INTO t VALUES (4, 40)")
            .await
            .expect("inserted");
        assert_eq!(rows(&mut session, both).await, "4,5");
        for sql in [
            "EXPLAIN ANALYZE MATERIALIZED VIEW subscription",
            "DROP MATERIALIZED VIEW more",
            "DROP MATERIALIZED VIEW subscription",
        ] {
            run(&mut session, sql).await.expect(sql);
        }
        let gone = run(&mut session, "SELECT * FROM subscription").await;
        assert_eq!(gone.expect_err("gone").sqlstate(), "42P01");
        engine.shutdown();
    });
}
