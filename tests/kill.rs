//! The real program, killed at random moments, also while it recovers: what was acknowledged is
//! there, nothing else is, and every view is the answer of a batch run.
//!
//! Each worker writes its own rows through the Postgres wire, one statement after the other, and
//! knows of each row what was acknowledged last and what was on the way when the program died.
//! MAINSTEM_KILL_ROUNDS sets how often it is killed, MAINSTEM_KILL_SEED repeats a run.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const ROUNDS: u64 = 5;
const WORKERS: i64 = 4;
/// Rows there are from the beginning, so that checkpoints take a while.
const BALLAST: i64 = 30_000;
const FIRST_BALLAST: i64 = 1_000_000_000;
/// A start takes a fraction of this.
const PATIENCE: Duration = Duration::from_secs(120);

const SCHEMA: &str = "
    CREATE TABLE sales (id BIGINT PRIMARY KEY, worker BIGINT NOT NULL, amount BIGINT NOT NULL);
    CREATE TABLE journal (worker BIGINT NOT NULL, number BIGINT NOT NULL);
    CREATE MATERIALIZED VIEW by_worker AS
        SELECT worker, count(*) AS sales, sum(amount) AS total FROM sales GROUP BY worker;
    CREATE MATERIALIZED VIEW written AS
        SELECT j.worker, count(*) AS entries, max(j.number) AS newest FROM journal j GROUP BY j.worker;
    CREATE MATERIALIZED VIEW large AS
        SELECT s.id, s.amount, w.total FROM sales s JOIN by_worker w ON s.worker = w.worker
        WHERE s.worker < 100 AND s.amount % 7 = 0";

/// Each view with the query that computes it at once.
const VIEWS: [(&str, &str); 3] = [
    (
        "SELECT worker, sales, total FROM by_worker ORDER BY 1",
        "SELECT worker, count(*), sum(amount) FROM sales GROUP BY worker ORDER BY 1",
    ),
    (
        "SELECT worker, entries, newest FROM written ORDER BY 1",
        "SELECT worker, count(*), max(number) FROM journal GROUP BY worker ORDER BY 1",
    ),
    (
        "SELECT id, amount, total FROM large ORDER BY 1",
        "SELECT s.id, s.amount, w.total FROM sales s JOIN \
         (SELECT worker, sum(amount) AS total FROM sales GROUP BY worker) w \
         ON s.worker = w.worker \
         WHERE s.worker < 100 AND s.amount % 7 = 0 ORDER BY 1",
    ),
];

/// The program as a child process; killed when dropped.
struct Program {
    child: Child,
    address: SocketAddr,
}

impl Program {
    /// Starts the program on a data directory; it may not be ready yet.
    fn start(directory: &Path) -> Program {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let log = std::fs::File::create(directory.join("log.txt")).expect("a file");
        let child = Command::new(env!("CARGO_BIN_EXE_mainstem"))
            .args(["run", "--data-dir", "data", "--workers", "2"])
            .args([
                "--serve-pgwire",
                &address.to_string(),
                "--serve-http",
                "off",
            ])
            .args(["--checkpoint-every", "1s", "--log-retain", "1s"])
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("mainstem starts");
        Program { child, address }
    }

