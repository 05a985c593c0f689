//! TPC-H: all 22 queries as live views, refreshed by inserts, deletes and updates in small
//! transactions; after each, every view equals the batch answer over the same tables. Tables and
//! views are those of `mainstem bench`.

mod data;

use mainstem::bench::{Workload, tpch};
use mainstem::engine::{Engine, Session};
use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::engine::{open, run};
use data::Data;

/// Transactions after the first load; `TPCH_STEPS` asks for more.
const STEPS: usize = 6;
/// Only what is loaded depends on it, and here that comes from `Data`.
const SCALE: f64 = 0.02;

#[test]
fn all_tpch_queries_follow_small_transactions() {
    let seed = crate::oracle::seed();
    let steps = std::env::var("TPCH_STEPS").map_or(STEPS, |steps| steps.parse().expect("a number"));
    let mut random = Pcg64::seed_from_u64(seed);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path(), 2);
    let mut session = engine.session();
    let workload = tpch(SCALE).expect("a workload");
    engine.ensure_tables(&workload.tables).expect("tables");
    let mut data = Data::generate();
    engine.submit(data.initial(&engine)).expect("rows that fit");
    assert_eq!(workload.views.len(), 22);
    for (name, statement) in &workload.views {
        let created = runtime.block_on(run(&mut session, statement));
        created.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let context = format!("ORACLE_SEED={seed} at first");
    let answered = runtime.block_on(compare(&engine, &mut session, &workload, &context));
    assert!(
        answered >= 18,
        "only {answered} of the queries have an answer at this scale"
    );
    for step in 0..steps {
        let transaction = data.step(&engine, &mut random);
        engine.submit(transaction).expect("rows that fit");
        let context = format!("ORACLE_SEED={seed} step={step}");
        runtime.block_on(compare(&engine, &mut session, &workload, &context));
    }
    engine.shutdown();
}

/// Compares all views with their queries; returns how many have rows.
async fn compare(
    engine: &Engine,
    session: &mut Session,
    workload: &Workload,
    context: &str,
) -> usize {
    tokio::task::block_in_place(|| engine.flush()).expect("complete");
    let mut answered = 0;
    for (name, statement) in &workload.views {
        let (_, query) = statement.split_once(" AS\n").expect("a view");
        let live = rows(session, &format!("SELECT * FROM {name}")).await;
        let batch = rows(session, query).await;
        assert_eq!(live, batch, "{name}, {context}");
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
