//! `mainstem bench`: what the engine does on this machine, with your views if you like.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};

use super::bench_workload;
use super::failure::Failure;
use super::output::print_text;
use crate::bench::{
    self, BenchError, Growth, Ingest, Latency, Place, Reads, Report, Throughput, Workload,
};

/// Measures throughput, latency, growth and memory, and checks every answer
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  mainstem bench throughput                       retail lines into three views
  mainstem bench latency --lines 1500000,15000000 --rate 100000 --transaction 1000
  mainstem bench growth --lines 20000000 --html growth.html
  mainstem bench memory --views customer_360,top_departments
  mainstem bench latency --workload tpch --rate 1000 --transaction 100      refreshes of 22 views
  mainstem bench throughput --workload dataflows  your views over the generated shop
  mainstem bench throughput --workload dataflows -c mainstem.toml    … over your sources
  mainstem bench compare before.json after.json

Generated input is the same for the same seed and scale on every machine.
Log and tables are part of what is measured, and at the end of each run every view is compared
with the same SQL run from scratch; the exit code is 1 if one differs.")]
pub struct Bench {
    #[command(subcommand)]
    measurement: Measurement,
}

#[derive(Debug, Subcommand)]
enum Measurement {
    /// Rows in memory until all views are complete
    Throughput {
        #[command(flatten)]
        common: Common,
        /// Rows of the input, in each run
        #[arg(long, default_value_t = 1_500_000)]
        lines: usize,
        /// Rows of a transaction; of files, raw rows
        #[arg(long, default_value_t = 16_384)]
        transaction: usize,
        /// Runs that count; before several of them goes a short one that does not
        #[arg(long, default_value_t = 5)]
        repetitions: usize,
    },
    /// From the scheduled arrival of a transaction until all views have it, at a fixed rate
    Latency {
        #[command(flatten)]
        common: Common,
        /// Rows that are there before; several sizes in ascending order
        #[arg(long, value_delimiter = ',', default_value = "1500000")]
        lines: Vec<usize>,
        /// Rows of a transaction; of files, raw rows
        #[arg(long, default_value_t = 1_000)]
        transaction: usize,
        /// Rows that arrive in a second
        #[arg(long, default_value_t = 100_000.0)]
        rate: f64,
        /// For how many seconds they arrive, at each size
        #[arg(long, default_value_t = 10.0)]
        seconds: f64,
    },
    /// The cost of a row while the state grows
    Growth {
        #[command(flatten)]
        common: Common,
        /// Rows of the input, in each run
        #[arg(long, default_value_t = 10_000_000)]
        lines: usize,
        /// Steps of equal size
        #[arg(long, default_value_t = 10)]
        steps: usize,
        /// Rows of a transaction; of files, raw rows
        #[arg(long, default_value_t = 16_384)]
        transaction: usize,
    },
    /// Bytes that tables and views hold for each row, by view
    Memory {
        #[command(flatten)]
        common: Common,
        /// Rows of the input, in each run
        #[arg(long, default_value_t = 1_500_000)]
        lines: usize,
        /// Rows of a transaction; of files, raw rows
        #[arg(long, default_value_t = 16_384)]
        transaction: usize,
    },
    /// Reading NDJSON, CSV and Parquet files: alone, and until all views are complete
    Ingest {
        #[command(flatten)]
        common: Common,
        /// Rows of the input, in each run
        #[arg(long, default_value_t = 1_500_000)]
        lines: usize,
        /// Rows of a transaction; of files, raw rows
        #[arg(long, default_value_t = 16_384)]
        transaction: usize,
        /// Runs of each kind that count
        #[arg(long, default_value_t = 3)]
        repetitions: usize,
        /// The one format to be read [default: all]
        #[arg(long, value_parser = ["ndjson", "csv", "parquet"])]
        format: Option<String>,
    },
    /// Lookups by key, scans and snapshots of views
    Reads {
        #[command(flatten)]
        common: Common,
        /// Rows of the input, in each run
        #[arg(long, default_value_t = 1_500_000)]
        lines: usize,
        /// Runs of each kind that count
        #[arg(long, default_value_t = 5)]
        repetitions: usize,
    },
    /// The operators one by one, over retail lines, without log and tables
    Operators {
        #[command(flatten)]
        common: Common,
        /// Rows of the input, in each run
        #[arg(long, default_value_t = 500_000)]
        lines: usize,
        /// Runs of each kind that count
        #[arg(long, default_value_t = 3)]
        repetitions: usize,
    },
    /// Writes the input as Parquet, CSV and NDJSON files, for other systems to be given the same
    Export {
        #[command(flatten)]
        common: Common,
        /// Rows of the input, in each run
        #[arg(long, default_value_t = 1_500_000)]
        lines: usize,
        /// Where the files are written
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Two JSON reports side by side
    Compare {
        /// The earlier one
        before: PathBuf,
        /// The later one
        after: PathBuf,
    },
}

/// What all measurements take.
#[derive(Clone, Debug, Args)]
struct Common {
    /// `retail`, `nexmark`, `tpch`, or a directory of views over the standard tables
    #[arg(long, value_name = "NAME|DIR", default_value = "retail")]
    workload: String,
    /// Settings with the sources that fill a directory's views [default: the generated shop]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The views to be run, `none` for the tables alone [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    views: Vec<String>,
    /// How large the generated input is: households, products, stores and rows a day; of `tpch`,
    /// five times its scale factor
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

impl Bench {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        match self.measurement {
            Measurement::Compare { before, after } => {
                print_text(&bench::compare(&read(&before)?, &read(&after)?))
            }
            Measurement::Export { common, lines, out } => {
                let rows = bench::export(&common.workload()?, lines, &out)?;
                print_text(&format!("{rows} rows are in {}\n", out.display()))
            }
            measurement => {
                let common = measurement.common().clone();
                common.keep(measurement.measure()?)
            }
        }
    }
}

impl Measurement {
    fn common(&self) -> &Common {
        match self {
            Measurement::Throughput { common, .. }
            | Measurement::Latency { common, .. }
            | Measurement::Growth { common, .. }
            | Measurement::Memory { common, .. }
            | Measurement::Ingest { common, .. }
            | Measurement::Reads { common, .. }
            | Measurement::Operators { common, .. }
            | Measurement::Export { common, .. } => common,
            Measurement::Compare { .. } => unreachable!("a comparison measures nothing"),
        }
    }

