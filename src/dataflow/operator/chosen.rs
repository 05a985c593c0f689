//! Rows of an arrangement that come or go as results.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt64Array};
use arrow::datatypes::SchemaRef;

use super::super::chunk::columns;
use super::super::column::Column;
use super::super::cursor::{Reader, keep_picked};
use super::super::lane::Pick;
use super::super::updates::{Updates, batch};

/// Bytes of texts and the like that are given on at once: a column may have no more than 2 GiB.
const BYTES_AT_ONCE: usize = 64 << 20;

/// Rows that come or go, each with its position in its group.
#[derive(Default)]
pub struct Chosen {
    pub picks: Vec<Pick>,
    times: Vec<u64>,
    counts: Vec<i64>,
    positions: Vec<u64>,
}

impl Chosen {
    /// Adds copies of a row.
    pub fn push(&mut self, pick: Pick, time: u64, count: i64, position: u64) {
        self.picks.push(pick);
        self.times.push(time);
        self.counts.push(count);
        self.positions.push(position);
    }

    /// Gives the rows on, in parts whose texts and the like take a bounded number of bytes: see
    /// [`Chosen::gather`].
    pub fn give(
        self,
        reader: &Reader,
        schema: &SchemaRef,
        columns_wanted: &[usize],
        with_position: bool,
        emit: &mut dyn FnMut(Updates),
    ) {
        let mut rest = self;
        for length in rest.parts(reader, columns_wanted) {
            let part = rest.take_first(length);
            emit(part.gather(reader, schema, columns_wanted, with_position));
        }
        if !rest.picks.is_empty() {
            emit(rest.gather(reader, schema, columns_wanted, with_position));
        }
    }

    /// The lengths of all parts but the last.
    fn parts(&self, reader: &Reader, columns_wanted: &[usize]) -> Vec<usize> {
        let first = reader.bodies.first();
        let mut varying = first.map(|body| body.varying()).unwrap_or_default();
        varying.retain(|column| columns_wanted.contains(column));
        let (mut lengths, mut length, mut bytes) = (Vec::new(), 0, 0);
        let picks: &[Pick] = match varying.is_empty() {
            true => &[],
            false => &self.picks,
        };
        for pick in picks {
            length += 1;
            bytes += reader
                .body(*pick)
                .varying_bytes(pick.row as usize, &varying);
            if bytes >= BYTES_AT_ONCE {
                lengths.push(length);
                (length, bytes) = (0, 0);
            }
        }
        lengths
    }

    /// Takes the first rows out.
    fn take_first(&mut self, length: usize) -> Chosen {
        Chosen {
            picks: self.picks.drain(..length).collect(),
            times: self.times.drain(..length).collect(),
            counts: self.counts.drain(..length).collect(),
            positions: self.positions.drain(..length).collect(),
        }
    }

    /// The columns of the arrangement at `columns_wanted`, and, if wanted, the position.
    pub fn gather(
        mut self,
        reader: &Reader,
        schema: &SchemaRef,
        columns_wanted: &[usize],
        with_position: bool,
    ) -> Updates {
        let bodies = keep_picked(&reader.bodies, &mut self.picks);
        let mut arrays: Vec<ArrayRef> = columns_wanted
            .iter()
            .map(|column| {
                let sources = columns(&bodies, *column);
                Column::gather(&sources, &self.picks).array()
            })
            .collect();
        if with_position {
            arrays.push(Arc::new(UInt64Array::from(self.positions)));
        }
        Updates {
            rows: batch(Arc::clone(schema), arrays, self.picks.len()),
            times: self.times.into(),
            counts: self.counts.into(),
        }
    }
}
