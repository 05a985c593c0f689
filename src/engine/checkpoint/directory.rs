//! The checkpoints of a data directory: their names, writing one, letting go of old ones.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::CheckpointError;
use super::image::CheckpointImage;
use super::reader;
use crate::log::fs::FileSystem;

const SUFFIX: &str = ".checkpoint";
const TEMPORARY_PREFIX: &str = ".temporary-";
const OFFSET_DIGITS: usize = 20;

/// A checkpoint by its name; whether it is whole is another question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointFile {
    /// The offset of the first transaction that it does not contain.
    pub offset: u64,
    /// The file.
    pub path: PathBuf,
}

/// A checkpoint that has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointReport {
    /// The file.
    pub file: CheckpointFile,
    /// Its newest timestamp in milliseconds since the epoch.
    pub timestamp_ms: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// The checkpoints there are, by offset; the last one is this.
    pub kept: Vec<CheckpointFile>,
}

fn file_name(offset: u64) -> String {
    format!("{offset:020}{SUFFIX}")
}

fn parse_file_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let is_number = digits.len() == OFFSET_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// The checkpoints in a directory, by offset; none if it does not exist.
///
/// # Errors
/// [`CheckpointError::Io`].
pub fn list(
    file_system: &dyn FileSystem,
    directory: &Path,
) -> Result<Vec<CheckpointFile>, CheckpointError> {
    let exists = file_system.exists(directory);
    if !exists.map_err(CheckpointError::io("open", directory))? {
        return Ok(Vec::new());
    }
    let names = file_system.list(directory);
    let names = names.map_err(CheckpointError::io("list", directory))?;
    let files = names.iter().filter_map(|name| {
        Some(CheckpointFile {
            offset: parse_file_name(name)?,
            path: directory.join(name),
        })
    });
    Ok(files.collect())
}

/// Removes what a writer that was killed has left; no other may be at work.
///
/// # Errors
/// [`CheckpointError::Io`].
pub fn remove_leftovers(
    file_system: &dyn FileSystem,
    directory: &Path,
) -> Result<(), CheckpointError> {
    let names = file_system.list(directory);
    for name in names.map_err(CheckpointError::io("list", directory))? {
        if name.starts_with(TEMPORARY_PREFIX) {
            let path = directory.join(name);
            let removed = file_system.remove_file(&path);
            removed.map_err(CheckpointError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Writes a checkpoint; when this returns it is durable, has been read back whole, and of the
/// older ones only the newest are left, so that with it there are `retain`. Those in `damaged` are
/// removed first and do not count.
///
/// # Errors
/// [`CheckpointError`]; the checkpoints there were are then still there.
pub fn write(
    file_system: &Arc<dyn FileSystem>,
    directory: &Path,
    image: &CheckpointImage,
    retain: usize,
    damaged: &[PathBuf],
    gives_up: &AtomicBool,
) -> Result<CheckpointReport, CheckpointError> {
    let fs = file_system.as_ref();
    remove_leftovers(fs, directory)?;
    let name = file_name(image.head.offset);
    let temporary = directory.join(format!("{TEMPORARY_PREFIX}{name}"));
    let written = image.write(fs, &temporary, gives_up).and_then(|bytes| {
        read_back(fs, &temporary, gives_up)?;
        Ok(bytes)
    });
    if written.is_err() && fs.exists(&temporary).unwrap_or(false) {
        // Its space is wanted. The error at hand says more than a failure to tidy up, which the
        // next one does again.
        let _ = fs.remove_file(&temporary);
    }
    let bytes = written?;
    let path = directory.join(name);
    let renamed = fs.rename(&temporary, &path);
    renamed.map_err(CheckpointError::io("rename", &temporary))?;
    sync(fs, directory)?;
    let is_damaged = |file: &CheckpointFile| file.path != path && damaged.contains(&file.path);
    let (mut gone, mut kept): (Vec<_>, Vec<_>) =
        list(fs, directory)?.into_iter().partition(is_damaged);
    let excess = kept.len().saturating_sub(retain.max(1));
    gone.extend(kept.drain(..excess));
    for file in &gone {
        let removed = fs.remove_file(&file.path);
        removed.map_err(CheckpointError::io("remove", &file.path))?;
    }
    sync(fs, directory)?;
    Ok(CheckpointReport {
        file: CheckpointFile {
            offset: image.head.offset,
            path,
        },
        timestamp_ms: image.head.timestamp_ms,
        bytes,
        kept,
    })
}

fn read_back(
    file_system: &dyn FileSystem,
    path: &Path,
    gives_up: &AtomicBool,
) -> Result<(), CheckpointError> {
    let read = reader::read(file_system, path, |_, _| {
        match gives_up.load(Ordering::Relaxed) {
            true => Err(CheckpointError::GivenUp),
            false => Ok(()),
        }
    });
    read.map(drop)
}

fn sync(file_system: &dyn FileSystem, directory: &Path) -> Result<(), CheckpointError> {
    let synced = file_system.sync_directory(directory);
    synced.map_err(CheckpointError::io("sync", directory))
}
