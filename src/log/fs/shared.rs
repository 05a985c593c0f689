//! The machine's own file system for files that are made to be read by others, such as snapshots.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::real::{RealFile, RealFileSystem, locked};
use super::{FileLock, FileSystem, ReadableFile, WritableFile};

/// As [`RealFileSystem`], but who may read what is created is what the process says by its umask.
#[derive(Clone, Copy, Debug, Default)]
pub struct SharedFileSystem;

impl FileSystem for SharedFileSystem {
    fn create_file(&self, path: &Path) -> io::Result<Box<dyn WritableFile>> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create_new(true).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn try_lock(&self, path: &Path) -> io::Result<FileLock> {
        let mut options = OpenOptions::new();
        locked(options.write(true).create(true).truncate(false), path)
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WritableFile>> {
        RealFileSystem.open_append(path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn ReadableFile>> {
        RealFileSystem.open_read(path)
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        RealFileSystem.truncate(path, length)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        RealFileSystem.sync_directory(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFileSystem.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealFileSystem.remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        RealFileSystem.remove_directory(path)
    }

    fn create_link(&self, target: &Path, link: &Path) -> io::Result<()> {
        RealFileSystem.create_link(target, link)
    }

    fn read_link(&self, link: &Path) -> io::Result<PathBuf> {
        RealFileSystem.read_link(link)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        RealFileSystem.list(directory)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        RealFileSystem.exists(path)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        RealFileSystem.free_bytes(path)
    }
}
