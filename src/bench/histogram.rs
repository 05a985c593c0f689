//! A histogram of durations with a bounded relative error, in the manner of HDR histograms.
//!
//! Values fall into buckets of equal width within each power of two, [`STEPS`] of them, so a
//! quantile is off by less than one percent whatever its size, at a few kilobytes.

use std::time::Duration;

/// Buckets for each power of two of nanoseconds.
const STEPS: u64 = 128;

/// Counts of durations.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    largest_ns: u64,
}

impl Histogram {
    /// Counts a duration.
    pub fn record(&mut self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = bucket_of(ns);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
        self.largest_ns = self.largest_ns.max(ns);
    }

    /// How many durations were counted.
    pub fn len(&self) -> u64 {
        self.total
    }

    /// The duration in milliseconds that this share of all does not exceed: 0.5 gives the median,
    /// 1.0 the largest, exactly.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let wanted = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total.max(1));
        if wanted >= self.total {
            return self.largest_ns as f64 / 1e6;
        }
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper_bound(bucket).min(self.largest_ns) as f64 / 1e6;
            }
        }
        self.largest_ns as f64 / 1e6
    }
}

fn bucket_of(ns: u64) -> usize {
    if ns < STEPS {
        return ns as usize;
    }
    let power = ns.ilog2() - STEPS.ilog2();
    let step = ns >> power;
    (u64::from(power) * STEPS + step) as usize
}

/// The largest value that falls into a bucket.
fn upper_bound(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return bucket;
    }
    let power = bucket / STEPS - 1;
    let step = bucket % STEPS + STEPS;
    ((step + 1) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_and_hold_their_values() {
        let mut previous = 0;
        for ns in (0..20_000).chain((1..40).map(|power| 3 << power)) {
            let bucket = bucket_of(ns);
            assert!(bucket >= previous || ns < 20_000, "{ns}");
            let bound = upper_bound(bucket);
            assert!(
                bound >= ns && (bound - ns) as f64 <= ns as f64 / 100.0,
                "{ns}: {bound}"
            );
            assert_eq!(bucket_of(bound), bucket);
            previous = bucket;
        }
    }

    #[test]
    fn quantiles_are_those_of_the_durations() {
        let mut histogram = Histogram::default();
        for ms in 1..=1000 {
            histogram.record(Duration::from_millis(ms));
        }
        for (share, expected) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = histogram.quantile_ms(share);
            assert!(
                (found - expected).abs() <= expected / 100.0,
                "{share}: {found}"
            );
        }
        assert_eq!(Histogram::default().quantile_ms(0.5), 0.0);
    }
}
