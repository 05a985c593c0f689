//! The small file-system trait that all durable state goes through.
//!
//! The log and the snapshots touch files through [`FileSystem`] alone, so that power cuts, failing
//! syncs and full disks can be simulated: [`RealFileSystem`] is the machine's own,
//! and lets nobody else read what it creates ([`SharedFileSystem`] does),
//! [`MemoryFileSystem`] knows which bytes and directory entries a power cut may take, and
//! [`FaultyFileSystem`] makes chosen operations of another one fail, and at one of
//! [`FatalFileSystem`] the process dies. [`ModestFileSystem`] leaves the disk some free space.
//!
//! Contract of every body: nothing is durable until synced. A file's bytes are durable after
//! [`WritableFile::sync`]; its name is durable after [`FileSystem::sync_directory`] on the
//! directory that holds it. Renames happen within one directory, whole or not at all.

/// The operations of a [`FileSystem`] that change nothing, as the field `inner` does them.
macro_rules! read_from_inner {
    () => {
        fn open_read(&self, path: &Path) -> io::Result<Arc<dyn ReadableFile>> {
            self.inner.open_read(path)
        }

        fn read_link(&self, link: &Path) -> io::Result<PathBuf> {
            self.inner.read_link(link)
        }

        fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
            self.inner.list(directory)
        }

        fn exists(&self, path: &Path) -> io::Result<bool> {
            self.inner.exists(path)
        }

        fn free_bytes(&self, path: &Path) -> io::Result<u64> {
            self.inner.free_bytes(path)
        }

        fn try_lock(&self, path: &Path) -> io::Result<FileLock> {
            self.inner.try_lock(path)
        }
    };
}

mod fatal;
mod faulty;
mod memory;
mod modest;
mod real;
mod shared;

use std::any::Any;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use fatal::{FatalFileSystem, FatalPoint};
pub use faulty::{Fault, FaultyFileSystem};
pub use memory::MemoryFileSystem;
pub use modest::ModestFileSystem;
pub use real::RealFileSystem;
pub use shared::SharedFileSystem;

/// Files and directories, with durability made explicit.
///
/// Errors are those of the operating system; callers add what they were doing and to which path.
pub trait FileSystem: fmt::Debug + Send + Sync {
    /// Creates a file for appending. Fails if the name is taken.
    fn create_file(&self, path: &Path) -> io::Result<Box<dyn WritableFile>>;
    /// Opens an existing file for appending.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WritableFile>>;
    /// Opens an existing file for reading.
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn ReadableFile>>;
    /// Shortens a file to `length` bytes; durable once the file is synced.
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()>;
    /// Creates one directory, whose parent must exist. Fails if the name is taken.
    fn create_directory(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable, as they are now.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Gives a file, directory or link another name in the same directory. A file or link that
    /// has that name is replaced in the same instant.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file or a link.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory and everything below it, without following links.
    fn remove_directory(&self, path: &Path) -> io::Result<()>;
    /// Creates a symbolic link at `link` that leads to `target`.
    fn create_link(&self, target: &Path, link: &Path) -> io::Result<()>;
    /// The target of a symbolic link, as it was given.
    fn read_link(&self, link: &Path) -> io::Result<PathBuf>;
    /// The names in a directory, sorted. A name that is not UTF-8 is an error.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;
    /// Whether there is a file or directory at `path`, following links.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// How many bytes can still be written to the disk that holds `path`, which must exist.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
    /// Creates the file if it is missing and locks it against other holders until the returned
    /// lock is dropped or the process ends. Fails with [`io::ErrorKind::WouldBlock`] while another
    /// holder has it.
    fn try_lock(&self, path: &Path) -> io::Result<FileLock>;
}

/// A file open for appending. Writes reach the file at once but are durable only after
/// [`sync`](Self::sync).
pub trait WritableFile: io::Write + Send {
    /// Makes the file's bytes and length durable. After a failure the state of what was written
    /// since the last success is unknown, and must be taken as lost.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file open for reading at any position, by several threads at once.
pub trait ReadableFile: Send + Sync {
    /// The file's present length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Reads up to `buffer.len()` bytes from `position`; fewer only near the end, 0 at the end.
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// A lock on a file, held until it is dropped.
pub struct FileLock(#[expect(dead_code, reason = "held for its drop")] Box<dyn Any + Send + Sync>);

impl FileLock {
    /// Wraps whatever holds the lock for as long as it lives.
    pub fn new(holder: impl Any + Send + Sync) -> FileLock {
        FileLock(Box::new(holder))
    }
}

impl fmt::Debug for FileLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileLock")
    }
}

/// Reads a [`ReadableFile`] from a position onwards, as a stream.
pub struct FileReader {
    file: Arc<dyn ReadableFile>,
    position: u64,
}

impl FileReader {
    /// A stream of the file's bytes from `position` on.
    pub fn new(file: Arc<dyn ReadableFile>, position: u64) -> FileReader {
        FileReader { file, position }
    }
}

impl io::Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(self.position, buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}

/// Creates a directory and all its missing parents, each durably named in its own parent.
///
/// # Errors
/// The first failure of the file system, with the path it concerns.
pub fn create_directories(
    file_system: &dyn FileSystem,
    directory: &Path,
) -> Result<(), (PathBuf, io::Error)> {
    let mut missing = Vec::new();
    let mut current = directory;
    while !is_start(current) && !file_system.exists(current).map_err(at(current))? {
        missing.push(current);
        current = parent_directory(current);
    }
    // A process that was killed may have created the deepest directory without syncing its name.
    // One in a parent that may not be read is not of our making.
    if !is_start(current) {
        let parent = parent_directory(current);
        match file_system.sync_directory(parent) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            other => other.map_err(at(parent))?,
        }
    }
    for path in missing.into_iter().rev() {
        file_system.create_directory(path).map_err(at(path))?;
        let parent = parent_directory(path);
        file_system.sync_directory(parent).map_err(at(parent))?;
    }
    Ok(())
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> (PathBuf, io::Error) + use<> {
    let path = path.to_path_buf();
    move |error| (path, error)
}

/// Whether a path is where resolving begins: the root or the current directory.
fn is_start(path: &Path) -> bool {
    path == Path::new(".") || path.parent().is_none()
}

/// The directory that holds `path`'s name: the current one for a bare name.
fn parent_directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}
