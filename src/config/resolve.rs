//! Turns settings as written into [`Settings`]: what each text means, and the defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::expectation;
use super::interpolate::interpolate;
use super::keys::Kind;
use super::problem::{Problem, closest};
use super::raw::{Origin, Raw, RawSettings};
use super::{
    CheckpointSettings, Environment, EventSettings, LogSettings, MemorySettings, QuerySettings,
    ServeSettings, Settings, SnapshotSettings, duration, machine, size, source,
};
use crate::source::Delimiter;

/// The most workers that can be asked for; beyond the cores of any machine they only cost memory.
const MOST_WORKERS: usize = 256;

const LOG_RETAIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const MIN_FREE_BYTES: u64 = 256 << 20;
const SEGMENT_BYTES: u64 = 256 << 20;
/// The least of sizes that cannot be switched off.
const LEAST_BYTES: u64 = 1 << 20;
const CONNECTIONS: usize = 100;
/// The most that can be asked for: the memory of their buffers is not the budget's.
const MOST_CONNECTIONS: usize = 10_000;
const MESSAGE_BYTES: u64 = 16 << 20;
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10 * 60);

/// Reads what settings mean; gathers what is wrong on the way.
pub(super) struct Resolver<'r> {
    /// The directory that relative paths of the file are relative to.
    pub base: &'r Path,
    /// The variables that paths may name.
    pub environment: &'r Environment,
    /// What was wrong so far.
    pub problems: &'r mut Vec<Problem>,
}

/// Makes the settings; what is wrong is added to the resolver's problems and left at its default.
pub(super) fn resolve(raw: &RawSettings, resolver: &mut Resolver<'_>) -> Settings {
    let value = |path: &str| raw.values.get(path);
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let workers = resolver.count(value("workers"), cores.min(MOST_WORKERS), MOST_WORKERS);
    let loopback = |port: u16| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    Settings {
        data_dir: resolver.path(value("data_dir"), "mainstem-data"),
        dataflows: resolver.directory_if_any(value("dataflows"), "dataflows"),
        queries: resolver.directory_if_any(value("queries"), "queries"),
        workers,
        history: resolver.duration(value("history")),
        shutdown_timeout: resolver.duration_or(value("shutdown_timeout"), SHUTDOWN_TIMEOUT),
        serve: ServeSettings {
            pgwire: resolver.address(value("serve.pgwire"), loopback(7432)),
            http: resolver.address(value("serve.http"), loopback(7400)),
            connections: resolver.count(value("serve.connections"), CONNECTIONS, MOST_CONNECTIONS),
            message_bytes: resolver.least(value("serve.message_size"), MESSAGE_BYTES, "a message"),
        },
        log: LogSettings {
            retain: resolver.duration_or(value("log.retain"), LOG_RETAIN),
            min_free_bytes: resolver.size(value("log.min_free"), MIN_FREE_BYTES),
            segment_bytes: resolver.least(value("log.segment"), SEGMENT_BYTES, "a file of the log"),
        },
        events: EventSettings {
            remember: resolver.duration(value("events.remember")),
        },
        memory: MemorySettings {
            budget_bytes: resolver.size(value("memory.budget"), machine::memory_bytes() / 2),
        },
        query: QuerySettings {
            memory_bytes: resolver.least(
                value("query.memory"),
                machine::memory_bytes() / 4,
                "any query",
            ),
            timeout: resolver.duration(value("query.timeout")),
            rows: resolver.count(value("query.rows"), usize::MAX, usize::MAX),
        },
        checkpoint: CheckpointSettings {
            every: resolver.duration_or(value("checkpoint.every"), CHECKPOINT_EVERY),
            retain: resolver.count(value("checkpoint.retain"), 2, usize::MAX),
        },
        snapshot: SnapshotSettings {
            dir: resolver.path(value("snapshot.dir"), "mainstem-snapshots"),
            every: resolver.duration(value("snapshot.every")),
            retain: resolver.count(value("snapshot.retain"), 10, usize::MAX),
            is_configured: raw.values.keys().any(|key| key.starts_with("snapshot.")),
        },
        sources: source::resolve_all(&raw.sources, resolver),
        warnings: Vec::new(),
    }
}

