//! The program in the hands of an operator: rejected rows, doctor, backup, metrics, a full disk.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use mainstem::engine::{Durability, Engine, EngineOptions};
use mainstem::log::fs::RealFileSystem;
use mainstem::serve::http;
use mainstem::snapshot::{LogRange, Manifest, latest};
use tokio::net::TcpListener;

use crate::engine::{run, runtime};
use crate::tools::{ask, eventually, http_get, mainstem, mainstem_succeeds, text_of};

fn succeeds(directory: &Path, arguments: &[&str]) -> String {
    text_of(&mainstem_succeeds(directory, arguments))
}

/// What the mapping makes of the column `pieces`: `pieces` itself is wrong for one row.
fn mapping(pieces: &str) -> String {
    format!(
        "INSERT INTO order_lines
         SELECT concat(receipt, ':', CAST(_row AS VARCHAR)) AS event_id, time AS sequence,
             CAST(time AS TIMESTAMP) AS occurred_at, CAST(time AS TIMESTAMP) AS recorded_at,
             receipt AS order_id, CAST(_row AS VARCHAR) AS line_id, 'product' AS line_type,
             CAST({pieces} AS DECIMAL(18, 4)) AS quantity,
             CAST(12.5 AS DECIMAL(18, 6)) AS unit_price, 'EUR' AS currency,
             CAST(1250 AS BIGINT) AS total_minor
         FROM raw;
         INSERT INTO orders
         SELECT receipt AS event_id, time AS sequence, CAST(time AS TIMESTAMP) AS occurred_at,
             CAST(time AS TIMESTAMP) AS recorded_at, receipt AS order_id, 'pos' AS channel,
             CAST(time AS TIMESTAMP) AS placed_at, 'closed' AS status, 'EUR' AS currency
         FROM raw;"
    )
}

/// A directory with settings, a source of four rows and an engine that has read it.
fn with_one_rejected_row() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let files = [
        (
            "mainstem.toml",
            "[[source]]\nname = \"tills\"\nkind = \"csv\"\npath = \"tills*.csv\"\n\
             mapping = \"tills.sql\"\n"
                .to_owned(),
        ),
        (
            "tills-1.csv",
            "receipt,time,pieces\n1,2026-05-04 09:12:00,1\n1,2026-05-04 09:12:00,2\n\
             2,2026-05-04 09:40:00,one\n3,2026-05-04 09:50:00,nothing\n"
                .to_owned(),
        ),
        ("tills.sql", mapping("pieces")),
    ];
    for (name, text) in files {
        fs::write(directory.path().join(name), text).expect("written");
    }
    succeeds(directory.path(), &["run", "--once"]);
    directory
}

#[test]
fn rejected_rows_come_in_once_the_mapping_is_right() {
    let directory = with_one_rejected_row();
    let directory = directory.path();
    let list = [
        "rejected",
        "list",
        "--data-dir",
        "mainstem-data",
        "--format",
        "csv",
    ];
    let listed = succeeds(directory, &list);
    assert!(
        listed.contains("tills-1.csv:3") && listed.contains("tills-1.csv:4"),
        "{listed}"
    );
    let show = [
        "rejected",
        "show",
        "tills-1.csv:3",
        "--data-dir",
        "mainstem-data",
    ];
    assert!(succeeds(directory, &show).contains("2,2026-05-04 09:40:00,one"));

    let replay = ["rejected", "replay"];
    let unchanged = succeeds(directory, &replay);
    assert!(unchanged.contains("0 of 2 rows map"), "{unchanged}");
    let right = mapping("replace(pieces, 'one', '1')");
    fs::write(directory.join("tills.sql"), right).expect("written");
    let replayed = succeeds(directory, &replay);
    assert!(replayed.contains("1 of 2 rows map"), "{replayed}");
    let lines = "SELECT count(*) AS n, sum(quantity) AS pieces FROM order_lines";
    assert_eq!(ask(directory, lines), "n,pieces\n3,4.0000\n");
    let rejected = ask(directory, "SELECT position FROM rejected_events");
    assert_eq!(rejected, "position\ntills-1.csv:4\n");
    // Again: nothing is doubled, and the next run reads no file twice.
    succeeds(directory, &replay);
    succeeds(directory, &["run", "--once"]);
    assert_eq!(ask(directory, lines), "n,pieces\n3,4.0000\n");
    let orders = ask(directory, "SELECT order_id FROM orders ORDER BY 1");
    assert_eq!(orders, "order_id\n1\n2\n");
}

