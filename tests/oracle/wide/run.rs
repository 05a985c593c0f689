//! Runs a case on the dataflow and in DataFusion, and compares after every transaction.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use mainstem::dataflow::{Command, TableChange, ViewTask, Workers};
use mainstem::sql::aggregates::{extremes, mode};
use mainstem::sql::functions::json;
use mainstem::sql::{Catalog, Planner, SqlError, ViewDefinition, session_state, statement};

use super::super::compare::differences;
use super::super::harness::batch_plan;
use super::case::{Case, Change};
use super::table::{Row, Table};
use crate::tools::PATIENCE;

/// What views refuse, as docs/sql-queries.md says: the order of lists is not that of their encoding.
const UNORDERED: &str = "refused: ordering by values of type List";

/// How a case without fault ends.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answers were equal after every step.
    Equal,
    /// DataFusion itself has no plan for the query, or it orders by lists.
    Refused,
}

/// Runs a case; what is wrong, if anything is.
pub fn run(case: &Case) -> Result<Outcome, String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| run_steps(case)));
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

fn run_steps(case: &Case) -> Result<Outcome, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    let mut rows: Vec<Vec<Row>> = vec![Vec::new(); case.tables.len()];
    let mut running: Option<Running> = None;
    let words = case.words.as_deref().unwrap_or(&case.view);
    for (number, step) in case.steps.iter().enumerate() {
        let applied = apply(&case.tables, &mut rows, step);
        let tables = tables(case, &rows);
        let answer = match runtime.block_on(answer(words, &tables)) {
            Ok(answer) => answer,
            Err(error) if is_not_there(&error) || number == 0 && has_no_plan(&error) => {
                // Nor may planning the view end in anything but an answer or a reason.
                let _ = planned(case);
                return Ok(Outcome::Refused);
            }
            Err(error) => return Err(format!("step {number}: DataFusion: {error}")),
        };
        let running = match &mut running {
            None => match Running::start(case, &tables) {
                Err(problem) if problem.contains(UNORDERED) => return Ok(Outcome::Refused),
                started => running.insert(started?),
            },
            Some(running) => {
                running.commit(case, &applied)?;
                running
            }
        };
        running
            .compare(&answer, words)
            .map_err(|problem| format!("step {number}: {problem}"))?;
    }
    Ok(Outcome::Equal)
}

/// Whether DataFusion has no implementation of something, which may show only once there are rows
/// for it. Other errors may be about the rows, which views must then get right: they are failures.
fn is_not_there(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::NotImplemented(_) => true,
        DataFusionError::ArrowError(error, _) => {
            matches!(**error, ArrowError::NotYetImplemented(_))
        }
        _ => false,
    }
}

/// Whether DataFusion cannot make a plan of the query, whatever the rows are.
fn has_no_plan(error: &DataFusionError) -> bool {
    matches!(
        error.find_root(),
        DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::Internal(_)
            | DataFusionError::External(_)
    )
}

/// Makes the changes of a step; those that do something, with the rows whose place others take.
fn apply(tables: &[Table], rows: &mut [Vec<Row>], step: &[Change]) -> Vec<Change> {
    let mut applied = Vec::new();
    for change in step {
        let rows = &mut rows[change.table];
        let table = &tables[change.table];
        match change.goes {
            false => {
                let older = rows.iter().position(|row| table.is_same(row, &change.row));
                if let Some(position) = older {
                    applied.push(Change {
                        table: change.table,
                        row: rows.swap_remove(position),
                        goes: true,
                    });
                }
                rows.push(change.row.clone());
            }
            true => match rows.iter().position(|row| *row == change.row) {
                Some(position) => drop(rows.swap_remove(position)),
                None => continue,
            },
        }
        applied.push(change.clone());
    }
    applied
}

fn tables(case: &Case, rows: &[Vec<Row>]) -> Vec<(String, RecordBatch)> {
    let tables = case.tables.iter().zip(rows);
    tables
        .map(|(table, rows)| {
            (
                table.name.clone(),
                table.batch(&rows.iter().collect::<Vec<_>>()),
            )
        })
        .collect()
}

async fn answer(
    sql: &str,
    tables: &[(String, RecordBatch)],
) -> Result<Vec<RecordBatch>, DataFusionError> {
    let config = session_state::session_config().with_target_partitions(1);
    let mut context = SessionContext::new_with_config(config);
    json::register(&mut context)?;
    extremes::register(&mut context)?;
    mode::register(&mut context)?;
    for (name, rows) in tables {
        let table = MemTable::try_new(rows.schema(), vec![vec![rows.clone()]])?;
        context.register_table(name.as_str(), Arc::new(table))?;
    }
    let plan = batch_plan(&context, sql).await?;
    context.execute_logical_plan(plan).await?.collect().await
}

