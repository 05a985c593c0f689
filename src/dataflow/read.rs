//! Reading published views: merging a share's batches as of a timestamp.
//!
//! Most chunks of a view lie in one big batch and no recent change touches them; those are given
//! out as they are, without copying. Where batches overlap, rows are merged by hash and counted.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};

use super::chunk::{Body, Chunk, columns};
use super::column::{Column, hash_rows};
use super::cursor::{Cursor, Reader, keep_picked, least_hash};
use super::lane::Pick;
use super::operator::map::error_schema;
use super::output::PublishedView;
use super::updates::batch;

/// Rows gathered into one batch.
const ROWS_AT_ONCE: usize = 8192;

impl PublishedView {
    /// The columns of the rows that [`scan`](Self::scan) gives for a projection.
    pub fn projected_schema(&self, projection: Option<&[usize]>) -> SchemaRef {
        match projection {
            None => Arc::clone(&self.shape.schema),
            Some(columns) => {
                let fields = columns
                    .iter()
                    .map(|column| self.shape.schema.field(*column).clone());
                Arc::new(Schema::new(fields.collect::<Vec<_>>()))
            }
        }
    }

    /// How many rows the view has as of a timestamp.
    pub fn row_count(&self, timestamp_ms: u64) -> usize {
        let shares = self.shares.iter().flat_map(|share| &share.rows);
        let chunks = shares.flat_map(|chunks| chunks.iter());
        let rows: i64 = chunks
            .map(|chunk| count_until(chunk.body(), timestamp_ms))
            .sum();
        usize::try_from(rows).unwrap_or(0)
    }

    /// The rows of one worker's share as of a timestamp, which must not be before the one the view
    /// was read at.
    pub fn scan(&self, share: usize, timestamp_ms: u64, projection: Option<&[usize]>) -> Scan {
        let all: Vec<usize> = (0..self.shape.positions.len()).collect();
        let projection = projection.unwrap_or(&all);
        let positions = projection
            .iter()
            .map(|column| self.shape.positions[*column]);
        let batches = self.shares[share].rows.clone();
        Scan::new(
            batches,
            timestamp_ms,
            self.projected_schema(Some(projection)),
            positions.collect(),
        )
    }

    /// The texts of the rows that failed, up to `limit` of them.
    pub fn errors(&self, timestamp_ms: u64, limit: usize) -> Vec<String> {
        use arrow::array::AsArray;
        let mut texts = Vec::new();
        for share in &self.shares {
            let scan = Scan::new(share.errors.clone(), timestamp_ms, error_schema(), vec![0]);
            for rows in scan {
                let column = rows.column(0).as_string::<i32>();
                texts.extend(column.iter().flatten().map(str::to_owned));
                if texts.len() >= limit {
                    texts.truncate(limit);
                    return texts;
                }
            }
        }
        texts
    }

    /// The rows whose key columns equal the given values: one array of length 1 and of the
    /// column's type for each of the shape's key columns.
    pub fn lookup(&self, key: &[ArrayRef], timestamp_ms: u64) -> RecordBatch {
        let key: Vec<Column> = key.iter().cloned().map(Column::new).collect();
        let hash = hash_rows(&key, 1)[0];
        let positions = &self.shape.positions;
        let mut found = Vec::new();
        for share in &self.shares {
            let reader = Reader::new(share.rows.iter().map(|chunks| &chunks[..]));
            let mut cursors = reader.cursors.clone();
            for cursor in &mut cursors {
                cursor.seek(hash);
            }
            let mut picks = Vec::new();
            merge_hash(&reader, &mut cursors, hash, timestamp_ms, &mut picks);
            picks.retain(|pick| has_key(reader.body(*pick), pick.row as usize, &key));
            if !picks.is_empty() {
                found.push(gather(&reader, picks, &self.shape.schema, positions));
            }
        }
        match found.pop() {
            None => RecordBatch::new_empty(Arc::clone(&self.shape.schema)),
            // A key lives with one worker.
            Some(rows) => rows,
        }
    }
}

fn count_until(body: &Body, timestamp_ms: u64) -> i64 {
    use super::lane::Lane;
    if let (Lane::Constant(time, _), Lane::Constant(count, rows)) = (&body.times, &body.counts) {
        return if *time <= timestamp_ms {
            count * *rows as i64
        } else {
            0
        };
    }
    let rows = (0..body.len()).filter(|row| body.times.get(*row) <= timestamp_ms);
    rows.map(|row| body.counts.get(row)).sum()
}

fn has_key(body: &Body, row: usize, key: &[Column]) -> bool {
    let mut pairs = key.iter().zip(&body.columns);
    pairs.all(|(value, column)| value.compare(0, column, row) == Ordering::Equal)
}

/// The rows of some batches, merged; an iterator over record batches.
pub struct Scan {
    batches: Vec<Arc<Vec<Chunk>>>,
    timestamp_ms: u64,
    schema: SchemaRef,
    positions: Vec<usize>,
    places: Vec<(usize, usize)>,
}

impl Scan {
    fn new(
        batches: Vec<Arc<Vec<Chunk>>>,
        timestamp_ms: u64,
        schema: SchemaRef,
        positions: Vec<usize>,
    ) -> Scan {
        Scan {
            places: vec![(0, 0); batches.len()],
            batches,
            timestamp_ms,
            schema,
            positions,
        }
    }
}

