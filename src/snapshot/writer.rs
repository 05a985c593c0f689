//! Writing a snapshot: aside first, then into place at once.

use std::error::Error;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use parquet::file::metadata::KeyValue;

use super::error::SnapshotError;
use super::layout::{
    LATEST_LINK, LOCK_FILE, LOG_TAG, TEMPORARY_PREFIX, TIMESTAMP_TAG, VIEW_TAG, check_view_name,
    list_view, timestamp_name, timestamp_text,
};
use super::manifest::{LogRange, MANIFEST_VERSION, Manifest, columns_of};
use super::part::{PartsWriter, properties};
use crate::log::fs::{FileLock, FileSystem, create_directories};

/// How snapshots are written and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotOptions {
    /// How many snapshots of a view are kept, the newest by timestamp; at least 1. The one that
    /// `latest` leads to is kept in any case.
    pub retain: usize,
    /// The most rows in a row group; at least 1.
    pub row_group_rows: usize,
    /// The most rows in a Parquet file; at least 1.
    pub part_rows: u64,
    /// The zstd level, 1 (fast) to 22 (small).
    pub compression_level: i32,
}

impl Default for SnapshotOptions {
    fn default() -> Self {
        SnapshotOptions {
            retain: 3,
            row_group_rows: 128 << 10,
            part_rows: 4 << 20,
            compression_level: 3,
        }
    }
}

/// What a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The timestamp in milliseconds since the epoch.
    pub timestamp_ms: u64,
    /// The transactions up to then; `None`: it is not known which they are.
    pub log: Option<LogRange>,
}

/// A snapshot that has been written, or was there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotReport {
    /// The snapshot's directory.
    pub path: PathBuf,
    /// The number of rows.
    pub rows: u64,
    /// The size of the Parquet files in bytes.
    pub bytes: u64,
    /// The number of Parquet files.
    pub parts: usize,
    /// Whether this view and timestamp had been written before, so that nothing was written now.
    pub existed: bool,
}

/// Writes snapshots below one root directory.
#[derive(Clone, Debug)]
pub struct SnapshotWriter {
    file_system: Arc<dyn FileSystem>,
    root: PathBuf,
    options: SnapshotOptions,
}

