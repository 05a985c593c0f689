//! The settings of the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::keys::{Kind, SOURCE_KEYS};
use super::raw::{Origin, RawSource};
use super::resolve::Resolver;
use crate::source::Delimiter;

/// Where events come from and how they become rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSettings {
    /// The source's name, unique; kept with positions and rejected events.
    pub name: String,
    /// The format of the files.
    pub kind: String,
    /// The files: a path or a glob pattern.
    pub path: PathBuf,
    /// Which clock the transactions follow.
    pub clock: Clock,
    /// What stands between the fields of CSV files.
    pub delimiter: Delimiter,
    /// Whether the first line of CSV files names their columns.
    pub header: bool,
    /// How rows of the files become rows of tables.
    pub mapping: MappingSettings,
}

/// The clock that a source's transactions follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The time at which they are read.
    Wall,
    /// The events' own time, so that replayed history has the timeline it would have had.
    Event,
}

/// Where the mapping of a source is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappingSettings {
    /// In a file of SQL.
    File(PathBuf),
    /// In the settings: a SELECT by target table.
    Inline(BTreeMap<String, String>),
}

/// Makes the settings of all sources; a source with a problem is left out.
pub(super) fn resolve_all(
    sources: &[RawSource],
    resolver: &mut Resolver<'_>,
) -> Vec<SourceSettings> {
    let mut names = BTreeSet::new();
    let mut resolved = Vec::new();
    for source in sources {
        let origin = origin_of(source);
        if source.name.trim().is_empty() {
            resolver.refuse(&origin, "a source has no name", "add name = \"…\", unique");
            continue;
        }
        if !names.insert(source.name.clone()) {
            resolver.refuse(
                &origin,
                format!("there are two sources called `{}`", source.name),
                "give each source its own name: positions are kept by it",
            );
            continue;
        }
        resolved.extend(resolve(source, &origin, resolver));
    }
    resolved
}

fn resolve(
    source: &RawSource,
    origin: &Origin,
    resolver: &mut Resolver<'_>,
) -> Option<SourceSettings> {
    let mut is_complete = true;
    for key in ["kind", "path", "mapping"] {
        let is_inline_mapping = key == "mapping" && !source.mapping.is_empty();
        if !source.values.contains_key(key) && !is_inline_mapping {
            resolver.refuse(
                origin,
                format!("the source `{}` has no `{key}`", source.name),
                format!("add {key} = …, see docs/configuration.md"),
            );
            is_complete = false;
        }
    }
    let kind = resolver.choice(source.values.get("kind"), choices("kind"));
    let path = resolver.path(source.values.get("path"), "");
    let clock = match resolver.choice(source.values.get("clock"), choices("clock")) {
        "event" => Clock::Event,
        _ => Clock::Wall,
    };
    let delimiter = resolver.delimiter(source.values.get("delimiter"));
    let header = resolver.switch(source.values.get("header"), true);
    let mapping = match source.values.get("mapping") {
        Some(raw) => MappingSettings::File(resolver.path(Some(raw), "")),
        None => MappingSettings::Inline(
            source
                .mapping
                .iter()
                .map(|(table, raw)| (table.clone(), raw.text.clone()))
                .collect(),
        ),
    };
    is_complete.then(|| SourceSettings {
        name: source.name.clone(),
        kind: kind.to_owned(),
        path,
        clock,
        delimiter,
        header,
        mapping,
    })
}

fn origin_of(source: &RawSource) -> Origin {
    source
        .origin
        .clone()
        .unwrap_or_else(|| Origin::Flag("--source".into()))
}

fn choices(name: &str) -> &'static [&'static str] {
    SOURCE_KEYS
        .iter()
        .find(|key| key.path == name)
        .map_or(&[], |key| match key.kind {
            Kind::Choice(words) => words,
            _ => &[],
        })
}
