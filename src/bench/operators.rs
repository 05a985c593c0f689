//! The operators one by one, without log and tables: what each costs a row.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;

use super::BenchError;
use super::report::{Better, Plot, Report, spread};
use super::throughput::numbered;
use super::workload::{Workload, rows_of, take};
use crate::dataflow::{Command, Mergeable, TableChange, Tables, ViewTask, Workers};
use crate::model::Submission;
use crate::sql::{Catalog, Planner, statement};

/// Rows of a transaction.
const TRANSACTION: usize = 16_384;

/// The number of the view that is measured.
const VIEW: u64 = 1;

/// What is read where scans are measured: rows as they are kept, and rows made of groups' sums.
const ROWS: (&str, &str) = ("arrange rows", "SELECT * FROM lines");
const GROUPS: (&str, &str) = (
    "sums, a group per line",
    "SELECT product_id, store_id, sold_at, sum(sales_minor) FROM lines GROUP BY product_id, store_id, sold_at",
);
const SCANS: &[(&str, &str)] = &[("scan of rows", ROWS.1), ("scan of groups", GROUPS.1)];

/// The operators, each in a view over retail lines that does little else.
const VIEWS: &[(&str, &str)] = &[
    (
        "filter and project",
        "SELECT product_id, quantity * sales_minor AS x FROM lines WHERE quantity > 4",
    ),
    (
        "temporal filter",
        "SELECT * FROM lines WHERE sold_at > now() - INTERVAL '28 days'",
    ),
    ROWS,
    (
        "distinct",
        "SELECT DISTINCT household_id, basket_id FROM lines",
    ),
    (
        "sums, few groups",
        "SELECT household_id, count(*), sum(quantity), sum(sales_minor) FROM lines GROUP BY household_id",
    ),
    GROUPS,
    (
        "min and max",
        "SELECT household_id, min(sold_at), max(sold_at) FROM lines GROUP BY household_id",
    ),
    (
        "join, then one sum",
        "SELECT count(*), sum(l.sales_minor) FROM lines l JOIN products p ON p.product_id = l.product_id",
    ),
    (
        "top 3 of each group",
        "SELECT * FROM (SELECT household_id, product_id, sales_minor, row_number() OVER \
         (PARTITION BY household_id ORDER BY sales_minor DESC, product_id) AS place FROM lines) \
         AS ranked WHERE place <= 3",
    ),
];

/// Measures every operator over `lines` rows of the retail workload, `repetitions` times.
pub fn operators(
    workload: &Workload,
    workers: usize,
    lines: usize,
    repetitions: usize,
) -> Result<Report, BenchError> {
    let mut stream = (workload.transactions)()?;
    let transactions = take(stream.as_mut(), lines, TRANSACTION)?;
    let rows: usize = transactions.iter().map(rows_of).sum();
    let mut report = Report::new("operators", &workload.description, workers);
    let mut costs = Vec::new();
    let mut measure = |name: &str, once: &dyn Fn() -> Result<f64, BenchError>| {
        let runs = (0..repetitions.max(1)).map(|_| once());
        let runs = runs.collect::<Result<Vec<f64>, BenchError>>()?;
        let (least, middle, greatest) = spread(&runs);
        report.figure(name, "median", middle, "ns/line", Better::Lower);
        report.figure(name, "fastest", least, "ns/line", Better::Lower);
        report.figure(name, "slowest", greatest, "ns/line", Better::Lower);
        costs.push((name.to_owned(), middle));
        Ok::<(), BenchError>(())
    };
    measure("chunk merge", &|| Ok(merge(&transactions)))?;
    for (name, sql) in VIEWS {
        measure(name, &|| {
            let fed = Fed::feed(workload, workers, sql, &transactions)?;
            Ok(fed.seconds * 1e9 / rows as f64)
        })?;
    }
    for (name, sql) in SCANS {
        measure(name, &|| {
            Fed::feed(workload, workers, sql, &transactions)?.scan()
        })?;
    }
    let values: Vec<f64> = costs.iter().map(|(_, cost)| *cost).collect();
    report.plots.push(Plot {
        title: "Cost of an operator".to_owned(),
        across: "operator".to_owned(),
        up: "ns per line".to_owned(),
        names: costs.into_iter().map(|(name, _)| name).collect(),
        series: vec![("median".to_owned(), numbered(&values))],
    });
    report.notes.push(format!(
        "{rows} lines in transactions of {TRANSACTION}; each view is maintained and published, \
         without log and tables, and none is checked: the other measurements check. A merge counts \
         each line as often as it goes through one; scans read a view once, on one thread."
    ));
    Ok(report)
}

