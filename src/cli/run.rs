//! `mainstem run`: the engine with its sources, views, snapshots and services.

use std::io;
use std::time::Instant;

use clap::Args;

use super::definitions::{self, NamedQueries};
use super::failure::Failure;
use super::ingest;
use super::progress::screen;
use super::services::Serving;
use super::snapshots::{self, Snapshots};
use super::stop::Stop;
use super::summary::{SourceSummary, Summary};
use super::views::ViewFile;
use super::{restoring, runtime, services, sources};
use crate::bench::peak_memory_bytes;
use crate::config::{self, Clock, Environment, Overrides, Settings};
use crate::engine::{Engine, WallClock};
use crate::serve::restoring::Notice;
use crate::source::Source;

/// Runs the engine: reads the sources, keeps the views up to date, serves them
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  mainstem run                        the settings of ./mainstem.toml, or the defaults
  mainstem run -c shop.toml --once    reads all sources to their ends, writes snapshots, ends
  mainstem run --workers 2 --source orders.kind=csv --source orders.path='in/*.csv' \\
               --source orders.mapping=orders.sql

Ctrl-C ends cleanly: what was read is durable, and the next start goes on where this one stopped.
A second Ctrl-C ends at once; nothing that was acknowledged is lost. A source that fails does not
stop the others; the exit code is then 1.")]
pub struct Run {
    /// Ends when all sources are at their end, instead of going on serving
    #[arg(long)]
    pub once: bool,
    #[command(flatten)]
    pub overrides: Overrides,
}

impl Run {
    /// Runs the command.
    pub fn run(self, is_quiet: bool) -> Result<(), Failure> {
        let settings = config::load(&self.overrides, &Environment::of_process())?;
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        let views = definitions::views(&settings)?;
        let queries = definitions::queries(&settings)?;
        let running = Running::start(settings, &views, queries)?;
        let input = sources::open_all(&running.settings, &running.engine)
            .and_then(|sources| running.ingest(sources, is_quiet));
        running.finish(input, self.once)
    }
}

/// An engine with its services, from start to clean end.
pub struct Running {
    /// What it runs with.
    pub settings: Settings,
    /// The engine.
    pub engine: Engine,
    runtime: tokio::runtime::Runtime,
    serving: Serving,
    stop: Stop,
}

impl Running {
    /// Opens the engine, makes its views those of the files, and begins to serve.
    pub fn start(
        settings: Settings,
        views: &[ViewFile],
        queries: NamedQueries,
    ) -> Result<Running, Failure> {
        let runtime = runtime()?;
        let stop = Stop::within(settings.shutdown_timeout);
        {
            let _context = runtime.enter();
            stop.listen().map_err(no_signals)?;
        }
        // Addresses that are taken are found before the log is replayed, which may take long.
        let listeners = runtime.block_on(services::bind(&settings.serve))?;
        let notice = Notice::default();
        let waiting = {
            let _context = runtime.enter();
            listeners.refuse_for_now(&notice).map_err(no_sockets)?
        };
        let engine = open(&settings, views, &notice)?;
        runtime.block_on(waiting.end());
        // Where history is read on the clock of its events, time is theirs.
        let has_history = settings
            .sources
            .iter()
            .any(|source| source.clock == Clock::Event);
        engine.set_wall_clock(match has_history {
            true => WallClock::Ignored,
            false => WallClock::Followed,
        });
        let serving = {
            let _context = runtime.enter();
            let snapshots = Snapshots::new(&engine, &settings);
            snapshots.schedule(&stop);
            stop_with_the_engine(&engine, &stop);
            services::start(listeners, &engine, queries, &snapshots, &stop)
        };
        Ok(Running {
            settings,
            engine,
            runtime,
            serving,
            stop,
        })
    }

    /// Reads sources to their ends and tells what was read.
    pub fn ingest(
        &self,
        sources: Vec<Box<dyn Source>>,
        is_quiet: bool,
    ) -> Result<Vec<SourceSummary>, Failure> {
        if sources.is_empty() {
            return Ok(Vec::new());
        }
        let started = Instant::now();
        let sources = ingest::ingest(&self.engine, sources, &self.stop, is_quiet)?;
        let summary = Summary {
            sources,
            elapsed: started.elapsed(),
            peak_memory_bytes: peak_memory_bytes(),
        };
        if !is_quiet {
            screen().suspend(|| eprintln!("{summary}"));
        }
        Ok(summary.sources)
    }

