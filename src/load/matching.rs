//! Which of the pictures sent a viewer has just received. Pure.
//!
//! A picture that was forwarded is known by its bytes. One that was encoded again is known by its
//! RTP time: either servers left it as it was, or it runs on in the source's own steps from the
//! last picture that was known. Where neither tells, capture times from sender reports give at
//! least the latency.

use std::time::{Duration, Instant};

use super::index::Index;
use super::sends::Sends;

/// Capture times closer to the arrival than this are no measurement: without a sender report a
/// picture counts as captured when it arrives.
const UNMEASURED: Duration = Duration::from_micros(500);

/// Pictures after the first measured capture time until it is right: it never runs backwards, so
/// a correction takes a while.
const SETTLING: u32 = 60;

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
    /// Number and RTP time of the last picture that was known.
    anchor: Option<(u64, u64)>,
    /// Pictures in a row whose capture time was measured.
    measured: u32,
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
        let age = self.age(arrival);
        let sent = number.and_then(|number| sends.at(number));
        let latency = match number {
            Some(_) => sent.map(|sent| arrival.arrived.saturating_duration_since(sent)),
            None => age,
        };
        Seen { fate, number, repeated, latency }
    }

    /// Of several sends of the same bytes, the first that was not received yet; else the last.
    fn next_of(&self, latest: impl Iterator<Item = u64>) -> Option<u64> {
        let fresh = |n: u64| self.last.is_none_or(|last| n > last);
        latest.min_by_key(|n| if fresh(*n) { (false, *n) } else { (true, u64::MAX - *n) })
    }

    fn by_time(&self, arrival: &Arrival<'_>, index: &Index, sends: &Sends) -> Option<u64> {
        let rate = index.clip().rate;
        let sent = |n: &u64| sends.at(*n).is_some_and(|sent| sent <= arrival.arrived);
        // RTP time on the wire has 32 bits.
        let ticks = (arrival.rtp_time as u32).wrapping_sub(sends.base());
        let untouched = rate.pictures(ticks.into()).filter(sent);
        untouched.or_else(|| {
            let (number, rtp_time) = self.anchor?;
            let moved = match arrival.rtp_time.checked_sub(rtp_time) {
                Some(ahead) => number.checked_add(rate.pictures(ahead)?),
                None => number.checked_sub(rate.pictures(rtp_time - arrival.rtp_time)?),
            };
            moved.filter(sent)
        })
    }

    /// Time since the capture, once it is measured and has settled.
    fn age(&mut self, arrival: &Arrival<'_>) -> Option<Duration> {
        let age = arrival.arrived.saturating_duration_since(arrival.captured);
        self.measured = if age > UNMEASURED { self.measured.saturating_add(1) } else { 0 };
        (self.measured > SETTLING).then_some(age)
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
    const BASE: u32 = u32::MAX - 5000;

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
        let (mut sends, start) = (Sends::new(length, 0, BASE), clock::now());
        for n in 0..10 {
            sends.record(start + 33 * n * MS, start + 33 * n * MS);
        }
        Bench { index, sends, matcher: Matcher::default(), start }
    }

    impl Bench {
        fn see(&mut self, data: &[u8], step: u64, arrived: Duration, age: Duration) -> Seen {
            let (rtp_time, arrived) = (777 + step * STEP, self.start + arrived);
            self.see_at(data, rtp_time, arrived, age)
        }

        fn see_at(&mut self, data: &[u8], rtp_time: u64, arrived: Instant, age: Duration) -> Seen {
            let captured = arrived - age;
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
    fn an_untouched_timeline_tells_by_itself() {
        let mut bench = bench();
        for n in [3_u64, 4, 6] {
            // Above 32 bits, as a receiver extends it.
            let rtp_time = u64::from(BASE) + n * STEP;
            let arrived = bench.start + 300 * MS;
            let seen = bench.see_at(b"other", rtp_time, arrived, Duration::ZERO);
            assert_eq!((seen.fate, seen.number), (Fate::Encoded, Some(n)));
            assert_eq!(seen.latency, Some(300 * MS - 33 * n as u32 * MS));
        }
        let unsent = u64::from(BASE) + 10 * STEP;
        let arrived = bench.start + 400 * MS;
        assert_eq!(bench.see_at(b"other", unsent, arrived, Duration::ZERO).number, None);
    }

    #[test]
    fn a_timeline_that_leapt_is_not_followed() {
        let mut bench = bench();
        let known = bench.index.clip().frames[4].data.clone();
        bench.see(&known, 4, 140 * MS, Duration::ZERO);
        assert_eq!(bench.see(b"other", 4000, 180 * MS, Duration::ZERO).number, None);
        let known = bench.index.clip().frames[5].data.clone();
        assert_eq!(bench.see(&known, 4001, 215 * MS, Duration::ZERO).number, Some(5));
        assert_eq!(bench.see(b"other", 4003, 260 * MS, Duration::ZERO).number, Some(7));
    }

    #[test]
    fn where_nothing_else_tells_settled_capture_times_give_the_latency() {
        let mut bench = bench();
        for n in 0..SETTLING {
            let seen = bench.see(b"other", n.into(), 400 * MS, 70 * MS);
            assert_eq!((seen.number, seen.latency), (None, None));
        }
        assert_eq!(bench.see(b"other", 70, 400 * MS, 70 * MS).latency, Some(70 * MS));
        assert_eq!(bench.see(b"other", 71, 400 * MS, Duration::ZERO).latency, None);
        assert_eq!(bench.see(b"other", 72, 400 * MS, 70 * MS).latency, None);
    }
}
