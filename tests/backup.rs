//! Backups under load, restoring, and what the doctor finds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use mainstem::engine::backup::{BackupError, back_up, restore};
use mainstem::engine::{Engine, EngineOptions, examine};
use mainstem::log::fs::{FileSystem, MemoryFileSystem};

use crate::durability::{DATA, answers, define, durability, open, right_answers, submission};

fn memory() -> (MemoryFileSystem, Arc<dyn FileSystem>) {
    let memory = MemoryFileSystem::new();
    (memory.clone(), Arc::new(memory))
}

fn open_at(file_system: &Arc<dyn FileSystem>, directory: &str) -> Engine {
    let options = EngineOptions {
        data_dir: PathBuf::from(directory),
        workers: 1,
        history_ms: 0,
    };
    Engine::open_with(options, &durability(file_system), &mut |_| {}).expect("opened")
}

#[test]
fn a_backup_taken_under_load_is_a_moment_of_the_engine() {
    const COUNT: i64 = 40;
    let right = right_answers(COUNT);
    let (_, file_system) = memory();
    let engine = open(&durability(&file_system)).expect("opened");
    define(&engine).expect("defined");
    let acknowledged = AtomicI64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..COUNT {
                engine.submit(submission(number)).expect("submitted");
                acknowledged.store(number + 1, Ordering::SeqCst);
                if number % 3 == 0 {
                    engine.checkpoint().expect("a checkpoint");
                }
            }
        });
        for number in 0..8 {
            let (backup, restored) = (format!("/backup{number}"), format!("/restored{number}"));
            let before = acknowledged.load(Ordering::SeqCst);
            let label = back_up(file_system.as_ref(), Path::new(DATA), Path::new(&backup));
            let label = label.expect("a backup");
            let again = restore(
                file_system.as_ref(),
                Path::new(&backup),
                Path::new(&restored),
            );
            assert_eq!(again.expect("restored"), label);
            let copy = open_at(&file_system, &restored);
            assert_eq!(copy.recovered().timestamp_ms, label.timestamp_ms);
            assert!(
                copy.recovered().cut.is_none(),
                "the copy ends with a whole record"
            );
            let found = answers(&copy);
            let moment = right.iter().position(|answers| *answers == found);
            let moment = moment.expect("the answers of a moment");
            assert!(
                moment as i64 >= before,
                "{moment} is before the backup began"
            );
            copy.shutdown();
        }
    });
    engine.shutdown();
}

#[test]
fn a_backup_outlives_its_original() {
    let (memory, file_system) = memory();
    let engine = open(&durability(&file_system)).expect("opened");
    define(&engine).expect("defined");
    for number in 0..7 {
        engine.submit(submission(number)).expect("submitted");
        if number == 4 {
            engine.checkpoint().expect("a checkpoint");
        }
    }
    engine.flush().expect("complete");
    let right = answers(&engine);
    engine.shutdown();
    back_up(&memory, Path::new(DATA), Path::new("/backup")).expect("a backup");
    // A power cut right after it takes nothing of it.
    let memory = memory.crash(0, 0);
    memory
        .remove_directory(Path::new(DATA))
        .expect("the original is lost");
    restore(&memory, Path::new("/backup"), Path::new("/new")).expect("restored");
    let memory = memory.crash(0, 0);
    let file_system: Arc<dyn FileSystem> = Arc::new(memory);
    let engine = open_at(&file_system, "/new");
    assert_eq!(answers(&engine), right);
    engine.submit(submission(7)).expect("it goes on");
    engine.shutdown();
}

#[test]
fn damaged_unfinished_and_misplaced_backups_are_refused() {
    let (memory, file_system) = memory();
    let engine = open(&durability(&file_system)).expect("opened");
    define(&engine).expect("defined");
    for number in 0..5 {
        engine.submit(submission(number)).expect("submitted");
    }
    engine.checkpoint().expect("a checkpoint");
    engine.shutdown();
    let backup = Path::new("/backup");
    let label = back_up(&memory, Path::new(DATA), backup).expect("a backup");

    let occupied = back_up(&memory, Path::new(DATA), backup).expect_err("not empty");
    assert!(matches!(occupied, BackupError::NotEmpty { .. }));
    let occupied = restore(&memory, backup, Path::new(DATA)).expect_err("not empty");
    assert!(matches!(occupied, BackupError::NotEmpty { .. }));
    let nothing = back_up(&memory, Path::new("/"), Path::new("/other")).expect_err("no log");
    assert!(matches!(nothing, BackupError::NoLog { .. }));

    for (number, file) in label.files.iter().enumerate() {
        let path = backup.join(&file.directory).join(&file.name);
        let whole = memory.read(&path).expect("a file of the backup");
        let mut bytes = whole.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 16;
        memory.replace(&path, &bytes).expect("damaged");
        let target = format!("/damaged{number}");
        let error = restore(&memory, backup, Path::new(&target)).expect_err("damaged");
        assert!(error.to_string().contains(&file.name), "{error}");
        memory.replace(&path, &whole).expect("put back");
    }
    memory
        .remove_file(&backup.join("backup.json"))
        .expect("removed");
    let error = restore(&memory, backup, Path::new("/unfinished")).expect_err("unfinished");
    assert!(matches!(error, BackupError::NoBackup { .. }));
}

/// What the doctor finds wrong.
fn wrong(memory: &MemoryFileSystem) -> Vec<String> {
    let findings = examine(memory, Path::new(DATA)).into_iter();
    let wrong = findings.filter(|finding| finding.remedy.is_some());
    wrong
        .map(|finding| format!("{}: {}", finding.path.display(), finding.what))
        .collect()
}

#[test]
fn the_doctor_finds_what_is_damaged_and_changes_nothing() {
    let (memory, file_system) = memory();
    let engine = open(&durability(&file_system)).expect("opened");
    define(&engine).expect("defined");
    for number in 0..9 {
        engine.submit(submission(number)).expect("submitted");
        if number % 4 == 0 {
            engine.checkpoint().expect("a checkpoint");
        }
    }
    assert_eq!(wrong(&memory), Vec::<String>::new(), "while it runs");
    engine.shutdown();
    assert_eq!(wrong(&memory), Vec::<String>::new());
    for directory in ["log", "checkpoints"] {
        let directory = Path::new(DATA).join(directory);
        for name in memory.list(&directory).expect("files") {
            let path = directory.join(name);
            let whole = memory.read(&path).expect("a file");
            let mut bytes = whole.clone();
            bytes[whole.len() / 3] ^= 1;
            memory.replace(&path, &bytes).expect("damaged");
            let found = wrong(&memory);
            let place = path.display().to_string();
            assert!(
                found.iter().any(|what| what.contains(&place)),
                "{place}: {found:?}"
            );
            assert_eq!(
                memory.read(&path).expect("a file"),
                bytes,
                "nothing is changed"
            );
            memory.replace(&path, &whole).expect("put back");
        }
    }
    assert_eq!(wrong(&memory), Vec::<String>::new());
}
