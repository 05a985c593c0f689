//! Copies of a data directory that an engine can start from, taken while one is running.
//!
//! A backup is the newest whole checkpoint and the log behind it, as it was when its segments were
//! listed: segments only grow at their end and checkpoints never change, so a copy is a moment of
//! the log. `backup.json` is written last and names every file with its checksum: a directory
//! without it is no backup.

use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::LOG_DIRECTORY;
use super::checkpoint::{self, CHECKPOINT_DIRECTORY, CheckpointError};
use crate::log::fs::{FileReader, FileSystem, create_directories};
use crate::log::{self, DirectoryLock, LogError};

/// The version of `backup.json`.
const LABEL_VERSION: u32 = 1;
const LABEL_FILE: &str = "backup.json";
const TEMPORARY_LABEL: &str = ".temporary-backup.json";
const COPY_BYTES: usize = 1 << 20;
const MAX_LABEL_BYTES: u64 = 16 << 20;
/// A running engine may remove a file that is being copied; then all begins anew.
const ATTEMPTS: usize = 5;

/// What a backup holds: the content of `backup.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupLabel {
    /// The version of this format: 1.
    pub format_version: u32,
    /// The offset of the first transaction of the log in the backup.
    pub first_offset: u64,
    /// The offset that comes after its last transaction.
    pub next_offset: u64,
    /// The last transaction's timestamp in milliseconds since the epoch.
    pub timestamp_ms: u64,
    /// The files.
    pub files: Vec<BackupFile>,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFile {
    /// The directory it is in: that of the log or of the checkpoints.
    pub directory: String,
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// The CRC-32C of its bytes.
    pub crc32c: u32,
}

/// Why a backup was not written or cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The operating system refused an operation.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was being done, as a verb.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Something is there already.
    #[error("{} is not empty; name a directory that is, or does not exist", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// There is nothing to copy.
    #[error("{} holds no log; name the directory that an engine has written", path.display())]
    NoLog {
        /// The data directory.
        path: PathBuf,
    },
    /// There is no finished backup.
    #[error("{} is no backup, or one that was not finished: {reason}", path.display())]
    NoBackup {
        /// The directory.
        path: PathBuf,
        /// What is wrong with its label.
        reason: String,
    },
    /// A file of a backup is not what was written.
    #[error("the backup is damaged: {}: {reason}; use another backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No checkpoint contains what the log no longer has.
    #[error("no whole checkpoint contains what the log no longer has; run `mainstem doctor`")]
    NothingToStartFrom,
    /// The engine removed files faster than they could be copied.
    #[error("the engine removes files faster than they are copied; raise checkpoint.every")]
    Overtaken,
    /// The log is not whole.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The checkpoints cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl BackupError {
    fn io<'a>(
        operation: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> BackupError + use<'a> {
        move |source| BackupError::Io {
            operation,
            path: path.to_path_buf(),
            source,
        }
    }

    /// Whether a file was gone, as when the engine removed it meanwhile.
    fn is_vanished(&self) -> bool {
        let source = match self {
            BackupError::Io { source, .. }
            | BackupError::Log(LogError::Io { source, .. })
            | BackupError::Checkpoint(CheckpointError::Io { source, .. }) => source,
            BackupError::NothingToStartFrom => return true,
            _ => return false,
        };
        source.kind() == ErrorKind::NotFound
    }
}

/// Copies a data directory to `target`, which must be empty or missing. The engine may be running.
///
/// # Errors
/// [`BackupError`]; `target` then holds no finished backup.
pub fn back_up(
    file_system: &dyn FileSystem,
    data_dir: &Path,
    target: &Path,
) -> Result<BackupLabel, BackupError> {
    let log = data_dir.join(LOG_DIRECTORY);
    if log::segment_files(file_system, &log)?.is_empty() {
        return Err(BackupError::NoLog {
            path: data_dir.to_path_buf(),
        });
    }
    make_empty(file_system, target)?;
    for _ in 0..ATTEMPTS {
        let copy = Copy {
            file_system,
            from: data_dir,
            to: target,
            files: Vec::new(),
        };
        match copy.run() {
            Err(error) if error.is_vanished() => clear(file_system, target)?,
            Err(error) => {
                // Half of a backup is of no use, and its space may be wanted. The error at hand
                // says more than a failure to tidy up.
                let _ = clear(file_system, target);
                return Err(error);
            }
            Ok(label) => return Ok(label),
        }
    }
    Err(BackupError::Overtaken)
}

/// Makes a data directory of a backup, checking every byte. `data_dir` must be empty or missing.
///
/// # Errors
/// [`BackupError`].
pub fn restore(
    file_system: &dyn FileSystem,
    backup: &Path,
    data_dir: &Path,
) -> Result<BackupLabel, BackupError> {
    let label = read_label(file_system, backup)?;
    make_empty(file_system, data_dir)?;
    let _lock = DirectoryLock::acquire(file_system, data_dir)?;
    for file in &label.files {
        let from = backup.join(&file.directory).join(&file.name);
        let copied = copy_file(file_system, &from, data_dir, &file.directory)?;
        if (copied.bytes, copied.crc32c) != (file.bytes, file.crc32c) {
            return Err(BackupError::Damaged {
                path: from,
                reason: "its length or checksum is not that of the label".to_owned(),
            });
        }
    }
    sync_all(file_system, data_dir)?;
    Ok(label)
}

