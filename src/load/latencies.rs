//! The distribution of durations, in bounded memory. Pure.
//!
//! Log-linear buckets as in HdrHistogram (Tene): each octave of microseconds is cut into 128, so
//! a percentile is right to 0.8 %, from a microsecond to two minutes, in 13 kB.

use std::time::Duration;

use serde::Serialize;

/// Steps in an octave, as a power of two.
const FINE: u32 = 7;

/// Octaves above the first, linear one; the last takes everything from 134 s on.
const OCTAVES: usize = 20;

/// Buckets.
const BUCKETS: usize = (OCTAVES + 2) << FINE;

/// Durations that were counted.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    counts: Vec<u32>,
    total: u64,
    longest: Duration,
}

/// Percentiles in milliseconds; `None` when nothing was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: Option<f64>,
    pub(crate) p95: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) max: Option<f64>,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, longest: Duration::ZERO }
    }
}

impl Latencies {
    /// Counts one.
    pub(crate) fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket(micros)] += 1;
        self.total += 1;
        self.longest = self.longest.max(duration);
    }

    /// Counts all that another one did.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }

    /// The value that this share of all, 0 to 1, does not exceed; `None` when there are none.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let reaches = |count: &u32| {
            seen += u64::from(*count);
            seen >= rank
        };
        let bucket = self.counts.iter().position(reaches)?;
        Some(Duration::from_micros(upper_end(bucket)).min(self.longest))
    }

    /// The percentiles that are shown.
    pub(crate) fn percentiles(&self) -> Percentiles {
        let at = |share| self.quantile(share).map(ms);
        let max = (self.total > 0).then(|| ms(self.longest));
        Percentiles { p50: at(0.5), p95: at(0.95), p99: at(0.99), max }
    }
}

/// Milliseconds, to a hundredth.
pub(crate) fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e5).round() / 1e2
}

fn bucket(micros: u64) -> usize {
    let octave = (63 - (micros | 1).leading_zeros()).saturating_sub(FINE);
    let index = ((octave as usize) << FINE) + (micros >> octave) as usize;
    index.min(BUCKETS - 1)
}

/// The largest value of a bucket, microseconds.
fn upper_end(bucket: usize) -> u64 {
    let octave = (bucket >> FINE).saturating_sub(1);
    let mantissa = (bucket - (octave << FINE)) as u64;
    ((mantissa + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_counted_has_no_percentiles() {
        assert_eq!(Latencies::default().percentiles(), Percentiles::default());
    }

    #[test]
    fn merging_is_counting_both() {
        let (mut a, mut b, mut both) =
            (Latencies::default(), Latencies::default(), Latencies::default());
        for ms in 1..=50 {
            a.record(Duration::from_millis(ms));
            b.record(Duration::from_millis(10 * ms));
            both.record(Duration::from_millis(ms));
            both.record(Duration::from_millis(10 * ms));
        }
        a.merge(&b);
        assert_eq!(a.percentiles(), both.percentiles());
        assert_eq!(a.percentiles().max, Some(500.0));
    }

    #[test]
    fn what_is_longer_than_anything_expected_is_still_counted() {
        let mut latencies = Latencies::default();
        latencies.record(Duration::from_secs(100_000));
        assert_eq!(latencies.percentiles().max, Some(1e8));
        assert!(latencies.quantile(0.5).is_some_and(|half| half > Duration::from_secs(134)));
    }

    proptest! {
        #[test]
        fn quantiles_are_right_to_a_percent(
            mut micros in prop::collection::vec(0_u64..100_000_000, 1..300), share in 0.0..=1.0_f64
        ) {
            let mut latencies = Latencies::default();
            for value in &micros {
                latencies.record(Duration::from_micros(*value));
            }
            micros.sort_unstable();
            let rank = (micros.len() as f64 * share).ceil().max(1.0) as usize;
            let exact = micros[rank - 1];
            let found = latencies.quantile(share).unwrap().as_micros() as u64;
            prop_assert!(found >= exact && found - exact <= exact / 128);
        }
    }
}
