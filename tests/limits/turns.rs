//! Queries share their threads: one without end holds up no other.

use std::time::Duration;

use super::readers::unread;
use super::runtime;
use crate::engine::{open, rows, run};
use crate::tools::PATIENCE;

/// Looks at 3,600,000,000 pairs and keeps none: it takes time, and hardly any memory.
const ENDLESS: &str = "SELECT count(*) FROM t a, t b WHERE md5(a.what || b.what) = 'x'";

/// The same, where pairs with equal keys are made first.
const ENDLESS_BY_KEY: &str =
    "SELECT count(*) FROM t a JOIN t b ON a.same = b.same AND md5(a.what || b.what) = 'x'";

#[test]
fn small_queries_are_answered_beside_as_many_endless_ones_as_there_are_threads() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path(), 2);
    runtime().block_on(async {
        let mut session = engine.session();
        for sql in [
            "CREATE TABLE t (id BIGINT PRIMARY KEY, same BIGINT, what TEXT)",
            "INSERT INTO t SELECT id, 1, CAST(id AS TEXT) \
             FROM (SELECT unnest(range(0, 60000)) AS id) AS ids",
        ] {
            run(&mut session, sql).await.expect(sql);
        }
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let mut held = Vec::new();
        for endless in [ENDLESS, ENDLESS_BY_KEY] {
            for _ in 0..threads {
                held.push(unread(&mut session, endless).await);
            }
        }
        // Time enough for all of them to come to their pairs.
        tokio::time::sleep(Duration::from_millis(500)).await;
        for id in 0..5 {
            let small = format!("SELECT what FROM t WHERE id = {id}");
            let answer = tokio::time::timeout(PATIENCE, rows(&mut session, &small)).await;
            assert_eq!(answer.expect("it is not held up"), id.to_string());
        }
        drop(held);
    });
    engine.shutdown();
}
