//! Nexmark: all 23 queries as live views, equal to the batch answer after every transaction.

use std::collections::BTreeMap;

use mainstem::bench::nexmark;
use mainstem::model::Submission;

use crate::engine::{open, run};
use crate::tpch::rows;

/// Transactions, and events in each.
const TRANSACTIONS: usize = 12;
const EVENTS: usize = 200;

/// What happens between the events: the benchmark only adds, the views take more than that.
const CORRECTIONS: [&str; 4] = [
    "DELETE FROM bid WHERE price % 700 = 0",
    "UPDATE auction SET category = category % 5 + 10 WHERE id % 7 = 0",
    "UPDATE person SET state = 'OR' WHERE id % 3 = 0",
    "DELETE FROM auction WHERE id % 11 = 0",
];

#[test]
fn all_nexmark_queries_follow_every_transaction() {
    let seed = crate::oracle::seed();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path(), 2);
    let workload = nexmark(seed).expect("a workload");
    engine.ensure_tables(&workload.tables).expect("tables");
    let initial = Submission {
        changes: workload.initial,
        ..Submission::default()
    };
    engine.submit(initial).expect("the side input");
    engine.sync_views(&workload.views).expect("views");
    assert_eq!(workload.views.len(), 23);
    let mut session = engine.session();
    let mut events = (workload.transactions)().expect("events");
    let mut most: BTreeMap<&str, usize> = BTreeMap::new();
    for transaction in 0..TRANSACTIONS {
        let submission = events.next(EVENTS).expect("events").expect("no end");
        engine.submit(submission).expect("rows that fit");
        if transaction % 3 == 2 {
            let correction = CORRECTIONS[transaction / 3 % CORRECTIONS.len()];
            runtime
                .block_on(run(&mut session, correction))
                .expect("corrected");
        }
        engine.flush().expect("complete");
        for (name, statement) in &workload.views {
            let (_, query) = statement.split_once(" AS\n").expect("a view");
            let live = runtime.block_on(rows(&mut session, &format!("SELECT * FROM {name}")));
            let batch = runtime.block_on(rows(&mut session, query));
            assert_eq!(
                live, batch,
                "{name}, ORACLE_SEED={seed}, transaction {transaction}"
            );
            let most = most.entry(name).or_default();
            *most = live.len().max(*most);
        }
    }
    engine.shutdown();
    for (name, rows) in most {
        assert!(rows > 0, "{name} never had a row, ORACLE_SEED={seed}");
    }
}
