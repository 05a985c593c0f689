//! Throughput: rows in memory until all views are complete, log included.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::bed::{Bed, Place};
use super::export::export_answers;
use super::machine::{forget_peak, peak_memory_bytes, processor_seconds, resident_bytes};
use super::report::{Better, Plot, Report, spread};
use super::workload::{Workload, rows_of, take};
use super::{BenchError, check};
use crate::engine::{CommitTimes, Overview};

/// How throughput is measured.
#[derive(Clone, Debug)]
pub struct Throughput {
    /// Where, and with how many workers.
    pub place: Place,
    /// Rows of a run.
    pub lines: usize,
    /// Rows of a transaction.
    pub transaction: usize,
    /// Runs that count, each on an empty engine; one of a tenth of the rows goes before them.
    pub repetitions: usize,
    /// Where the rows of all views are written after the last run, for others to compare.
    pub answers: Option<PathBuf>,
}

/// One run.
pub struct Run {
    /// Rows that were handed in.
    pub rows: u64,
    transactions: usize,
    /// From the first transaction until all views were complete.
    pub seconds: f64,
    /// Processor time of all threads meanwhile.
    pub processor_seconds: f64,
    times: CommitTimes,
    /// What the tables and views take.
    pub memory: Memory,
    /// The views that were found to be right.
    pub checked: Vec<check::Checked>,
}

/// Bytes.
#[derive(Default)]
pub struct Memory {
    /// What is resident at the end, without the rows that were handed in.
    held: u64,
    /// What the engine counts of its tables.
    tables: u64,
    /// What the engine counts of its views.
    pub views: u64,
    /// The most that was resident on the way, at least: without the whole input.
    peak: u64,
}

impl Memory {
    /// The same with what the engine counts itself.
    fn with_counted(self, overview: &Overview) -> Memory {
        let tables = overview.tables.iter();
        let operators = overview.operators.iter();
        Memory {
            tables: tables.map(|(_, size)| size.memory_bytes()).sum(),
            views: operators.map(|one| one.measure.held.bytes).sum(),
            ..self
        }
    }
}

impl Throughput {
    /// Measures.
    pub fn measure(&self, workload: &Workload) -> Result<Report, BenchError> {
        let mut runs = Vec::new();
        // Memory is told by the first run: later ones get what the allocator has kept.
        if self.repetitions > 1 {
            self.run(workload, self.lines / 10, None)?;
        }
        for left in (0..self.repetitions.max(1)).rev() {
            let answers = self.answers.as_deref().filter(|_| left == 0);
            runs.push(self.run(workload, self.lines, answers)?);
        }
        Ok(self.report(workload, &runs))
    }

    /// One run of `lines` rows on an empty engine, whose views are written to `answers`.
    pub(super) fn run(
        &self,
        workload: &Workload,
        lines: usize,
        answers: Option<&Path>,
    ) -> Result<Run, BenchError> {
        let before = resident_bytes();
        let bed = Bed::new(&self.place, workload)?;
        let mut stream = (workload.transactions)()?;
        let transactions = take(stream.as_mut(), lines, self.transaction)?;
        if transactions.is_empty() {
            let message = "the workload has no rows: check its sources";
            return Err(BenchError::Input(message.to_owned()));
        }
        let input: u64 = transactions.iter().map(bytes_of).sum();
        let rows_expected: usize = transactions.iter().map(rows_of).sum();
        let transaction_count = transactions.len();
        forget_peak();
        let times = bed.engine.commit_times();
        let (started, processor) = (Instant::now(), processor_seconds());
        let rows = bed.load(transactions)?;
        let seconds = started.elapsed().as_secs_f64();
        let processor_seconds = processor_seconds() - processor;
        debug_assert_eq!(rows, rows_expected as u64);
        let held = resident_bytes().saturating_sub(before);
        // How much of the input was left when most was held is not known.
        let peak = peak_memory_bytes().unwrap_or(0);
        let memory = Memory {
            held,
            peak: peak.saturating_sub(before + input).max(held),
            ..Memory::default()
        };
        let checked = bed.check(workload)?;
        if let Some(directory) = answers {
            export_answers(&bed.engine, &workload.views, directory)?;
        }
        // By now the workers have had time to merge what they hold.
        let memory = memory.with_counted(&bed.engine.overview());
        Ok(Run {
            rows,
            transactions: transaction_count,
            seconds,
            processor_seconds,
            times: bed.engine.commit_times().since(&times),
            memory,
            checked,
        })
    }

