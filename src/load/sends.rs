//! What one broadcaster sent, and when. Pure: times are given.
//!
//! Pictures are numbered from 0 on without end; picture n is number `(start + n) % length` of the
//! clip.

use std::collections::VecDeque;
use std::time::Instant;

use super::latencies::Latencies;

/// Sends that are remembered: more than a minute at 60 a second, far beyond any delay under test.
const KEPT: usize = 4096;

/// The sends of one broadcaster.
#[derive(Debug)]
pub(super) struct Sends {
    /// Pictures of the clip.
    length: u64,
    /// The picture of the clip that was sent first.
    start: u64,
    /// RTP time of picture 0.
    base: u32,
    /// The number of the next picture.
    next: u64,
    /// When the last [`KEPT`] were sent.
    at: VecDeque<Instant>,
    late: Latencies,
}

impl Sends {
    /// Nothing sent yet, of a clip of `length` pictures that is sent from picture `start` on, at
    /// RTP times from `base` on.
    pub(super) fn new(length: usize, start: usize, base: u32) -> Self {
        let (length, start) = (length as u64, start as u64);
        Self { length, start, base, next: 0, at: VecDeque::new(), late: Latencies::default() }
    }

    /// RTP time of picture 0; a random one tells one broadcaster's timeline from any other.
    pub(super) fn base(&self) -> u32 {
        self.base
    }

    /// The number of the next picture: that many were sent.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The picture of the clip that is picture `n`.
    pub(super) fn of_clip(&self, n: u64) -> usize {
        ((self.start + n) % self.length) as usize
    }

    /// The next picture is sent `now`, and was due at `due`.
    pub(super) fn record(&mut self, due: Instant, now: Instant) {
        if self.at.len() == KEPT {
            self.at.pop_front();
        }
        self.at.push_back(now);
        self.next += 1;
        self.late.record(now.saturating_duration_since(due));
    }

    /// How late pictures were sent.
    pub(super) fn late(&self) -> &Latencies {
        &self.late
    }

    /// Counts lateness anew.
    pub(super) fn forget_lateness(&mut self) {
        self.late = Latencies::default();
    }

    /// When picture `n` was sent; `None` when it was not, or too long ago.
    pub(super) fn at(&self, n: u64) -> Option<Instant> {
        let kept = n.checked_sub(self.next - self.at.len() as u64)?;
        self.at.get(usize::try_from(kept).ok()?).copied()
    }

    /// The last time that a picture of the clip was sent.
    pub(super) fn latest(&self, of_clip: usize) -> Option<u64> {
        let last = self.next.checked_sub(1)?;
        let back = (self.start + last + self.length - of_clip as u64 % self.length) % self.length;
        last.checked_sub(back)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::media::clock;

    const STEP: Duration = Duration::from_millis(33);

    fn sent(length: usize, start: usize, count: u32) -> (Sends, Instant) {
        let (mut sends, from) = (Sends::new(length, start, 0), clock::now());
        for n in 0..count {
            sends.record(from + STEP * n, from + STEP * n + Duration::from_millis(1));
        }
        (sends, from)
    }

    #[test]
    fn times_are_remembered_for_a_while() {
        let (sends, from) = sent(10, 0, KEPT as u32 + 5);
        assert_eq!(sends.at(4), None);
        assert_eq!(sends.at(5), Some(from + STEP * 5 + Duration::from_millis(1)));
        assert_eq!(sends.at(sends.next()), None);
        assert_eq!(sends.late().percentiles().max, Some(1.0));
    }

    proptest! {
        #[test]
        fn the_latest_is_the_last_that_shows_it(
            length in 1_usize..20, start in 0_usize..20, count in 0_u32..60, wanted in 0_usize..20
        ) {
            let (start, wanted) = (start % length, wanted % length);
            let (sends, _) = sent(length, start, count);
            let expected = (0..u64::from(count)).rfind(|n| sends.of_clip(*n) == wanted);
            prop_assert_eq!(sends.latest(wanted), expected);
        }
    }
}
