//! The sources of the settings, opened.

use std::fs;

use super::failure::Failure;
use crate::config::{Clock, MappingSettings, Settings, SourceSettings};
use crate::engine::Engine;
use crate::model::TableDefinition;
use crate::source::{self, FileFormat, FileOptions, FileSource, Mapping, Source};

/// Opens all sources where the engine says they stand.
///
/// Fails with everything that is wrong with any of them.
pub fn open_all(settings: &Settings, engine: &Engine) -> Result<Vec<Box<dyn Source>>, Failure> {
    let tables: Vec<TableDefinition> = engine
        .tables()
        .iter()
        .map(|table| table.as_ref().clone())
        .collect();
    let positions = engine.source_positions();
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    let mut failure = None;
    for settings in &settings.sources {
        let position = positions.get(&settings.name).map(String::as_str);
        match open(settings, &tables, position) {
            Ok(source) => sources.push(Box::new(source)),
            Err(other) => failure = Some(Failure::joined(failure, other)),
        }
    }
    match failure {
        None => Ok(sources),
        Some(failure) => Err(failure),
    }
}

/// Opens all sources at their beginnings, over the given tables.
pub fn open_anew(
    settings: &Settings,
    tables: &[TableDefinition],
) -> Result<Vec<Box<dyn Source>>, Failure> {
    let sources = settings.sources.iter();
    sources
        .map(|settings| Ok(Box::new(open(settings, tables, None)?) as Box<dyn Source>))
        .collect()
}

/// What is wrong with the sources over the given tables, one failure each. Reads the headers of
/// their first files, no more.
pub fn check(settings: &Settings, tables: &[TableDefinition]) -> Vec<Failure> {
    let opened = settings
        .sources
        .iter()
        .map(|settings| open(settings, tables, None));
    opened.filter_map(Result::err).collect()
}

/// Opens one source at its beginning, wherever the engine says it stands.
pub fn open_one(settings: &SourceSettings, engine: &Engine) -> Result<FileSource, Failure> {
    let tables = engine.tables();
    let tables: Vec<TableDefinition> = tables.iter().map(|table| table.as_ref().clone()).collect();
    open(settings, &tables, None)
}

fn open(
    settings: &SourceSettings,
    tables: &[TableDefinition],
    position: Option<&str>,
) -> Result<FileSource, Failure> {
    let mappings = mappings(settings)?;
    let paths = vec![settings.path.to_string_lossy().into_owned()];
    let options = FileOptions {
        format: Some(match settings.kind.as_str() {
            "ndjson" => FileFormat::Ndjson,
            "parquet" => FileFormat::Parquet,
            _ => FileFormat::Csv,
        }),
        delimiter: settings.delimiter,
        has_header: settings.header,
        clock: match settings.clock {
            Clock::Wall => source::Clock::Arrival,
            Clock::Event => source::Clock::Event,
        },
        ..FileOptions::new(&settings.name, paths, mappings)
    };
    Ok(FileSource::open(options, tables, position)?)
}

fn mappings(settings: &SourceSettings) -> Result<Vec<Mapping>, Failure> {
    match &settings.mapping {
        MappingSettings::Inline(mappings) => {
            let mappings = mappings.iter().map(|(table, sql)| {
                let place = format!("source {}, mapping to {table}", settings.name);
                Mapping::new(table, sql).map_err(|error| Failure::from(error).at(place))
            });
            mappings.collect()
        }
        MappingSettings::File(path) => {
            let place = path.display();
            let text = fs::read_to_string(path).map_err(|error| {
                Failure::new(
                    format!("{place}: the mapping can't be read: {error}"),
                    format!("check `mapping` of the source {}", settings.name),
                )
            })?;
            Mapping::parse_all(&text).map_err(|error| Failure::from(error).at(place))
        }
    }
}
