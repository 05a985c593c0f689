//! Waiting until timestamps are complete in all views.

use tokio::sync::watch;
use tokio::task::unconstrained;

use super::{Engine, EngineError};
use crate::dataflow::WorkerError;

impl Engine {
    /// Blocks until a timestamp is complete in all views.
    pub(super) fn wait_for(&self, timestamp_ms: u64) -> Result<(), EngineError> {
        futures::executor::block_on(unconstrained(self.completed(timestamp_ms)))
    }

    /// Waits until a timestamp is complete in all views.
    pub(super) async fn completed(&self, timestamp_ms: u64) -> Result<(), EngineError> {
        let mut completed = self.shared.completed.clone();
        let failure = || self.shared.progress.failure();
        while newest(&mut completed, failure)? < timestamp_ms {
            change(&mut completed).await?;
        }
        Ok(())
    }

    /// Waits until the views that were created at a timestamp are filled; fails if they were given
    /// up instead, as the state outgrew its budget or they were dropped.
    pub(super) async fn filled(&self, timestamp_ms: u64) -> Result<(), EngineError> {
        self.completed(timestamp_ms).await?;
        match self.shared.refusals.take(timestamp_ms) {
            None => Ok(()),
            Some(refusal) => Err(refusal),
        }
    }

    /// Waits until there is a complete timestamp beyond the given one, or a reason to look for the
    /// end of a subscription; the newest that is complete.
    pub(super) async fn completed_after(&self, timestamp_ms: u64) -> Result<u64, EngineError> {
        let mut completed = self.shared.completed.clone();
        let failure = || self.shared.progress.failure();
        if newest(&mut completed, failure)? <= timestamp_ms {
            change(&mut completed).await?;
        }
        Ok(*completed.borrow())
    }
}

/// The newest timestamp that is complete, unless the workers have failed.
fn newest(
    completed: &mut watch::Receiver<u64>,
    failure: impl FnOnce() -> Option<String>,
) -> Result<u64, EngineError> {
    // Taken before the failure is looked for: one that comes after the look then counts as a change
    // that has not been seen, and whoever waits for the next change is woken.
    let newest_ms = *completed.borrow_and_update();
    match failure() {
        None => Ok(newest_ms),
        Some(failure) => Err(WorkerError::Failed(failure).into()),
    }
}

async fn change(completed: &mut watch::Receiver<u64>) -> Result<(), EngineError> {
    let changed = completed.changed().await;
    changed.map_err(|_| EngineError::ShutDown)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_failure_right_after_it_was_looked_for_wakes_who_waits() {
        let (sender, mut completed) = watch::channel(7);
        // Workers tell a failure as they do a timestamp: by the newest one, once more.
        let fails_after_the_look = || {
            sender.send_modify(|_| {});
            None
        };
        let newest_ms = newest(&mut completed, fails_after_the_look);
        assert!(matches!(newest_ms, Ok(7)));
        let woken = change(&mut completed).now_or_never();
        assert!(matches!(woken, Some(Ok(()))), "it would wait for ever");
        let failed = newest(&mut completed, || Some("a fault".to_owned()));
        assert!(matches!(failed, Err(EngineError::Worker(_))));
    }
}
