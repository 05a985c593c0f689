//! The queue in front of the committing thread, bounded and counted.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, SyncSender, sync_channel};
use std::time::Duration;

use super::commit::Request;
use super::metrics::Metrics;

/// Requests that may wait for the committing thread: back-pressure for writers.
const WAITING_REQUESTS: usize = 64;

/// The end of the queue that requests go in at.
#[derive(Clone)]
pub struct Requests {
    sender: SyncSender<Request>,
    metrics: Arc<Metrics>,
}

/// The end of the queue that the committing thread takes requests from.
pub struct Inbox {
    receiver: Receiver<Request>,
    metrics: Arc<Metrics>,
}

/// An empty queue.
pub fn queue(metrics: &Arc<Metrics>) -> (Requests, Inbox) {
    let (sender, receiver) = sync_channel(WAITING_REQUESTS);
    let requests = Requests {
        sender,
        metrics: Arc::clone(metrics),
    };
    let inbox = Inbox {
        receiver,
        metrics: Arc::clone(metrics),
    };
    (requests, inbox)
}

impl Requests {
    /// Hands a request in; waits while the queue is full. Fails if the committing thread has ended.
    pub fn send(&self, request: Request) -> Result<(), SendError<Request>> {
        self.metrics.queued.fetch_add(1, Ordering::Relaxed);
        let sent = self.sender.send(request);
        if sent.is_err() {
            self.metrics.queued.fetch_sub(1, Ordering::Relaxed);
        }
        sent
    }
}

impl Inbox {
    /// The next request; waits at most for `wait`, for ever if there is none.
    pub fn next(&self, wait: Option<Duration>) -> Result<Request, RecvTimeoutError> {
        let request = match wait {
            Some(wait) => self.receiver.recv_timeout(wait),
            None => self
                .receiver
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
        };
        request.inspect(|_| self.took_one())
    }

    /// The next request, if one waits.
    pub fn try_next(&self) -> Option<Request> {
        let request = self.receiver.try_recv().ok();
        request.inspect(|_| self.took_one())
    }

    fn took_one(&self) {
        self.metrics.queued.fetch_sub(1, Ordering::Relaxed);
    }
}