impl SnapshotWriter {
    /// A writer below `root`, which is created with the first snapshot.
    ///
    /// # Errors
    /// [`SnapshotError::InvalidOption`].
    pub fn new(
        file_system: Arc<dyn FileSystem>,
        root: impl Into<PathBuf>,
        options: SnapshotOptions,
    ) -> Result<SnapshotWriter, SnapshotError> {
        let at_least_one = [
            ("retain", options.retain == 0),
            ("row_group_rows", options.row_group_rows == 0),
            ("part_rows", options.part_rows == 0),
        ];
        if let Some((setting, _)) = at_least_one.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(SnapshotError::InvalidOption {
                setting,
                problem: "must be at least 1".to_string(),
            });
        }
        properties(&options, Vec::new())?;
        Ok(SnapshotWriter {
            file_system,
            root: root.into(),
            options,
        })
    }

    /// Writes the content of `view` at a moment, points `latest` at it and removes
    /// snapshots beyond the retention. A snapshot that exists is left as it is, and `batches` are
    /// not asked for. Readers see all of it or nothing, also after a crash.
    ///
    /// # Errors
    /// See [`SnapshotError`]; after an error there is no new snapshot under this timestamp, except
    /// where only `latest` or the removal of old ones failed.
    pub fn write<E: Into<Box<dyn Error + Send + Sync>>>(
        &self,
        view: &str,
        moment: Moment,
        schema: SchemaRef,
        batches: impl IntoIterator<Item = Result<RecordBatch, E>>,
    ) -> Result<SnapshotReport, SnapshotError> {
        check_view_name(view)?;
        let name = timestamp_name(moment.timestamp_ms)?;
        let place = Place::enter(self.file_system.as_ref(), self.root.join(view))?;
        place.remove_leftovers()?;
        let path = place.directory.join(&name);
        let existed = self
            .file_system
            .exists(&path)
            .map_err(SnapshotError::io("look for", &path))?;
        let manifest = if existed {
            let manifest = Manifest::read(self.file_system.as_ref(), &path)?;
            check_history(&manifest, &path, moment, &schema)?;
            manifest
        } else {
            self.write_new(&place, view, moment, &schema, batches)?
        };
        place.point_latest_at(&name)?;
        self.remove_old(&place, view, &path)?;
        Ok(SnapshotReport {
            path,
            rows: manifest.rows,
            bytes: manifest.bytes,
            parts: manifest.files.len(),
            existed,
        })
    }

    /// Writes a snapshot under a temporary name and renames it once it is durable.
    fn write_new<E: Into<Box<dyn Error + Send + Sync>>>(
        &self,
        place: &Place<'_>,
        view: &str,
        moment: Moment,
        schema: &SchemaRef,
        batches: impl IntoIterator<Item = Result<RecordBatch, E>>,
    ) -> Result<Manifest, SnapshotError> {
        let name = timestamp_name(moment.timestamp_ms)?;
        let temporary = place.directory.join(format!("{TEMPORARY_PREFIX}{name}"));
        self.file_system
            .create_directory(&temporary)
            .map_err(SnapshotError::io("create the directory", &temporary))?;
        let written = self
            .write_files(&temporary, view, moment, schema, batches)
            .and_then(|manifest| {
                place.sync(&temporary)?;
                place.rename(&temporary, &place.directory.join(name))?;
                Ok(manifest)
            });
        if written.is_err() {
            // The error at hand says more than a failure to tidy up; the next writer tries again.
            let _ = self.file_system.remove_directory(&temporary);
        }
        written
    }

    fn write_files<E: Into<Box<dyn Error + Send + Sync>>>(
        &self,
        directory: &Path,
        view: &str,
        moment: Moment,
        schema: &SchemaRef,
        batches: impl IntoIterator<Item = Result<RecordBatch, E>>,
    ) -> Result<Manifest, SnapshotError> {
        let timestamp = timestamp_text(moment.timestamp_ms)?;
        let mut tags = vec![
            KeyValue::new(VIEW_TAG.to_owned(), view.to_string()),
            KeyValue::new(TIMESTAMP_TAG.to_owned(), timestamp.clone()),
        ];
        let log = moment.log.map(|range| range.to_string());
        tags.extend(log.map(|range| KeyValue::new(LOG_TAG.to_owned(), range)));
        let properties = properties(&self.options, tags)?;
        let file_system = self.file_system.as_ref();
        let bare = Arc::new(Schema::new(schema.fields().clone()));
        let max_rows = self.options.part_rows;
        let mut parts = PartsWriter::new(file_system, directory, bare, properties, max_rows);
        for batch in batches {
            let batch = batch.map_err(|error| SnapshotError::Rows {
                view: view.to_string(),
                source: error.into(),
            })?;
            parts.write(&batch)?;
        }
        let files = parts.finish()?;
        let manifest = Manifest {
            format_version: MANIFEST_VERSION,
            view: view.to_string(),
            timestamp_ms: moment.timestamp_ms,
            timestamp,
            log: moment.log,
            schema: columns_of(schema),
            rows: files.iter().map(|file| file.rows).sum(),
            bytes: files.iter().map(|file| file.bytes).sum(),
            files,
        };
        manifest.write(file_system, directory)?;
        Ok(manifest)
    }

    /// Removes the oldest snapshots beyond the retention, but never the one just written.
    fn remove_old(
        &self,
        place: &Place<'_>,
        view: &str,
        current: &Path,
    ) -> Result<(), SnapshotError> {
        let mut entries = list_view(self.file_system.as_ref(), &self.root, view)?;
        let excess = entries.len().saturating_sub(self.options.retain);
        entries.truncate(excess);
        for entry in entries {
            if entry.path != current {
                place.remove_snapshot(&entry.path)?;
            }
        }
        Ok(())
    }
}

