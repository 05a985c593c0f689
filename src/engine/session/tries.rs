//! The tries of a statement that writes rows back where it has read them: whenever others have
//! changed them in between, it reads anew.

use std::sync::Arc;
use std::sync::mpsc::{SendError, Sender, channel};

use arrow::array::RecordBatch;
use tokio::sync::oneshot;

use super::Session;
use super::write::{Changes, submitted};
use crate::engine::EngineError;
use crate::engine::commit::Request;
use crate::engine::written_back::{Alone, Read, Rewrite};
use crate::model::{Submission, TableDefinition};

/// Tries that are made beside other writers, which cost these nothing.
const TRIES_BESIDE_OTHERS: usize = 4;

/// All tries: the last ones are made while nobody else writes, and fail only where the statement
/// takes longer than others are to wait.
const TRIES: usize = 6;

/// From when on a statement reads.
#[derive(Clone, Copy)]
pub(super) struct Since {
    /// At this timestamp (ms) or later.
    pub(super) timestamp_ms: u64,
    /// Whether that is the time of the wall clock already, as far as this is followed.
    pub(super) is_now: bool,
}

impl From<u64> for Since {
    fn from(timestamp_ms: u64) -> Since {
        Since {
            timestamp_ms,
            is_now: false,
        }
    }
}

/// How often a statement has been tried, and how it is tried next.
pub(super) struct Tries {
    failed: usize,
    since: Since,
    /// Where the committing thread waits for this statement's rows, and for nothing else.
    alone: Option<Sender<Rewrite>>,
}

impl Tries {
    /// None yet of a statement that reads at a timestamp (ms) or later.
    pub(super) fn from(timestamp_ms: u64) -> Tries {
        Tries {
            failed: 0,
            since: timestamp_ms.into(),
            alone: None,
        }
    }

    /// From when on the next try reads.
    pub(super) fn since(&self) -> Since {
        self.since
    }
}

/// Rows that a statement has read, of those that it writes to.
pub(super) struct Found {
    /// Rows that were there.
    pub(super) there: Vec<RecordBatch>,
    /// Rows whose keys were not there.
    pub(super) missing: Vec<RecordBatch>,
}

impl Session {
    /// What has come of a try; `None`: rows were changed meanwhile, and another try is to be made.
    pub(super) async fn tried<T>(
        &self,
        tries: &mut Tries,
        outcome: Result<T, EngineError>,
    ) -> Result<Option<T>, EngineError> {
        // Whatever has come of it, others go on.
        tries.alone = None;
        tries.failed += 1;
        let changed_ms = match outcome {
            Err(EngineError::Changed { timestamp_ms, .. }) if tries.failed < TRIES => timestamp_ms,
            outcome => return outcome.map(Some),
        };
        tries.since = tries.since.timestamp_ms.max(changed_ms).into();
        if tries.failed >= TRIES_BESIDE_OTHERS {
            let (alone, rewrite) = channel();
            let begin = |begun| Request::Alone(Alone { begun, rewrite });
            let begun_ms = self.call(begin).await?;
            tries.since = Since {
                timestamp_ms: tries.since.timestamp_ms.max(begun_ms),
                is_now: true,
            };
            tries.alone = Some(alone);
        }
        Ok(None)
    }

    /// Commits changes of one table at one timestamp, unless what was read for them at a moment
    /// (ms) has changed; or keeps them for the COMMIT of the open block, which takes effect
    /// whatever has changed. Returns the number of rows of the last kind.
    pub(super) async fn write_back(
        &mut self,
        table: &TableDefinition,
        changes: Changes,
        read_ms: u64,
        found: Found,
        tries: &Tries,
    ) -> Result<u64, EngineError> {
        let (written, changes) = submitted(table, changes)?;
        let changes = self.block.hold(changes, &self.engine)?;
        let changes = changes.unwrap_or_default();
        if changes.is_empty() {
            return Ok(written);
        }
        let submission = Submission {
            changes,
            ..Submission::default()
        };
        let read = Read {
            table: Arc::from(table.name.as_str()),
            timestamp_ms: read_ms,
            there: found.there,
            missing: found.missing,
        };
        let timestamp_ms = self.submit_rewrite(submission, read, tries).await?;
        self.last_write_ms = self.last_write_ms.max(timestamp_ms);
        Ok(written)
    }

