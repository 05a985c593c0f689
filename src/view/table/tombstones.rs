//! The deleted keys of a versioned table, with the version of each deletion.
//!
//! A checkpoint takes the whole map while the writer goes on. So that neither waits for the other
//! nor copies, the map can be frozen: what comes while somebody reads the frozen part is kept
//! beside it and joins it once the reader has gone.

use std::sync::Arc;

use hashbrown::HashMap;

/// Encoded keys of deleted rows with the encoded version of the deletion.
pub(super) type DeletedKeys = HashMap<Box<[u8]>, Box<[u8]>>;

/// An encoded key with the encoded version of its deletion; `None`: the deletion is lifted.
pub(super) type Tombstone = (Box<[u8]>, Option<Box<[u8]>>);

/// The deletions that later rows of the same keys have to beat.
#[derive(Default)]
pub(super) struct Tombstones {
    /// Shared with checkpoints being written.
    frozen: Arc<DeletedKeys>,
    /// What has changed since the frozen part was shared; `None`: the deletion is lifted.
    recent: HashMap<Box<[u8]>, Option<Box<[u8]>>>,
    /// The bytes of all keys and versions.
    content_bytes: usize,
}

impl Tombstones {
    /// The version of the key's deletion, if it is deleted.
    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        match self.recent.get(key) {
            Some(version) => version.as_deref(),
            None => self.frozen.get(key).map(|version| &**version),
        }
    }

    /// Whether no key was ever deleted: then no key needs to be looked up.
    pub(super) fn is_empty(&self) -> bool {
        self.frozen.is_empty() && self.recent.is_empty()
    }

    /// Notes the version of a key's deletion, or that the deletion is lifted (`None`).
    pub(super) fn set(&mut self, key: Box<[u8]>, version: Option<Box<[u8]>>) {
        let before = self
            .get(&key)
            .map_or(0, |version| key.len() + version.len());
        let after = version
            .as_ref()
            .map_or(0, |version| key.len() + version.len());
        self.content_bytes = (self.content_bytes + after).saturating_sub(before);
        let Some(deleted) = Arc::get_mut(&mut self.frozen) else {
            self.recent.insert(key, version);
            return;
        };
        for (key, version) in self.recent.drain() {
            set(deleted, key, version);
        }
        set(deleted, key, version);
    }

    /// How many keys are remembered; at most a few more than there are while a checkpoint is
    /// being written.
    pub(super) fn len(&self) -> usize {
        self.frozen.len() + self.recent.len()
    }

    /// Their memory in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.frozen.allocation_size() + self.recent.allocation_size() + self.content_bytes
    }

    /// All deleted keys as of this moment; costs what has changed since the last time.
    pub(super) fn freeze(&mut self) -> Arc<DeletedKeys> {
        if !self.recent.is_empty() {
            let deleted = Arc::make_mut(&mut self.frozen);
            for (key, version) in self.recent.drain() {
                set(deleted, key, version);
            }
        }
        Arc::clone(&self.frozen)
    }
}

fn set(deleted: &mut DeletedKeys, key: Box<[u8]>, version: Option<Box<[u8]>>) {
    match version {
        Some(version) => deleted.insert(key, version),
        None => deleted.remove(&key),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Box<[u8]> {
        text.as_bytes().into()
    }

    #[test]
    fn a_frozen_map_stays_as_it_was() {
        let mut tombstones = Tombstones::default();
        tombstones.set(bytes("a"), Some(bytes("1")));
        tombstones.set(bytes("b"), Some(bytes("1")));
        let frozen = tombstones.freeze();
        tombstones.set(bytes("a"), None);
        tombstones.set(bytes("b"), Some(bytes("2")));
        tombstones.set(bytes("c"), Some(bytes("3")));
        assert_eq!(frozen.len(), 2);
        assert_eq!(frozen.get("b".as_bytes()), Some(&bytes("1")));
        let see = |tombstones: &Tombstones| {
            ["a", "b", "c"].map(|key| tombstones.get(key.as_bytes()).map(<[u8]>::to_vec))
        };
        let expected = [None, Some(b"2".to_vec()), Some(b"3".to_vec())];
        assert_eq!(see(&tombstones), expected);
        let again = tombstones.freeze();
        assert_eq!(again.len(), 2);
        drop((frozen, again));
        tombstones.set(bytes("d"), Some(bytes("4")));
        assert_eq!(see(&tombstones), expected);
        assert!(tombstones.recent.is_empty(), "nobody reads the frozen part");
    }
}
