//! What rows come to: their number, and sums of their columns.
//!
//! Each chunk of an ordered arrangement can tell it for all its rows. What stands before a row of
//! a large group is then known from the chunks before it, without reading them. The chunk is the
//! tile of these order statistics: it comes and goes with the rows, so there is nothing beside the
//! arrangement that could disagree with it.

use std::ops::Range;

use arrow::datatypes::i256;

use super::chunk::Body;
use super::examined::examine;
use super::extremes::{Extremes, number};
use super::lane::Lane;

/// A sum over rows, by the positions of columns in the arrangement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// What is summed; `None` where only the number of rows matters.
    pub argument: Option<usize>,
    /// A boolean column; only rows where it is true take part.
    pub filter: Option<usize>,
    /// Whether the least and the greatest are wanted, too.
    pub has_ends: bool,
}

/// The sum of a term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// How many rows with an argument that is not NULL take part.
    pub present: i64,
    /// The sum of the arguments, wide enough for any number of them.
    pub sum: i256,
}

/// What some rows come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many rows there are.
    pub copies: i64,
    /// The sum of each term.
    pub totals: Vec<Total>,
}

/// What all rows of a chunk come to.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Their number and sums.
    pub tally: Tally,
    /// The least and the greatest of each term for which they are wanted.
    pub extremes: Vec<Extremes>,
    /// Whether some rows only take others away.
    pub has_removals: bool,
    /// Whether there are different keys of one hash.
    pub has_collisions: bool,
}

impl Summary {
    /// Reads all rows.
    pub fn of(body: &Body, terms: &[Term]) -> Summary {
        let collides = |row: &usize| {
            body.hashes[row - 1] == body.hashes[*row] && !body.same_key(row - 1, body, *row)
        };
        let mut tally = Tally::none(terms);
        tally.add(body, 0..body.len(), terms);
        let ends = |term: &Term| match term.has_ends {
            true => Extremes::of(body, *term),
            false => Extremes::default(),
        };
        let wants_ends = terms.iter().any(|term| term.has_ends);
        Summary {
            tally,
            extremes: terms.iter().map(ends).collect(),
            has_removals: wants_ends && (0..body.len()).any(|row| body.counts.get(row) < 0),
            has_collisions: body.key_columns > 0 && (1..body.len()).any(|row| collides(&row)),
        }
    }
}

impl Tally {
    /// That of no rows.
    pub fn none(terms: &[Term]) -> Tally {
        Tally {
            copies: 0,
            totals: vec![Total::default(); terms.len()],
        }
    }

    /// Adds consecutive rows.
    pub fn add(&mut self, body: &Body, rows: Range<usize>, terms: &[Term]) {
        self.copies += match &body.counts {
            Lane::Constant(count, _) => count * rows.len() as i64,
            Lane::Values(counts) => {
                examine(rows.len());
                rows.clone().map(|row| counts.get(row)).sum::<i64>()
            }
        };
        for (total, term) in self.totals.iter_mut().zip(terms) {
            examine(rows.len());
            for row in rows.clone() {
                total.add(body, row, body.counts.get(row), *term);
            }
        }
    }

    /// Adds so many copies of a row.
    pub fn add_copies(&mut self, body: &Body, row: usize, copies: i64, terms: &[Term]) {
        self.copies += copies;
        for (total, term) in self.totals.iter_mut().zip(terms) {
            total.add(body, row, copies, *term);
        }
    }

    /// Adds what other rows come to.
    pub fn plus(&mut self, other: &Tally) {
        self.copies += other.copies;
        for (total, other) in self.totals.iter_mut().zip(&other.totals) {
            total.present += other.present;
            total.sum = total.sum.wrapping_add(other.sum);
        }
    }

    /// Takes away what other rows come to.
    pub fn minus(&mut self, other: &Tally) {
        self.copies -= other.copies;
        for (total, other) in self.totals.iter_mut().zip(&other.totals) {
            total.present -= other.present;
            total.sum = total.sum.wrapping_sub(other.sum);
        }
    }
}

impl Total {
    fn add(&mut self, body: &Body, row: usize, copies: i64, term: Term) {
        let is_true = |column: usize| body.columns[column].is_true(row);
        if term.filter.is_some_and(|filter| !is_true(filter)) {
            return;
        }
        let column = term.argument.map(|argument| &body.columns[argument]);
        if column.is_some_and(|column| column.is_null(row)) {
            return;
        }
        self.present += copies;
        let number = column.and_then(|column| number(column, row));
        let number = i256::from_i128(number.unwrap_or_default());
        self.sum = self.sum.wrapping_add(match copies {
            1 => number,
            _ => number.wrapping_mul(i256::from_i128(i128::from(copies))),
        });
    }
}
