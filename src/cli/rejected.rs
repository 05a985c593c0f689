//! `mainstem rejected`: the rows that sources sent and no table took.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::record_batch::RecordBatch;
use clap::{Args, Subcommand};

use super::client::{Client, Target, open_stopped};
use super::failure::Failure;
use super::output::{self, Format, print_text};
use super::{runtime, sources};
use crate::config::{self, Environment, Overrides, Settings};
use crate::engine::Engine;
use crate::model::{Change, ChangeKind, REJECTED_EVENTS, Submission};
use crate::source::files::{FileRows, Replayed};

/// Lists rows that were rejected, shows one, or maps them again
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  mainstem rejected list
  mainstem rejected list --source shop --limit 20 --format csv
  mainstem rejected show orders-01.csv:17
  mainstem rejected replay --data-dir mainstem-data      after the mapping was corrected

A row that does not map goes whole to the table rejected_events, with the reason, and the source
goes on. Replaying reads these rows from their files again and maps them with the mapping as it is;
those that map leave rejected_events in the same transaction.")]
pub struct Rejected {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists rejected rows, the newest first
    List {
        /// Only those of this source
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// At most so many
        #[arg(long, value_name = "COUNT", default_value_t = 100)]
        limit: usize,
        /// How rows are printed: table, json or csv
        #[arg(long, default_value = "table")]
        format: Format,
        #[command(flatten)]
        target: Target,
    },
    /// Shows what the source sent, whole up to 4096 bytes
    Show {
        /// Where it stands in its source, as `list` tells it
        position: String,
        #[command(flatten)]
        target: Target,
    },
    /// Maps the rejected rows of file sources again; the engine must be stopped
    Replay {
        /// Only those of this source
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// The settings file [default: mainstem.toml, if there is one]
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The data directory of the stopped engine
        #[arg(long, value_name = "DIR")]
        data_dir: Option<String>,
    },
}

impl Rejected {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::List {
                source,
                limit,
                format,
                target,
            } => ask(&target, &list_query(source.as_deref(), limit), format),
            Action::Show { position, target } => {
                let sql = format!(
                    "SELECT source, position, target_table, reason, recorded_at, raw_text \
                     FROM {REJECTED_EVENTS} WHERE position = {} ORDER BY target_table",
                    literal(&position)
                );
                ask(&target, &sql, Format::Json)
            }
            Action::Replay {
                source,
                config,
                data_dir,
            } => {
                let overrides = Overrides {
                    config,
                    data_dir,
                    ..Overrides::default()
                };
                let settings = config::load(&overrides, &Environment::of_process())?;
                let engine = open_stopped(&settings.data_dir, &settings)?;
                let replayed = replay(&engine, &settings, source.as_deref());
                engine.shutdown();
                print_text(&replayed?)
            }
        }
    }
}

fn list_query(source: Option<&str>, limit: usize) -> String {
    let only = source.map_or(String::new(), |source| {
        format!("WHERE source = {} ", literal(source))
    });
    format!(
        "SELECT recorded_at, source, position, target_table, reason FROM {REJECTED_EVENTS} \
         {only}ORDER BY recorded_at DESC, source, position, target_table LIMIT {limit}"
    )
}

/// A text as a literal of SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn ask(target: &Target, sql: &str, format: Format) -> Result<(), Failure> {
    let settings = target.settings()?;
    runtime()?.block_on(async {
        let mut client = Client::connect(target, &settings).await?;
        let answers = client.run(sql).await;
        client.close();
        output::print(&answers?, format)
    })
}

/// Replays the sources of the settings, or the one with this name; what came of it, in lines.
fn replay(engine: &Engine, settings: &Settings, only: Option<&str>) -> Result<String, Failure> {
    let chosen = settings.sources.iter();
    let chosen = chosen.filter(|source| only.is_none_or(|only| source.name == only));
    let mut lines = String::new();
    for source in chosen {
        let mut files = sources::open_one(source, engine)?;
        let mut replay = Replay::begin(engine, &source.name)?;
        let wanted = replay.wanted.clone();
        files.replay(&wanted, |replayed| replay.take(replayed))?;
        lines += &replay.line();
    }
    match lines.is_empty() {
        true => Err(Failure::new(
            "the settings have no such source",
            "name one of [[source]], or leave --source out",
        )),
        false => Ok(lines),
    }
}

