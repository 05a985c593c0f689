//! A file system whose operations fail on command, to see what the code above does about it.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{FileLock, FileSystem, ReadableFile, WritableFile};

/// What goes wrong. Counting starts at 0 with the operations after the fault was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The sync (of a file or directory) with this number fails; later ones succeed.
    FailSync {
        /// Which sync.
        number: u64,
    },
    /// The write with this number takes only so many bytes and says so.
    ShortWrite {
        /// Which write.
        number: u64,
        /// How many bytes it takes.
        bytes: usize,
    },
    /// The write with this number leaves so many bytes in the file and fails; later ones succeed.
    FailWrite {
        /// Which write.
        number: u64,
        /// How many bytes reach the file.
        bytes: usize,
    },
    /// The disk is full after so many bytes.
    NoSpace {
        /// How many bytes can still be written.
        after_bytes: u64,
    },
    /// Every sync of a file takes this long, as on a slow disk.
    SlowSyncs {
        /// How long.
        time: Duration,
    },
    /// Everything that changes or syncs fails after so many such operations.
    PowerCut {
        /// How many operations succeed.
        after_operations: u64,
    },
}

/// A file system that hands everything on to another, except where a [`Fault`] applies.
#[derive(Clone, Debug)]
pub struct FaultyFileSystem {
    inner: Arc<dyn FileSystem>,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug)]
struct Counts {
    fault: Option<Fault>,
    operations: u64,
    syncs: u64,
    writes: u64,
    bytes: u64,
}

impl Counts {
    fn new(fault: Option<Fault>) -> Counts {
        Counts {
            fault,
            operations: 0,
            syncs: 0,
            writes: 0,
            bytes: 0,
        }
    }

    /// Counts an operation that changes or syncs something.
    fn operate(&mut self) -> io::Result<()> {
        if let Some(Fault::PowerCut { after_operations }) = self.fault
            && self.operations >= after_operations
        {
            return Err(io::Error::other("simulated power cut"));
        }
        self.operations += 1;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.operate()?;
        let number = self.syncs;
        self.syncs += 1;
        match self.fault {
            Some(Fault::FailSync { number: failing }) if failing == number => {
                Err(io::Error::other("simulated failure of a sync"))
            }
            _ => Ok(()),
        }
    }

    /// How long a sync takes.
    fn sync_time(&self) -> Duration {
        match self.fault {
            Some(Fault::SlowSyncs { time }) => time,
            _ => Duration::ZERO,
        }
    }

    /// How many of `length` bytes may be written, and the error to return after writing them.
    fn write(&mut self, length: usize) -> io::Result<(usize, Option<io::Error>)> {
        self.operate()?;
        let number = self.writes;
        self.writes += 1;
        let (allowed, error) = match self.fault {
            Some(Fault::ShortWrite { number: n, bytes }) if n == number => {
                (length.min(bytes.max(1)), None)
            }
            Some(Fault::FailWrite { number: n, bytes }) if n == number => (
                length.min(bytes),
                Some(io::Error::other("simulated failure of a write")),
            ),
            Some(Fault::NoSpace { after_bytes }) if self.bytes + length as u64 > after_bytes => {
                let left = usize::try_from(after_bytes - self.bytes).unwrap_or(length);
                (left, Some(ErrorKind::StorageFull.into()))
            }
            _ => (length, None),
        };
        self.bytes += allowed as u64;
        Ok((allowed, error))
    }
}

impl FaultyFileSystem {
    /// Wraps `inner`; nothing fails until a fault is set.
    pub fn new(inner: Arc<dyn FileSystem>) -> FaultyFileSystem {
        FaultyFileSystem {
            inner,
            counts: Arc::new(Mutex::new(Counts::new(None))),
        }
    }

    /// Sets what goes wrong from now on (`None`: nothing) and starts counting anew.
    pub fn set_fault(&self, fault: Option<Fault>) {
        *self.counts() = Counts::new(fault);
    }

    /// How many operations that change or sync something succeeded since the fault was set.
    pub fn operations(&self) -> u64 {
        self.counts().operations
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        lock(&self.counts)
    }

    fn wrap(&self, inner: Box<dyn WritableFile>) -> Box<dyn WritableFile> {
        Box::new(FaultyFile {
            inner,
            counts: Arc::clone(&self.counts),
        })
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

struct FaultyFile {
    inner: Box<dyn WritableFile>,
    counts: Arc<Mutex<Counts>>,
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (allowed, error) = lock(&self.counts).write(bytes.len())?;
        self.inner.write_all(&bytes[..allowed])?;
        error.map_or(Ok(allowed), Err)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl WritableFile for FaultyFile {
    fn sync(&mut self) -> io::Result<()> {
        let time = {
            let mut counts = lock(&self.counts);
            counts.sync()?;
            counts.sync_time()
        };
        std::thread::sleep(time);
        self.inner.sync()
    }
}

impl FileSystem for FaultyFileSystem {
    fn create_file(&self, path: &Path) -> io::Result<Box<dyn WritableFile>> {
        self.counts().operate()?;
        Ok(self.wrap(self.inner.create_file(path)?))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WritableFile>> {
        Ok(self.wrap(self.inner.open_append(path)?))
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        self.counts().operate()?;
        self.inner.truncate(path, length)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.counts().operate()?;
        self.inner.create_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.counts().sync()?;
        self.inner.sync_directory(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.counts().operate()?;
        self.inner.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.counts().operate()?;
        self.inner.remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.counts().operate()?;
        self.inner.remove_directory(path)
    }

    fn create_link(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.counts().operate()?;
        self.inner.create_link(target, link)
    }

    read_from_inner!();
}
