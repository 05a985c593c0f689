//! Money that only moves: transfers arrive in disorder, some twice, some corrected, and the total
//! of all balances is 0 in every read and in every message of a subscription.
//!
//! `MAINSTEM_TRANSFERS` says how many; one million takes some minutes without optimisation.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use futures::{SinkExt, StreamExt};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use tokio_postgres::Client;

use crate::serve::{Served, texts};
use crate::subscribe::{Message, subscribe};

const TRANSFERS: i64 = 10_000;
const ACCOUNTS: i64 = 200;
const DISORDER_MS: i64 = 10_000;

const VIEWS: &str = "
    CREATE TABLE transfers (id BIGINT PRIMARY KEY, source BIGINT, target BIGINT, amount BIGINT,
        at TIMESTAMP);
    CREATE MATERIALIZED VIEW credits AS
        SELECT target AS account, sum(amount) AS amount FROM transfers GROUP BY target;
    CREATE MATERIALIZED VIEW debits AS
        SELECT source AS account, sum(amount) AS amount FROM transfers GROUP BY source;
    CREATE MATERIALIZED VIEW balance AS
        SELECT coalesce(c.account, d.account) AS account,
            coalesce(c.amount, 0) - coalesce(d.amount, 0) AS amount
        FROM credits c FULL JOIN debits d ON c.account = d.account;
    CREATE MATERIALIZED VIEW total AS SELECT sum(amount) AS total FROM balance";

struct Transfer {
    id: i64,
    source: i64,
    target: i64,
    amount: i64,
    at_ms: i64,
}

/// Transfers in the order in which they arrive.
fn arrivals(count: i64, random: &mut Pcg64) -> Vec<Transfer> {
    let mut arrivals = Vec::new();
    for id in 0..count {
        let transfer = |amount| Transfer {
            id,
            source: id * 31 % ACCOUNTS,
            target: (id * 17 + id / 7 + 1) % ACCOUNTS,
            amount,
            at_ms: id * 10,
        };
        let amount = random.random_range(1..1000);
        let mut arrives_ms = id * 10 + random.random_range(0..DISORDER_MS);
        arrivals.push((arrives_ms, transfer(amount)));
        arrives_ms += random.random_range(1..DISORDER_MS);
        match random.random_range(0..20) {
            0 => arrivals.push((arrives_ms, transfer(amount))),
            1 => arrivals.push((arrives_ms, transfer(random.random_range(1..1000)))),
            _ => {}
        }
    }
    arrivals.sort_by_key(|(arrives_ms, _)| *arrives_ms);
    arrivals.into_iter().map(|(_, transfer)| transfer).collect()
}

/// What every account holds in the end.
fn balances(arrivals: &[Transfer]) -> BTreeMap<i64, i64> {
    let newest: HashMap<i64, &Transfer> = arrivals.iter().map(|one| (one.id, one)).collect();
    let mut balances = BTreeMap::new();
    for transfer in newest.into_values() {
        *balances.entry(transfer.source).or_default() -= transfer.amount;
        *balances.entry(transfer.target).or_default() += transfer.amount;
    }
    balances
}

/// Writes one transaction.
async fn write(client: &Client, transfers: &[Transfer]) {
    let rows = transfers.iter().map(|transfer| {
        let Transfer {
            id,
            source,
            target,
            amount,
            at_ms,
        } = transfer;
        let (seconds, ms) = (at_ms / 1000, at_ms % 1000);
        let (days, hours, minutes, seconds) = (
            seconds / 86_400,
            seconds / 3600 % 24,
            seconds / 60 % 60,
            seconds % 60,
        );
        format!(
            "{id},{source},{target},{amount},2026-01-{:02} {hours:02}:{minutes:02}:{seconds:02}.{ms:03}\n",
            days % 28 + 1
        )
    });
    let rows: String = rows.collect();
    let copy = client.copy_in("COPY transfers FROM STDIN (FORMAT csv)");
    let mut sink = pin!(copy.await.expect("begun"));
    sink.send(bytes::Bytes::from(rows)).await.expect("sent");
    sink.finish().await.expect("written");
}

/// Every way to ask for the total.
const TOTALS: [&str; 3] = [
    "SELECT total FROM total",
    "SELECT sum(amount) FROM balance",
    "SELECT (SELECT sum(amount) FROM credits) - (SELECT sum(amount) FROM debits)",
];

/// Reads again and again; how often there was a total.
async fn read_until(client: Client, end_ms: Arc<AtomicI64>) -> usize {
    let mut reads = 0;
    while end_ms.load(Ordering::Relaxed) == i64::MAX {
        for sql in TOTALS {
            let total = texts(&client, sql).await;
            // It is NULL until the first transfers are there, and never again.
            let is_empty = reads == 0 && total == ["NULL"];
            assert!(total == ["0"] || is_empty, "{sql}: {total:?}");
            reads += usize::from(!is_empty);
        }
    }
    reads
}

