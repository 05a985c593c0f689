//! Rows of an arrangement that come or go as results.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt64Array};
use arrow::datatypes::SchemaRef;

use super::super::chunk::columns;
use super::super::column::Column;
use super::super::cursor::{Reader, keep_picked};
use super::super::lane::Pick;
use super::super::updates::{Updates, batch};

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
