//! What operators hold and how long they have worked, as workers tell it.
//!
//! Nobody is held up by the question: a worker answers between two steps, and whoever asks waits a
//! bounded time and then takes the newest answer there is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// What is kept in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Rows, with corrections that have not been added up yet.
    pub rows: u64,
    /// Their memory in bytes.
    pub bytes: u64,
    /// Sorted runs that they are in.
    pub batches: u64,
}

impl Held {
    /// Both together.
    pub fn plus(self, other: Held) -> Held {
        Held {
            rows: self.rows + other.rows,
            bytes: self.bytes + other.bytes,
            batches: self.batches + other.batches,
        }
    }
}

/// One operator on one worker.
#[derive(Clone, Debug)]
pub struct OperatorMeasure {
    /// Its number, the same on all workers.
    pub number: u64,
    /// What kind of operator it is.
    pub kind: Arc<str>,
    /// The line of the plan that it works for; empty for what belongs to the whole view.
    pub node: Arc<str>,
    /// How long it has worked.
    pub busy: Duration,
    /// How often it was run.
    pub activations: u64,
    /// What it keeps.
    pub held: Held,
}

/// A dataflow on one worker: that of a view, or of an index that views share.
#[derive(Clone, Debug)]
pub struct FlowMeasure {
    /// The numbers of the views that it works for.
    pub views: Vec<u64>,
    /// Whether it is an index that several views may share.
    pub is_shared: bool,
    /// The timestamp (ms) from which on it is there.
    pub since_ms: u64,
    /// Its operators, by number.
    pub operators: Vec<OperatorMeasure>,
}

impl FlowMeasure {
    /// What its operators keep.
    pub fn held(&self) -> Held {
        let operators = self.operators.iter();
        operators.fold(Held::default(), |sum, operator| sum.plus(operator.held))
    }
}

/// All dataflows of one worker.
#[derive(Clone, Debug, Default)]
pub struct WorkerMeasure {
    /// Those of views, then those of shared indexes.
    pub flows: Vec<FlowMeasure>,
}

impl WorkerMeasure {
    /// What all operators keep.
    pub fn held(&self) -> Held {
        self.flows
            .iter()
            .map(FlowMeasure::held)
            .fold(Held::default(), Held::plus)
    }

    /// What the operators of one view keep, without indexes that views share.
    pub fn held_by(&self, view: u64) -> Held {
        let flows = self.flows.iter();
        let own = flows.filter(|flow| !flow.is_shared && flow.views.contains(&view));
        own.map(FlowMeasure::held).fold(Held::default(), Held::plus)
    }
}

/// Where questions and answers meet.
#[derive(Debug, Default)]
pub struct Measurements {
    wanted: AtomicU64,
    answers: Mutex<Vec<Answer>>,
    answered: Condvar,
    threads: OnceLock<Vec<Thread>>,
}

#[derive(Clone, Debug, Default)]
struct Answer {
    question: u64,
    measure: Arc<WorkerMeasure>,
}

impl Measurements {
    /// A meeting place for a number of workers.
    pub(super) fn new(workers: usize) -> Measurements {
        Measurements {
            answers: Mutex::new(vec![Answer::default(); workers]),
            ..Measurements::default()
        }
    }

    /// Names the threads that are to be woken.
    pub(super) fn wake_these(&self, threads: Vec<Thread>) {
        // Set once, by whoever starts the workers.
        let _ = self.threads.set(threads);
    }

    /// Asks all workers, without waiting for them; the number of the question.
    pub fn ask(&self) -> u64 {
        let question = self.wanted.fetch_add(1, Ordering::Release) + 1;
        for thread in self.threads.get().into_iter().flatten() {
            thread.unpark();
        }
        question
    }

    /// Asks all workers and waits at most for `patience`: the newest answer of each.
    pub fn take(&self, patience: Duration) -> Vec<Arc<WorkerMeasure>> {
        let question = self.ask();
        let deadline = Instant::now() + patience;
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        while answers.iter().any(|answer| answer.question < question) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.answered.wait_timeout(answers, left);
            answers = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let answers = answers.iter().map(|answer| Arc::clone(&answer.measure));
        answers.collect()
    }

    /// The newest answer of each worker.
    pub fn newest(&self) -> Vec<Arc<WorkerMeasure>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = answers.iter().map(|answer| Arc::clone(&answer.measure));
        answers.collect()
    }

    /// Whether all workers have answered the newest question.
    pub fn is_answered(&self) -> bool {
        let question = self.question();
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().all(|answer| answer.question >= question)
    }

    /// The newest question.
    pub(super) fn question(&self) -> u64 {
        self.wanted.load(Ordering::Acquire)
    }

    /// A worker's answer.
    pub(super) fn answer(&self, worker: usize, question: u64, measure: WorkerMeasure) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers[worker] = Answer {
            question,
            measure: Arc::new(measure),
        };
        self.answered.notify_all();
    }
}
