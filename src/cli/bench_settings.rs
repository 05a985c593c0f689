//! What all commands of `mainstem bench` take: the workload, where it is measured, and where the
//! report goes.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::bench_workload;
use super::failure::Failure;
use super::output::print_text;
use crate::bench::{self, Place, Report, Workload};

/// What measurements of any workload take.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// `retail`, `nexmark`, `tpch`, or a directory of views over the standard tables
    #[arg(long, value_name = "NAME|DIR", default_value = "retail")]
    workload: String,
    /// Settings with the sources that fill a directory's views [default: the generated shop]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// What all measurements take, whatever the workload.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// The views to be run, `none` for the tables alone [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    views: Vec<String>,
    /// How large the generated input is: households, products, stores and rows a day; of `tpch`,
    /// five times its scale factor; `nexmark` has one size
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Chooses one of many generated inputs; `tpch` has one for each scale
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Threads that keep the views up to date [default: one for each core]
    #[arg(long)]
    workers: Option<usize>,
    /// Where engines are made and removed again; their logs are synced to its file system
    #[arg(long, value_name = "DIR", default_value = "mainstem-bench")]
    data_dir: PathBuf,
    /// Keeps the report as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Keeps the report as a page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl Common {
    /// The named workload.
    pub fn of(workload: &str, settings: Settings) -> Common {
        Common {
            workload: workload.to_owned(),
            config: None,
            settings,
        }
    }

    /// What is measured.
    pub fn workload(&self) -> Result<Workload, Failure> {
        let mut workload = match self.workload.as_str() {
            "retail" => bench::retail(self.settings.seed, positive("scale", self.settings.scale)?),
            "nexmark" => bench::nexmark(self.settings.seed)?,
            "tpch" => bench::tpch(positive("scale", self.settings.scale)?)?,
            directory => bench_workload::of_directory(
                Path::new(directory),
                self.config.as_deref(),
                self.settings.seed,
                positive("scale", self.settings.scale)?,
            )?,
        };
        if !self.settings.views.is_empty() {
            workload.keep_views(&self.settings.views)?;
        }
        Ok(workload)
    }

    /// Where it is measured.
    pub fn place(&self) -> Place {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Place {
            directory: self.settings.data_dir.clone(),
            workers: self.settings.workers.unwrap_or(cores).max(1),
        }
    }

    /// The command line of one measurement of throughput in a process of its own.
    pub fn throughput_arguments(&self, lines: usize, transaction: usize) -> Vec<String> {
        let mut arguments = vec!["bench".to_owned(), "throughput".to_owned()];
        let mut add = |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
        add("--workload", self.workload.clone());
        add("--scale", self.settings.scale.to_string());
        add("--seed", self.settings.seed.to_string());
        add("--workers", self.place().workers.to_string());
        add("--data-dir", self.settings.data_dir.display().to_string());
        add("--lines", lines.to_string());
        add("--transaction", transaction.to_string());
        add("--repetitions", "1".to_owned());
        if let Some(config) = &self.config {
            add("--config", config.display().to_string());
        }
        arguments
    }

    /// Prints a report and keeps it where it was asked for.
    pub fn keep(&self, mut report: Report) -> Result<(), Failure> {
        report.command = command_line();
        print_text(&report.to_string())?;
        if !report.machine.is_optimised {
            tracing::warn!("this build is not optimised: its figures say little");
        }
        if let Some(path) = &self.settings.json {
            let text = serde_json::to_string_pretty(&report).map_err(|error| {
                Failure::new(format!("the report can't be written: {error}"), "")
            })?;
            write(path, &text)?;
        }
        match &self.settings.html {
            Some(path) => write(path, &bench::page(&report)),
            None => Ok(()),
        }
    }
}

/// A number above 0.
pub fn positive(name: &str, value: f64) -> Result<f64, Failure> {
    match value > 0.0 && value.is_finite() {
        true => Ok(value),
        false => Err(Failure::new(
            format!("--{name} is {value}"),
            "give a number above 0",
        )),
    }
}

/// How this process was called, so that it can be repeated.
fn command_line() -> String {
    let arguments = std::env::args().skip(1);
    let quoted = arguments.map(|argument| match argument.contains(' ') {
        true => format!("'{argument}'"),
        false => argument,
    });
    format!("mainstem {}", quoted.collect::<Vec<_>>().join(" "))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| {
        Failure::new(
            format!("{}: {error}", path.display()),
            "check that the directory exists and can be written",
        )
    })
}
