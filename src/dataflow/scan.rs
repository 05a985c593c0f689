//! The rows of a worker's share of a view in order of their hashes, as record batches.
//!
//! Most rows of a view lie in one big batch, and few recent changes reach among them. Runs of rows
//! that nothing reaches into are given out as they are, without copying if they are long. Where
//! batches meet, rows are merged by hash and added up.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::chunk::{Body, Chunk};
use super::cursor::{Cursor, Reader, gallop, least_hash};
use super::lane::Pick;
use super::read::{Found, Wanted, rows_of_hash};

/// Rows gathered into one batch.
const ROWS_AT_ONCE: usize = 8192;

/// The same in bytes of texts and the like, of which a column may have no more than 2 GiB.
const BYTES_AT_ONCE: usize = 64 << 20;

/// Copies of a row that are given out with those of others.
const COPIES_AT_ONCE: usize = 64;

/// Rows from which on a run is not copied.
const LONG_RUN: usize = Chunk::TARGET_ROWS / 2;

/// The rows of some batches, merged; an iterator over record batches.
pub struct Scan {
    batches: Vec<Arc<Vec<Chunk>>>,
    timestamp_ms: u64,
    wanted: Wanted,
    /// Where each batch's rows go on.
    places: Vec<(usize, usize)>,
    /// Rows before that, of which so many copies are still to be given out.
    copies: Vec<(Pick, usize)>,
}

impl Scan {
    pub(super) fn new(batches: Vec<Arc<Vec<Chunk>>>, timestamp_ms: u64, wanted: Wanted) -> Scan {
        Scan {
            places: vec![(0, 0); batches.len()],
            copies: Vec::new(),
            batches,
            timestamp_ms,
            wanted,
        }
    }

    fn cursors<'a>(&self, batches: &'a [Arc<Vec<Chunk>>]) -> Vec<Cursor<'a>> {
        let mut offset = 0;
        let mut cursors = Vec::with_capacity(batches.len());
        for (chunks, place) in batches.iter().zip(&self.places) {
            cursors.push(Cursor::at(chunks, offset, *place));
            offset += chunks.len() as u32;
        }
        cursors
    }
}

impl Iterator for Scan {
    type Item = RecordBatch;

    fn next(&mut self) -> Option<RecordBatch> {
        let reader = Reader::new(self.batches.iter().map(|chunks| &chunks[..]));
        let mut cursors = self.cursors(&self.batches);
        let mut plain = PlainChunks::new(&self.wanted, self.timestamp_ms, cursors.len());
        let mut found = Found::new(&self.wanted.shape);
        let mut uncopied = None;
        let varying = self.wanted.varying(&reader);
        let of_row = |pick: &Pick| {
            let body = reader.body(*pick);
            body.varying_bytes(pick.row as usize, &varying)
        };
        let mut bytes = 0;
        while found.len() < ROWS_AT_ONCE
            && bytes < BYTES_AT_ONCE
            && let Some((row, copies)) = self.copies.pop()
        {
            let room = ROWS_AT_ONCE - found.len();
            let room = (BYTES_AT_ONCE / of_row(&row).max(1)).clamp(1, room);
            found.extend(std::iter::repeat_n(row, copies.min(room)));
            bytes += of_row(&row) * copies.min(room);
            if copies > room {
                self.copies.push((row, copies - room));
            }
        }
        while self.copies.is_empty()
            && found.len() < ROWS_AT_ONCE
            && (bytes < BYTES_AT_ONCE || found.len() == 0)
            && let Some(hash) = least_hash(&cursors)
        {
            let Some(run) = Run::at(&cursors, hash, &mut plain) else {
                let mut rows = rows_of_hash(&reader, &mut cursors, hash, self.timestamp_ms);
                let widest = rows.iter().map(of_row).max().unwrap_or(0);
                let most = (BYTES_AT_ONCE / widest.max(1)).clamp(1, COPIES_AT_ONCE);
                let before = found.len();
                self.copies = found.take_some(&reader, &mut rows, most);
                bytes += widest * (found.len() - before);
                continue;
            };
            if run.rows.len() < LONG_RUN {
                bytes += match varying.is_empty() {
                    true => 0,
                    false => run.picks(&cursors).map(|pick| of_row(&pick)).sum::<usize>(),
                };
                found.extend(run.picks(&cursors));
                cursors[run.cursor].step_rows(run.rows.len());
                continue;
            }
            if found.len() == 0 {
                cursors[run.cursor].step_rows(run.rows.len());
                uncopied = Some(run);
            }
            break;
        }
        self.places = cursors.iter().map(Cursor::place).collect();
        if let Some(run) = uncopied {
            return Some(self.wanted.slice(run.body, run.rows));
        }
        (found.len() > 0).then(|| self.wanted.gather(&reader, found))
    }
}

/// Rows of one chunk that no other rows reach into, each of them there once.
struct Run<'a> {
    cursor: usize,
    body: &'a Body,
    rows: Range<usize>,
}

impl<'a> Run<'a> {
    /// The run at the cursor that stands at the least hash, unless it is empty.
    fn at(cursors: &[Cursor<'a>], hash: u64, plain: &mut PlainChunks) -> Option<Run<'a>> {
        let is_first = |cursor: &Cursor| cursor.hash() == Some(hash);
        let position = cursors.iter().position(is_first)?;
        let cursor = &cursors[position];
        let others = cursors[position + 1..].iter().chain(&cursors[..position]);
        let limit = others.filter_map(Cursor::hash).min();
        let (last, next) = cursor.chunk_bounds()?;
        let body = cursor.body()?;
        if limit == Some(hash) || !plain.contains(position, cursor) {
            return None;
        }
        let (_, start) = cursor.place();
        // The chunk's last row may go on in the next chunk.
        let limit = limit.into_iter().chain(next).min();
        let end = match limit.filter(|limit| *limit <= last) {
            None => body.len(),
            Some(limit) => start + gallop(&body.hashes[start..], limit),
        };
        (end > start).then_some(Run {
            cursor: position,
            body,
            rows: start..end,
        })
    }

    fn picks(&self, cursors: &[Cursor]) -> impl Iterator<Item = Pick> {
        let Pick { source, .. } = cursors[self.cursor].pick();
        let rows = self.rows.start as u32..self.rows.end as u32;
        rows.map(move |row| Pick { source, row })
    }
}

/// Which chunks hold each of their rows once. The rows of a chunk are looked at once for this,
/// however often it is asked.
struct PlainChunks<'a> {
    wanted: &'a Wanted,
    timestamp_ms: u64,
    /// For each cursor the last chunk asked about, with the answer.
    known: Vec<Option<(usize, bool)>>,
}

impl<'a> PlainChunks<'a> {
    fn new(wanted: &'a Wanted, timestamp_ms: u64, cursors: usize) -> PlainChunks<'a> {
        PlainChunks {
            wanted,
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
        let current = cursor.chunks().get(chunk);
        let answer = current.is_some_and(|chunk| self.wanted.is_plain(chunk, self.timestamp_ms));
        self.known[position] = Some((chunk, answer));
        answer
    }
}
