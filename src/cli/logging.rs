//! Log lines on standard error, so that standard output carries answers only.

use std::io::{self, IsTerminal, Write};

use clap::{ArgAction, Args, ValueEnum};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::progress::screen;

/// What is logged, and how.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Log")]
pub struct LoggingArguments {
    /// Log more (-v: debug, -vv: trace); MAINSTEM_LOG takes finer directives, such as
    /// `mainstem::serve=debug`
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Log less and draw no progress (-q: errors only, -qq: nothing)
    #[arg(short, long, action = ArgAction::Count, global = true, conflicts_with = "verbose")]
    pub quiet: u8,
    /// How log lines are written
    #[arg(
        long,
        value_enum,
        default_value = "text",
        env = "MAINSTEM_LOG_FORMAT",
        hide_env_values = true,
        global = true
    )]
    pub log_format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. `directives` are those of `MAINSTEM_LOG`; flags go before them.
///
/// Returns what is wrong with the directives, if anything; the default level is used then.
pub fn start(arguments: &LoggingArguments, directives: Option<&str>) -> Option<String> {
    let (filter, complaint) = filter(arguments, directives);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(LogWriter)
        .with_ansi(io::stderr().is_terminal());
    // A second subscriber in one process (as in tests) is refused; the first one then goes on.
    let _ = match arguments.log_format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    complaint
}

fn filter(arguments: &LoggingArguments, directives: Option<&str>) -> (EnvFilter, Option<String>) {
    let level = match (arguments.verbose, arguments.quiet) {
        (0, 0) => "warn,mainstem=info",
        (1, _) => "info,mainstem=debug",
        (_, 0) => "debug,mainstem=trace",
        (_, 1) => "error",
        _ => "off",
    };
    let is_default = arguments.verbose == 0 && arguments.quiet == 0;
    match directives.filter(|text| is_default && !text.is_empty()) {
        None => (EnvFilter::new(level), None),
        Some(text) => match EnvFilter::try_new(text) {
            Ok(filter) => (filter, None),
            Err(error) => (
                EnvFilter::new(level),
                Some(format!("MAINSTEM_LOG is not understood: {error}")),
            ),
        },
    }
}

/// Writes whole lines to standard error between two drawings of the progress bars.
struct LogWriter;

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = LogWriter;

    fn make_writer(&'a self) -> LogWriter {
        LogWriter
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        screen().suspend(|| io::stderr().write_all(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(verbose: u8, quiet: u8) -> LoggingArguments {
        LoggingArguments {
            verbose,
            quiet,
            log_format: LogFormat::Text,
        }
    }

    #[test]
    fn flags_go_before_the_variable() {
        let (by_variable, _) = filter(&arguments(0, 0), Some("mainstem=trace"));
        assert_eq!(by_variable.to_string(), "mainstem=trace");
        let (by_flag, _) = filter(&arguments(0, 1), Some("mainstem=trace"));
        assert_eq!(by_flag.to_string(), "error");
    }

    #[test]
    fn a_bad_variable_is_complained_of_and_logging_goes_on() {
        let (_, complaint) = filter(&arguments(0, 0), Some("mainstem=loudly"));
        assert!(complaint.is_some_and(|text| text.contains("MAINSTEM_LOG")));
    }
}
