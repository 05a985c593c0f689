//! Failures after which nothing more is accepted: of the log, of a worker, of the committing
//! thread.

use std::sync::Weak;

use super::commit::Conductor;
use super::{Engine, Shared};
use crate::dataflow::WorkerError;

impl Engine {
    /// Why the log has failed, if it has. From then on no change is accepted: what was acknowledged
    /// is there, and only a new start can tell what else is.
    pub fn log_failure(&self) -> Option<String> {
        self.shared.log_failure.borrow().clone()
    }

    /// Waits until the log has failed.
    pub async fn log_failed(&self) {
        let mut failure = self.shared.log_failure.subscribe();
        // The sender lives as long as `self`, so the wait can't fail.
        let _ = failure.wait_for(Option::is_some).await;
    }

    /// Why nothing more is accepted, if that is so: the log has failed, or a thread by a fault in
    /// Mainstem itself. Only a new start goes on from there.
    pub fn failure(&self) -> Option<String> {
        let of_log = self.log_failure();
        let of_log = of_log.map(|reason| {
            format!("the log has failed, so that nothing more is accepted: {reason}")
        });
        of_log.or_else(|| {
            let reason = self.shared.progress.failure()?;
            Some(WorkerError::Failed(reason).to_string())
        })
    }

    /// Waits until there is a [`failure`](Self::failure).
    pub async fn failed(&self) {
        let mut completed = self.shared.completed.clone();
        let workers_failed = async {
            while self.shared.progress.failure().is_none() {
                if completed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            () = self.log_failed() => {}
            () = workers_failed => {}
        }
    }
}

impl Conductor {
    /// Tells whoever waits for it that the log has failed.
    pub(super) fn tell_failure(&self, shared: &Weak<Shared>) {
        if let (Some(reason), Some(shared)) = (self.log.failure(), shared.upgrade()) {
            shared.log_failure.send_replace(Some(reason.to_owned()));
        }
    }

    /// Fails once a worker has: what it could not apply must not be logged any more.
    pub(super) fn check_workers(&self) -> Result<(), WorkerError> {
        match self.workers.progress().failure() {
            None => Ok(()),
            Some(reason) => Err(WorkerError::Failed(reason)),
        }
    }
}

/// Tells, when it is dropped, whether the committing thread ends by a fault.
pub struct Witness(pub Weak<Shared>);

impl Drop for Witness {
    fn drop(&mut self) {
        if let (true, Some(shared)) = (std::thread::panicking(), self.0.upgrade()) {
            let reason = "a fault in the committing thread, which its own message tells";
            shared.log_failure.send_replace(Some(reason.to_owned()));
        }
    }
}
