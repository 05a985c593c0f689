//! A file system at an operation of which the process dies, to see what it comes back with.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{FileLock, FileSystem, ReadableFile, WritableFile};

/// Where the process dies: instead of an operation on the files of a directory.
///
/// Written as `directory/operation:number`, such as `log/sync:3` for the third sync of a file in a
/// directory called `log`. `*` stands for any directory or operation, and without a number it is
/// the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FatalPoint {
    directory: String,
    operation: String,
    number: u64,
}

impl FromStr for FatalPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<FatalPoint, String> {
        let malformed = || format!("{text} is no directory/operation:number");
        let (place, number) = text.split_once(':').unwrap_or((text, "1"));
        let (directory, operation) = place.split_once('/').ok_or_else(malformed)?;
        Ok(FatalPoint {
            directory: directory.to_owned(),
            operation: operation.to_owned(),
            number: number.parse().map_err(|_| malformed())?,
        })
    }
}

/// A file system that hands everything on to another until it comes to its [`FatalPoint`]: there
/// the process dies at once, as if it had been killed. Of a write that is fatal a part
/// gets through.
#[derive(Clone, Debug)]
pub struct FatalFileSystem {
    inner: Arc<dyn FileSystem>,
    fate: Arc<Fate>,
}

#[derive(Debug)]
struct Fate {
    point: FatalPoint,
    passed: AtomicU64,
}

impl Fate {
    /// Whether this is the fatal operation.
    fn has_come(&self, directory: &Path, operation: &str) -> bool {
        let name = directory.file_name().and_then(|name| name.to_str());
        let is_of = |wanted: &str, given: &str| wanted == "*" || wanted == given;
        is_of(&self.point.directory, name.unwrap_or_default())
            && is_of(&self.point.operation, operation)
            && self.passed.fetch_add(1, Ordering::Relaxed) + 1 == self.point.number
    }

    fn meet(&self, directory: &Path, operation: &str) {
        if self.has_come(directory, operation) {
            std::process::abort();
        }
    }
}

impl FatalFileSystem {
    /// Wraps `inner`.
    pub fn new(inner: Arc<dyn FileSystem>, point: FatalPoint) -> FatalFileSystem {
        let fate = Fate {
            point,
            passed: AtomicU64::new(0),
        };
        FatalFileSystem {
            inner,
            fate: Arc::new(fate),
        }
    }

    /// An operation on what has a name in the directory of `path`.
    fn meet(&self, path: &Path, operation: &str) {
        self.fate.meet(path.parent().unwrap_or(path), operation);
    }

    fn wrap(&self, inner: Box<dyn WritableFile>, path: &Path) -> Box<dyn WritableFile> {
        Box::new(FatalFile {
            inner,
            directory: path.parent().unwrap_or(path).to_path_buf(),
            fate: Arc::clone(&self.fate),
        })
    }
}

struct FatalFile {
    inner: Box<dyn WritableFile>,
    directory: PathBuf,
    fate: Arc<Fate>,
}

impl Write for FatalFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.fate.has_come(&self.directory, "write") {
            // Not half, which might be whole records. There is nobody to tell of an error.
            let part = bytes.len().saturating_sub(1) / 2;
            let _ = self.inner.write_all(&bytes[..part]);
            std::process::abort();
        }
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl WritableFile for FatalFile {
    fn sync(&mut self) -> io::Result<()> {
        self.fate.meet(&self.directory, "sync");
        self.inner.sync()
    }
}

impl FileSystem for FatalFileSystem {
    fn create_file(&self, path: &Path) -> io::Result<Box<dyn WritableFile>> {
        self.meet(path, "create_file");
        Ok(self.wrap(self.inner.create_file(path)?, path))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WritableFile>> {
        Ok(self.wrap(self.inner.open_append(path)?, path))
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        self.meet(path, "truncate");
        self.inner.truncate(path, length)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.meet(path, "create_directory");
        self.inner.create_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.fate.meet(path, "sync_directory");
        self.inner.sync_directory(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.meet(from, "rename");
        self.inner.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.meet(path, "remove_file");
        self.inner.remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.meet(path, "remove_directory");
        self.inner.remove_directory(path)
    }

    fn create_link(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.meet(link, "create_link");
        self.inner.create_link(target, link)
    }

    read_from_inner!();
}
