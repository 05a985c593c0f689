//! Reads: lookups by key, scans against DataFusion's own table in memory, and snapshots against a
//! bare Parquet writer.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use tokio::runtime::Runtime;

use super::BenchError;
use super::bed::{Bed, Place};
use super::lookups::{KEYED, lookups};
use super::report::{Better, Report, spread};
use super::throughput::check_note;
use super::workload::{Workload, take};
use crate::engine::{Engine, EngineError, Outcome, ReadPoint};
use crate::log::fs::RealFileSystem;
use crate::snapshot::{self, SnapshotOptions, SnapshotWriter};
use crate::sql::Statement;

/// Rows of a transaction of the load.
const TRANSACTION: usize = 16_384;
/// The view with a row for nearly every line.
const LARGE: &str = "product_store_day";
const SCANS: [(&str, &str); 2] = [
    (
        "scan with sums by store",
        "SELECT store_id, count(*), sum(quantity), sum(sales_minor) FROM product_store_day \
         GROUP BY store_id",
    ),
    (
        "scan with a filter",
        "SELECT count(*), max(sales_minor) FROM product_store_day WHERE quantity > 2",
    ),
];

/// How reads of the retail workload's views are measured.
#[derive(Clone, Debug)]
pub struct Reads {
    /// Where, and with how many workers.
    pub place: Place,
    /// Lines that the views are made of.
    pub lines: usize,
    /// Scans and snapshots of each kind.
    pub repetitions: usize,
}

impl Reads {
    /// Measures; the workload must be the retail one with all its views.
    pub fn measure(&self, workload: &Workload) -> Result<Report, BenchError> {
        let has = |name: &str| workload.views.iter().any(|(view, _)| view == name);
        if !has(LARGE) || !has(KEYED) {
            let message = "reads are measured on the retail workload: leave --workload and --views";
            return Err(BenchError::Input(message.to_owned()));
        }
        let bed = Bed::new(&self.place, workload)?;
        let mut stream = (workload.transactions)()?;
        bed.load(take(stream.as_mut(), self.lines, TRANSACTION)?)?;
        let runtime = Runtime::new().map_err(|error| system("start threads", error))?;
        let moment = bed.engine.read()?;
        let mut report = Report::new("reads", &workload.description, self.place.workers);
        lookups(&mut report, &bed.engine, &moment, &runtime)?;
        self.scans(&mut report, &bed.engine, &moment, &runtime)?;
        self.snapshots(&mut report, &moment)?;
        report
            .notes
            .push(format!("The views are made of {} lines.", self.lines));
        report.notes.push(check_note(&bed.check(workload)?));
        Ok(report)
    }

    /// Scans by turns with the same rows in DataFusion's table in memory.
    fn scans(
        &self,
        report: &mut Report,
        engine: &Engine,
        moment: &ReadPoint,
        runtime: &Runtime,
    ) -> Result<(), BenchError> {
        let context = in_memory(moment, self.place.workers)?;
        for (name, query) in SCANS {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..self.repetitions.max(1) {
                let started = Instant::now();
                let rows = runtime.block_on(rows_of(engine, query))?;
                ours.push(milliseconds(started.elapsed()));
                let started = Instant::now();
                let expected = runtime.block_on(async {
                    let frame = context.sql(query).await?;
                    frame.collect().await
                });
                theirs.push(milliseconds(started.elapsed()));
                let expected = expected.map_err(|error| system("scan the table", error))?;
                if count(&rows) != count(&expected) {
                    let difference = format!("{name} gives other rows");
                    let view = LARGE.to_owned();
                    return Err(BenchError::Wrong { view, difference });
                }
            }
            compare(report, name, "table in memory", &ours, &theirs);
        }
        Ok(())
    }

    /// Snapshots by turns with a bare Parquet writer given the same rows and settings.
    fn snapshots(&self, report: &mut Report, moment: &ReadPoint) -> Result<(), BenchError> {
        let directory = super::bed::new_directory(&self.place.directory)?;
        let options = SnapshotOptions::default();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for turn in 0..self.repetitions.max(1) {
            let started = Instant::now();
            let root = directory.join(format!("snapshots-{turn}"));
            let writer = SnapshotWriter::new(Arc::new(RealFileSystem), root, options.clone());
            let contents = moment.contents(LARGE)?;
            writer
                .and_then(|writer| {
                    writer.write(LARGE, moment.moment(), contents.schema, contents.rows)
                })
                .map_err(|error| system("write a snapshot", error))?;
            ours.push(milliseconds(started.elapsed()));
            let started = Instant::now();
            let path = directory.join(format!("bare-{turn}.parquet"));
            bare_parquet(&path, moment, &options)?;
            theirs.push(milliseconds(started.elapsed()));
        }
        // What cannot be removed is left behind; the figures do not depend on it.
        let _ = std::fs::remove_dir_all(&directory);
        compare(report, "snapshot", "bare Parquet writer", &ours, &theirs);
        Ok(())
    }
}

/// The rows of the large view in DataFusion's own table.
fn in_memory(moment: &ReadPoint, partitions: usize) -> Result<SessionContext, BenchError> {
    let contents = moment.contents(LARGE)?;
    let mut parts = vec![Vec::new(); partitions.max(1)];
    for (number, rows) in contents.rows.enumerate() {
        let part = number % parts.len();
        parts[part].push(rows?);
    }
    let table = MemTable::try_new(contents.schema, parts);
    let config = SessionConfig::new().with_target_partitions(partitions.max(1));
    let context = SessionContext::new_with_config(config);
    table
        .and_then(|table| context.register_table(LARGE, Arc::new(table)))
        .map_err(|error| system("make a table in memory", error))?;
    Ok(context)
}

fn bare_parquet(
    path: &std::path::Path,
    moment: &ReadPoint,
    options: &SnapshotOptions,
) -> Result<(), BenchError> {
    let contents = moment.contents(LARGE)?;
    let failed = |error: &dyn std::fmt::Display| BenchError::file(path, error);
    let file = File::create(path).map_err(|error| failed(&error))?;
    let properties = snapshot::properties(options, Vec::new()).map_err(|error| failed(&error))?;
    let mut writer = ArrowWriter::try_new(&file, contents.schema, Some(properties))
        .map_err(|error| failed(&error))?;
    for rows in contents.rows {
        writer.write(&rows?).map_err(|error| failed(&error))?;
    }
    writer.close().map_err(|error| failed(&error))?;
    file.sync_all().map_err(|error| failed(&error))
}

/// The answer to a query, run from its text on.
pub async fn rows_of(engine: &Engine, text: &str) -> Result<Vec<RecordBatch>, EngineError> {
    let query = Statement::Query(crate::sql::statement::parse_query(text)?);
    match engine.session().execute(&query, &[]).await? {
        Outcome::Rows(rows) => Ok(rows.try_collect().await?),
        // Only queries are asked.
        _ => Ok(Vec::new()),
    }
}

fn compare(report: &mut Report, name: &str, other: &str, ours: &[f64], theirs: &[f64]) {
    let (ours, theirs) = (spread(ours).1, spread(theirs).1);
    report.figure(name, "median", ours, "ms", Better::Lower);
    report.figure(name, other, theirs, "ms", Better::Neither);
    let ratio = theirs / ours;
    report.figure(name, "speed against it", ratio, "x", Better::Higher);
}

/// The number of rows in batches.
pub fn count(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// A failure of something other than the engine.
pub fn system(action: &str, error: impl ToString) -> BenchError {
    BenchError::System {
        action: action.to_owned(),
        reason: error.to_string(),
    }
}
