//! Memory by view: the same rows with no view, with each view alone, and with all of them.
//!
//! Each is measured in a process of its own, as an allocator does not give back all that it was
//! given.

use std::path::Path;
use std::process::Command;

use super::BenchError;
use super::report::{Better, Plot, Report};
use super::throughput::numbered;
use super::workload::Workload;

const GROUP: &str = "memory, first run";
const HELD: &str = "held, tables and views";

/// Measures by running `program` with `arguments`, to which the choice of views and the file for
/// the report are added; they must come to a measurement of throughput with one repetition.
pub fn memory(
    workload: &Workload,
    workers: usize,
    program: &Path,
    arguments: &[String],
) -> Result<Report, BenchError> {
    let run = |views: &str| measure(program, arguments, views);
    let names: Vec<&str> = workload
        .views
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let tables = run("none")?;
    let all = run(&names.join(","))?;
    let held = |report: &Report| report.value(GROUP, HELD).unwrap_or(0.0);
    let peak = all.value(GROUP, "peak").unwrap_or(0.0);

    let mut report = Report::new("memory", &workload.description, workers);
    let mut bars = vec![("tables".to_owned(), held(&tables))];
    for name in &names {
        let alone = held(&run(name)?) - held(&tables);
        bars.push(((*name).to_owned(), alone));
    }
    bars.push(("all views".to_owned(), held(&all) - held(&tables)));
    for (name, bytes) in &bars {
        report.figure("held", name, *bytes, "bytes/line", Better::Lower);
    }
    let group = "tables and all views";
    report.figure(group, "held", held(&all), "bytes/line", Better::Lower);
    report.figure(
        group,
        "peak while loading",
        peak,
        "bytes/line",
        Better::Lower,
    );
    let ratio = peak / held(&all).max(1.0);
    report.figure(group, "peak against held", ratio, "times", Better::Lower);
    report.notes.push(
        "A view's memory is what the process holds with this view alone, less what it holds with \
         the tables alone; views that run together share indexes."
            .to_owned(),
    );
    report.notes.extend(all.notes);
    let values: Vec<f64> = bars.iter().map(|(_, bytes)| *bytes).collect();
    report.plots.push(Plot {
        title: "Memory".to_owned(),
        across: "held by".to_owned(),
        up: "bytes per line".to_owned(),
        names: bars.into_iter().map(|(name, _)| name).collect(),
        series: vec![("held".to_owned(), numbered(&values))],
    });
    Ok(report)
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
