//! Files as found on disk: which there are, in what order, and their bytes decompressed.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use xxhash_rust::xxh3::Xxh3;

use super::super::error::SourceError;
use super::options::{FileFormat, FileOptions};

/// Bytes read from a file at a time.
const READ_BYTES: usize = 256 * 1024;

/// A file to be read.
#[derive(Clone, Debug)]
pub struct InputFile {
    /// Where it is.
    pub path: PathBuf,
    /// How its rows are written.
    pub format: FileFormat,
    compression: Compression,
    /// Its size on disk.
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

/// The files of a source in reading order, each once.
pub fn find(options: &FileOptions) -> Result<Vec<InputFile>, SourceError> {
    let mut files: Vec<InputFile> = Vec::new();
    for pattern in &options.paths {
        let found = matches(options, pattern)?;
        if found.is_empty() {
            return Err(SourceError::NoFile {
                name: options.name.clone(),
                pattern: pattern.clone(),
            });
        }
        for path in found {
            if !files.iter().any(|file| file.path == path) {
                files.push(describe(options, path)?);
            }
        }
    }
    Ok(files)
}

fn matches(options: &FileOptions, pattern: &str) -> Result<Vec<PathBuf>, SourceError> {
    // A name that exists is meant as it is, even if it has brackets in it.
    if Path::new(pattern).is_file() {
        return Ok(vec![PathBuf::from(pattern)]);
    }
    let paths = glob::glob(pattern).map_err(|error| SourceError::Options {
        name: options.name.clone(),
        problem: format!("the pattern {pattern} cannot be read: {error}"),
    })?;
    let mut found = Vec::new();
    for path in paths {
        let path =
            path.map_err(|error| SourceError::file(error.path(), "directory", error.error()))?;
        if !path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn describe(options: &FileOptions, path: PathBuf) -> Result<InputFile, SourceError> {
    let metadata = path.metadata();
    let bytes = metadata
        .map_err(|error| SourceError::file(&path, "start", error))?
        .len();
    let name = path.to_string_lossy().to_ascii_lowercase();
    let (stem, compression) = match () {
        () if name.ends_with(".gz") => (name.trim_end_matches(".gz"), Compression::Gzip),
        () if name.ends_with(".zst") => (name.trim_end_matches(".zst"), Compression::Zstd),
        () => (name.as_str(), Compression::None),
    };
    let format = match Path::new(stem)
        .extension()
        .and_then(|ending| ending.to_str())
    {
        _ if options.format.is_some() => options.format,
        Some("csv" | "tsv" | "txt") => Some(FileFormat::Csv),
        Some("ndjson" | "jsonl" | "json") => Some(FileFormat::Ndjson),
        Some("parquet") => Some(FileFormat::Parquet),
        _ => None,
    };
    let Some(format) = format else {
        let problem = "the name does not tell the format; set the source's format to csv, ndjson \
                       or parquet";
        return Err(SourceError::file(&path, "name", problem));
    };
    if format == FileFormat::Parquet && compression != Compression::None {
        let problem = "a Parquet file is compressed inside; unpack it";
        return Err(SourceError::file(&path, "name", problem));
    }
    Ok(InputFile {
        path,
        format,
        compression,
        bytes,
    })
}

impl InputFile {
    /// The name without its directories.
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// The bytes, decompressed.
    pub fn open(&self) -> Result<Box<dyn Read + Send>, SourceError> {
        let failed = |error: io::Error| SourceError::file(&self.path, "start", error);
        let file = File::open(&self.path).map_err(failed)?;
        if self.compression != Compression::None && self.bytes == 0 {
            return Err(SourceError::file(
                &self.path,
                "start",
                "the compressed file is empty",
            ));
        }
        let file = io::BufReader::with_capacity(READ_BYTES, file);
        Ok(match self.compression {
            Compression::None => Box::new(file),
            Compression::Gzip => Box::new(MultiGzDecoder::new(file)),
            Compression::Zstd => Box::new(zstd::Decoder::with_buffer(file).map_err(failed)?),
        })
    }

    /// The XXH3-128 of the decompressed content. Reading it all also finds a compressed file that
    /// was cut short before any of its rows are used.
    pub fn content_identity(&self) -> Result<u128, SourceError> {
        let mut reader = self.open()?;
        let mut hash = Xxh3::new();
        let mut buffer = vec![0; READ_BYTES];
        let mut position = 0u64;
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(hash.digest128()),
                Ok(count) => {
                    position += count as u64;
                    hash.update(buffer.get(..count).unwrap_or_default());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.unreadable(position, &error)),
            }
        }
    }

    /// The error of a read that failed after `position` decompressed bytes.
    pub fn unreadable(&self, position: u64, error: &io::Error) -> SourceError {
        let problem = match (self.compression, error.kind()) {
            (Compression::None, _) => error.to_string(),
            (_, io::ErrorKind::UnexpectedEof) => {
                "the compressed file ends too early; it was not written or copied to its end"
                    .to_owned()
            }
            _ => format!("the compressed file is damaged: {error}"),
        };
        SourceError::file(
            &self.path,
            &format!("decompressed byte {position}"),
            problem,
        )
    }
}
