//! The real program, killed at random moments and at every step of its writing, also while it
//! recovers: what was acknowledged is there, nothing else is, and every view is the answer of a
//! batch run.
//!
//! Each worker writes its own rows through the Postgres wire, one statement after the other, and
//! knows of each row what was acknowledged last and what was on the way when the program died.
//! MAINSTEM_KILL_ROUNDS sets how often it is killed, MAINSTEM_KILL_SEED repeats a run.

mod fills;
mod loader;
mod program;

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::serve::code;
use crate::tools::{PATIENCE, mainstem_succeeds};
use loader::{Knowledge, SCHEMA, check, work};
use program::{dies, start, start_dying, start_failing};

const ROUNDS: u64 = 5;
const WORKERS: i64 = 4;
/// Rows there are from the beginning, so that checkpoints take a while.
const BALLAST: i64 = 30_000;
const FIRST_BALLAST: i64 = 1_000_000_000;

/// Points at which the program dies, one after the other until it is asked to come back. Those
/// that a start meets first are in recovery.
const POINTS: [&[&str]; 16] = [
    // A record of which half was written, then its removal.
    &["log/write", "log/truncate"],
    &["log/sync"],
    &["log/sync:2"],
    &["log/sync:20", "log/sync"],
    &["log/sync_directory"],
    // A new segment.
    &["log/create_file"],
    &["log/sync_directory:2"],
    // The segments that checkpoints contain.
    &["log/remove_file"],
    &["log/sync_directory:4"],
    &["checkpoints/create_file"],
    // Half of a checkpoint, then its removal.
    &["checkpoints/write", "checkpoints/remove_file"],
    &["checkpoints/sync"],
    &["checkpoints/rename"],
    &["checkpoints/sync_directory"],
    // An older checkpoint.
    &["checkpoints/remove_file"],
    &["checkpoints/sync_directory:2"],
];

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

/// Everything that is known about the rows of a number of workers.
struct Loaders {
    knowledge: Vec<Arc<Mutex<Knowledge>>>,
    random: Pcg64,
    seed: u64,
}

impl Loaders {
    /// With the seed that is asked for, or a fresh one, which is printed.
    fn new() -> Loaders {
        let nanoseconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock")
            .subsec_nanos();
        let seed = setting("MAINSTEM_KILL_SEED", u64::from(nanoseconds));
        println!("MAINSTEM_KILL_SEED={seed}");
        Loaders {
            knowledge: (0..WORKERS).map(|_| Arc::default()).collect(),
            random: Pcg64::seed_from_u64(seed),
            seed,
        }
    }

    /// Lets every worker write through a connection of its own, as long as that lasts.
    fn begin(&mut self, clients: Vec<Client>) -> Vec<JoinHandle<()>> {
        let mut working = Vec::new();
        for (worker, (client, knowledge)) in (0..).zip(clients.into_iter().zip(&self.knowledge)) {
            let seed = self.random.next_u64();
            working.push(tokio::spawn(work(
                client,
                worker,
                seed,
                Arc::clone(knowledge),
            )));
        }
        working
    }

    /// Checks what is there against what every worker knows.
    async fn check(&self, client: &Client, label: &str) {
        check(
            client,
            &self.knowledge,
            &format!("seed {}, {label}", self.seed),
        )
        .await;
    }

    /// How many rows were acknowledged.
    fn acknowledged(&self) -> usize {
        let knowledge = self.knowledge.iter();
        let counts = knowledge.map(|one| one.lock().expect("not poisoned").acknowledged.len());
        counts.sum()
    }
}

async fn fill(client: &Client, ballast: i64) {
    client.batch_execute(SCHEMA).await.expect("created");
    for start in (0..ballast).step_by(1000) {
        let rows = (start..start + 1000)
            .map(|n| format!("({}, {}, {n})", n + FIRST_BALLAST, 100 + n % 50));
        let rows = rows.collect::<Vec<_>>().join(", ");
        let insert = format!("INSERT INTO sales VALUES {rows}");
        client.batch_execute(&insert).await.expect("inserted");
    }
}

async fn wait_for(working: Vec<JoinHandle<()>>) {
    for worker in working {
        worker.await.expect("a worker ends with its connection");
    }
}

/// The doctor finds nothing wrong with what the program has left.
fn examine(directory: &Path) {
    mainstem_succeeds(directory, &["doctor", "--data-dir", "data"]);
}

