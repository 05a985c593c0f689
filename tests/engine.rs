//! The engine through its sessions: statements, own writes, restart, life cycle of views.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use mainstem::engine::{Engine, EngineError, EngineOptions, Outcome, QueryLimits, Session};

use crate::tools::Waiting;

pub fn open(directory: &std::path::Path, workers: usize) -> Engine {
    let options = EngineOptions {
        data_dir: directory.to_path_buf(),
        workers,
        history_ms: 0,
    };
    Engine::open(options).expect("the engine opens")
}

pub async fn run(session: &mut Session, sql: &str) -> Result<String, EngineError> {
    let mut text = String::new();
    for statement in session.parse(sql)? {
        match session.execute(&statement, &[]).await? {
            Outcome::Done(tag) => text = tag,
            Outcome::CopyIn(_) | Outcome::CopyOut { .. } => text = "COPY".to_owned(),
            Outcome::Subscription(_) => text = "SUBSCRIBE".to_owned(),
            Outcome::Rows(rows) | Outcome::Returned { rows, .. } => {
                let rows: Vec<_> = rows.try_collect().await?;
                text = pretty_format_batches(&rows).expect("printable").to_string();
            }
        }
    }
    Ok(text)
}

pub async fn rows(session: &mut Session, sql: &str) -> String {
    let table = run(session, sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let lines = table.lines().skip(3).filter(|line| line.starts_with('|'));
    let cells = lines.map(|line| {
        let cells = line.trim_matches('|').split('|').map(str::trim);
        cells.collect::<Vec<_>>().join(",")
    });
    cells.collect::<Vec<_>>().join(" ")
}

/// Asks until a query has an answer, however long it takes.
pub async fn wait_for(session: &mut Session, sql: &str, answer: &str) {
    let waiting = Waiting::begin();
    loop {
        let found = rows(session, sql).await;
        if found == answer {
            return;
        }
        waiting.check(&format!("{sql} stays {found}"));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime")
}

#[test]
fn a_session_reads_its_own_writes() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 2);
        let mut session = engine.session();
        run(&mut session, "CREATE TABLE sales (id BIGINT PRIMARY KEY, shop TEXT, amount BIGINT)").await.expect("created");
        run(&mut session, "CREATE MATERIALIZED VIEW by_shop AS SELECT shop, count(*) AS n, sum(amount) AS total FROM sales GROUP BY shop").await.expect("created");
        for id in 0..20 {
            run(&mut session, &format!("INSERT INTO sales VALUES ({id}, 'north', 5)")).await.expect("inserted");
            let expected = format!("north,{},{}", id + 1, 5 * (id + 1));
            assert_eq!(rows(&mut session, "SELECT * FROM by_shop").await, expected);
        }
        assert_eq!(run(&mut session, "UPDATE sales SET shop = 'south', amount = amount * 2 WHERE id < 5").await.expect("updated"), "UPDATE 5");
        assert_eq!(rows(&mut session, "SELECT * FROM by_shop ORDER BY shop").await, "north,15,75 south,5,50");
        assert_eq!(run(&mut session, "DELETE FROM sales WHERE shop = 'north'").await.expect("deleted"), "DELETE 15");
        assert_eq!(rows(&mut session, "SELECT * FROM by_shop").await, "south,5,50");
        assert_eq!(rows(&mut session, "SELECT total FROM by_shop WHERE shop = 'south'").await, "50");
        assert_eq!(rows(&mut session, "SELECT s.id, v.total FROM sales s JOIN by_shop v USING (shop) WHERE s.id = 3").await, "3,50");
        engine.shutdown();
    });
}

