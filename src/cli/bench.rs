//! `mainstem bench`: what the engine does on this machine, with your views if you like.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};

use super::bench_settings::{Common, Settings, positive};
use super::failure::Failure;
use super::output::print_text;
use crate::bench::{
    self, Arrivals, BenchError, Growth, Idle, Ingest, Latency, Memory, Reads, Report, Throughput,
};
use crate::source::ROWS_PER_TRANSACTION;

/// Measures throughput, latency, growth and memory, and checks every answer
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  mainstem bench throughput                       retail lines into three views
  mainstem bench latency --lines 1500000,15000000 --rate 100000 --transaction 1000
  mainstem bench growth --lines 20000000 --html growth.html
  mainstem bench memory --views customer_360,top_departments
  mainstem bench nexmark --views q0,q3,q5         each query by itself
  mainstem bench latency --transaction 1 --rate max    one after the other, as fast as it goes
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
        /// Writes the rows of all views as Parquet files after the last run
        #[arg(long, value_name = "DIR")]
        answers: Option<PathBuf>,
    },
    /// Each of Nexmark's 23 queries by itself: rows a second, processor time, state
    Nexmark(Queries),
    /// Each of TPC-H's 22 queries by itself: rows a second, processor time, state
    Tpch(Queries),
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
        /// Rows that arrive in a second, whether the engine keeps up or not; `max`: each
        /// transaction as soon as all views have the one before
        #[arg(long, value_name = "ROWS|max", default_value = "100000", value_parser = arrivals)]
        rate: Arrivals,
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
    /// Bytes that tables and views hold for each row, by view and by operator
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
    /// The processor time of an engine with many views while nothing happens
    Idle {
        #[command(flatten)]
        common: Common,
        /// Rows of the input
        #[arg(long, default_value_t = 100_000)]
        lines: usize,
        /// How many views there are: those of the workload, again and again under other names
        #[arg(long, default_value_t = 50)]
        count: usize,
        /// For how many seconds nothing happens
        #[arg(long, default_value_t = 10.0)]
        seconds: f64,
    },
    /// Reading NDJSON, CSV and Parquet files: alone, and until all views are complete
    Ingest {
        #[command(flatten)]
        common: Common,
        /// Rows of the input, in each run
        #[arg(long, default_value_t = 1_500_000)]
        lines: usize,
        /// Raw rows of a transaction
        #[arg(long, default_value_t = ROWS_PER_TRANSACTION)]
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

/// How queries are measured one by one.
#[derive(Clone, Debug, Args)]
struct Queries {
    #[command(flatten)]
    settings: Settings,
    /// Rows of the input, in each run
    #[arg(long, default_value_t = 300_000)]
    lines: usize,
    /// Rows of a transaction
    #[arg(long, default_value_t = 16_384)]
    transaction: usize,
    /// Runs of each query
    #[arg(long, default_value_t = 1)]
    repetitions: usize,
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
                let common = measurement.common();
                common.keep(measurement.measure()?)
            }
        }
    }
}

impl Measurement {
    fn common(&self) -> Common {
        match self {
            Measurement::Throughput { common, .. }
            | Measurement::Latency { common, .. }
            | Measurement::Growth { common, .. }
            | Measurement::Memory { common, .. }
            | Measurement::Idle { common, .. }
            | Measurement::Ingest { common, .. }
            | Measurement::Reads { common, .. }
            | Measurement::Operators { common, .. }
            | Measurement::Export { common, .. } => common.clone(),
            Measurement::Nexmark(queries) => Common::of("nexmark", queries.settings.clone()),
            Measurement::Tpch(queries) => Common::of("tpch", queries.settings.clone()),
            Measurement::Compare { .. } => unreachable!("a comparison measures nothing"),
        }
    }

    fn measure(self) -> Result<Report, Failure> {
        let common = self.common();
        let (workload, place) = (common.workload()?, common.place());
        let report = match self {
            Measurement::Throughput {
                lines,
                transaction,
                repetitions,
                answers,
                ..
            } => Throughput {
                place,
                lines,
                transaction: transaction.max(1),
                repetitions,
                answers,
            }
            .measure(&workload)?,
            Measurement::Nexmark(queries) | Measurement::Tpch(queries) => {
                let throughput = Throughput {
                    place,
                    lines: queries.lines,
                    transaction: queries.transaction.max(1),
                    repetitions: queries.repetitions,
                    answers: None,
                };
                bench::queries(&throughput, workload)?
            }
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
                arrivals: rate,
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
                lines, transaction, ..
            } => {
                let transaction = transaction.max(1);
                let program = std::env::current_exe().map_err(|error| {
                    Failure::new(format!("this program can't be found: {error}"), "")
                })?;
                Memory {
                    place,
                    lines,
                    transaction,
                    program,
                    arguments: common.throughput_arguments(lines, transaction),
                }
                .measure(&workload)?
            }
            Measurement::Idle {
                lines,
                count,
                seconds,
                ..
            } => Idle {
                place,
                lines,
                views: count,
                duration: Duration::from_secs_f64(positive("seconds", seconds)?),
            }
            .measure(workload)?,
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

/// The value of `--rate`.
fn arrivals(text: &str) -> Result<Arrivals, String> {
    if text == "max" {
        return Ok(Arrivals::OneByOne);
    }
    let rate = text.parse::<f64>().ok();
    let rate = rate.filter(|rate| *rate > 0.0 && rate.is_finite());
    rate.map(Arrivals::Rate)
        .ok_or_else(|| "give a number above 0, or max".to_owned())
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
