//! Opens an engine: shows how far restoring is, and says what was found on the way.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar};

use super::failure::Failure;
use super::privacy;
use super::progress::{bar_style, screen};
use crate::config::Settings;
use crate::engine::{Durability, Engine, EngineOptions, Recovered, Restoring};
use crate::log::LogOptions;
#[cfg(debug_assertions)]
use crate::log::fs::FatalFileSystem;
use crate::log::fs::{FileSystem, RealFileSystem};
use crate::serve::restoring::Notice;

/// How long a step is observed before its pace says how long it will take.
const TELLING: Duration = Duration::from_millis(500);

/// Opens the engine of the settings with its log and checkpoints kept as they say; `notice` tells
/// clients how far that is.
pub fn open(settings: &Settings, notice: &Notice) -> Result<Engine, Failure> {
    let durability = Durability {
        file_system: file_system(),
        log: LogOptions {
            segment_bytes: settings.log.segment_bytes,
            ..LogOptions::default()
        },
        log_retain: settings.log.retain,
        checkpoint_every: settings.checkpoint.every,
        checkpoint_retain: settings.checkpoint.retain,
        min_free_bytes: settings.log.min_free_bytes,
        memory_budget_bytes: settings.memory.budget_bytes,
    };
    let options = EngineOptions {
        data_dir: settings.data_dir.clone(),
        workers: settings.workers,
        history_ms: settings.history.map_or(0, |history| {
            u64::try_from(history.as_millis()).unwrap_or(u64::MAX)
        }),
    };
    let mut bar = Bar::new();
    let mut observer = |state| {
        bar.show(state);
        notice.say(bar.in_words(state));
    };
    let engine = Engine::open_with(options, &durability, &mut observer)?;
    bar.finish();
    engine.limit_queries(settings.query.limits())?;
    report(engine.recovered());
    if let Some(file) = privacy::readable_by_others(&settings.data_dir) {
        let remedy = privacy::remedy(&settings.data_dir);
        tracing::warn!("other users may read {}; {remedy}", file.display());
    }
    Ok(engine)
}

/// The machine's files. A build for tests dies where a variable says, so that the program itself
/// can be seen to come back from there.
fn file_system() -> Arc<dyn FileSystem> {
    #[cfg(debug_assertions)]
    if let Some(point) = std::env::var("MAINSTEM_DIE_AT")
        .ok()
        .and_then(|point| point.parse().ok())
    {
        return Arc::new(FatalFileSystem::new(Arc::new(RealFileSystem), point));
    }
    Arc::new(RealFileSystem)
}

/// Says what a start found that an operator should know.
fn report(recovered: &Recovered) {
    for (path, reason) in &recovered.skipped_checkpoints {
        tracing::warn!(
            "the checkpoint {} is not used: {reason}; an older one or the log was used instead, \
             and nothing is missing",
            path.display()
        );
    }
    if let Some(cut) = &recovered.cut {
        tracing::warn!(
            "the end of {} was cut off at byte {} ({} bytes: {}); it was being written when the \
             process or the machine went down, and had not been acknowledged",
            cut.path.display(),
            cut.position,
            cut.bytes,
            cut.reason
        );
    }
    for (view, reason) in &recovered.broken_views {
        tracing::error!("view \"{view}\" can't be planned any more and does not run: {reason}");
    }
    let from = match recovered.checkpoint_offset {
        Some(offset) => format!("the checkpoint up to transaction {offset}"),
        None => "the log".to_owned(),
    };
    tracing::debug!("restored from {from}, {} replayed", recovered.transactions);
}

/// A bar for each step of restoring, with the time that is left; nothing off a terminal.
struct Bar {
    bar: Option<ProgressBar>,
    step: Option<&'static str>,
    begun: Instant,
}

impl Bar {
    fn new() -> Bar {
        let is_drawn = io::stderr().is_terminal() && tracing::enabled!(tracing::Level::INFO);
        let bar = is_drawn.then(|| {
            let bar = screen().add(ProgressBar::no_length());
            bar.set_style(bar_style());
            bar
        });
        Bar {
            bar,
            step: None,
            begun: Instant::now(),
        }
    }

    fn show(&mut self, state: Restoring) {
        let (step, done, total) = match state {
            Restoring::Checkpoint { done, total } => ("checkpoint", done, total),
            Restoring::Log { done, total } => ("log", done, total),
            Restoring::Views { count } => ("views", 0, count),
        };
        if self.step != Some(step) {
            self.begin(step);
        }
        let Some(bar) = &self.bar else { return };
        bar.set_length(total);
        bar.set_position(done);
        bar.set_message(match state {
            Restoring::Checkpoint { total, .. } => format!("of {}", HumanBytes(total)),
            Restoring::Log { total, .. } => format!("of {} transactions", HumanCount(total)),
            Restoring::Views { count } => format!("computing {count}"),
        });
    }

    /// How far restoring is, with the time that is left where that can be told.
    fn in_words(&self, state: Restoring) -> String {
        let (Restoring::Checkpoint { done, total } | Restoring::Log { done, total }) = state else {
            return state.to_string();
        };
        let elapsed = self.begun.elapsed();
        if done == 0 || elapsed < TELLING {
            return state.to_string();
        }
        let left = elapsed.as_secs_f64() * total.saturating_sub(done) as f64 / done as f64;
        format!("{state}, about {left:.0} s left for that")
    }

    fn begin(&mut self, step: &'static str) {
        if let Some(before) = self.step {
            let seconds = self.begun.elapsed().as_secs_f64();
            tracing::debug!("restoring the {before} took {seconds:.1} s");
        }
        self.step = Some(step);
        self.begun = Instant::now();
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.set_prefix(format!("restoring {step}"));
        }
    }

    fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
