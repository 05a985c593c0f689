//! `mainstem demo`: a shop's year in an engine, with everything around it and no setup.

use std::path::PathBuf;

use clap::Args;

use super::client::Client;
use super::demo_directory::DemoDirectory;
use super::failure::Failure;
use super::generate::GeneratorArguments;
use super::output::{self, Format, print_text};
use super::run::Running;
use super::views::ViewFile;
use super::{definitions, examples, snapshots};
use crate::config::{self, Environment, Overrides, Settings};

/// Streams a year of a shop's events into an engine with views, snapshots and answers
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  mainstem demo                       then, in another terminal:
                                        mainstem sql \"SELECT * FROM customer_360 LIMIT 10\"
                                        psql -h 127.0.0.1 -p 7432
  mainstem demo --once                ends when the events do
  mainstem demo --scale 10 --days 30  more customers and orders, a shorter time

The events are generated: the same seed, scale and days give the same ones on every machine.
Views come from ./dataflows if there is one, else from the program itself.")]
pub struct Demo {
    /// Ends when the events do, instead of going on serving
    #[arg(long)]
    pub once: bool,
    #[command(flatten)]
    pub generator: GeneratorArguments,
    /// Where log and snapshots are kept; made anew at each start
    #[arg(long, value_name = "DIR", default_value = "mainstem-demo")]
    pub data_dir: PathBuf,
    /// Threads that keep the views up to date [default: one for each core]
    #[arg(long, value_name = "COUNT")]
    pub workers: Option<String>,
    /// Where Postgres clients connect, or `off` [default: 127.0.0.1:7432]
    #[arg(long, value_name = "ADDRESS")]
    pub serve_pgwire: Option<String>,
    /// Where HTTP is served, or `off` [default: 127.0.0.1:7400]
    #[arg(long, value_name = "ADDRESS")]
    pub serve_http: Option<String>,
}

impl Demo {
    /// Runs the command.
    pub fn run(self, is_quiet: bool) -> Result<(), Failure> {
        let settings = self.settings()?;
        let views = definitions::views_or_shipped(&settings)?;
        let queries = definitions::queries_or_shipped(&settings)?;
        let generator = self.generator.open()?;
        DemoDirectory::prepare(&self.data_dir)?;
        let running = Running::start(settings, &views, queries)?;
        let input = running.ingest(vec![Box::new(generator)], is_quiet);
        let shown = match &input {
            Ok(_) if !running.is_stopping() => show(&running, &views),
            _ => Ok(()),
        };
        // What fails is told at once, not when somebody ends the demo.
        let ends = self.once || shown.is_err();
        running.finish(input, ends).and(shown)
    }

    fn settings(&self) -> Result<Settings, Failure> {
        let directory = DemoDirectory::at(&self.data_dir);
        let text_of = |path: PathBuf| Some(path.display().to_string());
        let overrides = Overrides {
            data_dir: text_of(directory.data()),
            snapshot_dir: text_of(directory.snapshots()),
            workers: self.workers.clone(),
            serve_pgwire: self.serve_pgwire.clone(),
            serve_http: self.serve_http.clone(),
            ..Overrides::default()
        };
        let mut settings = config::load_without_file(&overrides, &Environment::of_process())?;
        // The demo writes its snapshot before it shows answers, so none is due at the end.
        settings.snapshot.is_configured = false;
        Ok(settings)
    }
}

/// Writes a snapshot of every view, then asks what a shop would ask.
fn show(running: &Running, views: &[ViewFile]) -> Result<(), Failure> {
    let written = snapshots::take(&running.engine, &[], &running.settings)?;
    print_text(&format!(
        "\nParquet snapshots of {} views are in {}\n",
        written.len(),
        running.settings.snapshot.dir.display()
    ))?;
    let mut client = Client::of_engine(&running.engine);
    for example in examples::for_views(views) {
        print_text(&example.heading())?;
        let answers = running.block_on(client.run(example.sql))?;
        output::print(&answers, Format::Table)?;
    }
    Ok(())
}
