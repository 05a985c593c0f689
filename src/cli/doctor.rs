//! `mainstem doctor`: is everything on disk what was written, and what to do if not.

use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::Failure;
use super::output::print_text;
use super::privacy;
use crate::config::{self, Environment, Overrides};
use crate::engine::{self, Finding};
use crate::log::fs::RealFileSystem;

/// Checks log, checkpoints and snapshots: says what is wrong and what to do
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  mainstem doctor                          the directories of ./mainstem.toml, or the defaults
  mainstem doctor --data-dir mainstem-data --snapshot-dir mainstem-snapshots

Every byte is read and compared with its checksum; nothing is changed. The engine may be running.
The exit code is 1 if anything is wrong.")]
pub struct Doctor {
    /// The settings file [default: mainstem.toml, if there is one]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data directory to look at
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// The directory of snapshots to look at
    #[arg(long, value_name = "DIR")]
    pub snapshot_dir: Option<String>,
}

impl Doctor {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let overrides = Overrides {
            config: self.config,
            data_dir: self.data_dir,
            snapshot_dir: self.snapshot_dir,
            ..Overrides::default()
        };
        let settings = config::load(&overrides, &Environment::of_process())?;
        super::client::check_data_dir(&settings.data_dir)?;
        let (data_dir, snapshot_dir) = (&settings.data_dir, &settings.snapshot.dir);
        let mut findings = engine::examine_with_snapshots(&RealFileSystem, data_dir, snapshot_dir);
        findings.push(privacy_of(data_dir));
        let problems = findings.iter().filter(|finding| finding.remedy.is_some());
        let problems = problems.count();
        print_text(&findings.iter().map(line).collect::<String>())?;
        match problems {
            0 => print_text("all is well\n"),
            1 => Err(Failure::new("one thing is wrong, see above", "")),
            count => Err(Failure::new(
                format!("{count} things are wrong, see above"),
                "",
            )),
        }
    }
}

fn privacy_of(data_dir: &Path) -> Finding {
    let readable = privacy::readable_by_others(data_dir);
    Finding {
        path: data_dir.to_path_buf(),
        what: match &readable {
            None => "other users can't read it".to_owned(),
            Some(file) => format!("other users may read it, such as {}", file.display()),
        },
        remedy: readable.map(|_| privacy::remedy(data_dir)),
    }
}

fn line(finding: &Finding) -> String {
    let (path, what) = (finding.path.display(), &finding.what);
    match &finding.remedy {
        None => format!("ok     {path}: {what}\n"),
        Some(remedy) => format!("WRONG  {path}: {what}\n       {remedy}\n"),
    }
}