impl Resolver<'_> {
    /// Adds a problem at the place where `raw` was written.
    pub fn refuse(&mut self, origin: &Origin, what: impl Into<String>, hint: impl Into<String>) {
        self.problems
            .push(Problem::new(origin.to_string(), what, hint));
    }

    fn expected(&mut self, raw: &Raw, what: String, kind: Kind) {
        let hint = match raw.origin {
            Origin::File { .. } => format!("write {}", expectation(kind)),
            // Quotes are TOML's; in a shell they would mislead.
            _ => format!("write {}", expectation(kind))
                .replace(" in quotes", "")
                .replace(", without quotes", ""),
        };
        self.refuse(&raw.origin, what, hint);
    }

    /// The text with its variables replaced.
    pub fn interpolated(&mut self, raw: &Raw) -> Option<String> {
        match interpolate(&raw.text, self.environment) {
            Ok(text) => Some(text),
            Err(error) => {
                self.refuse(
                    &raw.origin,
                    format!("`{}`: {error}", raw.text),
                    "set the variable, or write the path without it; `$$` stands for a plain `$`",
                );
                None
            }
        }
    }

    /// A path: relative to the file's directory if it comes from the file, else to the working
    /// directory.
    pub fn path(&mut self, raw: Option<&Raw>, default: &str) -> PathBuf {
        let Some(raw) = raw else {
            return self.base.join(default);
        };
        match self.interpolated(raw) {
            Some(text) if text.is_empty() => {
                self.expected(raw, "this path is empty".into(), Kind::Path);
                self.base.join(default)
            }
            Some(text) => match raw.origin {
                Origin::File { .. } => self.base.join(text),
                _ => PathBuf::from(text),
            },
            None => self.base.join(default),
        }
    }

    fn directory_if_any(&mut self, raw: Option<&Raw>, default: &str) -> Option<PathBuf> {
        let path = self.path(raw, default);
        (raw.is_some() || path.is_dir()).then_some(path)
    }

    fn address(&mut self, raw: Option<&Raw>, default: Option<SocketAddr>) -> Option<SocketAddr> {
        let Some(raw) = raw else {
            return default;
        };
        if raw.text == "off" {
            return None;
        }
        // No name service is asked: a check must not depend on the network.
        let numeric = raw.text.replacen("localhost:", "127.0.0.1:", 1);
        match numeric.parse() {
            Ok(address) => Some(address),
            Err(_) => {
                let what = format!("`{}` is no address with a port", raw.text);
                self.expected(raw, what, Kind::Address);
                default
            }
        }
    }

    fn duration(&mut self, raw: Option<&Raw>) -> Option<Duration> {
        let raw = raw.filter(|raw| raw.text != "off")?;
        match duration::parse(&raw.text) {
            Ok(duration) if duration >= Duration::from_secs(1) => Some(duration),
            Ok(_) => {
                let what = format!("`{}` is less than a second", raw.text);
                self.expected(raw, what, Kind::Duration);
                None
            }
            Err(error) => {
                self.expected(raw, error.to_string(), Kind::Duration);
                None
            }
        }
    }

    fn duration_or(&mut self, raw: Option<&Raw>, default: Duration) -> Option<Duration> {
        match raw {
            None => Some(default),
            Some(raw) => self.duration(Some(raw)),
        }
    }

    /// A number of bytes; `off` is 0.
    fn size(&mut self, raw: Option<&Raw>, default: u64) -> u64 {
        let Some(raw) = raw else {
            return default;
        };
        if raw.text == "off" {
            return 0;
        }
        size::parse(&raw.text).unwrap_or_else(|error| {
            self.expected(raw, error.to_string(), Kind::Size);
            default
        })
    }

    /// A number of bytes that cannot be switched off and is not too little for what it is for.
    fn least(&mut self, raw: Option<&Raw>, default: u64, purpose: &str) -> u64 {
        let bytes = self.size(raw, default);
        if let Some(raw) = raw
            && bytes < LEAST_BYTES
        {
            let what = format!("`{}` is too little for {purpose}", raw.text);
            self.refuse(&raw.origin, what, "write a size of at least 1 MiB");
            return default;
        }
        bytes
    }

    /// A whole number from 1 to `most`.
    pub fn count(&mut self, raw: Option<&Raw>, default: usize, most: usize) -> usize {
        let Some(raw) = raw else {
            return default;
        };
        match raw.text.replace('_', "").parse() {
            Ok(number) if (1..=most).contains(&number) => number,
            Ok(number) if number > most => {
                let what = format!("{number} is more than {most}");
                self.expected(raw, what, Kind::Count);
                default
            }
            _ => {
                let what = format!("`{}` is no whole number of at least 1", raw.text);
                self.expected(raw, what, Kind::Count);
                default
            }
        }
    }

    /// `true` or `false`.
    pub fn switch(&mut self, raw: Option<&Raw>, default: bool) -> bool {
        match raw {
            None => default,
            Some(raw) => raw.text.parse().unwrap_or_else(|_| {
                let what = format!("`{}` is neither true nor false", raw.text);
                self.expected(raw, what, Kind::Switch);
                default
            }),
        }
    }

    /// What stands between the fields of CSV files; a comma by default.
    pub fn delimiter(&mut self, raw: Option<&Raw>) -> Delimiter {
        let comma = Delimiter::Byte(b',');
        match raw {
            None => comma,
            Some(raw) => raw.text.parse().unwrap_or_else(|problem: String| {
                let hint = "write one character, \"tab\" or \"whitespace\"";
                self.refuse(&raw.origin, problem, hint);
                comma
            }),
        }
    }

    /// One of the words, or the first if nothing was written.
    pub fn choice(&mut self, raw: Option<&Raw>, words: &'static [&'static str]) -> &'static str {
        let first = words.first().copied().unwrap_or("");
        let Some(raw) = raw else {
            return first;
        };
        if let Some(word) = words.iter().find(|word| **word == raw.text) {
            return word;
        }
        let hint = match closest(&raw.text, words.iter().copied()) {
            Some(word) => format!("did you mean \"{word}\"?"),
            None => format!("write one of: {}", words.join(", ")),
        };
        self.refuse(
            &raw.origin,
            format!("`{}` is not known here", raw.text),
            hint,
        );
        first
    }
}
