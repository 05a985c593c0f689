//! Checkpoints, snapshots and backups leave the log its space.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use mainstem::engine::backup::back_up;
use mainstem::engine::checkpoint::CHECKPOINT_DIRECTORY;
use mainstem::engine::{Durability, Engine, EngineOptions};
use mainstem::log::fs::{FileSystem, MemoryFileSystem, ModestFileSystem};
use mainstem::model::{Change, ChangeKind, Submission};
use mainstem::snapshot::{Moment, SnapshotOptions, SnapshotWriter};

use rand::distr::{Alphanumeric, Distribution};

use super::{DATA, answers, define, durability, open, right_answers, submission};
use crate::engine::{run, runtime};
use crate::operations::Mount;
use crate::tools::{mainstem, mainstem_succeeds, text_of};

#[test]
fn a_checkpoint_that_would_take_the_logs_space_is_not_begun() {
    let memory = MemoryFileSystem::new();
    let file_system: Arc<dyn FileSystem> = Arc::new(memory.clone());
    let durability = Durability {
        min_free_bytes: 100_000,
        ..durability(&file_system)
    };
    let engine = open(&durability).expect("opened");
    define(&engine).expect("defined");
    engine.submit(submission(0)).expect("submitted");
    memory.set_free_bytes(200_010);
    let error = engine.checkpoint().expect_err("there is no room");
    assert!(error.to_string().contains("log.min_free"), "{error}");
    let checkpoints = Path::new(DATA).join(CHECKPOINT_DIRECTORY);
    let left = memory.list(&checkpoints).expect("listed");
    assert_eq!(left, Vec::<String>::new());
    engine.submit(submission(1)).expect("the log has its space");
    memory.set_free_bytes(1 << 20);
    engine.checkpoint().expect("there is room again");
    engine.submit(submission(2)).expect("submitted");
    // The next one is as long as this one at least.
    memory.set_free_bytes(200_100);
    engine.checkpoint().expect_err("there is no room");
    assert_eq!(memory.list(&checkpoints).expect("listed").len(), 1);
    engine.flush().expect("complete");
    assert_eq!(answers(&engine), right_answers(3)[3]);
    engine.shutdown();
}

#[test]
fn backups_and_snapshots_that_would_take_the_logs_space_leave_nothing_behind() {
    let memory = MemoryFileSystem::new();
    let file_system: Arc<dyn FileSystem> = Arc::new(memory.clone());
    let engine = open(&durability(&file_system)).expect("opened");
    define(&engine).expect("defined");
    for number in 0..3 {
        engine.submit(submission(number)).expect("submitted");
    }
    engine.shutdown();
    memory.set_free_bytes(1010);
    let modest = ModestFileSystem::new(Arc::clone(&file_system), 1000);
    let backup = Path::new("/backup");
    let error = back_up(&modest, Path::new(DATA), backup).expect_err("there is no room");
    assert!(error.to_string().contains("log.min_free"), "{error}");
    assert_eq!(memory.list(backup).expect("listed"), Vec::<String>::new());
    let writer = SnapshotWriter::new(Arc::new(modest), "/snapshots", SnapshotOptions::default());
    let numbers = Arc::new(Int64Array::from_iter_values(0..10_000)) as _;
    let rows = RecordBatch::try_from_iter([("n", numbers)]).expect("rows");
    let moment = Moment {
        timestamp_ms: 1,
        log: None,
    };
    let write = || {
        let rows = [Ok::<_, std::io::Error>(rows.clone())];
        let writer = writer.as_ref().expect("good options");
        writer.write("v", moment, rows[0].as_ref().expect("rows").schema(), rows)
    };
    let error = write().expect_err("there is no room");
    assert!(error.to_string().contains("log.min_free"), "{error}");
    assert_eq!(
        memory.list(Path::new("/snapshots/v")).expect("listed"),
        [".lock"]
    );
    memory.set_free_bytes(1 << 20);
    write().expect("there is room");
    back_up(&memory, Path::new(DATA), backup).expect("there is room");
}

