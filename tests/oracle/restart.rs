//! The same views and histories through the whole engine, whose machine fails in the middle: what
//! comes back, with another number of workers, has the very bits of what was there before, and
//! goes on with right answers.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::row::{RowConverter, SortField};
use mainstem::engine::{Durability, Engine, EngineOptions};
use mainstem::log::LogOptions;
use mainstem::log::fs::{FileSystem, MemoryFileSystem};
use mainstem::model::{Change as TableChange, ChangeKind, Submission};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::compare::differences;
use super::harness::{batch_answer, catalog};
use super::history::{Change, History, batch_r, batch_s};
use super::{CONSTRUCTS, aggregates, grammar, joins, seed, windows};

const RESTARTS: usize = 3;
const STEPS: usize = 3;
/// Random views beside the constructs.
const RANDOM_VIEWS: usize = 12;

#[test]
fn what_comes_back_has_the_very_bits_of_what_was_there() {
    let seed = seed();
    let mut random = Pcg64::seed_from_u64(seed);
    let constructs = [
        CONSTRUCTS,
        aggregates::ADDITIVE,
        windows::WINDOWS,
        joins::JOINS,
    ];
    let constructs = constructs.concat();
    let mut views: Vec<String> = constructs.into_iter().map(str::to_owned).collect();
    views.extend((0..RANDOM_VIEWS).map(|_| grammar::query(&mut random)));
    for views in views.chunks(30) {
        check(views, &mut random, &format!("ORACLE_SEED={seed}"));
    }
}

fn check(views: &[String], random: &mut Pcg64, context: &str) {
    let mut disk = MemoryFileSystem::new();
    let mut history = History::new();
    let mut engine = open(&disk, 1);
    define(&engine, views);
    for restart in 0..RESTARTS {
        for _ in 0..STEPS {
            let change = history.step(random, 8);
            engine.submit(submission(&change)).expect("submitted");
            if random.random_bool(0.3) {
                engine.checkpoint().expect("a checkpoint");
            }
        }
        engine.flush().expect("complete");
        let before: Vec<_> = (0..views.len()).map(|view| bits(&engine, view)).collect();
        let kept_percent = random.random_range(0..=100);
        let image = disk.crash(random.random_range(0..u64::MAX), kept_percent);
        engine.shutdown();
        disk = image;
        let workers = [2, 3, 1][restart % 3];
        engine = open(&disk, workers);
        let context = format!("{context}, restart {restart} with {workers} workers");
        for (number, sql) in views.iter().enumerate() {
            let is_same = bits(&engine, number) == before[number];
            assert!(is_same, "{context}: {sql}: {history:?}");
        }
        let numbered = views.iter().cloned().enumerate();
        assert_right(&engine, numbered, &history, &context);
    }
    engine.shutdown();
}

pub fn open(disk: &MemoryFileSystem, workers: usize) -> Engine {
    let file_system: Arc<dyn FileSystem> = Arc::new(disk.clone());
    let durability = Durability {
        file_system,
        log: LogOptions {
            segment_bytes: 8000,
            ..LogOptions::default()
        },
        log_retain: Some(std::time::Duration::ZERO),
        ..Durability::default()
    };
    let options = EngineOptions {
        data_dir: PathBuf::from("/data"),
        workers,
        history_ms: 0,
    };
    Engine::open_with(options, &durability, &mut |_| {}).expect("opened")
}

fn define(engine: &Engine, views: &[String]) {
    let tables: Vec<_> = catalog()
        .tables
        .into_values()
        .map(|table| table.as_ref().clone())
        .collect();
    engine.ensure_tables(&tables).expect("tables");
    let views: Vec<_> = views
        .iter()
        .enumerate()
        .map(|(number, sql)| {
            let name = name(number);
            let create = format!("CREATE MATERIALIZED VIEW {name} AS {sql}");
            (name, create)
        })
        .collect();
    engine.sync_views(&views).expect("views");
}

pub fn name(view: usize) -> String {
    format!("v{view}")
}

/// A step of a history as one transaction.
pub fn submission(change: &Change) -> Submission {
    let mut changes = Vec::new();
    for (kind, count) in [(ChangeKind::Upsert, 1), (ChangeKind::Delete, -1)] {
        let r = change.r.iter().filter(|(_, other)| *other == count);
        let s = change.s.iter().filter(|(_, other)| *other == count);
        let tables = [
            ("r", batch_r(r.map(|(row, _)| row))),
            ("s", batch_s(s.map(|(row, _)| row))),
        ];
        for (table, rows) in tables {
            if rows.num_rows() > 0 {
                changes.push(TableChange {
                    table: table.into(),
                    kind,
                    rows,
                });
            }
        }
    }
    Submission {
        changes,
        ..Submission::default()
    }
}

fn rows_of(engine: &Engine, view: usize) -> Vec<RecordBatch> {
    let contents = engine.read().expect("a moment").contents(&name(view));
    let rows = contents.expect("the view").rows;
    rows.map(|batch| batch.expect("rows")).collect()
}

/// All rows of a view as bytes that differ where a bit does, in order.
fn bits(engine: &Engine, view: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for batch in rows_of(engine, view) {
        let schema = batch.schema();
        let fields = schema.fields().iter();
        let fields = fields.map(|field| SortField::new(field.data_type().clone()));
        let converter = RowConverter::new(fields.collect()).expect("comparable types");
        let rows = converter
            .convert_columns(batch.columns())
            .expect("comparable rows");
        all.extend(rows.iter().map(|row| row.as_ref().to_vec()));
    }
    all.sort_unstable();
    all
}

/// Compares views, each with its number, with the answers from scratch.
pub fn assert_right(
    engine: &Engine,
    views: impl Iterator<Item = (usize, String)>,
    history: &History,
    context: &str,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    for (number, sql) in views {
        let answer = runtime.block_on(batch_answer(&sql, history));
        let (missing, surplus) = differences(&sql, &answer, &rows_of(engine, number));
        assert!(
            missing.is_empty() && surplus.is_empty(),
            "{context}: {sql}\nmissing: {missing:#?}\nsurplus: {surplus:#?}\n{history:?}"
        );
    }
}
