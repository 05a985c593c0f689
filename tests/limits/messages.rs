//! What Postgres clients send: too much of it, too slowly, or what makes no sense.

use std::time::Duration;

use futures::SinkExt;
use mainstem::serve::pgwire::PgwireOptions;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::sync::atomic::Ordering::Relaxed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::Client;

use super::{insert, open_with_budget, until_taken_from};
use crate::engine::open;
use crate::serve::{Served, code, code_of, received};
use crate::tools::Waiting;

const MEBIBYTE: usize = 1 << 20;

fn served(options: PgwireOptions) -> Served {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path(), 1);
    Served::with(engine, directory, options)
}

async fn count(client: &Client) -> i64 {
    let rows = client.query_one("SELECT count(*) FROM t", &[]).await;
    rows.expect("counted").get(0)
}

/// Sends rows of a COPY in one message; how many were taken.
async fn copied(client: &Client, rows: String) -> Result<u64, tokio_postgres::Error> {
    let sink = client.copy_in("COPY t FROM STDIN (FORMAT csv)").await?;
    let mut sink = std::pin::pin!(sink);
    // The failure is told at the end.
    let _ = sink.send(bytes::Bytes::from(rows)).await;
    sink.finish().await
}

fn csv(bytes: usize) -> String {
    let row = |id: usize| format!("{id},s,{}\n", "x".repeat(990));
    (0..bytes / 1000).map(row).collect()
}

#[test]
fn a_message_that_is_too_long_is_refused_and_the_connection_goes_on() {
    let served = served(PgwireOptions {
        max_message_bytes: MEBIBYTE,
        ..PgwireOptions::default()
    });
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        let table = "CREATE TABLE t (id BIGINT, shop TEXT, what TEXT)";
        client.batch_execute(table).await.expect("created");
        let long = format!("SELECT 1 -- {}", "x".repeat(2 * MEBIBYTE));
        for _ in 0..2 {
            let error = client.simple_query(&long).await.expect_err("too long");
            assert_eq!(code(&error), Some("54000"), "{error:?}");
            let hint = error.as_db_error().and_then(|error| error.hint());
            assert!(hint.is_some_and(|hint| hint.contains("serve.message_size")));
            let error = client.query(&long, &[]).await.expect_err("too long");
            assert_eq!(code(&error), Some("54000"), "{error:?}");
            let error = copied(&client, csv(3 * MEBIBYTE))
                .await
                .expect_err("too long");
            assert_eq!(code(&error), Some("54000"), "{error:?}");
            assert_eq!(count(&client).await, 0);
        }
        assert_eq!(
            copied(&client, csv(MEBIBYTE / 2)).await.expect("copied"),
            524
        );
        // What comes in a transaction after a message that was refused is not taken, either.
        client.batch_execute("BEGIN").await.expect("begun");
        client.simple_query(&long).await.expect_err("too long");
        let error = client.batch_execute(&insert(0)).await.expect_err("failed");
        assert_eq!(code(&error), Some("25P02"), "{error:?}");
        client.batch_execute("ROLLBACK").await.expect("ended");
        assert_eq!(count(&client).await, 524);
    });
}

/// Reads messages until the server waits for the next statement; the codes of errors.
async fn until_ready(stream: &mut TcpStream) -> Vec<String> {
    let mut codes = Vec::new();
    loop {
        let (kind, body) = received(stream).await;
        match kind {
            b'E' => codes.push(code_of(&body)),
            b'Z' => return codes,
            _ => {}
        }
    }
}

