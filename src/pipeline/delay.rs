//! How long frames are held: as short as verdicts allow, and the same for pictures and sound.
//!
//! [`Settler`] learns from one track how long its verdicts take and says which delay it needs.
//! [`Delay`] is what a stream's lanes share: the longest that any of its tracks needs, or what the
//! rules say. The lanes' clocks follow it gradually.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::censor::{Mode, Policy};
use crate::media::Source;

/// Bounds of a delay that the server chooses. Below, what pops up is on two or three frames before
/// the model knows it, and those have left; above, a stream is no longer live, and its late frames
/// are covered instead.
const BOUNDS: (Duration, Duration) = (Duration::from_millis(110), Duration::from_millis(420));
/// Held beyond the longest that a verdict took: timers and threads wake up late.
const MARGIN: Duration = Duration::from_millis(6);
/// How long the slowest verdict is remembered: 9,000 frames at 30 a second, of which none may be
/// late to keep late verdicts under 1 in 10,000.
const MEMORY: Duration = Duration::from_secs(300);
/// Verdicts are remembered in stretches of this length; at the end of each, the delay may shrink.
const STRETCH: Duration = Duration::from_secs(5);
/// The first stretches of a track, in which models, encoder and caches warm up, are remembered for
/// this long only: what they took says little about what comes.
const WARM_UP: (u32, Duration) = (2, Duration::from_secs(30));
/// A delay that could shrink by less than this stays.
const WORTH: Duration = Duration::from_millis(8);

/// What one track needs. Pure.
///
/// The delay grows at once when a verdict took longer than ever in the last five minutes, and
/// shrinks, a stretch at a time, when that is forgotten.
#[derive(Debug)]
pub(crate) struct Settler {
    delay: Duration,
    /// What is remembered, oldest first.
    slowest: VecDeque<Stretch>,
    /// Stretches begun so far; stops counting after the warm-up.
    begun: u32,
}

/// A few seconds, and the slowest verdict in them.
#[derive(Debug)]
struct Stretch {
    end: Instant,
    forgotten: Instant,
    slowest: Duration,
}

impl Settler {
    /// Starts with a guess.
    pub(crate) fn new(guess: Duration) -> Self {
        Self { delay: guess.clamp(BOUNDS.0, BOUNDS.1), slowest: VecDeque::new(), begun: 0 }
    }

    /// A frame's verdict was there this long after the frame could have left at the earliest, the
    /// time for covering and encoding included.
    pub(crate) fn observe(&mut self, need: Duration, now: Instant) {
        match self.slowest.back_mut() {
            Some(last) if now < last.end => last.slowest = need.max(last.slowest),
            back => {
                if back.is_some() {
                    self.shrink();
                }
                self.begin(need, now);
            }
        }
        self.slowest.retain(|stretch| now <= stretch.forgotten);
        self.delay = self.delay.max(enough_for(need));
    }

    /// The delay that the track needs now.
    pub(crate) fn delay(&self) -> Duration {
        self.delay
    }

    fn begin(&mut self, slowest: Duration, now: Instant) {
        let (warming, soon) = WARM_UP;
        let memory = if self.begun < warming { soon } else { MEMORY };
        self.begun = (self.begun + 1).min(warming);
        let end = now + STRETCH;
        self.slowest.push_back(Stretch { end, forgotten: end + memory, slowest });
    }

    fn shrink(&mut self) {
        let Some(slowest) = self.slowest.iter().map(|stretch| stretch.slowest).max() else {
            return;
        };
        let enough = enough_for(slowest);
        if enough + WORTH <= self.delay {
            self.delay = enough;
        }
    }
}

fn enough_for(need: Duration) -> Duration {
    (need + MARGIN).clamp(BOUNDS.0, BOUNDS.1)
}

/// The delay of a stream, shared by its lanes. Lock-free: it is read for every frame and packet.
#[derive(Debug)]
pub(crate) struct Delay {
    /// Microseconds that the rules say; `AUTO` leaves it to the tracks.
    ruled: AtomicU64,
    /// Microseconds that the camera's and the screen's track need; 0 without one.
    needed: [AtomicU64; 2],
}

const AUTO: u64 = u64::MAX;

impl Delay {
    /// The delay under a policy, before any track has said what it needs.
    pub(crate) fn new(policy: &Policy) -> Self {
        let delay = Self { ruled: AtomicU64::new(AUTO), needed: Default::default() };
        delay.set_policy(policy);
        delay
    }

    /// New rules.
    pub(crate) fn set_policy(&self, policy: &Policy) {
        let ruled = match policy.mode {
            Mode::Instant => 0,
            Mode::Verified => policy.delay.map_or(AUTO, micros),
        };
        self.ruled.store(ruled, Relaxed);
    }

    /// A video track starts: it needs what the one before it has needed, or else the guess.
    pub(crate) fn start(&self, source: Source, guess: Duration) {
        if self.needed(source).is_zero() {
            self.need(source, guess);
        }
    }

