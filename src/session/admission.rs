//! Whether one more stream fits beside those that run. Pure.
//!
//! A stream that is refused can be started elsewhere; one that starts on a machine that is full
//! takes verdicts from all others, and their frames are covered. So what one more would cost is
//! reckoned from what the running ones cost, before anything of it is started.
//!
//! - *What counts* is the work that must be done. Detection looks at more frames than it must
//!   while there is time for it, and gives that up first: such looks are left out of the sum,
//!   however busy they keep the processors.
//! - *What a stream costs* is the mean of those that run, and never less than half of the guess:
//!   a small picture must not vouch for a large one. Before there is one to measure: the guess.
//! - *A stream that was just admitted* is not in the figures yet, or in part of their window:
//!   what is missing of it is added, so a burst of starts cannot slip through. One without video
//!   is missing whole: its broadcaster may come at any time.
//! - *With nothing running* there is nothing to protect: the first stream is refused only for
//!   lack of memory.

use std::time::{Duration, Instant};

use super::load::{Load, WINDOW};
use crate::telemetry::Refused;

/// Share of detection's time that may be needed. Queues grow without bound as it nears one;
/// at 0.85 the mean wait is some five runs.
const MAX_DETECTION: f64 = 0.85;
/// How busy the processors must be before late frames are blamed on them, not on a broadcaster's
/// network.
const BUSY: f64 = 0.75;
/// Memory of one more stream: pictures of its delay, two codecs, packets.
const STREAM_MEMORY: u64 = 64 << 20;
/// Memory that must be left beside that.
const SPARE_MEMORY: u64 = 128 << 20;

/// What an operator allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Share of the processors that may be needed, 0 to 1; 0: not looked at.
    pub max_cpu: f64,
    /// Streams at once; 0: no limit.
    pub max_streams: usize,
    /// Processors that a stream is taken to need before one was measured.
    pub stream_cpu: f64,
    /// Looks a second that a stream must have while it moves.
    pub looks: f64,
}

/// Why a stream does not fit; for the person who wanted it.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// As many run as may.
    #[error("{max} streams run, as many as limits.max_streams allows; end one first")]
    Streams {
        /// The limit.
        max: usize,
    },
    /// Too few processors.
    #[error(
        "with one more stream {needed:.2} of {cores:.2} processor cores would be needed, and {:.0} \
         % of them may be (limits.max_cpu); a stream here takes {cost:.2} of one. End a stream, \
         start it on another server, or give this one more processors",
        max * 100.0
    )]
    Cpu {
        /// Cores needed with it.
        needed: f64,
        /// Cores there are.
        cores: f64,
        /// The share that may be needed.
        max: f64,
        /// What one stream costs.
        cost: f64,
    },
    /// Too little time in the models.
    #[error(
        "with one more stream the detectors would be busy for {:.0} % of the time, and {:.0} % is \
         the most that keeps verdicts in time. End a stream, start it on another server, or add \
         detect.workers where there are processors to run them",
        needed * 100.0, MAX_DETECTION * 100.0
    )]
    Detection {
        /// The share of their time.
        needed: f64,
    },
    /// Those that run suffer already.
    #[error(
        "in the last {} seconds {frames} frames were covered for lack of time and {looks} verdicts \
         came too late. Try again when that is over, end a stream, or start it on another server",
        WINDOW.as_secs()
    )]
    Late {
        /// Frames covered.
        frames: u64,
        /// Looks that were not taken in time.
        looks: u64,
    },
    /// Too little memory.
    #[error(
        "{} MB of memory are left, and {} MB are needed for one more stream. End a stream, start \
         it on another server, or give this one more memory",
        left >> 20, needed >> 20
    )]
    Memory {
        /// Bytes that can be had.
        left: u64,
        /// Bytes needed.
        needed: u64,
    },
}

