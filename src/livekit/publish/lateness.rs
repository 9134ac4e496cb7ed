//! How late frames leave. Pure.

use std::time::Duration;

/// Width of a bucket.
const STEP: Duration = Duration::from_micros(250);

/// Buckets; the last takes everything from 16 ms on.
const BUCKETS: usize = 64;

/// The distribution of release lateness on one connection.
#[derive(Debug)]
pub(super) struct Lateness {
    buckets: [u64; BUCKETS],
    worst: Duration,
}

impl Default for Lateness {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], worst: Duration::ZERO }
    }
}

impl Lateness {
    /// Counts one frame that left this late.
    pub(super) fn record(&mut self, late: Duration) {
        let bucket = (late.as_nanos() / STEP.as_nanos()) as usize;
        self.buckets[bucket.min(BUCKETS - 1)] += 1;
        self.worst = self.worst.max(late);
    }

    /// The upper end of the bucket in which this share of frames is reached.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        let total: u64 = self.buckets.iter().sum();
        let wanted = (total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in (1..).zip(self.buckets) {
            seen += count;
            if seen >= wanted {
                return STEP * bucket;
            }
        }
        self.worst
    }

    /// Writes the distribution to the log.
    pub(super) fn report(&self) {
        let frames: u64 = self.buckets.iter().sum();
        if frames > 0 {
            let ms = |late: Duration| late.as_secs_f64() * 1e3;
            tracing::info!(
                frames,
                p50_ms = ms(self.quantile(0.5)),
                p99_ms = ms(self.quantile(0.99)),
                worst_ms = ms(self.worst),
                "how late frames left"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_bucket_ends() {
        let mut lateness = Lateness::default();
        for micros in 0..1000 {
            lateness.record(Duration::from_micros(micros));
        }
        lateness.record(Duration::from_secs(1));
        assert_eq!(lateness.quantile(0.5), Duration::from_micros(750));
        assert_eq!(lateness.quantile(0.1), Duration::from_micros(250));
        assert_eq!(lateness.quantile(1.0), STEP * BUCKETS as u32);
    }
}
