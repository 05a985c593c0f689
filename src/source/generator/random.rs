//! Random draws that are the same on every machine, from PCG's defined stream.

use rand_pcg::Pcg64;
use rand_pcg::rand_core::Rng;

/// A stream of random draws.
#[derive(Clone, Debug)]
pub struct Random {
    generator: Pcg64,
}

impl Random {
    /// The stream of a seed; streams with different numbers have nothing in common.
    pub fn new(seed: u64, stream: u64) -> Random {
        let low = mix(seed);
        let high = mix(low ^ mix(stream));
        let state = u128::from(high) << 64 | u128::from(low);
        Random {
            generator: Pcg64::new(state, u128::from(high)),
        }
    }

    /// A whole number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.generator.next_u64()) * u128::from(bound);
        // The upper half of the product: below the bound, every value equally likely but for 2⁻⁶⁴.
        (product >> 64) as u64
    }

    /// A number from 0 to below 1, of 53 random bits.
    pub fn unit(&mut self) -> f64 {
        self.below(1 << 53) as f64 / (1u64 << 53) as f64
    }

    /// A whole number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(high.abs_diff(low) + 1) as i64
    }

    /// True in so many of a thousand cases.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// The position of one of `count` things.
    pub fn index(&mut self, count: usize) -> usize {
        self.below(count as u64) as usize
    }

    /// One of several things, of which there must be one.
    pub fn pick<'t, T>(&mut self, things: &'t [T]) -> &'t T {
        &things[self.index(things.len())]
    }

    /// The position of a weight, drawn by the weights.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let mut left = self.below(weights.iter().map(|weight| u64::from(*weight)).sum());
        for (index, weight) in weights.iter().enumerate() {
            match left.checked_sub(u64::from(*weight)) {
                Some(rest) => left = rest,
                None => return index,
            }
        }
        0
    }

    /// Thousandths rounded to a whole number, up or down at random so that the mean stays.
    pub fn rounded(&mut self, thousandths: u64) -> u64 {
        thousandths / 1000 + u64::from(self.chance(thousandths % 1000))
    }

    /// Brings things into a random order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            let other = self.index(last + 1);
            things.swap(last, other);
        }
    }
}

/// Spreads the bits of a number (the finaliser of SplitMix64).
pub fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Many weights to draw by, fast.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    /// For each position the sum of the weights up to it.
    sums: Vec<u64>,
}

impl Weights {
    /// Weights by position.
    pub fn new(weights: impl Iterator<Item = u64>) -> Weights {
        let mut sum = 0;
        let add = |weight| {
            sum += weight;
            sum
        };
        Weights {
            sums: weights.map(add).collect(),
        }
    }

    /// The sum of all weights.
    pub fn total(&self) -> u64 {
        self.sums.last().copied().unwrap_or(0)
    }

    /// The weight at a position.
    pub fn of(&self, index: usize) -> u64 {
        let before = index.checked_sub(1).map_or(0, |before| self.sums[before]);
        self.sums[index] - before
    }

    /// A position, drawn by the weights.
    pub fn draw(&self, random: &mut Random) -> usize {
        let drawn = random.below(self.total());
        self.sums.partition_point(|sum| *sum <= drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_the_same_on_every_machine() {
        let mut random = Random::new(42, 7);
        let drawn: Vec<u64> = (0..6).map(|_| random.below(1000)).collect();
        // Reckoned apart, from the definition of PCG.
        assert_eq!(drawn, [288, 41, 287, 188, 485, 771]);
    }

    #[test]
    fn draws_follow_their_weights() {
        let mut random = Random::new(1, 1);
        let weights = Weights::new([0, 30, 0, 70].into_iter());
        assert_eq!(
            (weights.total(), weights.of(1), weights.of(2)),
            (100, 30, 0)
        );
        let mut counts = [0; 4];
        for _ in 0..10_000 {
            counts[weights.draw(&mut random)] += 1;
        }
        assert_eq!((counts[0], counts[2]), (0, 0));
        assert!((2_800..3_200).contains(&counts[1]), "{counts:?}");
        let ups = (0..10_000).map(|_| random.rounded(2_250)).sum::<u64>();
        assert!((22_300..22_700).contains(&ups), "{ups}");
    }
}