/// Follows a view until everything up to the end has come; hands each state to a check.
async fn follow(
    client: Client,
    view: &str,
    end_ms: Arc<AtomicI64>,
    mut check: impl FnMut(&BTreeMap<Vec<String>, i64>, i64),
) -> (BTreeMap<Vec<String>, i64>, usize) {
    let sql = format!("SUBSCRIBE TO {view} WITH (progress)");
    let mut messages = pin!(subscribe(&client, &sql).await);
    let mut rows: BTreeMap<Vec<String>, i64> = BTreeMap::new();
    let mut count = 0;
    loop {
        count += 1;
        match messages.next().await.expect("no end").expect("a message") {
            Message::Change(_, difference, row) => {
                let copies = rows.entry(row).or_default();
                *copies += difference;
            }
            Message::Progress(timestamp_ms) => {
                rows.retain(|_, copies| *copies != 0);
                check(&rows, timestamp_ms);
                if timestamp_ms >= end_ms.load(Ordering::Relaxed) {
                    return (rows, count);
                }
            }
        }
    }
}

fn sum(rows: &BTreeMap<Vec<String>, i64>) -> i64 {
    let amounts = rows.iter();
    amounts
        .map(|(row, copies)| row[1].parse::<i64>().expect("a number") * copies)
        .sum()
}

#[test]
fn the_total_of_transfers_is_zero_in_every_read_and_message() {
    let count = std::env::var("MAINSTEM_TRANSFERS");
    let count = count.map_or(TRANSFERS, |count| count.parse().expect("a number"));
    let seed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| u64::from(now.subsec_nanos()));
    println!("seed {seed}");
    let mut random = Pcg64::seed_from_u64(seed);
    let arrivals = arrivals(count, &mut random);
    let served = Served::start(20);
    served.runtime.block_on(async {
        let writer = served.connect().await.expect("connected");
        writer.batch_execute(VIEWS).await.expect("created");
        let end_ms = Arc::new(AtomicI64::new(i64::MAX));
        let connect = || async { served.connect().await.expect("connected") };
        let reader = tokio::spawn(read_until(connect().await, Arc::clone(&end_ms)));
        let balances_seen = follow(
            connect().await,
            "balance",
            Arc::clone(&end_ms),
            |rows, at| {
                assert_eq!(sum(rows), 0, "at {at}: {rows:?}");
            },
        );
        let balances_seen = tokio::spawn(balances_seen);
        let mut was_zero = false;
        let check_total = move |rows: &BTreeMap<Vec<String>, i64>, at: i64| {
            let total = rows.keys().next().map(|row| row[0].as_str());
            assert!(rows.len() == 1, "at {at}: {rows:?}");
            // It is NULL until the first transfers are there, and never again.
            let is_right = total == Some("0") || !was_zero && total == Some("NULL");
            assert!(is_right, "at {at}: {rows:?}");
            was_zero = total == Some("0");
        };
        let totals_seen = follow(connect().await, "total", Arc::clone(&end_ms), check_total);
        let totals_seen = tokio::spawn(totals_seen);

        let started = Instant::now();
        let most = if count > 100_000 { 1000 } else { 100 };
        let (mut rest, mut transactions) = (&arrivals[..], 0);
        while !rest.is_empty() {
            let taken = random.random_range(1..=most).min(rest.len());
            write(&writer, &rest[..taken]).await;
            rest = &rest[taken..];
            transactions += 1;
        }
        // A moment read here might be one before the last transaction.
        let newest = served.engine.flush().expect("complete");
        end_ms.store(i64::try_from(newest).expect("a time"), Ordering::Relaxed);
        // Whoever has heard of everything already is woken once more.
        writer
            .batch_execute("UPDATE transfers SET at = at WHERE id = 0")
            .await
            .expect("written");
        let reads = reader.await.expect("every read is consistent");
        let (rows, messages) = balances_seen.await.expect("every message is consistent");
        let (total, totals) = totals_seen.await.expect("every message is consistent");
        println!(
            "{} arrivals of {count} transfers in {transactions} transactions, {reads} reads, \
             {messages} and {totals} messages, {:.1?}",
            arrivals.len(),
            started.elapsed()
        );
        assert!(reads > 0, "nothing was read while transfers came");
        assert_eq!(total, BTreeMap::from([(vec!["0".to_owned()], 1)]));
        for sql in TOTALS {
            assert_eq!(texts(&writer, sql).await, ["0"], "{sql}");
        }

        let expected: Vec<String> = balances(&arrivals)
            .iter()
            .map(|(account, amount)| format!("{account}|{amount}"))
            .collect();
        let sql = "SELECT account, amount FROM balance ORDER BY account";
        assert_eq!(texts(&writer, sql).await, expected);
        let mut followed: Vec<String> = rows.keys().map(|row| row.join("|")).collect();
        followed.sort_by_key(|row| {
            let account = row.split('|').next().map(str::parse::<i64>);
            account.expect("a column").expect("a number")
        });
        assert_eq!(followed, expected);
    });
}
