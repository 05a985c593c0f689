//! Reading published views: the rows that are there at a timestamp, among batches that hold each
//! row's history.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};

use super::chunk::{Body, Chunk, columns};
use super::column::Column;
use super::cursor::{Cursor, Reader, drain_hash, keep_picked, seek_all};
use super::grouping::FoundGroups;
use super::hash::hash_rows;
use super::lane::{Lane, Pick};
use super::output::{Columns, OutputShape, PublishedView, Share};
use super::publish::error_shape;
use super::scan::Scan;
use super::updates::batch;

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

    /// How many rows the view has as of a timestamp. Where rows are read off groups, these have to
    /// be walked through.
    pub fn row_count(&self, timestamp_ms: u64) -> usize {
        match &self.shape.columns {
            Columns::Stored(_) => {
                let rows: i64 = self
                    .bodies()
                    .map(|body| count_until(body, timestamp_ms))
                    .sum();
                usize::try_from(rows).unwrap_or(0)
            }
            Columns::Grouped(_) => {
                let shares = 0..self.shares.len();
                let scans = shares.flat_map(|share| self.scan(share, timestamp_ms, Some(&[])));
                scans.map(|rows| rows.num_rows()).sum()
            }
        }
    }

    /// How many rows the view has at most, without a walk through them.
    pub fn most_rows(&self) -> usize {
        self.bodies().map(Body::len).sum()
    }

    /// Whether [`row_count`](Self::row_count) need not walk through the rows.
    pub fn knows_row_count(&self) -> bool {
        matches!(self.shape.columns, Columns::Stored(_))
    }

    fn bodies(&self) -> impl Iterator<Item = &Body> {
        let batches = self.shares.iter().flat_map(|share| &share.rows);
        batches.flat_map(|chunks| chunks.iter().map(|chunk| chunk.body()))
    }

    /// The rows of one worker's share as of a timestamp, which must not be before the one the view
    /// was read at.
    pub fn scan(&self, share: usize, timestamp_ms: u64, projection: Option<&[usize]>) -> Scan {
        Scan::new(
            self.shares[share].rows.clone(),
            timestamp_ms,
            Wanted {
                shape: Arc::clone(&self.shape),
                columns: match projection {
                    None => (0..self.shape.schema.fields().len()).collect(),
                    Some(columns) => columns.to_vec(),
                },
                schema: self.projected_schema(projection),
            },
        )
    }

    /// The texts of the rows that failed, up to `limit` of them.
    pub fn errors(&self, timestamp_ms: u64, limit: usize) -> Vec<String> {
        let mut texts = Vec::new();
        let has_errors = |share: &&Arc<Share>| !share.errors.is_empty();
        for share in self.shares.iter().filter(has_errors) {
            let shape = error_shape();
            let wanted = Wanted {
                columns: vec![0],
                schema: Arc::clone(&shape.schema),
                shape: Arc::new(shape),
            };
            for rows in Scan::new(share.errors.clone(), timestamp_ms, wanted) {
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
        let wanted = Wanted {
            shape: Arc::clone(&self.shape),
            columns: (0..self.shape.schema.fields().len()).collect(),
            schema: Arc::clone(&self.shape.schema),
        };
        for share in &self.shares {
            let reader = Reader::new(share.rows.iter().map(|chunks| &chunks[..]));
            let mut cursors = reader.cursors.clone();
            seek_all(&mut cursors, hash);
            let mut rows = rows_of_hash(&reader, &mut cursors, hash, timestamp_ms);
            rows.retain(|pick| has_key(reader.body(*pick), pick.row as usize, &key));
            let mut found = Found::new(&wanted.shape);
            found.take(&reader, &mut rows);
            // A key lives with one worker.
            if found.len() > 0 {
                return wanted.gather(&reader, found);
            }
        }
        RecordBatch::new_empty(wanted.schema)
    }
}

fn count_until(body: &Body, timestamp_ms: u64) -> i64 {
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

/// Moves past all rows of the hash and gives those of them that are not later than a timestamp.
pub(super) fn rows_of_hash(
    reader: &Reader,
    cursors: &mut [Cursor],
    hash: u64,
    timestamp_ms: u64,
) -> Vec<Pick> {
    let mut rows = Vec::new();
    drain_hash(cursors, hash, &mut rows);
    let time = |pick: &Pick| reader.body(*pick).times.get(pick.row as usize);
    rows.retain(|pick| time(pick) <= timestamp_ms);
    rows
}

/// The rows of a view that have been found.
pub(super) enum Found {
    /// Each as often as it is there.
    Rows(Vec<Pick>),
    /// As groups.
    Groups(FoundGroups),
}

impl Found {
    /// Nothing found yet.
    pub(super) fn new(shape: &OutputShape) -> Found {
        match &shape.columns {
            Columns::Stored(_) => Found::Rows(Vec::new()),
            Columns::Grouped(_) => Found::Groups(FoundGroups::default()),
        }
    }

    /// How many rows.
    pub(super) fn len(&self) -> usize {
        match self {
            Found::Rows(picks) => picks.len(),
            Found::Groups(groups) => groups.picks.len(),
        }
    }

    /// Takes in what there is of one hash.
    pub(super) fn take(&mut self, reader: &Reader, rows: &mut [Pick]) {
        self.take_some(reader, rows, usize::MAX);
    }

    /// The same with so many copies of a row at most; gives the number of the others.
    pub(super) fn take_some(
        &mut self,
        reader: &Reader,
        rows: &mut [Pick],
        most: usize,
    ) -> Vec<(Pick, usize)> {
        let mut others = Vec::new();
        rows.sort_by(|left, right| reader.compare(*left, *right));
        let is_same = |left: &Pick, right: &Pick| reader.compare(*left, *right) == Ordering::Equal;
        for equal in rows.chunk_by(is_same) {
            let count = |pick: &Pick| reader.body(*pick).counts.get(pick.row as usize);
            let count: i64 = equal.iter().map(count).sum();
            match self {
                Found::Rows(picks) => {
                    let copies = usize::try_from(count).unwrap_or(0);
                    picks.extend(std::iter::repeat_n(equal[0], copies.min(most)));
                    if copies > most {
                        others.push((equal[0], copies - most));
                    }
                }
                Found::Groups(groups) if count != 0 => groups.push(equal),
                Found::Groups(_) => {}
            }
        }
        others
    }

    /// Takes in rows as they are.
    pub(super) fn extend(&mut self, rows: impl Iterator<Item = Pick>) {
        match self {
            Found::Rows(picks) => picks.extend(rows),
            Found::Groups(groups) => groups.picks.extend(rows),
        }
    }
}

/// What is to be read of a view.
pub(super) struct Wanted {
    pub(super) shape: Arc<OutputShape>,
    /// The columns, by their position in the view.
    pub(super) columns: Vec<usize>,
    pub(super) schema: SchemaRef,
}

impl Wanted {
    /// The rows that have been found.
    pub(super) fn gather(&self, reader: &Reader, found: Found) -> RecordBatch {
        let rows = found.len();
        let arrays = match (&self.shape.columns, found) {
            (Columns::Grouped(grouping), Found::Groups(groups)) => {
                grouping.gather(&self.columns, &reader.bodies, groups)
            }
            (Columns::Stored(positions), Found::Rows(mut picks)) => {
                let bodies = keep_picked(&reader.bodies, &mut picks);
                let wanted = self.columns.iter();
                let arrays = wanted.map(|column| {
                    let sources = columns(&bodies, positions[*column]);
                    Column::gather(&sources, &picks).array()
                });
                arrays.collect()
            }
            _ => unreachable!("rows are found in the form that their shape asks for"),
        };
        batch(Arc::clone(&self.schema), arrays, rows)
    }

    /// The columns of the arrangement that are read for it and whose values take different numbers of
    /// bytes.
    pub(super) fn varying(&self, reader: &Reader) -> Vec<usize> {
        let first = reader.bodies.first();
        let mut varying = first.map(|body| body.varying()).unwrap_or_default();
        if let Columns::Stored(positions) = &self.shape.columns {
            let is_read =
                |column: &usize| self.columns.iter().any(|one| positions[*one] == *column);
            varying.retain(is_read);
        }
        varying
    }

    /// Rows of a chunk that are there once each.
    pub(super) fn slice(&self, body: &Body, rows: Range<usize>) -> RecordBatch {
        let (offset, length) = (rows.start, rows.len());
        let arrays = match &self.shape.columns {
            Columns::Grouped(grouping) => grouping.slice(&self.columns, body, offset, length),
            Columns::Stored(positions) => {
                let wanted = self.columns.iter();
                let arrays = wanted.map(|column| {
                    body.columns[positions[*column]]
                        .slice(offset, length)
                        .array()
                });
                arrays.collect()
            }
        };
        batch(Arc::clone(&self.schema), arrays, length)
    }

    /// Whether each row of a chunk is there once, as of a timestamp.
    pub(super) fn is_plain(&self, chunk: &Chunk, timestamp_ms: u64) -> bool {
        let body = chunk.body();
        let is_there = match &body.times {
            Lane::Constant(time, _) => *time <= timestamp_ms,
            times => times.iter().all(|time| time <= timestamp_ms),
        };
        is_there
            && match &self.shape.columns {
                Columns::Stored(_) => body.counts.is_constant(1),
                Columns::Grouped(_) => chunk.has_whole_groups(),
            }
    }
}
