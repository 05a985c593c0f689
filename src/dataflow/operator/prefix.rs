//! The least or greatest value before a place in a group.
//!
//! Each chunk knows the ends of the rows in it. Where nothing that has been taken away is still in
//! the arrangement, the end of all of them is known from these; else the copies of that value are
//! counted, and where none is left, those of all values.

use std::collections::HashMap;
use std::ops::Range;

use super::super::chunk::{Body, Chunk};
use super::super::examined::examine;
use super::super::extremes::{End, value};
use super::positions::{Place, Positions};

/// Rows before a place.
enum Part<'p> {
    /// All of a chunk, which knows about them.
    Chunk(&'p Chunk),
    /// A row, with its copies.
    Row(&'p Body, usize, i64),
}

impl Positions<'_> {
    /// The end of the values of a term among what stood before a place before the new batches
    /// (`None`), or as of a time within them.
    pub fn extreme(
        &self,
        place: &Place,
        as_of: Option<u64>,
        number: usize,
        end: End,
    ) -> Option<i128> {
        let term = self.terms[number];
        let mut farthest = None;
        let mut has_removals = false;
        self.each_part(place, as_of, &mut |part| match part {
            Part::Chunk(chunk) => {
                if let Some(summary) = chunk.summary(self.terms) {
                    let extremes = summary.extremes.get(number);
                    let found = extremes.and_then(|extremes| extremes.at(end));
                    farthest = end.of(farthest, found);
                    has_removals |= summary.has_removals;
                }
            }
            Part::Row(body, row, copies) if copies > 0 => {
                farthest = end.of(farthest, value(body, row, term));
            }
            Part::Row(..) => has_removals = true,
        });
        if !has_removals {
            return farthest;
        }
        let candidate = farthest?;
        let mut copies = 0;
        self.each_row(
            place,
            as_of,
            number,
            end,
            Some(candidate),
            &mut |found, count| {
                if found == candidate {
                    copies += count;
                }
            },
        );
        if copies > 0 {
            return farthest;
        }
        let mut counts: HashMap<i128, i64> = HashMap::new();
        self.each_row(place, as_of, number, end, None, &mut |found, count| {
            *counts.entry(found).or_default() += count;
        });
        let left = counts.into_iter().filter(|(_, count)| *count > 0);
        left.fold(None, |farthest, (found, _)| end.of(farthest, Some(found)))
    }

    /// Shows the values before a place with their copies; with `least`, those of chunks that have
    /// none so far at that end may be left out.
    fn each_row(
        &self,
        place: &Place,
        as_of: Option<u64>,
        number: usize,
        end: End,
        least: Option<i128>,
        see: &mut dyn FnMut(i128, i64),
    ) {
        let term = self.terms[number];
        self.each_part(place, as_of, &mut |part| match part {
            Part::Row(body, row, copies) => {
                if let Some(found) = value(body, row, term) {
                    see(found, copies);
                }
            }
            Part::Chunk(chunk) => {
                let summary = chunk.summary(self.terms);
                let may_have = summary.is_none_or(|summary| {
                    let extremes = summary.extremes.get(number);
                    let known = extremes.and_then(|extremes| extremes.at(end));
                    summary.has_removals
                        || least.is_none()
                        || known.is_some() && end.of(known, least) == known
                });
                if may_have {
                    let body = chunk.body();
                    examine(body.len());
                    for row in 0..body.len() {
                        if let Some(found) = value(body, row, term) {
                            see(found, body.counts.get(row));
                        }
                    }
                }
            }
        });
    }

    /// Shows everything before a place.
    fn each_part(&self, place: &Place, as_of: Option<u64>, see: &mut dyn FnMut(Part<'_>)) {
        for (run, behind) in self.runs.iter().zip(place) {
            for (position, chunk) in run.chunks.iter().enumerate() {
                let first = run.rows[position];
                if first >= *behind {
                    break;
                }
                let last = (*behind).min(run.rows[position + 1]);
                let within = run.place_in(position, first)..run.place_in(position, last);
                let is_whole = within == (0..chunk.rows()) && !self.is_mixed;
                match is_whole && chunk.summary(self.terms).is_some() {
                    true => see(Part::Chunk(chunk)),
                    false => self.each_own_row(chunk, within, see),
                }
            }
        }
        let novel = place.last().copied().unwrap_or(0);
        for pick in &self.novel[..novel] {
            let (body, row) = (self.reader.body(*pick), pick.row as usize);
            if as_of.is_some_and(|time| body.times.get(row) <= time) {
                see(Part::Row(body, row, body.counts.get(row)));
            }
        }
    }

    fn each_own_row(&self, chunk: &Chunk, rows: Range<usize>, see: &mut dyn FnMut(Part<'_>)) {
        let body = chunk.body();
        examine(rows.len());
        let (key, key_row) = (self.reader.body(self.key), self.key.row as usize);
        for row in rows {
            if !self.is_mixed || body.same_key(row, key, key_row) {
                see(Part::Row(body, row, body.counts.get(row)));
            }
        }
    }
}
