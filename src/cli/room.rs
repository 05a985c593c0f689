//! The space that commands leave on the disk of the log.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::Settings;
use crate::engine;

/// How many bytes must stay free where `directory` is: none unless the log is on the same disk.
pub fn kept_for_the_log(settings: &Settings, directory: &Path) -> u64 {
    match disk_of(directory) == disk_of(&settings.data_dir) {
        true => engine::kept_for_the_log_bytes(settings.log.min_free_bytes),
        false => 0,
    }
}

/// The disk that a directory is on, or will be once it is created.
fn disk_of(directory: &Path) -> Option<u64> {
    let found = directory.ancestors().find_map(|path| {
        let path = match path.as_os_str().is_empty() {
            true => Path::new("."),
            false => path,
        };
        fs::metadata(path).ok()
    });
    found.map(|found| found.dev())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment, Overrides};

    #[test]
    fn space_is_kept_on_the_disk_of_the_log_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let overrides = Overrides {
            data_dir: Some(directory.path().join("data").display().to_string()),
            log_min_free: Some("1 MiB".to_owned()),
            ..Overrides::default()
        };
        let settings = config::load_without_file(&overrides, &Environment::default());
        let settings = settings.expect("good settings");
        let beside = directory.path().join("snapshots/of/views");
        assert_eq!(kept_for_the_log(&settings, &beside), 2 << 20);
        let elsewhere = Path::new("/proc/elsewhere");
        if Path::new("/proc/self").exists() {
            assert_eq!(kept_for_the_log(&settings, elsewhere), 0);
        }
    }
}
