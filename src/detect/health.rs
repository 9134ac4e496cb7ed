//! How a detector is doing: state, figures, transitions.

use std::collections::VecDeque;
use std::time::Duration;

use super::breaker::Position;
use super::{Failure, Role};

/// Runs whose times are kept for the percentiles.
const KEPT_RUNS: usize = 256;

/// Whether a detector answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Its last run succeeded and every worker is there.
    Up,
    /// Its last run failed, or it is short of workers; it is still asked.
    Degraded,
    /// Its breaker is open: requests are refused until a probe succeeds.
    Open,
}

/// A detector's health changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It got worse, or went from open to merely degraded.
    Degraded {
        /// The detector.
        detector: String,
        /// What it is now; never `Up`.
        health: Health,
        /// The last error, in words.
        reason: String,
    },
    /// It is up again.
    Recovered {
        /// The detector.
        detector: String,
    },
}

/// A detector as /health and /metrics show it.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorStatus {
    /// The model's name.
    pub name: String,
    /// What it is asked for.
    pub role: Role,
    /// Whether it answers.
    pub health: Health,
    /// Where its breaker stands.
    pub breaker: Position,
    /// The execution provider in use.
    pub provider: String,
    /// Why a provider that is preferred to it is not in use.
    pub fallback: Option<String>,
    /// Workers that take requests.
    pub workers: usize,
    /// Workers stuck in a run that was given up.
    pub abandoned: usize,
    /// Requests that wait.
    pub queued: usize,
    /// The last error of a run, kept after it recovered.
    pub last_error: Option<String>,
    /// Median time of the last runs (up to 256), preparation and decoding included.
    pub run_p50: Duration,
    /// 95th percentile of the same.
    pub run_p95: Duration,
    /// Time that workers spent in runs since the start, those under way included.
    pub busy: Duration,
    /// What happened so far.
    pub counts: Counts,
}

/// Totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Runs that came back in time, good or bad.
    pub runs: u64,
    /// Pictures in those runs; over `runs`, the mean batch size.
    pub pictures: u64,
    /// Those of them without which frames are covered ([`super::Need::Required`]).
    pub required: u64,
    /// Requests answered with findings (or with none).
    pub answered: u64,
    /// Requests answered `Failed` or `TimedOut`.
    pub failed: u64,
    /// Requests that were tried a second time.
    pub retried: u64,
    /// Requests answered `Late`.
    pub late: u64,
    /// Requests answered `Shed`.
    pub shed: u64,
    /// Requests answered `BreakerOpen`.
    pub refused: u64,
    /// Required requests that were shed, or late although they were asked for in time: detection
    /// has too little time.
    pub starved: u64,
}

/// Keeps the figures of one detector.
pub(super) struct Tally {
    pub name: String,
    pub counts: Counts,
    pub last_error: Option<String>,
    /// Time in runs that came back or were given up.
    pub busy: Duration,
    /// What a run takes of late: an exponential mean over eight.
    pub typical: Duration,
    runs: VecDeque<Duration>,
}

impl Tally {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            counts: Counts::default(),
            last_error: None,
            busy: Duration::ZERO,
            typical: Duration::ZERO,
            runs: VecDeque::with_capacity(KEPT_RUNS),
        }
    }

    /// A run of `pictures` came back, `required` of which were.
    pub(super) fn ran(&mut self, time: Duration, pictures: usize, required: usize) {
        self.counts.runs += 1;
        self.counts.pictures += pictures as u64;
        self.counts.required += required as u64;
        self.busy += time;
        if self.runs.len() == KEPT_RUNS {
            self.runs.pop_front();
        }
        self.runs.push_back(time);
        self.typical = self.typical - self.typical / 8 + time / 8;
    }

    /// A request was turned away.
    pub(super) fn refused(&mut self, failure: &Failure) {
        match failure {
            Failure::Late => self.counts.late += 1,
            Failure::Shed => self.counts.shed += 1,
            Failure::BreakerOpen => self.counts.refused += 1,
            Failure::TimedOut | Failure::Failed(_) | Failure::Closed => {}
        }
    }

    /// Median and 95th percentile of the last runs; zero before the first.
    pub(super) fn percentiles(&self) -> (Duration, Duration) {
        let mut runs: Vec<Duration> = self.runs.iter().copied().collect();
        runs.sort_unstable();
        let at = |share: usize| runs.get(runs.len() * share / 100).copied().unwrap_or_default();
        (at(50), at(95))
    }

    /// Why it is not up.
    pub(super) fn reason(&self) -> String {
        self.last_error.clone().unwrap_or_else(|| "fewer workers than there should be".to_owned())
    }
}