    /// What a video track was last said to need; zero when nothing was said.
    pub(crate) fn needed(&self, source: Source) -> Duration {
        Duration::from_micros(self.needed[usize::from(source == Source::Screen)].load(Relaxed))
    }

    /// What a video track needs.
    pub(crate) fn need(&self, source: Source, delay: Duration) {
        self.needed[usize::from(source == Source::Screen)].store(micros(delay), Relaxed);
    }

    /// The track is gone for good.
    pub(crate) fn forget(&self, source: Source) {
        self.need(source, Duration::ZERO);
    }

    /// How long frames and packets are held.
    pub(crate) fn get(&self) -> Duration {
        let micros = match self.ruled.load(Relaxed) {
            AUTO => self.needed.iter().map(|needed| needed.load(Relaxed)).max().unwrap_or(0),
            ruled => ruled,
        };
        Duration::from_micros(micros)
    }
}

fn micros(delay: Duration) -> u64 {
    u64::try_from(delay.as_micros()).unwrap_or(AUTO - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::censor::Document;
    use crate::media::clock;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_delay_settles_to_what_verdicts_take() {
        let start = clock::now();
        let mut settler = Settler::new(ms(300));
        for i in 0..600 {
            settler.observe(ms(130 + i % 20), start + ms(33 * i));
        }
        assert_eq!(settler.delay(), ms(149) + MARGIN);
    }

    /// A settler past its warm-up, in which verdicts took no time, and the time at its end.
    fn warm(guess: u64) -> (Settler, Instant) {
        let mut now = clock::now();
        let mut settler = Settler::new(ms(guess));
        for _ in 0..WARM_UP.0 {
            settler.observe(Duration::ZERO, now);
            now += STRETCH;
        }
        (settler, now)
    }

    #[test]
    fn what_warming_up_took_is_forgotten_soon() {
        let start = clock::now();
        let mut settler = Settler::new(ms(100));
        let mut at = |s: u64, need: u64| {
            settler.observe(ms(need), start + Duration::from_secs(s));
            settler.delay()
        };
        assert_eq!(at(0, 300), ms(300) + MARGIN);
        let kept: Vec<_> = (1..=34).map(|s| at(s, 120)).collect();
        assert!(kept.iter().all(|delay| *delay == ms(300) + MARGIN), "{kept:?}");
        assert_eq!((35..=45).map(|s| at(s, 120)).last(), Some(ms(120) + MARGIN));
    }

    #[test]
    fn a_slow_verdict_is_felt_at_once_and_remembered_for_five_minutes() {
        let (mut settler, start) = warm(100);
        settler.observe(ms(180), start);
        assert_eq!(settler.delay(), ms(180) + MARGIN);
        let mut at = |s: u64| {
            settler.observe(ms(120), start + Duration::from_secs(s));
            settler.delay()
        };
        for s in (1..MEMORY.as_secs()).step_by(2) {
            assert_eq!(at(s), ms(180) + MARGIN, "after {s} s");
        }
        let end = MEMORY.as_secs();
        let later: Vec<_> = (end..end + 20).map(at).collect();
        assert_eq!(later.last(), Some(&(ms(120) + MARGIN)));
    }

    #[test]
    fn the_rules_come_before_what_tracks_need() {
        let policy = |rules: &str| serde_json::from_str::<Document>(rules).unwrap().resolve();
        let delay = Delay::new(&policy("{}"));
        delay.need(Source::Camera, ms(90));
        delay.need(Source::Screen, ms(140));
        assert_eq!(delay.get(), ms(140));
        delay.forget(Source::Screen);
        assert_eq!(delay.get(), ms(90));
        delay.set_policy(&policy(r#"{"delayMs": 400}"#));
        assert_eq!(delay.get(), ms(400));
        delay.set_policy(&policy(r#"{"mode": "instant"}"#));
        assert_eq!(delay.get(), Duration::ZERO);
    }

    proptest! {
        /// Whatever verdicts take: the delay is within its bounds, and enough for all that were
        /// seen in the last five minutes, as far as the bounds allow.
        #[test]
        fn enough_for_all_that_is_remembered(
            needs in prop::collection::vec((0_u64..700, 1_u64..9_000), 1..200),
        ) {
            let (mut settler, mut now) = warm(200);
            let mut seen = Vec::new();
            for (need, after) in needs {
                now += ms(after);
                settler.observe(ms(need), now);
                seen.push((now, ms(need)));
                let slowest = seen.iter().filter(|(at, _)| now - *at <= MEMORY);
                let slowest = slowest.map(|(_, need)| *need).max().unwrap_or_default();
                prop_assert!(settler.delay() >= slowest.min(BOUNDS.1));
                prop_assert!((BOUNDS.0..=BOUNDS.1).contains(&settler.delay()));
            }
        }
    }
}