    async fn submit_rewrite(
        &self,
        submission: Submission,
        read: Read,
        tries: &Tries,
    ) -> Result<u64, EngineError> {
        let rewrite = |submission, read, reply| {
            Request::Rewrite(Rewrite {
                submission,
                read,
                reply,
            })
        };
        let Some(alone) = &tries.alone else {
            return self.call(|reply| rewrite(submission, read, reply)).await;
        };
        let not_awaited = EngineError::Changed {
            table: read.table.to_string(),
            timestamp_ms: read.timestamp_ms,
        };
        let (reply, answer) = oneshot::channel();
        let sent = alone.send(Rewrite {
            submission,
            read,
            reply,
        });
        match sent {
            // Without an answer it came just when the committing thread had waited long enough.
            Ok(()) => answer.await.unwrap_or(Err(not_awaited)),
            // Others have gone on already; what was read may still hold.
            Err(SendError(late)) => {
                let request = |reply| rewrite(late.submission, late.read, reply);
                self.call(request).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use tokio::runtime::{Builder, Runtime};

    use super::*;
    use crate::engine::{Engine, EngineOptions, Outcome};
    use crate::model::ChangeKind;

    fn runtime() -> Runtime {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2).build().expect("a runtime")
    }

    async fn opened(directory: &Path) -> (Engine, Session) {
        let options = EngineOptions {
            data_dir: directory.to_path_buf(),
            workers: 1,
            history_ms: 0,
        };
        let engine = Engine::open(options).expect("the engine opens");
        let mut session = engine.session();
        let create = "CREATE TABLE jobs (id BIGINT PRIMARY KEY, state TEXT)";
        run(&mut session, create).await;
        (engine, session)
    }

    async fn run(session: &mut Session, sql: &str) -> String {
        let statements = session.parse(sql).expect("parsed");
        let outcome = session.execute(&statements[0], &[]).await;
        match outcome.expect("executed") {
            Outcome::Done(tag) => tag,
            _ => panic!("{sql} gives rows"),
        }
    }

    fn row(table: &TableDefinition, state: &str) -> RecordBatch {
        let id = Int64Array::from(vec![1]);
        let state = StringArray::from(vec![state]);
        let columns: Vec<ArrayRef> = vec![Arc::new(id), Arc::new(state)];
        RecordBatch::try_new(table.schema(), columns).expect("a row")
    }

    fn there(row: RecordBatch) -> Found {
        Found {
            there: vec![row],
            missing: Vec::new(),
        }
    }

    fn changed<T>() -> Result<T, EngineError> {
        Err(EngineError::Changed {
            table: "jobs".to_owned(),
            timestamp_ms: 1,
        })
    }

    #[test]
    fn rows_that_others_have_changed_are_not_written_back() {
        runtime().block_on(async {
            let directory = tempfile::tempdir().expect("a directory");
            let (engine, mut first) = opened(directory.path()).await;
            let mut second = engine.session();
            run(&mut first, "INSERT INTO jobs VALUES (1, 'old')").await;
            let read_ms = first.last_write_ms;
            run(&mut second, "INSERT INTO jobs VALUES (1, 'new')").await;
            let table = first.table("jobs").expect("a table");
            let old = row(&table, "old");
            let deletion = || vec![(ChangeKind::Delete, vec![old.clone()])];
            let mut tries = Tries::from(read_ms);
            let refused = first
                .write_back(&table, deletion(), read_ms, there(old.clone()), &tries)
                .await;
            assert!(matches!(refused, Err(EngineError::Changed { .. })));
            let again = first.tried(&mut tries, refused).await.expect("once more");
            assert_eq!(again, None);
            assert!(tries.since().timestamp_ms > read_ms);
            // A key that was not there, and is now.
            let found = Found {
                there: Vec::new(),
                missing: vec![old.clone()],
            };
            let insertion = vec![(ChangeKind::Upsert, vec![old.clone()])];
            let refused = first
                .write_back(&table, insertion, read_ms, found, &tries)
                .await;
            assert!(matches!(refused, Err(EngineError::Changed { .. })));
            // Once it is as it was read, it may be written back.
            run(&mut second, "INSERT INTO jobs VALUES (1, 'old')").await;
            let written = first
                .write_back(&table, deletion(), read_ms, there(old.clone()), &tries)
                .await;
            assert_eq!(written.expect("written"), 1);
            assert_eq!(run(&mut second, "DELETE FROM jobs").await, "DELETE 0");
        });
    }

    #[test]
    fn a_table_made_anew_is_not_what_was_read() {
        runtime().block_on(async {
            let directory = tempfile::tempdir().expect("a directory");
            let (engine, mut first) = opened(directory.path()).await;
            let mut second = engine.session();
            run(&mut first, "INSERT INTO jobs VALUES (1, 'old')").await;
            let (table, read_ms) = (first.table("jobs").expect("a table"), first.last_write_ms);
            run(&mut second, "DROP TABLE jobs").await;
            let create = "CREATE TABLE jobs (id BIGINT PRIMARY KEY, state TEXT)";
            run(&mut second, create).await;
            let update = vec![(ChangeKind::Upsert, vec![row(&table, "mine")])];
            let found = there(row(&table, "old"));
            let tries = Tries::from(read_ms);
            let refused = first
                .write_back(&table, update, read_ms, found, &tries)
                .await;
            assert!(matches!(refused, Err(EngineError::Changed { .. })));
        });
    }

    #[test]
    fn others_wait_for_who_has_been_overtaken_too_often() {
        runtime().block_on(async {
            let directory = tempfile::tempdir().expect("a directory");
            let (engine, mut first) = opened(directory.path()).await;
            let mut second = engine.session();
            run(&mut first, "INSERT INTO jobs VALUES (1, 'old')").await;
            let mut tries = Tries::from(first.last_write_ms);
            for _ in 0..TRIES_BESIDE_OTHERS {
                assert!(!tries.since().is_now);
                let again = first.tried(&mut tries, changed::<u64>()).await;
                assert_eq!(again.expect("once more"), None);
            }
            assert!(tries.since().is_now);
            let insertion = tokio::spawn(async move {
                run(&mut second, "INSERT INTO jobs VALUES (1, 'new')").await;
                second
            });
            let table = first.table("jobs").expect("a table");
            let update = vec![(ChangeKind::Upsert, vec![row(&table, "mine")])];
            let found = there(row(&table, "old"));
            let read_ms = tries.since().timestamp_ms;
            let written = first
                .write_back(&table, update, read_ms, found, &tries)
                .await;
            let written = first.tried(&mut tries, written).await.expect("written");
            assert_eq!(written, Some(1));
            let mut second = insertion.await.expect("inserted");
            assert!(second.last_write_ms > first.last_write_ms);
            let newer = "DELETE FROM jobs WHERE state = 'new'";
            assert_eq!(run(&mut second, newer).await, "DELETE 1");
        });
    }

    #[test]
    fn tries_come_to_an_end() {
        runtime().block_on(async {
            let directory = tempfile::tempdir().expect("a directory");
            let (_engine, mut session) = opened(directory.path()).await;
            let mut tries = Tries::from(0);
            for _ in 1..TRIES {
                let again = session.tried(&mut tries, changed::<u64>()).await;
                assert_eq!(again.expect("once more"), None);
            }
            let ended = session.tried(&mut tries, changed::<u64>()).await;
            assert_eq!(ended.expect_err("too often").sqlstate(), "40001");
            // Nobody waits for it any more.
            run(&mut session, "INSERT INTO jobs VALUES (1, 'new')").await;
        });
    }
}
