//! The settings: one `mainstem.toml`, `MAINSTEM_*` variables and flags.
//!
//! A flag goes before a variable, a variable before the file, the file before the default. What
//! is wrong is refused with its place, and all of it in one go. `docs/configuration.md` documents
//! every key; a test here keeps it complete.

mod duration;
mod environment;
mod file;
mod interpolate;
pub mod keys;
mod machine;
mod overrides;
mod problem;
mod raw;
mod resolve;
mod size;
mod source;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::engine::QueryLimits;

pub use environment::Environment;
pub use overrides::Overrides;
pub use problem::{ConfigError, Problem, closest};
pub use source::{Clock, MappingSettings, SourceSettings};

/// All settings of an engine and of the commands that speak to it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory of the log.
    pub data_dir: PathBuf,
    /// The directory of live views; `None` if none was named and the default does not exist.
    pub dataflows: Option<PathBuf>,
    /// The directory of named queries; `None` as for `dataflows`.
    pub queries: Option<PathBuf>,
    /// Threads that keep the views up to date.
    pub workers: usize,
    /// How far back tables and views can be read with `AS OF`; `None`: not at all.
    pub history: Option<Duration>,
    /// The longest a clean end takes; `None`: as long as it needs.
    pub shutdown_timeout: Option<Duration>,
    /// Where clients connect.
    pub serve: ServeSettings,
    /// How much of the log is kept, and when it takes nothing more.
    pub log: LogSettings,
    /// What is remembered of events.
    pub events: EventSettings,
    /// How much memory the state may take.
    pub memory: MemorySettings,
    /// What queries may take.
    pub query: QuerySettings,
    /// When checkpoints are written.
    pub checkpoint: CheckpointSettings,
    /// When and where snapshots are written.
    pub snapshot: SnapshotSettings,
    /// Where events come from.
    pub sources: Vec<SourceSettings>,
    /// What is odd without being wrong, for the log.
    pub warnings: Vec<String>,
}

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeSettings {
    /// The address for Postgres clients; `None`: not served.
    pub pgwire: Option<SocketAddr>,
    /// The address for HTTP; `None`: not served.
    pub http: Option<SocketAddr>,
    /// How many clients each service serves at a time.
    pub connections: usize,
    /// The largest message of a Postgres client.
    pub message_bytes: u64,
}

/// How much of the log is kept, and when it takes nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// How long transactions stay in the log once checkpoints contain them; `None`: for ever.
    pub retain: Option<Duration>,
    /// While the disk has less free space, changes are refused; 0: they never are.
    pub min_free_bytes: u64,
    /// How large a file of the log becomes before the next one is begun.
    pub segment_bytes: u64,
}

/// What is remembered of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSettings {
    /// How long their identities are remembered; `None`: for ever.
    pub remember: Option<Duration>,
}

/// How much memory the state may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemorySettings {
    /// While tables and views take more, what adds to them is refused; 0: it never is.
    pub budget_bytes: u64,
}

/// What queries may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuerySettings {
    /// Memory for sorts, joins and aggregations of all queries together.
    pub memory_bytes: u64,
    /// The longest time from a query to its last row; `None`: as long as it takes.
    pub timeout: Option<Duration>,
    /// The most rows of an answer.
    pub rows: usize,
}

impl QuerySettings {
    /// The same for the engine.
    pub fn limits(&self) -> QueryLimits {
        QueryLimits {
            memory_bytes: usize::try_from(self.memory_bytes).unwrap_or(usize::MAX),
            timeout: self.timeout,
            rows: self.rows,
            ..QueryLimits::default()
        }
    }
}

/// When checkpoints are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointSettings {
    /// The time between checkpoints; `None`: none are written.
    pub every: Option<Duration>,
    /// How many are kept.
    pub retain: usize,
}

/// When and where snapshots are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotSettings {
    /// The directory that holds one directory for each view.
    pub dir: PathBuf,
    /// The time between scheduled snapshots; `None`: only on demand.
    pub every: Option<Duration>,
    /// How many snapshots of each view are kept.
    pub retain: usize,
    /// Whether snapshots were asked for at all: a run that ends then writes a last one.
    pub is_configured: bool,
}

const DEFAULT_FILE: &str = "mainstem.toml";

/// Makes the settings from flags, environment, file and defaults.
///
/// The file is the one of the flag or of `MAINSTEM_CONFIG`, which must exist, else
/// `mainstem.toml` of the working directory, if there is one.
pub fn load(overrides: &Overrides, environment: &Environment) -> Result<Settings, ConfigError> {
    let file = config_file(overrides, environment);
    load_file(file.as_deref(), overrides, environment)
}

/// Makes the settings from flags, environment and defaults alone.
pub fn load_without_file(
    overrides: &Overrides,
    environment: &Environment,
) -> Result<Settings, ConfigError> {
    load_file(None, overrides, environment)
}

fn load_file(
    file: Option<&Path>,
    overrides: &Overrides,
    environment: &Environment,
) -> Result<Settings, ConfigError> {
    let mut problems = Vec::new();
    let mut base = Path::new("");
    let mut raw = raw::RawSettings::default();
    if let Some(file) = file {
        let text = read_file(file)?;
        base = file.parent().unwrap_or(base);
        raw = file::read(&file.display().to_string(), &text, &mut problems);
    }
    overrides::apply(overrides, environment, &mut raw, &mut problems);
    let mut resolver = resolve::Resolver {
        base,
        environment,
        problems: &mut problems,
    };
    let mut settings = resolve::resolve(&raw, &mut resolver);
    settings.warnings = overrides::unknown_variables(environment);
    match problems.is_empty() {
        true => Ok(settings),
        false => Err(ConfigError { problems }),
    }
}

fn config_file(overrides: &Overrides, environment: &Environment) -> Option<PathBuf> {
    let named = overrides
        .config
        .clone()
        .or_else(|| environment.get("MAINSTEM_CONFIG").map(PathBuf::from));
    named.or_else(|| {
        let default = PathBuf::from(DEFAULT_FILE);
        default.is_file().then_some(default)
    })
}

fn read_file(file: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(file).map_err(|error| {
        Problem::new(
            file.display().to_string(),
            format!("the settings file can't be read: {error}"),
            "name an existing file with --config, or leave it out to run with the defaults",
        )
        .into()
    })
}
