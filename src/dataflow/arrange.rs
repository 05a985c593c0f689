//! Arrangements: collections indexed by key, as batches of sorted chunks.

use std::sync::Arc;

use arrow::datatypes::Schema;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use timely::container::NoopBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::Message;
use timely::dataflow::channels::pact::{DistributorPact, Pipeline};
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::dataflow::operators::{CapabilitySet, Operator};
use timely::progress::Stamp;

use super::batch::ChunkBatcher;
use super::chunk::{Chunk, SumLane};
use super::column::Column;
use super::form::{Unsorted, form};
use super::lane::Lane;
use super::meter;
use super::order;
use super::spine::Spine;
use super::updates::Updates;
use crate::sql::plan::SortKey;

/// A shared handle to an arrangement's history.
pub type Trace = TraceAgent<Spine>;
/// A stream of collection changes.
pub type Changes<'scope> = Stream<'scope, u64, Updates>;
/// An arrangement inside a dataflow.
pub type Index<'scope> = Arranged<'scope, Trace>;

/// What an arrangement is made of, in terms of its collection's columns.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Columns that make the key.
    pub key: Vec<usize>,
    /// Further columns, behind the key in each row.
    pub values: Vec<usize>,
    /// If not empty: rows of a group are sorted in this order rather than by hash.
    pub order: Vec<SortKey>,
    /// Whether the order is that of one column whose values fit the order lane whole. Otherwise a
    /// memory-comparable sort key stands between key and values, and the lane holds its beginning.
    pub fits_lane: bool,
}

impl Layout {
    /// A layout whose groups are sorted; the columns are those of `schema`.
    pub fn sorted(
        key: Vec<usize>,
        values: Vec<usize>,
        order: Vec<SortKey>,
        schema: &Schema,
    ) -> Layout {
        let fits_lane = match order.as_slice() {
            [only] => {
                let field = schema.field(only.column);
                !field.is_nullable() && order::fits_lane(field.data_type())
            }
            _ => false,
        };
        Layout {
            key,
            values,
            order,
            fits_lane,
        }
    }

    fn has_sort_key(&self) -> bool {
        !self.order.is_empty() && !self.fits_lane
    }

    /// How many of the arrangement's first columns tell rows of a group apart. Where they are
    /// ordered by all their values, the sort key or the order lane says all of these.
    pub fn telling_columns(&self) -> usize {
        let before_values = self.key.len() + usize::from(self.has_sort_key());
        let is_in_order = |value: &usize| self.order.iter().any(|key| key.column == *value);
        match !self.order.is_empty() && self.values.iter().all(is_in_order) {
            true => before_values,
            false => before_values + self.values.len(),
        }
    }

    /// Position in the arrangement of a column of the collection.
    pub fn position(&self, column: usize) -> Option<usize> {
        let sort_key = usize::from(self.has_sort_key());
        let in_key = self.key.iter().position(|key| *key == column);
        in_key.or_else(|| {
            let in_values = self.values.iter().position(|value| *value == column);
            in_values.map(|position| self.key.len() + sort_key + position)
        })
    }
}

/// Rows from which on a chunk is formed although more are waiting: bounds memory.
const ROWS_AT_ONCE: usize = 64 * 1024;

/// The same in bytes of texts and the like, of which a column may have no more than 2 GiB.
const BYTES_AT_ONCE: usize = 256 << 20;

/// Turns updates into sorted chunks by key: what has arrived is consolidated as a whole before it
/// is exchanged, which spares the arrangement the merging of many small chunks.
///
/// `sums` computes what each row adds to the sums that the arrangement keeps; `counts` whether
/// rows add to the count, too.
pub fn key_by<'scope>(
    stream: Changes<'scope>,
    layout: Layout,
    counted: bool,
    mut sums: impl FnMut(&Updates) -> Vec<SumLane> + 'static,
) -> Stream<'scope, u64, Chunk> {
    stream.unary::<NoopBuilder<Chunk>, _, _, _>(Pipeline, "KeyBy", move |_, _| {
        move |input, output| {
            let mut capabilities = CapabilitySet::new();
            let mut parts = Vec::new();
            let (mut rows, mut bytes) = (0, 0);
            let mut give = |parts: Vec<Unsorted>, capabilities: &CapabilitySet<u64>| {
                if let Some(mut chunk) = form(parts) {
                    output
                        .session_with_builder(capabilities)
                        .give_container(&mut chunk);
                }
            };
            input.for_each(|capability, updates| {
                for capability in capability.retain_stamp(0).iter() {
                    capabilities.insert(capability.clone());
                }
                let sums = sums(updates);
                let part = unsorted(updates, &layout, counted, sums);
                let part_bytes: usize = part.columns.iter().map(Column::all_varying_bytes).sum();
                if !parts.is_empty() && bytes + part_bytes > BYTES_AT_ONCE {
                    (rows, bytes) = (0, 0);
                    give(std::mem::take(&mut parts), &capabilities);
                }
                rows += updates.len();
                bytes += part_bytes;
                parts.push(part);
                if rows >= ROWS_AT_ONCE {
                    (rows, bytes) = (0, 0);
                    give(std::mem::take(&mut parts), &capabilities);
                }
            });
            if !parts.is_empty() {
                give(parts, &capabilities);
            }
        }
    })
}

