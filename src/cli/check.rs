//! `mainstem check`: everything that would be refused at a start, found without starting.

use clap::Args;

use super::failure::Failure;
use super::output::print_text;
use super::plans::Plans;
use super::{definitions, sources};
use crate::config::{self, Environment, Overrides};
use crate::model::standard_tables;

/// Validates settings, views, queries and mappings without running anything
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  mainstem check                  the settings of ./mainstem.toml and all that they name
  mainstem check -c shop.toml     in CI, before a change is merged

Plans every view and query as the engine would, over the standard tables; reads no more of the
data than the columns of each source's first file, and writes nothing. Reports all problems at
once; exit code 1 if there is one.")]
pub struct Check {
    #[command(flatten)]
    pub overrides: Overrides,
}

impl Check {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let settings = config::load(&self.overrides, &Environment::of_process())?;
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        let mut failures = Vec::new();
        let views = or_report(definitions::views(&settings), &mut failures);
        let mut plans = Plans::of_model();
        failures.extend(plans.add_all(&views));
        let queries = or_report(definitions::queries(&settings), &mut failures);
        failures.extend(plans.check_queries(&queries));
        failures.extend(sources::check(&settings, &standard_tables()));
        match failures.into_iter().reduce(Failure::and) {
            Some(failure) => Err(failure),
            None => print_text(&format!(
                "all is well: {} views, {} queries, {} sources\n",
                views.len(),
                queries.len(),
                settings.sources.len()
            )),
        }
    }
}

fn or_report<T: Default>(result: Result<T, Failure>, failures: &mut Vec<Failure>) -> T {
    result.unwrap_or_else(|failure| {
        failures.push(failure);
        T::default()
    })
}