#[test]
fn a_checkpoint_that_fills_the_disk_up_is_given_up_and_changes_go_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(mount) = Mount::tmpfs(directory.path(), "size=16m") else {
        return;
    };
    let durability = Durability {
        min_free_bytes: 1 << 20,
        ..Durability::default()
    };
    let options = EngineOptions {
        data_dir: mount.path().join("data"),
        workers: 1,
        history_ms: 0,
    };
    let engine = Engine::open_with(options, &durability, &mut |_| {}).expect("opened");
    let checkpoints = mount.path().join("data").join(CHECKPOINT_DIRECTORY);
    runtime().block_on(async {
        let mut session = engine.session();
        let table = "CREATE TABLE t (id BIGINT, what TEXT)";
        run(&mut session, table).await.expect("created");
        // Of texts that cannot be made shorter, the log has more than half of the disk.
        while free_bytes(mount.path()) > 7 << 20 {
            engine.submit(texts()).expect("submitted");
        }
        let checkpoint = {
            let engine = engine.clone();
            tokio::task::spawn_blocking(move || engine.checkpoint())
        };
        let error = checkpoint
            .await
            .expect("it ends")
            .expect_err("there is no room");
        assert!(error.to_string().contains("log.min_free"), "{error}");
        let left = fs::read_dir(&checkpoints).expect("listed").count();
        assert_eq!(left, 0, "what was begun is gone");
        assert!(free_bytes(mount.path()) > 6 << 20);
        run(&mut session, "INSERT INTO t VALUES (0, 'more')")
            .await
            .expect("changes go on");
    });
    engine.shutdown();
}

/// 256 KiB that no compression makes much shorter.
fn texts() -> Submission {
    let letters = || {
        Alphanumeric
            .sample_iter(rand::rng())
            .take(1024)
            .map(char::from)
    };
    let texts = (0..256).map(|_| Some(letters().collect::<String>()));
    let columns = [
        (
            "id",
            Arc::new(Int64Array::from_iter_values(0..256)) as ArrayRef,
            true,
        ),
        (
            "what",
            Arc::new(texts.collect::<StringArray>()) as ArrayRef,
            true,
        ),
    ];
    let rows = RecordBatch::try_from_iter_with_nullable(columns).expect("rows");
    let change = Change {
        table: Arc::from("t"),
        kind: ChangeKind::Upsert,
        rows,
    };
    Submission {
        changes: vec![change],
        ..Submission::default()
    }
}

fn free_bytes(path: &Path) -> u64 {
    mainstem::log::fs::RealFileSystem
        .free_bytes(path)
        .expect("known")
}

#[test]
fn commands_leave_the_log_its_space() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = crate::engine::open(&directory.path().join("mainstem-data"), 1);
    runtime().block_on(async {
        let mut session = engine.session();
        let table = "CREATE TABLE t (id BIGINT); INSERT INTO t VALUES (1)";
        for statement in table.split("; ") {
            run(&mut session, statement).await.expect("created");
        }
        let view = "CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM t";
        run(&mut session, view).await.expect("created");
    });
    engine.shutdown();
    let snapshot = [
        "snapshot",
        "--data-dir",
        "mainstem-data",
        "--snapshot-dir",
        "s",
    ];
    let backup = ["backup", "copy"];
    for command in [&snapshot[..], &backup[..]] {
        let refused = Command::new(env!("CARGO_BIN_EXE_mainstem"))
            .args(command)
            .env("MAINSTEM_LOG_MIN_FREE", "1000000 GiB")
            .current_dir(directory.path())
            .output()
            .expect("mainstem starts");
        let told = text_of(&refused);
        assert_eq!(refused.status.code(), Some(1), "{told}");
        assert!(told.contains("log.min_free"), "{told}");
    }
    mainstem_succeeds(directory.path(), &backup);
    mainstem_succeeds(directory.path(), &snapshot);
    // Who may read what: nobody else the copy, everybody the snapshot that the umask allows.
    let found = mainstem(directory.path(), &["doctor", "--data-dir", "copy"]);
    assert!(
        text_of(&found).contains("other users can't read it"),
        "{}",
        text_of(&found)
    );
    let data = directory.path().join("mainstem-data");
    let opened = Command::new("chmod")
        .args(["-R", "go=rX"])
        .arg(&data)
        .status();
    assert!(opened.expect("chmod starts").success());
    let found = mainstem(directory.path(), &["doctor"]);
    let told = text_of(&found);
    assert_eq!(found.status.code(), Some(1), "{told}");
    assert!(
        told.contains("other users may read it") && told.contains("chmod"),
        "{told}"
    );
}
