//! The common part of operators that react to new batches of one arrangement.

use differential_dataflow::trace::TraceReader;
use timely::container::NoopBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::{CapabilitySet, Operator};
use timely::progress::{Antichain, Timestamp};

use super::super::arrange::{Changes, Index};
use super::super::batch::Batch;
use super::super::updates::Updates;

/// Runs `react` on each set of new batches together with all batches before them, and emits what
/// it returns.
///
/// Updates of the new batches carry their true times. Those of the earlier batches may have been
/// moved by compaction, but all of them happened before: novelty is told by batch, never by time.
pub fn react_to_batches<'scope>(
    index: Index<'scope>,
    name: &str,
    react: impl FnMut(&[Batch], &[Batch], &mut dyn FnMut(Updates)) + 'static,
) -> Changes<'scope> {
    react_to_some(index, name, |_| true, react)
}

/// The same for those new batches that are of concern. The arrangement is not looked into for the
/// others, which spares it merges.
pub fn react_to_some<'scope>(
    index: Index<'scope>,
    name: &str,
    mut is_of_concern: impl FnMut(&[Batch]) -> bool + 'static,
    mut react: impl FnMut(&[Batch], &[Batch], &mut dyn FnMut(Updates)) + 'static,
) -> Changes<'scope> {
    let mut trace = index.trace;
    index
        .stream
        .unary_frontier::<NoopBuilder<Updates>, _, _, _>(Pipeline, name, move |_, _| {
            let mut upper = Antichain::from_elem(u64::minimum());
            move |(input, _frontier), output| {
                let lower = upper.clone();
                let mut capabilities = CapabilitySet::new();
                let mut novel: Vec<Batch> = Vec::new();
                input.for_each(|capability, spans| {
                    for capability in capability.retain_stamp(0).iter() {
                        capabilities.insert(capability.clone());
                    }
                    for span in spans.drain(..) {
                        upper.clone_from(span.upper());
                        novel.extend(span.inner);
                    }
                });
                if !novel.is_empty() && is_of_concern(&novel) {
                    let earlier = trace
                        .batches_through(lower.borrow())
                        .expect("physical compaction is held at the last seen frontier");
                    let mut emit = |mut updates: Updates| {
                        if updates.len() > 0 {
                            output
                                .session_with_builder(&capabilities)
                                .give_container(&mut updates);
                        }
                    };
                    react(&novel, &earlier, &mut emit);
                }
                trace.advance_upper(&mut upper);
                trace.set_logical_compaction(upper.borrow());
                trace.set_physical_compaction(upper.borrow());
            }
        })
}
