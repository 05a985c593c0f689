//! `_manifest.json`: what a snapshot holds, so that it can be trusted and verified.

use std::fmt;
use std::io::{Read, Write};
use std::path::Path;

use arrow::datatypes::Schema;
use serde::{Deserialize, Serialize};

use super::error::SnapshotError;
use super::layout::{MANIFEST_FILE, is_part_name};
use super::writer::Moment;
use crate::log::fs::{FileReader, FileSystem};

pub(super) const MANIFEST_VERSION: u32 = 2;
/// Version 1 does not name the range of the log.
const OLDEST_VERSION: u32 = 1;
const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// What a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this format: 2, or 1 of older ones.
    pub format_version: u32,
    /// The view's name.
    pub view: String,
    /// The timestamp of the content in milliseconds since the epoch.
    pub timestamp_ms: u64,
    /// The same in RFC 3339.
    pub timestamp: String,
    /// The transactions of the log that are in it; `None` in version 1, and where whoever wrote it
    /// did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogRange>,
    /// The columns, in order.
    pub schema: Vec<ManifestColumn>,
    /// The number of rows in all files.
    pub rows: u64,
    /// The size of all Parquet files in bytes.
    pub bytes: u64,
    /// The Parquet files, in order.
    pub files: Vec<ManifestFile>,
}

/// Transactions of the log, by their offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRange {
    /// The first of them. A snapshot holds the whole content, so it is 0.
    pub first_offset: u64,
    /// The first one after them.
    pub next_offset: u64,
}

impl LogRange {
    /// The first transactions of the log, up to an offset that is not among them.
    pub fn before(next_offset: u64) -> LogRange {
        LogRange {
            first_offset: 0,
            next_offset,
        }
    }
}

impl fmt::Display for LogRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.first_offset, self.next_offset)
    }
}

/// One column of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestColumn {
    /// The column's name.
    pub name: String,
    /// The Arrow type, as Arrow writes it.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether NULL is allowed.
    pub nullable: bool,
}

/// One Parquet file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// The file's name in the snapshot's directory.
    pub name: String,
    /// The number of rows.
    pub rows: u64,
    /// The size in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file in lower-case hexadecimal.
    pub sha256: String,
}

/// The columns of a schema as a manifest tells them.
pub(super) fn columns_of(schema: &Schema) -> Vec<ManifestColumn> {
    let fields = schema.fields().iter();
    fields
        .map(|field| ManifestColumn {
            name: field.name().clone(),
            data_type: field.data_type().to_string(),
            nullable: field.is_nullable(),
        })
        .collect()
}

impl Manifest {
    /// What the snapshot is of.
    pub fn moment(&self) -> Moment {
        Moment {
            timestamp_ms: self.timestamp_ms,
            log: self.log,
        }
    }

    /// Reads the manifest of the snapshot in `directory`.
    ///
    /// # Errors
    /// [`SnapshotError::Damaged`], [`SnapshotError::UnsupportedVersion`], [`SnapshotError::Io`].
    pub fn read(file_system: &dyn FileSystem, directory: &Path) -> Result<Manifest, SnapshotError> {
        let path = directory.join(MANIFEST_FILE);
        let file = file_system
            .open_read(&path)
            .map_err(SnapshotError::io("open", &path))?;
        let mut text = Vec::new();
        FileReader::new(file, 0)
            .take(MAX_MANIFEST_BYTES)
            .read_to_end(&mut text)
            .map_err(SnapshotError::io("read", &path))?;
        let manifest: Manifest = serde_json::from_slice(&text)
            .map_err(|error| SnapshotError::damaged(&path, error.to_string()))?;
        if !(OLDEST_VERSION..=MANIFEST_VERSION).contains(&manifest.format_version) {
            return Err(SnapshotError::UnsupportedVersion {
                path,
                version: manifest.format_version,
                supported: MANIFEST_VERSION,
            });
        }
        if let Some(file) = manifest.files.iter().find(|file| !is_part_name(&file.name)) {
            let reason = format!("{:?} is not the name of a part", file.name);
            return Err(SnapshotError::damaged(&path, reason));
        }
        Ok(manifest)
    }

    /// Writes the manifest into `directory` and syncs it.
    pub(super) fn write(
        &self,
        file_system: &dyn FileSystem,
        directory: &Path,
    ) -> Result<(), SnapshotError> {
        let path = directory.join(MANIFEST_FILE);
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| SnapshotError::io("write", &path)(error.into()))?;
        text.push(b'\n');
        let mut file = file_system
            .create_file(&path)
            .map_err(SnapshotError::io("create", &path))?;
        file.write_all(&text)
            .map_err(SnapshotError::io("write to", &path))?;
        file.sync().map_err(SnapshotError::io("sync", &path))
    }
}