/// What a backup holds.
///
/// # Errors
/// [`BackupError::NoBackup`], [`BackupError::Io`].
pub fn read_label(file_system: &dyn FileSystem, backup: &Path) -> Result<BackupLabel, BackupError> {
    let no_backup = |reason: String| BackupError::NoBackup {
        path: backup.to_path_buf(),
        reason,
    };
    let path = backup.join(LABEL_FILE);
    let file = file_system
        .open_read(&path)
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => no_backup(format!("there is no {LABEL_FILE}")),
            _ => BackupError::io("open", &path)(error),
        })?;
    let mut text = Vec::new();
    FileReader::new(file, 0)
        .take(MAX_LABEL_BYTES)
        .read_to_end(&mut text)
        .map_err(BackupError::io("read", &path))?;
    let label: BackupLabel =
        serde_json::from_slice(&text).map_err(|error| no_backup(error.to_string()))?;
    let is_known = |file: &BackupFile| {
        [LOG_DIRECTORY, CHECKPOINT_DIRECTORY].contains(&file.directory.as_str())
            && !file.name.contains(['/', '\\'])
    };
    match label.format_version {
        LABEL_VERSION if label.files.iter().all(is_known) => Ok(label),
        LABEL_VERSION => Err(no_backup("it names files outside of a backup".to_owned())),
        version => Err(no_backup(format!(
            "it has format version {version}, this program reads {LABEL_VERSION}"
        ))),
    }
}

/// A backup being written.
struct Copy<'a> {
    file_system: &'a dyn FileSystem,
    from: &'a Path,
    to: &'a Path,
    files: Vec<BackupFile>,
}

