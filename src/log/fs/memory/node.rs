//! What a file system in memory consists of, and what a power cut takes of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The unit in which unsynced bytes survive or become zero; small, so that short files tear too.
const TEAR_BYTES: usize = 8;

#[derive(Clone, Debug)]
pub(super) enum Node {
    File(FileNode),
    Directory(DirectoryNode),
    Link(PathBuf),
}

#[derive(Clone, Debug, Default)]
pub(super) struct FileNode {
    pub bytes: Vec<u8>,
    /// How many of `bytes` are durable as they stand.
    pub synced: usize,
    /// Durable bytes that followed `bytes[..synced]` before a truncation not yet synced.
    pub truncated: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct DirectoryNode {
    pub names: BTreeMap<String, usize>,
    pub synced: BTreeMap<String, usize>,
    /// What was done to the names since the last sync.
    pub changes: Vec<NameChange>,
}

#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Add(String, usize),
    Remove(String),
    Rename(String, String, usize),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Add(name, node) => {
                names.insert(name.clone(), *node);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }
}

impl DirectoryNode {
    pub fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    /// Becomes what a power cut leaves of it.
    pub fn cut_power(&mut self, mut is_kept: impl FnMut() -> bool) {
        for change in std::mem::take(&mut self.changes) {
            if is_kept() {
                change.apply(&mut self.synced);
            }
        }
        self.names = self.synced.clone();
    }
}

impl FileNode {
    /// Becomes what a power cut leaves of it.
    pub fn cut_power(&mut self, mut is_kept: impl FnMut() -> bool) {
        let truncation_kept = self.truncated.is_empty() || is_kept();
        if truncation_kept {
            let mut kept_until = self.synced;
            let mut start = self.synced;
            while start < self.bytes.len() {
                let end = self.bytes.len().min(start + TEAR_BYTES);
                if is_kept() {
                    kept_until = end;
                } else {
                    self.bytes[start..end].fill(0);
                }
                start = end;
            }
            // The length may be durable although the bytes are not: zeros at the end.
            if !is_kept() {
                self.bytes.truncate(kept_until);
            }
        } else {
            self.bytes.truncate(self.synced);
            self.bytes.append(&mut self.truncated);
        }
        self.truncated.clear();
        self.synced = self.bytes.len();
    }
}
