//! Files as sources: CSV, NDJSON and Parquet, one after the other, each row mapped once.
//!
//! A file is known by its content (or path), so that one delivered twice is read once. Every
//! submission carries the position behind it; reading goes on exactly there after a restart.

mod csv;
mod input;
mod json;
mod ndjson;
mod options;
mod parquet;
mod position;
mod raw;
mod rejected;
mod replay;
mod text;
mod timeline;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::datatypes::SchemaRef;

pub use options::{Clock, Delimiter, FileFormat, FileOptions, Identity, ROWS_PER_TRANSACTION};
pub use replay::{FileRows, Replayed};

use super::error::SourceError;
use super::mapping::{MappedRows, Mapper, Rejection};
use super::{Progress, Source};
use crate::model::{Change, REJECTED_EVENTS, Submission, TableDefinition};
use input::InputFile;
use position::{CurrentFile, FILES_MAX, FilePosition};
use raw::{RawBatch, RowReader, hexadecimal};
use rejected::{RejectedRow, RejectedTable, text_of};
use timeline::Timeline;

/// Files that are read into the engine.
pub struct FileSource {
    options: FileOptions,
    tables: Vec<TableDefinition>,
    rejected: RejectedTable,
    files: VecDeque<InputFile>,
    position: FilePosition,
    /// Mappings as planned for the columns of the files so far.
    mapper: Option<(SchemaRef, Arc<Mapper>)>,
    reading: Option<Reading>,
    progress: Progress,
}

/// The file at hand.
struct Reading {
    file: InputFile,
    identity: u128,
    content: u128,
    rows: Rows,
}

enum Rows {
    /// In the order of the file.
    Arriving {
        reader: Box<dyn RowReader>,
        mapper: Arc<Mapper>,
        /// Read ahead, to know which batch is the last; what was read before a failure counts.
        next: Result<Option<RawBatch>, SourceError>,
    },
    /// In the order of their time: the submissions to come, each with the rows done with it.
    Timed(VecDeque<(Submission, u64)>),
}

impl FileSource {
    /// Finds the files and plans the mappings over the columns of the first one; `position` is
    /// where an earlier run came to.
    ///
    /// # Errors
    /// If the settings, the files, the mappings or the position do not fit each other.
    pub fn open(
        options: FileOptions,
        tables: &[TableDefinition],
        position: Option<&str>,
    ) -> Result<FileSource, SourceError> {
        let wrong = |problem: String| SourceError::Options {
            name: options.name.clone(),
            problem,
        };
        if let Some(problem) = options.problem() {
            return Err(wrong(problem.to_owned()));
        }
        let definition = tables.iter().find(|table| table.name == REJECTED_EVENTS);
        let definition = definition.ok_or_else(|| {
            wrong(format!(
                "there is no table {REJECTED_EVENTS} for its rejects"
            ))
        })?;
        let rejected = RejectedTable::new(definition, &options.name).map_err(|column| {
            wrong(format!(
                "{REJECTED_EVENTS} requires the column {column}, which is not known"
            ))
        })?;
        let files = input::find(&options)?;
        if files.len() > FILES_MAX {
            let count = files.len();
            let problem = format!(
                "{count} files are more than {FILES_MAX}; join them, or use several sources"
            );
            return Err(wrong(problem));
        }
        let position = position.map_or(Ok(FilePosition::default()), FilePosition::parse);
        let position = position.map_err(|problem| SourceError::Position {
            name: options.name.clone(),
            problem,
        })?;
        let mut source = FileSource {
            progress: Progress {
                files_total: files.len() as u64,
                work_total: files.iter().map(|file| file.bytes).sum(),
                ..Progress::default()
            },
            files: files.into(),
            options,
            tables: tables.to_vec(),
            rejected,
            position,
            mapper: None,
            reading: None,
        };
        if let Some(first) = source.files.front().cloned() {
            let reader = source.reader(&first, 0)?;
            source.mapper(&first.path, &reader.schema())?;
        }
        Ok(source)
    }

    fn reader(&self, file: &InputFile, content: u128) -> Result<Box<dyn RowReader>, SourceError> {
        let options = &self.options;
        Ok(match file.format {
            FileFormat::Csv => Box::new(csv::CsvReader::open(file, content, options)?),
            FileFormat::Ndjson => Box::new(ndjson::NdjsonReader::open(file, content, options)?),
            FileFormat::Parquet => Box::new(parquet::ParquetReader::open(file, content)?),
        })
    }

