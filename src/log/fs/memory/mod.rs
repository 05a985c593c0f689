//! A file system in memory that knows what a power cut may take.
//!
//! Each file remembers how much of it has been synced, each directory which changes of names
//! have. [`MemoryFileSystem::crash`] gives the image after a power cut: what was synced is there;
//! of the rest any part may be, in any order, with holes, as real disks leave it.

mod node;

use std::collections::HashSet;
use std::io::{self, ErrorKind, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

use super::{FileLock, FileSystem, ReadableFile, WritableFile};
use node::{DirectoryNode, FileNode, NameChange, Node};

const MAX_LINKS: usize = 16;
const ROOT: usize = 0;

/// A file system in memory; clones are handles to the same one. Files are kept until the last
/// handle is dropped, also removed ones.
#[derive(Clone, Debug)]
pub struct MemoryFileSystem {
    state: Arc<Mutex<State>>,
}

/// What a power cut may take.
enum Unsynced {
    /// A piece of a file, or its length.
    Piece,
    /// A change of a name.
    Name,
}

#[derive(Debug)]
struct State {
    /// Files, directories and links by number; never reused.
    nodes: Vec<Node>,
    locks: HashSet<usize>,
    /// What is told to be free; writes do not take from it.
    free_bytes: u64,
}

impl Default for MemoryFileSystem {
    fn default() -> Self {
        MemoryFileSystem::new()
    }
}

impl MemoryFileSystem {
    /// An empty file system with a root directory; relative paths start there too.
    pub fn new() -> MemoryFileSystem {
        MemoryFileSystem::of(vec![Node::Directory(DirectoryNode::default())])
    }

    fn of(nodes: Vec<Node>) -> MemoryFileSystem {
        let state = State {
            nodes,
            locks: HashSet::new(),
            free_bytes: u64::MAX,
        };
        MemoryFileSystem {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// What a power cut at this moment may leave: of each unsynced piece of a file, and of each
    /// unsynced change of a name, about `kept_percent` in a hundred survive, chosen by `seed`.
    /// With 0 only what was synced is left, with 100 everything. Locks are gone. This file system
    /// itself goes on.
    pub fn crash(&self, seed: u64, kept_percent: u8) -> MemoryFileSystem {
        let mut random = Pcg64::seed_from_u64(seed);
        self.cut_power(|_| random.next_u32() % 100 < u32::from(kept_percent))
    }

    /// What a power cut at this moment may leave: of files what was synced, and of the unsynced
    /// changes of names those whose bit is set in `kept`. There are as many bits as
    /// [`unsynced_names`](Self::unsynced_names) says.
    pub fn crash_with_names(&self, kept: u64) -> MemoryFileSystem {
        let mut bits = (0..u64::BITS).map(|bit| kept >> bit & 1 == 1);
        self.cut_power(|unsynced| match unsynced {
            Unsynced::Piece => false,
            Unsynced::Name => bits.next().unwrap_or_default(),
        })
    }

    /// How many changes of names are not durable.
    pub fn unsynced_names(&self) -> usize {
        let state = self.state();
        let directories = state.nodes.iter().filter_map(|node| match node {
            Node::Directory(directory) => Some(directory.changes.len()),
            _ => None,
        });
        directories.sum()
    }

    fn cut_power(&self, mut is_kept: impl FnMut(Unsynced) -> bool) -> MemoryFileSystem {
        let mut nodes = self.state().nodes.clone();
        for node in &mut nodes {
            match node {
                Node::File(file) => file.cut_power(|| is_kept(Unsynced::Piece)),
                Node::Directory(directory) => directory.cut_power(|| is_kept(Unsynced::Name)),
                Node::Link(_) => {}
            }
        }
        MemoryFileSystem::of(nodes)
    }

    /// Sets how many bytes are told to be free; without it, as many as can be counted.
    pub fn set_free_bytes(&self, free_bytes: u64) {
        self.state().free_bytes = free_bytes;
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// If there is no such file.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        let node = state.find(path)?;
        Ok(state.file(node)?.bytes.clone())
    }

    /// Puts a durable file in place, as damage done from outside; its directory must exist.
    ///
    /// # Errors
    /// If the directory is missing.
    pub fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let file = FileNode {
            bytes: bytes.to_vec(),
            synced: bytes.len(),
            truncated: Vec::new(),
        };
        let (parent, name) = state.find_parent(path)?;
        let node = state.add(Node::File(file));
        let directory = state.directory(parent)?;
        directory.names.insert(name.clone(), node);
        directory.synced.insert(name, node);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append_to(&self, node: usize) -> Box<dyn WritableFile> {
        Box::new(MemoryFile {
            file_system: self.clone(),
            node,
        })
    }
}

impl State {
    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn file(&mut self, node: usize) -> io::Result<&mut FileNode> {
        match self.nodes.get_mut(node) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(ErrorKind::IsADirectory.into()),
        }
    }

    fn directory(&mut self, node: usize) -> io::Result<&mut DirectoryNode> {
        match self.nodes.get_mut(node) {
            Some(Node::Directory(directory)) => Ok(directory),
            _ => Err(ErrorKind::NotADirectory.into()),
        }
    }

    /// The node at `path`, following links.
    fn find(&mut self, path: &Path) -> io::Result<usize> {
        self.find_from(ROOT, path, MAX_LINKS)
    }

    fn find_from(&mut self, start: usize, path: &Path, links: usize) -> io::Result<usize> {
        let mut current = start;
        for component in path.components() {
            let name = match component {
                Component::RootDir => {
                    current = ROOT;
                    continue;
                }
                Component::CurDir => continue,
                Component::Normal(name) => name.to_string_lossy().into_owned(),
                Component::ParentDir | Component::Prefix(_) => {
                    return Err(ErrorKind::InvalidInput.into());
                }
            };
            let parent = current;
            current = self.entry(parent, &name)?;
            if let Some(Node::Link(target)) = self.nodes.get(current) {
                let target = target.clone();
                let links = links.checked_sub(1).ok_or(ErrorKind::InvalidInput)?;
                current = self.find_from(parent, &target, links)?;
            }
        }
        Ok(current)
    }

    /// The directory that holds the last name of `path`, and that name.
    fn find_parent(&mut self, path: &Path) -> io::Result<(usize, String)> {
        let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
        let name = name.to_string_lossy().into_owned();
        let parent = self.find(path.parent().ok_or(ErrorKind::InvalidInput)?)?;
        self.directory(parent)?;
        Ok((parent, name))
    }

    fn entry(&mut self, directory: usize, name: &str) -> io::Result<usize> {
        let found = self.directory(directory)?.names.get(name).copied();
        found.ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// Gives a new node a name that must be free.
    fn create(&mut self, path: &Path, node: Node) -> io::Result<usize> {
        let (parent, name) = self.find_parent(path)?;
        if self.directory(parent)?.names.contains_key(&name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let node = self.add(node);
        self.directory(parent)?.change(NameChange::Add(name, node));
        Ok(node)
    }
}

/// A file of a [`MemoryFileSystem`], open for reading or appending.
struct MemoryFile {
    file_system: MemoryFileSystem,
    node: usize,
}

impl Write for MemoryFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.file_system.state();
        state.file(self.node)?.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WritableFile for MemoryFile {
    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.file_system.state();
        let file = state.file(self.node)?;
        file.synced = file.bytes.len();
        file.truncated.clear();
        Ok(())
    }
}

impl ReadableFile for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        let mut state = self.file_system.state();
        Ok(state.file(self.node)?.bytes.len() as u64)
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.file_system.state();
        let bytes = &state.file(self.node)?.bytes;
        let start = usize::try_from(position).map_or(bytes.len(), |start| start.min(bytes.len()));
        let count = buffer.len().min(bytes.len() - start);
        buffer[..count].copy_from_slice(&bytes[start..start + count]);
        Ok(count)
    }
}

/// Frees a lock when its holder lets go.
struct MemoryLock {
    file_system: MemoryFileSystem,
    node: usize,
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.file_system.state().locks.remove(&self.node);
    }
}