    fn report(&self, workload: &Workload, runs: &[Run]) -> Report {
        let mut report = Report::new("throughput", &workload.description, self.place.workers);
        let each = |of: &dyn Fn(&Run) -> f64| runs.iter().map(of).collect::<Vec<f64>>();
        let rates = each(&|run| run.rows as f64 / run.seconds);
        let (least, middle, greatest) = spread(&rates);
        let group = "rows in memory to complete views";
        report.figure(group, "median", middle, "lines/s", Better::Higher);
        report.figure(group, "slowest run", least, "lines/s", Better::Higher);
        report.figure(group, "fastest run", greatest, "lines/s", Better::Higher);
        let transactions = spread(&each(&|run| run.transactions as f64 / run.seconds)).1;
        report.figure(
            group,
            "transactions, median",
            transactions,
            "transactions/s",
            Better::Higher,
        );
        let seconds = spread(&each(&|run| run.seconds)).1;
        report.figure(group, "time, median", seconds, "s", Better::Lower);
        let processor = spread(&each(&|run| run.processor_seconds * 1e9 / run.rows as f64)).1;
        report.figure(
            group,
            "processor time per line",
            processor,
            "ns",
            Better::Lower,
        );
        add_commit_times(&mut report, runs);
        if let Some(first) = runs.first() {
            let group = "memory, first run";
            let per_line = |bytes: u64| bytes as f64 / first.rows as f64;
            let held = per_line(first.memory.held);
            report.figure(
                group,
                "held, tables and views",
                held,
                "bytes/line",
                Better::Lower,
            );
            let state = [
                ("state of the tables, as counted", first.memory.tables),
                ("state of the views, as counted", first.memory.views),
            ];
            for (name, bytes) in state {
                report.figure(group, name, per_line(bytes), "bytes/line", Better::Lower);
            }
            let peak = per_line(first.memory.peak);
            report.figure(group, "peak", peak, "bytes/line", Better::Lower);
            report.figure(group, "lines", first.rows as f64, "", Better::Neither);
            for checked in &first.checked {
                let group = "rows of the views";
                report.figure(
                    group,
                    &checked.view,
                    checked.rows as f64,
                    "",
                    Better::Neither,
                );
            }
            report.notes.push(check_note(&first.checked));
        }
        report.plots.push(Plot {
            title: "Throughput of each run".to_owned(),
            across: "run".to_owned(),
            up: "lines/s".to_owned(),
            names: (1..=runs.len()).map(|run| run.to_string()).collect(),
            series: vec![("lines/s".to_owned(), numbered(&rates))],
        });
        report
    }
}

/// What the committing thread does for each line; it works beside the dataflow's workers.
fn add_commit_times(report: &mut Report, runs: &[Run]) {
    let group = "committing thread, per line";
    let mut add = |name: &str, of: &dyn Fn(&CommitTimes) -> std::time::Duration| {
        let each = runs
            .iter()
            .map(|run| of(&run.times).as_secs_f64() * 1e9 / run.rows as f64);
        let (_, middle, _) = spread(&each.collect::<Vec<f64>>());
        report.figure(group, name, middle, "ns", Better::Lower);
    };
    add("check", &|times| times.check);
    add("log: encode", &|times| times.encode);
    add("log: append", &|times| times.append);
    add("log: sync", &|times| times.sync);
    add("tables", &|times| times.apply);
    let shares = runs
        .iter()
        .map(|run| 100.0 * run.times.log().as_secs_f64() / run.seconds);
    let (_, share, _) = spread(&shares.collect::<Vec<f64>>());
    report.figure(group, "log's share of the time", share, "%", Better::Lower);
}

fn bytes_of(submission: &crate::model::Submission) -> u64 {
    let changes = submission.changes.iter();
    changes
        .map(|change| change.rows.get_array_memory_size() as u64)
        .sum()
}

/// Values at the positions 0, 1, …
pub fn numbered(values: &[f64]) -> Vec<(f64, f64)> {
    let positions = values.iter().enumerate();
    positions.map(|(at, value)| (at as f64, *value)).collect()
}

/// Tells which views were found to be right, and which could not be checked.
pub fn check_note(checked: &[check::Checked]) -> String {
    let names = |is_compared: bool| {
        let views = checked
            .iter()
            .filter(|checked| checked.is_compared == is_compared)
            .map(|checked| format!("{} ({} rows)", checked.view, checked.rows));
        views.collect::<Vec<_>>().join(", ")
    };
    let mut note = match names(true) {
        none if none.is_empty() => "No view was compared.".to_owned(),
        right => format!("Checked against the same SQL from scratch: {right}."),
    };
    let unknown = names(false);
    if !unknown.is_empty() {
        note.push_str(&format!(
            " Not checked, as the answer from scratch needs more memory than a query is given: {unknown}."
        ));
    }
    note
}