    fn mapper(&mut self, file: &Path, schema: &SchemaRef) -> Result<Arc<Mapper>, SourceError> {
        if let Some((known, mapper)) = &self.mapper
            && known == schema
        {
            return Ok(Arc::clone(mapper));
        }
        let FileOptions { name, mappings, .. } = &self.options;
        let mapper =
            Mapper::new(name, mappings, &self.tables, schema).map_err(|error| match error {
                SourceError::Mapping {
                    name,
                    table,
                    problem,
                } => SourceError::Mapping {
                    name,
                    table,
                    problem: format!("{problem} (columns of {})", file.display()),
                },
                other => other,
            })?;
        let mapper = Arc::new(mapper);
        self.mapper = Some((Arc::clone(schema), Arc::clone(&mapper)));
        Ok(mapper)
    }

    /// Goes to the next file that has not been read; false if there is none.
    fn open_next(&mut self) -> Result<bool, SourceError> {
        while let Some(file) = self.files.pop_front() {
            let content = file.content_identity()?;
            let identity = match self.options.identity {
                Identity::Content => content,
                Identity::Path => {
                    xxhash_rust::xxh3::xxh3_128(file.path.as_os_str().as_encoded_bytes())
                }
            };
            if self.position.done.contains(&identity) {
                self.progress.files_skipped += 1;
                self.count_done(&file);
                continue;
            }
            let path = file.path.display().to_string();
            let current = self
                .position
                .current
                .take_if(|current| current.path == path);
            let rows = self.rows(&file, content, current)?;
            self.reading = Some(Reading {
                file,
                identity,
                content,
                rows,
            });
            return Ok(true);
        }
        Ok(false)
    }

    /// Begins a file, or goes on behind what is done of it.
    fn rows(
        &mut self,
        file: &InputFile,
        content: u128,
        current: Option<CurrentFile>,
    ) -> Result<Rows, SourceError> {
        let mut reader = self.reader(file, content)?;
        let mapper = self.mapper(&file.path, &reader.schema())?;
        let changed = |current: &CurrentFile| SourceError::Position {
            name: self.options.name.clone(),
            problem: format!(
                "{} has changed since its first {} rows were read; bring the old file back, or \
                 give the source another name to read everything again",
                current.path, current.rows
            ),
        };
        match self.options.clock {
            Clock::Arrival => {
                let next = match &current {
                    None => self.options.read(reader.as_mut()),
                    Some(current) => {
                        let digest = self.skip(reader.as_mut(), current.rows)?;
                        if digest.map(hexadecimal).as_ref() != Some(&current.prefix) {
                            return Err(changed(current));
                        }
                        self.options.read(reader.as_mut())
                    }
                };
                Ok(Rows::Arriving {
                    reader,
                    mapper,
                    next,
                })
            }
            Clock::Event => {
                let mut timeline = Timeline::new(&self.options, &mapper)?;
                while let Some(batch) = self.options.read(reader.as_mut())? {
                    let mut rejections = Vec::new();
                    let mapped = mapper.map(&self.options.name, &batch.rows, &mut rejections);
                    let rejected = rejected_rows(&batch, &rejections);
                    timeline.add(&file.path, batch.rows.num_rows(), mapped, rejected)?;
                }
                let failed = |error| SourceError::file(&file.path, "mapped rows", error);
                let done = match &current {
                    Some(current) if current.content != hexadecimal(content) => {
                        return Err(changed(current));
                    }
                    Some(current) => current.rows,
                    None => 0,
                };
                let rejected = timeline.take_rejected();
                let mut parts = timeline.submissions(done).map_err(failed)?;
                if done == 0 && !rejected.is_empty() {
                    self.progress.rows_rejected += rejected.len() as u64;
                    let change = self.rejection(file, &rejected).map_err(failed)?;
                    if parts.is_empty() {
                        parts.push_back((Submission::default(), 0));
                    }
                    if let Some((first, _)) = parts.front_mut() {
                        first.changes.push(change);
                    }
                }
                Ok(Rows::Timed(parts))
            }
        }
    }

    /// Reads over the first rows; the identity of the bytes up to there, `None` if the file has
    /// fewer rows.
    fn skip(&self, reader: &mut dyn RowReader, rows: u64) -> Result<Option<u128>, SourceError> {
        let mut done = 0;
        while done < rows {
            let rest = usize::try_from(rows - done).unwrap_or(usize::MAX);
            let most = rest.min(self.options.rows_per_transaction);
            let Some(batch) = reader.next_batch(most)? else {
                return Ok(None);
            };
            done = batch.rows_done;
            if done == rows {
                return Ok(Some(batch.digest));
            }
        }
        Ok(None)
    }

