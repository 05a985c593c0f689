//! The names of directories and files, and finding snapshots by them.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};

use super::error::SnapshotError;
use crate::log::fs::FileSystem;

/// Readers of whole directories, as pandas is, pass over names that begin with an underscore.
pub(super) const MANIFEST_FILE: &str = "_manifest.json";
pub(super) const LATEST_LINK: &str = "latest";
pub(super) const LOCK_FILE: &str = ".lock";
/// Begins the name of everything that is being written or removed.
pub(super) const TEMPORARY_PREFIX: &str = ".temporary-";
/// What the files themselves say they are of.
pub(super) const VIEW_TAG: &str = "mainstem.view";
pub(super) const TIMESTAMP_TAG: &str = "mainstem.timestamp";
pub(super) const LOG_TAG: &str = "mainstem.log";
const TIMESTAMP_FORMAT: &str = "%Y%m%dT%H%M%S%.3fZ";
const MAX_VIEW_NAME_BYTES: usize = 128;
/// The last millisecond of the year 9999: later years have five digits and would sort wrongly.
const MAX_TIMESTAMP_MS: u64 = 253_402_300_799_999;

/// One whole snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotEntry {
    /// The view's name.
    pub view: String,
    /// The timestamp in milliseconds since the epoch.
    pub timestamp_ms: u64,
    /// The snapshot's directory.
    pub path: PathBuf,
}

/// All whole snapshots below `root`, by view and timestamp. None if `root` does not exist.
///
/// # Errors
/// [`SnapshotError::Io`].
pub fn list(
    file_system: &dyn FileSystem,
    root: &Path,
) -> Result<Vec<SnapshotEntry>, SnapshotError> {
    let mut entries = Vec::new();
    for view in names(file_system, root)? {
        if is_view_name(&view) {
            entries.extend(list_view(file_system, root, &view)?);
        }
    }
    Ok(entries)
}

/// The whole snapshots of one view, by timestamp.
pub(super) fn list_view(
    file_system: &dyn FileSystem,
    root: &Path,
    view: &str,
) -> Result<Vec<SnapshotEntry>, SnapshotError> {
    let directory = root.join(view);
    let mut entries = Vec::new();
    for name in names(file_system, &directory)? {
        if let Some(timestamp_ms) = parse_timestamp(&name) {
            entries.push(SnapshotEntry {
                view: view.to_string(),
                timestamp_ms,
                path: directory.join(name),
            });
        }
    }
    Ok(entries)
}

/// The snapshot of `view` that `latest` leads to, if there is one.
///
/// # Errors
/// [`SnapshotError::Damaged`] if `latest` is not a link to a snapshot beside it;
/// [`SnapshotError::InvalidViewName`]; [`SnapshotError::Io`].
pub fn latest(
    file_system: &dyn FileSystem,
    root: &Path,
    view: &str,
) -> Result<Option<SnapshotEntry>, SnapshotError> {
    check_view_name(view)?;
    let directory = root.join(view);
    let link = directory.join(LATEST_LINK);
    let target = match file_system.read_link(&link) {
        Ok(target) => target,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SnapshotError::io("read the link", &link)(error)),
    };
    let Some(timestamp_ms) = target.to_str().and_then(parse_timestamp) else {
        let reason = format!("it leads to {}, not to a snapshot", target.display());
        return Err(SnapshotError::damaged(&link, reason));
    };
    Ok(Some(SnapshotEntry {
        view: view.to_string(),
        timestamp_ms,
        path: directory.join(target),
    }))
}

/// The names in a directory; none if it does not exist or is not one.
fn names(file_system: &dyn FileSystem, directory: &Path) -> Result<Vec<String>, SnapshotError> {
    match file_system.list(directory) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        other => other.map_err(SnapshotError::io("list", directory)),
    }
}

/// Accepts names that are one harmless path component.
pub(super) fn check_view_name(view: &str) -> Result<(), SnapshotError> {
    if is_view_name(view) {
        return Ok(());
    }
    Err(SnapshotError::InvalidViewName {
        view: view.to_string(),
    })
}

fn is_view_name(name: &str) -> bool {
    name.len() <= MAX_VIEW_NAME_BYTES
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The directory name of a timestamp, such as `20111209T125000.000Z`.
pub(super) fn timestamp_name(timestamp_ms: u64) -> Result<String, SnapshotError> {
    Ok(moment(timestamp_ms)?.format(TIMESTAMP_FORMAT).to_string())
}

/// A timestamp in RFC 3339, such as `2011-12-09T12:50:00.000Z`.
pub(super) fn timestamp_text(timestamp_ms: u64) -> Result<String, SnapshotError> {
    Ok(moment(timestamp_ms)?.to_rfc3339_opts(SecondsFormat::Millis, true))
}

fn moment(timestamp_ms: u64) -> Result<DateTime<Utc>, SnapshotError> {
    let in_range = timestamp_ms <= MAX_TIMESTAMP_MS;
    let moment = i64::try_from(timestamp_ms)
        .ok()
        .and_then(DateTime::from_timestamp_millis);
    moment
        .filter(|_| in_range)
        .ok_or(SnapshotError::InvalidTimestamp { timestamp_ms })
}

/// The timestamp of a directory name, if it is exactly one.
pub(super) fn parse_timestamp(name: &str) -> Option<u64> {
    let moment = NaiveDateTime::parse_from_str(name, TIMESTAMP_FORMAT).ok()?;
    let timestamp_ms = u64::try_from(moment.and_utc().timestamp_millis()).ok()?;
    let is_canonical = timestamp_name(timestamp_ms).is_ok_and(|canonical| canonical == name);
    is_canonical.then_some(timestamp_ms)
}

/// The name of the part with this number.
pub(super) fn part_name(number: usize) -> String {
    format!("part-{number:05}.parquet")
}

/// Whether a file counts as a part for readers that take `part-*.parquet`.
pub(super) fn is_part_name(name: &str) -> bool {
    name.starts_with("part-") && name.ends_with(".parquet") && !name.contains(['/', '\\'])
}
