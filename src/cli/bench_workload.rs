//! A directory of views with the sources of the settings, as a workload to be measured.

use std::path::Path;

use super::failure::Failure;
use super::{sources, views};
use crate::bench::{BenchError, Transactions, Workload, rows_of};
use crate::config::{self, Environment, Overrides};
use crate::model::{Submission, standard_tables};
use crate::source::Source;

/// The views of a directory over the standard tables, filled from the sources of the settings.
pub fn of_directory(directory: &Path, config: Option<&Path>) -> Result<Workload, Failure> {
    let overrides = Overrides {
        config: config.map(Path::to_path_buf),
        ..Overrides::default()
    };
    let settings = config::load(&overrides, &Environment::of_process())?;
    if settings.sources.is_empty() {
        return Err(Failure::new(
            "the settings have no sources, so there is nothing to be measured",
            "name a settings file with sources by --config, or measure `--workload retail`",
        ));
    }
    let views = views::read(directory)?;
    let names: Vec<&str> = settings.sources.iter().map(|s| s.name.as_str()).collect();
    let description = format!(
        "the views of {} over the sources {}",
        directory.display(),
        names.join(", ")
    );
    Ok(Workload {
        name: directory.display().to_string(),
        description,
        tables: standard_tables(),
        views: views.into_iter().map(|view| (view.name, view.sql)).collect(),
        initial: Vec::new(),
        transactions: Box::new(move || {
            let sources = sources::open_anew(&settings, &standard_tables())
                .map_err(|failure| BenchError::Input(failure.first_line()))?;
            Ok(Box::new(FromSources { sources }))
        }),
    })
}

/// The rows of sources, one source after the other.
struct FromSources {
    sources: Vec<Box<dyn Source>>,
}

impl Transactions for FromSources {
    fn next(&mut self, lines: usize) -> Result<Option<Submission>, BenchError> {
        let mut gathered = Submission::default();
        while rows_of(&gathered) < lines {
            let Some(source) = self.sources.first_mut() else {
                break;
            };
            let next = source.next();
            match next.map_err(|error| BenchError::Input(error.to_string()))? {
                Some(submission) => gathered.changes.extend(submission.changes),
                None => drop(self.sources.remove(0)),
            }
        }
        Ok((!gathered.changes.is_empty()).then_some(gathered))
    }
}