    fn rejection(
        &self,
        file: &InputFile,
        rows: &[RejectedRow],
    ) -> Result<Change, arrow::error::ArrowError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_us = now.map_or(0, |now| i64::try_from(now.as_micros()).unwrap_or(i64::MAX));
        self.rejected.change(&file.name(), rows, now_us)
    }

    /// The next part of the file at hand, or `None` if it is at its end.
    fn next_part(&mut self, reading: &mut Reading) -> Result<Option<Submission>, SourceError> {
        let (mut submission, rows_done, prefix, is_last) = match &mut reading.rows {
            Rows::Timed(parts) => match parts.pop_front() {
                None => return Ok(None),
                Some((submission, rows_done)) => (submission, rows_done, 0, parts.is_empty()),
            },
            Rows::Arriving {
                reader,
                mapper,
                next,
            } => {
                let Some(batch) = std::mem::replace(next, Ok(None))? else {
                    return Ok(None);
                };
                *next = self.options.read(reader.as_mut());
                let mut rejections = Vec::new();
                let mapped = mapper.map(&self.options.name, &batch.rows, &mut rejections);
                let rejected = rejected_rows(&batch, &rejections);
                let mut changes: Vec<Change> = mapped.into_iter().map(change).collect();
                if !rejected.is_empty() {
                    self.progress.rows_rejected += rejected.len() as u64;
                    let failed = |error| SourceError::file(&reading.file.path, "rejects", error);
                    changes.push(self.rejection(&reading.file, &rejected).map_err(failed)?);
                }
                let submission = Submission {
                    changes,
                    ..Submission::default()
                };
                let is_last = matches!(next, Ok(None));
                (submission, batch.rows_done, batch.digest, is_last)
            }
        };
        if is_last {
            self.position.current = None;
            self.position.done.insert(reading.identity);
        } else {
            self.position.current = Some(CurrentFile {
                path: reading.file.path.display().to_string(),
                content: hexadecimal(reading.content),
                rows: rows_done,
                prefix: hexadecimal(prefix),
            });
        }
        let rows = submission.changes.iter();
        let rows = rows.map(|change| change.rows.num_rows() as u64);
        self.progress.rows_done += rows.sum::<u64>();
        submission.position = Some((self.options.name.clone(), self.position.to_text()));
        Ok(Some(submission))
    }

    fn count_done(&mut self, file: &InputFile) {
        self.progress.files_done += 1;
        self.progress.work_done += file.bytes;
    }
}

impl Source for FileSource {
    fn name(&self) -> &str {
        &self.options.name
    }

    fn next(&mut self) -> Result<Option<Submission>, SourceError> {
        loop {
            if let Some(mut reading) = self.reading.take() {
                if let Some(submission) = self.next_part(&mut reading)? {
                    self.reading = Some(reading);
                    return Ok(Some(submission));
                }
                self.count_done(&reading.file);
            }
            if !self.open_next()? {
                return Ok(None);
            }
        }
    }

    fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl FileOptions {
    fn read(&self, reader: &mut dyn RowReader) -> Result<Option<RawBatch>, SourceError> {
        reader.next_batch(self.rows_per_transaction)
    }
}

fn change(mapped: MappedRows) -> Change {
    Change {
        table: mapped.table,
        kind: mapped.kind,
        rows: mapped.rows,
    }
}

/// What was rejected of a batch, in the order of the file; one entry for a row and table.
fn rejected_rows(batch: &RawBatch, rejections: &[Rejection]) -> Vec<RejectedRow> {
    let unreadable = batch.unreadable.iter().map(|row| RejectedRow {
        row: row.row,
        table: Arc::from(""),
        reason: row.reason.clone(),
        text: row.text.clone(),
    });
    let mut rows: Vec<RejectedRow> = unreadable.collect();
    for rejection in rejections {
        let row = raw::row_number(&batch.rows, rejection.row);
        let known = rows
            .iter_mut()
            .rev()
            .find(|known| known.row == row && known.table == rejection.table);
        match known {
            Some(known) => {
                known.reason.push_str("; ");
                known.reason.push_str(&rejection.reason);
            }
            None => rows.push(RejectedRow {
                row,
                table: Arc::clone(&rejection.table),
                reason: rejection.reason.clone(),
                text: text_of(&batch.rows, rejection.row),
            }),
        }
    }
    rows.sort_by_key(|row| row.row);
    rows
}
