//! The SQL logic tests: every file of tests/slt, run through the engine.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use mainstem::engine::{Engine, EngineError, Outcome, Session};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

use crate::engine::open;

/// One session with an engine of its own.
struct Database {
    engine: Engine,
    session: Session,
    _directory: tempfile::TempDir,
}

impl Database {
    fn new() -> Database {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = open(directory.path(), 2);
        Database {
            session: engine.session(),
            engine,
            _directory: directory,
        }
    }
}

#[async_trait::async_trait]
impl AsyncDB for Database {
    type Error = EngineError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, EngineError> {
        let mut output = DBOutput::StatementComplete(0);
        for statement in self.session.parse(sql)? {
            output = match self.session.execute(&statement, &[]).await? {
                Outcome::Done(tag) => {
                    let count = tag.rsplit(' ').next().and_then(|word| word.parse().ok());
                    DBOutput::StatementComplete(count.unwrap_or(0))
                }
                Outcome::Rows(rows) | Outcome::Returned { rows, .. } => {
                    let schema = rows.schema();
                    let batches: Vec<RecordBatch> = rows.try_collect().await?;
                    let types = schema
                        .fields()
                        .iter()
                        .map(|field| letter(field.data_type()));
                    DBOutput::Rows {
                        types: types.collect(),
                        rows: batches.iter().flat_map(texts).collect(),
                    }
                }
                _ => DBOutput::StatementComplete(0),
            };
        }
        Ok(output)
    }

    async fn shutdown(&mut self) {
        self.engine.shutdown();
    }

    fn error_sql_state(error: &EngineError) -> Option<String> {
        Some(error.sqlstate().to_owned())
    }
}

fn letter(data_type: &DataType) -> DefaultColumnType {
    match data_type {
        _ if data_type.is_integer() => DefaultColumnType::Integer,
        _ if data_type.is_floating() => DefaultColumnType::FloatingPoint,
        DataType::Decimal128(..) => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Text,
    }
}

fn texts(rows: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<ArrayFormatter<'_>> = rows
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).expect("printable"))
        .collect();
    let text = |column: &dyn Array, formatter: &ArrayFormatter<'_>, row: usize| {
        let text = formatter.value(row).to_string();
        match text.is_empty() && !column.is_null(row) {
            true => "(empty)".to_owned(),
            false => text.replace('\n', "\\n"),
        }
    };
    (0..rows.num_rows())
        .map(|row| {
            let cells = rows.columns().iter().zip(&columns);
            cells
                .map(|(column, formatter)| text(column.as_ref(), formatter, row))
                .collect()
        })
        .collect()
}

#[test]
fn the_sql_logic_tests_pass() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/slt");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .collect();
    files.sort();
    assert!(files.len() >= 8, "there are files");
    let runtime = crate::engine::runtime();
    let mut failures = Vec::new();
    for file in files {
        let mut runner = Runner::new(|| async { Ok(Database::new()) });
        let outcome = runtime.block_on(async {
            let outcome = runner.run_file_async(&file).await;
            runner.shutdown_async().await;
            outcome
        });
        if let Err(error) = outcome {
            failures.push(error.display(false).to_string());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
