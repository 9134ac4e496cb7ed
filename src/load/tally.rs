//! What one viewer received while it was counted. Pure: times are given.

use std::time::{Duration, Instant};

use super::latencies::Latencies;
use super::matching::{Fate, Seen};

/// Latencies kept for the progress line: a second at 240 a second.
const RECENT: usize = 240;

/// Seconds that are told apart: a day. What comes later counts into the last.
const SECONDS: usize = 86_400;

/// The count of one viewer.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Pictures received since the beginning, counted or not.
    seen: u64,
    /// From which picture on, and since when, it is counted.
    from: Option<(u64, Instant)>,
    /// Up to which picture, that one not.
    to: Option<u64>,
    last_arrival: Option<Instant>,
    counted: Counted,
    /// Latencies since they were last taken, microseconds.
    recent: Vec<u32>,
}

/// What was counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    /// Pictures that came as they were sent, bit for bit.
    pub(super) forwarded: u64,
    /// Pictures that were encoded again.
    pub(super) encoded: u64,
    /// Those of them whose number is not known.
    pub(super) unplaced: u64,
    /// Pictures that came twice, or behind a later one.
    pub(super) repeated: u64,
    /// From the call that sent a picture until the viewer had it.
    pub(super) latency: Latencies,
    /// The longest time without a picture.
    pub(super) longest_gap: Duration,
    /// Pictures in each second.
    pub(super) seconds: Vec<u32>,
}

impl Counted {
    /// Pictures, none of them twice.
    pub(super) fn received(&self) -> u64 {
        self.forwarded + self.encoded
    }
}

impl Tally {
    /// Pictures received since the beginning.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Counts from `now` on, pictures from number `next` on.
    pub(super) fn open(&mut self, next: u64, now: Instant) {
        (self.from, self.to) = (Some((next, now)), None);
        self.last_arrival = Some(now);
        self.counted = Counted::default();
    }

    /// A picture arrived.
    pub(super) fn picture(&mut self, seen: &Seen, arrived: Instant) {
        self.seen += 1;
        if let Some(latency) = seen.latency.filter(|_| self.recent.len() < RECENT) {
            self.recent.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
        }
        let Some((first, since)) = self.from else { return };
        if seen.repeated {
            self.counted.repeated += 1;
            return;
        }
        self.arrival(since, arrived);
        let counts = match (seen.number, self.to) {
            (Some(number), to) => number >= first && to.is_none_or(|to| number < to),
            (None, to) => to.is_none(),
        };
        if !counts {
            return;
        }
        match seen.fate {
            Fate::Forwarded => self.counted.forwarded += 1,
            Fate::Encoded => self.counted.encoded += 1,
        }
        self.counted.unplaced += u64::from(seen.number.is_none());
        if let Some(latency) = seen.latency {
            self.counted.latency.record(latency);
        }
    }

    /// Counts no picture from number `next` on any more; those before may still arrive.
    pub(super) fn close(&mut self, next: u64, now: Instant) {
        if let Some((_, since)) = self.from {
            self.gap(now);
            let whole = now.saturating_duration_since(since).as_secs() as usize;
            self.counted.seconds.resize(whole.min(SECONDS), 0);
            (self.last_arrival, self.to) = (None, Some(next));
        }
    }

    /// What was counted.
    pub(super) fn counted(&self) -> &Counted {
        &self.counted
    }

    /// The latencies since this was last called, microseconds.
    pub(super) fn take_recent(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.recent)
    }

    fn arrival(&mut self, since: Instant, arrived: Instant) {
        // Closed: neither gaps nor seconds are counted any more.
        if self.last_arrival.is_none() {
            return;
        }
        self.gap(arrived);
        self.last_arrival = self.last_arrival.max(Some(arrived));
        let second = arrived.saturating_duration_since(since).as_secs() as usize;
        let second = second.min(SECONDS - 1);
        if self.counted.seconds.len() <= second {
            self.counted.seconds.resize(second + 1, 0);
        }
        self.counted.seconds[second] += 1;
    }

    fn gap(&mut self, now: Instant) {
        if let Some(last) = self.last_arrival {
            let gap = now.saturating_duration_since(last);
            self.counted.longest_gap = self.counted.longest_gap.max(gap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::clock;

    const MS: Duration = Duration::from_millis(1);

    fn seen(fate: Fate, number: Option<u64>) -> Seen {
        Seen { fate, number, repeated: false, latency: number.map(|_| 20 * MS) }
    }

    #[test]
    fn only_what_was_sent_after_the_opening_counts() {
        let (mut tally, start) = (Tally::default(), clock::now());
        tally.picture(&seen(Fate::Forwarded, Some(8)), start);
        tally.open(10, start);
        tally.picture(&seen(Fate::Forwarded, Some(9)), start + 10 * MS);
        tally.picture(&seen(Fate::Forwarded, Some(10)), start + 43 * MS);
        tally.picture(&seen(Fate::Encoded, Some(11)), start + 76 * MS);
        tally.picture(&seen(Fate::Encoded, None), start + 109 * MS);
        let twice = Seen { repeated: true, ..seen(Fate::Forwarded, Some(11)) };
        tally.picture(&twice, start + 110 * MS);
        let counted = tally.counted();
        assert_eq!((counted.forwarded, counted.encoded, counted.unplaced), (1, 2, 1));
        assert_eq!((counted.repeated, counted.received(), tally.seen()), (1, 3, 6));
        assert_eq!(counted.latency.percentiles().p50, Some(20.0));
        assert_eq!(tally.take_recent().len(), 5);
    }

    #[test]
    fn seconds_and_gaps_end_with_the_closing() {
        let (mut tally, start) = (Tally::default(), clock::now());
        tally.open(0, start);
        for n in 0..30 {
            tally.picture(&seen(Fate::Forwarded, Some(n)), start + 33 * MS * n as u32);
        }
        tally.close(31, start + 2500 * MS);
        assert_eq!(tally.counted().seconds, [30, 0]);
        assert_eq!(tally.counted().longest_gap, (2500 - 957) * MS);
        for number in [Some(30), Some(31), None] {
            tally.picture(&seen(Fate::Encoded, number), start + 9000 * MS);
        }
        assert_eq!(tally.counted().seconds, [30, 0]);
        assert_eq!(tally.counted().longest_gap, (2500 - 957) * MS);
        assert_eq!(tally.counted().received(), 31);
    }
}
