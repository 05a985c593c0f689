//! Half of a join: changes look up an arrangement as it is at their time.
//!
//! A join of several inputs is a sum of such paths, one for the changes of each input. What changes
//! at one moment in several of them counts once if each path sees the inputs before its own without
//! the changes of that moment, and those behind it with them. Changes wait until the arrangement is
//! complete at their time, and it keeps moments apart from the first that still waits.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::trace::TraceReader;
use timely::container::NoopBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::{CapabilitySet, Operator};
use timely::progress::Antichain;
use timely::progress::frontier::MutableAntichain;

use super::super::arrange::{Changes, Index, Trace, by_hash};
use super::super::batch::Batch;
use super::super::chunk::Chunk;
use super::super::given_up::GivenUp;
use super::super::lane::Lane;
use super::super::measure::Held;
use super::super::meter;
use super::super::size::body_bytes;
use super::super::updates::Updates;
use super::join::{Shape, pairs};

/// Rows given out before other operators get their turn.
const ROWS_AT_A_TURN: usize = 1_000_000;

/// Whether a change sees what changes at its own moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sees {
    /// All changes before it.
    Before,
    /// Those of its moment, too.
    Until,
}

impl Sees {
    /// The last moment that a change at `time` sees; `None`: there is none.
    fn last(self, time: u64) -> Option<u64> {
        match self {
            Sees::Before => time.checked_sub(1),
            Sees::Until => Some(time),
        }
    }
}

/// Pairs changes, sorted by the key they look up, with the rows of an arrangement, until the pairs
/// are given up. A pair happens when the change does.
pub fn half_join<'scope>(
    changes: Stream<'scope, u64, Chunk>,
    index: Index<'scope>,
    sees: Sees,
    shape: Shape,
    given_up: GivenUp,
) -> Changes<'scope> {
    let scope = changes.scope();
    let lookups = Rc::new(RefCell::new(Lookups {
        waiting: Vec::new(),
        at_work: VecDeque::new(),
        sees,
        shape: Arc::new(shape),
    }));
    let mut trace = Some(index.trace);
    changes.binary_frontier::<_, NoopBuilder<Updates>, _, _, _, _>(
        index.stream,
        by_hash(),
        Pipeline,
        "HalfJoin",
        move |_, info| {
            let kept = Rc::downgrade(&lookups);
            let gauge = move || match kept.upgrade() {
                Some(kept) => kept.borrow().held(),
                None => Held::default(),
            };
            meter::note(scope.worker(), info.global_id, Rc::new(gauge));
            let activator = scope.activator_for(info.address);
            move |(changes, to_come), (arranged, incomplete), output| {
                arranged.for_each(|_, _| {});
                let mut lookups = lookups.borrow_mut();
                changes.for_each(|capability, chunk| {
                    let mut capabilities = CapabilitySet::new();
                    for capability in capability.retain_stamp(0).iter() {
                        capabilities.insert(capability.clone());
                    }
                    lookups.add(capabilities, std::mem::take(chunk));
                });
                if given_up.is_set() {
                    lookups.forget();
                }
                if let Some(trace) = &mut trace {
                    lookups.begin(trace, incomplete);
                }
                let mut given = 0;
                while given < ROWS_AT_A_TURN
                    && let Some((capabilities, mut updates)) = lookups.next()
                {
                    given += updates.len();
                    if updates.len() > 0 {
                        output
                            .session_with_builder(capabilities)
                            .give_container(&mut updates);
                    }
                }
                if !lookups.at_work.is_empty() {
                    activator.activate();
                }
                lookups.let_go(&mut trace, to_come, incomplete);
            }
        },
    )
}

/// Sorted changes.
struct Waiting {
    capabilities: CapabilitySet<u64>,
    chunk: Chunk,
    earliest: u64,
    latest: u64,
}

/// Changes that are being paired.
struct AtWork {
    capabilities: CapabilitySet<u64>,
    pairs: Box<dyn Iterator<Item = Updates>>,
}

struct Lookups {
    /// What the arrangement is not complete for.
    waiting: Vec<Waiting>,
    at_work: VecDeque<AtWork>,
    sees: Sees,
    shape: Arc<Shape>,
}