/// The view as it is maintained.
fn planned(case: &Case) -> Result<ViewDefinition, String> {
    let definitions = case.tables.iter();
    let definitions = definitions.map(|table| (table.name.clone(), Arc::new(table.definition())));
    let catalog = Catalog {
        tables: definitions.collect(),
        ..Catalog::default()
    };
    let refused = |error: SqlError| {
        let hint = error.hint.clone().unwrap_or_default();
        format!("refused: {error} {hint}")
    };
    let query = statement::parse_query(&case.view).map_err(refused)?;
    let view = Planner::new().plan_view(&catalog, "v", &query, &case.view);
    view.map_err(refused)
}

/// The view on workers.
struct Running {
    workers: Workers,
    completed: Receiver<u64>,
    timestamp_ms: u64,
    plan: String,
}

impl Running {
    fn start(case: &Case, tables: &[(String, RecordBatch)]) -> Result<Running, String> {
        let (sender, completed) = channel();
        let workers = Workers::start(case.workers, move |timestamp| {
            let _ = sender.send(timestamp);
        });
        let view = planned(case)?;
        let contents: HashMap<Arc<str>, Vec<RecordBatch>> = tables
            .iter()
            .map(|(name, rows)| (Arc::from(name.as_str()), vec![rows.clone()]))
            .collect();
        let command = Command::Create {
            view: Arc::new(ViewTask {
                number: 1,
                name: "v".into(),
                plan: Arc::clone(&view.plan),
                key: view.key.clone(),
                reads: Vec::new(),
            }),
            timestamp_ms: 1,
            tables: Arc::new(contents),
        };
        let workers = workers.map_err(|error| error.to_string())?;
        workers.send(&command).map_err(|error| error.to_string())?;
        let mut running = Running {
            workers,
            completed,
            timestamp_ms: 0,
            plan: view.plan.to_string(),
        };
        running.advance(Vec::new())?;
        Ok(running)
    }

    fn commit(&mut self, case: &Case, changes: &[Change]) -> Result<(), String> {
        let mut of_tables = Vec::new();
        for (number, table) in case.tables.iter().enumerate() {
            let changes = changes.iter().filter(|change| change.table == number);
            let (rows, counts): (Vec<&Row>, Vec<i64>) = changes
                .map(|change| (&change.row, if change.goes { -1 } else { 1 }))
                .unzip();
            if !rows.is_empty() {
                of_tables.push(TableChange {
                    table: Arc::from(table.name.as_str()),
                    rows: table.batch(&rows),
                    counts: Some(counts.into_iter().collect()),
                });
            }
        }
        self.advance(of_tables)
    }

    fn advance(&mut self, changes: Vec<TableChange>) -> Result<(), String> {
        self.timestamp_ms += 1;
        let command = Command::Commit {
            timestamp_ms: self.timestamp_ms,
            changes: Arc::new(changes),
        };
        let sent = self.workers.send(&command);
        sent.map_err(|error| error.to_string())?;
        while self.workers.progress().completed() < self.timestamp_ms {
            if let Some(failure) = self.workers.progress().failure() {
                return Err(format!("a worker failed: {failure}\n{}", self.plan));
            }
            let waited = self.completed.recv_timeout(PATIENCE);
            waited.map_err(|_| "nothing happens any more".to_owned())?;
        }
        Ok(())
    }

    fn compare(&self, answer: &[RecordBatch], sql: &str) -> Result<(), String> {
        let published = self.workers.progress().read();
        let view = &published.views[&1];
        let errors = view.errors(published.timestamp_ms, 3);
        if !errors.is_empty() {
            return Err(format!("rows failed: {errors:?}\n{}", self.plan));
        }
        let shares = 0..view.shares.len();
        let maintained: Vec<RecordBatch> = shares
            .flat_map(|share| view.scan(share, published.timestamp_ms, None))
            .collect();
        match differences(sql, answer, &maintained) {
            (missing, surplus) if missing.is_empty() && surplus.is_empty() => Ok(()),
            (missing, surplus) => Err(format!(
                "missing: {missing:#?}\nsurplus: {surplus:#?}\n{}",
                self.plan
            )),
        }
    }
}
