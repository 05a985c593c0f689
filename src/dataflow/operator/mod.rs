//! The operators, one file each.

pub mod accumulate;
pub mod as_of;
mod changed;
mod chosen;
mod difference;
pub mod ends;
mod group;
mod group_rows;
pub mod half_join;
pub mod join;
pub mod map;
pub mod near;
mod neighbours;
pub mod origin;
mod outcome;
mod positions;
mod prefix;
pub mod quantile;
pub mod recompute;
pub mod renumber;
pub mod resume;
pub mod select;
mod session;
mod stateful;
pub mod temporal;
pub mod unnest;
mod whole;

use timely::container::NoopBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Operator;

use super::arrange::{Changes, Index};
use super::chunk::Chunk;
use super::updates::{Updates, batch};
use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// The same collection with every change taken back.
pub fn negate(stream: Changes<'_>) -> Changes<'_> {
    stream.unary::<NoopBuilder<Updates>, _, _, _>(Pipeline, "Negate", |_, _| {
        |input, output| {
            input.for_each(|capability, updates| {
                let mut negated = std::mem::take(updates).negated();
                output
                    .session_with_builder(&capability)
                    .give_container(&mut negated);
            });
        }
    })
}

/// The rows of an arrangement as a collection with the given columns, which are picked from the
/// arrangement's by position.
pub fn flatten<'scope>(
    index: Index<'scope>,
    schema: SchemaRef,
    positions: Vec<usize>,
) -> Changes<'scope> {
    index
        .stream
        .unary::<NoopBuilder<Updates>, _, _, _>(Pipeline, "Flatten", move |_, _| {
            move |input, output| {
                input.for_each(|capability, spans| {
                    let batches = spans.drain(..).filter_map(|span| span.inner);
                    for batch in batches {
                        for chunk in batch.chunks.iter() {
                            let mut updates = rows_of(chunk, &schema, &positions);
                            output
                                .session_with_builder(&capability)
                                .give_container(&mut updates);
                        }
                    }
                });
            }
        })
}

fn rows_of(chunk: &Chunk, schema: &SchemaRef, positions: &[usize]) -> Updates {
    let body = chunk.body();
    let columns: Vec<ArrayRef> = positions
        .iter()
        .map(|position| body.columns[*position].array())
        .collect();
    Updates {
        rows: batch(Arc::clone(schema), columns, body.len()),
        times: body.times.clone(),
        counts: body.counts.clone(),
    }
}

#[cfg(test)]
mod tests;
