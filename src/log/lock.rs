//! The lock that keeps two engines out of one directory.

use std::io::ErrorKind;
use std::path::Path;

use super::error::LogError;
use super::fs::{FileLock, FileSystem, create_directories};

const LOCK_FILE: &str = "lock";

/// Exclusive use of a directory, until dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct DirectoryLock {
    _lock: FileLock,
}

impl DirectoryLock {
    /// Locks `directory`, which is created if missing, by its file `lock`.
    ///
    /// # Errors
    /// [`LogError::InUse`] while another holder has it; [`LogError::Io`].
    pub fn acquire(
        file_system: &dyn FileSystem,
        directory: &Path,
    ) -> Result<DirectoryLock, LogError> {
        create_directories(file_system, directory)
            .map_err(|(path, error)| LogError::io("create the directory", &path)(error))?;
        let path = directory.join(LOCK_FILE);
        match file_system.try_lock(&path) {
            Ok(lock) => Ok(DirectoryLock { _lock: lock }),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(LogError::InUse {
                directory: directory.to_path_buf(),
            }),
            Err(error) => Err(LogError::io("lock", &path)(error)),
        }
    }
}
