//! Every version of the formats on disk that was ever written is still read.
//!
//! `fixtures/formats/<version>` is a data directory as that version left it: a checkpoint and a log
//! that goes on behind it; `snapshot-<version>` has a snapshot. MAINSTEM_WRITE_FORMAT=1 writes the
//! data directory anew, which is right only for a
//! version that nobody has yet.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstem::engine::{Durability, Engine, EngineOptions, ViewState, examine};
use mainstem::log::fs::{FileSystem, MemoryFileSystem, RealFileSystem};
use mainstem::log::{Log, LogOptions};
use mainstem::snapshot::{
    LogRange, Moment, SnapshotOptions, SnapshotWriter, latest, list, read, verify,
};

use crate::durability::{
    DATA, answers, define, durability, open as open_in, right_answers, rows_of, submission,
};
use crate::tools::eventually;

const TRANSACTIONS: i64 = 10;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/formats/1")
}

fn open(directory: &Path) -> Engine {
    let options = EngineOptions {
        data_dir: directory.to_path_buf(),
        workers: 1,
        history_ms: 0,
    };
    Engine::open_with(options, &Durability::default(), &mut |_| {}).expect("opened")
}

fn write_fixture() {
    let _ = fs::remove_dir_all(fixture());
    let engine = open(&fixture());
    define(&engine).expect("defined");
    for number in 0..TRANSACTIONS {
        engine.submit(submission(number)).expect("submitted");
        if number == TRANSACTIONS / 2 {
            engine.checkpoint().expect("a checkpoint");
        }
    }
    engine.shutdown();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => fs::copy(entry.path(), target).map(drop).expect("copied"),
        }
    }
}

#[test]
fn version_1_is_read() {
    if std::env::var_os("MAINSTEM_WRITE_FORMAT").is_some() {
        write_fixture();
    }
    let right = right_answers(TRANSACTIONS);
    for without_checkpoint in [false, true] {
        let directory = tempfile::tempdir().expect("a directory");
        copy(&fixture(), directory.path());
        if without_checkpoint {
            fs::remove_dir_all(directory.path().join("checkpoints")).expect("removed");
        }
        let wrong = examine(&RealFileSystem, directory.path()).into_iter();
        let wrong: Vec<_> = wrong.filter(|finding| finding.remedy.is_some()).collect();
        assert_eq!(wrong, Vec::new());
        let engine = open(directory.path());
        assert_eq!(
            engine.recovered().checkpoint_offset.is_none(),
            without_checkpoint
        );
        assert_eq!(answers(&engine), right[TRANSACTIONS as usize]);
        engine.shutdown();
    }
}

#[test]
fn a_snapshot_of_version_1_is_read_and_followed_by_newer_ones() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/formats/snapshot-1");
    let directory = tempfile::tempdir().expect("a directory");
    copy(&root, directory.path());
    let entry = list(&RealFileSystem, directory.path()).expect("listed");
    let [entry] = &entry[..] else {
        panic!("one snapshot: {entry:?}");
    };
    let manifest = verify(&RealFileSystem, &entry.path).expect("whole");
    assert_eq!((manifest.format_version, manifest.rows), (1, 2));
    assert_eq!(manifest.log, None, "it does not name them");
    let batches = read(&entry.path).expect("read");
    let rows = batches.iter().map(|batch| batch.num_rows());
    assert_eq!(rows.sum::<usize>(), 2);

    let writer = SnapshotWriter::new(
        Arc::new(RealFileSystem),
        directory.path(),
        SnapshotOptions::default(),
    );
    let writer = writer.expect("good options");
    for timestamp_ms in [entry.timestamp_ms, entry.timestamp_ms + 1] {
        let moment = Moment {
            timestamp_ms,
            log: Some(LogRange::before(3)),
        };
        let rows = batches
            .iter()
            .cloned()
            .map(Ok::<_, std::convert::Infallible>);
        let report = writer.write("by_shop", moment, batches[0].schema(), rows);
        let existed = timestamp_ms == entry.timestamp_ms;
        assert_eq!(report.expect("written").existed, existed);
    }
    let newest = latest(&RealFileSystem, directory.path(), "by_shop").expect("whole");
    let newest = verify(&RealFileSystem, &newest.expect("one").path).expect("whole");
    assert_eq!(newest.format_version, 2);
    assert_eq!(newest.log, Some(LogRange::before(3)));
}

