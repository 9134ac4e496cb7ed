//! Which of the pictures sent a viewer has just received. Pure.
//!
//! A picture that was forwarded is known by its bytes. One that was encoded again is known by its
//! RTP time, which runs on in the source's own steps, from the last picture that was known; before
//! any was, by the capture time that sender reports give.

use std::time::{Duration, Instant};

use super::index::Index;
use super::sends::Sends;

/// Capture times closer to the arrival than this are no measurement: without a sender report a
/// picture counts as captured when it arrives.
const UNMEASURED: Duration = Duration::from_micros(500);

/// A picture as a viewer gets it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) data: &'a [u8],
    /// RTP time, 90 kHz, extended.
    pub(super) rtp_time: u64,
    /// When it was captured, as far as the viewer can tell.
    pub(super) captured: Instant,
    /// When it was there as a whole.
    pub(super) arrived: Instant,
}

/// What became of a picture on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Not one bit differs.
    Forwarded,
    /// Made anew.
    Encoded,
}

/// A received picture, found or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) fate: Fate,
    /// Its number among those sent; `None` when it could not be told.
    pub(super) number: Option<u64>,
    /// It, or a later one, was received before.
    pub(super) repeated: bool,
    /// From the call that sent it until it was there; `None` when it could not be told.
    pub(super) latency: Option<Duration>,
}

/// One viewer's memory.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    last: Option<u64>,
    /// Number and RTP time of a picture that was known.
    anchor: Option<(u64, u64)>,
}

impl Matcher {
    /// Finds out what has just arrived.
    pub(super) fn place(&mut self, arrival: &Arrival<'_>, index: &Index, sends: &Sends) -> Seen {
        let latest = index.find(arrival.data).filter_map(|picture| sends.latest(picture));
        let (fate, number) = match self.next_of(latest) {
            Some(number) => (Fate::Forwarded, Some(number)),
            None => (Fate::Encoded, self.by_time(arrival, index, sends)),
        };
        let repeated = number.is_some_and(|n| self.last.is_some_and(|last| n <= last));
        if let Some(number) = number.filter(|_| !repeated) {
            self.last = Some(number);
            self.anchor = Some((number, arrival.rtp_time));
        }
        let sent = number.and_then(|number| sends.at(number));
        let latency = sent.map(|sent| arrival.arrived.saturating_duration_since(sent));
        Seen { fate, number, repeated, latency }
    }

    /// Of several sends of the same bytes, the first that was not received yet; else the last.
    fn next_of(&self, latest: impl Iterator<Item = u64>) -> Option<u64> {
        let fresh = |n: u64| self.last.is_none_or(|last| n > last);
        latest.min_by_key(|n| if fresh(*n) { (false, *n) } else { (true, u64::MAX - *n) })
    }

