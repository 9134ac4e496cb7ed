//! How often a stream is looked at: as often as the machine answers in time, and as what was found
//! of late is worth.
//!
//! The machine: steady decrease of the interval while answers are quick, multiplicative increase
//! when they are slow (the shape of TCP's congestion control, Chiu & Jain 1989): streams that
//! share a machine converge to equal rates without talking to each other.
//!
//! The worth: every frame while more than half of the last looks found something, every second
//! over 20 %, every third over 5 %, every fifth below.

use std::time::Duration;

/// The pace of one stream. Pure.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    interval: Duration,
    slowest: Duration,
    /// What the slowest of the last answers took, fading.
    peak: Duration,
    /// The last looks, newest in the lowest bit: whether something was found.
    hits: u16,
    /// How many of the bits mean something.
    looks: u32,
}

/// An answer that took longer than this says that the machine is busy. A picture takes 13 ms on
/// one core; where it takes twice that, others need the time more than an optional look does.
const SLOW: Duration = Duration::from_millis(30);
/// By how much a quick answer shortens the interval, at least: a tenth of it where that is more,
/// or a stream that was slowed to five looks a second would take 20 s to recover.
const STEP: Duration = Duration::from_millis(2);
/// The interval from which a slow answer starts, so that the first one is felt.
const FLOOR: Duration = Duration::from_millis(20);

/// Looks that the worth is judged by: a second or two, so that two finds in a row double the rate.
const LOOKS: u32 = 10;
/// Looks without which nothing is judged: a new stream is looked at closely.
const FIRST_LOOKS: u32 = 3;
/// Above a share of finds in percent, every so-manieth frame is looked at.
const TIERS: [(u32, u64); 3] = [(50, 1), (20, 2), (5, 3)];
/// The same where next to nothing was found.
const IDLE: u64 = 5;

/// Bounds of what an answer is taken to need, and the guess before the first.
const ANSWER: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(100));
const FIRST_ANSWER: Duration = Duration::from_millis(50);

impl Pace {
    /// Starts at every frame; never slower than `slowest`.
    pub(crate) fn new(slowest: Duration) -> Self {
        Self { interval: Duration::ZERO, slowest, peak: FIRST_ANSWER, hits: 0, looks: 0 }
    }

    /// Learns how long an answer took from request to verdict, and whether it found something.
    pub(crate) fn answered(&mut self, took: Duration, found: bool) {
        self.interval = if took > SLOW {
            (self.interval.max(FLOOR) * 3 / 2).min(self.slowest)
        } else {
            self.interval.saturating_sub(STEP.max(self.interval / 10))
        };
        self.peak = took.max(self.peak - self.peak / 64);
        self.hits = (self.hits << 1 | u16::from(found)) & ((1 << LOOKS) - 1);
        self.looks = (self.looks + 1).min(LOOKS);
    }

    /// Learns that an answer never came.
    pub(crate) fn missed(&mut self) {
        self.interval = (self.interval.max(FLOOR) * 2).min(self.slowest);
    }

    /// The least time between two optional samples.
    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// The least number of frames from one optional sample to the next. Every frame until there
    /// is something to judge by.
    pub(crate) fn stride(&self) -> u64 {
        if self.looks < FIRST_LOOKS {
            return 1;
        }
        let share = self.hits.count_ones() * 100 / self.looks;
        TIERS.iter().find(|(above, _)| share > *above).map_or(IDLE, |(_, stride)| *stride)
    }

    /// Whether any of the last looks found something.
    pub(crate) fn finds(&self) -> bool {
        self.hits > 0
    }

    /// How long before it is needed an answer must be asked for.
    pub(crate) fn answer(&self) -> Duration {
        self.peak.clamp(ANSWER.0, ANSWER.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn slow_answers_stretch_the_interval_to_its_bound_and_quick_ones_bring_it_back() {
        let mut pace = Pace::new(ms(200));
        assert_eq!(pace.interval(), Duration::ZERO);
        for _ in 0..20 {
            pace.answered(ms(120), false);
        }
        assert_eq!(pace.interval(), ms(200));
        for _ in 0..100 {
            pace.answered(ms(15), false);
        }
        assert_eq!(pace.interval(), Duration::ZERO);
        pace.missed();
        assert_eq!(pace.interval(), ms(40));
    }

    #[test]
    fn the_more_is_found_the_more_frames_are_looked_at() {
        let mut pace = Pace::new(ms(200));
        let mut after = |finds: [bool; 10]| {
            finds.into_iter().for_each(|found| pace.answered(ms(10), found));
            pace.stride()
        };
        let finds = |count| std::array::from_fn(|i| i < count);
        assert_eq!([0, 1, 2, 3, 5, 6, 10].map(|n| after(finds(n))), [5, 3, 3, 2, 2, 1, 1]);
    }

    #[test]
    fn a_new_stream_is_looked_at_closely() {
        let mut pace = Pace::new(ms(200));
        for _ in 1..FIRST_LOOKS {
            pace.answered(ms(10), false);
            assert_eq!(pace.stride(), 1);
        }
    }

    #[test]
    fn what_an_answer_needs_follows_the_slowest_and_forgets_it() {
        let mut pace = Pace::new(ms(200));
        assert_eq!(pace.answer(), FIRST_ANSWER);
        pace.answered(ms(70), false);
        assert_eq!(pace.answer(), ms(70));
        for _ in 0..200 {
            pace.answered(ms(10), false);
        }
        assert_eq!(pace.answer(), ANSWER.0);
        pace.answered(ms(900), false);
        assert_eq!(pace.answer(), ANSWER.1);
    }
}
