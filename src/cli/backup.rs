//! `mainstem backup` and `mainstem restore`: copies of the state, and back.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::client::open_stopped;
use super::failure::Failure;
use super::output::print_text;
use super::room;
use crate::config::{self, Environment, Overrides, Settings};
use crate::engine::backup::{self, BackupLabel};
use crate::log::fs::{ModestFileSystem, RealFileSystem};

/// Copies the state of a running or stopped engine to a directory
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  mainstem backup /backups/2026-05-04                   of the engine of ./mainstem.toml
  mainstem backup /backups/2026-05-04 --data-dir data

The copy is the newest checkpoint and the log behind it, as they are at one moment; the engine goes
on meanwhile. It is whole once backup.json is there. Settings, views and snapshots are files of your
own and not in it.")]
pub struct Backup {
    /// Where the copy goes; must be empty or missing
    #[arg(value_name = "DIR")]
    pub target: PathBuf,
    /// The settings file [default: mainstem.toml, if there is one]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data directory to copy
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
}

impl Backup {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let settings = settings(self.config, self.data_dir)?;
        super::client::check_data_dir(&settings.data_dir)?;
        let keep_bytes = room::kept_for_the_log(&settings, &self.target);
        let file_system = ModestFileSystem::new(Arc::new(RealFileSystem), keep_bytes);
        let label = backup::back_up(&file_system, &settings.data_dir, &self.target)?;
        let place = self.target.display();
        print_text(&format!("{place}: {}\n", contents(&label)))
    }
}

/// Makes a data directory of a backup
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  mainstem restore /backups/2026-05-04 --data-dir data
  mainstem restore /backups/2026-05-04 --data-dir data --verify

Every byte is compared with its checksum. With --verify an engine is then opened on the restored
directory, all views are computed, and what they hold is told.")]
pub struct Restore {
    /// The backup
    #[arg(value_name = "DIR")]
    pub backup: PathBuf,
    /// The settings file [default: mainstem.toml, if there is one]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data directory to make; must be empty or missing
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Opens an engine on the restored directory and tells what it holds
    #[arg(long)]
    pub verify: bool,
}

impl Restore {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let settings = settings(self.config, self.data_dir)?;
        let label = backup::restore(&RealFileSystem, &self.backup, &settings.data_dir)?;
        let place = settings.data_dir.display();
        print_text(&format!("{place}: {}\n", contents(&label)))?;
        match self.verify {
            true => verify(&settings, &label),
            false => Ok(()),
        }
    }
}

/// Opens an engine on the restored directory and compares what it holds with the label.
fn verify(settings: &Settings, label: &BackupLabel) -> Result<(), Failure> {
    let engine = open_stopped(&settings.data_dir, settings)?;
    let found = engine.recovered().timestamp_ms;
    let text = match found == label.timestamp_ms {
        true => row_counts(&engine),
        false => Err(Failure::new(
            format!(
                "the restored state is that of timestamp {found} ms, the label says {} ms",
                label.timestamp_ms
            ),
            "use another backup",
        )),
    };
    engine.shutdown();
    print_text(&text?)
}

/// The rows of each table and view.
fn row_counts(engine: &crate::engine::Engine) -> Result<String, Failure> {
    let moment = engine.read()?;
    let catalog = moment.catalog();
    let names = catalog.tables.keys().chain(catalog.live_views.keys());
    let mut text = String::new();
    for name in names {
        let mut rows = 0;
        for batch in moment.contents(name)?.rows {
            rows += batch?.num_rows();
        }
        text += &format!("{name}  {rows} rows\n");
    }
    Ok(text)
}

fn settings(config: Option<PathBuf>, data_dir: Option<String>) -> Result<Settings, Failure> {
    let overrides = Overrides {
        config,
        data_dir,
        ..Overrides::default()
    };
    Ok(config::load(&overrides, &Environment::of_process())?)
}

fn contents(label: &BackupLabel) -> String {
    let bytes: u64 = label.files.iter().map(|file| file.bytes).sum();
    format!(
        "transactions up to {}, timestamp {} ms, {} files, {bytes} bytes",
        label.next_offset,
        label.timestamp_ms,
        label.files.len()
    )
}
