//! TPC-H: all 22 queries as live views, refreshed by inserts, deletes and updates in small
//! transactions; after each, every view equals the batch answer over the same tables.

mod data;
mod queries;

use mainstem::engine::{Engine, Session};
use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::engine::{open, run};
use data::Data;

/// Transactions after the first load; `TPCH_STEPS` asks for more.
const STEPS: usize = 6;

#[test]
fn all_tpch_queries_follow_small_transactions() {
    let seed = crate::oracle::seed();
    let steps = std::env::var("TPCH_STEPS").map_or(STEPS, |steps| steps.parse().expect("a number"));
    let mut random = Pcg64::seed_from_u64(seed);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path(), 2);
    let mut session = engine.session();
    runtime
        .block_on(run(&mut session, data::TABLES))
        .expect("tables");
    let mut data = Data::generate();
    engine.submit(data.initial(&engine)).expect("rows that fit");
    for number in 1..=22 {
        let view = format!(
            "CREATE MATERIALIZED VIEW q{number} AS {}",
            queries::query(number)
        );
        let created = runtime.block_on(run(&mut session, &view));
        created.unwrap_or_else(|error| panic!("query {number}: {error}"));
    }
    let answered = runtime.block_on(compare(
        &engine,
        &mut session,
        &format!("seed={seed} at first"),
    ));
    assert!(
        answered >= 18,
        "only {answered} of the queries have an answer at this scale"
    );
    for step in 0..steps {
        let transaction = data.step(&engine, &mut random);
        engine.submit(transaction).expect("rows that fit");
        let context = format!("ORACLE_SEED={seed} step={step}");
        runtime.block_on(compare(&engine, &mut session, &context));
    }
    engine.shutdown();
}

/// Compares all views with their queries; returns how many have rows.
async fn compare(engine: &Engine, session: &mut Session, context: &str) -> usize {
    tokio::task::block_in_place(|| engine.flush()).expect("complete");
    let mut answered = 0;
    for number in 1..=22 {
        let live = rows(session, &format!("SELECT * FROM q{number}")).await;
        let batch = rows(session, &queries::query(number)).await;
        assert_eq!(live, batch, "query {number}, {context}");
        answered += usize::from(!live.is_empty());
    }
    answered
}

/// The rows of a query as text, in the order of the text.
pub async fn rows(session: &mut Session, sql: &str) -> Vec<String> {
    let table = run(session, sql).await;
    let table = table.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let lines = table.lines().skip(3).filter(|line| line.starts_with('|'));
    let cells = lines.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        cells.join("|")
    });
    let mut rows: Vec<String> = cells.collect();
    rows.sort();
    rows
}
