//! The program, killed while it fills a view: what is there afterwards is the view as it was before
//! or as it was to be, and it is right.

use std::time::Duration;

use rand::Rng;
use tokio_postgres::Client;

use super::loader::rows;
use super::program::start;
use super::{Loaders, examine, setting};
use crate::program::Program;

const ROUNDS: u64 = 4;

/// Of two million pairs of rows; each round has one of its own.
fn query(round: u64) -> String {
    format!(
        "SELECT {round} AS round, a.id + b.id AS id, count(*) AS pairs \
         FROM t AS a JOIN t AS b ON a.k = b.k GROUP BY a.id + b.id"
    )
}

/// Whether the view is being filled.
async fn is_building(client: &Client) -> bool {
    let state = "SELECT state FROM mainstem.views WHERE name = 'filled'";
    rows(client, state).await == [["building"]]
}

/// The round of the view that is there, after a look at whether it is right.
async fn found(client: &Client) -> Option<u64> {
    let views = "SELECT name FROM mainstem.views";
    if rows(client, views).await.is_empty() {
        let missing = client.simple_query("SELECT * FROM filled").await;
        missing.expect_err("no such view");
        return None;
    }
    let found = rows(client, "SELECT * FROM filled ORDER BY id").await;
    let round = found[0][0].parse().expect("a number");
    let expected = rows(client, &format!("{} ORDER BY 2", query(round))).await;
    assert!(found == expected, "the view of round {round} is wrong");
    Some(round)
}

/// Has the view of a round made and kills the program while that goes on, if it is not over before.
/// Whether it was.
async fn kill_amid(mut program: Program, round: u64, pause: Duration) -> bool {
    let creates = program.connect().await;
    let watches = program.connect().await;
    let text = query(round);
    let creating = tokio::spawn(async move {
        let create = format!("CREATE OR REPLACE MATERIALIZED VIEW filled AS {text}");
        creates.batch_execute(&create).await.is_ok()
    });
    while !creating.is_finished() && !is_building(&watches).await {}
    tokio::time::sleep(pause).await;
    program.kill();
    creating.await.expect("it ends with its connection")
}

#[test]
fn a_program_that_is_killed_while_it_fills_a_view_comes_back_with_it_or_without() {
    let mut loaders = Loaders::new();
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut program = start(directory);
        let client = program.connect().await;
        let table = "CREATE TABLE t (id BIGINT PRIMARY KEY, k BIGINT); \
            INSERT INTO t SELECT n, n % 2 FROM generate_series(1, 2000) AS g(n)";
        client.batch_execute(table).await.expect("created");
        let mut before = None;
        for round in 0..setting("MAINSTEM_KILL_ROUNDS", ROUNDS) {
            let pause = Duration::from_millis(u64::from(loaders.random.next_u32() % 200));
            let was_filled = kill_amid(program, round, pause).await;
            program = start(directory);
            let client = program.connect().await;
            let after = found(&client).await;
            println!("round {round}: filled before it was killed: {was_filled}, then {after:?}");
            let is_right = after == Some(round) || !was_filled && after == before;
            assert!(is_right, "round {round}: {after:?} after {before:?}");
            before = after;
        }
        // It is maintained as any other.
        let client = program.connect().await;
        let insert = "INSERT INTO t VALUES (2001, 1)";
        client.batch_execute(insert).await.expect("inserted");
        assert_eq!(found(&client).await, before);
        program.kill();
    });
    examine(directory);
}
