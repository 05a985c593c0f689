//! Settings as they were written, before they are understood: text with its origin.
//!
//! The file, the environment and the command line all become [`RawSettings`]; laying one over the
//! other is the whole rule of precedence.

use std::collections::BTreeMap;
use std::fmt;

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the configuration file, which is called `file`.
    File {
        /// The file's path as the user gave it.
        file: String,
        /// The line, from 1.
        line: usize,
    },
    /// In this environment variable.
    Variable(String),
    /// In this command-line flag, with its dashes.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { file, line } => write!(f, "{file}:{line}"),
            Origin::Variable(name) => write!(f, "{name}"),
            Origin::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

/// A setting's text and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The text; numbers and booleans of the file as they would be written there.
    pub text: String,
    /// Where it was written.
    pub origin: Origin,
}

/// One source as it was written.
#[derive(Clone, Debug, Default)]
pub struct RawSource {
    /// The source's name; empty if it was left out.
    pub name: String,
    /// The values by key.
    pub values: BTreeMap<&'static str, Raw>,
    /// The entries of a `[source.mapping]` table: SQL by target table.
    pub mapping: BTreeMap<String, Raw>,
    /// Where the source begins.
    pub origin: Option<Origin>,
}

/// Settings as they were written.
#[derive(Clone, Debug, Default)]
pub struct RawSettings {
    /// The values by the key's path.
    pub values: BTreeMap<&'static str, Raw>,
    /// The sources in their order.
    pub sources: Vec<RawSource>,
}
