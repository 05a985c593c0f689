//! The directory of the demo: made anew at each start, and never one that holds anything else.

use std::fs;
use std::path::{Path, PathBuf};

use super::failure::Failure;

/// The file that tells a directory of the demo from one that only has its name.
const MARKER: &str = "made-by-mainstem-demo";

/// Where the demo keeps what it makes.
#[derive(Clone, Debug)]
pub struct DemoDirectory {
    root: PathBuf,
}

impl DemoDirectory {
    /// The directory at this path, whether it exists or not.
    pub fn at(root: &Path) -> DemoDirectory {
        DemoDirectory {
            root: root.to_path_buf(),
        }
    }

    /// Makes the directory, emptying what an earlier demo left there.
    ///
    /// Refuses a directory that exists, is not empty and was not made by a demo.
    pub fn prepare(root: &Path) -> Result<DemoDirectory, Failure> {
        let directory = DemoDirectory::at(root);
        let is_ours = root.join(MARKER).is_file();
        if !is_ours && !is_empty_or_missing(root) {
            return Err(Failure::new(
                format!("{} holds something that no demo has made", root.display()),
                "name another directory with --data-dir, or move what is there away",
            ));
        }
        directory.empty().map_err(|error| {
            Failure::new(
                format!("{} can't be prepared: {error}", root.display()),
                "check its permissions, or name another directory with --data-dir",
            )
        })?;
        Ok(directory)
    }

    /// The directory of the log.
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The directory of the snapshots.
    pub fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    fn empty(&self) -> std::io::Result<()> {
        for directory in [self.data(), self.snapshots()] {
            if directory.exists() {
                fs::remove_dir_all(directory)?;
            }
        }
        fs::create_dir_all(&self.root)?;
        fs::write(
            self.root.join(MARKER),
            "Removed and made anew by `mainstem demo`.\n",
        )
    }
}

fn is_empty_or_missing(directory: &Path) -> bool {
    match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_demo_is_replaced() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let root = parent.path().join("demo");
        let directory = DemoDirectory::prepare(&root).expect("a new directory");
        fs::create_dir_all(directory.data()).expect("a directory");
        fs::write(directory.data().join("log"), "old").expect("a file");
        let directory = DemoDirectory::prepare(&root).expect("the same directory");
        assert!(!directory.data().exists());
    }

    #[test]
    fn the_directory_of_something_else_is_left_alone() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(parent.path().join("data")).expect("a directory");
        let failure = DemoDirectory::prepare(parent.path()).expect_err("not ours");
        assert!(
            failure.to_string().contains("no demo has made"),
            "{failure}"
        );
        assert!(parent.path().join("data").exists());
    }
}