impl Refusal {
    /// Its label in metrics.
    pub fn label(&self) -> Refused {
        match self {
            Self::Streams { .. } => Refused::Streams,
            Self::Cpu { .. } => Refused::Cpu,
            Self::Detection { .. } => Refused::Detection,
            Self::Late { .. } => Refused::Late,
            Self::Memory { .. } => Refused::Memory,
        }
    }
}

/// Whether one more stream fits. `missing` has an entry for each stream that runs or starts: the
/// share of it that is not in `load` yet ([`Presence::missing`]).
///
/// # Errors
/// Why it does not.
pub(super) fn admit(load: &Load, missing: &[f64], limits: &Limits) -> Result<(), Refusal> {
    if limits.max_streams > 0 && missing.len() >= limits.max_streams {
        return Err(Refusal::Streams { max: limits.max_streams });
    }
    let unseen: f64 = missing.iter().sum();
    memory(load, unseen)?;
    if missing.is_empty() {
        return Ok(());
    }
    let suffering = load.late > 0 && load.busy >= BUSY * load.cores;
    if load.starved > 0 || suffering {
        return Err(Refusal::Late { frames: load.late, looks: load.starved });
    }
    let seen = missing.len() as f64 - unseen;
    // What is still may move at any time: each stream has a claim to its looks.
    let looks = load.required.max(seen * limits.looks);
    processors(load, (seen, unseen), looks, limits)?;
    let needed = (looks + (unseen + 1.0) * limits.looks) * load.look_share;
    if needed > MAX_DETECTION {
        return Err(Refusal::Detection { needed });
    }
    Ok(())
}

fn memory(load: &Load, unseen: f64) -> Result<(), Refusal> {
    let needed = SPARE_MEMORY + ((unseen + 1.0) * STREAM_MEMORY as f64) as u64;
    match load.memory_available {
        Some(left) if left < needed => Err(Refusal::Memory { left, needed }),
        _ => Ok(()),
    }
}

fn processors(
    load: &Load,
    (seen, unseen): (f64, f64),
    looks: f64,
    limits: &Limits,
) -> Result<(), Refusal> {
    let Load { busy, cores, own, detection, look_cpu, .. } = *load;
    let max = limits.max_cpu;
    if max <= 0.0 || cores <= 0.0 {
        return Ok(());
    }
    let must = looks * look_cpu;
    // Less than half a stream in the figures says nothing of what one costs.
    let measured = if seen < 0.5 { limits.stream_cpu } else { (own - detection + must) / seen };
    let cost = measured.max(limits.stream_cpu / 2.0);
    let needed = (busy - detection).max(0.0) + must + (unseen + 1.0) * cost;
    if needed > max * cores {
        return Err(Refusal::Cpu { needed, cores, max, cost });
    }
    Ok(())
}

/// How long a stream's frames have been coming.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Presence {
    frames: u64,
    /// Frames come, without a pause of [`WINDOW`], since the first and up to the second.
    coming: Option<(Instant, Instant)>,
}

impl Presence {
    /// Told now and then, at least once a second, how many frames there were so far.
    pub(super) fn observe(&mut self, frames: u64, now: Instant) {
        if frames > self.frames {
            let since = self.coming.map_or(now, |(since, _)| since);
            self.coming = Some((since, now));
        } else if self.coming.is_some_and(|(_, last)| now - last >= WINDOW) {
            self.coming = None;
        }
        self.frames = frames;
    }

