//! Rows that are read off the groups of an arrangement: one for each group that is there, made of
//! its key and its sums.

use arrow::array::ArrayRef;

use super::chunk::{Body, SumLane, columns};
use super::column::Column;
use super::cursor::keep_picked;
use super::lane::{Lane, Pick};
use super::sums::{Finish, Sums};

/// How rows are read off groups.
#[derive(Clone, Debug, Default)]
pub struct Grouping {
    /// What the arrangement sums.
    pub sums: Sums,
    /// The results that are read off the sums.
    pub finishes: Vec<Finish>,
    /// The columns of a row.
    pub columns: Vec<GroupColumn>,
}

/// A column of the row of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupColumn {
    /// A key column, by its position.
    Key(usize),
    /// A result, by its position.
    Result(usize),
}

/// Groups that have been found among the rows of an arrangement.
#[derive(Debug, Default)]
pub struct FoundGroups {
    /// A row of each group.
    pub picks: Vec<Pick>,
    /// Further rows, each with the position of its group.
    pub additions: Vec<(u32, Pick)>,
}

impl FoundGroups {
    /// Adds a group of the given rows; those of no rows are none.
    pub fn push(&mut self, rows: &[Pick]) {
        let position = self.picks.len() as u32;
        if let [first, others @ ..] = rows {
            self.picks.push(*first);
            let others = others.iter().map(|pick| (position, *pick));
            self.additions.extend(others);
        }
    }
}

impl Grouping {
    /// Groups without sums, which are all of their key.
    pub fn of_keys(columns: usize) -> Grouping {
        Grouping {
            columns: (0..columns).map(GroupColumn::Key).collect(),
            ..Grouping::default()
        }
    }

    /// The same groups, of which rows show only some columns.
    pub fn choose(self, columns: &[usize]) -> Grouping {
        let chosen = columns.iter().map(|column| self.columns[*column]);
        Grouping {
            columns: chosen.collect(),
            ..self
        }
    }

    /// Whether rows are read off at little cost, so that they need not be kept.
    pub fn is_read_fast(&self) -> bool {
        let mut finishes = self.finishes.iter();
        finishes.all(|finish| self.sums.is_read_fast(finish))
    }

    /// Some columns of groups, from their key columns, counts and sums.
    pub fn arrays(
        &self,
        wanted: &[usize],
        key: impl Fn(usize) -> ArrayRef,
        counts: &[i64],
        sums: &[SumLane],
    ) -> Vec<ArrayRef> {
        let wanted = wanted.iter();
        let arrays = wanted.map(|column| match self.columns[*column] {
            GroupColumn::Key(position) => key(position),
            GroupColumn::Result(result) => self.sums.finish(&self.finishes[result], counts, sums),
        });
        arrays.collect()
    }

    /// Some columns of groups that have been found.
    pub fn gather(
        &self,
        wanted: &[usize],
        bodies: &[&Body],
        mut found: FoundGroups,
    ) -> Vec<ArrayRef> {
        let added = found.additions.iter_mut().map(|(_, pick)| pick);
        let bodies = keep_picked(bodies, found.picks.iter_mut().chain(added));
        let FoundGroups { picks, additions } = found;
        let key = |position: usize| {
            let gathered = Column::gather(&columns(&bodies, position), &picks);
            gathered.array()
        };
        if !self.needs_sums(wanted) {
            return self.arrays(wanted, key, &[], &[]);
        }
        let counts: Vec<&Lane<i64>> = bodies.iter().map(|body| &body.counts).collect();
        let counts = Lane::gather_sum(&counts, &picks, &additions);
        let counts: Vec<i64> = counts.iter().collect();
        let sums = 0..bodies[0].sums.len();
        let sums: Vec<SumLane> = sums
            .map(|sum| SumLane::gather_sum(&bodies, sum, &picks, &additions))
            .collect();
        self.arrays(wanted, key, &counts, &sums)
    }

    /// Some columns of the rows `offset..offset + length` of a chunk, each of which is a group.
    pub fn slice(
        &self,
        wanted: &[usize],
        body: &Body,
        offset: usize,
        length: usize,
    ) -> Vec<ArrayRef> {
        let key = |position: usize| body.columns[position].slice(offset, length).array();
        if !self.needs_sums(wanted) {
            return self.arrays(wanted, key, &[], &[]);
        }
        let counts: Vec<i64> = body.counts.slice(offset, length).iter().collect();
        let sums = body.sums.iter();
        let sums: Vec<SumLane> = sums.map(|sum| sum.slice(offset, length)).collect();
        self.arrays(wanted, key, &counts, &sums)
    }

    fn needs_sums(&self, wanted: &[usize]) -> bool {
        let mut wanted = wanted.iter();
        wanted.any(|column| matches!(self.columns[*column], GroupColumn::Result(_)))
    }
}
