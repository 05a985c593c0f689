//! Runs a view on the dataflow and the same SQL in DataFusion, and compares.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use arrow::array::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;
use mainstem::dataflow::{Command, TableChange, ViewTask, Workers};
use mainstem::model::{ColumnDefinition, TableDefinition};
use mainstem::sql::aggregates::mode;
use mainstem::sql::functions::json;
use mainstem::sql::{
    Catalog, Planner, SqlError, ViewDefinition, planner, session_state, statement,
};

use super::compare::differences;
use super::history::{Change, History, batch_r, batch_s, schemas};
use super::readers::Readers;
use crate::tools::PATIENCE;

pub struct Harness {
    workers: Workers,
    completed: Receiver<u64>,
    timestamp: u64,
    catalog: Catalog,
    planner: Planner,
    view: Option<ViewDefinition>,
    sql: String,
    readers: Option<Readers>,
    runtime: tokio::runtime::Runtime,
}

/// The catalog of `r` and `s`.
pub fn catalog() -> Catalog {
    let tables = schemas().into_iter().map(|(name, schema)| {
        let columns = schema.fields().iter().map(|field| ColumnDefinition {
            name: field.name().clone(),
            data_type: field.data_type().clone(),
            nullable: field.is_nullable(),
            description: String::new(),
            default: None,
            max_length: None,
        });
        let definition = TableDefinition {
            name: name.to_owned(),
            description: String::new(),
            columns: columns.collect(),
            primary_key: Vec::new(),
            version: Vec::new(),
            event_identity: Vec::new(),
            append_only: false,
        };
        (name.to_owned(), Arc::new(definition))
    });
    Catalog {
        tables: tables.collect(),
        ..Catalog::default()
    }
}

impl Harness {
    pub fn start(workers: usize) -> Harness {
        let (sender, completed) = channel();
        let workers = Workers::start(workers, move |timestamp| {
            let _ = sender.send(timestamp);
        });
        Harness {
            workers: workers.expect("workers start"),
            completed,
            timestamp: 0,
            catalog: catalog(),
            planner: Planner::new(),
            view: None,
            sql: String::new(),
            readers: None,
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .expect("a runtime"),
        }
    }

    pub fn create(&mut self, sql: &str, history: &History) -> Result<(), SqlError> {
        let query = statement::parse_query(sql)?;
        let view = self.planner.plan_view(&self.catalog, "v", &query, sql)?;
        let tables = HashMap::from([
            (Arc::from("r"), vec![batch_r(history.r.iter())]),
            (Arc::from("s"), vec![batch_s(history.s.iter())]),
        ]);
        self.timestamp += 1;
        let command = Command::Create {
            view: Arc::new(ViewTask {
                number: 1,
                name: "v".into(),
                plan: Arc::clone(&view.plan),
                key: view.key.clone(),
                reads: Vec::new(),
            }),
            timestamp_ms: self.timestamp,
            tables: Arc::new(tables),
        };
        self.workers.send(&command).expect("workers run");
        self.view = Some(view);
        self.sql = sql.to_owned();
        self.complete(Vec::new());
        Ok(())
    }

    pub fn commit(&mut self, change: &Change) {
        self.commit_all(&[change]);
    }

    /// Commits changes one after the other without waiting in between, so that the workers may
    /// take in several of them at once.
    pub fn commit_all(&mut self, changes: &[&Change]) {
        for change in changes {
            self.send(change);
        }
        self.wait();
    }

    fn send(&mut self, change: &Change) {
        let mut changes = Vec::new();
        if !change.r.is_empty() {
            changes.push(TableChange {
                table: "r".into(),
                rows: batch_r(change.r.iter().map(|(row, _)| row)),
                counts: Some(change.r.iter().map(|(_, count)| *count).collect()),
            });
        }
        if !change.s.is_empty() {
            changes.push(TableChange {
                table: "s".into(),
                rows: batch_s(change.s.iter().map(|(row, _)| row)),
                counts: Some(change.s.iter().map(|(_, count)| *count).collect()),
            });
        }
        self.timestamp += 1;
        self.advance(changes);
    }

