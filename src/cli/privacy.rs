//! Whether other users of the machine may read what the engine knows.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::engine::LOG_DIRECTORY;
use crate::engine::checkpoint::CHECKPOINT_DIRECTORY;

/// Reading, for the group and for everybody.
const READ: u32 = 0o044;
/// Going through a directory, for the same.
const ENTER: u32 = 0o011;

/// A file of a data directory that others may read, if there is one. What the engine creates is its
/// own; older versions and copies may have made it readable.
pub fn readable_by_others(data_dir: &Path) -> Option<PathBuf> {
    if !has(data_dir, ENTER) {
        return None;
    }
    let directories = [LOG_DIRECTORY, CHECKPOINT_DIRECTORY].map(|name| data_dir.join(name));
    let entered = directories.iter().filter(|path| has(path, ENTER));
    let listed = entered.filter_map(|path| fs::read_dir(path).ok());
    let mut files = listed
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()));
    files.find(|path| has(path, READ))
}

/// What to do about it.
pub fn remedy(data_dir: &Path) -> String {
    format!("take the rights away: chmod -R go= {}", data_dir.display())
}

fn has(path: &Path, rights: u32) -> bool {
    let found = fs::metadata(path);
    found.is_ok_and(|found| found.permissions().mode() & rights != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::fs::{FileSystem, RealFileSystem};

    fn mode(path: &Path) -> u32 {
        let found = fs::metadata(path).expect("it is there");
        found.permissions().mode() & 0o777
    }

    #[test]
    fn what_is_created_is_private_and_what_is_not_is_found() {
        let directory = tempfile::tempdir().expect("a directory");
        let data = directory.path().join("data");
        let log = data.join(LOG_DIRECTORY);
        let file = log.join("0.segment");
        for path in [&data, &log] {
            RealFileSystem.create_directory(path).expect("created");
            assert_eq!(mode(path), 0o700);
        }
        RealFileSystem.create_file(&file).expect("created");
        assert_eq!(mode(&file), 0o600);
        let _lock = RealFileSystem.try_lock(&data.join("lock")).expect("locked");
        assert_eq!(mode(&data.join("lock")), 0o600);
        assert_eq!(readable_by_others(&data), None);
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
        };
        set(&file, 0o644);
        assert_eq!(readable_by_others(&data), None, "it cannot be reached");
        set(&log, 0o755);
        set(&data, 0o755);
        assert_eq!(readable_by_others(&data), Some(file.clone()));
        set(&file, 0o600);
        assert_eq!(readable_by_others(&data), None);
    }
}
