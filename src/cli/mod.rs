//! The command line: one file a command.
//!
//! Exit codes: 0 all is well, 1 a problem was found or something failed, 2 the command line itself
//! is wrong. Answers go to standard output; log, progress and errors to standard error.

mod backup;
mod bench;
mod bench_settings;
mod bench_workload;
mod check;
mod client;
mod copy;
mod definitions;
mod demo;
mod demo_directory;
mod doctor;
mod event_files;
mod examples;
mod explain;
mod failure;
mod generate;
mod ingest;
mod kept_memory;
mod logging;
mod output;
mod plans;
mod privacy;
mod progress;
mod query;
mod rejected;
mod remote;
mod restoring;
mod room;
mod run;
mod scan;
mod script;
mod services;
mod shell;
mod shipped;
mod snapshot;
mod snapshots;
mod sources;
mod sql;
mod stop;
mod summary;
mod tables;
mod views;

use std::process::ExitCode;
use std::thread::JoinHandle;

use clap::{Parser, Subcommand};

use crate::sql::PLANNING_STACK_BYTES;
use failure::Failure;
pub use kept_memory::watch as watch_kept_memory;

/// Mainstem keeps SQL views over commerce events always up to date.
#[derive(Debug, Parser)]
#[command(name = "mainstem", version, max_term_width = 100)]
#[command(after_long_help = "\
First steps:
  mainstem demo                      a year of a shop's events, views and answers; no setup
  mainstem run -c mainstem.toml      your own files
  mainstem sql \"SELECT …\"            ask the running engine (or psql -h 127.0.0.1 -p 7432)

Exit codes: 0 all is well; 1 a problem was found or something failed; 2 wrong usage.
Settings: docs/configuration.md. Commands: docs/cli.md.")]
pub struct Cli {
    #[command(flatten)]
    logging: logging::LoggingArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Run(run::Run),
    Sql(sql::Sql),
    Query(query::Query),
    Check(check::Check),
    Explain(explain::Explain),
    Snapshot(snapshot::Snapshot),
    Generate(generate::Generate),
    Tables(tables::Tables),
    Rejected(rejected::Rejected),
    Doctor(doctor::Doctor),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Bench(bench::Bench),
}

/// Exit code of a program that a fault has ended, as Rust has it.
const FAULT: u8 = 101;

/// Parses the command line, runs the command and says how it ended.
pub fn main() -> ExitCode {
    // Opening a directory plans its views, and whoever starts the program sets the first thread's
    // stack: a view that could be created there could not be restored.
    let thread = std::thread::Builder::new()
        .name("main".to_owned())
        .stack_size(PLANNING_STACK_BYTES)
        .spawn(run);
    match thread.map(JoinHandle::join) {
        Ok(Ok(code)) => code,
        Ok(Err(_)) => ExitCode::from(FAULT),
        Err(error) => {
            eprintln!("no threads can be started: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> ExitCode {
    let cli = Cli::parse();
    let directives = std::env::var("MAINSTEM_LOG").ok();
    if let Some(complaint) = logging::start(&cli.logging, directives.as_deref()) {
        tracing::warn!("{complaint}");
    }
    match cli.command.run(cli.logging.quiet > 0) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            progress::screen().suspend(|| eprintln!("{failure}"));
            ExitCode::FAILURE
        }
    }
}

impl Command {
    fn run(self, is_quiet: bool) -> Result<(), Failure> {
        match self {
            Command::Demo(command) => command.run(is_quiet),
            Command::Run(command) => command.run(is_quiet),
            Command::Sql(command) => command.run(),
            Command::Query(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Explain(command) => command.run(),
            Command::Snapshot(command) => command.run(),
            Command::Generate(command) => command.run(is_quiet),
            Command::Tables(command) => command.run(),
            Command::Rejected(command) => command.run(),
            Command::Doctor(command) => command.run(),
            Command::Backup(command) => command.run(),
            Command::Restore(command) => command.run(),
            Command::Bench(command) => command.run(),
        }
    }
}

/// The runtime that serving and clients run on; the engine has threads of its own.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    // Serving waits more than it computes.
    const THREADS: usize = 2;
    tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(PLANNING_STACK_BYTES)
        .worker_threads(THREADS)
        .thread_name("mainstem-io")
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                format!("no threads can be started: {error}"),
                "check the limit on processes and threads (ulimit -u)",
            )
        })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_tells_where_http_is_served() {
        for name in ["run", "demo"] {
            let mut cli = Cli::command();
            let command = cli.find_subcommand_mut(name).expect(name);
            let help = command.render_long_help().to_string();
            let (_, http) = help.split_once("Where HTTP is served").expect(name);
            let (default, _) = http.split_once(']').expect(name);
            assert!(default.ends_with("[default: 127.0.0.1:7400"), "{default}");
        }
    }

    #[test]
    fn every_command_teaches_by_example() {
        let mut cli = Cli::command();
        for command in cli.get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Examples:\n  mainstem "), "{help}");
        }
    }
}
