//! The real program and the memory that it may take and takes.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use futures::SinkExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_postgres::Client;

use mainstem::engine::LOG_DIRECTORY;
use mainstem::engine::checkpoint::{self, CHECKPOINT_DIRECTORY};
use mainstem::log;
use mainstem::log::fs::RealFileSystem;

use super::{insert, runtime, until_taken_from};
use crate::program::{PROGRAM, Program};
use crate::tools::{Waiting, has_program};

/// The program in a directory, with so little memory that it dies of little too much. `None` where
/// that cannot be had.
fn confined(directory: &Path, budget: &str) -> Option<Program> {
    if !has_program("prlimit", &["--version"]) {
        return None;
    }
    let mut command = Command::new("prlimit");
    command.arg(format!("--data={}", 768 << 20)).arg(PROGRAM);
    let arguments = ["--memory-budget", budget, "--query-memory", "64 MiB"];
    Some(Program::start_by(command, directory, &arguments))
}

#[test]
fn a_program_confined_in_memory_refuses_rows_and_lives() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(mut program) = confined(directory.path(), "64 MiB") else {
        return;
    };
    runtime().block_on(async {
        let client = program.connect().await;
        let tables = "CREATE TABLE t (id BIGINT PRIMARY KEY, shop TEXT, what TEXT); \
            CREATE MATERIALIZED VIEW copies AS SELECT id, what || shop AS both FROM t; \
            CREATE MATERIALIZED VIEW longest AS SELECT shop, max(what) AS what FROM t GROUP BY shop";
        client.batch_execute(tables).await.expect("created");
        let mut refused = 0;
        let mut first = 0;
        // Twice as many rows are sent as the process has memory for.
        while first < 1_500_000 && refused < 20 {
            match client.batch_execute(&insert(first)).await {
                Ok(()) => first += 100,
                Err(error) => {
                    let code = error.code().map(|code| code.code().to_owned());
                    assert_eq!(code.as_deref(), Some("53200"), "{error:?}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 0, "nothing is refused");
        let count = client.query_one("SELECT count(*) FROM copies", &[]).await;
        assert_eq!(count.expect("reading goes on").get::<_, i64>(0), first as i64);
        client.batch_execute("DROP MATERIALIZED VIEW copies").await.expect("dropped");
    });
    assert!(program.is_alive(), "{}", program.log());
}

#[test]
fn a_program_confined_in_memory_outlives_clients_that_send_much() {
    const CLIENTS: usize = 90;
    const LONG: usize = 15 << 20;
    let directory = tempfile::tempdir().expect("a directory");
    let Some(mut program) = confined(directory.path(), "200 MiB") else {
        return;
    };
    runtime().block_on(async {
        let client = program.connect().await;
        let address = program.address;
        let table = "CREATE TABLE t (id BIGINT PRIMARY KEY, shop TEXT, what TEXT)";
        client.batch_execute(table).await.expect("created");
        // Half of them send statements, half of them rows; all but the last byte of each.
        let row = format!("7,s,{}\n", "x".repeat(995));
        let rows = Arc::new(row.repeat(LONG / row.len() + 1).into_bytes());
        let mut sending = Vec::new();
        for number in 0..CLIENTS {
            let rows = Arc::clone(&rows);
            sending.push(tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.expect("connected");
                let startup = b"\0\0\0\x12\0\x03\0\0user\0any\0\0";
                stream.write_all(startup).await.expect("sent");
                let length = u32::try_from(LONG + 4).expect("short").to_be_bytes();
                let mut kind = b'Q';
                if number % 2 == 0 {
                    let copy = b"COPY t FROM STDIN (FORMAT csv)\0";
                    let length = u32::try_from(copy.len() + 4).expect("short");
                    let head = [&b"Q"[..], &length.to_be_bytes()].concat();
                    stream
                        .write_all(&[&head, &copy[..]].concat())
                        .await
                        .expect("sent");
                    kind = b'd';
                }
                stream
                    .write_all(&[&[kind][..], &length].concat())
                    .await
                    .expect("sent");
                let rows = rows.get(..LONG - 1).expect("as many");
                stream.write_all(rows).await.expect("sent");
                stream
            }));
        }
        let mut streams = Vec::new();
        for stream in sending {
            streams.push(stream.await.expect("all of it is taken or passed over"));
        }
        // Others are served meanwhile, and those once they have sent the rest.
        until_taken_from(&client, &insert(0)).await;
        for stream in &mut streams {
            stream.write_all(b"\n").await.expect("sent");
        }
        drop(streams);
        until_taken_from(&client, &insert(100)).await;
        let count = client.query_one("SELECT count(*) FROM t", &[]).await;
        assert_eq!(count.expect("counted").get::<_, i64>(0), 200);
    });
    assert!(program.is_alive(), "{}", program.log());
}

/// A figure of a process in bytes, as Linux tells it.
fn memory_of(program: &Program, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The program in a directory, with checkpoints every second.
async fn start(directory: &Path) -> (Program, Client) {
    let mut program = Program::start(directory, &["--checkpoint-every", "1s"]);
    let client = program.connect().await;
    (program, client)
}

/// Waits until the newest checkpoint goes up to the end of the log.
async fn until_all_is_in_a_checkpoint(directory: &Path) {
    let data = directory.join("mainstem-data");
    let waiting = Waiting::begin();
    loop {
        let checkpoints = checkpoint::list(&RealFileSystem, &data.join(CHECKPOINT_DIRECTORY));
        let newest = checkpoints.expect("listed").last().map(|file| file.offset);
        // While segments go it may be found with a gap.
        let end = log::verify(&RealFileSystem, &data.join(LOG_DIRECTORY), 0);
        if newest == end.ok().map(|report| report.next_offset) {
            return;
        }
        waiting.check("no checkpoint is written");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn a_start_takes_little_more_memory_than_running_did() {
    const ROWS: usize = 200_000;
    let directory = tempfile::tempdir().expect("a directory");
    runtime().block_on(async {
        let (program, client) = start(directory.path()).await;
        let tables = "CREATE TABLE t (id BIGINT PRIMARY KEY, shop TEXT, what TEXT); \
            CREATE MATERIALIZED VIEW copies AS SELECT id, shop, what FROM t WHERE id >= 0; \
            CREATE MATERIALIZED VIEW sums AS SELECT shop, count(*) AS n, max(what) AS what \
            FROM t GROUP BY shop";
        client.batch_execute(tables).await.expect("created");
        for part in 0..20 {
            let copy = client.copy_in("COPY t FROM STDIN (FORMAT csv)").await;
            let rows = part * ROWS / 20..(part + 1) * ROWS / 20;
            let rows = rows.map(|id| format!("{id},s{},{id:0300}\n", id % 5000));
            let mut sink = std::pin::pin!(copy.expect("copying"));
            let rows = bytes::Bytes::from(rows.collect::<String>());
            sink.send(rows).await.expect("sent");
            sink.finish().await.expect("copied");
        }
        let answer = "SELECT CAST(sum(n) AS BIGINT) AS n FROM sums";
        let count = client.query_one(answer, &[]).await.expect("counted");
        assert_eq!(count.get::<_, i64>("n"), ROWS as i64);
        until_all_is_in_a_checkpoint(directory.path()).await;
        let Some(running) = memory_of(&program, "VmRSS:") else {
            eprintln!("SKIPPED: the system does not tell the memory of a process");
            return;
        };
        drop(program);
        let (program, client) = start(directory.path()).await;
        let peak = memory_of(&program, "VmHWM:").expect("the same system");
        let count = client.query_one(answer, &[]).await.expect("counted");
        assert_eq!(count.get::<_, i64>("n"), ROWS as i64);
        let ratio = peak as f64 / running as f64;
        println!("{peak} bytes at most at the start, {running} running: {ratio:.2} times");
        assert!(ratio < 1.5, "{peak} bytes at the start, {running} running");
    });
}

/// The time that a process has kept processors busy, as Linux tells it.
fn busy_of(program: &Program) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", program.id())).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut hundredths = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (hundredths()? + hundredths()?)))
}

#[test]
fn a_program_with_nothing_to_do_does_next_to_nothing() {
    const IDLE: Duration = Duration::from_secs(3);
    let directory = tempfile::tempdir().expect("a directory");
    runtime().block_on(async {
        let (program, client) = start(directory.path()).await;
        let tables = "CREATE TABLE t (id BIGINT PRIMARY KEY, shop TEXT, what TEXT, at TIMESTAMP); \
            CREATE MATERIALIZED VIEW sums AS SELECT shop, count(*) AS n FROM t GROUP BY shop; \
            CREATE MATERIALIZED VIEW recent AS SELECT id FROM t \
            WHERE at > now() - INTERVAL '1 day'; \
            INSERT INTO t VALUES (1, 'a', 'b', now())";
        client.batch_execute(tables).await.expect("created");
        // First comes a checkpoint, and what else comes after a transaction.
        let waiting = Waiting::begin();
        loop {
            let before = busy_of(&program);
            tokio::time::sleep(IDLE).await;
            let (Some(before), Some(after)) = (before, busy_of(&program)) else {
                eprintln!("SKIPPED: the system does not tell how busy a process was");
                return;
            };
            let busy = after - before;
            println!("busy for {busy:?} of {IDLE:?}");
            if busy < IDLE / 20 {
                return;
            }
            waiting.check(&format!("busy for {busy:?} of {IDLE:?}"));
        }
    });
}
