//! `mainstem generate`: the demo's events as files.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::event_files::{EventFiles, FileKind};
use super::failure::Failure;
use super::output::print_text;
use super::progress::Progress;
use crate::source::{Generator, GeneratorOptions, Source};

/// Which events are generated.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Events")]
pub struct GeneratorArguments {
    /// Chooses one of many histories
    #[arg(long, value_name = "NUMBER", default_value_t = 42)]
    pub seed: u64,
    /// How large the shop is: 1 is about 250 orders a day
    #[arg(long, value_name = "FACTOR", default_value = "1")]
    pub scale: Scale,
    /// How many days the history has, from 2025-01-01 on
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    pub days: u32,
}

impl GeneratorArguments {
    /// The history from its beginning.
    pub fn open(&self) -> Result<Generator, Failure> {
        let options = GeneratorOptions {
            seed: self.seed,
            scale_thousandths: self.scale.thousandths,
            days: self.days,
            ..GeneratorOptions::default()
        };
        Ok(Generator::open(options, None)?)
    }
}

/// A factor with up to three decimal places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// The factor in thousandths.
    pub thousandths: u64,
}

impl FromStr for Scale {
    type Err = String;

    fn from_str(text: &str) -> Result<Scale, String> {
        let (whole, places) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{places:0<3}");
        let has_digits = text.bytes().any(|byte| byte.is_ascii_digit());
        let is_number = has_digits && !text.starts_with('+') && places.len() <= 3;
        match digits.parse() {
            Ok(thousandths) if is_number => Ok(Scale { thousandths }),
            _ => Err("write a number with up to three decimal places, as 0.05 or 10".to_owned()),
        }
    }
}

/// Writes the events of the demo to files, one for each table
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  mainstem generate --out events
  mainstem generate --out events --scale 0.1 --days 30 --format parquet
  mainstem generate --out events --seed 7

The same seed, scale and days give the same files on every machine. Rows are in the order in which
they arrive; some arrive late, some twice. docs/generator.md says what is modelled;
fixtures/sample/mainstem.toml reads such files.")]
pub struct Generate {
    /// The directory for the files; made if missing, files of an earlier run are replaced
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// ndjson (one JSON object a line) or parquet
    #[arg(long, value_name = "FORMAT", default_value = "ndjson")]
    pub format: FileKind,
    #[command(flatten)]
    pub generator: GeneratorArguments,
}

impl Generate {
    /// Runs the command.
    pub fn run(self, is_quiet: bool) -> Result<(), Failure> {
        let mut generator = self.generator.open()?;
        let mut files = EventFiles::create(&self.out, self.format)?;
        let mut progress = Progress::start("generate", is_quiet);
        while let Some(submission) = generator.next()? {
            for change in &submission.changes {
                files.write(&change.table, &change.rows)?;
            }
            progress.show(&generator.progress());
        }
        progress.finish();
        for (path, rows) in files.finish()? {
            print_text(&format!("{}  {rows} rows\n", path.display()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_exact() {
        for (text, thousandths) in [("1", 1000), ("0.05", 50), ("10.5", 10_500), (".001", 1)] {
            assert_eq!(text.parse(), Ok(Scale { thousandths }), "{text}");
        }
        for text in [
            "",
            "-1",
            "+1",
            "1e3",
            "0.0005",
            "1.2.3",
            "x",
            "99999999999999999999",
        ] {
            assert!(text.parse::<Scale>().is_err(), "{text}");
        }
    }
}
