//! The arrangement in which a worker publishes rows of a view, to readers and to other views.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::operators::arrange::ShutdownButton;
use differential_dataflow::trace::{Span, TraceReader};
use timely::container::NoopBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::{CapabilitySet, Operator, Probe};
use timely::dataflow::{ProbeHandle, Scope};

use super::arrange::{Changes, Index, Layout, Trace, arrange, key_by};
use super::batch::Batch;
use super::changes::Tap;
use super::chunk::Chunk;
use super::operator::accumulate::aggregate;
use super::operator::flatten;
use super::operator::map::error_schema;
use super::output::{Columns, OutputShape};

/// Stops the import of an arrangement, so that the importing dataflow can end.
pub type Stop = ShutdownButton<CapabilitySet<u64>>;

/// A published arrangement.
pub struct Output {
    /// Its history.
    pub trace: Trace,
    /// Whether there were updates since it was last asked.
    pub has_changed: Rc<Cell<bool>>,
    /// What has changed, for those who have subscribed.
    pub tap: Tap,
    /// What was last given out.
    given: Vec<Arc<Vec<Chunk>>>,
}

/// How the errors of a view are arranged.
pub fn error_shape() -> OutputShape {
    OutputShape::new(error_schema(), &[0])
}

impl Output {
    /// Arranges rows to be published.
    pub fn new(rows: Changes<'_>, layout: Layout, probe: &mut ProbeHandle<u64>) -> Output {
        let index = arrange(key_by(rows, layout, true, |_| Vec::new()), "Output");
        Output::of(index, probe)
    }

    /// An arrangement that is published as it is.
    pub fn of(index: Index<'_>, probe: &mut ProbeHandle<u64>) -> Output {
        let has_changed = Rc::new(Cell::new(false));
        let flag = Rc::clone(&has_changed);
        let tap = Tap::default();
        let tapped = tap.clone();
        // Timely's own inspection would run also where only time goes on.
        index
            .stream
            .unary::<NoopBuilder<Vec<Span<u64, Batch>>>, _, _, _>(
                Pipeline,
                "Inspect",
                move |_, _| {
                    move |input, output| {
                        input.for_each(|capability, spans| {
                            for batch in spans.iter().filter_map(|span| span.inner.as_ref()) {
                                flag.set(true);
                                tapped.add(batch);
                            }
                            output
                                .session_with_builder(&capability)
                                .give_container(spans);
                        });
                    }
                },
            )
            .probe_with(probe);
        Output {
            trace: index.trace,
            has_changed,
            tap,
            given: Vec::new(),
        }
    }

    /// All batches.
    pub fn publish(&mut self) -> Vec<Arc<Vec<Chunk>>> {
        self.given = self.batches();
        self.given.clone()
    }

    /// Whether the batches are others than those last given out.
    pub fn is_merged_further(&self) -> bool {
        let batches = self.batches();
        let mut pairs = batches.iter().zip(&self.given);
        batches.len() != self.given.len() || !pairs.all(|(now, given)| Arc::ptr_eq(now, given))
    }

    fn batches(&self) -> Vec<Arc<Vec<Chunk>>> {
        let mut batches = Vec::new();
        self.trace.map_spans(|span| {
            let chunks = |batch: &Batch| Arc::clone(&batch.chunks);
            batches.extend(span.inner.as_ref().map(chunks));
        });
        batches
    }

    /// The rows in another dataflow.
    pub fn import<'scope>(
        &mut self,
        scope: Scope<'scope, u64>,
        shape: &OutputShape,
    ) -> (Changes<'scope>, Stop) {
        let (index, stop) = self.trace.import_core(scope, "ViewRows");
        let schema = Arc::clone(&shape.schema);
        let rows = match &shape.columns {
            Columns::Stored(positions) => flatten(index, schema, positions.clone()),
            Columns::Grouped(grouping) => aggregate(index, schema, Arc::clone(grouping)),
        };
        (rows, stop)
    }
}
