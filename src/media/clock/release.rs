//! When each frame is released: at its source's RTP time plus a fixed delay, not at its arrival
//! plus a delay, so that the output is smoother than the input.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::nanos;

/// How long the fastest way through the network is remembered. Long enough to have seen a frame
/// without queueing, short enough to follow clocks that run apart (100 ppm are 1 ms here).
const WINDOW: Duration = Duration::from_secs(10);

/// Within this time one candidate for the minimum is enough; bounds the window to 101 entries.
const BUCKET: Duration = Duration::from_millis(100);

/// Most that playback may be sped up, parts of 1. Below what anybody sees or hears in a picture;
/// the sender reports carry it to the viewer's clock.
const SLEW: i64 = 100;

/// Most that it is slowed down for a longer delay: while it is too short, frames are covered.
/// Players stretch sound that far without anybody hearing it.
const SLEW_LONGER: i64 = 25;

/// Most in either direction after the delay was changed by more than [`LEAP`] at once: another mode
/// or delay was asked for, and whoever asked waits for it. Players stretch sound by as much.
const SLEW_ASKED: i64 = 10;

/// See [`SLEW_ASKED`]. What is found out about verdicts' time moves the delay by less.
const LEAP: Duration = Duration::from_millis(60);

/// Most in the first [`SETTLE`] of a timeline: its first frame is a keyframe, which took its
/// time through the network, and the 100 ms it may be late are gone before anyone has settled.
const SLEW_AT_START: i64 = 10;

/// See [`SLEW_AT_START`].
const SETTLE: Duration = Duration::from_secs(2);

/// A step in RTP time larger than this, or backwards, is a new timeline.
const GAP: Duration = Duration::from_secs(2);

/// Frames that keep coming this much after their release, for [`STUCK`], are on a new timeline
/// whose RTP time does not say so.
const LATE: Duration = Duration::from_millis(250);

/// See [`LATE`]. Longer than the burst after a stall of the network.
const STUCK: Duration = Duration::from_secs(2);

/// Maps RTP times to release times.
///
/// The network's part is the least of (arrival − RTP time) over the last 10 s. Changes of that,
/// and between the clocks, are followed by playing up to 1 % faster or slower (10 % in the first
/// two seconds), changes of the delay by up to 1 % faster or 4 % slower, large ones by up to 10 %;
/// the time steps only where the source's timeline does. Release times never go backwards, and are never before the arrival.
#[derive(Debug)]
pub struct ReleaseClock {
    rate_hz: u32,
    delay: i64,
    /// See [`LEAP`]; until the delay is what it is to be.
    leaping: bool,
    timeline: Option<Timeline>,
    last: Option<Instant>,
}

/// One continuous run of RTP times. Offsets are nanoseconds of local time beyond RTP time, both
/// counted from the first frame of the run. What is added to RTP time is `base` and `held`.
#[derive(Debug)]
struct Timeline {
    start: Instant,
    first_rtp: u64,
    last_rtp: u64,
    /// Follows the least offset.
    base: i64,
    /// Follows the delay.
    held: i64,
    /// (arrival, offset), both rising: the first is the least of the window.
    least: VecDeque<(Instant, i64)>,
    /// Since when every frame came late.
    late_since: Option<Instant>,
}

impl ReleaseClock {
    /// A clock for RTP times of `rate_hz` ticks a second (90,000 for video, 48,000 for Opus),
    /// which holds frames for `delay`.
    pub fn new(rate_hz: u32, delay: Duration) -> Self {
        Self { rate_hz, delay: signed(delay), leaping: false, timeline: None, last: None }
    }

    /// Changes the delay, gradually: 50 ms more take 1.3 s, 50 ms less 5 s; 200 ms either way 2 s.
    pub fn set_delay(&mut self, delay: Duration) {
        let delay = signed(delay);
        self.leaping |= (delay - self.delay).abs() > signed(LEAP);
        self.delay = delay;
    }

    /// How long the last scheduled frame is held beyond the earliest that one could be released:
    /// the delay as it is by now.
    pub fn hold(&self) -> Duration {
        let hold = self.timeline.as_ref().map_or(self.delay, |timeline| timeline.held);
        Duration::from_nanos(u64::try_from(hold).unwrap_or(0))
    }

