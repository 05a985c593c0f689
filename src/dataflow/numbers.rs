//! Integers of one chunk, each in as few bytes as the range of all of them needs.
//!
//! What is being computed is kept plain. The chunks of large batches are packed when they are
//! merged: a column of keys or sums then takes a quarter to a half of its width, as ids, days and
//! amounts lie close together within any 4,096 rows. A row is still read by its position at once:
//! the distance from the least number is added to that number.

use std::borrow::Cow;

use arrow::buffer::ScalarBuffer;
use arrow::datatypes::ArrowNativeType;

use super::lane::{Pick, gather_values};

/// Numbers that can be kept as distances from the least of them, compared as signed ones: most
/// numbers lie close to zero.
pub trait Word: ArrowNativeType + PartialEq {
    /// Whether it comes before another.
    fn is_before(self, other: Self) -> bool;
    /// How far it lies behind another that does not come after it, as far as that fits.
    fn distance(self, least: Self) -> u64;
    /// The same, whole.
    fn whole_distance(self, least: Self) -> u128 {
        u128::from(self.distance(least))
    }
    /// The number that lies so far behind another.
    fn behind(self, distance: u64) -> Self;
}

impl Word for u32 {
    #[inline]
    fn is_before(self, other: u32) -> bool {
        (self as i32) < other as i32
    }
    #[inline]
    fn distance(self, least: u32) -> u64 {
        u64::from(self.wrapping_sub(least))
    }
    #[inline]
    fn behind(self, distance: u64) -> u32 {
        self.wrapping_add(distance as u32)
    }
}

impl Word for u64 {
    #[inline]
    fn is_before(self, other: u64) -> bool {
        (self as i64) < other as i64
    }
    #[inline]
    fn distance(self, least: u64) -> u64 {
        self.wrapping_sub(least)
    }
    #[inline]
    fn behind(self, distance: u64) -> u64 {
        self.wrapping_add(distance)
    }
}

impl Word for i64 {
    #[inline]
    fn is_before(self, other: i64) -> bool {
        self < other
    }
    #[inline]
    fn distance(self, least: i64) -> u64 {
        self.wrapping_sub(least) as u64
    }
    #[inline]
    fn behind(self, distance: u64) -> i64 {
        self.wrapping_add(distance as i64)
    }
}

impl Word for i128 {
    #[inline]
    fn is_before(self, other: i128) -> bool {
        self < other
    }
    #[inline]
    fn distance(self, least: i128) -> u64 {
        self.wrapping_sub(least) as u64
    }
    fn whole_distance(self, least: i128) -> u128 {
        self.wrapping_sub(least) as u128
    }
    #[inline]
    fn behind(self, distance: u64) -> i128 {
        self.wrapping_add(i128::from(distance))
    }
}

/// A number for each row.
#[derive(Clone, Debug)]
pub enum Numbers<T: Word> {
    /// As they are.
    Plain(ScalarBuffer<T>),
    /// Distances from a number, of one byte each.
    One(T, ScalarBuffer<u8>),
    /// Of two bytes each.
    Two(T, ScalarBuffer<u16>),
    /// Of four bytes each.
    Four(T, ScalarBuffer<u32>),
    /// Of eight bytes each.
    Eight(T, ScalarBuffer<u64>),
}

impl<T: Word> From<Vec<T>> for Numbers<T> {
    fn from(values: Vec<T>) -> Self {
        Numbers::Plain(values.into())
    }
}

