//! A small history of all kinds of tables, an engine to live it, and the answers at each of its
//! moments.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;
use mainstem::engine::{Durability, Engine, EngineError, EngineOptions};
use mainstem::log::LogOptions;
use mainstem::log::fs::{FileSystem, MemoryFileSystem};
use mainstem::model::{Change, ChangeKind, ColumnDefinition, Submission, TableDefinition};

pub const DATA: &str = "/data";

/// Names and types of columns, key, version and identity.
type Table = (&'static str, [Vec<usize>; 3]);

/// A keyed table of versions, a table of events that count once, and a plain one.
fn tables() -> Vec<TableDefinition> {
    let tables: [Table; 3] = [
        ("stock", [vec![0], vec![1], vec![]]),
        ("sales", [vec![], vec![], vec![0]]),
        ("notes", [vec![], vec![], vec![]]),
    ];
    let columns = [
        ("id", DataType::Int64),
        ("version", DataType::Int64),
        ("shop", DataType::Utf8),
    ];
    let columns = columns.map(|(name, data_type)| ColumnDefinition {
        name: name.to_owned(),
        data_type,
        nullable: false,
        description: String::new(),
        default: None,
        max_length: None,
    });
    let define = |(name, [primary_key, version, event_identity]): Table| TableDefinition {
        name: name.to_owned(),
        description: String::new(),
        columns: columns.to_vec(),
        primary_key,
        version,
        event_identity,
        append_only: false,
    };
    tables.map(define).to_vec()
}

const VIEWS: [(&str, &str); 2] = [
    (
        "by_shop",
        "CREATE MATERIALIZED VIEW by_shop AS SELECT s.shop, count(*) AS items, \
         CAST(sum(s.version) AS BIGINT) AS versions FROM stock s GROUP BY s.shop",
    ),
    (
        "sold",
        "CREATE MATERIALIZED VIEW sold AS SELECT a.id, a.shop, b.version FROM sales a \
         JOIN stock b ON a.id = b.id",
    ),
];

pub fn change(table: &str, kind: ChangeKind, rows: &[(i64, i64, &str)]) -> Change {
    let ids = Int64Array::from_iter_values(rows.iter().map(|row| row.0));
    let versions = Int64Array::from_iter_values(rows.iter().map(|row| row.1));
    let shops = StringArray::from_iter_values(rows.iter().map(|row| row.2));
    let definition = tables().into_iter().find(|other| other.name == table);
    let schema = definition.expect("a table of the test").schema();
    let columns = vec![
        Arc::new(ids) as _,
        Arc::new(versions) as _,
        Arc::new(shops) as _,
    ];
    Change {
        table: table.into(),
        kind,
        rows: RecordBatch::try_new(schema, columns).expect("rows of the table"),
    }
}

/// The transaction with this number: every one changes some answer.
pub fn submission(number: i64) -> Submission {
    let shop = ["north", "south", "west"][number as usize % 3];
    let item = number % 7;
    let mut changes = vec![
        change("stock", ChangeKind::Upsert, &[(item, 10 * number, shop)]),
        change(
            "sales",
            ChangeKind::Upsert,
            &[(number, 1, shop), (number / 2, 1, shop)],
        ),
        change(
            "notes",
            ChangeKind::Upsert,
            &[(number, 0, shop), (number, 0, shop)],
        ),
    ];
    if number % 4 == 3 {
        // A deletion, the row it beats although it comes later, and a removed event that comes
        // again: all three rest on what is remembered beside the rows.
        let gone = (item + 1) % 7;
        changes.push(change(
            "stock",
            ChangeKind::Delete,
            &[(gone, 10 * number + 5, shop)],
        ));
        changes.push(change(
            "sales",
            ChangeKind::Delete,
            &[(number - 1, 1, "west")],
        ));
        changes.push(change(
            "notes",
            ChangeKind::Delete,
            &[(number - 2, 0, "south")],
        ));
    }
    if number % 4 == 0 && number > 0 {
        let gone = number % 7;
        changes.push(change(
            "stock",
            ChangeKind::Upsert,
            &[(gone, 10 * number - 6, "late")],
        ));
        changes.push(change(
            "sales",
            ChangeKind::Upsert,
            &[(number - 2, 1, "again")],
        ));
    }
    Submission {
        changes,
        timestamp_ms: None,
        position: Some(("shop".to_owned(), number.to_string())),
    }
}

fn options() -> EngineOptions {
    EngineOptions {
        data_dir: Path::new(DATA).to_path_buf(),
        workers: 1,
        history_ms: 0,
    }
}

/// Small segments, of which none is kept longer than it must be.
pub fn durability(file_system: &Arc<dyn FileSystem>) -> Durability {
    Durability {
        file_system: Arc::clone(file_system),
        log: LogOptions {
            segment_bytes: 4000,
            ..LogOptions::default()
        },
        log_retain: Some(Duration::ZERO),
        checkpoint_retain: 2,
        ..Durability::default()
    }
}

pub fn open(durability: &Durability) -> Result<Engine, EngineError> {
    Engine::open_with(options(), durability, &mut |_| {})
}

pub fn define(engine: &Engine) -> Result<(), EngineError> {
    engine.ensure_tables(&tables())?;
    let views = VIEWS.map(|(name, sql)| (name.to_owned(), sql.to_owned()));
    engine.sync_views(&views)
}

/// All rows of a table or view as sorted text.
pub fn rows_of(engine: &Engine, name: &str) -> Vec<String> {
    let point = engine.read().expect("a moment");
    let contents = point.contents(name).expect("contents");
    let mut rows = Vec::new();
    for batch in contents.rows {
        let batch = batch.expect("rows");
        for row in 0..batch.num_rows() {
            let values = batch
                .columns()
                .iter()
                .map(|column| match column.data_type() {
                    DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
                    _ => column.as_string::<i32>().value(row).to_owned(),
                });
            rows.push(values.collect::<Vec<_>>().join(","));
        }
    }
    rows.sort();
    rows
}

/// Everything that can be asked, and the position of the source.
pub fn answers(engine: &Engine) -> Vec<(String, Vec<String>)> {
    let names = ["stock", "sales", "notes", "by_shop", "sold"];
    let rows = names.map(|name| (name.to_owned(), rows_of(engine, name)));
    let positions = engine.source_positions();
    let position = positions.get("shop").cloned().unwrap_or_default();
    let mut answers = rows.to_vec();
    answers.push(("position".to_owned(), vec![position]));
    answers
}

/// The right answers after so many transactions, from an engine that never stopped.
pub fn right_answers(count: i64) -> Vec<Vec<(String, Vec<String>)>> {
    let file_system: Arc<dyn FileSystem> = Arc::new(MemoryFileSystem::new());
    let engine = open(&durability(&file_system)).expect("opened");
    define(&engine).expect("defined");
    let mut right = vec![answers(&engine)];
    for number in 0..count {
        engine.submit(submission(number)).expect("submitted");
        engine.flush().expect("complete");
        right.push(answers(&engine));
    }
    engine.shutdown();
    right
}
