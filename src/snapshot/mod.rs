//! Snapshots: the content of a view at one timestamp, written as Parquet for everybody else.
//!
//! ```text
//! <root>/<view>/latest -> 20111209T125000.000Z      a relative symbolic link
//! <root>/<view>/20111209T125000.000Z/_manifest.json
//! <root>/<view>/20111209T125000.000Z/part-00000.parquet …
//! ```
//!
//! Invariants, also through a crash at any moment:
//! - a directory with a timestamp for a name is a whole snapshot, and never changes;
//! - `latest` leads to the snapshot written last, and never to nothing once there was one;
//! - what is being written or removed has a name that begins with `.temporary-`, and the next
//!   writer removes it.

mod error;
mod layout;
mod manifest;
mod part;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use error::SnapshotError;
pub use layout::{SnapshotEntry, latest, list};
pub use manifest::{LogRange, Manifest, ManifestColumn, ManifestFile};
pub use part::properties;
pub use verify::{read, verify};
pub use writer::{Moment, SnapshotOptions, SnapshotReport, SnapshotWriter};