    /// When to release the frame of `rtp_time` (extended, in decoding order) that came at
    /// `arrival`.
    pub fn schedule(&mut self, rtp_time: u64, arrival: Instant) -> Instant {
        let (rate_hz, delay) = (self.rate_hz, self.delay);
        let timeline = match self.timeline.take() {
            Some(timeline) if timeline.continues(rtp_time, rate_hz) => timeline,
            _ => Timeline::begin(rtp_time, arrival, delay),
        };
        let timeline = self.timeline.insert(timeline);
        let step = timeline.step(rtp_time, rate_hz);
        timeline.hold(delay, step, self.leaping);
        self.leaping &= timeline.held != delay;
        let mut due = timeline.advance(rtp_time, arrival, rate_hz);
        if timeline.is_stuck(due, arrival) {
            *timeline = Timeline::begin(rtp_time, arrival, delay);
            due = after(arrival, delay);
        }
        let release = due.max(arrival).max(self.last.unwrap_or(arrival));
        self.last = Some(release);
        release
    }
}

impl Timeline {
    fn begin(rtp_time: u64, arrival: Instant, delay: i64) -> Self {
        Self {
            start: arrival,
            first_rtp: rtp_time,
            last_rtp: rtp_time,
            base: 0,
            held: delay,
            least: VecDeque::new(),
            late_since: None,
        }
    }

    fn continues(&self, rtp_time: u64, rate_hz: u32) -> bool {
        let step = rtp_time.checked_sub(self.last_rtp);
        step.is_some_and(|step| nanos(step, rate_hz) <= signed(GAP))
    }

    /// Nanoseconds since the frame before.
    fn step(&self, rtp_time: u64, rate_hz: u32) -> i64 {
        nanos(rtp_time - self.last_rtp, rate_hz)
    }

    /// Moves the hold towards the delay, by what a frame's `step` allows.
    fn hold(&mut self, delay: i64, step: i64, leaping: bool) {
        let (shorter, longer) =
            if leaping { (SLEW_ASKED, SLEW_ASKED) } else { (SLEW, SLEW_LONGER) };
        self.held += (delay - self.held).clamp(-step / shorter, step / longer);
    }

    /// Takes in one frame, and says when it is due.
    fn advance(&mut self, rtp_time: u64, arrival: Instant, rate_hz: u32) -> Instant {
        let elapsed = nanos(rtp_time - self.first_rtp, rate_hz);
        let step = self.step(rtp_time, rate_hz);
        self.last_rtp = rtp_time;
        let offset = signed(arrival.saturating_duration_since(self.start)) - elapsed;
        let least = self.note(arrival, offset);
        let most = step / if elapsed < signed(SETTLE) { SLEW_AT_START } else { SLEW };
        self.base += (least - self.base).clamp(-most, most);
        after(self.start, elapsed + self.base + self.held)
    }

    /// Adds an offset to the window, and returns the least in it.
    fn note(&mut self, arrival: Instant, offset: i64) -> i64 {
        while self.least.back().is_some_and(|&(_, other)| other >= offset) {
            self.least.pop_back();
        }
        let near = |&(at, _): &(Instant, i64)| arrival.saturating_duration_since(at) < BUCKET;
        if !self.least.back().is_some_and(near) {
            self.least.push_back((arrival, offset));
        }
        let old = |&(at, _): &(Instant, i64)| arrival.saturating_duration_since(at) > WINDOW;
        while self.least.len() > 1 && self.least.front().is_some_and(old) {
            self.least.pop_front();
        }
        self.least.front().map_or(offset, |&(_, least)| least)
    }

    /// Whether frames have come late for so long that they will not catch up.
    fn is_stuck(&mut self, due: Instant, arrival: Instant) -> bool {
        if arrival.saturating_duration_since(due) < LATE {
            self.late_since = None;
            return false;
        }
        let since = *self.late_since.get_or_insert(arrival);
        arrival.saturating_duration_since(since) >= STUCK
    }
}

fn signed(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// `nanos` after `at`, or before it where that is negative.
fn after(at: Instant, nanos: i64) -> Instant {
    let span = Duration::from_nanos(nanos.unsigned_abs());
    let moved = if nanos < 0 { at.checked_sub(span) } else { at.checked_add(span) };
    moved.unwrap_or(at)
}

#[cfg(test)]
mod tests;
