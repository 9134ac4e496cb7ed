//! When a detector that keeps failing is left alone, and when it is tried again. Pure.
//!
//! Closed: everything passes; `failures` in a row open it. Open: nothing passes until `retry`
//! has gone by. Half open: one probe passes; its success closes the breaker, its failure opens
//! it for another `retry`, and a probe that never ran makes room for the next.

use std::time::{Duration, Instant};

/// A circuit breaker for one detector.
#[derive(Debug)]
pub(crate) struct Breaker {
    threshold: u32,
    retry: Duration,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    Probing,
}

/// Where a breaker stands, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Everything passes.
    Closed,
    /// The next request is the probe, or the probe is under way.
    HalfOpen,
    /// Nothing passes.
    Open,
}

/// Whether a request may go in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admit {
    /// Like any other.
    Yes,
    /// As the one that finds out; report what becomes of it.
    Probe,
    /// Not now.
    No,
}

impl Breaker {
    /// `threshold` failures in a row (at least 1) open it for `retry`.
    pub(crate) fn new(threshold: u32, retry: Duration) -> Self {
        Self { threshold: threshold.max(1), retry, state: State::Closed { failures: 0 } }
    }

    /// Asks for one request at `now`.
    pub(crate) fn admit(&mut self, now: Instant) -> Admit {
        match self.state {
            State::Closed { .. } => Admit::Yes,
            State::Open { until } if now >= until => {
                self.state = State::Probing;
                Admit::Probe
            }
            State::Open { .. } | State::Probing => Admit::No,
        }
    }

    /// A run succeeded. A run that was under way when the breaker opened changes nothing:
    /// only a probe may close it.
    pub(crate) fn success(&mut self) {
        if !matches!(self.state, State::Open { .. }) {
            self.state = State::Closed { failures: 0 };
        }
    }

    /// A run failed at `now`. True when this opened the breaker.
    pub(crate) fn failure(&mut self, now: Instant) -> bool {
        let failures = match self.state {
            State::Closed { failures } => failures + 1,
            State::Probing => self.threshold,
            State::Open { .. } => return false,
        };
        let opens = failures >= self.threshold;
        self.state = if opens {
            State::Open { until: now + self.retry }
        } else {
            State::Closed { failures }
        };
        opens
    }

    /// The probe was dropped before it ran (late or shed): the next request is the probe.
    pub(crate) fn probe_lost(&mut self, now: Instant) {
        if self.state == State::Probing {
            self.state = State::Open { until: now };
        }
    }

    /// Whether requests are refused.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }

    /// Where it stands at `now`.
    pub(crate) fn position(&self, now: Instant) -> Position {
        match self.state {
            State::Closed { .. } => Position::Closed,
            State::Open { until } if now < until => Position::Open,
            State::Open { .. } | State::Probing => Position::HalfOpen,
        }
    }

    /// Failures since the last success while closed.
    pub(crate) fn failures(&self) -> u32 {
        match self.state {
            State::Closed { failures } => failures,
            _ => self.threshold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::clock;

    const RETRY: Duration = Duration::from_secs(60);

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(5, RETRY);
        for i in 1..=5 {
            assert_eq!(breaker.failure(now), i == 5, "failure {i}");
        }
        breaker
    }

    #[test]
    fn five_in_a_row_open_it_and_a_success_between_starts_again() {
        let now = clock::now();
        let mut breaker = Breaker::new(5, RETRY);
        for _ in 0..4 {
            breaker.failure(now);
        }
        breaker.success();
        for _ in 0..4 {
            assert!(!breaker.failure(now));
            assert_eq!(breaker.admit(now), Admit::Yes);
        }
        assert!(breaker.failure(now));
        assert_eq!(breaker.admit(now), Admit::No);
    }

    #[test]
    fn one_probe_after_the_wait_decides() {
        let now = clock::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.position(now), Position::Open);
        assert_eq!(breaker.admit(now + RETRY - Duration::from_nanos(1)), Admit::No);
        assert_eq!(breaker.position(now + RETRY), Position::HalfOpen, "the next is the probe");
        assert_eq!(breaker.admit(now + RETRY), Admit::Probe);
        assert_eq!(breaker.position(now + RETRY), Position::HalfOpen, "the probe runs");
        assert_eq!(breaker.admit(now + RETRY), Admit::No, "only one");
        assert!(breaker.failure(now + RETRY), "it opens again");
        assert_eq!(breaker.position(now + RETRY), Position::Open);
        assert_eq!(breaker.admit(now + RETRY + RETRY / 2), Admit::No);
        assert_eq!(breaker.admit(now + RETRY + RETRY), Admit::Probe);
        breaker.success();
        assert_eq!(breaker.position(now + RETRY + RETRY), Position::Closed);
        assert_eq!(breaker.admit(now + RETRY + RETRY), Admit::Yes);
        assert!(!breaker.failure(now), "counting starts at nought");
    }

    #[test]
    fn a_lost_probe_hands_over_to_the_next_request() {
        let now = clock::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.admit(now + RETRY), Admit::Probe);
        breaker.probe_lost(now + RETRY);
        assert_eq!(breaker.admit(now + RETRY), Admit::Probe);
    }

    #[test]
    fn a_late_success_of_before_does_not_close_it() {
        let now = clock::now();
        let mut breaker = opened(now);
        breaker.success();
        assert!(breaker.is_open());
        assert_eq!(breaker.admit(now), Admit::No);
    }
}
