//! Ingest: from files to rows, and from files until all views are complete.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use super::bed::{Bed, Place, new_directory};
use super::export::export;
use super::machine::{forget_peak, peak_memory_bytes};
use super::report::{Better, Report, Stretch, spread};
use super::throughput::check_note;
use super::workload::{Workload, rows_of};
use super::{BenchError, check};
use crate::model::{REJECTED_EVENTS, TableDefinition, standard_tables};
use crate::source::{FileFormat, FileOptions, FileSource, Mapping, Source};

/// The formats, with the ends of their files' names.
const FORMATS: [(&str, FileFormat); 3] = [
    ("ndjson", FileFormat::Ndjson),
    ("csv", FileFormat::Csv),
    ("parquet", FileFormat::Parquet),
];

/// A run from files to complete views.
struct Completed {
    /// Rows a second.
    rate: f64,
    /// The most memory that the process held, the files' buffers included; 0 where the system does
    /// not tell.
    peak_bytes: u64,
    /// When it went on.
    timed: Stretch,
    views: Vec<check::Checked>,
}

/// How reading is measured.
#[derive(Clone, Debug)]
pub struct Ingest {
    /// Where, and with how many workers.
    pub place: Place,
    /// Rows in the files.
    pub lines: usize,
    /// Raw rows of a transaction.
    pub transaction: usize,
    /// Runs of each kind.
    pub repetitions: usize,
    /// The one format that is read, by the end of its files' names; `None`: all.
    pub format: Option<String>,
}

impl Ingest {
    /// Writes the workload's rows as files, and measures each format twice: reading alone (one
    /// thread parses and maps), and with an engine until all views are complete.
    pub fn measure(&self, workload: Workload) -> Result<Report, BenchError> {
        let directory = new_directory(&self.place.directory)?;
        let measured = self.measure_in(&directory, workload);
        // What cannot be removed is left behind; the figures do not depend on it.
        let _ = std::fs::remove_dir_all(&directory);
        measured
    }

    fn measure_in(&self, directory: &Path, mut workload: Workload) -> Result<Report, BenchError> {
        export(&workload, self.lines, directory)?;
        // All rows come out of the files.
        workload.initial.clear();
        let rejected = standard_tables().into_iter();
        let rejected = rejected.filter(|table| table.name == REJECTED_EVENTS);
        workload.tables.extend(rejected);
        let mut report = Report::new("ingest", &workload.description, self.place.workers);
        let mut checked = Vec::new();
        let is_wanted = |name: &str| self.format.as_deref().is_none_or(|wanted| wanted == name);
        for (name, format) in FORMATS.into_iter().filter(|(name, _)| is_wanted(name)) {
            let files = Files {
                directory,
                extension: name,
                format,
                rows_per_transaction: self.transaction,
            };
            let (mut reading, mut complete, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..self.repetitions.max(1) {
                reading.push(files.read(&workload.tables)?);
                let completed = self.complete(&workload, &files)?;
                complete.push(completed.rate);
                peaks.push(completed.peak_bytes as f64);
                report.timed.push(completed.timed);
                checked = completed.views;
            }
            let group = "files to rows of tables, one thread";
            report.figure(group, name, spread(&reading).1, "rows/s", Better::Higher);
            let group = "files to complete views";
            let (least, middle, greatest) = spread(&complete);
            report.figure(group, name, middle, "rows/s", Better::Higher);
            let runs = [("slowest", least), ("fastest", greatest)];
            for (run, rate) in runs {
                let name = format!("{name}, {run} run");
                report.figure(group, &name, rate, "rows/s", Better::Higher);
            }
            let group = "most memory of the process, files to complete views";
            report.figure(group, name, spread(&peaks).1, "bytes", Better::Lower);
        }
        report.notes.push(format!(
            "Files of all tables, {} lines in the largest, in transactions of {} rows; mappings \
             name the columns, values are parsed and cast to the tables' types.",
            self.lines, self.transaction
        ));
        report.notes.push(check_note(&checked));
        Ok(report)
    }

    /// From files until all views are complete.
    fn complete(&self, workload: &Workload, files: &Files<'_>) -> Result<Completed, BenchError> {
        forget_peak();
        let bed = Bed::new(&self.place, workload)?;
        let (began, started) = (SystemTime::now(), Instant::now());
        let mut rows = 0;
        for source in &mut files.open(&workload.tables)? {
            while let Some(submission) = next(source)? {
                rows += rows_of(&submission);
                bed.engine.enqueue(submission)?;
            }
            all_taken(source)?;
        }
        bed.engine.flush()?;
        let lasted = started.elapsed();
        Ok(Completed {
            rate: rows as f64 / lasted.as_secs_f64(),
            // Before the check, which computes all views a second time.
            peak_bytes: peak_memory_bytes().unwrap_or(0),
            timed: Stretch::new(files.extension, began, lasted),
            views: bed.check(workload)?,
        })
    }
}

/// The files of a workload in one format.
struct Files<'a> {
    directory: &'a Path,
    extension: &'a str,
    format: FileFormat,
    rows_per_transaction: usize,
}

impl Files<'_> {
    fn open(&self, tables: &[TableDefinition]) -> Result<Vec<FileSource>, BenchError> {
        let mut sources = Vec::new();
        for table in tables {
            let path = self.path(&table.name);
            if !path.exists() {
                continue;
            }
            let columns = table.columns.iter().map(|column| column.name.as_str());
            let columns = columns.collect::<Vec<_>>().join(", ");
            let mapping = Mapping::new(&table.name, &format!("SELECT {columns} FROM raw"))?;
            let options = FileOptions {
                format: Some(self.format),
                rows_per_transaction: self.rows_per_transaction,
                ..FileOptions::new(
                    &format!("{} of {}", self.extension, table.name),
                    vec![path.display().to_string()],
                    vec![mapping],
                )
            };
            let source = FileSource::open(options, tables, None);
            sources.push(source.map_err(|error| BenchError::Input(error.to_string()))?);
        }
        Ok(sources)
    }

    fn path(&self, table: &str) -> PathBuf {
        self.directory.join(format!("{table}.{}", self.extension))
    }

    /// Rows a second that one thread reads, without an engine.
    fn read(&self, tables: &[TableDefinition]) -> Result<f64, BenchError> {
        let started = Instant::now();
        let mut rows = 0;
        for source in &mut self.open(tables)? {
            while let Some(submission) = next(source)? {
                rows += rows_of(&submission);
            }
            all_taken(source)?;
        }
        Ok(rows as f64 / started.elapsed().as_secs_f64())
    }
}

fn next(source: &mut FileSource) -> Result<Option<crate::model::Submission>, BenchError> {
    let next = source.next();
    next.map_err(|error| BenchError::Input(error.to_string()))
}

/// Fails if a row was rejected: the workload's own rows fit its tables.
fn all_taken(source: &FileSource) -> Result<(), BenchError> {
    match source.progress().rows_rejected {
        0 => Ok(()),
        count => Err(BenchError::Input(format!(
            "{count} rows of {} were rejected",
            source.name()
        ))),
    }
}
