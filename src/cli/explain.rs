//! `mainstem explain`: the dataflow plan of a view, without running it.

use std::path::{Path, PathBuf};

use clap::Args;

use super::definitions;
use super::failure::Failure;
use super::output::print_text;
use super::plans::Plans;
use super::views::{self, ViewFile};
use crate::config::{self, Environment, Overrides, closest};

/// Prints the dataflow plan of a view
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  mainstem explain customer_360                     a view of the dataflows directory
  mainstem explain dataflows/customer_360.sql       any file with CREATE MATERIALIZED VIEW

No engine needs to run. In a running one, `EXPLAIN customer_360` gives the same.")]
pub struct Explain {
    /// A view of the dataflows directory, or the path of a .sql file
    #[arg(value_name = "NAME_OR_FILE")]
    pub view: String,
    /// The settings file, for the dataflows directory
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl Explain {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        let overrides = Overrides {
            config: self.config.clone(),
            ..Overrides::default()
        };
        let settings = config::load(&overrides, &Environment::of_process())?;
        let files = definitions::views_or_shipped(&settings)?;
        let wanted = find(&self.view, &files)?;
        let others: Vec<ViewFile> = files
            .into_iter()
            .filter(|view| view.name != wanted.name)
            .collect();
        let mut plans = Plans::of_model();
        // Whether the other files are right is not asked here; a view that reads one that is not
        // will say so itself.
        plans.add_all(&others);
        print_text(&format!("{}\n", plans.plan(&wanted)?.plan))
    }
}

fn find(view: &str, files: &[ViewFile]) -> Result<ViewFile, Failure> {
    if view.ends_with(".sql") {
        return views::read_one(Path::new(view));
    }
    if let Some(file) = views::find(files, view) {
        return Ok(file.clone());
    }
    let names = files.iter().map(|file| file.name.as_str());
    let hint = match closest(view, names) {
        Some(name) => format!("did you mean `{name}`?"),
        None => "name a view of the dataflows directory, or a .sql file by its path".to_owned(),
    };
    Err(Failure::new(format!("there is no view `{view}`"), hint))
}