/// The rejected rows of one source, while they are mapped again.
struct Replay<'e> {
    engine: &'e Engine,
    source: String,
    /// The rows of `rejected_events` that are of this source.
    rejected: Vec<RecordBatch>,
    wanted: FileRows,
    mapped: usize,
    reasons: BTreeMap<String, usize>,
}

impl Replay<'_> {
    fn begin<'e>(engine: &'e Engine, source: &str) -> Result<Replay<'e>, Failure> {
        let mut replay = Replay {
            engine,
            source: source.to_owned(),
            rejected: Vec::new(),
            wanted: FileRows::new(),
            mapped: 0,
            reasons: BTreeMap::new(),
        };
        for batch in engine.read()?.contents(REJECTED_EVENTS)?.rows {
            let batch = batch?;
            let sources = texts(&batch, "source")?;
            let is_ours = sources.iter().map(|name| Some(name == source));
            let mask: BooleanArray = is_ours.collect();
            let rows = filter_record_batch(&batch, &mask).map_err(failed)?;
            for position in texts(&rows, "position")? {
                if let Some((file, row)) = place(&position) {
                    replay.wanted.entry(file).or_default().insert(row);
                }
            }
            replay.rejected.push(rows);
        }
        Ok(replay)
    }

    /// Commits what maps, together with its leaving of `rejected_events`.
    fn take(&mut self, replayed: Replayed) -> Result<(), Failure> {
        for reason in replayed.rejected.values() {
            *self.reasons.entry(reason.clone()).or_default() += 1;
        }
        if replayed.mapped.is_empty() {
            return Ok(());
        }
        let mut changes = replayed.changes;
        for rows in &self.rejected {
            let positions = texts(rows, "position")?;
            let is_mapped = |position: &String| {
                place(position).is_some_and(|(file, row)| {
                    file == replayed.file && replayed.mapped.contains(&row)
                })
            };
            let mask: BooleanArray = positions.iter().map(|p| Some(is_mapped(p))).collect();
            let gone = filter_record_batch(rows, &mask).map_err(failed)?;
            if gone.num_rows() > 0 {
                changes.push(Change {
                    table: REJECTED_EVENTS.into(),
                    kind: ChangeKind::Delete,
                    rows: gone,
                });
            }
        }
        self.engine.submit(Submission {
            changes,
            ..Submission::default()
        })?;
        self.mapped += replayed.mapped.len();
        Ok(())
    }

    fn line(&self) -> String {
        let wanted: usize = self.wanted.values().map(|rows| rows.len()).sum();
        let rejected: usize = self.reasons.values().sum();
        let missing = wanted.saturating_sub(self.mapped + rejected);
        let mut line = format!("{}: {} of {wanted} rows map", self.source, self.mapped);
        if missing > 0 {
            line += &format!(", {missing} are in files that are no longer there");
        }
        line += "\n";
        for (reason, count) in &self.reasons {
            line += &format!("  {count} still rejected: {reason}\n");
        }
        line
    }
}

/// File and row of a position such as `orders.csv:17`.
fn place(position: &str) -> Option<(String, u64)> {
    let (file, row) = position.rsplit_once(':')?;
    Some((file.to_owned(), row.parse().ok()?))
}

fn texts(rows: &RecordBatch, name: &str) -> Result<Vec<String>, Failure> {
    let column = rows.column_by_name(name);
    let column = column.and_then(|column| column.as_string_opt::<i32>());
    let column = column.ok_or_else(|| {
        Failure::new(
            format!("{REJECTED_EVENTS} has no column {name} of texts"),
            "it is a table of the standard model; don't create one with its name",
        )
    })?;
    let values = (0..column.len()).map(|row| match column.is_valid(row) {
        true => column.value(row).to_owned(),
        false => String::new(),
    });
    Ok(values.collect())
}

fn failed(error: arrow::error::ArrowError) -> Failure {
    Failure::new(format!("rejected rows cannot be read: {error}"), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_positions_are_only_text() {
        let sql = list_query(Some("o'shop"), 5);
        assert!(sql.contains("WHERE source = 'o''shop' ORDER"), "{sql}");
        assert!(!list_query(None, 5).contains("WHERE"));
        assert_eq!(place("a:b.csv:17"), Some(("a:b.csv".to_owned(), 17)));
        assert_eq!(place("a.csv"), None);
    }
}