#[test]
fn backup_restore_and_doctor_work_from_the_command_line() {
    let directory = with_one_rejected_row();
    let directory = directory.path();
    let healthy = succeeds(directory, &["doctor"]);
    assert!(healthy.contains("all is well"), "{healthy}");
    succeeds(
        directory,
        &[
            "snapshot",
            "--data-dir",
            "mainstem-data",
            "--snapshot-dir",
            "s",
        ],
    );
    let backup = succeeds(directory, &["backup", "copy"]);
    assert!(backup.contains("transactions up to"), "{backup}");
    let restore = ["restore", "copy", "--data-dir", "new", "--verify"];
    let restored = succeeds(directory, &restore);
    assert!(restored.contains("order_lines  2 rows"), "{restored}");

    let log = directory.join("mainstem-data/log");
    let segment = fs::read_dir(log)
        .expect("the log")
        .next()
        .expect("a segment");
    let segment = segment.expect("a segment").path();
    let mut bytes = fs::read(&segment).expect("the segment");
    bytes[60] ^= 1;
    fs::write(&segment, bytes).expect("damaged");
    let found = mainstem(directory, &["doctor"]);
    assert_eq!(found.status.code(), Some(1));
    let found = text_of(&found);
    let name = segment
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    assert!(found.contains("WRONG") && found.contains(&name), "{found}");
    assert!(found.contains("mainstem restore"), "{found}");
}

#[test]
fn doctor_compares_what_snapshots_name_with_the_log() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let data = ["mainstem-data", "other"].map(|name| directory.join(name));
    let write = |data: &Path, statements: &[&str]| {
        let engine = crate::engine::open(data, 1);
        runtime().block_on(async {
            let mut session = engine.session();
            for sql in statements {
                run(&mut session, sql).await.expect(sql);
            }
        });
        let moment = engine.flush().and_then(|_| engine.read());
        let moment = moment.expect("a moment").moment();
        engine.shutdown();
        moment
    };
    let table = "CREATE TABLE t (id BIGINT PRIMARY KEY)";
    let view = "CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM t";
    let begun = write(&data[0], &[table, view, "INSERT INTO t VALUES (1)"]);
    assert_eq!(begun.log, Some(LogRange::before(3)));
    let snapshot = [
        "snapshot",
        "--data-dir",
        "mainstem-data",
        "--snapshot-dir",
        "s",
    ];
    succeeds(directory, &snapshot);
    let written = latest(&RealFileSystem, &directory.join("s"), "v").expect("whole");
    let written = Manifest::read(&RealFileSystem, &written.expect("one").path);
    assert_eq!(written.expect("a manifest").moment(), begun);
    // Also once there are more transactions.
    let more = write(&data[0], &["INSERT INTO t VALUES (2)", "DELETE FROM t"]);
    assert_eq!(more.log, Some(LogRange::before(5)));
    let doctor = |data: &str| {
        let output = mainstem(
            directory,
            &["doctor", "--data-dir", data, "--snapshot-dir", "s"],
        );
        (output.status.code(), text_of(&output))
    };
    let (code, found) = doctor("mainstem-data");
    assert!(
        code == Some(0) && found.contains("1 rows from the transactions before 3"),
        "{found}"
    );
    // Of a log that ends earlier, and of one with other transactions.
    write(&data[1], &[table]);
    let (code, found) = doctor("other");
    assert!(
        code == Some(1) && found.contains("the log ends at 1"),
        "{found}"
    );
    let others = [view, "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"];
    write(&data[1], &others);
    let (code, found) = doctor("other");
    let contradiction = "what it says about transaction";
    assert!(code == Some(1) && found.contains(contradiction), "{found}");
}

/// A GET over HTTP; the body.
fn get(address: SocketAddr, path: &str) -> String {
    let answer = http_get(address, path);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    body.to_owned()
}

