//! Lanes: fixed-width numbers beside the columns of a batch, one per row (times, counts, sums).
//!
//! After compaction most times of a chunk are equal, and most counts are 1, so a lane that holds
//! one value throughout is kept as that value.

use super::numbers::{Numbers, Word};

/// A row of one of several sources that are being read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pick {
    /// Position of the source in the list at hand.
    pub source: u32,
    /// Row within the source.
    pub row: u32,
}

/// Numbers that can be accumulated under retraction: addition wraps, so that adding a value and
/// taking it away again always restores the sum.
pub trait Summand: Word {
    /// The neutral element.
    const ZERO: Self;
    /// Wrapping sum.
    fn plus(self, other: Self) -> Self;
    /// Wrapping multiple.
    fn times(self, factor: i64) -> Self;
}

impl Summand for i64 {
    const ZERO: i64 = 0;
    fn plus(self, other: i64) -> i64 {
        self.wrapping_add(other)
    }
    fn times(self, factor: i64) -> i64 {
        self.wrapping_mul(factor)
    }
}

impl Summand for i128 {
    const ZERO: i128 = 0;
    fn plus(self, other: i128) -> i128 {
        self.wrapping_add(other)
    }
    fn times(self, factor: i64) -> i128 {
        self.wrapping_mul(i128::from(factor))
    }
}

/// One number per row.
#[derive(Clone, Debug)]
pub enum Lane<T: Word> {
    /// The same number for this many rows.
    Constant(T, usize),
    /// A number for each row.
    Values(Numbers<T>),
}

impl<T: Word> From<Vec<T>> for Lane<T> {
    fn from(values: Vec<T>) -> Self {
        match values.first() {
            Some(first) if values.iter().all(|value| value == first) => {
                Lane::Constant(*first, values.len())
            }
            _ => Lane::Values(values.into()),
        }
    }
}

impl<T: Word> Lane<T> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Lane::Constant(_, length) => *length,
            Lane::Values(values) => values.len(),
        }
    }

    /// The number of a row.
    #[inline]
    pub fn get(&self, row: usize) -> T {
        match self {
            Lane::Constant(value, _) => *value,
            Lane::Values(values) => values.get(row),
        }
    }

    /// The numbers in order.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        (0..self.len()).map(|row| self.get(row))
    }

    /// Whether every row has this number without looking at each of them.
    pub fn is_constant(&self, value: T) -> bool {
        matches!(self, Lane::Constant(held, _) if *held == value)
    }

    /// The rows `offset..offset + length`, without copying.
    pub fn slice(&self, offset: usize, length: usize) -> Self {
        match self {
            Lane::Constant(value, _) => Lane::Constant(*value, length),
            Lane::Values(values) => Lane::Values(values.slice(offset, length)),
        }
    }

    /// The same numbers in as few bytes as their range needs.
    pub fn packed(&self) -> Self {
        match self {
            Lane::Constant(..) => self.clone(),
            Lane::Values(values) => values.packed().map_or_else(|| self.clone(), Lane::Values),
        }
    }

    /// The memory it takes in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Lane::Constant(..) => 0,
            Lane::Values(values) => values.bytes(),
        }
    }

    /// The picked rows of several lanes.
    pub fn gather(sources: &[&Lane<T>], picks: &[Pick]) -> Self {
        if let Some(value) = shared_constant(sources) {
            return Lane::Constant(value, picks.len());
        }
        Self::gathered(sources, picks).into()
    }

    fn gathered(sources: &[&Lane<T>], picks: &[Pick]) -> Vec<T> {
        let numbers: Option<Vec<&Numbers<T>>> = sources
            .iter()
            .map(|lane| match lane {
                Lane::Values(values) => Some(values),
                Lane::Constant(..) => None,
            })
            .collect();
        match numbers {
            Some(numbers) => Numbers::gather(&numbers, picks),
            None => picks
                .iter()
                .map(|pick| sources[pick.source as usize].get(pick.row as usize))
                .collect(),
        }
    }

    /// The lanes one after the other.
    pub fn concat(sources: &[&Lane<T>]) -> Self {
        let length = sources.iter().map(|lane| lane.len()).sum();
        if let Some(value) = shared_constant(sources) {
            return Lane::Constant(value, length);
        }
        let mut values = Vec::with_capacity(length);
        for lane in sources {
            values.extend(lane.iter());
        }
        values.into()
    }
}

impl<T: Summand> Lane<T> {
    /// The picked rows, each with further rows added to it: an addition is (position in the
    /// result, row to add).
    pub fn gather_sum(sources: &[&Lane<T>], picks: &[Pick], additions: &[(u32, Pick)]) -> Self {
        if additions.is_empty() || all_zero(sources) {
            return Self::gather(sources, picks);
        }
        let mut values = Self::gathered(sources, picks);
        for (position, pick) in additions {
            let sum = &mut values[*position as usize];
            *sum = sum.plus(sources[pick.source as usize].get(pick.row as usize));
        }
        values.into()
    }
}

/// The picked values of several buffers.
pub fn gather_values<T: Copy>(sources: &[&[T]], picks: &[Pick]) -> Vec<T> {
    if let [source] = sources {
        return picks.iter().map(|pick| source[pick.row as usize]).collect();
    }
    picks
        .iter()
        .map(|pick| sources[pick.source as usize][pick.row as usize])
        .collect()
}

fn all_zero<T: Summand>(sources: &[&Lane<T>]) -> bool {
    sources.iter().all(|lane| lane.is_constant(T::ZERO))
}

fn shared_constant<T: Word>(sources: &[&Lane<T>]) -> Option<T> {
    let Some(Lane::Constant(value, _)) = sources.first() else {
        return None;
    };
    sources
        .iter()
        .all(|lane| lane.is_constant(*value))
        .then_some(*value)
}
