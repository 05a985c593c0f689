//! Takes note of what operators do and keep, on one worker.
//!
//! Timely tells when it makes an operator, runs it and gives it up: two readings of the clock each
//! time it runs. Operators that keep something leave a [`Gauge`], which is read only when somebody
//! asks.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::{self, Rc};
use std::sync::{Arc, Weak};
use std::time::Duration;

use differential_dataflow::trace::TraceReader;
use hashbrown::HashMap;
use timely::container::CapacityContainerBuilder;
use timely::logging::{StartStop, TimelyEvent, TimelyEventBuilder};
use timely::worker::Worker;

use super::arrange::Trace;
use super::batch::{Batch, Runs};
use super::chunk::Chunk;
use super::measure::{Held, OperatorMeasure};
use super::size::{body_bytes, summary_bytes};

/// The name of timely's own log, and of the one in which operators say what they keep.
const EVENTS: &str = "timely";
const GAUGES: &str = "mainstem/gauges";

/// Reads what an operator keeps, and nothing once the operator is gone.
pub type Gauge = Rc<dyn Fn() -> Held>;

type GaugeBuilder = CapacityContainerBuilder<Vec<(Duration, (usize, Gauge))>>;

/// The lines of a plan with the numbers of the operators that were made for each, inner lines
/// before those around them.
pub type Lines = Vec<(Range<usize>, Arc<str>)>;

/// What a worker's operators do and keep.
pub struct Meter {
    notes: Rc<RefCell<Notes>>,
}

#[derive(Default)]
struct Notes {
    operators: HashMap<usize, Noted>,
    /// The operators of each dataflow.
    dataflows: HashMap<usize, BTreeSet<usize>>,
    /// The operators that are running, the innermost last, and since when it has been that.
    running: Vec<usize>,
    since: Duration,
    gauges: HashMap<usize, Gauge>,
}

struct Noted {
    dataflow: usize,
    kind: Arc<str>,
    busy: Duration,
    activations: u64,
    /// The line of the plan it works for, once it has been looked up.
    node: OnceCell<Arc<str>>,
}

impl Meter {
    /// Listens to a worker that has no dataflows yet.
    pub fn attach(worker: &Worker) -> Meter {
        let notes = Rc::new(RefCell::new(Notes::default()));
        if let Some(mut register) = worker.log_register() {
            let listener = Rc::clone(&notes);
            register.insert::<TimelyEventBuilder, _>(EVENTS, move |_, events| {
                let mut notes = listener.borrow_mut();
                for (time, event) in events.iter_mut().flat_map(|events| events.drain(..)) {
                    notes.take_in(time, event);
                }
            });
            let listener = Rc::clone(&notes);
            register.insert::<GaugeBuilder, _>(GAUGES, move |_, gauges| {
                let mut notes = listener.borrow_mut();
                let gauges = gauges.iter_mut().flat_map(|gauges| gauges.drain(..));
                notes.gauges.extend(gauges.map(|(_, gauge)| gauge));
            });
        }
        Meter { notes }
    }

    /// The operators of a dataflow, by number.
    pub fn operators(&self, dataflow: usize, lines: &Lines) -> Vec<OperatorMeasure> {
        let notes = self.notes.borrow();
        let own = notes.dataflows.get(&dataflow).into_iter().flatten();
        let own = own.filter_map(|number| Some((number, notes.operators.get(number)?)));
        let measures = own.map(|(number, operator)| OperatorMeasure {
            number: *number as u64,
            kind: Arc::clone(&operator.kind),
            node: Arc::clone(operator.node.get_or_init(|| line_of(lines, *number))),
            busy: operator.busy,
            activations: operator.activations,
            held: notes
                .gauges
                .get(number)
                .map(|read| read())
                .unwrap_or_default(),
        });
        measures.collect()
    }

    /// Hands over what the worker has noted so far.
    pub fn catch_up(worker: &Worker) {
        if let Some(mut register) = worker.log_register() {
            register.flush();
        }
    }
}

fn line_of(lines: &Lines, number: usize) -> Arc<str> {
    let mut lines = lines.iter();
    let line = lines.find(|(range, _)| range.contains(&number));
    line.map_or_else(|| Arc::from(""), |(_, line)| Arc::clone(line))
}

