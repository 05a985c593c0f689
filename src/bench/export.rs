//! The input of a workload as files, so that other systems can be given the same.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;

use super::BenchError;
use super::workload::{Workload, rows_of};
use crate::engine::Engine;
use crate::model::{Change, ChangeKind};

/// Rows of a part.
const PART: usize = 65_536;

/// Writes `lines` rows of a workload's stream, its first rows and its views into `directory`: one
/// Parquet, one CSV and one NDJSON file for each table, `NAME.sql` for each view. The stream ends
/// where it first deletes rows: files only say what comes. Returns the rows written.
pub fn export(workload: &Workload, lines: usize, directory: &Path) -> Result<usize, BenchError> {
    fs::create_dir_all(directory).map_err(|error| BenchError::file(directory, error))?;
    let mut rows = 0;
    for change in &workload.initial {
        let mut files = Files::create(directory, change)?;
        files.write(&change.rows)?;
        rows += files.close()?;
    }
    let mut stream = (workload.transactions)()?;
    let mut open: Vec<(String, Files)> = Vec::new();
    let mut written = 0;
    while written < lines {
        let Some(submission) = stream.next(PART.min(lines - written))? else {
            break;
        };
        let mut changes = submission.changes.iter();
        if changes.any(|change| change.kind == ChangeKind::Delete) {
            break;
        }
        written += rows_of(&submission);
        for change in &submission.changes {
            let position = open.iter().position(|(table, _)| *table == *change.table);
            let position = match position {
                Some(position) => position,
                None => {
                    open.push((change.table.to_string(), Files::create(directory, change)?));
                    open.len() - 1
                }
            };
            open[position].1.write(&change.rows)?;
        }
    }
    for (_, files) in open {
        rows += files.close()?;
    }
    for (view, sql) in &workload.views {
        let path = directory.join(format!("{view}.sql"));
        fs::write(&path, format!("{sql};\n")).map_err(|error| BenchError::file(&path, error))?;
    }
    Ok(rows)
}

/// Writes the rows of views, given as name and definition, as one Parquet file each.
pub fn export_answers(
    engine: &Engine,
    views: &[(String, String)],
    directory: &Path,
) -> Result<(), BenchError> {
    fs::create_dir_all(directory).map_err(|error| BenchError::file(directory, error))?;
    let moment = engine.read()?;
    for (view, _) in views {
        let path = directory.join(format!("{view}.parquet"));
        let failed = |error: &dyn std::fmt::Display| BenchError::file(&path, error);
        let contents = moment.contents(view)?;
        let file = File::create(&path).map_err(|error| failed(&error))?;
        let writer = ArrowWriter::try_new(file, contents.schema, None);
        let mut writer = writer.map_err(|error| failed(&error))?;
        for rows in contents.rows {
            writer.write(&rows?).map_err(|error| failed(&error))?;
        }
        writer.close().map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// The files of one table.
struct Files {
    path: std::path::PathBuf,
    parquet: ArrowWriter<File>,
    csv: arrow::csv::Writer<File>,
    ndjson: arrow::json::LineDelimitedWriter<BufWriter<File>>,
    rows: usize,
}

impl Files {
    fn create(directory: &Path, change: &Change) -> Result<Files, BenchError> {
        let path = directory.join(change.table.as_ref());
        let create = |extension: &str| {
            let path = path.with_extension(extension);
            File::create(&path).map_err(|error| BenchError::file(&path, error))
        };
        let parquet = ArrowWriter::try_new(create("parquet")?, change.rows.schema(), None)
            .map_err(|error| BenchError::file(&path, error))?;
        Ok(Files {
            parquet,
            csv: arrow::csv::Writer::new(create("csv")?),
            ndjson: arrow::json::LineDelimitedWriter::new(BufWriter::new(create("ndjson")?)),
            path,
            rows: 0,
        })
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), BenchError> {
        let path = &self.path;
        self.rows += rows.num_rows();
        self.parquet
            .write(rows)
            .map_err(|error| BenchError::file(path, error))?;
        self.csv
            .write(rows)
            .map_err(|error| BenchError::file(path, error))?;
        self.ndjson
            .write(rows)
            .map_err(|error| BenchError::file(path, error))
    }

    fn close(mut self) -> Result<usize, BenchError> {
        let path = self.path;
        self.parquet
            .close()
            .map_err(|error| BenchError::file(&path, error))?;
        self.ndjson
            .finish()
            .map_err(|error| BenchError::file(&path, error))?;
        Ok(self.rows)
    }
}
