//! How often a stream is looked at: as often as the machine answers in time.
//!
//! Additive decrease of the interval while answers are quick, multiplicative increase when they
//! are slow (the shape of TCP's congestion control, Chiu & Jain 1989): streams that share a
//! machine converge to equal rates without talking to each other.

use std::time::Duration;

/// The interval between two optional samples of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    interval: Duration,
    slowest: Duration,
}

/// An answer that took longer than this says that the machine is busy. A picture takes 13 ms on
/// one core; three of them queued are still fine, more eat into the delay.
const SLOW: Duration = Duration::from_millis(50);
/// By how much a quick answer shortens the interval.
const STEP: Duration = Duration::from_millis(2);
/// The interval from which a slow answer starts, so that the first one is felt.
const FLOOR: Duration = Duration::from_millis(20);

impl Pace {
    /// Starts at every frame; never slower than `slowest`.
    pub(crate) fn new(slowest: Duration) -> Self {
        Self { interval: Duration::ZERO, slowest }
    }

    /// Learns how long an answer took from request to verdict.
    pub(crate) fn answered(&mut self, took: Duration) {
        self.interval = if took > SLOW {
            (self.interval.max(FLOOR) * 3 / 2).min(self.slowest)
        } else {
            self.interval.saturating_sub(STEP)
        };
    }

    /// Learns that an answer never came.
    pub(crate) fn missed(&mut self) {
        self.interval = (self.interval.max(FLOOR) * 2).min(self.slowest);
    }

    /// The least time between two optional samples.
    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_answers_stretch_the_interval_to_its_bound_and_quick_ones_bring_it_back() {
        let mut pace = Pace::new(Duration::from_millis(200));
        assert_eq!(pace.interval(), Duration::ZERO);
        for _ in 0..20 {
            pace.answered(Duration::from_millis(120));
        }
        assert_eq!(pace.interval(), Duration::from_millis(200));
        for _ in 0..100 {
            pace.answered(Duration::from_millis(15));
        }
        assert_eq!(pace.interval(), Duration::ZERO);
        pace.missed();
        assert_eq!(pace.interval(), Duration::from_millis(40));
    }
}
