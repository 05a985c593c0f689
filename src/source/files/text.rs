//! The text of a file as a window that moves over whole records.

use std::io::{ErrorKind, Read};

use xxhash_rust::xxh3::Xxh3;

use super::super::error::SourceError;
use super::input::InputFile;

/// Longest record of a text file, in bytes.
pub const RECORD_BYTES_MAX: usize = 8 * 1024 * 1024;
const WINDOW_BYTES: usize = 256 * 1024;

/// A window over the decompressed bytes of a file.
pub struct Text {
    file: InputFile,
    reader: Box<dyn Read + Send>,
    window: Vec<u8>,
    /// Where the consumed bytes begin that are not hashed yet: hashing many at once is cheaper.
    unhashed: usize,
    start: usize,
    end: usize,
    is_at_end: bool,
    consumed: u64,
    hash: Xxh3,
}

impl Text {
    /// Opens a file; a byte order mark at its start is left out.
    pub fn open(file: &InputFile) -> Result<Text, SourceError> {
        let mut text = Text {
            file: file.clone(),
            reader: file.open()?,
            window: vec![0; WINDOW_BYTES],
            unhashed: 0,
            start: 0,
            end: 0,
            is_at_end: false,
            consumed: 0,
            hash: Xxh3::new(),
        };
        while text.end < 3 && text.fill()? {}
        match text.remaining() {
            [0xEF, 0xBB, 0xBF, ..] => text.consume(3),
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => {
                let problem = "the text is UTF-16; convert it to UTF-8";
                return Err(SourceError::file(&file.path, "byte 0", problem));
            }
            _ => {}
        }
        Ok(text)
    }

    /// What has been read and not consumed.
    pub fn remaining(&self) -> &[u8] {
        self.window.get(self.start..self.end).unwrap_or_default()
    }

    /// Whether nothing follows behind the remaining bytes.
    pub fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Identity of all bytes consumed so far.
    pub fn digest(&mut self) -> u128 {
        self.hash_consumed();
        self.hash.digest128()
    }

    fn hash_consumed(&mut self) {
        let consumed = self.window.get(self.unhashed..self.start);
        self.hash.update(consumed.unwrap_or_default());
        self.unhashed = self.start;
    }

    /// Moves behind `count` of the remaining bytes.
    pub fn consume(&mut self, count: usize) {
        let until = (self.start + count).min(self.end);
        self.consumed += (until - self.start) as u64;
        self.start = until;
    }

    /// Reads more behind the remaining bytes; false at the end of the file.
    ///
    /// # Errors
    /// If reading fails, or if a record is longer than [`RECORD_BYTES_MAX`].
    pub fn fill(&mut self) -> Result<bool, SourceError> {
        if self.is_at_end {
            return Ok(false);
        }
        if self.start > 0 {
            self.hash_consumed();
            self.window.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            self.unhashed = 0;
        }
        if self.end == self.window.len() {
            if self.end >= RECORD_BYTES_MAX {
                let problem = format!(
                    "a record is longer than {RECORD_BYTES_MAX} bytes; most likely a quote that \
                     opens here is never closed"
                );
                return Err(self.failure(problem));
            }
            self.window.resize(self.end * 2, 0);
        }
        loop {
            let space = self.window.get_mut(self.end..).unwrap_or_default();
            match self.reader.read(space) {
                Ok(count) => {
                    self.end += count;
                    self.is_at_end = count == 0;
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let position = self.consumed + self.end as u64;
                    return Err(self.file.unreadable(position, &error));
                }
            }
        }
    }

    /// An error at the next byte.
    pub fn failure(&self, problem: impl ToString) -> SourceError {
        SourceError::file(&self.file.path, &format!("byte {}", self.consumed), problem)
    }

    /// The next line without its end, and the count of bytes to be consumed with it; `None` at
    /// the end of the file. Blank lines are consumed and left out.
    pub fn line(&mut self) -> Result<Option<(usize, usize)>, SourceError> {
        let mut searched = 0;
        loop {
            let rest = self.remaining().get(searched..).unwrap_or_default();
            let found = memchr::memchr(b'\n', rest).map(|at| at + searched);
            let (length, whole) = match found {
                Some(at) => (at, at + 1),
                None if self.is_at_end => match self.remaining().len() {
                    0 => return Ok(None),
                    rest => (rest, rest),
                },
                None => {
                    searched = self.remaining().len();
                    self.fill()?;
                    continue;
                }
            };
            let line = self.remaining().get(..length).unwrap_or_default();
            if line.iter().all(u8::is_ascii_whitespace) {
                self.consume(whole);
                searched = 0;
                continue;
            }
            let without_return = length - usize::from(line.last() == Some(&b'\r'));
            return Ok(Some((without_return, whole)));
        }
    }
}