/// The sorted chunk of some updates; `None` if they cancel out.
pub fn form_updates(updates: &Updates, layout: &Layout) -> Option<Chunk> {
    form(vec![unsorted(updates, layout, true, Vec::new())])
}

/// The rows of updates in the columns of an arrangement.
pub fn unsorted(updates: &Updates, layout: &Layout, counted: bool, sums: Vec<SumLane>) -> Unsorted {
    let column = |position: &usize| Column::new(Arc::clone(updates.rows.column(*position)));
    let mut columns: Vec<Column> = layout.key.iter().map(column).collect();
    let mut orders = None;
    if layout.has_sort_key() {
        let sort_key = order::sort_keys(updates, &layout.order);
        orders = Some(order::prefixes(&sort_key));
        columns.push(Column::new(Arc::new(sort_key)));
    } else if let [only] = layout.order.as_slice() {
        orders = Some(order::lane(
            updates.rows.column(only.column),
            only.descending,
        ));
    }
    columns.extend(layout.values.iter().map(column));
    Unsorted {
        columns,
        key_columns: layout.key.len(),
        orders,
        times: updates.times.clone(),
        counts: if counted {
            updates.counts.clone()
        } else {
            Lane::Constant(0, updates.len())
        },
        sums,
    }
}

/// Indexes chunks: exchanges them by ranges of the hash and maintains their history.
pub fn arrange<'scope>(stream: Stream<'scope, u64, Chunk>, name: &str) -> Index<'scope> {
    let scope = stream.scope();
    let batcher = ChunkBatcher::default();
    let waiting = batcher.waiting();
    let index = arrange_core::<_, _, ChunkBatcher, Spine>(stream, by_hash(), name, |_, _| batcher);
    meter::note_arrangement(scope.worker(), &index.trace, waiting);
    index
}

/// Sends each worker the rows in its range of hashes.
pub fn by_hash() -> DistributorPact<impl FnOnce(usize) -> HashRanges> {
    DistributorPact(|workers| HashRanges { workers })
}

/// The distribution by ranges of the hash: of a sorted chunk, one slice for each worker.
pub struct HashRanges {
    workers: usize,
}

impl Distributor<Chunk> for HashRanges {
    fn partition<T: Clone, P: timely::communication::Push<Message<T, Chunk>>>(
        &mut self,
        chunk: &mut Chunk,
        stamp: &Stamp<T>,
        pushers: &mut [P],
    ) {
        let hashes = &chunk.body().hashes;
        let mut start = 0;
        for (worker, pusher) in pushers.iter_mut().enumerate() {
            let limit = ((worker as u128 + 1) << 64) / self.workers as u128;
            let end = hashes.partition_point(|hash| u128::from(*hash) < limit);
            if end > start {
                let mut slice = chunk.slice(start, end - start);
                Message::push_at(&mut slice, stamp.clone(), pusher);
            }
            start = end;
        }
    }

    fn flush<T: Clone, P: timely::communication::Push<Message<T, Chunk>>>(
        &mut self,
        _stamp: &Stamp<T>,
        _pushers: &mut [P],
    ) {
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn an_order_by_all_values_tells_rows_apart_without_them() {
        let field = |name| Field::new(name, DataType::Int64, false);
        let schema = Schema::new(vec![field("key"), field("a"), field("b")]);
        let by = |column| SortKey {
            column,
            descending: false,
            nulls_first: false,
        };
        for (values, order, columns) in [
            (vec![1], vec![by(1)], 1),
            (vec![1, 2], vec![by(1)], 3),
            (vec![1, 2], vec![by(2), by(1)], 2),
            (vec![1, 2], vec![by(0), by(1)], 4),
            (vec![1, 2], Vec::new(), 3),
        ] {
            let layout = Layout::sorted(vec![0], values, order, &schema);
            assert_eq!(layout.telling_columns(), columns);
        }
    }
}
