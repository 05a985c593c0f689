//! The queries of a workload one by one: each on an engine of its own, a row for each.

use super::BenchError;
use super::check::Checked;
use super::report::{Better, Plot, Report, spread};
use super::throughput::{Run, Throughput, check_note, numbered};
use super::workload::Workload;

/// What the run without a view is called.
const TABLES_ALONE: &str = "tables alone";

/// What the runs of one query have shown.
struct Query {
    name: String,
    /// Rows a second until the view is complete.
    rate: f64,
    processor_ns_per_row: f64,
    state_bytes_per_row: f64,
    /// That of the last run; none without a view.
    checked: Option<Checked>,
}

/// Measures the throughput of each view of a workload by itself, and of the tables alone. The
/// report is called after the workload.
pub fn queries(throughput: &Throughput, mut workload: Workload) -> Result<Report, BenchError> {
    let views = std::mem::take(&mut workload.views);
    // The first engine of a process pays for memory that later ones get from the allocator.
    throughput.run(&workload, (throughput.lines / 10).max(1), None)?;
    let mut queries = vec![measure(throughput, &workload, TABLES_ALONE)?];
    for (name, definition) in views {
        workload.views = vec![(name.clone(), definition)];
        queries.push(measure(throughput, &workload, &name)?);
    }
    Ok(report(throughput, &workload, queries))
}

fn measure(throughput: &Throughput, workload: &Workload, name: &str) -> Result<Query, BenchError> {
    let runs = (0..throughput.repetitions.max(1))
        .map(|_| throughput.run(workload, throughput.lines, None))
        .collect::<Result<Vec<Run>, BenchError>>()?;
    let middle = |of: &dyn Fn(&Run) -> f64| spread(&runs.iter().map(of).collect::<Vec<f64>>()).1;
    Ok(Query {
        name: name.to_owned(),
        rate: middle(&|run| run.rows as f64 / run.seconds),
        processor_ns_per_row: middle(&|run| run.processor_seconds * 1e9 / run.rows as f64),
        state_bytes_per_row: middle(&|run| run.memory.views as f64 / run.rows as f64),
        checked: runs.last().and_then(|run| run.checked.first().cloned()),
    })
}

fn report(throughput: &Throughput, workload: &Workload, queries: Vec<Query>) -> Report {
    let workers = throughput.place.workers;
    let mut report = Report::new(&workload.name, &workload.description, workers);
    for query in &queries {
        let group = "rows in memory until the view is complete";
        report.figure(group, &query.name, query.rate, "rows/s", Better::Higher);
    }
    for query in &queries {
        let spent = query.processor_ns_per_row;
        report.figure(
            "processor time",
            &query.name,
            spent,
            "ns/row",
            Better::Lower,
        );
    }
    for query in queries.iter().filter(|query| query.name != TABLES_ALONE) {
        let group = "state of the view, as counted";
        let held = query.state_bytes_per_row;
        report.figure(group, &query.name, held, "bytes/row", Better::Lower);
    }
    let checked = queries.iter().filter_map(|query| query.checked.clone());
    let checked: Vec<Checked> = checked.collect();
    for one in &checked {
        let rows = one.rows as f64;
        report.figure("rows of the view", &one.view, rows, "", Better::Neither);
    }
    report.notes.push(format!(
        "{} rows in transactions of {}, each query on an engine of its own, tables and log included.",
        throughput.lines, throughput.transaction
    ));
    report.notes.push(check_note(&checked));
    let rates: Vec<f64> = queries.iter().map(|query| query.rate).collect();
    report.plots.push(Plot {
        title: "Throughput of each query".to_owned(),
        across: "query".to_owned(),
        up: "rows/s".to_owned(),
        names: queries.into_iter().map(|query| query.name).collect(),
        series: vec![("rows/s".to_owned(), numbered(&rates))],
    });
    report
}
