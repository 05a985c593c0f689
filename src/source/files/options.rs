//! What is read from files, and how.

use super::super::mapping::Mapping;

/// Raw rows of one transaction, unless set otherwise.
pub const ROWS_PER_TRANSACTION: usize = 65_536;

/// The settings of a source of files.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// The source's name; positions are kept by it.
    pub name: String,
    /// Paths or glob patterns, read in this order and within a pattern in the order of the names.
    pub paths: Vec<String>,
    /// The format; `None`: told by each file's name.
    pub format: Option<FileFormat>,
    /// How the fields of CSV files are separated.
    pub delimiter: Delimiter,
    /// Whether the first line of a CSV file names its columns.
    pub has_header: bool,
    /// The columns of CSV files without a header, or the keys to be taken from NDJSON (empty: the
    /// names that the mappings mention).
    pub columns: Vec<String>,
    /// Which clock the transactions follow.
    pub clock: Clock,
    /// The mapped column that tells when a row happened; read on [`Clock::Event`] only.
    pub event_time: String,
    /// On [`Clock::Event`], rows of different intervals of this length are in different
    /// transactions; in milliseconds, counted from the epoch.
    pub transaction_interval_ms: u64,
    /// Most raw rows of a transaction.
    pub rows_per_transaction: usize,
    /// What makes two deliveries the same.
    pub identity: Identity,
    /// How raw rows become rows of tables.
    pub mappings: Vec<Mapping>,
}

impl FileOptions {
    /// The usual settings: format by file name, comma and header, wall clock, identity by content.
    pub fn new(name: &str, paths: Vec<String>, mappings: Vec<Mapping>) -> FileOptions {
        FileOptions {
            name: name.to_owned(),
            paths,
            format: None,
            delimiter: Delimiter::Byte(b','),
            has_header: true,
            columns: Vec::new(),
            clock: Clock::Arrival,
            event_time: "occurred_at".to_owned(),
            transaction_interval_ms: 24 * 60 * 60 * 1000,
            rows_per_transaction: ROWS_PER_TRANSACTION,
            identity: Identity::Content,
            mappings,
        }
    }

    /// What is wrong with the settings by themselves.
    pub(super) fn problem(&self) -> Option<&'static str> {
        if self.mappings.is_empty() {
            return Some("there is no mapping; give a SELECT for at least one table");
        }
        if !(1..=1_000_000).contains(&self.rows_per_transaction) {
            return Some("rows per transaction must be from 1 to 1,000,000");
        }
        if self.transaction_interval_ms == 0 {
            return Some("the transaction interval must be at least a millisecond");
        }
        match self.delimiter {
            Delimiter::Byte(b'"' | b'\n' | b'\r' | 128..) => {
                Some("the delimiter must be an ASCII character other than a quote or a line end")
            }
            _ => None,
        }
    }
}

/// The format of a file's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Separated values, a record a line, fields optionally in double quotes (RFC 4180). A field
    /// without quotes and without characters is NULL, `""` is the empty text.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Parquet; columns keep their types.
    Parquet,
}

/// What stands between the fields of a CSV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    /// This character.
    Byte(u8),
    /// Any number of spaces and tabs; those at the ends of a line mean nothing, and there are no
    /// quotes and no NULLs.
    Whitespace,
}

impl std::str::FromStr for Delimiter {
    type Err = String;

    /// Reads `whitespace`, `tab`, `\t` or a single ASCII character.
    fn from_str(text: &str) -> Result<Delimiter, String> {
        match text.as_bytes() {
            b"whitespace" => Ok(Delimiter::Whitespace),
            b"tab" | b"\\t" => Ok(Delimiter::Byte(b'\t')),
            [byte] if byte.is_ascii() => Ok(Delimiter::Byte(*byte)),
            _ => Err(format!(
                "`{text}` is no delimiter; use one ASCII character, `tab` or `whitespace`"
            )),
        }
    }
}

/// The clock that a source's transactions follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Transactions have the time at which they are read.
    Arrival,
    /// Transactions have the time of the events: rows are ordered within each file by event time,
    /// and a transaction's timestamp is the greatest event time in it.
    Event,
}

/// What makes two deliveries of a file the same; the second one is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Equal content, whatever the name and the compression.
    Content,
    /// Equal path, whatever the content.
    Path,
}
