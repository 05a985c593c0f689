//! The hash of rows: which worker they go to, and where they stand in a chunk.

use super::column::Column;

/// Stands for NULL in a hash.
const NULL_WORD: u64 = 0x9ae1_6a3b_2f90_404f;

/// Where the hash of a row begins.
const BEGINNING: u64 = 0x51ed_270b_7a2f;
/// Odd, so that a product with it can be undone.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
/// The factors of MurmurHash3's last step, odd as well.
const LAST_FACTORS: [u64; 2] = [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53];

/// Hashes whole rows of the columns; the routing of rows to workers and the order of chunks rest
/// on it. With one NULL-free column of 8 bytes it is a bijection: no two values have one hash. Never
/// change it: bump a version instead wherever it should ever be stored.
pub fn hash_rows(columns: &[Column], rows: usize) -> Vec<u64> {
    let mut hashes = vec![BEGINNING; rows];
    for column in columns {
        column.hash_into(&mut hashes);
    }
    for hash in &mut hashes {
        for factor in LAST_FACTORS {
            *hash = (*hash ^ (*hash >> 33)).wrapping_mul(factor);
        }
        *hash ^= *hash >> 33;
    }
    hashes
}

/// A hash with one more word.
#[inline]
pub fn mix(hash: u64, word: u64) -> u64 {
    let product = (hash ^ word).wrapping_mul(FACTOR);
    product ^ (product >> 32)
}

/// Mixes a word for each row into its hash.
#[inline]
pub fn mix_in(
    hashes: &mut [u64],
    is_null: impl Fn(usize) -> bool,
    words: impl Iterator<Item = u64>,
) {
    for (row, (hash, word)) in hashes.iter_mut().zip(words).enumerate() {
        *hash = mix(*hash, if is_null(row) { NULL_WORD } else { word });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::UInt64Array;
    use proptest::prelude::*;

    use super::*;

    /// What an odd factor is to be multiplied with to give 1, by Newton's method.
    fn inverse(factor: u64) -> u64 {
        (0..6).fold(factor, |inverse, _| {
            inverse.wrapping_mul(2u64.wrapping_sub(factor.wrapping_mul(inverse)))
        })
    }

    /// The word that a hash is of.
    fn undone(hash: u64) -> u64 {
        let mut word = hash ^ (hash >> 33);
        for factor in LAST_FACTORS.into_iter().rev() {
            word = word.wrapping_mul(inverse(factor));
            word ^= word >> 33;
        }
        (word ^ (word >> 32)).wrapping_mul(inverse(FACTOR)) ^ BEGINNING
    }

    proptest! {
        #[test]
        fn each_value_of_8_bytes_has_a_hash_of_its_own(words in prop::collection::vec(any::<u64>(), 1..40)) {
            let column = Column::new(Arc::new(UInt64Array::from(words.clone())));
            let hashes = hash_rows(&[column], words.len());
            let found: Vec<u64> = hashes.into_iter().map(undone).collect();
            prop_assert_eq!(found, words);
        }
    }
}