impl<T: Word> Numbers<T> {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Numbers::Plain(values) => values.len(),
            Numbers::One(_, distances) => distances.len(),
            Numbers::Two(_, distances) => distances.len(),
            Numbers::Four(_, distances) => distances.len(),
            Numbers::Eight(_, distances) => distances.len(),
        }
    }

    /// The number of a row.
    // Rows are compared by it: a call for each costs a load a tenth of its time.
    #[inline(always)]
    pub fn get(&self, row: usize) -> T {
        match self {
            Numbers::Plain(values) => values[row],
            packed => packed.get_packed(row),
        }
    }

    fn get_packed(&self, row: usize) -> T {
        match self {
            Numbers::Plain(values) => values[row],
            Numbers::One(least, distances) => least.behind(u64::from(distances[row])),
            Numbers::Two(least, distances) => least.behind(u64::from(distances[row])),
            Numbers::Four(least, distances) => least.behind(u64::from(distances[row])),
            Numbers::Eight(least, distances) => least.behind(distances[row]),
        }
    }

    /// The rows `offset..offset + length`, without copying.
    pub fn slice(&self, offset: usize, length: usize) -> Self {
        match self {
            Numbers::Plain(values) => Numbers::Plain(values.slice(offset, length)),
            Numbers::One(least, rows) => Numbers::One(*least, rows.slice(offset, length)),
            Numbers::Two(least, rows) => Numbers::Two(*least, rows.slice(offset, length)),
            Numbers::Four(least, rows) => Numbers::Four(*least, rows.slice(offset, length)),
            Numbers::Eight(least, rows) => Numbers::Eight(*least, rows.slice(offset, length)),
        }
    }

    /// All of them as they are; copied unless they are plain.
    pub fn plain(&self) -> ScalarBuffer<T> {
        match self {
            Numbers::Plain(values) => values.clone(),
            packed => packed.unpacked().into(),
        }
    }

    fn unpacked(&self) -> Vec<T> {
        fn all<T: Word, D: Copy + Into<u64>>(least: T, distances: &[D]) -> Vec<T> {
            let distances = distances.iter();
            distances
                .map(|distance| least.behind((*distance).into()))
                .collect()
        }
        match self {
            Numbers::Plain(values) => values.to_vec(),
            Numbers::One(least, distances) => all(*least, distances),
            Numbers::Two(least, distances) => all(*least, distances),
            Numbers::Four(least, distances) => all(*least, distances),
            Numbers::Eight(least, distances) => all(*least, distances),
        }
    }

    /// The same numbers in as few bytes as their range needs; `None` if they are that already.
    pub fn packed(&self) -> Option<Self> {
        let Numbers::Plain(values) = self else {
            return None;
        };
        let first = values.first()?;
        let (mut least, mut greatest) = (*first, *first);
        for value in values.iter() {
            if value.is_before(least) {
                least = *value;
            }
            if greatest.is_before(*value) {
                greatest = *value;
            }
        }
        let distances = values.iter().map(|value| value.distance(least));
        Some(match greatest.whole_distance(least) {
            0..=0xff => Numbers::One(least, distances.map(|far| far as u8).collect()),
            0x100..=0xffff if size_of::<T>() > 2 => {
                Numbers::Two(least, distances.map(|far| far as u16).collect())
            }
            0x1_0000..=0xffff_ffff if size_of::<T>() > 4 => {
                Numbers::Four(least, distances.map(|far| far as u32).collect())
            }
            0x1_0000_0000..=0xffff_ffff_ffff_ffff if size_of::<T>() > 8 => {
                Numbers::Eight(least, distances.collect())
            }
            _ => return None,
        })
    }

    /// The memory they take in bytes.
    pub fn bytes(&self) -> usize {
        let width = match self {
            Numbers::Plain(_) => size_of::<T>(),
            Numbers::One(..) => 1,
            Numbers::Two(..) => 2,
            Numbers::Four(..) => 4,
            Numbers::Eight(..) => 8,
        };
        self.len() * width
    }

    /// The picked rows of several.
    pub fn gather(sources: &[&Numbers<T>], picks: &[Pick]) -> Vec<T> {
        let is_plain = |numbers: &&Numbers<T>| matches!(numbers, Numbers::Plain(_));
        let is_worth_unpacking = || {
            let packed = sources.iter().filter(|numbers| !is_plain(numbers));
            packed.map(|numbers| numbers.len()).sum::<usize>() <= 4 * picks.len()
        };
        if !sources.iter().all(is_plain) && !is_worth_unpacking() {
            let get = |pick: &Pick| sources[pick.source as usize].get(pick.row as usize);
            return picks.iter().map(get).collect();
        }
        let values: Vec<Cow<'_, [T]>> = sources
            .iter()
            .map(|numbers| match numbers {
                Numbers::Plain(values) => Cow::Borrowed(&values[..]),
                packed => Cow::Owned(packed.unpacked()),
            })
            .collect();
        let values: Vec<&[T]> = values.iter().map(|values| &values[..]).collect();
        gather_values(&values, picks)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picks(rows: usize) -> Vec<Pick> {
        let picks = (0..rows).rev().map(|row| Pick {
            source: (row % 2) as u32,
            row: row as u32,
        });
        picks.collect()
    }

    fn is_kept<T: Word + std::fmt::Debug>(values: Vec<T>) -> usize {
        let plain = Numbers::from(values.clone());
        let packed = plain.packed().unwrap_or_else(|| plain.clone());
        assert_eq!(&packed.plain()[..], &values[..]);
        let rows: Vec<T> = (0..packed.len()).map(|row| packed.get(row)).collect();
        assert_eq!(rows, values);
        let (offset, length) = (values.len() / 3, values.len() / 2);
        let slice = packed.slice(offset, length);
        assert_eq!(&slice.plain()[..], &values[offset..offset + length]);
        for rows in [values.len(), values.len().min(1)] {
            let picks = picks(rows);
            let expected: Vec<T> = picks.iter().map(|pick| values[pick.row as usize]).collect();
            assert_eq!(Numbers::gather(&[&packed, &plain], &picks), expected);
        }
        packed.bytes()
    }

    proptest! {
        #[test]
        fn every_number_is_kept(
            words in prop::collection::vec(any::<u64>(), 0..40),
            shift in 0u32..64,
            base in any::<u64>(),
        ) {
            let near = words.iter().map(|word| base.wrapping_add(word >> shift));
            let near: Vec<u64> = near.collect();
            is_kept(near.clone());
            is_kept(near.iter().map(|word| *word as i64).collect());
            is_kept(near.iter().map(|word| *word as u32).collect());
            is_kept(near.iter().map(|word| i128::from(*word) << (shift % 32)).collect());
        }
    }

    #[test]
    fn numbers_take_what_their_range_needs() {
        assert_eq!(is_kept(vec![-1i64, 254]), 2);
        assert_eq!(is_kept(vec![-1i64, 255]), 4);
        assert_eq!(is_kept(vec![i64::MIN, i64::MIN + 65_536]), 8);
        assert_eq!(is_kept(vec![0i64, 1 << 32]), 16);
        assert_eq!(is_kept(vec![i64::MIN, i64::MAX]), 16);
        assert_eq!(is_kept(vec![u64::MAX, 0, 1]), 3);
        assert_eq!(is_kept(vec![u32::MAX, 0, 70_000]), 12);
        assert_eq!(is_kept(vec![0i128, i128::from(u64::MAX)]), 16);
        assert_eq!(is_kept(vec![i128::MIN, i128::MAX]), 32);
        assert_eq!(is_kept::<i64>(Vec::new()), 0);
    }
}