impl Lookups {
    fn add(&mut self, capabilities: CapabilitySet<u64>, chunk: Chunk) {
        let times = &chunk.body().times;
        let (Some(earliest), Some(latest)) = (times.iter().min(), times.iter().max()) else {
            return;
        };
        self.waiting.push(Waiting {
            capabilities,
            chunk,
            earliest,
            latest,
        });
    }

    /// Lets go of all changes.
    fn forget(&mut self) {
        self.waiting.clear();
        self.at_work.clear();
    }

    /// Begins with the changes for which the arrangement is complete.
    fn begin(&mut self, trace: &mut Trace, incomplete: &MutableAntichain<u64>) {
        let is_ready = |waiting: &mut Waiting| !incomplete.less_equal(&waiting.latest);
        let mut ready = self.waiting.extract_if(.., is_ready).peekable();
        if ready.peek().is_none() {
            return;
        }
        let all = Antichain::new();
        let batches: Vec<Batch> = trace.batches_through(all.borrow()).unwrap_or_default();
        for Waiting {
            capabilities,
            chunk,
            ..
        } in ready
        {
            let sees = self.sees;
            let meet =
                move |change: u64, row: u64| (Some(row) <= sees.last(change)).then_some(change);
            let pairs = pairs(chunk, batches.clone(), meet, Arc::clone(&self.shape));
            self.at_work.push_back(AtWork {
                capabilities,
                pairs: Box::new(pairs),
            });
        }
    }

    /// Some more pairs.
    fn next(&mut self) -> Option<(&CapabilitySet<u64>, Updates)> {
        loop {
            match self.at_work.front_mut()?.pairs.next() {
                Some(updates) => return Some((&self.at_work.front()?.capabilities, updates)),
                None => self.at_work.pop_front(),
            };
        }
    }

    /// Lets the arrangement forget what no change asks for any more.
    fn let_go(
        &self,
        trace: &mut Option<Trace>,
        to_come: &MutableAntichain<u64>,
        incomplete: &MutableAntichain<u64>,
    ) {
        let Some(kept) = trace else { return };
        let waiting = self.waiting.iter().map(|waiting| waiting.earliest);
        let to_come = to_come.frontier().first().copied();
        match waiting.chain(to_come).min() {
            Some(first) => {
                let last = Antichain::from_elem(self.sees.last(first).unwrap_or(0));
                kept.set_logical_compaction(last.borrow());
                kept.set_physical_compaction(incomplete.frontier());
            }
            None => *trace = None,
        }
    }

    fn held(&self) -> Held {
        let waiting = self.waiting.iter().map(|waiting| Held {
            rows: waiting.chunk.rows() as u64,
            bytes: body_bytes(waiting.chunk.body()) as u64,
            batches: 1,
        });
        waiting.fold(Held::default(), Held::plus)
    }
}

/// The changes of an input as its path counts them. What was there when the view began may carry
/// the times of its history in one arrangement and not in another; it all counts as having come at
/// that moment, so that the first path alone finds it.
pub fn since(changes: Changes<'_>, since_ms: u64, is_first: bool) -> Changes<'_> {
    changes.unary::<NoopBuilder<Updates>, _, _, _>(Pipeline, "Since", move |_, _| {
        move |input, output| {
            input.for_each(|capability, updates| {
                let updates = std::mem::take(updates);
                let mut counted = match is_first {
                    true => begun(updates, since_ms),
                    false => later(updates, since_ms),
                };
                if counted.len() > 0 {
                    output
                        .session_with_builder(&capability)
                        .give_container(&mut counted);
                }
            });
        }
    })
}

fn begun(updates: Updates, since_ms: u64) -> Updates {
    let times = match &updates.times {
        Lane::Constant(time, rows) => Lane::Constant((*time).max(since_ms), *rows),
        times => {
            let times = times.iter().map(|time| time.max(since_ms));
            times.collect::<Vec<_>>().into()
        }
    };
    Updates { times, ..updates }
}

fn later(updates: Updates, since_ms: u64) -> Updates {
    let is_later = updates.times.iter().map(|time| Some(time > since_ms));
    let kept = updates.filter(&is_later.collect());
    kept.expect("a mask as long as the rows")
}
