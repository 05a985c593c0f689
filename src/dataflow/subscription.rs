//! Subscriptions: the changes of a published view, in order of time.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::changes::{Lost, Piece, SharedQueue, lock};
use super::chunk::{Body, columns};
use super::column::Column;
use super::lane::Pick;
use super::output::{Progress, PublishedView};

/// Rows of one batch of changes.
const ROWS_AT_ONCE: usize = 8192;

/// A subscription to a view: what it held at one timestamp, and every change since.
pub struct Subscriber {
    /// The columns of the view.
    pub schema: SchemaRef,
    /// Where they stand in the changes.
    positions: Vec<usize>,
    /// Where the subscription begins: changes are those of later timestamps (ms).
    pub timestamp_ms: u64,
    queue: SharedQueue,
}

impl Subscriber {
    /// Subscribes to a view, from the newest completed timestamp on, and gives the view as of it;
    /// `None` if it is not there.
    pub fn begin(progress: &Progress, view: u64) -> Option<(Subscriber, PublishedView)> {
        let (view, timestamp_ms, queue) = progress.subscribe(view)?;
        let subscriber = Subscriber {
            schema: Arc::clone(&view.shape.schema),
            positions: view.shape.positions_in_changes(),
            timestamp_ms,
            queue,
        };
        Some((subscriber, view))
    }

    /// The changes after a timestamp (ms) that are behind the subscription, as far as the view was
    /// published with its past; as [`take`](Self::take) gives them.
    pub fn past(&self, view: &PublishedView, after_ms: u64) -> Vec<RecordBatch> {
        if after_ms >= self.timestamp_ms {
            return Vec::new();
        }
        let pieces = view.shares.iter().flat_map(|share| {
            let batches = share.rows.iter();
            let arranged =
                batches.filter_map(|chunks| Piece::between(chunks, after_ms, self.timestamp_ms));
            view.shape.changes(&share.rows, arranged.collect())
        });
        self.in_order(&pieces.collect::<Vec<_>>(), self.timestamp_ms)
    }

    /// The changes up to a timestamp (ms) that all workers have completed, in order of time, as
    /// far as they have not been taken before. Their columns are the timestamp (ms, UInt64), the
    /// difference (Int64), then those of the view.
    pub fn take(&self, until_ms: u64) -> Result<Vec<RecordBatch>, Lost> {
        let pieces = lock(&self.queue).take(until_ms)?;
        Ok(self.in_order(&pieces, until_ms))
    }

    /// The updates of the pieces up to a time, sorted by time.
    fn in_order(&self, pieces: &[Piece], until_ms: u64) -> Vec<RecordBatch> {
        let mut bodies: Vec<&Body> = Vec::new();
        let mut updates: Vec<(u64, Pick)> = Vec::new();
        for piece in pieces {
            let until_ms = piece.until_ms.min(until_ms);
            for chunk in piece.chunks.iter() {
                let body = chunk.body();
                let source = bodies.len() as u32;
                bodies.push(body);
                let times = body.times.iter().enumerate();
                let times = times.filter(|(_, time)| *time > piece.after_ms && *time <= until_ms);
                updates.extend(times.map(|(row, time)| {
                    let row = row as u32;
                    (time, Pick { source, row })
                }));
            }
        }
        updates.sort_by_key(|(time, _)| *time);
        let schema = changes_schema(&self.schema);
        let batches = updates.chunks(ROWS_AT_ONCE).map(|updates| {
            let picks: Vec<Pick> = updates.iter().map(|(_, pick)| *pick).collect();
            let count = |pick: &Pick| bodies[pick.source as usize].counts.get(pick.row as usize);
            let times: UInt64Array = updates.iter().map(|(time, _)| *time).collect();
            let counts: Int64Array = picks.iter().map(count).collect();
            let mut arrays: Vec<ArrayRef> = vec![Arc::new(times), Arc::new(counts)];
            arrays.extend(self.positions.iter().map(|position| {
                let gathered = Column::gather(&columns(&bodies, *position), &picks);
                gathered.array()
            }));
            super::updates::batch(Arc::clone(&schema), arrays, updates.len())
        });
        batches.collect()
    }
}

fn changes_schema(columns: &SchemaRef) -> SchemaRef {
    let mut fields = vec![
        Arc::new(Field::new("timestamp", DataType::UInt64, false)),
        Arc::new(Field::new("difference", DataType::Int64, false)),
    ];
    fields.extend(columns.fields().iter().cloned());
    Arc::new(Schema::new(fields))
}
