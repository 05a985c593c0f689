//! What open queries and subscriptions hold counts as memory, for as long as they hold it.

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use mainstem::engine::{Engine, Outcome, Session};

use super::{open_with_budget, runtime, until_taken};
use crate::engine::{open, rows, run};
use crate::tools::{Waiting, eventually};

/// The memory of the texts of all rows.
const TEXTS_BYTES: u64 = 6_000_000;

/// As many rows as are not read ahead, in one segment, and a view of them.
async fn define(session: &mut Session) {
    for sql in [
        "CREATE TABLE t (id BIGINT PRIMARY KEY, shop TEXT, what TEXT)",
        "CREATE MATERIALIZED VIEW copies AS SELECT id, what FROM t",
        "INSERT INTO t SELECT id, 's', repeat('x', 100) \
         FROM (SELECT unnest(range(0, 60000)) AS id) AS ids",
    ] {
        run(session, sql).await.expect(sql);
    }
    session.settled().await.expect("complete");
}

/// A query of which nothing has been fetched.
pub(super) async fn unread(session: &mut Session, sql: &str) -> SendableRecordBatchStream {
    let statement = session.parse(sql).expect("SQL").remove(0);
    match session.execute(&statement, &[]).await.expect("begun") {
        Outcome::Rows(rows) | Outcome::Subscription(rows) => rows,
        _ => panic!("no rows"),
    }
}

/// Gives every row another value, so that nothing of the old ones is left in table and view.
async fn replace_all(session: &mut Session, letter: char) {
    let update = format!("UPDATE t SET what = repeat('{letter}', 100)");
    until_taken(session, &update).await;
    session.settled().await.expect("complete");
}

fn wait_until_held(engine: &Engine, bytes: impl Fn(u64) -> bool) {
    eventually(|| match engine.overview().held_by_readers_bytes {
        held if bytes(held) => Ok(()),
        held => Err(format!("{held} bytes are held")),
    });
}

#[test]
fn what_only_readers_hold_is_counted_until_they_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path(), 2);
    runtime().block_on(async {
        let mut session = engine.session();
        define(&mut session).await;
        wait_until_held(&engine, |held| held == 0);
        let of_table = unread(&mut session, "SELECT what FROM t").await;
        let again = unread(&mut session, "SELECT what FROM t").await;
        for letter in ['a', 'b', 'c'] {
            replace_all(&mut session, letter).await;
        }
        // Both hold the same rows, which count once.
        let once = |held| (TEXTS_BYTES..2 * TEXTS_BYTES).contains(&held);
        wait_until_held(&engine, once);
        drop(again);
        wait_until_held(&engine, once);
        let of_view = unread(&mut session, "SELECT what FROM copies").await;
        for letter in ['d', 'e', 'f'] {
            replace_all(&mut session, letter).await;
        }
        wait_until_held(&engine, |held| held >= 2 * TEXTS_BYTES);
        // Also when there is no such table any more.
        run(&mut session, "DROP MATERIALIZED VIEW copies")
            .await
            .expect("dropped");
        let last = unread(&mut session, "SELECT what FROM t").await;
        run(&mut session, "DROP TABLE t").await.expect("dropped");
        wait_until_held(&engine, |held| held >= 3 * TEXTS_BYTES);
        drop((of_table, of_view, last));
        wait_until_held(&engine, |held| held == 0);
    });
    engine.shutdown();
}

#[test]
fn changes_that_wait_for_a_subscriber_are_counted() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path(), 2);
    runtime().block_on(async {
        let mut session = engine.session();
        define(&mut session).await;
        // Its changes are made for who follows it; those of other views are its own, for a while.
        let view = "CREATE MATERIALIZED VIEW counts AS SELECT id, what, count(*) AS n FROM t \
            GROUP BY id, what";
        run(&mut session, view).await.expect("created");
        let follow = "SUBSCRIBE TO counts WITH (snapshot = false)";
        let mut changes = unread(&mut session, follow).await;
        for letter in ['a', 'b'] {
            replace_all(&mut session, letter).await;
        }
        wait_until_held(&engine, |held| held > TEXTS_BYTES);
        let mut count = 0;
        // Every row has come twice and gone twice.
        while count < 4 * 60_000 {
            let rows: RecordBatch = changes.next().await.expect("no end").expect("changes");
            count += rows.num_rows();
        }
        wait_until_held(&engine, |held| held == 0);
    });
    engine.shutdown();
}

#[test]
fn what_open_queries_hold_counts_against_the_budget_until_they_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open_with_budget(directory.path(), 96 << 20);
    runtime().block_on(async {
        let mut session = engine.session();
        define(&mut session).await;
        // Without readers the same changes are all taken, sooner or later.
        for letter in 'a'..='e' {
            replace_all(&mut session, letter).await;
        }
        let mut held = Vec::new();
        let waiting = Waiting::begin();
        let refused = 'refused: loop {
            for letter in ['A', 'B'] {
                held.push(unread(&mut session, "SELECT what FROM t").await);
                held.push(unread(&mut session, "SELECT what FROM copies").await);
                let update = format!("UPDATE t SET what = repeat('{letter}', 100)");
                if let Err(error) = run(&mut session, &update).await
                    && error.to_string().contains("open queries")
                {
                    break 'refused error;
                }
                session.settled().await.expect("complete");
            }
            waiting.check("nothing is refused");
        };
        assert_eq!(refused.sqlstate(), "53200", "{refused}");
        let named = "open queries and subscriptions: ";
        assert!(refused.to_string().contains(named), "{refused}");
        let hint = refused.hint().unwrap_or_default();
        assert!(hint.contains("query.timeout"), "{hint}");
        assert_eq!(rows(&mut session, "SELECT count(*) FROM t").await, "60000");
        drop(held);
        replace_all(&mut session, 'z').await;
    });
    engine.shutdown();
}
