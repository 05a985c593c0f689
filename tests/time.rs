//! Time in a running engine: ticks without input, ad hoc `now()`, restart.

use std::time::Duration;

use mainstem::engine::{Engine, Session, WallClock};

use crate::engine::{open, rows, run, runtime, wait_for};

const RECENT: &str = "CREATE MATERIALIZED VIEW recent AS SELECT id FROM events WHERE at > now() - INTERVAL '2 seconds'; CREATE MATERIALIZED VIEW how_many AS SELECT count(*) AS n FROM recent";

async fn with_events(engine: &Engine) -> Session {
    let mut session = engine.session();
    let table = "CREATE TABLE events (id BIGINT PRIMARY KEY, at TIMESTAMPTZ)";
    run(&mut session, table).await.expect("created");
    run(&mut session, RECENT).await.expect("created");
    session
}

#[test]
fn rows_leave_by_themselves_when_their_time_is_over() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 2);
        engine.set_wall_clock(WallClock::Followed);
        let mut session = with_events(&engine).await;
        let insert = "INSERT INTO events VALUES (1, now()), (2, now() + INTERVAL '1 day'), (3, now() - INTERVAL '1 day'), (4, NULL)";
        run(&mut session, insert).await.expect("inserted");
        wait_for(&mut session, "SELECT n FROM how_many", "1").await;
        assert_eq!(rows(&mut session, "SELECT id FROM recent").await, "2");
        engine.shutdown();
    });
}

#[test]
fn a_query_that_asks_for_the_time_agrees_with_the_views() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 1);
        let mut session = with_events(&engine).await;
        for id in 0..5 {
            let insert = format!("INSERT INTO events VALUES ({id}, now() - INTERVAL '{id} seconds')");
            run(&mut session, &insert).await.expect("inserted");
            let both = "SELECT (SELECT n FROM how_many) = (SELECT count(*) FROM events WHERE at > now() - INTERVAL '2 seconds') AS agree";
            assert_eq!(rows(&mut session, both).await, "true");
        }
        // Nobody follows the clock here, so that time passes with the question alone.
        let distinct = "SELECT count(DISTINCT t) FROM (SELECT now() AS t FROM events UNION ALL SELECT current_timestamp FROM events) AS u";
        assert_eq!(rows(&mut session, distinct).await, "1");
        assert_eq!(rows(&mut session, "SELECT now() > TIMESTAMP '2020-01-01' AND current_date > DATE '2020-01-01'").await, "true");
        engine.shutdown();
    });
}

#[test]
fn where_the_clock_is_ignored_time_is_that_of_the_transactions() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 1);
        engine.set_wall_clock(WallClock::Ignored);
        let mut session = with_events(&engine).await;
        let long_ago = "SELECT now() < TIMESTAMPTZ '1970-01-02T00:00:00Z'";
        assert_eq!(rows(&mut session, long_ago).await, "true");
        run(&mut session, "INSERT INTO events VALUES (1, now())")
            .await
            .expect("inserted");
        assert_eq!(rows(&mut session, long_ago).await, "false");
        assert_eq!(rows(&mut session, "SELECT n FROM how_many").await, "0");
        engine.shutdown();
    });
}

#[test]
fn a_row_is_kept_once_however_many_windows_it_will_leave() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 2);
        let mut session = engine.session();
        run(&mut session, "CREATE TABLE clicks (id BIGINT PRIMARY KEY, page BIGINT, at TIMESTAMPTZ); INSERT INTO clicks SELECT n, n % 7, to_timestamp(CAST(date_part('epoch', now()) AS BIGINT) - n * 60) FROM unnest(generate_series(0, 999)) AS g(n)")
            .await
            .expect("inserted");
        let count = |name: &str, days: u64| format!("count(*) FILTER (WHERE at > now() - INTERVAL '{days} days') AS {name}");
        let windows = [("d", 1), ("w", 7), ("f", 28), ("q", 90), ("y", 365)];
        let counts = windows.map(|(name, days)| count(name, days)).join(", ");
        let view = format!("CREATE MATERIALIZED VIEW busy AS SELECT page, {counts} FROM clicks GROUP BY page");
        run(&mut session, &view).await.expect("created");
        let sums = "SELECT sum(d) = 1000 AND sum(y) = 1000 FROM busy";
        assert_eq!(rows(&mut session, sums).await, "true");
        let waiting = "SELECT CAST(sum(rows) AS BIGINT) FROM mainstem.operators WHERE kind = 'Temporal'";
        // Workers that are busy are not waited for; what they have told once is told from then on.
        wait_for(&mut session, waiting, "1000").await;
        let analyzed = rows(&mut session, "EXPLAIN ANALYZE busy").await;
        assert!(analyzed.contains("Temporal") && analyzed.contains("(1000 rows, "), "{analyzed}");
        run(&mut session, "DELETE FROM clicks WHERE id >= 10").await.expect("deleted");
        // The waiting rows of a few buckets are added up when the buckets have doubled, not at once.
        assert_eq!(rows(&mut session, "SELECT sum(d) = 10 AND sum(y) = 10 FROM busy").await, "true");
        engine.shutdown();
    });
}

#[test]
fn a_restart_schedules_what_is_still_to_come() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        {
            let engine = open(directory.path(), 1);
            let mut session = with_events(&engine).await;
            // Its time must not be over before it has been seen, however slow the machine is.
            let insert = "INSERT INTO events VALUES (1, now() + INTERVAL '10 seconds'), (2, now() + INTERVAL '1 hour'), (3, now() - INTERVAL '1 hour')";
            run(&mut session, insert).await.expect("inserted");
            assert_eq!(rows(&mut session, "SELECT n FROM how_many").await, "2");
            engine.shutdown();
        }
        let engine = open(directory.path(), 2);
        assert_eq!(engine.recovered().broken_views, Vec::new());
        engine.set_wall_clock(WallClock::Followed);
        let mut session = engine.session();
        wait_for(&mut session, "SELECT n FROM how_many", "1").await;
        engine.shutdown();
    });
}

#[test]
fn defaults_and_conflicts_that_ask_for_the_time_get_that_of_the_statement() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 1);
        let mut session = engine.session();
        let table =
            "CREATE TABLE notes (id BIGINT PRIMARY KEY, text TEXT, at TIMESTAMPTZ DEFAULT now())";
        run(&mut session, table).await.expect("created");
        // Each is later than what stands there, as time has passed in between.
        for sql in [
            "INSERT INTO notes (id) VALUES (1)",
            "INSERT INTO notes VALUES (1, 'b', DEFAULT)",
            "INSERT INTO notes (id, text) SELECT 1, 'c'",
            "INSERT INTO notes VALUES (1, 'd', NULL) ON CONFLICT (id) DO UPDATE SET at = now()",
            "UPDATE notes SET at = DEFAULT",
            "UPDATE notes SET at = now()",
        ] {
            let before = rows(
                &mut session,
                "SELECT coalesce(max(at), TIMESTAMPTZ '2020-01-01T00:00:00Z') FROM notes",
            )
            .await;
            std::thread::sleep(Duration::from_millis(5));
            run(&mut session, sql).await.expect(sql);
            let later = format!("SELECT at > TIMESTAMPTZ '{before}' FROM notes");
            assert_eq!(rows(&mut session, &later).await, "true", "{sql}");
        }
        engine.shutdown();
    });
}
