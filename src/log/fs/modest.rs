//! A file system that leaves the disk so much free space: what is written beside the log must not
//! take the log's.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{FileLock, FileSystem, ReadableFile, WritableFile, parent_directory};

/// After so many bytes the free space is looked at again.
const LOOK_BYTES: u64 = 1 << 20;

/// A file system that hands everything on to another, but refuses to create files and to write while
/// that would leave the disk less free space than it must keep.
#[derive(Clone, Debug)]
pub struct ModestFileSystem {
    inner: Arc<dyn FileSystem>,
    keep_bytes: u64,
}

impl ModestFileSystem {
    /// Leaves `keep_bytes` of the disk free; 0: whatever `inner` can write may be written.
    pub fn new(inner: Arc<dyn FileSystem>, keep_bytes: u64) -> ModestFileSystem {
        ModestFileSystem { inner, keep_bytes }
    }

    /// Fails with [`ErrorKind::StorageFull`] where so many bytes more would be too many.
    ///
    /// # Errors
    /// That, with the reason, and failures to find the free space out.
    pub fn check(&self, directory: &Path, bytes: u64) -> io::Result<()> {
        if self.keep_bytes == 0 {
            return Ok(());
        }
        let free_bytes = self.inner.free_bytes(directory)?;
        if free_bytes >= self.keep_bytes.saturating_add(bytes) {
            return Ok(());
        }
        let keep_bytes = self.keep_bytes;
        let message = format!(
            "it would need {bytes} of the {free_bytes} bytes that are free, of which {keep_bytes} \
             are kept for the log; free space, or lower log.min_free"
        );
        Err(io::Error::new(ErrorKind::StorageFull, message))
    }

    fn wrap(&self, inner: Box<dyn WritableFile>, path: &Path) -> Box<dyn WritableFile> {
        Box::new(ModestFile {
            inner,
            file_system: self.clone(),
            directory: parent_directory(path).to_path_buf(),
            allowed_bytes: 0,
        })
    }
}

struct ModestFile {
    inner: Box<dyn WritableFile>,
    file_system: ModestFileSystem,
    directory: PathBuf,
    /// What may be written before the free space is looked at again.
    allowed_bytes: u64,
}

impl Write for ModestFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len() as u64;
        if self.allowed_bytes < length {
            self.file_system.check(&self.directory, length)?;
            self.allowed_bytes = length.max(LOOK_BYTES);
        }
        let count = self.inner.write(bytes)?;
        self.allowed_bytes -= (count as u64).min(self.allowed_bytes);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl WritableFile for ModestFile {
    fn sync(&mut self) -> io::Result<()> {
        self.inner.sync()
    }
}

impl FileSystem for ModestFileSystem {
    fn create_file(&self, path: &Path) -> io::Result<Box<dyn WritableFile>> {
        self.check(parent_directory(path), 0)?;
        Ok(self.wrap(self.inner.create_file(path)?, path))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WritableFile>> {
        Ok(self.wrap(self.inner.open_append(path)?, path))
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        self.inner.truncate(path, length)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.inner.create_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_directory(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_directory(path)
    }

    fn create_link(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.inner.create_link(target, link)
    }

    read_from_inner!();
}

#[cfg(test)]
mod tests {
    use super::super::MemoryFileSystem;
    use super::*;

    #[test]
    fn what_would_take_the_free_space_is_refused_also_in_the_middle() {
        let memory = MemoryFileSystem::new();
        let modest = ModestFileSystem::new(Arc::new(memory.clone()), 4 << 20);
        let path = Path::new("/file");
        memory.set_free_bytes((4 << 20) - 1);
        let refused = modest.create_file(path).err().expect("too little is free");
        assert_eq!(refused.kind(), ErrorKind::StorageFull);
        assert!(!memory.exists(path).expect("known"), "nothing was begun");
        memory.set_free_bytes(6 << 20);
        let mut file = modest.create_file(path).expect("created");
        let piece = vec![7; 512 << 10];
        for _ in 0..3 {
            file.write_all(&piece).expect("there is room");
        }
        // Others have written, too.
        memory.set_free_bytes((4 << 20) + 1000);
        let mut written = 0;
        let refused = loop {
            match file.write_all(&piece) {
                Ok(()) => written += 1,
                Err(error) => break error,
            }
            assert!(written <= 2, "it is not noticed");
        };
        assert!(refused.to_string().contains("log.min_free"), "{refused}");
        let all = ModestFileSystem::new(Arc::new(memory.clone()), 0);
        memory.set_free_bytes(0);
        all.create_file(Path::new("/other"))
            .expect("nothing is kept");
    }
}