/// Merges the transactions' lines, sorted before; the time for each line and merge (ns).
fn merge(transactions: &[Submission]) -> f64 {
    let changes = transactions.iter().flat_map(|one| &one.changes);
    let sorted = Mergeable::new(changes.map(|change| &change.rows));
    let started = Instant::now();
    let merged = sorted.merge();
    started.elapsed().as_secs_f64() * 1e9 / merged.max(1) as f64
}

/// A view that has been fed.
struct Fed {
    workers: Workers,
    timestamp_ms: u64,
    /// How long it took.
    seconds: f64,
}

impl Fed {
    /// Feeds a view; time follows that of the lines.
    fn feed(
        workload: &Workload,
        workers: usize,
        sql: &str,
        transactions: &[Submission],
    ) -> Result<Fed, BenchError> {
        let (sender, completed) = channel();
        let workers = Workers::start(workers, move |timestamp_ms| {
            // Nobody listens any more only after the end.
            let _ = sender.send(timestamp_ms);
        })?;
        let mut timestamp_ms = 1;
        workers.send(&creation(workload, sql, timestamp_ms)?)?;
        commit(&workers, timestamp_ms, Vec::new())?;
        wait(&workers, &completed, timestamp_ms)?;
        let started = Instant::now();
        for transaction in transactions {
            timestamp_ms = last_sale_ms(transaction).max(timestamp_ms + 1);
            let changes = transaction.changes.iter().map(|change| TableChange {
                table: Arc::clone(&change.table),
                rows: change.rows.clone(),
                counts: None,
            });
            commit(&workers, timestamp_ms, changes.collect())?;
        }
        wait(&workers, &completed, timestamp_ms)?;
        Ok(Fed {
            workers,
            timestamp_ms,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Reads the view; the time for each of its rows (ns).
    fn scan(&self) -> Result<f64, BenchError> {
        let view = self.workers.progress().view(VIEW);
        let view = view.ok_or_else(|| BenchError::Input("the view is not published".to_owned()))?;
        let started = Instant::now();
        let shares = 0..view.shares.len();
        let scans = shares.flat_map(|share| view.scan(share, self.timestamp_ms, None));
        let rows: usize = scans.map(|rows| rows.num_rows()).sum();
        Ok(started.elapsed().as_secs_f64() * 1e9 / rows.max(1) as f64)
    }
}

/// The time (ms) of a transaction's last line; 0 if lines have none.
fn last_sale_ms(transaction: &Submission) -> u64 {
    let times = transaction.changes.iter().filter_map(|change| {
        let times = change.rows.column_by_name("sold_at")?;
        let times = times.as_primitive_opt::<TimestampMicrosecondType>()?;
        times.values().last().copied()
    });
    let last_us = times.max().unwrap_or(0);
    u64::try_from(last_us / 1_000).unwrap_or(0)
}

fn creation(workload: &Workload, sql: &str, timestamp_ms: u64) -> Result<Command, BenchError> {
    let tables = workload.tables.iter();
    let catalog = Catalog {
        tables: tables
            .map(|table| (table.name.clone(), Arc::new(table.clone())))
            .collect(),
        ..Catalog::default()
    };
    let query = statement::parse_query(sql)?;
    let view = Planner::new().plan_view(&catalog, "measured", &query, sql)?;
    let mut tables: Tables = HashMap::new();
    for change in &workload.initial {
        let rows = tables.entry(Arc::clone(&change.table)).or_default();
        rows.push(change.rows.clone());
    }
    Ok(Command::Create {
        view: Arc::new(ViewTask {
            number: VIEW,
            name: Arc::from("measured"),
            plan: Arc::clone(&view.plan),
            key: view.key.clone(),
            reads: Vec::new(),
        }),
        timestamp_ms,
        tables: Arc::new(tables),
    })
}

fn commit(
    workers: &Workers,
    timestamp_ms: u64,
    changes: Vec<TableChange>,
) -> Result<(), BenchError> {
    let command = Command::Commit {
        timestamp_ms,
        changes: Arc::new(changes),
    };
    Ok(workers.send(&command)?)
}

fn wait(workers: &Workers, completed: &Receiver<u64>, timestamp_ms: u64) -> Result<(), BenchError> {
    while workers.progress().completed() < timestamp_ms {
        if let Some(failure) = workers.progress().failure() {
            return Err(crate::dataflow::WorkerError::Failed(failure).into());
        }
        // The sender lives as long as the workers do.
        let _ = completed.recv();
    }
    Ok(())
}