/// The log as a version would have left it that called a function otherwise.
fn renamed(from: &Arc<dyn FileSystem>, function: &str, other: &str) -> Arc<dyn FileSystem> {
    assert_eq!(function.len(), other.len());
    let directory = Path::new(DATA).join("log");
    let open = |disk: &Arc<dyn FileSystem>| {
        Log::open(Arc::clone(disk), &directory, LogOptions::default()).expect("opened")
    };
    let to: Arc<dyn FileSystem> = Arc::new(MemoryFileSystem::new());
    let (log, mut copy) = (open(from).0, open(&to).0);
    for record in log.read_from(0).expect("the log") {
        let mut record = record.expect("a record");
        let places: Vec<usize> = (0..record.payload.len())
            .filter(|place| record.payload[*place..].starts_with(function.as_bytes()))
            .collect();
        for place in places {
            record.payload[place..place + other.len()].copy_from_slice(other.as_bytes());
        }
        copy.append(record.timestamp_ms, &record.payload)
            .expect("appended");
    }
    copy.sync().expect("synced");
    to
}

#[test]
fn a_view_that_cannot_be_planned_any_more_is_told_of_and_the_rest_goes_on() {
    let disk: Arc<dyn FileSystem> = Arc::new(MemoryFileSystem::new());
    let whole_log = Durability {
        log_retain: None,
        ..durability(&disk)
    };
    let views = |function: &str| {
        [
            (
                "sizes",
                format!("SELECT {function}(version) AS size FROM stock"),
            ),
            ("total", "SELECT sum(size) AS total FROM sizes".to_owned()),
            ("shops", "SELECT DISTINCT shop FROM stock".to_owned()),
        ]
        .map(|(name, query)| {
            let create = format!("CREATE MATERIALIZED VIEW {name} AS {query}");
            (name.to_owned(), create)
        })
    };
    let engine = open_in(&whole_log).expect("opened");
    define(&engine).expect("defined");
    engine.sync_views(&views("abs")).expect("views");
    for number in 0..5 {
        engine.submit(submission(number)).expect("submitted");
    }
    engine.flush().expect("complete");
    let (sizes, shops) = (rows_of(&engine, "sizes"), rows_of(&engine, "shops"));
    engine.shutdown();

    let disk = renamed(&disk, "abs(", "abz(");
    let mut engine = open_in(&durability(&disk)).expect("it starts all the same");
    // From the log, and from a checkpoint.
    for _ in 0..2 {
        let broken = &engine.recovered().broken_views;
        let names: Vec<&str> = broken.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["sizes", "total"]);
        assert!(broken[0].1.contains("abz"), "{}", broken[0].1);
        assert_eq!(engine.views(), ["shops"]);
        assert_eq!(rows_of(&engine, "shops"), shops);
        let (broken, complete) = (ViewState::Broken, ViewState::Complete);
        let expected = [("shops", complete), ("sizes", broken), ("total", broken)];
        // A view counts as being built until all workers have told that they have it.
        eventually(|| {
            let overview = engine.overview();
            let states = overview.views.iter().map(|view| (&*view.name, view.state));
            let mut states: Vec<_> = states.collect();
            states.sort_by_key(|(name, _)| *name);
            match states == expected {
                true => Ok(()),
                false => Err(format!("{states:?}")),
            }
        });
        engine.checkpoint().expect("a checkpoint");
        engine.shutdown();
        engine = open_in(&durability(&disk)).expect("opened again");
    }
    // Written as this version wants it, it runs again.
    engine.sync_views(&views("abs")).expect("views");
    assert_eq!(rows_of(&engine, "sizes"), sizes);
    engine.shutdown();
    let engine = open_in(&durability(&disk)).expect("opened again");
    assert_eq!(engine.recovered().broken_views, Vec::new());
    assert_eq!(rows_of(&engine, "sizes"), sizes);
    engine.shutdown();
}