    /// Connects as soon as the program serves.
    async fn connect(&mut self, directory: &Path) -> Client {
        let begun = Instant::now();
        let settings = format!(
            "host={} port={} user=loader dbname=any",
            self.address.ip(),
            self.address.port()
        );
        loop {
            if let Ok((client, connection)) = tokio_postgres::connect(&settings, NoTls).await {
                tokio::spawn(connection);
                return client;
            }
            let ended = self.child.try_wait().expect("its state");
            assert!(ended.is_none(), "it ended: {}", log_of(directory));
            assert!(
                begun.elapsed() < PATIENCE,
                "it does not serve: {}",
                log_of(directory)
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// SIGKILL: nothing of the program runs after it.
    fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_of(directory: &Path) -> String {
    let mut text = String::new();
    let file = std::fs::File::open(directory.join("log.txt"));
    if let Ok(mut file) = file {
        let _ = file.read_to_string(&mut text);
    }
    text
}

/// The amount of a row; `None`: there is no such row.
type Amount = Option<i64>;

/// What a worker knows about its rows.
#[derive(Default)]
struct Knowledge {
    /// What was acknowledged last, by id.
    acknowledged: BTreeMap<i64, Amount>,
    /// The row and its amount that were on the way.
    pending: Option<(i64, Amount)>,
    /// Entries of the journal that were acknowledged, and those that were sent.
    entries: i64,
    entries_sent: i64,
}

impl Knowledge {
    /// The next statement of a worker; what it does is on the way from here on.
    fn next(&mut self, worker: i64, random: &mut Pcg64) -> String {
        let count = self.acknowledged.len() as i64;
        let any = worker * 1_000_000 + i64::from(random.next_u32()) % count.max(1);
        let is_there = self.acknowledged.get(&any).is_some_and(Option::is_some);
        let amount = i64::from(random.next_u32() % 1000);
        match random.next_u32() % 5 {
            0 if is_there => {
                self.pending = Some((any, Some(amount)));
                format!("UPDATE sales SET amount = {amount} WHERE id = {any}")
            }
            1 if is_there => {
                self.pending = Some((any, None));
                format!("DELETE FROM sales WHERE id = {any}")
            }
            _ => {
                let id = worker * 1_000_000 + count;
                self.pending = Some((id, Some(amount)));
                self.entries_sent += 1;
                // The row and its entry are there together or not at all.
                format!(
                    "BEGIN; INSERT INTO sales VALUES ({id}, {worker}, {amount}); \
                     INSERT INTO journal VALUES ({worker}, {}); COMMIT",
                    self.entries_sent
                )
            }
        }
    }

    /// What was on the way has been acknowledged.
    fn acknowledge(&mut self) {
        if let Some((id, amount)) = self.pending.take() {
            self.acknowledged.insert(id, amount);
        }
        self.entries = self.entries_sent;
    }
}

/// Writes rows until the connection breaks.
async fn work(client: Client, worker: i64, seed: u64, knowledge: Arc<Mutex<Knowledge>>) {
    let mut random = Pcg64::seed_from_u64(seed);
    loop {
        let sql = knowledge
            .lock()
            .expect("not poisoned")
            .next(worker, &mut random);
        if client.batch_execute(&sql).await.is_err() {
            return;
        }
        knowledge.lock().expect("not poisoned").acknowledge();
    }
}

async fn rows(client: &Client, sql: &str) -> Vec<Vec<String>> {
    let messages = client.simple_query(sql).await;
    let messages = messages.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let mut rows = Vec::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            let columns = 0..row.len();
            rows.push(
                columns
                    .map(|c| row.get(c).unwrap_or("NULL").to_owned())
                    .collect(),
            );
        }
    }
    rows
}

fn number(text: &str) -> i64 {
    text.parse()
        .unwrap_or_else(|_| panic!("{text} is no number"))
}

/// Checks what is there against what each worker knows, then makes it what the worker knows.
async fn check(client: &Client, knowledge: &[Arc<Mutex<Knowledge>>], label: &str) {
    for (view, batch) in VIEWS {
        assert_eq!(
            rows(client, view).await,
            rows(client, batch).await,
            "{label}: {view}"
        );
    }
    let mut found: BTreeMap<i64, i64> = BTreeMap::new();
    for row in rows(client, "SELECT id, amount FROM sales WHERE worker < 100").await {
        found.insert(number(&row[0]), number(&row[1]));
    }
    let mut entries: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for row in rows(client, "SELECT worker, entries, newest FROM written").await {
        entries.insert(number(&row[0]), (number(&row[1]), number(&row[2])));
    }
    for (worker, knowledge) in knowledge.iter().enumerate() {
        let mut knowledge = knowledge.lock().expect("not poisoned");
        let worker = worker as i64;
        let ids = worker * 1_000_000..(worker + 1) * 1_000_000;
        let mut of_worker: BTreeMap<i64, i64> = found
            .range(ids)
            .map(|(id, amount)| (*id, *amount))
            .collect();
        let pending = knowledge.pending.take();
        if let Some((id, amount)) = pending {
            let is_there = of_worker.get(&id).copied();
            let before = knowledge.acknowledged.get(&id).copied().flatten();
            assert!(
                is_there == amount || is_there == before,
                "{label}: row {id} is {is_there:?}, neither {before:?} nor {amount:?}"
            );
            knowledge.acknowledged.insert(id, is_there);
        }
        for (id, amount) in &knowledge.acknowledged {
            assert_eq!(of_worker.remove(id), *amount, "{label}: row {id}");
        }
        assert!(of_worker.is_empty(), "{label}: invented {of_worker:?}");
        let (count, newest) = entries.get(&worker).copied().unwrap_or_default();
        assert_eq!(
            count, newest,
            "{label}: entries of {worker} have gaps or repeat"
        );
        let (known, sent) = (knowledge.entries, knowledge.entries_sent);
        assert!(
            (known..=sent).contains(&count),
            "{label}: {count} of {known} to {sent} entries"
        );
        knowledge.entries = count;
        knowledge.entries_sent = count;
    }
}

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn a_killed_program_comes_back_with_all_it_acknowledged() {
    let nanoseconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock")
        .subsec_nanos();
    let seed = setting("MAINSTEM_KILL_SEED", u64::from(nanoseconds));
    println!("MAINSTEM_KILL_SEED={seed}");
    let mut random = Pcg64::seed_from_u64(seed);
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let knowledge: Vec<_> = (0..WORKERS)
        .map(|_| Arc::<Mutex<Knowledge>>::default())
        .collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut program = Program::start(directory);
        let client = program.connect(directory).await;
        client.batch_execute(SCHEMA).await.expect("created");
        for start in (0..BALLAST).step_by(1000) {
            let rows = (start..start + 1000)
                .map(|n| format!("({}, {}, {n})", n + FIRST_BALLAST, 100 + n % 50));
            let rows = rows.collect::<Vec<_>>().join(", ");
            let insert = format!("INSERT INTO sales VALUES {rows}");
            client.batch_execute(&insert).await.expect("inserted");
        }
        for round in 0..setting("MAINSTEM_KILL_ROUNDS", ROUNDS) {
            let mut working: Vec<JoinHandle<()>> = Vec::new();
            for worker in 0..WORKERS {
                let client = program.connect(directory).await;
                let knowledge = Arc::clone(&knowledge[worker as usize]);
                let seed = random.next_u64();
                working.push(tokio::spawn(work(client, worker, seed, knowledge)));
            }
            let alive = Duration::from_millis(100 + u64::from(random.next_u32() % 2400));
            tokio::time::sleep(alive).await;
            program.kill();
            for worker in working {
                worker.await.expect("a worker ends with its connection");
            }
            for _ in 0..random.next_u32() % 3 {
                let recovering = Program::start(directory);
                let alive = Duration::from_millis(u64::from(random.next_u32() % 400));
                tokio::time::sleep(alive).await;
                recovering.kill();
            }
            program = Program::start(directory);
            let client = program.connect(directory).await;
            let label = format!("seed {seed}, round {round}");
            check(&client, &knowledge, &label).await;
        }
        program.kill();
    });
    let acknowledged: usize = knowledge
        .iter()
        .map(|knowledge| knowledge.lock().expect("not poisoned").acknowledged.len())
        .sum();
    println!("{acknowledged} rows acknowledged");
    assert!(acknowledged > 0, "the workers wrote nothing");
}
