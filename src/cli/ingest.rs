//! Reads sources into the engine: a thread for each, since reading and parsing block.

use std::thread;
use std::time::Duration;

use super::failure::Failure;
use super::progress::Progress;
use super::stop::Stop;
use super::summary::SourceSummary;
use crate::engine::{Engine, EngineError};
use crate::model::{REJECTED_EVENTS, Submission};
use crate::source::Source;

/// How long a source waits before it hands in again what a full disk or memory kept out.
const PAUSE: Duration = Duration::from_millis(500);

/// Reads all sources to their ends, or until a stop is requested; a source that fails ends alone.
///
/// Returns one summary for each feed, in their order, after everything read is durable and
/// visible in all views. Fails if the engine does.
pub fn ingest(
    engine: &Engine,
    sources: Vec<Box<dyn Source>>,
    stop: &Stop,
    is_quiet: bool,
) -> Result<Vec<SourceSummary>, Failure> {
    let summaries = read_all(sources, stop, is_quiet, &|submission| {
        engine.enqueue(submission)
    });
    engine.flush()?;
    Ok(summaries)
}

/// Takes a submission; waits while there is no room.
type Sink<'s> = dyn Fn(Submission) -> Result<(), EngineError> + Sync + 's;

fn read_all(
    sources: Vec<Box<dyn Source>>,
    stop: &Stop,
    is_quiet: bool,
    sink: &Sink<'_>,
) -> Vec<SourceSummary> {
    thread::scope(|scope| {
        let threads: Vec<_> = sources
            .into_iter()
            .map(|source| {
                let name = source.name().to_owned();
                let thread = scope.spawn(move || read_one(source, stop, is_quiet, sink));
                (name, thread)
            })
            .collect();
        threads
            .into_iter()
            .map(|(name, thread)| {
                thread.join().unwrap_or_else(|_| SourceSummary {
                    name,
                    failure: Some("its thread broke down; the log above tells where".into()),
                    ..SourceSummary::default()
                })
            })
            .collect()
    })
}

fn read_one(
    mut source: Box<dyn Source>,
    stop: &Stop,
    is_quiet: bool,
    sink: &Sink<'_>,
) -> SourceSummary {
    let mut summary = SourceSummary {
        name: source.name().to_owned(),
        ..SourceSummary::default()
    };
    let mut progress = Progress::start(source.name(), is_quiet);
    while !stop.is_requested() {
        let submission = match source.next() {
            Ok(Some(submission)) => submission,
            Ok(None) => break,
            Err(error) => {
                tracing::error!("{error}");
                summary.failure = Some(error.to_string());
                break;
            }
        };
        let (rows, rejected) = count(&submission);
        if let Err(error) = hand_in(&submission, stop, sink) {
            summary.failure = Some(error.to_string());
            break;
        }
        summary.rows += rows;
        summary.rejected += rejected;
        summary.transactions += 1;
        progress.show(&source.progress());
    }
    progress.finish();
    summary
}

/// Hands a submission in; while disk or memory are full, again and again until a stop is
/// requested.
fn hand_in(submission: &Submission, stop: &Stop, sink: &Sink<'_>) -> Result<(), EngineError> {
    loop {
        match sink(submission.clone()) {
            Err(error) if error.is_passing() && !stop.is_requested() => {
                thread::sleep(PAUSE);
            }
            outcome => return outcome,
        }
    }
}

/// The rows for the model's tables and the rejected ones.
fn count(submission: &Submission) -> (u64, u64) {
    let mut rows = 0;
    let mut rejected = 0;
    for change in &submission.changes {
        let count = change.rows.num_rows() as u64;
        match &*change.table {
            REJECTED_EVENTS => rejected += count,
            _ => rows += count,
        }
    }
    (rows, rejected)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use arrow::array::Int64Array;
    use arrow::record_batch::RecordBatch;

    use super::*;
    use crate::model::{Change, ChangeKind};
    use crate::source::{self, SourceError};

    /// A source of given row counts by table, which fails at its end if `fails`.
    struct Rows {
        name: &'static str,
        counts: Vec<(&'static str, i64)>,
        fails: bool,
    }

    impl Source for Rows {
        fn name(&self) -> &str {
            self.name
        }

        fn progress(&self) -> source::Progress {
            source::Progress::default()
        }

        fn next(&mut self) -> Result<Option<Submission>, SourceError> {
            match self.counts.pop() {
                Some((table, count)) => Ok(Some(submission(table, count))),
                None if self.fails => Err(SourceError::Position {
                    name: self.name.to_owned(),
                    problem: "half a file".to_owned(),
                }),
                None => Ok(None),
            }
        }
    }

    fn submission(table: &str, count: i64) -> Submission {
        let numbers = Arc::new(Int64Array::from_iter_values(0..count));
        let rows = RecordBatch::try_from_iter([("n", numbers as _)]).expect("one column");
        Submission {
            changes: vec![Change {
                table: table.into(),
                kind: ChangeKind::Upsert,
                rows,
            }],
            ..Submission::default()
        }
    }

    fn sources() -> Vec<Box<dyn Source>> {
        vec![
            Box::new(Rows {
                name: "a",
                counts: vec![("orders", 3), (REJECTED_EVENTS, 1), ("orders", 2)],
                fails: false,
            }),
            Box::new(Rows {
                name: "b",
                counts: vec![("orders", 4)],
                fails: true,
            }),
        ]
    }

    #[test]
    fn rows_are_counted_and_a_failing_source_ends_alone() {
        let taken = Mutex::new(0);
        let summaries = read_all(sources(), &Stop::new(), true, &|_| {
            *taken.lock().expect("not poisoned") += 1;
            Ok(())
        });
        assert_eq!(taken.into_inner().expect("not poisoned"), 4);
        assert_eq!(
            (
                summaries[0].rows,
                summaries[0].rejected,
                &summaries[0].failure
            ),
            (5, 1, &None)
        );
        assert_eq!(summaries[1].rows, 4);
        let failure = summaries[1].failure.as_deref();
        assert_eq!(failure, Some("source b: cannot resume: half a file"));
    }

    #[test]
    fn nothing_is_read_after_a_stop() {
        let stop = Stop::new();
        stop.request();
        let summaries = read_all(sources(), &stop, true, &|_| Ok(()));
        assert!(summaries.iter().all(|summary| summary.transactions == 0));
    }

    #[test]
    fn a_full_disk_holds_sources_up_and_loses_nothing() {
        let refusals = Mutex::new(1);
        let summaries = read_all(sources(), &Stop::new(), true, &|_| {
            let mut refusals = refusals.lock().expect("not poisoned");
            if *refusals == 0 {
                return Ok(());
            }
            *refusals -= 1;
            Err(EngineError::DiskFull {
                directory: "log".into(),
                free_bytes: 0,
                min_free_bytes: 1,
            })
        });
        assert_eq!((summaries[0].rows, summaries[1].rows), (5, 4));
        assert_eq!(summaries[0].failure, None);
    }

    #[test]
    fn an_engine_that_refuses_ends_the_sources() {
        let summaries = read_all(sources(), &Stop::new(), true, &|_| {
            Err(EngineError::ShutDown)
        });
        assert_eq!(
            summaries[0].failure,
            Some(EngineError::ShutDown.to_string())
        );
        assert_eq!(summaries[0].rows, 0);
    }
}