    /// Compares with the answer to another query from here on.
    pub fn expect(&mut self, sql: &str) {
        self.sql = sql.to_owned();
    }

    /// Lets time pass without rows.
    pub fn pass(&mut self, milliseconds: u64) {
        self.timestamp += milliseconds;
        self.complete(Vec::new());
    }

    fn complete(&self, changes: Vec<TableChange>) {
        self.advance(changes);
        self.wait();
    }

    fn advance(&self, changes: Vec<TableChange>) {
        let command = Command::Commit {
            timestamp_ms: self.timestamp,
            changes: Arc::new(changes),
        };
        self.workers.send(&command).expect("workers run");
    }

    fn wait(&self) {
        while self.workers.progress().completed() < self.timestamp {
            if let Some(failure) = self.workers.progress().failure() {
                panic!("a worker failed: {failure}; view: {}", self.sql);
            }
            let waited = self.completed.recv_timeout(PATIENCE);
            assert!(
                waited.is_ok(),
                "nothing happens any more; view: {}",
                self.sql
            );
        }
    }

    /// Compares the view with the answer from scratch, and all ways to read it with each other.
    pub fn assert_equal(&mut self, history: &History, context: &str) {
        let view = self.view.as_ref().expect("a view has been created");
        let published = self.workers.progress().read();
        let shares = &published.views[&1];
        assert_eq!(
            shares.errors(published.timestamp_ms, 3),
            Vec::<String>::new(),
            "{context}"
        );
        let maintained: Vec<RecordBatch> = (0..shares.shares.len())
            .flat_map(|share| shares.scan(share, published.timestamp_ms, None))
            .collect();
        let sql = at_moment(&self.sql, published.timestamp_ms);
        let answer = self.runtime.block_on(batch_answer(&sql, history));
        let (missing, surplus) = differences(&sql, &answer, &maintained);
        if !missing.is_empty() || !surplus.is_empty() {
            panic!(
                "{context}\nplan:\n{}\nmissing: {missing:#?}\nsurplus: {surplus:#?}\nr: {:?}\ns: {:?}",
                view.plan, history.r, history.s
            );
        }
        let readers = self.readers.get_or_insert_with(|| {
            let timestamp_ms = published.timestamp_ms + 1;
            Readers::begin(&self.workers, &view.plan, timestamp_ms)
        });
        readers.assert_equal(&published, context);
    }
}

/// The query with the time written into it.
fn at_moment(sql: &str, timestamp_ms: u64) -> String {
    let moment = format!(
        "arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')",
        timestamp_ms * 1000
    );
    let date = format!("arrow_cast({}, 'Date32')", timestamp_ms / 86_400_000);
    sql.replace("now()", &moment).replace("current_date", &date)
}

/// The plan of a query that is read as every statement is: what binds tighter than what is ours to
/// say, and what is JSON already is told before a plan is made.
pub async fn batch_plan(
    context: &SessionContext,
    sql: &str,
) -> Result<LogicalPlan, DataFusionError> {
    let query = statement::parse_query(sql).map_err(planner::external)?;
    let statement = Statement::Statement(Box::new(ast::Statement::Query(query)));
    json::told(context.state().statement_to_plan(statement).await?)
}

pub async fn batch_answer(sql: &str, history: &History) -> Vec<RecordBatch> {
    let mut context =
        SessionContext::new_with_config(session_state::session_config().with_target_partitions(1));
    mode::register(&mut context).expect("a function");
    json::register(&mut context).expect("functions");
    let tables = [
        ("r", batch_r(history.r.iter())),
        ("s", batch_s(history.s.iter())),
    ];
    for (name, batch) in tables {
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).expect("one schema");
        context
            .register_table(name, Arc::new(table))
            .expect("a new name");
    }
    let plan = batch_plan(&context, sql).await;
    let plan = plan.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let frame = context
        .execute_logical_plan(plan)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    frame
        .collect()
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}
