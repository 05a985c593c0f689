//! `mainstem check`: everything that would be refused at a start, found without starting.

use clap::Args;

use super::failure::Failure;
use super::output::print_text;
use super::plans::Plans;
use super::views::{self, ViewFile};
use super::{feeds, queries};
use crate::config::{self, Environment, Overrides, Settings};

/// Validates settings, views, queries and mappings without running anything
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  mainstem check                  the settings of ./mainstem.toml and all that they name
  mainstem check -c shop.toml     in CI, before a change is merged

Plans every view and query as the engine would, on empty tables; reads no data and writes none.
Reports all problems at once; exit code 1 if there is one.")]
pub struct Check {
    #[command(flatten)]
    pub overrides: Overrides,
}

impl Check {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let settings = config::load(&self.overrides, &Environment::of_process())?;
        let mut report = Report::default();
        let views = report.views(&settings);
        let mut plans = Plans::of_model();
        report.failures.extend(plans.add_all(&views));
        let queries = report.take(queries::check(&settings, &plans));
        report.failures.extend(feeds::check(&settings, &plans));
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        report.finish(format!(
            "all is well: {} views, {} queries, {} sources\n",
            views.len(),
            queries.unwrap_or(0),
            settings.sources.len()
        ))
    }
}

/// What was found so far.
#[derive(Default)]
struct Report {
    failures: Vec<Failure>,
}

impl Report {
    fn views(&mut self, settings: &Settings) -> Vec<ViewFile> {
        let Some(directory) = &settings.dataflows else {
            return Vec::new();
        };
        self.take(views::read(directory)).unwrap_or_default()
    }

    fn take<T>(&mut self, result: Result<T, Failure>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(failure) => {
                self.failures.push(failure);
                None
            }
        }
    }

    fn finish(self, all_is_well: String) -> Result<(), Failure> {
        match self.failures.into_iter().reduce(Failure::and) {
            Some(failure) => Err(failure),
            None => print_text(&all_is_well),
        }
    }
}
