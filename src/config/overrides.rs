//! Settings given on the command line and in `MAINSTEM_*` variables.

use std::path::PathBuf;

use super::Environment;
use super::keys::{KEYS, Key, SOURCE_KEYS, source_variable};
use super::problem::{Problem, closest};
use super::raw::{Origin, Raw, RawSettings, RawSource};

/// The flags that settings can be given by; each is also a `MAINSTEM_*` variable and a key of the
/// file, where the flag goes before the variable and the variable before the file.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Settings (also MAINSTEM_* variables and keys of mainstem.toml)")]
pub struct Overrides {
    /// The settings file [default: mainstem.toml, if there is one] [variable: MAINSTEM_CONFIG]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the log is kept [default: mainstem-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// The directory of live views, one CREATE MATERIALIZED VIEW a file [default: dataflows, if
    /// there is one]
    #[arg(long, value_name = "DIR")]
    pub dataflows: Option<String>,
    /// The directory of named queries [default: queries, if there is one]
    #[arg(long, value_name = "DIR")]
    pub queries: Option<String>,
    /// Threads that keep the views up to date [default: one for each core]
    #[arg(long, value_name = "COUNT")]
    pub workers: Option<String>,
    /// How far back tables and views can be read with AS OF, such as "10 minutes", or `off`
    /// [default: off]
    #[arg(long, value_name = "DURATION")]
    pub history: Option<String>,
    /// The longest a clean end takes, or `off` for as long as it needs [default: 10 seconds]
    #[arg(long, value_name = "DURATION")]
    pub shutdown_timeout: Option<String>,
    /// Where Postgres clients connect, or `off` [default: 127.0.0.1:7432]
    #[arg(long, value_name = "ADDRESS")]
    pub serve_pgwire: Option<String>,
    /// Where HTTP is served, or `off` [default: 127.0.0.1:7400]
    #[arg(long, value_name = "ADDRESS")]
    pub serve_http: Option<String>,
    /// How many clients each service serves at a time [default: 100]
    #[arg(long, value_name = "COUNT")]
    pub serve_connections: Option<String>,
    /// The largest message of a Postgres client [default: 16 MiB]
    #[arg(long, value_name = "SIZE")]
    pub serve_message_size: Option<String>,
    /// How long transactions stay in the log once checkpoints contain them, or `off` for ever
    /// [default: 7 days]
    #[arg(long, value_name = "DURATION")]
    pub log_retain: Option<String>,
    /// While the disk has less free space, changes are refused; or `off` [default: 256 MiB]
    #[arg(long, value_name = "SIZE")]
    pub log_min_free: Option<String>,
    /// How large a file of the log becomes before the next one is begun [default: 256 MiB]
    #[arg(long, value_name = "SIZE")]
    pub log_segment: Option<String>,
    /// How long identities of events are remembered, so that repeated ones change nothing; or
    /// `off` for ever [default: off]
    #[arg(long, value_name = "DURATION")]
    pub events_remember: Option<String>,
    /// While tables and views take more memory, what adds to them is refused; or `off` [default:
    /// half of the machine's memory]
    #[arg(long, value_name = "SIZE")]
    pub memory_budget: Option<String>,
    /// How much memory all queries together may take for sorts, joins and aggregations [default:
    /// a quarter of the machine's memory]
    #[arg(long, value_name = "SIZE")]
    pub query_memory: Option<String>,
    /// How long a query may take until its last row is fetched, or `off` [default: off]
    #[arg(long, value_name = "DURATION")]
    pub query_timeout: Option<String>,
    /// The most rows of an answer [default: no limit]
    #[arg(long, value_name = "COUNT")]
    pub query_rows: Option<String>,
    /// How often checkpoints are written, or `off` [default: 10 minutes]
    #[arg(long, value_name = "DURATION")]
    pub checkpoint_every: Option<String>,
    /// How many checkpoints are kept [default: 2]
    #[arg(long, value_name = "COUNT")]
    pub checkpoint_retain: Option<String>,
    /// Where snapshots are written [default: mainstem-snapshots]
    #[arg(long, value_name = "DIR")]
    pub snapshot_dir: Option<String>,
    /// How often snapshots are written, such as "15 minutes", or `off` [default: off]
    #[arg(long, value_name = "DURATION")]
    pub snapshot_every: Option<String>,
    /// How many snapshots of each view are kept [default: 10]
    #[arg(long, value_name = "COUNT")]
    pub snapshot_retain: Option<String>,
    /// A key of a source, such as `orders.path=in/*.csv`; adds the source if the file has none of
    /// that name (may be repeated)
    #[arg(long, value_name = "NAME.KEY=VALUE")]
    pub source: Vec<String>,
}