#[test]
fn everything_is_there_after_a_restart() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let query = "SELECT * FROM top ORDER BY shop";
        let before = {
            let engine = open(directory.path(), 1);
            let mut session = engine.session();
            run(&mut session, "CREATE TABLE sales (shop TEXT, amount BIGINT); INSERT INTO sales VALUES ('a', 1), ('b', 2), ('a', 3), ('a', 3)").await.expect("written");
            run(&mut session, "CREATE MATERIALIZED VIEW totals AS SELECT shop, sum(amount) AS total FROM sales GROUP BY shop").await.expect("created");
            run(&mut session, "CREATE MATERIALIZED VIEW top AS SELECT shop, total FROM totals WHERE total > 1").await.expect("created");
            run(&mut session, "CREATE VIEW names AS SELECT shop FROM top").await.expect("created");
            run(&mut session, "DELETE FROM sales WHERE amount = 3 AND shop = 'a'; INSERT INTO sales VALUES ('c', 9)").await.expect("written");
            let answer = rows(&mut session, query).await;
            engine.shutdown();
            answer
        };
        assert_eq!(before, "b,2 c,9");
        for workers in [2, 1] {
            let engine = open(directory.path(), workers);
            assert_eq!(engine.recovered().broken_views, Vec::new());
            let mut session = engine.session();
            assert_eq!(rows(&mut session, query).await, before);
            assert_eq!(rows(&mut session, "SELECT * FROM names ORDER BY 1").await, "b c");
            engine.shutdown();
        }
    });
}

#[test]
fn views_come_and_go_while_rows_arrive() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 2);
        let mut session = engine.session();
        run(&mut session, "CREATE TABLE t (k BIGINT, v BIGINT); CREATE TABLE u (k BIGINT, w TEXT)").await.expect("created");
        for round in 0..6 {
            run(&mut session, &format!("INSERT INTO t VALUES ({}, {round}); INSERT INTO u VALUES ({}, 'w{round}')", round % 3, round % 2)).await.expect("inserted");
            run(&mut session, "CREATE OR REPLACE MATERIALIZED VIEW joined AS SELECT t.k, t.v, u.w FROM t JOIN u ON t.k = u.k").await.expect("created");
            run(&mut session, &format!("CREATE MATERIALIZED VIEW other{round} AS SELECT t.k, count(u.w) AS n FROM t LEFT JOIN u ON t.k = u.k GROUP BY t.k")).await.expect("created");
            let live = rows(&mut session, "SELECT * FROM joined ORDER BY k, v, w").await;
            let batch = rows(&mut session, "SELECT t.k, t.v, u.w FROM t JOIN u ON t.k = u.k ORDER BY t.k, v, w").await;
            assert_eq!(live, batch);
            if round >= 2 {
                run(&mut session, &format!("DROP MATERIALIZED VIEW other{}", round - 2)).await.expect("dropped");
            }
            let live = rows(&mut session, &format!("SELECT * FROM other{round} ORDER BY k")).await;
            let batch = rows(&mut session, "SELECT t.k, count(u.w) FROM t LEFT JOIN u ON t.k = u.k GROUP BY t.k ORDER BY t.k").await;
            assert_eq!(live, batch);
        }
        let refused = run(&mut session, "DROP TABLE t").await.expect_err("it is read");
        assert_eq!(refused.sqlstate(), "2BP01");
        run(&mut session, "DROP TABLE t CASCADE").await.expect("dropped");
        assert_eq!(engine.views(), Vec::<String>::new());
        engine.shutdown();
    });
}

/// What a view says of itself and of the rows it is made of, at one moment.
const REPLACED: &str = "SELECT (SELECT min(version) FROM live), (SELECT max(version) FROM live),
    (SELECT sum(n) FROM live), (SELECT count(*) FROM t)";

/// A query that tells all rows of `t` in a way that depends on its version.
fn of_version(version: i64) -> String {
    let rows = match version % 3 {
        0 => "SELECT v % 3 AS part, {} AS version, count(*) AS n FROM t GROUP BY 1",
        1 => "SELECT k AS part, {} AS version, 1 AS n FROM t",
        _ => {
            "SELECT x.k % 5 AS part, {} AS version, count(y.k) AS n FROM t AS x LEFT JOIN t AS y ON x.k = y.k GROUP BY 1"
        }
    };
    rows.replace("{}", &version.to_string())
}

