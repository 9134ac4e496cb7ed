//! How long to wait before the next attempt to reach a server. Pure.

use std::time::Duration;

/// The first wait, before jitter.
const FIRST: Duration = Duration::from_millis(200);

/// The longest wait, before jitter: a server that is back is joined again well within 5 s.
const LONGEST: Duration = Duration::from_secs(2);

/// A connection that lasted this long was a success, and the next failure is a first one.
pub(super) const STABLE: Duration = Duration::from_secs(10);

/// Exponential waits with jitter: each is drawn from the upper half of its step.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure. `entropy` is uniform in 0..1.
    pub(super) fn next(&mut self, entropy: f64) -> Duration {
        // Past 2^5 the cap has long been reached.
        let step = FIRST.saturating_mul(1 << self.failures.min(5)).min(LONGEST);
        self.failures += 1;
        step.mul_f64(0.5 + entropy.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_cap_and_stays_within_the_jitter() {
        let (mut low, mut high) = (Backoff::default(), Backoff::default());
        let steps = [200, 400, 800, 1600, 2000, 2000, 2000, 2000];
        for step in steps.map(Duration::from_millis) {
            assert_eq!(low.next(0.0), step / 2);
            assert_eq!(high.next(1.0), step);
        }
    }

    #[test]
    fn never_overflows() {
        let mut backoff = Backoff { failures: u32::MAX - 1 };
        assert_eq!(backoff.next(1.0), LONGEST);
    }
}
