//! The file of a checkpoint: what is written comes back, and no damage goes unnoticed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::{Int64Array, StringArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;

use super::*;
use crate::engine::transaction::CatalogChange;
use crate::log::fs::{FileSystem, MemoryFileSystem};
use crate::model::{Change, ChangeKind, ColumnDefinition, TableDefinition};
use crate::view::TableStore;

const DIRECTORY: &str = "/checkpoints";

fn definition(name: &str, keyed: bool) -> TableDefinition {
    let column = |name: &str, data_type: DataType| ColumnDefinition {
        name: name.to_owned(),
        data_type,
        nullable: true,
        description: String::new(),
        default: None,
        max_length: None,
    };
    TableDefinition {
        name: name.to_owned(),
        description: String::new(),
        columns: vec![
            column("id", DataType::Int64),
            column("what", DataType::Utf8),
        ],
        primary_key: if keyed { vec![0] } else { vec![] },
        version: if keyed { vec![0] } else { vec![] },
        event_identity: if keyed { vec![] } else { vec![0] },
        append_only: false,
    }
}

fn change(table: &str, kind: ChangeKind, ids: std::ops::Range<i64>) -> Change {
    let what = ids.clone().map(|id| format!("what {id}"));
    let what: StringArray = what.map(Some).collect();
    let rows = RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int64Array::from_iter_values(ids)) as _, true),
        ("what", Arc::new(what) as _, true),
    ]);
    Change {
        table: table.into(),
        kind,
        rows: rows.unwrap(),
    }
}

/// An image of two tables with rows, deleted keys and removed events.
fn image(offset: u64) -> CheckpointImage {
    let mut tables = Vec::new();
    for (name, keyed) in [("keyed", true), ("plain", false)] {
        let mut store = TableStore::new(definition(name, keyed)).unwrap();
        let changes = [(ChangeKind::Upsert, 0..9), (ChangeKind::Delete, 2..4)];
        for (timestamp, (kind, ids)) in (1..).zip(changes) {
            store.apply(&change(name, kind, ids), timestamp).unwrap();
        }
        tables.push(store.image(7).unwrap());
    }
    let definitions = ["keyed", "plain"].map(|name| CatalogChange::CreateTable {
        definition: definition(name, name == "keyed"),
    });
    CheckpointImage {
        head: Head {
            offset,
            timestamp_ms: 7,
            definitions: definitions.to_vec(),
            positions: [("shop".to_owned(), "row 5".to_owned())].into(),
            tables: vec!["keyed".to_owned(), "plain".to_owned()],
        },
        tables,
    }
}

fn disk() -> (MemoryFileSystem, Arc<dyn FileSystem>) {
    let memory = MemoryFileSystem::new();
    memory.create_directory(Path::new(DIRECTORY)).unwrap();
    (memory.clone(), Arc::new(memory))
}

fn write_one(file_system: &Arc<dyn FileSystem>, offset: u64) -> CheckpointReport {
    let (image, never) = (image(offset), AtomicBool::new(false));
    write(file_system, Path::new(DIRECTORY), &image, 2, &[], &never).unwrap()
}

#[test]
fn what_is_written_comes_back() {
    let (_, file_system) = disk();
    let report = write_one(&file_system, 42);
    let mut stores: Vec<TableStore> = Vec::new();
    let read = read(file_system.as_ref(), &report.file.path, |content, _| {
        match content {
            CheckpointContent::Head(head) => {
                let names = head.tables.iter();
                stores = names
                    .map(|name| TableStore::new(definition(name, name == "keyed")).unwrap())
                    .collect();
            }
            CheckpointContent::Table(table, content) => match content {
                TableContent::Rows(rows) => stores[table].restore_rows(&rows, 7).unwrap(),
                TableContent::Deletions(rows) => stores[table].restore_deletions(&rows).unwrap(),
                TableContent::ListedEvents(rows) => {
                    stores[table].restore_listed_events(&rows).unwrap();
                }
                TableContent::RemovedEvents(rows) => {
                    stores[table].restore_removed_events(rows).unwrap();
                }
            },
        }
        Ok::<(), CheckpointError>(())
    });
    assert_eq!(read.unwrap(), image(42).head);
    for store in &mut stores {
        assert_eq!(store.snapshot(7).unwrap().row_count(), 7);
        // Deleted keys and removed events are known: what was there before changes nothing.
        let name = store.definition().name.clone();
        let repeated = change(&name, ChangeKind::Upsert, 0..9);
        assert!(store.apply(&repeated, 8).unwrap().is_empty(), "{name}");
    }
}