    /// Whether a clean end has been asked for.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_requested()
    }

    /// Runs a future to its end, on the threads of the services.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Waits for the end (unless `once`), stops everything, and says how the input ended.
    pub fn finish(
        self,
        input: Result<Vec<SourceSummary>, Failure>,
        once: bool,
    ) -> Result<(), Failure> {
        let is_broken = input.is_err();
        let mut result = input.and_then(|sources| match failure_of(&sources) {
            None => Ok(()),
            Some(failure) => Err(failure),
        });
        // An engine that failed has nothing to serve.
        if once || is_broken {
            if result.is_ok() && self.settings.snapshot.is_configured {
                result = snapshots::take(&self.engine, &[], &self.settings).map(drop);
            }
        } else {
            if let Some(address) = self.settings.serve.pgwire {
                tracing::info!("serving Postgres clients at {address}; Ctrl-C ends");
            }
            self.runtime.block_on(self.stop.requested());
            if let Some(reason) = self.engine.failure() {
                result = Err(Failure::joined(result.err(), engine_failed(&reason)));
            }
        }
        self.stop.request();
        self.engine.shutdown();
        // Whose change is durable is told so, also where the engine ends because it has failed.
        let answered = self.serving.answered(self.settings.shutdown_timeout);
        self.runtime.block_on(answered);
        // Clients that still wait for something don't hold up the end.
        self.runtime.shutdown_timeout(services::GRACE);
        result
    }
}

/// Ends everything once the engine has failed: one that takes no change has nothing to do.
fn stop_with_the_engine(engine: &Engine, stop: &Stop) {
    let (engine, stop) = (engine.clone(), stop.clone());
    tokio::spawn(async move {
        engine.failed().await;
        stop.request();
    });
}

fn engine_failed(reason: &str) -> Failure {
    Failure::new(
        reason,
        "look at the disk if it is the log, at the views if it is a worker, then start again: all \
         that was acknowledged is there",
    )
}

fn open(settings: &Settings, views: &[ViewFile], notice: &Notice) -> Result<Engine, Failure> {
    let started = Instant::now();
    let engine = restoring::open(settings, notice)?;
    engine.remember_events(settings.events.remember)?;
    engine.ensure_tables(&crate::model::standard_tables())?;
    let files: Vec<(String, String)> = views
        .iter()
        .map(|view| (view.name.clone(), view.sql.clone()))
        .collect();
    if let Err(error) = engine.sync_views(&files) {
        engine.shutdown();
        return Err(error.into());
    }
    tracing::info!(
        "{} is open with {} views after {:.1} s",
        settings.data_dir.display(),
        engine.views().len(),
        started.elapsed().as_secs_f64()
    );
    Ok(engine)
}

fn failure_of(sources: &[SourceSummary]) -> Option<Failure> {
    sources.iter().fold(None, |failure, source| {
        let Some(reason) = &source.failure else {
            return failure;
        };
        let other = Failure::new(
            format!("the source {} ended early: {reason}", source.name),
            "what was read before is durable; the next run goes on from there",
        );
        Some(Failure::joined(failure, other))
    })
}

fn no_sockets(error: io::Error) -> Failure {
    Failure::new(
        format!("the addresses can't be listened at: {error}"),
        "raise the limit of open files of this process",
    )
}

fn no_signals(error: io::Error) -> Failure {
    Failure::new(
        format!("signals can't be listened to: {error}"),
        "check what limits this process runs under",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failing_source_is_in_the_failure() {
        let source = |name: &str, failure: Option<&str>| SourceSummary {
            name: name.into(),
            failure: failure.map(String::from),
            ..SourceSummary::default()
        };
        assert!(failure_of(&[source("a", None)]).is_none());
        let failure = failure_of(&[source("a", Some("x")), source("b", Some("y"))]);
        let message = failure.expect("two failures").to_string();
        assert!(message.contains("source a ended early: x"), "{message}");
        assert!(message.contains("source b ended early: y"), "{message}");
    }
}