    /// The share of the stream's cost that figures of the last [`WINDOW`] do not show.
    pub(super) fn missing(&self, now: Instant) -> f64 {
        let here = self
            .coming
            .map_or(Duration::ZERO, |(since, _)| now.saturating_duration_since(since).min(WINDOW));
        1.0 - here.as_secs_f64() / WINDOW.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::clock;

    const LIMITS: Limits = Limits { max_cpu: 0.95, max_streams: 0, stream_cpu: 0.1, looks: 5.0 };

    /// Two cores on which `streams` streams of `cost` cores each run, looks not counted, and
    /// other programs take `others`; detection looks `looks` times a second, 13 ms each.
    fn load(streams: f64, cost: f64, others: f64, looks: f64) -> Load {
        let detection = looks * 0.013;
        let own = streams * cost + detection;
        Load {
            busy: own + others,
            cores: 2.0,
            own,
            detection,
            required: 0.0,
            look_cpu: 0.013,
            look_share: 0.0065,
            memory_available: Some(8 << 30),
            ..Load::default()
        }
    }

    /// How many of a burst get in beside streams that are all in the figures.
    fn burst(load: &Load, running: usize, limits: &Limits) -> usize {
        let mut missing = vec![0.0; running];
        while missing.len() < 1_000 && admit(load, &missing, limits).is_ok() {
            missing.push(1.0);
        }
        missing.len() - running
    }

    #[test]
    fn twelve_clean_streams_fit_on_two_cores_and_the_thirteenth_does_not() {
        // As measured: a decode and five looks of our own, and as much again in LiveKit, the
        // broadcasters and the viewers on the same machine; 1.8 of 2 cores with twelve.
        let at = |n: f64| load(n, 0.045, n * 0.04, n * 5.0);
        for running in 1..12 {
            let load = at(running as f64);
            assert_eq!(admit(&load, &vec![0.0; running], &LIMITS), Ok(()), "{running}");
        }
        let refusal = admit(&at(12.0), &[0.0; 12], &LIMITS).unwrap_err();
        assert_eq!(refusal.label(), Refused::Cpu);
        let text = refusal.to_string();
        assert!(text.contains("of 2.00 processor cores") && text.contains("95 %"), "{text}");
    }

    #[test]
    fn looks_beyond_those_that_are_needed_do_not_count() {
        // Two streams looked at 60 times a second fill what other programs leave.
        let full = load(2.0, 0.05, 1.1, 61.0);
        assert!(full.busy > 1.99);
        assert_eq!(admit(&full, &[0.0; 2], &LIMITS), Ok(()));
        let needed = Load { required: 61.0, ..full };
        assert_eq!(admit(&needed, &[0.0; 2], &LIMITS).unwrap_err().label(), Refused::Cpu);
    }

    #[test]
    fn the_first_stream_is_refused_for_lack_of_memory_only() {
        let full = Load { starved: 9, late: 9, ..load(0.0, 0.0, 2.0, 0.0) };
        assert_eq!(admit(&full, &[], &LIMITS), Ok(()));
        let left = Load { memory_available: Some(100 << 20), ..full };
        let refusal = admit(&left, &[], &LIMITS).unwrap_err();
        assert_eq!(refusal.to_string().split(',').next(), Some("100 MB of memory are left"));
        assert_eq!(admit(&Load { memory_available: None, ..full }, &[], &LIMITS), Ok(()));
    }

    #[test]
    fn streams_that_suffer_get_no_company() {
        let idle = load(1.0, 0.1, 0.0, 5.0);
        let starved = Load { starved: 1, ..idle };
        assert_eq!(admit(&starved, &[0.0], &LIMITS).unwrap_err().label(), Refused::Late);
        let network = Load { late: 30, ..idle };
        assert_eq!(admit(&network, &[0.0], &LIMITS), Ok(()), "late on an idle machine");
        let busy = Load { late: 30, ..load(1.0, 0.1, 1.4, 5.0) };
        assert_eq!(admit(&busy, &[0.0], &LIMITS).unwrap_err().label(), Refused::Late);
    }

    #[test]
    fn detection_has_a_limit_of_its_own() {
        let gpu = Load { look_cpu: 0.0, look_share: 0.02, ..load(8.0, 0.01, 0.0, 0.0) };
        let gpu = Load { cores: 64.0, ..gpu };
        assert_eq!(admit(&gpu, &[0.0; 7], &LIMITS), Ok(()));
        let refusal = admit(&gpu, &[0.0; 8], &LIMITS).unwrap_err();
        assert_eq!(refusal, Refusal::Detection { needed: 9.0 * 5.0 * 0.02 });
    }

    #[test]
    fn an_operator_may_set_the_number_and_switch_the_rest_off() {
        let limits = Limits { max_streams: 2, max_cpu: 0.0, ..LIMITS };
        let full = load(1.0, 0.3, 1.7, 0.0);
        assert_eq!(burst(&full, 1, &limits), 1);
        assert_eq!(admit(&full, &[0.0; 2], &limits), Err(Refusal::Streams { max: 2 }));
    }

    #[test]
    fn a_stream_comes_into_the_figures_with_its_frames_and_leaves_with_them() {
        let now = clock::now();
        let mut presence = Presence::default();
        let at = |s: u64| now + Duration::from_secs(s);
        presence.observe(0, at(0));
        assert_eq!(presence.missing(at(100)), 1.0, "no video yet");
        for s in 100..110 {
            presence.observe(30 * (s - 99), at(s));
        }
        assert!((presence.missing(at(102)) - 0.6).abs() < 1e-9);
        assert_eq!(presence.missing(at(105)), 0.0);
        presence.observe(300, at(112));
        assert_eq!(presence.missing(at(112)), 0.0, "a pause");
        presence.observe(300, at(114));
        assert_eq!(presence.missing(at(114)), 1.0, "its broadcaster left");
    }

    proptest! {
        /// However many start at once: what all of them cost, at the mean of those that run or
        /// the guess, stays under the limit.
        #[test]
        fn a_burst_never_passes_the_limit(
            running in 1usize..12, cost in 0.01f64..0.4, others in 0.0f64..1.5, looks in 0.0f64..60.0
        ) {
            let load = load(running as f64, cost, others, looks);
            let admitted = burst(&load, running, &LIMITS);
            let all = (running + admitted) as f64;
            let each = cost + LIMITS.looks * 0.013;
            prop_assert!(admitted == 0 || others + all * each <= 0.95 * 2.0 + 1e-9);
        }

        /// Streams start at random times and come into the figures as time goes by: once all are
        /// in them, what they need is under the limit, whatever a stream costs up to the guess;
        /// and when half of them have ended, there is room again.
        #[test]
        fn starts_over_time_stay_under_the_limit_and_room_comes_back(
            cost in 0.01f64..0.1, others in 0.0f64..1.0,
            gaps in prop::collection::vec(0u64..4_000, 1..80)
        ) {
            let limits = Limits { stream_cpu: cost + LIMITS.looks * 0.013, ..LIMITS };
            let (start, mut ms, mut begun) = (clock::now(), 0, Vec::<u64>::new());
            for gap in gaps {
                ms += gap;
                let now = start + Duration::from_millis(ms);
                let missing = |&since: &u64| {
                    let since = start + Duration::from_millis(since);
                    let mut presence = Presence::default();
                    presence.observe(1, since);
                    presence.missing(now)
                };
                let missing: Vec<f64> = begun.iter().map(missing).collect();
                let seen = begun.len() as f64 - missing.iter().sum::<f64>();
                let mut shown = load(seen, cost, others, seen * LIMITS.looks);
                shown.required = seen * LIMITS.looks;
                if admit(&shown, &missing, &limits).is_ok() {
                    begun.push(ms);
                }
            }
            let n = begun.len() as f64;
            let settled = load(n, cost, others, n * LIMITS.looks);
            prop_assert!(begun.len() == 1 || settled.busy <= 0.95 * 2.0 + 1e-9, "{n} {settled:?}");
            let half = begun.len() / 2;
            let fewer = load(half as f64, cost, others, half as f64 * LIMITS.looks);
            prop_assert_eq!(admit(&fewer, &vec![0.0; half], &limits), Ok(()));
        }
    }
}