impl Overrides {
    fn value(&self, path: &str) -> Option<&String> {
        let value = match path {
            "data_dir" => &self.data_dir,
            "dataflows" => &self.dataflows,
            "queries" => &self.queries,
            "workers" => &self.workers,
            "history" => &self.history,
            "shutdown_timeout" => &self.shutdown_timeout,
            "serve.pgwire" => &self.serve_pgwire,
            "serve.http" => &self.serve_http,
            "serve.connections" => &self.serve_connections,
            "serve.message_size" => &self.serve_message_size,
            "log.retain" => &self.log_retain,
            "log.min_free" => &self.log_min_free,
            "log.segment" => &self.log_segment,
            "events.remember" => &self.events_remember,
            "memory.budget" => &self.memory_budget,
            "query.memory" => &self.query_memory,
            "query.timeout" => &self.query_timeout,
            "query.rows" => &self.query_rows,
            "checkpoint.every" => &self.checkpoint_every,
            "checkpoint.retain" => &self.checkpoint_retain,
            "snapshot.dir" => &self.snapshot_dir,
            "snapshot.every" => &self.snapshot_every,
            "snapshot.retain" => &self.snapshot_retain,
            _ => &None,
        };
        value.as_ref()
    }
}

/// Lays the environment and then the command line over the settings of the file.
pub fn apply(
    overrides: &Overrides,
    environment: &Environment,
    settings: &mut RawSettings,
    problems: &mut Vec<Problem>,
) {
    for key in KEYS {
        if let Some(raw) = of_variable(key.variable(), environment) {
            settings.values.insert(key.path, raw);
        }
        if let Some(text) = overrides.value(key.path) {
            let raw = Raw {
                text: text.clone(),
                origin: Origin::Flag(format!("--{}", key.flag())),
            };
            settings.values.insert(key.path, raw);
        }
    }
    for source in &mut settings.sources {
        apply_variables(source, environment);
    }
    for text in &overrides.source {
        if let Err(problem) = apply_source_flag(text, settings) {
            problems.push(problem);
        }
    }
}

fn of_variable(name: String, environment: &Environment) -> Option<Raw> {
    let text = environment.get(&name)?.to_owned();
    Some(Raw {
        text,
        origin: Origin::Variable(name),
    })
}

fn apply_variables(source: &mut RawSource, environment: &Environment) {
    for key in settable_keys() {
        if let Some(raw) = of_variable(source_variable(&source.name, key), environment) {
            set(source, key, raw);
        }
    }
}

fn apply_source_flag(text: &str, settings: &mut RawSettings) -> Result<(), Problem> {
    let origin = Origin::Flag(format!("--source {text}"));
    let parts = text
        .split_once('=')
        .and_then(|(target, value)| Some((target.rsplit_once('.')?, value)));
    let Some(((name, word), value)) = parts else {
        return Err(Problem::new(
            origin.to_string(),
            "this is not NAME.KEY=VALUE",
            "write the source's name, a dot, the key, = and the value, as in \
             --source orders.path=in/orders.csv",
        ));
    };
    let Some(key) = source_key(word) else {
        let names = settable_keys().map(|key| key.path);
        let hint = match closest(word, names.clone()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("a source has {}", names.collect::<Vec<_>>().join(", ")),
        };
        let what = format!("a source has no key `{word}`");
        return Err(Problem::new(origin.to_string(), what, hint));
    };
    let raw = Raw {
        text: value.to_owned(),
        origin,
    };
    set(source_called(name, &raw.origin, settings), key, raw);
    Ok(())
}

fn source_key(word: &str) -> Option<&'static Key> {
    settable_keys().find(|key| key.path == word)
}

/// A source's name is how it is addressed, so it can't be set like other keys.
fn settable_keys() -> impl Iterator<Item = &'static Key> + Clone {
    SOURCE_KEYS.iter().filter(|key| key.path != "name")
}

fn source_called<'s>(
    name: &str,
    origin: &Origin,
    settings: &'s mut RawSettings,
) -> &'s mut RawSource {
    let index = match settings.sources.iter().position(|s| s.name == name) {
        Some(index) => index,
        None => {
            let mut source = RawSource {
                name: name.to_owned(),
                origin: Some(origin.clone()),
                ..RawSource::default()
            };
            let raw = Raw {
                text: name.to_owned(),
                origin: origin.clone(),
            };
            source.values.insert("name", raw);
            settings.sources.push(source);
            settings.sources.len() - 1
        }
    };
    &mut settings.sources[index]
}

/// A text for the mapping replaces a whole `[source.mapping]` table, not one entry of it.
fn set(source: &mut RawSource, key: &Key, raw: Raw) {
    if key.path == "mapping" {
        source.mapping.clear();
    }
    source.values.insert(key.path, raw);
}

/// Variables that look like settings and are none; most often they are misspelt.
pub fn unknown_variables(environment: &Environment) -> Vec<String> {
    // Read elsewhere: by the command line itself and by the tests.
    const OTHERS: [&str; 5] = [
        "MAINSTEM_CONFIG",
        "MAINSTEM_DIE_AT",
        "MAINSTEM_LOG",
        "MAINSTEM_LOG_FORMAT",
        "MAINSTEM_SHARED_DATA",
    ];
    let known: Vec<String> = KEYS.iter().map(Key::variable).collect();
    environment
        .with_prefix("MAINSTEM_")
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with("MAINSTEM_SOURCE_"))
        .filter(|name| !OTHERS.contains(name) && !known.iter().any(|known| known == name))
        .map(
            |name| match closest(name, known.iter().map(String::as_str)) {
                Some(meant) => {
                    format!("{name} is no setting and is ignored; did you mean {meant}?")
                }
                None => format!("{name} is no setting and is ignored"),
            },
        )
        .collect()
}
