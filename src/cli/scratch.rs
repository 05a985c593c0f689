//! An engine without data, for planning views where none may run: what it accepts, a real one
//! accepts.

use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::views::ViewFile;
use crate::engine::{Engine, EngineOptions};

/// An engine in a temporary directory with the tables of the standard model; both are gone when
/// it is dropped.
pub struct Scratch {
    /// The engine.
    pub engine: Engine,
    directory: PathBuf,
}

impl Scratch {
    /// Opens the engine.
    pub fn open() -> Result<Scratch, Failure> {
        let directory = fresh_directory()?;
        let opened = open_engine(&directory);
        if opened.is_err() {
            remove(&directory);
        }
        Ok(Scratch {
            engine: opened?,
            directory,
        })
    }

    /// Creates as many of the views as can be, in whatever order they depend on each other, and
    /// returns what is wrong with the others, one failure each.
    pub fn create(&self, views: &[ViewFile]) -> Vec<Failure> {
        let mut accepted: Vec<(String, String)> = Vec::new();
        let mut pending: Vec<&ViewFile> = views.iter().collect();
        loop {
            let mut failures = Vec::new();
            let mut refused = Vec::new();
            for view in &pending {
                accepted.push((view.name.clone(), view.sql.clone()));
                if let Err(error) = self.engine.sync_views(&accepted) {
                    accepted.pop();
                    refused.push(*view);
                    failures.push(Failure::from(error).at(&view.place));
                }
            }
            // A view may have waited for one that came after it.
            let is_settled = refused.is_empty() || refused.len() == pending.len();
            if is_settled {
                return failures;
            }
            pending = refused;
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.engine.shutdown();
        remove(&self.directory);
    }
}

fn open_engine(directory: &Path) -> Result<Engine, Failure> {
    let engine = Engine::open(EngineOptions {
        data_dir: directory.to_path_buf(),
        workers: 1,
    })?;
    engine.ensure_tables(&crate::model::standard_tables())?;
    Ok(engine)
}

fn fresh_directory() -> Result<PathBuf, Failure> {
    use std::hash::{BuildHasher, RandomState};
    // Each RandomState has other keys: no two processes or threads choose the same name.
    let nonce = RandomState::new().hash_one(std::process::id());
    let directory = std::env::temp_dir().join(format!("mainstem-scratch-{nonce:016x}"));
    std::fs::create_dir(&directory).map_err(|error| {
        Failure::new(
            format!("{} can't be created: {error}", directory.display()),
            "set TMPDIR to a directory that can be written",
        )
    })?;
    Ok(directory)
}

fn remove(directory: &Path) {
    if let Err(error) = std::fs::remove_dir_all(directory) {
        tracing::debug!("{} is left behind: {error}", directory.display());
    }
}