#[test]
fn every_flipped_byte_and_every_cut_is_noticed() {
    let (memory, file_system) = disk();
    let path = write_one(&file_system, 42).file.path;
    let whole = memory.read(&path).unwrap();
    for position in 0..whole.len() {
        for bits in [0x01, 0x80] {
            let mut bytes = whole.clone();
            bytes[position] ^= bits;
            memory.replace(&path, &bytes).unwrap();
            let error = verify(file_system.as_ref(), &path);
            assert!(error.is_err(), "byte {position} is not checked");
        }
    }
    for length in 0..whole.len() {
        memory.replace(&path, &whole[..length]).unwrap();
        let error = verify(file_system.as_ref(), &path);
        assert!(error.is_err(), "{length} bytes are taken for whole");
    }
    let mut longer = whole.clone();
    longer.push(0);
    memory.replace(&path, &longer).unwrap();
    assert!(verify(file_system.as_ref(), &path).is_err());
    memory.replace(&path, &whole).unwrap();
    verify(file_system.as_ref(), &path).unwrap();
}

#[test]
fn another_version_is_refused_by_name() {
    let (memory, file_system) = disk();
    let path = write_one(&file_system, 42).file.path;
    let mut bytes = memory.read(&path).unwrap();
    bytes[8] = 9;
    let checksum = crc32c::crc32c(&bytes[..12]).to_le_bytes();
    bytes[12..16].copy_from_slice(&checksum);
    memory.replace(&path, &bytes).unwrap();
    let error = verify(file_system.as_ref(), &path).unwrap_err();
    assert!(error.to_string().contains("version 9"), "{error}");
}

#[test]
fn only_the_newest_are_kept_and_damaged_ones_do_not_count() {
    let (memory, file_system) = disk();
    let directory = Path::new(DIRECTORY);
    let offsets = |kept: &[CheckpointFile]| kept.iter().map(|f| f.offset).collect::<Vec<_>>();
    write_one(&file_system, 1);
    assert_eq!(offsets(&write_one(&file_system, 2).kept), [1, 2]);
    assert_eq!(offsets(&write_one(&file_system, 3).kept), [2, 3]);
    let leftover = directory.join(".temporary-x");
    memory.replace(&leftover, b"half").unwrap();
    let damaged: Vec<PathBuf> = vec![list(&memory, directory).unwrap()[1].path.clone()];
    let (image, never) = (image(4), AtomicBool::new(false));
    let report = write(&file_system, directory, &image, 2, &damaged, &never).unwrap();
    assert_eq!(offsets(&report.kept), [2, 4]);
    assert_eq!(offsets(&list(&memory, directory).unwrap()), [2, 4]);
    assert!(!memory.exists(&leftover).unwrap());
}

#[test]
fn a_checkpoint_that_is_given_up_leaves_the_others() {
    let (memory, file_system) = disk();
    write_one(&file_system, 1);
    let given_up = AtomicBool::new(true);
    let written = write(
        &file_system,
        Path::new(DIRECTORY),
        &image(2),
        2,
        &[],
        &given_up,
    );
    assert!(matches!(written, Err(CheckpointError::GivenUp)));
    assert_eq!(list(&memory, Path::new(DIRECTORY)).unwrap().len(), 1);
}