impl FileSystem for MemoryFileSystem {
    fn create_file(&self, path: &Path) -> io::Result<Box<dyn WritableFile>> {
        let node = self.state().create(path, Node::File(FileNode::default()))?;
        Ok(self.append_to(node))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WritableFile>> {
        let mut state = self.state();
        let node = state.find(path)?;
        state.file(node)?;
        Ok(self.append_to(node))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn ReadableFile>> {
        let mut state = self.state();
        let node = state.find(path)?;
        state.file(node)?;
        let file_system = self.clone();
        Ok(Arc::new(MemoryFile { file_system, node }))
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let mut state = self.state();
        let node = state.find(path)?;
        let file = state.file(node)?;
        let length = usize::try_from(length).map_err(|_| ErrorKind::InvalidInput)?;
        if length < file.synced {
            let mut cut = file.bytes[length..file.synced].to_vec();
            cut.append(&mut file.truncated);
            file.truncated = cut;
            file.synced = length;
        }
        file.bytes.truncate(length);
        Ok(())
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let directory = Node::Directory(DirectoryNode::default());
        self.state().create(path, directory).map(drop)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let node = state.find(path)?;
        let directory = state.directory(node)?;
        directory.synced = directory.names.clone();
        directory.changes.clear();
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let (parent, from) = state.find_parent(from)?;
        let (to_parent, to) = state.find_parent(to)?;
        if parent != to_parent {
            return Err(ErrorKind::CrossesDevices.into());
        }
        let node = state.entry(parent, &from)?;
        if let Ok(replaced) = state.entry(parent, &to)
            && matches!(state.nodes.get(replaced), Some(Node::Directory(_)))
        {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let change = NameChange::Rename(from, to, node);
        state.directory(parent)?.change(change);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let (parent, name) = state.find_parent(path)?;
        let node = state.entry(parent, &name)?;
        if matches!(state.nodes.get(node), Some(Node::Directory(_))) {
            return Err(ErrorKind::IsADirectory.into());
        }
        state.directory(parent)?.change(NameChange::Remove(name));
        Ok(())
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let (parent, name) = state.find_parent(path)?;
        let top = state.entry(parent, &name)?;
        state.directory(top)?;
        // The names below go one by one, as they do on a real disk: a crash may leave any of them.
        let mut pending = vec![top];
        while let Some(node) = pending.pop() {
            let Ok(directory) = state.directory(node) else {
                continue;
            };
            for (name, child) in directory.names.clone() {
                directory.change(NameChange::Remove(name));
                pending.push(child);
            }
        }
        state.directory(parent)?.change(NameChange::Remove(name));
        Ok(())
    }

    fn create_link(&self, target: &Path, link: &Path) -> io::Result<()> {
        let node = Node::Link(target.to_path_buf());
        self.state().create(link, node).map(drop)
    }

    fn read_link(&self, link: &Path) -> io::Result<PathBuf> {
        let mut state = self.state();
        let (parent, name) = state.find_parent(link)?;
        let node = state.entry(parent, &name)?;
        match state.nodes.get(node) {
            Some(Node::Link(target)) => Ok(target.clone()),
            _ => Err(ErrorKind::InvalidInput.into()),
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state();
        let node = state.find(directory)?;
        Ok(state.directory(node)?.names.keys().cloned().collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        match self.state().find(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let mut state = self.state();
        state.find(path)?;
        Ok(state.free_bytes)
    }

    fn try_lock(&self, path: &Path) -> io::Result<FileLock> {
        let mut state = self.state();
        let node = match state.find(path) {
            Ok(node) => node,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                state.create(path, Node::File(FileNode::default()))?
            }
            Err(error) => return Err(error),
        };
        if !state.locks.insert(node) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let file_system = self.clone();
        Ok(FileLock::new(MemoryLock { file_system, node }))
    }
}
