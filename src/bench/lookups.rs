//! Rows found by the key of a view: by SQL in this process, and by a client of the Postgres
//! protocol that has prepared its statement.

use std::time::Instant;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio_postgres::{Client, Config, NoTls};

use super::BenchError;
use super::histogram::Histogram;
use super::reads::{count, rows_of, system};
use super::report::{Better, Report};
use crate::engine::{Engine, ReadPoint};
use crate::serve::pgwire::{AtWork, PgwireOptions, serve};

/// The view with a row for each household, which is its key.
pub const KEYED: &str = "customer_360";
/// Lookups of each kind.
const LOOKUPS: usize = 2_000;

/// Measures lookups of all keys in turn.
pub fn lookups(
    report: &mut Report,
    engine: &Engine,
    moment: &ReadPoint,
    runtime: &Runtime,
) -> Result<(), BenchError> {
    let mut keys = Vec::new();
    for rows in moment.contents(KEYED)?.rows {
        keys.extend_from_slice(rows?.column(0).as_primitive::<Int64Type>().values());
    }
    let keys: Vec<i64> = keys.into_iter().cycle().take(LOOKUPS).collect();
    let latencies = runtime.block_on(in_process(engine, &keys))?;
    tell(
        report,
        "lookup by key: parse, plan and run SQL, in process",
        &latencies,
    );
    let latencies = runtime.block_on(over_the_wire(engine, &keys))?;
    tell(
        report,
        "lookup by key: prepared, over the Postgres protocol",
        &latencies,
    );
    Ok(())
}

fn tell(report: &mut Report, group: &str, latencies: &Histogram) {
    for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
        let latency = latencies.quantile_ms(share);
        report.figure(group, name, latency, "ms", Better::Lower);
    }
}

async fn in_process(engine: &Engine, keys: &[i64]) -> Result<Histogram, BenchError> {
    let mut latencies = Histogram::default();
    for key in keys {
        let text = format!("SELECT * FROM {KEYED} WHERE household_id = {key}");
        let started = Instant::now();
        let rows = rows_of(engine, &text).await?;
        latencies.record(started.elapsed());
        check(*key, count(&rows))?;
    }
    Ok(latencies)
}

/// Serves the engine at a port of its own, for one client.
async fn over_the_wire(engine: &Engine, keys: &[i64]) -> Result<Histogram, BenchError> {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.map_err(|error| system("listen for a client", error))?;
    let address = listener.local_addr();
    let port = address
        .map_err(|error| system("listen for a client", error))?
        .port();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(serve(
        listener,
        engine.clone(),
        PgwireOptions::default(),
        AtWork::default(),
        async move {
            // Whether it is told to stop or nobody can tell it any more, it stops.
            let _ = stopped.await;
        },
    ));
    let connected = Config::new()
        .host("127.0.0.1")
        .port(port)
        .user("mainstem")
        .dbname("mainstem")
        .connect(NoTls)
        .await;
    let (client, connection) = connected.map_err(|error| system("connect to the engine", error))?;
    tokio::spawn(connection);
    let latencies = asked(&client, keys).await;
    drop((client, stop));
    served
        .await
        .map_err(|error| system("serve a client", error))?;
    latencies
}

async fn asked(client: &Client, keys: &[i64]) -> Result<Histogram, BenchError> {
    let failed = |error: tokio_postgres::Error| system("look up a row as a client", error);
    let text = format!("SELECT * FROM {KEYED} WHERE household_id = $1");
    let statement = client.prepare(&text).await.map_err(failed)?;
    let mut latencies = Histogram::default();
    for key in keys {
        let started = Instant::now();
        let rows = client.query(&statement, &[key]).await.map_err(failed)?;
        latencies.record(started.elapsed());
        check(*key, rows.len())?;
    }
    Ok(latencies)
}

fn check(key: i64, rows: usize) -> Result<(), BenchError> {
    match rows {
        1 => Ok(()),
        _ => Err(BenchError::Wrong {
            view: KEYED.to_owned(),
            difference: format!("household {key} has {rows} rows"),
        }),
    }
}
