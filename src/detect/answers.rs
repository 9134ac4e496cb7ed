//! How long callers wait for an answer, over the last half minute. Pure.
//!
//! Counted in buckets that grow by a sixteenth (as HdrHistogram's do), in slots of five seconds:
//! a figure costs no sorting, and what is old falls out a slot at a time.

use std::time::{Duration, Instant};

use super::{Answer, Failure, Need};

/// How long callers wait from `submit` to the answer, queue and run together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerTime {
    /// 99 of 100 answers came within this, to 6 %. Zero before the first.
    pub p99: Duration,
    /// Answers it is made of.
    pub samples: u32,
}

/// Time that one slot counts.
const SLOT: Duration = Duration::from_secs(5);
/// Slots that are kept: between 25 and 30 seconds.
const SLOTS: usize = 6;
/// How old a figure may be before it is computed again; callers ask at every frame.
const FRESH: Duration = Duration::from_millis(100);
/// Buckets to a doubling.
const STEPS: u32 = 16;
/// Doublings from 256 µs on: up to 16 s.
const OCTAVES: u32 = 16;
/// The first bucket holds everything below this, in microseconds.
const LEAST_US: u64 = 256;
const BUCKETS: usize = (STEPS * OCTAVES) as usize + 1;

/// The waits of the last [`SLOTS`] slots.
#[derive(Debug)]
pub(super) struct Answers {
    /// Slots since `start`, the newest of which is counted in now.
    turn: u64,
    start: Instant,
    slots: Vec<[u32; BUCKETS]>,
    known: Option<(Instant, AnswerTime)>,
}

impl Answers {
    pub(super) fn new(now: Instant) -> Self {
        Self { turn: 0, start: now, slots: vec![[0; BUCKETS]; SLOTS], known: None }
    }

    /// Counts an answer. One that came too late counts with the time it had waited, when it was
    /// required: the true wait is longer still. What was turned away says nothing about time.
    pub(super) fn add(&mut self, need: Need, answer: &Answer, now: Instant) {
        let tells = match &answer.result {
            Ok(_) | Err(Failure::TimedOut | Failure::Failed(_)) => true,
            Err(Failure::Late) => need == Need::Required && !answer.queued.is_zero(),
            Err(Failure::Shed | Failure::BreakerOpen | Failure::Closed) => false,
        };
        if tells {
            let slot = self.advance(now);
            self.slots[slot][bucket(answer.queued + answer.ran)] += 1;
        }
    }

    /// The figure, at most [`FRESH`] old.
    pub(super) fn time(&mut self, now: Instant) -> AnswerTime {
        if let Some((at, known)) = self.known
            && now.saturating_duration_since(at) < FRESH
        {
            return known;
        }
        self.advance(now);
        let count = |bucket: usize| self.slots.iter().map(|slot| slot[bucket]).sum::<u32>();
        let samples: u32 = (0..BUCKETS).map(count).sum();
        let rank = samples - samples / 100;
        let mut below = 0;
        let at = (0..BUCKETS).find(|&bucket| {
            below += count(bucket);
            samples > 0 && below >= rank
        });
        let time = AnswerTime { p99: at.map(upper).unwrap_or_default(), samples };
        self.known = Some((now, time));
        time
    }

    /// Empties the slots whose time has come again; returns the one to count in.
    fn advance(&mut self, now: Instant) -> usize {
        let age = now.saturating_duration_since(self.start);
        let turn = age.as_secs() / SLOT.as_secs();
        for stale in (self.turn + 1..=turn).take(SLOTS) {
            self.slots[stale as usize % SLOTS] = [0; BUCKETS];
        }
        self.turn = self.turn.max(turn);
        self.turn as usize % SLOTS
    }
}

fn bucket(time: Duration) -> usize {
    let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    if us < LEAST_US {
        return 0;
    }
    let octave = (us / LEAST_US).ilog2();
    let step = (us >> octave).saturating_sub(LEAST_US) * u64::from(STEPS) / LEAST_US;
    (1 + octave as usize * STEPS as usize + step as usize).min(BUCKETS - 1)
}

/// The longest time that a bucket holds.
fn upper(bucket: usize) -> Duration {
    let Some(above) = bucket.checked_sub(1) else { return Duration::from_micros(LEAST_US) };
    let (octave, step) = (above as u32 / STEPS, above as u32 % STEPS);
    Duration::from_micros((LEAST_US + LEAST_US * u64::from(step + 1) / u64::from(STEPS)) << octave)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::clock;

    fn answer(ms: u64, result: Result<(), Failure>) -> Answer {
        let queued = Duration::from_millis(ms / 2);
        let ran = Duration::from_millis(ms) - queued;
        Answer { result: result.map(|()| Vec::new()), queued, ran }
    }

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn nothing_is_known_before_the_first_answer() {
        let now = clock::now();
        assert_eq!(Answers::new(now).time(now), AnswerTime::default());
    }

    #[test]
    fn old_answers_are_forgotten_and_new_ones_felt() {
        let now = clock::now();
        let mut answers = Answers::new(now);
        for _ in 0..100 {
            answers.add(Need::Required, &answer(400, Ok(())), now);
        }
        for s in 1..25 {
            answers.add(Need::Required, &answer(20, Ok(())), now + seconds(s));
            assert!(answers.time(now + seconds(s)).p99 >= Duration::from_millis(400), "{s} s");
        }
        let time = answers.time(now + seconds(30));
        assert!(time.p99 < Duration::from_millis(22), "{time:?}");
        assert_eq!(time.samples, 20);
        assert_eq!(answers.time(now + seconds(3_600)), AnswerTime::default());
    }

    #[test]
    fn what_was_turned_away_says_nothing_but_a_required_one_that_was_late_does() {
        let now = clock::now();
        let mut answers = Answers::new(now);
        for failure in [Failure::Shed, Failure::BreakerOpen, Failure::Closed] {
            answers.add(Need::Required, &answer(900, Err(failure)), now);
        }
        answers.add(Need::Optional, &answer(900, Err(Failure::Late)), now);
        answers.add(Need::Required, &answer(0, Err(Failure::Late)), now);
        assert_eq!(answers.time(now).samples, 0);
        answers.add(Need::Required, &answer(900, Err(Failure::Late)), now);
        let time = answers.time(now + seconds(1));
        assert!(time.samples == 1 && time.p99 >= Duration::from_millis(900), "{time:?}");
    }

    proptest! {
        #[test]
        fn the_figure_is_the_rank_to_one_bucket(
            waits in prop::collection::vec(0u64..20_000, 1..400)
        ) {
            let now = clock::now();
            let mut answers = Answers::new(now);
            for &ms in &waits {
                answers.add(Need::Optional, &answer(ms, Ok(())), now);
            }
            let mut sorted = waits.clone();
            sorted.sort_unstable();
            let exact = sorted[waits.len() - waits.len() / 100 - 1] as f64;
            let time = answers.time(now);
            prop_assert_eq!(time.samples as usize, waits.len());
            let got = time.p99.as_secs_f64() * 1e3;
            // What is longer than the buckets reach (16 s) counts as the longest.
            prop_assert!(got >= exact.min(16_000.0) && got <= exact * 1.0626 + 0.26, "{got} {exact}");
        }
    }
}