impl Notes {
    fn take_in(&mut self, time: Duration, event: TimelyEvent) {
        match event {
            TimelyEvent::Operates(made) => {
                // A dataflow is named after its view; as an operator it coordinates the others.
                let kind = match made.addr.len() {
                    1 => Arc::from("Dataflow"),
                    _ => Arc::from(made.name),
                };
                let noted = Noted {
                    dataflow: made.addr.first().copied().unwrap_or_default(),
                    kind,
                    busy: Duration::ZERO,
                    activations: 0,
                    node: OnceCell::new(),
                };
                let dataflow = self.dataflows.entry(noted.dataflow).or_default();
                dataflow.insert(made.id);
                self.operators.insert(made.id, noted);
            }
            TimelyEvent::Schedule(event) => match event.start_stop {
                StartStop::Start => self.start(event.id, time),
                StartStop::Stop => self.stop(time),
            },
            TimelyEvent::Shutdown(ended) => {
                let ended_operator = self.operators.remove(&ended.id);
                if let Some(dataflow) = ended_operator.map(|noted| noted.dataflow)
                    && let Some(own) = self.dataflows.get_mut(&dataflow)
                {
                    own.remove(&ended.id);
                    if own.is_empty() {
                        self.dataflows.remove(&dataflow);
                    }
                }
                self.gauges.remove(&ended.id);
            }
            _ => {}
        }
    }

    /// An operator runs, inside the one that ran before it.
    fn start(&mut self, operator: usize, time: Duration) {
        self.charge(time);
        self.running.push(operator);
        if let Some(noted) = self.operators.get_mut(&operator) {
            noted.activations += 1;
        }
    }

    fn stop(&mut self, time: Duration) {
        self.charge(time);
        self.running.pop();
    }

    /// Gives the innermost running operator the time since the last change.
    fn charge(&mut self, time: Duration) {
        if let Some(operator) = self.running.last()
            && let Some(noted) = self.operators.get_mut(operator)
        {
            noted.busy += time.saturating_sub(self.since);
        }
        self.since = time;
    }
}

/// Lets the worker's meter read what an operator keeps.
pub fn note(worker: &Worker, operator: usize, gauge: Gauge) {
    if let Some(gauges) = worker.logger_for::<GaugeBuilder>(GAUGES) {
        gauges.log((operator, gauge));
    }
}

/// Lets the worker's meter read how large an arrangement is, with what waits to go into it.
pub fn note_arrangement(worker: &Worker, trace: &Trace, waiting: rc::Weak<RefCell<Runs>>) {
    let kept = Rc::downgrade(&trace.trace_box_unstable());
    let known: RefCell<Vec<KnownBatch>> = RefCell::default();
    let gauge = move || {
        let Some(kept) = kept.upgrade() else {
            return Held::default();
        };
        let mut batches = Vec::new();
        let mut summaries = 0;
        let mut known = known.borrow_mut();
        kept.borrow().trace().map_spans(|span| {
            if let Some(batch) = &span.inner {
                batches.push(measured(&known, batch));
                summaries += batch.chunks.iter().map(summary_bytes).sum::<usize>();
            }
        });
        let held = batches.iter().map(|(_, held)| *held);
        let mut held = held.fold(Held::default(), Held::plus);
        held.bytes += summaries as u64;
        if let Some(waiting) = waiting.upgrade() {
            let waiting = waiting.borrow();
            let waiting = waiting.iter().map(|(_, batch)| held_by(batch));
            held = waiting.fold(held, Held::plus);
        }
        *known = batches;
        held
    };
    note(worker, trace.operator().global_id, Rc::new(gauge));
}

/// A batch's rows never change, so they are measured once; what they come to is made later.
type KnownBatch = (Weak<Vec<Chunk>>, Held);

fn measured(known: &[KnownBatch], batch: &Batch) -> KnownBatch {
    let this = Arc::downgrade(&batch.chunks);
    if let Some((_, held)) = known.iter().find(|(other, _)| other.ptr_eq(&this)) {
        return (this, *held);
    }
    (this, held_by(batch))
}

fn held_by(batch: &Batch) -> Held {
    let bytes = batch.chunks.iter().map(|chunk| body_bytes(chunk.body()));
    Held {
        rows: batch.rows() as u64,
        bytes: bytes.sum::<usize>() as u64,
        batches: 1,
    }
}
