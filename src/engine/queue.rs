//! The queue in front of the committing thread, bounded and counted.
//!
//! Sources would fill it with as many rows as it takes requests, which may be all that they have.
//! So their rows are bounded, too: what waits here is memory beside the state.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::EngineError;
use super::commit::Request;
use super::metrics::Metrics;

/// Requests that may wait for the committing thread: back-pressure for writers.
const WAITING_REQUESTS: usize = 64;

/// Rows of sources that may wait: no more are let in until there are fewer. Two of the largest
/// transactions that files are read in, so that the next is there when one is taken.
const WAITING_ROWS: usize = 128 * 1024;

/// The end of the queue that requests go in at.
#[derive(Clone)]
pub struct Requests {
    sender: SyncSender<Request>,
    room: Arc<Room>,
    metrics: Arc<Metrics>,
}

/// The end of the queue that the committing thread takes requests from.
pub struct Inbox {
    receiver: Receiver<Request>,
    room: Arc<Room>,
    metrics: Arc<Metrics>,
}

/// Where sources wait until there is room for their rows.
#[derive(Default)]
struct Room {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    rows: usize,
    /// Whether nobody takes anything any more.
    is_closed: bool,
}

/// An empty queue.
pub fn queue(metrics: &Arc<Metrics>) -> (Requests, Inbox) {
    let (sender, receiver) = sync_channel(WAITING_REQUESTS);
    let room = Arc::new(Room::default());
    let requests = Requests {
        sender,
        room: Arc::clone(&room),
        metrics: Arc::clone(metrics),
    };
    let inbox = Inbox {
        receiver,
        room,
        metrics: Arc::clone(metrics),
    };
    (requests, inbox)
}

impl Requests {
    /// Hands a request in; waits while the queue is full. Fails with [`EngineError::ShutDown`] if
    /// the committing thread has ended.
    pub fn send(&self, request: Request) -> Result<(), EngineError> {
        self.metrics.queued.fetch_add(1, Ordering::Relaxed);
        self.room.enter(rows_of_source(&request));
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
        request.inspect(|request| self.took(request))
    }

    /// The next request, if one waits.
    pub fn try_next(&self) -> Option<Request> {
        let request = self.receiver.try_recv().ok();
        request.inspect(|request| self.took(request))
    }

    fn took(&self, request: &Request) {
        self.metrics.queued.fetch_sub(1, Ordering::Relaxed);
        self.room.leave(rows_of_source(request));
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.room.waiting().is_closed = true;
        self.room.changed.notify_all();
    }
}

impl Room {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Consistent after every statement.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts rows in, once there is room for more.
    fn enter(&self, rows: usize) {
        if rows == 0 {
            return;
        }
        let is_full = |waiting: &mut Waiting| waiting.rows >= WAITING_ROWS && !waiting.is_closed;
        let waiting = self.changed.wait_while(self.waiting(), is_full);
        waiting.unwrap_or_else(PoisonError::into_inner).rows += rows;
    }

    /// Counts rows out.
    fn leave(&self, rows: usize) {
        if rows > 0 {
            self.waiting().rows -= rows;
            self.changed.notify_all();
        }
    }
}

/// The rows of what a source sends. Whoever waits for an answer sends nothing else meanwhile, and
/// must not wait behind a source.
fn rows_of_source(request: &Request) -> usize {
    match request {
        Request::Submit {
            submission,
            reply: None,
        } => submission.rows(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use tokio::sync::oneshot;

    use super::*;
    use crate::model::{Change, ChangeKind, Submission};

    fn rows(count: usize) -> Submission {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![0; count]));
        let rows = RecordBatch::try_from_iter([("n", numbers)]).expect("rows");
        let change = Change {
            table: "t".into(),
            kind: ChangeKind::Upsert,
            rows,
        };
        Submission {
            changes: vec![change],
            ..Submission::default()
        }
    }

    fn of_source(count: usize) -> Request {
        Request::Submit {
            submission: rows(count),
            reply: None,
        }
    }

    #[test]
    fn sources_wait_while_there_are_many_rows_and_others_do_not() {
        let metrics = Arc::new(Metrics::default());
        let (requests, inbox) = queue(&metrics);
        requests.send(of_source(WAITING_ROWS)).expect("taken");
        let (reply, _answer) = oneshot::channel();
        let answered = Request::Submit {
            submission: rows(1),
            reply: Some(reply),
        };
        requests.send(answered).expect("taken at once");
        let (tell, told) = channel();
        let source = requests.clone();
        let writer = std::thread::spawn(move || {
            source.send(of_source(1)).expect("taken");
            tell.send(()).expect("somebody listens");
        });
        let waits = told.recv_timeout(Duration::from_millis(200));
        assert_eq!(waits, Err(RecvTimeoutError::Timeout), "it is not held up");
        inbox.next(None).expect("a request");
        told.recv().expect("there is room");
        writer.join().expect("ended");
        while inbox.try_next().is_some() {}
        assert_eq!(inbox.room.waiting().rows, 0);
    }

    #[test]
    fn who_waits_for_room_is_told_the_end() {
        let (requests, inbox) = queue(&Arc::default());
        requests.send(of_source(WAITING_ROWS)).expect("taken");
        let writer = std::thread::spawn(move || requests.send(of_source(1)));
        std::thread::sleep(Duration::from_millis(50));
        drop(inbox);
        let outcome = writer.join().expect("ended");
        assert!(matches!(outcome, Err(EngineError::ShutDown)));
    }

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