#[test]
fn what_is_being_received_counts_as_memory_and_is_refused_without_room() {
    const BUDGET: u64 = 32 << 20;
    const LONG: usize = 12 * MEBIBYTE;
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open_with_budget(directory.path(), BUDGET);
    let served = Served::with(engine, directory, PgwireOptions::default());
    let incoming = || served.engine.metrics().incoming_bytes.load(Relaxed);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        let table = "CREATE TABLE t (id BIGINT, shop TEXT, what TEXT)";
        client.batch_execute(table).await.expect("created");
        // Twelve clients send 12 MiB each, up to the last byte.
        let mut clients = Vec::new();
        let text = vec![b' '; LONG];
        for _ in 0..12 {
            let mut stream = served.raw().await;
            let length = u32::try_from(LONG + 4).expect("short");
            stream.write_all(b"Q").await.expect("sent");
            stream.write_all(&length.to_be_bytes()).await.expect("sent");
            stream.write_all(&text[1..]).await.expect("sent");
            clients.push(stream);
            assert!(incoming() <= BUDGET, "{}", incoming());
        }
        let waiting = Waiting::begin();
        while incoming() < LONG as u64 / 2 {
            waiting.check("nothing is counted");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The others are not held up.
        until_taken_from(&client, &insert(0)).await;
        assert_eq!(count(&client).await, 100);
        let mut refused = 0;
        for stream in &mut clients {
            stream.write_all(&[0]).await.expect("sent");
            let codes = until_ready(stream).await;
            // As a statement it is too long, too.
            match codes.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["53200"] => refused += 1,
                ["54001"] => {}
                _ => panic!("{codes:?}"),
            }
            // The connection goes on.
            stream
                .write_all(b"Q\0\0\0\rSELECT 1\0")
                .await
                .expect("sent");
            assert_eq!(until_ready(stream).await, Vec::<String>::new());
        }
        assert!(refused >= 9, "{refused} are refused");
        drop(clients);
        while incoming() > 0 {
            waiting.check("it is still counted");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn rows_of_copies_and_of_open_transactions_count_as_memory() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open_with_budget(directory.path(), 24 << 20);
    let served = Served::with(engine, directory, PgwireOptions::default());
    let incoming = || served.engine.metrics().incoming_bytes.load(Relaxed);
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        let table = "CREATE TABLE t (id BIGINT PRIMARY KEY, shop TEXT, what TEXT)";
        client.batch_execute(table).await.expect("created");
        client.batch_execute("BEGIN").await.expect("begun");
        let mut first = 0;
        let error = loop {
            match client.batch_execute(&insert(first)).await {
                Ok(()) => first += 100,
                Err(error) => break error,
            }
            assert!(first < 100_000, "nothing is refused");
        };
        assert_eq!(code(&error), Some("53200"), "{error:?}");
        assert!(incoming() > 12 << 20, "{}", incoming());
        // While they wait, a COPY finds no room; what makes the state smaller goes on.
        let other = served.connect().await.expect("connected");
        let error = copied(&other, csv(12 * MEBIBYTE))
            .await
            .expect_err("no room");
        assert_eq!(code(&error), Some("53200"), "{error:?}");
        let deletion = "BEGIN; DELETE FROM t WHERE id = 1; COMMIT";
        other.batch_execute(deletion).await.expect("deleted");
        client.batch_execute("ROLLBACK").await.expect("ended");
        assert_eq!(incoming(), 0);
        assert_eq!(count(&other).await, 0);
        let rows = copied(&other, csv(4 * MEBIBYTE)).await;
        assert_eq!(rows.expect("there is room again"), 4194);
    });
}

#[test]
fn whatever_bytes_clients_send_others_are_served() {
    let served = served(PgwireOptions::default());
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = Pcg64::seed_from_u64(seed);
    let kinds = b"QPBEDCSHXdcfpF?\0";
    served.runtime.block_on(async {
        let client = served.connect().await.expect("connected");
        for _ in 0..300 {
            // A message whose length is right, or nearly, and whose body is anything.
            let mut body = vec![0_u8; random.random_range(0..40)];
            random.fill(&mut body[..]);
            let length = 4 + body.len() as i32 + random.random_range(-2..=1);
            let kind = kinds[random.random_range(0..kinds.len())];
            let message = [&[kind][..], &length.to_be_bytes(), &body].concat();
            let mut stream = match random.random_bool(0.8) {
                true => served.raw().await,
                false => TcpStream::connect(served.address).await.expect("connected"),
            };
            stream.write_all(&message).await.expect("sent");
            // As much again of what follows from it, and the end of what the client has to say.
            let _ = stream.write_all(&message).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
        }
        let answer = client.query_one("SELECT 1", &[]).await;
        assert_eq!(answer.expect("an answer").len(), 1);
    });
}

#[test]
fn clients_that_make_no_sense_or_say_nothing_are_told_or_hung_up_on() {
    // Who must be served has time to say who it is on a slow machine.
    let hasty = served(PgwireOptions {
        startup_time: Duration::from_millis(300),
        ..PgwireOptions::default()
    });
    let served = served(PgwireOptions::default());
    served.runtime.block_on(async {
        // Lengths that cannot be, a message that ends early, one that is of no kind.
        let garbage: [&[u8]; 5] = [
            b"Q\0\0\0\0",
            b"Q\xff\xff\xff\xff",
            b"B\0\0\0\x06ab",
            b"P\0\0\0\x05a",
            b"?\0\0\0\x04",
        ];
        for bytes in garbage {
            let mut stream = served.raw().await;
            stream.write_all(bytes).await.expect("sent");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.expect("the end");
            let error = answer.get(5..).expect("an error");
            assert_eq!((answer[0], code_of(error)), (b'E', "08P01".to_owned()));
        }
        // Nothing at all, the beginning of a first message, one that is too long.
        for bytes in [
            &b""[..],
            b"\0\0\0\x30\0\x03\0\0use",
            b"\x7f\0\0\0\0\x03\0\0",
        ] {
            let mut stream = TcpStream::connect(hasty.address).await.expect("connected");
            stream.write_all(bytes).await.expect("sent");
            let mut answer = Vec::new();
            // A reset is an end as well.
            let _ = stream.read_to_end(&mut answer).await;
        }
        let client = served.connect().await.expect("connected");
        let answer = client.query_one("SELECT 1", &[]).await;
        assert_eq!(answer.expect("an answer").len(), 1);
    });
}