/// Refuses a snapshot that cannot be of the same moment, though it has its timestamp.
fn check_history(
    manifest: &Manifest,
    path: &Path,
    moment: Moment,
    schema: &Schema,
) -> Result<(), SnapshotError> {
    let path = path.to_path_buf();
    if manifest.schema != columns_of(schema) {
        return Err(SnapshotError::DifferentColumns { path });
    }
    match (manifest.log, moment.log) {
        (Some(found), Some(wanted)) if found != wanted => Err(SnapshotError::OtherTransactions {
            path,
            found,
            wanted,
        }),
        _ => Ok(()),
    }
}

/// A view's directory, locked for one writer.
struct Place<'a> {
    file_system: &'a dyn FileSystem,
    directory: PathBuf,
    _lock: FileLock,
}

impl<'a> Place<'a> {
    fn enter(
        file_system: &'a dyn FileSystem,
        directory: PathBuf,
    ) -> Result<Place<'a>, SnapshotError> {
        create_directories(file_system, &directory)
            .map_err(|(path, error)| SnapshotError::io("create the directory", &path)(error))?;
        let path = directory.join(LOCK_FILE);
        match file_system.try_lock(&path) {
            Ok(lock) => Ok(Place {
                file_system,
                directory,
                _lock: lock,
            }),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                Err(SnapshotError::InUse { directory })
            }
            Err(error) => Err(SnapshotError::io("lock", &path)(error)),
        }
    }

    /// Removes what a writer that crashed has left.
    fn remove_leftovers(&self) -> Result<(), SnapshotError> {
        // A name taken out of use may not be durably so; its files must not go before it.
        self.sync(&self.directory)?;
        let names = self
            .file_system
            .list(&self.directory)
            .map_err(SnapshotError::io("list", &self.directory))?;
        for name in names {
            if name.starts_with(TEMPORARY_PREFIX) {
                self.remove(&self.directory.join(name))?;
            }
        }
        Ok(())
    }

    /// Makes `latest` lead to the snapshot called `name`, in one instant.
    fn point_latest_at(&self, name: &str) -> Result<(), SnapshotError> {
        let link = self.directory.join(LATEST_LINK);
        if self
            .file_system
            .read_link(&link)
            .is_ok_and(|target| target == Path::new(name))
        {
            return Ok(());
        }
        let temporary = self
            .directory
            .join(format!("{TEMPORARY_PREFIX}{LATEST_LINK}"));
        self.file_system
            .create_link(Path::new(name), &temporary)
            .map_err(SnapshotError::io("create the link", &temporary))?;
        self.rename(&temporary, &link)
    }

    /// Takes a snapshot out of sight in one instant, then removes its files.
    fn remove_snapshot(&self, path: &Path) -> Result<(), SnapshotError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = self.directory.join(format!("{TEMPORARY_PREFIX}{name}"));
        self.rename(path, &temporary)?;
        self.remove(&temporary)
    }

    /// Removes a file, link or directory.
    fn remove(&self, path: &Path) -> Result<(), SnapshotError> {
        let is_link = self.file_system.read_link(path).is_ok();
        let removed = if is_link {
            self.file_system.remove_file(path)
        } else {
            self.file_system.remove_directory(path)
        };
        removed.map_err(SnapshotError::io("remove", path))
    }

    /// Renames within the directory, durably.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), SnapshotError> {
        self.file_system
            .rename(from, to)
            .map_err(SnapshotError::io("rename", from))?;
        self.sync(&self.directory)
    }

    fn sync(&self, directory: &Path) -> Result<(), SnapshotError> {
        self.file_system
            .sync_directory(directory)
            .map_err(SnapshotError::io("sync", directory))
    }
}
