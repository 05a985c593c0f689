//! Writes rows and knows what was acknowledged; compares what is found with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use tokio_postgres::{Client, SimpleQueryMessage};

pub const SCHEMA: &str = "
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

/// The amount of a row; `None`: there is no such row.
type Amount = Option<i64>;

/// What a worker knows about its rows.
#[derive(Default)]
pub struct Knowledge {
    /// What was acknowledged last, by id.
    pub acknowledged: BTreeMap<i64, Amount>,
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
pub async fn work(client: Client, worker: i64, seed: u64, knowledge: Arc<Mutex<Knowledge>>) {
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

/// The rows of a query, as texts.
pub async fn rows(client: &Client, sql: &str) -> Vec<Vec<String>> {
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
pub async fn check(client: &Client, knowledge: &[Arc<Mutex<Knowledge>>], label: &str) {
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
        let (count, newest) = entries.get(&worker).copied().unwrap_or_default();
        let (known, sent) = (knowledge.entries, knowledge.entries_sent);
        let pending = knowledge.pending.take();
        if let Some((id, amount)) = pending {
            let is_there = of_worker.get(&id).copied();
            let before = knowledge.acknowledged.get(&id).copied().flatten();
            assert!(
                is_there == amount || is_there == before,
                "{label}: row {id} is {is_there:?}, neither {before:?} nor {amount:?}"
            );
            // A new row was on the way with its entry in the journal.
            if sent > known {
                assert_eq!(
                    is_there.is_some(),
                    count == sent,
                    "{label}: row {id} is {is_there:?}, but the journal has {count} entries of {sent}"
                );
            }
            knowledge.acknowledged.insert(id, is_there);
        }
        for (id, amount) in &knowledge.acknowledged {
            assert_eq!(of_worker.remove(id), *amount, "{label}: row {id}");
        }
        assert!(of_worker.is_empty(), "{label}: invented {of_worker:?}");
        assert_eq!(
            count, newest,
            "{label}: entries of {worker} have gaps or repeat"
        );
        assert!(
            (known..=sent).contains(&count),
            "{label}: {count} of {known} to {sent} entries"
        );
        knowledge.entries = count;
        knowledge.entries_sent = count;
    }
}