impl Copy<'_> {
    fn run(mut self) -> Result<BackupLabel, BackupError> {
        // The checkpoint first: everything it contains is in the log that is listed after it.
        let start = self.copy_checkpoint()?;
        self.copy_log(start)?;
        let log = self.to.join(LOG_DIRECTORY);
        let report = log::verify(self.file_system, &log, start)?;
        if report.first_offset > start || report.next_offset < start {
            return Err(BackupError::NothingToStartFrom);
        }
        if let (Some(last), 1..) = (report.segments.last(), report.unfinished_bytes) {
            self.cut(&last.path, last.bytes - report.unfinished_bytes)?;
        }
        sync_all(self.file_system, self.to)?;
        let label = BackupLabel {
            format_version: LABEL_VERSION,
            first_offset: report.first_offset,
            next_offset: report.next_offset,
            timestamp_ms: report.last_timestamp_ms,
            files: self.files,
        };
        write_label(self.file_system, self.to, &label)?;
        Ok(label)
    }

    /// Copies the newest whole checkpoint, if there is one; the offset it goes up to.
    fn copy_checkpoint(&mut self) -> Result<u64, BackupError> {
        let directory = self.from.join(CHECKPOINT_DIRECTORY);
        for file in checkpoint::list(self.file_system, &directory)?.iter().rev() {
            match checkpoint::verify(self.file_system, &file.path) {
                Ok(_) => {
                    self.copy(&file.path, CHECKPOINT_DIRECTORY)?;
                    return Ok(file.offset);
                }
                Err(CheckpointError::Damaged { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(0)
    }

    /// Copies the segments from the one that holds `start` on.
    fn copy_log(&mut self, start: u64) -> Result<(), BackupError> {
        let segments = log::segment_files(self.file_system, &self.from.join(LOG_DIRECTORY))?;
        let first = segments.partition_point(|segment| segment.first_offset <= start);
        for segment in segments.iter().skip(first.saturating_sub(1)) {
            self.copy(&segment.path, LOG_DIRECTORY)?;
        }
        Ok(())
    }

    fn copy(&mut self, path: &Path, directory: &str) -> Result<(), BackupError> {
        let file = copy_file(self.file_system, path, self.to, directory)?;
        self.files.push(file);
        Ok(())
    }

    /// Cuts the record off that was being written while its segment was copied.
    fn cut(&mut self, path: &Path, length: u64) -> Result<(), BackupError> {
        self.file_system
            .truncate(path, length)
            .map_err(BackupError::io("shorten", path))?;
        let file = self.file_system.open_append(path);
        let mut file = file.map_err(BackupError::io("open", path))?;
        file.sync().map_err(BackupError::io("sync", path))?;
        let (bytes, crc32c) = checksum(self.file_system, path)?;
        if let Some(last) = self.files.last_mut() {
            last.bytes = bytes;
            last.crc32c = crc32c;
        }
        Ok(())
    }
}

/// Copies a file into a directory below `root` and syncs it.
fn copy_file(
    file_system: &dyn FileSystem,
    from: &Path,
    root: &Path,
    directory: &str,
) -> Result<BackupFile, BackupError> {
    let name = from.file_name().unwrap_or_default().to_string_lossy();
    let to = root.join(directory).join(name.as_ref());
    let source = file_system.open_read(from);
    let mut reader = FileReader::new(source.map_err(BackupError::io("open", from))?, 0);
    create(file_system, &root.join(directory))?;
    let target = file_system.create_file(&to);
    let mut target = target.map_err(BackupError::io("create", &to))?;
    let mut buffer = vec![0; COPY_BYTES];
    let (mut bytes, mut crc32c) = (0, 0);
    loop {
        let count = reader.read(&mut buffer);
        let count = count.map_err(BackupError::io("read", from))?;
        let piece = buffer.get(..count).unwrap_or_default();
        if piece.is_empty() {
            break;
        }
        target
            .write_all(piece)
            .map_err(BackupError::io("write to", &to))?;
        bytes += count as u64;
        crc32c = crc32c::crc32c_append(crc32c, piece);
    }
    target.sync().map_err(BackupError::io("sync", &to))?;
    Ok(BackupFile {
        directory: directory.to_owned(),
        name: name.into_owned(),
        bytes,
        crc32c,
    })
}

/// The length and CRC-32C of a file.
fn checksum(file_system: &dyn FileSystem, path: &Path) -> Result<(u64, u32), BackupError> {
    let file = file_system.open_read(path);
    let mut reader = FileReader::new(file.map_err(BackupError::io("open", path))?, 0);
    let mut buffer = vec![0; COPY_BYTES];
    let (mut bytes, mut crc32c) = (0, 0);
    loop {
        let count = reader.read(&mut buffer);
        let count = count.map_err(BackupError::io("read", path))?;
        if count == 0 {
            return Ok((bytes, crc32c));
        }
        bytes += count as u64;
        crc32c = crc32c::crc32c_append(crc32c, buffer.get(..count).unwrap_or_default());
    }
}

fn write_label(
    file_system: &dyn FileSystem,
    target: &Path,
    label: &BackupLabel,
) -> Result<(), BackupError> {
    let temporary = target.join(TEMPORARY_LABEL);
    let text = serde_json::to_vec_pretty(label).map_err(io::Error::from);
    let text = text.map_err(BackupError::io("write to", &temporary))?;
    let file = file_system.create_file(&temporary);
    let mut file = file.map_err(BackupError::io("create", &temporary))?;
    file.write_all(&text)
        .map_err(BackupError::io("write to", &temporary))?;
    file.sync().map_err(BackupError::io("sync", &temporary))?;
    file_system
        .rename(&temporary, &target.join(LABEL_FILE))
        .map_err(BackupError::io("rename", &temporary))?;
    file_system
        .sync_directory(target)
        .map_err(BackupError::io("sync", target))
}

fn create(file_system: &dyn FileSystem, directory: &Path) -> Result<(), BackupError> {
    create_directories(file_system, directory)
        .map_err(|(path, error)| BackupError::io("create the directory", &path)(error))
}

/// Creates a directory, or accepts one that is empty but for a lock.
fn make_empty(file_system: &dyn FileSystem, directory: &Path) -> Result<(), BackupError> {
    create(file_system, directory)?;
    let names = file_system.list(directory);
    let names = names.map_err(BackupError::io("list", directory))?;
    match names.iter().all(|name| name == "lock") {
        true => Ok(()),
        false => Err(BackupError::NotEmpty {
            path: directory.to_path_buf(),
        }),
    }
}

/// Removes what an attempt has copied.
fn clear(file_system: &dyn FileSystem, target: &Path) -> Result<(), BackupError> {
    let label = target.join(TEMPORARY_LABEL);
    let exists = file_system.exists(&label);
    if exists.map_err(BackupError::io("open", &label))? {
        let removed = file_system.remove_file(&label);
        removed.map_err(BackupError::io("remove", &label))?;
    }
    for directory in [LOG_DIRECTORY, CHECKPOINT_DIRECTORY] {
        let path = target.join(directory);
        let exists = file_system.exists(&path);
        if exists.map_err(BackupError::io("open", &path))? {
            file_system
                .remove_directory(&path)
                .map_err(BackupError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Makes the names of all files durable.
fn sync_all(file_system: &dyn FileSystem, root: &Path) -> Result<(), BackupError> {
    let directories = [root.join(LOG_DIRECTORY), root.join(CHECKPOINT_DIRECTORY)];
    for directory in directories.iter().map(PathBuf::as_path).chain([root]) {
        let exists = file_system.exists(directory);
        if exists.map_err(BackupError::io("open", directory))? {
            file_system
                .sync_directory(directory)
                .map_err(BackupError::io("sync", directory))?;
        }
    }
    Ok(())
}