#[test]
fn a_view_that_is_replaced_is_whole_and_of_its_moment_in_every_read() {
    let runtime = runtime();
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path(), 2);
    runtime.block_on(async {
        let mut session = engine.session();
        let create = format!("CREATE MATERIALIZED VIEW live AS {}", of_version(0));
        for sql in [
            "CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT)",
            "INSERT INTO t SELECT x, x * 7 FROM generate_series(1, 50) AS g(x)",
            create.as_str(),
        ] {
            run(&mut session, sql).await.expect(sql);
        }
        let is_done = Arc::new(AtomicBool::new(false));
        let mut writer = engine.session();
        let until = Arc::clone(&is_done);
        let writing = tokio::spawn(async move {
            let mut k = 50;
            while !until.load(Ordering::Relaxed) {
                k += 1;
                let sql = format!(
                    "BEGIN; INSERT INTO t VALUES ({k}, {v}); DELETE FROM t WHERE k = {old}; COMMIT",
                    v = k * 7,
                    old = k - 50 + k % 2,
                );
                run(&mut writer, &sql).await.expect("written");
            }
        });
        let answered = Arc::new(AtomicI64::new(0));
        let mut reader = engine.session();
        let newest = Arc::clone(&answered);
        let reading = tokio::spawn(async move {
            let mut last = 0;
            while last < 12 {
                let least = newest.load(Ordering::Acquire).max(last);
                let found = rows(&mut reader, REPLACED).await;
                let numbers = found.split(',').map(|number| number.parse::<i64>());
                let numbers: Vec<i64> = numbers.map(|number| number.expect("a number")).collect();
                assert_eq!(numbers[0], numbers[1], "two versions at once: {found}");
                assert_eq!(numbers[2], numbers[3], "rows of another moment: {found}");
                assert!(numbers[0] >= least, "{found} after version {least}");
                last = numbers[0];
            }
        });
        let mut version = 0;
        while !reading.is_finished() {
            version += 1;
            let sql = format!(
                "CREATE OR REPLACE MATERIALIZED VIEW live AS {}",
                of_version(version)
            );
            run(&mut session, &sql).await.expect("replaced");
            answered.store(version, Ordering::Release);
        }
        is_done.store(true, Ordering::Relaxed);
        writing.await.expect("no write failed");
        reading
            .await
            .expect("every read was of one version and one moment");
    });
    engine.shutdown();
}

#[test]
fn a_row_that_fails_is_an_error_of_that_row() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 1);
        let mut session = engine.session();
        run(
            &mut session,
            "CREATE TABLE t (id BIGINT PRIMARY KEY, a BIGINT, b BIGINT)",
        )
        .await
        .expect("created");
        run(
            &mut session,
            "CREATE MATERIALIZED VIEW ratio AS SELECT id, a / b AS r FROM t",
        )
        .await
        .expect("created");
        run(
            &mut session,
            "CREATE MATERIALIZED VIEW plain AS SELECT count(*) AS n FROM t",
        )
        .await
        .expect("created");
        run(
            &mut session,
            "INSERT INTO t VALUES (1, 6, 3), (2, 1, 0), (3, 8, 2)",
        )
        .await
        .expect("inserted");
        let error = run(&mut session, "SELECT * FROM ratio")
            .await
            .expect_err("division by zero");
        assert!(error.to_string().contains("id: 2"), "{error}");
        assert_eq!(rows(&mut session, "SELECT n FROM plain").await, "3");
        run(&mut session, "DELETE FROM t WHERE id = 2")
            .await
            .expect("deleted");
        assert_eq!(
            rows(&mut session, "SELECT * FROM ratio ORDER BY id").await,
            "1,2 3,4"
        );
        engine.shutdown();
    });
}

#[test]
fn views_share_only_what_is_equal() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 1);
        let mut session = engine.session();
        run(&mut session, "CREATE TABLE t (id BIGINT PRIMARY KEY, a BIGINT, b BIGINT, c TEXT)").await.expect("created");
        run(&mut session, "INSERT INTO t VALUES (1, 12, 3, '1'), (2, 20, 5, 'x')").await.expect("inserted");
        let queries = [
            "SELECT l.id, r.x FROM t l JOIN (SELECT id, a / 2 * b AS x FROM t) r ON l.id = r.id",
            "SELECT l.id, r.x FROM t l JOIN (SELECT id, a / (2 * b) AS x FROM t) r ON l.id = r.id",
            "SELECT l.id, r.x FROM t l JOIN (SELECT id, a - (b - 1) AS x FROM t) r ON l.id = r.id",
            "SELECT l.id, r.x FROM t l JOIN (SELECT id, a - b - 1 AS x FROM t) r ON l.id = r.id",
            "SELECT l.id, r.c FROM t l JOIN (SELECT id, c FROM t WHERE c = 'b') r ON l.id = r.id",
            "SELECT l.id, r.x FROM t l JOIN (SELECT id, '1' AS x FROM t) r ON l.id = r.id",
            "SELECT l.id, r.x FROM t l JOIN (SELECT id, 1 AS x FROM t) r ON l.id = r.id",
        ];
        for (number, query) in queries.iter().enumerate() {
            let sql = format!("CREATE MATERIALIZED VIEW v{number} AS {query}");
            run(&mut session, &sql).await.expect("created");
        }
        for (number, query) in queries.iter().enumerate() {
            let live = rows(&mut session, &format!("SELECT * FROM v{number} ORDER BY 1")).await;
            assert_eq!(live, rows(&mut session, &format!("{query} ORDER BY 1")).await, "{query}");
        }
        run(&mut session, "CREATE MATERIALIZED VIEW failing AS SELECT l.id, r.x FROM t l JOIN (SELECT id, 10 / b AS x FROM t) r ON l.id = r.id").await.expect("created");
        run(&mut session, "INSERT INTO t VALUES (3, 1, 0, 'zero')").await.expect("inserted");
        run(&mut session, "SELECT * FROM failing").await.expect_err("a row divides by zero");
        engine.shutdown();
    });
}

