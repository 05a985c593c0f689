//! The queue in front of the committing thread, bounded and counted.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::EngineError;
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
    /// Hands a request in; waits while the queue is full. Fails with [`EngineError::ShutDown`] if
    /// the committing thread has ended.
    pub fn send(&self, request: Request) -> Result<(), EngineError> {
        self.metrics.queued.fetch_add(1, Ordering::Relaxed);
        self.sender.send(request).map_err(|_| {
            self.metrics.queued.fetch_sub(1, Ordering::Relaxed);
            EngineError::ShutDown
        })
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn writers_wait_while_the_queue_is_full() {
        let metrics = Arc::new(Metrics::default());
        let (requests, inbox) = queue(&metrics);
        let (tell, told) = channel();
        let writer = std::thread::spawn(move || {
            for _ in 0..=WAITING_REQUESTS {
                requests.send(Request::Wake).expect("taken");
            }
            tell.send(()).expect("somebody listens");
        });
        // Once there is one more than fits, the writer is at the last of them. A busy machine may
        // let it run late, so it is waited for up to ten minutes.
        for _ in 0..60_000 {
            if metrics.queued.load(Ordering::Relaxed) == 65 {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let waits = told.recv_timeout(Duration::from_millis(200));
        assert_eq!(waits, Err(RecvTimeoutError::Timeout), "it is not held up");
        assert_eq!(metrics.queued.load(Ordering::Relaxed), 65);
        inbox.next(None).expect("a request");
        told.recv().expect("there is room");
        writer.join().expect("ended");
        while inbox.try_next().is_some() {}
        assert_eq!(metrics.queued.load(Ordering::Relaxed), 0);
    }
}
