//! The files of `mainstem generate`: one a table, each there as a whole or not at all.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use arrow::json::LineDelimitedWriter;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::failure::Failure;
use crate::model::{REJECTED_EVENTS, TableDefinition, standard_tables};

/// Rows of a row group: they are in memory until it is full, for every table.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// The format of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// One JSON object a line; NULLs are left out.
    Ndjson,
    /// Parquet, compressed with zstd.
    Parquet,
}

impl FileKind {
    fn extension(self) -> &'static str {
        match self {
            FileKind::Ndjson => "ndjson",
            FileKind::Parquet => "parquet",
        }
    }
}

impl FromStr for FileKind {
    type Err = String;

    fn from_str(text: &str) -> Result<FileKind, String> {
        match text {
            "ndjson" => Ok(FileKind::Ndjson),
            "parquet" => Ok(FileKind::Parquet),
            _ => Err(format!("`{text}` is no format; write ndjson or parquet")),
        }
    }
}

/// Files under way: they get their names when all of them are whole.
pub struct EventFiles {
    files: Vec<EventFile>,
}

struct EventFile {
    table: String,
    path: PathBuf,
    unfinished: PathBuf,
    writer: Writer,
    rows: u64,
}

enum Writer {
    Ndjson(BufWriter<File>),
    Parquet(Box<ArrowWriter<File>>),
}

impl EventFiles {
    /// Begins a file for each table that sources write to.
    pub fn create(directory: &Path, kind: FileKind) -> Result<EventFiles, Failure> {
        fs::create_dir_all(directory).map_err(|error| unwritable(directory, error))?;
        let mut files = Vec::new();
        for table in standard_tables() {
            if table.name != REJECTED_EVENTS {
                files.push(EventFile::create(directory, kind, &table)?);
            }
        }
        Ok(EventFiles { files })
    }

    /// Adds rows to the file of their table.
    pub fn write(&mut self, table: &str, rows: &RecordBatch) -> Result<(), Failure> {
        match self.files.iter_mut().find(|file| file.table == table) {
            Some(file) => file.write(rows),
            None => Err(Failure::new(
                format!("the standard model has no table `{table}` to write a file for"),
                "",
            )),
        }
    }

    /// Ends all files and gives them their names: the paths with the number of rows in each.
    pub fn finish(self) -> Result<Vec<(PathBuf, u64)>, Failure> {
        let mut whole = Vec::new();
        for file in self.files {
            whole.push(file.finish()?);
        }
        let mut finished = Vec::new();
        for (unfinished, path, rows) in whole {
            fs::rename(&unfinished, &path).map_err(|error| unwritable(&path, error))?;
            finished.push((path, rows));
        }
        Ok(finished)
    }
}

impl EventFile {
    fn create(
        directory: &Path,
        kind: FileKind,
        table: &TableDefinition,
    ) -> Result<EventFile, Failure> {
        let path = directory.join(format!("{}.{}", table.name, kind.extension()));
        let unfinished = path.with_extension(format!("{}.unfinished", kind.extension()));
        let file = File::create(&unfinished).map_err(|error| unwritable(&unfinished, error))?;
        let writer = match kind {
            FileKind::Ndjson => Writer::Ndjson(BufWriter::new(file)),
            FileKind::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
                    .build();
                let writer = ArrowWriter::try_new(file, table.schema(), Some(properties));
                Writer::Parquet(Box::new(
                    writer.map_err(|error| unwritable(&unfinished, error))?,
                ))
            }
        };
        Ok(EventFile {
            table: table.name.clone(),
            path,
            unfinished,
            writer,
            rows: 0,
        })
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        self.rows += rows.num_rows() as u64;
        let unfinished = &self.unfinished;
        match &mut self.writer {
            Writer::Ndjson(out) => {
                let mut writer = LineDelimitedWriter::new(out);
                let written = writer.write(rows).and_then(|()| writer.finish());
                written.map_err(|error| unwritable(unfinished, error))
            }
            Writer::Parquet(writer) => writer
                .write(rows)
                .map_err(|error| unwritable(unfinished, error)),
        }
    }

    /// Everything is on the disk, under the name of an unfinished file.
    fn finish(self) -> Result<(PathBuf, PathBuf, u64), Failure> {
        let unfinished = self.unfinished;
        let file = match self.writer {
            Writer::Ndjson(mut out) => out
                .flush()
                .and_then(|()| out.into_inner().map_err(|error| error.into_error()))
                .map_err(|error| unwritable(&unfinished, error))?,
            Writer::Parquet(writer) => writer
                .into_inner()
                .map_err(|error| unwritable(&unfinished, error))?,
        };
        file.sync_all()
            .map_err(|error| unwritable(&unfinished, error))?;
        Ok((unfinished, self.path, self.rows))
    }
}

fn unwritable(path: &Path, error: impl Display) -> Failure {
    Failure::new(
        format!("{} can't be written: {error}", path.display()),
        "check the directory's permissions and the space on its disk",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_get_their_names_when_they_are_whole() {
        for (kind, name) in [
            (FileKind::Ndjson, "orders.ndjson"),
            (FileKind::Parquet, "orders.parquet"),
        ] {
            let directory = tempfile::tempdir().expect("a directory");
            let files = EventFiles::create(directory.path(), kind).expect("files");
            assert!(!directory.path().join(name).exists());
            let finished = files.finish().expect("whole files");
            assert_eq!(finished.len(), standard_tables().len() - 1);
            assert!(directory.path().join(name).exists());
            let count = fs::read_dir(directory.path()).expect("a directory").count();
            assert_eq!(count, finished.len(), "nothing else is left");
        }
    }

    #[test]
    fn a_table_of_its_own_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut files = EventFiles::create(directory.path(), FileKind::Ndjson).expect("files");
        let rows = RecordBatch::new_empty(standard_tables()[0].schema());
        assert!(files.write("rejected_events", &rows).is_err());
    }
}
