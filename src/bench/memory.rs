//! Memory by view and by operator.
//!
//! What the process holds is measured with no view, with each view alone, and with all of them,
//! each in a process of its own, as an allocator does not give back all that it was given. What
//! operators keep is counted by the engine itself, with all views together.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::BenchError;
use super::bed::Place;
use super::kept::kept;
use super::report::{Better, Plot, Report};
use super::throughput::numbered;
use super::workload::Workload;

const GROUP: &str = "memory, first run";
const HELD: &str = "held, tables and views";

/// How memory is measured.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Where, and with how many workers.
    pub place: Place,
    /// Rows that the views are made of.
    pub lines: usize,
    /// Rows of a transaction.
    pub transaction: usize,
    /// This program.
    pub program: PathBuf,
    /// What it is called with to measure throughput with one repetition; the choice of views and
    /// the file for the report are added.
    pub arguments: Vec<String>,
}

impl Memory {
    /// Measures.
    pub fn measure(&self, workload: &Workload) -> Result<Report, BenchError> {
        let run = |views: &str| measure(&self.program, &self.arguments, views);
        let names = workload.views.iter().map(|(name, _)| name.as_str());
        let names: Vec<&str> = names.collect();
        let tables = run("none")?;
        let all = run(&names.join(","))?;
        let alone = names.iter().map(|name| Ok((*name, run(name)?)));
        let alone = alone.collect::<Result<Vec<(&str, Report)>, BenchError>>()?;

        let mut report = Report::new("memory", &workload.description, self.place.workers);
        tell(&mut report, &tables, &alone, &all);
        kept(
            &mut report,
            &self.place,
            workload,
            self.lines,
            self.transaction,
        )?;
        report.notes.push(
            "A view's memory is what the process holds with this view alone, less what it holds \
             with the tables alone; views that run together share indexes. What operators keep is \
             counted by the engine, as in mainstem.operators."
                .to_owned(),
        );
        report.notes.extend(all.notes);
        Ok(report)
    }
}

/// What processes have held with the tables alone, with each view alone, and with all views.
fn tell(report: &mut Report, tables: &Report, alone: &[(&str, Report)], all: &Report) {
    let held = |report: &Report| report.value(GROUP, HELD).unwrap_or(0.0);
    let mut bars = vec![("tables".to_owned(), held(tables))];
    for (name, view) in alone {
        bars.push(((*name).to_owned(), held(view) - held(tables)));
    }
    bars.push(("all views".to_owned(), held(all) - held(tables)));
    for (name, bytes) in &bars {
        report.figure("held", name, *bytes, "bytes/line", Better::Lower);
    }
    let group = "tables and all views";
    report.figure(group, "held", held(all), "bytes/line", Better::Lower);
    let peak = all.value(GROUP, "peak").unwrap_or(0.0);
    report.figure(
        group,
        "peak while loading",
        peak,
        "bytes/line",
        Better::Lower,
    );
    let ratio = peak / held(all).max(1.0);
    report.figure(group, "peak against held", ratio, "times", Better::Lower);
    let values: Vec<f64> = bars.iter().map(|(_, bytes)| *bytes).collect();
    report.plots.push(Plot {
        title: "Memory".to_owned(),
        across: "held by".to_owned(),
        up: "bytes per line".to_owned(),
        names: bars.into_iter().map(|(name, _)| name).collect(),
        series: vec![("held".to_owned(), numbered(&values))],
    });
}

fn measure(program: &Path, arguments: &[String], views: &str) -> Result<Report, BenchError> {
    let failed = |reason: String| BenchError::System {
        action: format!("measure the memory of {views}"),
        reason,
    };
    // Not beside the engines: their directory is removed with them.
    let name = format!("mainstem-memory-{}.json", std::process::id());
    let file = std::env::temp_dir().join(name);
    let output = Command::new(program)
        .args(arguments)
        .args(["--views", views, "--json"])
        .arg(&file)
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ));
    }
    let text = std::fs::read(&file).map_err(|error| BenchError::file(&file, error))?;
    std::fs::remove_file(&file).map_err(|error| BenchError::file(&file, error))?;
    serde_json::from_slice(&text).map_err(|error| BenchError::file(&file, error))
}
