//! Where a source of files stands, as the text that is kept with each transaction.
//!
//! Everything before the position is durable and everything behind it is not: the files that are
//! done by identity, and how many rows of the file at hand.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::raw::hexadecimal;

/// Most files of a source. The identities of all of them are in each position.
pub const FILES_MAX: usize = 4096;

const VERSION: u32 = 1;

/// The position of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilePosition {
    /// Identities of the files that are done.
    pub done: BTreeSet<u128>,
    /// The file that is partly done.
    pub current: Option<CurrentFile>,
}

/// How far a file is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentFile {
    /// The file's path, for finding it again and for messages.
    pub path: String,
    /// Identity of its content, hexadecimal.
    pub content: String,
    /// Rows that are done: in the file's order or, on the event-time clock, in the order of time.
    pub rows: u64,
    /// Identity of the bytes up to there, hexadecimal. A file that has only grown has the same.
    pub prefix: String,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    done: Vec<String>,
    current: Option<CurrentFile>,
}

impl FilePosition {
    /// The position as text.
    pub fn to_text(&self) -> String {
        let document = Document {
            version: VERSION,
            done: self
                .done
                .iter()
                .map(|identity| hexadecimal(*identity))
                .collect(),
            current: self.current.clone(),
        };
        // Strings and numbers can always be written as JSON.
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// Reads a position back.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse(text: &str) -> Result<FilePosition, String> {
        let document: Document = serde_json::from_str(text)
            .map_err(|error| format!("its position cannot be read: {error}"))?;
        if document.version != VERSION {
            let version = document.version;
            return Err(format!(
                "its position has version {version}, this is {VERSION}"
            ));
        }
        let done = document
            .done
            .iter()
            .map(|text| u128::from_str_radix(text, 16));
        Ok(FilePosition {
            done: done
                .collect::<Result<_, _>>()
                .map_err(|error| error.to_string())?,
            current: document.current,
        })
    }
}