#[test]
fn what_cannot_be_maintained_is_refused_with_a_reason() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 1);
        let mut session = engine.session();
        run(
            &mut session,
            "CREATE TABLE t (a BIGINT, b DOUBLE, at TIMESTAMPTZ)",
        )
        .await
        .expect("created");
        for (query, reason) in [
            ("SELECT random() AS r, a FROM t", "random()"),
            ("SELECT a, now() - at AS age FROM t", "now()"),
            (
                "SELECT a FROM t WHERE at > now() - INTERVAL '1 month'",
                "more than once",
            ),
            ("SELECT a, a FROM t", "two columns called"),
            ("SELECT nothing FROM t", "nothing"),
            ("SELECT a FROM missing", "missing"),
        ] {
            let sql = format!("CREATE MATERIALIZED VIEW v AS {query}");
            let error = run(&mut session, &sql).await.expect_err(query);
            assert!(error.to_string().contains(reason), "{query}: {error}");
        }
        for (sql, reason) in [
            ("COPY t TO '/tmp/x'", "file"),
            ("SELECT * FROM '/etc/passwd'", "passwd"),
            (
                "CREATE EXTERNAL TABLE x (a INT) STORED AS PARQUET LOCATION '/etc/passwd'",
                "EXTERNAL",
            ),
            ("SELEC 1", "SELEC"),
        ] {
            let error = run(&mut session, sql).await.expect_err(sql);
            assert!(error.to_string().contains(reason), "{sql}: {error}");
        }
        engine.shutdown();
    });
}

#[test]
fn a_union_of_different_constants_is_sorted_on_one_core() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 1);
        let mut session = engine.session();
        run(&mut session, "CREATE TABLE r (a BIGINT, b BIGINT); CREATE TABLE s (k BIGINT, v BIGINT); INSERT INTO r VALUES (1, 2), (3, 4); INSERT INTO s VALUES (1, 2), (5, 4)")
            .await
            .expect("filled");
        let both = "(SELECT a, b, true AS f, NULL AS c FROM r UNION ALL SELECT k, v, false, k AS c FROM s)";
        for partitions in [1, 2, 3] {
            let limits = QueryLimits {
                partitions,
                ..QueryLimits::default()
            };
            engine.limit_queries(limits).expect("limited");
            let sorted = format!("SELECT a, f FROM {both} ORDER BY a, b, f, c");
            assert_eq!(rows(&mut session, &sorted).await, "1,false 1,true 3,true 5,false");
            let numbered = format!("SELECT a, f, row_number() OVER (PARTITION BY a ORDER BY b, f DESC, c) AS n FROM {both} ORDER BY a, n");
            assert_eq!(rows(&mut session, &numbered).await, "1,true,1 1,false,2 3,true,1 5,false,1");
            let filtered = "SELECT * FROM (SELECT * FROM s WHERE k = 1 UNION ALL SELECT * FROM s WHERE k = 5 UNION ALL SELECT a, 2 FROM r) ORDER BY v, k LIMIT 3";
            assert_eq!(rows(&mut session, filtered).await, "1,2 1,2 3,2");
        }
        engine.shutdown();
    });
}
