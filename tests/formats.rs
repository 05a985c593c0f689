//! Every version of the formats on disk that was ever written is still read.
//!
//! `fixtures/formats/<version>` is a data directory as that version left it: a checkpoint and a log
//! that goes on behind it. MAINSTEM_WRITE_FORMAT=1 writes it anew, which is right only for a
//! version that nobody has yet.

use std::fs;
use std::path::{Path, PathBuf};

use mainstem::engine::{Durability, Engine, EngineOptions, examine};
use mainstem::log::fs::RealFileSystem;

use crate::durability::{answers, define, right_answers, submission};

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