#[test]
fn a_killed_program_comes_back_with_all_it_acknowledged() {
    let mut loaders = Loaders::new();
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let rounds = setting("MAINSTEM_KILL_ROUNDS", ROUNDS);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let kills = runtime.block_on(async {
        let mut program = start(directory);
        fill(&program.connect().await, BALLAST).await;
        let mut kills = 0;
        for round in 0..rounds {
            let mut clients = Vec::new();
            for _ in 0..WORKERS {
                clients.push(program.connect().await);
            }
            let working = loaders.begin(clients);
            let alive = Duration::from_millis(100 + u64::from(loaders.random.next_u32() % 2400));
            tokio::time::sleep(alive).await;
            program.kill();
            wait_for(working).await;
            let while_recovering = loaders.random.next_u32() % 3;
            for _ in 0..while_recovering {
                let recovering = start(directory);
                let alive = Duration::from_millis(u64::from(loaders.random.next_u32() % 400));
                tokio::time::sleep(alive).await;
                recovering.kill();
            }
            kills += 1 + while_recovering;
            program = start(directory);
            let client = program.connect().await;
            loaders.check(&client, &format!("round {round}")).await;
        }
        program.kill();
        kills
    });
    examine(directory);
    let acknowledged = loaders.acknowledged();
    println!("{acknowledged} rows acknowledged, killed {kills} times");
    assert!(acknowledged > 0, "the workers wrote nothing");
}

#[test]
fn a_program_that_dies_at_any_step_of_writing_comes_back_with_all_it_acknowledged() {
    let mut loaders = Loaders::new();
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        // The first start, each time a step further.
        let mut steps = 0;
        loop {
            steps += 1;
            let mut program = start_dying(directory, &format!("*/*:{steps}"));
            if program.connect_or_end().await.is_some() {
                program.kill();
                break;
            }
            dies(program).await;
        }
        println!("{steps} steps of the first start");
        assert!(steps > 3, "only {steps} steps");
        let mut program = start(directory);
        fill(&program.connect().await, 1000).await;
        program.kill();
        for points in POINTS {
            for point in points {
                let mut program = start_dying(directory, point);
                if let Some(client) = program.connect_or_end().await {
                    let mut clients = vec![client];
                    while clients.len() < WORKERS as usize
                        && let Some(client) = program.connect_or_end().await
                    {
                        clients.push(client);
                    }
                    let working = wait_for(loaders.begin(clients));
                    let ended = tokio::time::timeout(PATIENCE, working).await;
                    assert!(ended.is_ok(), "it never comes to {point}");
                }
                dies(program).await;
            }
            let mut program = start(directory);
            let client = program.connect().await;
            loaders.check(&client, &format!("{points:?}")).await;
            program.kill();
            examine(directory);
        }
    });
    println!("{} rows acknowledged", loaders.acknowledged());
}

#[test]
fn a_program_whose_disk_fails_acknowledges_nothing_more_and_ends() {
    let traced = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .output();
    if !traced.is_ok_and(|output| output.status.success()) {
        // It needs rights that a machine need not give; the same is tested without a disk.
        eprintln!("SKIPPED: no system call can be made to fail");
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for (failure, sqlstate) in [
        ("fdatasync:error=EIO:when=5", "58030"),
        ("write:error=ENOSPC:when=8", "53100"),
        ("write:error=EIO:when=6", "58030"),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let directory = directory.path();
        let ids = "SELECT n FROM ids";
        runtime.block_on(async {
            let mut program = start(directory);
            let tables = "CREATE TABLE t (id BIGINT PRIMARY KEY); \
                CREATE MATERIALIZED VIEW ids AS SELECT count(*) AS n FROM t";
            let client = program.connect().await;
            client.batch_execute(tables).await.expect("created");
            program.kill();
            let mut program = start_failing(directory, failure);
            let client = program.connect().await;
            let mut acknowledged: i64 = 0;
            let error = loop {
                let insert = format!("INSERT INTO t VALUES ({acknowledged})");
                match client.batch_execute(&insert).await {
                    Ok(()) => acknowledged += 1,
                    Err(error) => break error,
                }
                assert!(acknowledged < 1000, "{failure}: nothing fails");
            };
            assert_eq!(code(&error), Some(sqlstate), "{failure}: {error:?}");
            // The disk would take it now.
            client
                .batch_execute("INSERT INTO t VALUES (-1)")
                .await
                .expect_err("nothing more is accepted");
            program.fails("the log has failed").await;
            let mut program = start(directory);
            let client = program.connect().await;
            let found = client.query_one(ids, &[]).await.expect("counted");
            let found: i64 = found.get(0);
            // What failed may be there or not.
            assert!(
                (acknowledged..=acknowledged + 1).contains(&found),
                "{failure}: {found}"
            );
            program.kill();
        });
        examine(directory);
    }
}
