//! How the real program ends: in bounded time whatever is under way, and by itself after a fault.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use futures::SinkExt;
use tokio_postgres::Client;

use crate::engine::{open, rows, run};
use crate::program::Program;
use crate::tools::{Waiting, ask};

/// A runtime with sockets and time.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a runtime")
}

async fn copy(client: &Client, rows: String) {
    let copy = client.copy_in("COPY t FROM STDIN (FORMAT csv)").await;
    let mut sink = std::pin::pin!(copy.expect("begun"));
    sink.send(bytes::Bytes::from(rows)).await.expect("sent");
    sink.finish().await.expect("copied");
}

const TABLES: &str = "CREATE TABLE t (id BIGINT PRIMARY KEY, shop TEXT, what TEXT); \
    CREATE MATERIALIZED VIEW sums AS SELECT shop, count(*) AS n FROM t GROUP BY shop";

/// A statement whose answer nobody would wait for, and that needs little memory: no pair is kept.
const ENDLESS: &str = "SELECT count(*) FROM t a, t b WHERE md5(a.what || b.what) = 'x'";

#[test]
fn sigterm_ends_the_program_whatever_is_under_way() {
    let directory = tempfile::tempdir().expect("a directory");
    runtime().block_on(async {
        // A slow machine may take as long as it needs; only an end without end is a failure.
        let arguments = ["--checkpoint-every", "1s", "--shutdown-timeout", "300s"];
        let mut program = Program::start(directory.path(), &arguments);
        let client = program.connect().await;
        client.batch_execute(TABLES).await.expect("created");
        for part in 0..10_usize {
            let rows =
                (part * 5000..(part + 1) * 5000).map(|id| format!("{id},s{},{id:0200}\n", id % 9));
            copy(&client, rows.collect()).await;
        }
        // A cursor that is not read to its end.
        let cursor = program.connect().await;
        let declared = "BEGIN; DECLARE c CURSOR FOR SELECT * FROM t; FETCH 1 FROM c";
        cursor.batch_execute(declared).await.expect("declared");
        // A subscription and an answer that nobody reads, a COPY that is half there.
        let mut unread = Vec::new();
        for statement in ["SUBSCRIBE t", "SELECT * FROM t a, t b"] {
            let mut stream = std::net::TcpStream::connect(program.address).expect("connected");
            let query = [&startup()[..], &message(b'Q', statement)].concat();
            std::io::Write::write_all(&mut stream, &query).expect("sent");
            unread.push(stream);
        }
        let half = program.connect().await;
        let copy = half.copy_in("COPY t FROM STDIN (FORMAT csv)").await;
        let mut sink = std::pin::pin!(copy.expect("begun"));
        sink.send(bytes::Bytes::from("900001,half,there\n900002,ha"))
            .await
            .expect("sent");
        let open = program.connect().await;
        let written = "BEGIN; INSERT INTO t VALUES (900003, 'open', 'block')";
        open.batch_execute(written).await.expect("held");
        client
            .batch_execute("INSERT INTO t VALUES (800000, 'last', 'acknowledged')")
            .await
            .expect("acknowledged");
        // A query without end, in both protocols. They share the threads of queries by turns.
        for is_extended in [false, true] {
            let asking = program.connect().await;
            tokio::spawn(async move {
                match is_extended {
                    true => asking.query(ENDLESS, &[]).await.map(|rows| rows.len()),
                    false => asking.simple_query(ENDLESS).await.map(|rows| rows.len()),
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        // A checkpoint is due or being written.
        program.terminate();
        let begun = Instant::now();
        let status = program.ended().await;
        println!("it ended after {:?}", begun.elapsed());
        assert_eq!(status.code(), Some(0), "{}", program.log());
        drop(unread);
    });
    // What was acknowledged is there, what was not is not.
    let answer = ask(
        directory.path(),
        "SELECT count(*), max(id) FROM t WHERE id >= 800000 OR id < 50000",
    );
    assert!(answer.ends_with("50001,800000\n"), "{answer}");
}

/// A first message as clients send it.
fn startup() -> Vec<u8> {
    let body = b"\0\x03\0\0user\0any\0\0";
    let length = u32::try_from(body.len() + 4).expect("short");
    [&length.to_be_bytes()[..], body].concat()
}

fn message(kind: u8, text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len() + 5).expect("short");
    [&[kind][..], &length.to_be_bytes(), text.as_bytes(), b"\0"].concat()
}

#[test]
fn what_cannot_be_ended_does_not_hold_up_the_end() {
    let directory = tempfile::tempdir().expect("a directory");
    runtime().block_on(async {
        let arguments = ["--shutdown-timeout", "2s", "--log-format", "json"];
        let mut program = Program::start(directory.path(), &arguments);
        let client = program.connect().await;
        client.batch_execute(TABLES).await.expect("created");
        let rows = (0..30_000)
            .map(|id| format!("{id},s,w\n"))
            .collect::<String>();
        copy(&client, rows).await;
        // A view that is computed for minutes.
        let filling = program.connect().await;
        tokio::spawn(async move {
            let view = "CREATE MATERIALIZED VIEW pairs AS SELECT a.id + b.id AS id, count(*) AS n \
                FROM t a JOIN t b ON a.shop = b.shop GROUP BY a.id + b.id";
            filling.batch_execute(view).await
        });
        let waiting = Waiting::begin();
        let building = "SELECT count(*) FROM mainstem.views WHERE state = 'building'";
        loop {
            // System tables tell what is going on while the view is behind, to both protocols.
            let rows = client.query_one(building, &[]).await.expect("told at once");
            if rows.get::<_, i64>(0) == 1 {
                break;
            }
            waiting.check("it is not being built");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let cursor = format!("BEGIN; DECLARE c CURSOR FOR {building}; FETCH ALL FROM c; COMMIT");
        client.batch_execute(&cursor).await.expect("told at once");
        // Once its rows are being joined there is no end to it.
        tokio::time::sleep(Duration::from_secs(1)).await;
        program.terminate();
        let begun = Instant::now();
        let status = program.ended().await;
        println!("it ended after {:?}", begun.elapsed());
        let log = program.log();
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains("shutdown_timeout"), "{log}");
        // Every line is an object that a machine reads.
        for line in log.lines() {
            let line: serde_json::Value = serde_json::from_str(line).expect(line);
            let message = &line["fields"]["message"];
            assert!(message.is_string() && line["level"].is_string(), "{line}");
        }
    });
}

#[test]
fn after_a_fault_of_a_worker_nothing_more_is_logged_and_the_program_ends() {
    let directory = tempfile::tempdir().expect("a directory");
    runtime().block_on(async {
        let mut program = Program::start(directory.path(), &[]);
        let client = program.connect().await;
        client.batch_execute(TABLES).await.expect("created");
        let table = "CREATE TABLE mainstem_fault (id BIGINT)";
        client.batch_execute(table).await.expect("created");
        client
            .batch_execute("INSERT INTO t VALUES (1, 'a', 'b')")
            .await
            .expect("taken");
        // It is logged, and what comes after it is not.
        let fatal = client
            .batch_execute("INSERT INTO mainstem_fault VALUES (1)")
            .await;
        fatal.expect("acknowledged before it is computed");
        let mut taken = 0;
        for id in 100..200 {
            let insert = format!("INSERT INTO t VALUES ({id}, 'a', 'b')");
            match client.batch_execute(&insert).await {
                Ok(()) => taken += 1,
                Err(_) => break,
            }
        }
        let status = program.ended().await;
        let log = program.log();
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains("a dataflow worker has failed"), "{log}");
        assert!(log.contains("a fault that a test has asked for"), "{log}");
        assert!(taken < 100, "everything is taken");
    });
}

#[test]
fn after_a_fault_of_a_worker_every_change_is_refused_before_it_is_logged() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path(), 2);
    runtime().block_on(async {
        let mut session = engine.session();
        for statement in [
            "CREATE TABLE t (id BIGINT PRIMARY KEY)",
            "CREATE TABLE mainstem_fault (id BIGINT)",
            "CREATE MATERIALIZED VIEW copies AS SELECT id FROM t",
            "INSERT INTO t VALUES (1)",
            "INSERT INTO mainstem_fault VALUES (1)",
        ] {
            run(&mut session, statement).await.expect(statement);
        }
        engine.failed().await;
        let reason = engine.failure().expect("it has failed");
        assert!(
            reason.contains("a fault that a test has asked for"),
            "{reason}"
        );
        let logged = engine.metrics().log_next_offset.load(Relaxed);
        for statement in [
            "INSERT INTO t VALUES (2)",
            "DELETE FROM t",
            "CREATE TABLE other (id BIGINT)",
            "SELECT * FROM copies",
        ] {
            let error = run(&mut session, statement).await.expect_err(statement);
            assert!(
                error.to_string().contains("a dataflow worker has failed"),
                "{error}"
            );
        }
        // What the engine tells about itself it tells all the same.
        let views = "SELECT name FROM mainstem.views";
        assert_eq!(rows(&mut session, views).await, "copies");
        let refused = engine.metrics().log_next_offset.load(Relaxed);
        assert_eq!(refused, logged, "something was logged");
        assert_eq!(engine.log_failure(), None);
    });
    engine.shutdown();
}