impl Iterator for Scan {
    type Item = RecordBatch;

    fn next(&mut self) -> Option<RecordBatch> {
        let reader = Reader::new(self.batches.iter().map(|chunks| &chunks[..]));
        let mut offset = 0;
        let mut cursors = Vec::with_capacity(self.batches.len());
        for (chunks, place) in self.batches.iter().zip(&self.places) {
            cursors.push(Cursor::at(chunks, offset, *place));
            offset += chunks.len() as u32;
        }
        let mut picks = Vec::new();
        let mut whole = None;
        let mut plain = PlainChunks::new(cursors.len(), self.timestamp_ms);
        while picks.len() < ROWS_AT_ONCE
            && let Some(hash) = least_hash(&cursors)
        {
            if let Some(position) = untouched_chunk(&cursors, hash, &mut plain) {
                if !picks.is_empty() {
                    break;
                }
                whole = Some(rest_of_chunk(&mut cursors[position]));
                break;
            }
            merge_hash(&reader, &mut cursors, hash, self.timestamp_ms, &mut picks);
        }
        self.places = cursors.iter().map(Cursor::place).collect();
        if let Some((body, row)) = whole {
            return Some(slice(body, row, &self.schema, &self.positions));
        }
        if picks.is_empty() {
            return None;
        }
        Some(gather(&reader, picks, &self.schema, &self.positions))
    }
}

/// The cursor whose current chunk no other rows reach into, and which holds each row once.
fn untouched_chunk(cursors: &[Cursor], hash: u64, plain: &mut PlainChunks) -> Option<usize> {
    let mut at_hash = cursors
        .iter()
        .enumerate()
        .filter(|(_, cursor)| cursor.hash() == Some(hash));
    let (position, cursor) = at_hash.next()?;
    if at_hash.next().is_some() {
        return None;
    }
    let (last, next) = cursor.chunk_bounds()?;
    let others = cursors
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != position)
        .filter_map(|(_, cursor)| cursor.hash());
    let is_reached = others.chain(next).any(|hash| hash <= last);
    (!is_reached && plain.contains(position, cursor)).then_some(position)
}

/// Which chunks hold each of their rows once, as of a timestamp. The rows of a chunk are looked at
/// once for this, however often it is asked.
struct PlainChunks {
    timestamp_ms: u64,
    /// For each cursor the last chunk asked about, with the answer.
    known: Vec<Option<(usize, bool)>>,
}

impl PlainChunks {
    fn new(cursors: usize, timestamp_ms: u64) -> PlainChunks {
        PlainChunks {
            timestamp_ms,
            known: vec![None; cursors],
        }
    }

    /// Whether the current chunk of the cursor at this position is one.
    fn contains(&mut self, position: usize, cursor: &Cursor) -> bool {
        let (chunk, _) = cursor.place();
        if let Some((known, answer)) = self.known[position]
            && known == chunk
        {
            return answer;
        }
        let answer = cursor.body().is_some_and(|body| {
            let times = &body.times;
            body.counts.is_constant(1) && times.iter().all(|time| time <= self.timestamp_ms)
        });
        self.known[position] = Some((chunk, answer));
        answer
    }
}

fn rest_of_chunk<'a>(cursor: &mut Cursor<'a>) -> (&'a Body, usize) {
    let (_, row) = cursor.place();
    let body = cursor.body();
    cursor.step_chunk();
    (body.expect("the cursor stands at a row"), row)
}

/// Moves past all rows of the hash, collecting those that are there at the timestamp, each as often
/// as it is there.
fn merge_hash(
    reader: &Reader,
    cursors: &mut [Cursor],
    hash: u64,
    timestamp_ms: u64,
    picks: &mut Vec<Pick>,
) {
    let mut rows: Vec<Pick> = Vec::new();
    for cursor in cursors {
        while cursor.hash() == Some(hash) {
            let pick = cursor.pick();
            if reader.body(pick).times.get(pick.row as usize) <= timestamp_ms {
                rows.push(pick);
            }
            cursor.step();
        }
    }
    let compare = |left: &Pick, right: &Pick| {
        reader.body(*left).compare_within_hash(
            left.row as usize,
            reader.body(*right),
            right.row as usize,
        )
    };
    rows.sort_by(compare);
    for equal in rows.chunk_by(|left, right| compare(left, right) == Ordering::Equal) {
        let count = |pick: &Pick| reader.body(*pick).counts.get(pick.row as usize);
        let copies: i64 = equal.iter().map(count).sum();
        let copies = usize::try_from(copies).unwrap_or(0);
        picks.extend(std::iter::repeat_n(equal[0], copies));
    }
}

fn slice(body: &Body, row: usize, schema: &SchemaRef, positions: &[usize]) -> RecordBatch {
    let length = body.len() - row;
    let arrays = positions
        .iter()
        .map(|position| body.columns[*position].array().slice(row, length));
    batch(Arc::clone(schema), arrays.collect(), length)
}

fn gather(
    reader: &Reader,
    mut picks: Vec<Pick>,
    schema: &SchemaRef,
    positions: &[usize],
) -> RecordBatch {
    let bodies = keep_picked(&reader.bodies, &mut [&mut picks]);
    let arrays = positions.iter().map(|position| {
        let sources = columns(&bodies, *position);
        Arc::clone(Column::gather(&sources, &picks).array())
    });
    batch(Arc::clone(schema), arrays.collect(), picks.len())
}