    fn by_time(&self, arrival: &Arrival<'_>, index: &Index, sends: &Sends) -> Option<u64> {
        let rate = index.clip().rate;
        let by_rtp = self.anchor.and_then(|(number, rtp_time)| {
            let ahead = arrival.rtp_time.checked_sub(rtp_time);
            match ahead {
                Some(ahead) => Some(number + rate.pictures(ahead)?),
                None => number.checked_sub(rate.pictures(rtp_time - arrival.rtp_time)?),
            }
        });
        let measured = arrival.arrived.saturating_duration_since(arrival.captured) > UNMEASURED;
        by_rtp
            .filter(|number| *number < sends.next())
            .or_else(|| sends.nearest(arrival.captured).filter(|_| measured))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::load::testing::clip;
    use crate::media::clock;

    const MS: Duration = Duration::from_millis(1);
    const STEP: u64 = 3000;

    struct Bench {
        index: Index,
        sends: Sends,
        matcher: Matcher,
        start: Instant,
    }

    /// Pictures 0 to 9 sent 33 ms apart; the clip has 6, and two of them are the same.
    fn bench() -> Bench {
        let pictures: [&[u8]; 6] = [&[1; 9], &[2; 9], &[3; 9], &[2; 9], &[5; 9], &[6; 9]];
        let index = Index::new(Arc::new(clip(&pictures)));
        let length = index.clip().frames.len();
        let (mut sends, start) = (Sends::new(length, 0), clock::now());
        for n in 0..10 {
            sends.record(start + 33 * n * MS, start + 33 * n * MS);
        }
        Bench { index, sends, matcher: Matcher::default(), start }
    }

    impl Bench {
        fn see(&mut self, data: &[u8], step: u64, arrived: Duration, age: Duration) -> Seen {
            let arrived = self.start + arrived;
            let (rtp_time, captured) = (777 + step * STEP, arrived - age);
            let arrival = Arrival { data, rtp_time, captured, arrived };
            self.matcher.place(&arrival, &self.index, &self.sends)
        }
    }

    fn forwarded(number: u64, latency: Duration) -> Seen {
        let (number, latency) = (Some(number), Some(latency));
        Seen { fate: Fate::Forwarded, number, repeated: false, latency }
    }

    #[test]
    fn forwarded_pictures_are_known_by_their_bytes() {
        let mut bench = bench();
        let zero = Duration::ZERO;
        let first = bench.see(&bench.index.clip().frames[4].data.clone(), 0, 340 * MS, zero);
        assert_eq!(first, forwarded(4, 208 * MS));
        let again = bench.see(&bench.index.clip().frames[4].data.clone(), 0, 341 * MS, zero);
        assert!(again.repeated && again.number == Some(4));
        let next = bench.see(&bench.index.clip().frames[5].data.clone(), 1, 373 * MS, zero);
        assert_eq!(next, forwarded(5, 208 * MS));
    }

    #[test]
    fn of_two_alike_the_next_one_is_meant() {
        let mut bench = bench();
        let same = bench.index.clip().frames[1].data.clone();
        bench.matcher.last = Some(6);
        assert_eq!(bench.see(&same, 0, 340 * MS, Duration::ZERO).number, Some(7));
        assert_eq!(bench.see(&same, 1, 350 * MS, Duration::ZERO).number, Some(9));
        assert!(bench.see(&same, 1, 350 * MS, Duration::ZERO).repeated);
    }

    #[test]
    fn encoded_pictures_are_counted_on_from_the_last_known_one() {
        let mut bench = bench();
        let known = bench.index.clip().frames[4].data.clone();
        bench.see(&known, 4, 140 * MS, Duration::ZERO);
        let encoded = bench.see(b"other", 6, 250 * MS, Duration::ZERO);
        assert_eq!((encoded.fate, encoded.number), (Fate::Encoded, Some(6)));
        assert_eq!(encoded.latency, Some(52 * MS));
        let odd = bench.see(b"other", 6, 251 * MS, Duration::ZERO);
        assert!(odd.repeated);
    }

    #[test]
    fn before_any_is_known_capture_times_tell() {
        let mut bench = bench();
        assert_eq!(bench.see(b"other", 3, 150 * MS, Duration::ZERO).number, None);
        let placed = bench.see(b"other", 4, 180 * MS, 44 * MS);
        assert_eq!((placed.number, placed.latency), (Some(4), Some(48 * MS)));
        assert_eq!(bench.see(b"other", 5, 215 * MS, Duration::ZERO).number, Some(5));
    }

    #[test]
    fn a_timeline_that_leapt_is_not_followed() {
        let mut bench = bench();
        let known = bench.index.clip().frames[4].data.clone();
        bench.see(&known, 4, 140 * MS, Duration::ZERO);
        assert_eq!(bench.see(b"other", 4000, 180 * MS, Duration::ZERO).number, None);
        assert_eq!(bench.see(b"other", 4001, 215 * MS, 17 * MS).number, Some(6));
    }
}