#[test]
fn metrics_tell_what_happened() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = crate::engine::open(directory.path(), 1);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (listener, address) = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        (listener, address)
    });
    let router = http::router(engine.clone(), BTreeMap::new(), axum::Router::new());
    runtime.spawn(axum::serve(listener, router).into_future());
    runtime.block_on(async {
        let mut session = engine.session();
        for sql in [
            "CREATE TABLE t (id BIGINT PRIMARY KEY, what TEXT)",
            "CREATE MATERIALIZED VIEW v AS SELECT what, count(*) AS n FROM t GROUP BY what",
            "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'b')",
        ] {
            run(&mut session, sql).await.expect(sql);
        }
    });
    engine.checkpoint().expect("a checkpoint");
    // A transaction is acknowledged once it is durable; the views may have it later.
    engine.flush().expect("complete");
    let lines = [
        "mainstem_transactions_total 1",
        "mainstem_rows_total 3",
        "mainstem_log_next_offset 3",
        "mainstem_checkpoint_offset 3",
        "mainstem_checkpoints_total 1",
        "mainstem_frontier_lag_seconds 0",
        "mainstem_queue_depth 0",
        "mainstem_log_sync_seconds_bucket{le=\"+Inf\"} 3",
        "mainstem_log_sync_seconds_count 3",
        "mainstem_relation_rows{name=\"t\",kind=\"table\"} 3",
        "mainstem_relation_rows{name=\"v\",kind=\"view\"} 2",
        "mainstem_held_by_readers_bytes 0",
    ];
    // What a busy worker does not tell in time is told the next time.
    eventually(|| {
        let page = get(address, "/metrics");
        let is_there = |line: &&str| page.lines().any(|other| other == *line);
        let missing = lines.iter().find(|line| !is_there(line));
        missing.map_or(Ok(()), |line| Err(format!("{line} is not in\n{page}")))
    });
    assert_eq!(get(address, "/healthz"), "ok\n");
    assert!(get(address, "/readyz").starts_with("ready at "));
    engine.shutdown();
}

/// A file system of its own, unmounted when dropped.
pub struct Mount<'d>(&'d Path);

impl<'d> Mount<'d> {
    /// In memory and small; `None` where none can be mounted: it needs rights that a machine need
    /// not give, and the same is tested without a disk.
    pub fn tmpfs(directory: &'d Path, options: &str) -> Option<Mount<'d>> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(directory)
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Mount(directory));
        }
        eprintln!("SKIPPED: no file system can be mounted");
        None
    }

    pub fn path(&self) -> &Path {
        self.0
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_disk_that_really_fills_up_refuses_changes_until_there_is_space() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(mount) = Mount::tmpfs(directory.path(), "size=16m") else {
        return;
    };
    let durability = Durability {
        min_free_bytes: 4 << 20,
        ..Durability::default()
    };
    let options = EngineOptions {
        data_dir: mount.0.join("data"),
        workers: 1,
        history_ms: 0,
    };
    let engine = Engine::open_with(options, &durability, &mut |_| {}).expect("opened");
    runtime().block_on(async {
        let mut session = engine.session();
        run(&mut session, "CREATE TABLE t (id BIGINT, what TEXT)")
            .await
            .expect("created");
        let filler = mount.0.join("filler");
        fs::write(&filler, vec![7; 6 << 20]).expect("a file that fills the disk up");
        let insert = format!("INSERT INTO t VALUES (1, '{}')", "x".repeat(200_000));
        let mut inserted = 0;
        let error = loop {
            match run(&mut session, &insert).await {
                Ok(_) => inserted += 1,
                Err(error) => break error,
            }
            assert!(inserted < 1000, "the disk never fills up");
        };
        assert_eq!(error.sqlstate(), "53100", "{error}");
        let count = "SELECT count(*) AS n FROM t";
        let answer = run(&mut session, count).await.expect("reading goes on");
        assert!(answer.contains(&inserted.to_string()), "{answer}");
        fs::remove_file(filler).expect("there is space again");
        run(&mut session, &insert).await.expect("it is taken again");
    });
    engine.shutdown();
}