    fn measure(self) -> Result<Report, Failure> {
        let workload = self.common().workload()?;
        let place = self.common().place();
        let report = match self {
            Measurement::Throughput {
                lines,
                transaction,
                repetitions,
                ..
            } => Throughput {
                place,
                lines,
                transaction: transaction.max(1),
                repetitions,
            }
            .measure(&workload)?,
            Measurement::Latency {
                lines,
                transaction,
                rate,
                seconds,
                ..
            } => Latency {
                place,
                states: lines,
                transaction: transaction.max(1),
                rate: positive("rate", rate)?,
                duration: Duration::from_secs_f64(positive("seconds", seconds)?),
            }
            .measure(&workload)?,
            Measurement::Growth {
                lines,
                steps,
                transaction,
                ..
            } => Growth {
                place,
                lines,
                steps,
                transaction: transaction.max(1),
            }
            .measure(&workload)?,
            Measurement::Memory {
                common,
                lines,
                transaction,
            } => {
                let arguments = common.throughput_arguments(lines, transaction.max(1));
                let program = std::env::current_exe().map_err(|error| {
                    Failure::new(format!("this program can't be found: {error}"), "")
                })?;
                bench::memory(&workload, place.workers, &program, &arguments)?
            }
            Measurement::Ingest {
                lines,
                transaction,
                repetitions,
                format,
                ..
            } => Ingest {
                place,
                lines,
                transaction: transaction.max(1),
                repetitions,
                format,
            }
            .measure(workload)?,
            Measurement::Reads {
                lines, repetitions, ..
            } => Reads {
                place,
                lines,
                repetitions,
            }
            .measure(&workload)?,
            Measurement::Operators {
                lines, repetitions, ..
            } => bench::operators(&workload, place.workers, lines, repetitions)?,
            Measurement::Export { .. } | Measurement::Compare { .. } => {
                unreachable!("handled before")
            }
        };
        Ok(report)
    }
}

impl Common {
    fn workload(&self) -> Result<Workload, Failure> {
        let mut workload = match self.workload.as_str() {
            "retail" => bench::retail(self.seed, positive("scale", self.scale)?),
            "nexmark" => bench::nexmark(self.seed)?,
            "tpch" => bench::tpch(positive("scale", self.scale)?)?,
            directory => bench_workload::of_directory(
                Path::new(directory),
                self.config.as_deref(),
                self.seed,
                positive("scale", self.scale)?,
            )?,
        };
        if !self.views.is_empty() {
            workload.keep_views(&self.views)?;
        }
        Ok(workload)
    }

    fn place(&self) -> Place {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Place {
            directory: self.data_dir.clone(),
            workers: self.workers.unwrap_or(cores).max(1),
        }
    }

    /// The command line of one measurement of throughput in a process of its own.
    fn throughput_arguments(&self, lines: usize, transaction: usize) -> Vec<String> {
        let mut arguments = vec!["bench".to_owned(), "throughput".to_owned()];
        let mut add = |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
        add("--workload", self.workload.clone());
        add("--scale", self.scale.to_string());
        add("--seed", self.seed.to_string());
        add("--workers", self.place().workers.to_string());
        add("--data-dir", self.data_dir.display().to_string());
        add("--lines", lines.to_string());
        add("--transaction", transaction.to_string());
        add("--repetitions", "1".to_owned());
        if let Some(config) = &self.config {
            add("--config", config.display().to_string());
        }
        arguments
    }

    /// Prints a report and keeps it where it was asked for.
    fn keep(&self, mut report: Report) -> Result<(), Failure> {
        report.command = command_line();
        print_text(&report.to_string())?;
        if !report.machine.is_optimised {
            tracing::warn!("this build is not optimised: its figures say little");
        }
        if let Some(path) = &self.json {
            let text = serde_json::to_string_pretty(&report).map_err(|error| {
                Failure::new(format!("the report can't be written: {error}"), "")
            })?;
            write(path, &text)?;
        }
        match &self.html {
            Some(path) => write(path, &bench::page(&report)),
            None => Ok(()),
        }
    }
}

fn positive(name: &str, value: f64) -> Result<f64, Failure> {
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

fn read(path: &Path) -> Result<Report, Failure> {
    let unreadable = |error: String| {
        Failure::new(
            format!("{}: {error}", path.display()),
            "name a file that --json has written",
        )
    };
    let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| {
        Failure::new(
            format!("{}: {error}", path.display()),
            "check that the directory exists and can be written",
        )
    })
}

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Engine(error) => error.into(),
            BenchError::Sql(error) => error.into(),
            BenchError::Wrong { .. } => Failure::new(
                error.to_string(),
                "this is a fault in Mainstem: report it with the command line",
            ),
            other => Failure::new(other.to_string(), ""),
        }
    }
}
