//! UPDATE, DELETE and ON CONFLICT beside plain INSERTs of other sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::engine::{open, rows, run, runtime};

/// Each of them changes the row only while it is old, so none may touch one that is new.
const REWRITES: [&str; 3] = [
    "DELETE FROM jobs WHERE state = 'old'",
    "UPDATE jobs SET n = n + 1 WHERE state = 'old'",
    "INSERT INTO jobs VALUES (1, 'old', 0) \
     ON CONFLICT (id) DO UPDATE SET n = jobs.n + 1 WHERE jobs.state = 'old'",
];

#[test]
fn acknowledged_rows_outlive_rewrites_of_those_that_they_replace() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 1);
        let (mut first, mut second) = (engine.session(), engine.session());
        run(
            &mut first,
            "CREATE TABLE jobs (id BIGINT PRIMARY KEY, state TEXT, n BIGINT)",
        )
        .await
        .expect("created");
        let is_done = Arc::new(AtomicBool::new(false));
        let rewriters = REWRITES.map(|sql| {
            let mut session = engine.session();
            let is_done = Arc::clone(&is_done);
            tokio::spawn(async move {
                while !is_done.load(Ordering::Relaxed) {
                    run(&mut session, sql).await.expect("written");
                }
            })
        });
        for round in 0..300 {
            run(&mut first, "INSERT INTO jobs VALUES (1, 'old', 0)")
                .await
                .expect("inserted");
            run(
                &mut second,
                &format!("INSERT INTO jobs VALUES (1, 'new', {round})"),
            )
            .await
            .expect("inserted");
            // A rewrite that has read the old row may be on its way.
            std::thread::sleep(Duration::from_millis(2));
            assert_eq!(
                rows(&mut second, "SELECT state, n FROM jobs").await,
                format!("new,{round}")
            );
        }
        is_done.store(true, Ordering::Relaxed);
        for rewriter in rewriters {
            rewriter.await.expect("ended");
        }
        // What was refused is not in the log either.
        let last = rows(&mut second, "SELECT state, n FROM jobs").await;
        engine.shutdown();
        drop((first, second, engine));
        let engine = open(directory.path(), 1);
        let mut session = engine.session();
        assert_eq!(rows(&mut session, "SELECT state, n FROM jobs").await, last);
    });
}

#[test]
fn no_increment_of_a_row_that_others_write_is_lost() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 1);
        let mut session = engine.session();
        run(&mut session, "CREATE TABLE hits (id BIGINT PRIMARY KEY, n BIGINT); INSERT INTO hits VALUES (1, 0)").await.expect("created");
        let counters: Vec<_> = (0..3)
            .map(|_| {
                let mut session = engine.session();
                tokio::spawn(async move {
                    for _ in 0..50 {
                        run(&mut session, "INSERT INTO hits VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = hits.n + 1").await.expect("counted");
                        run(&mut session, "UPDATE hits SET n = n + 1").await.expect("counted");
                    }
                })
            })
            .collect();
        for counter in counters {
            counter.await.expect("ended");
        }
        assert_eq!(rows(&mut session, "SELECT n FROM hits").await, "300");
    });
}
