//! One model's queue and what is known about its workers: every decision, no thread.
//! What comes of runs is in [`runs`], who may work in [`places`].
//!
//! [`State`] is told what happens and when, and says who is to be answered. The lock around it
//! is held for bookkeeping only; models run and replies are called outside of it.

mod places;
mod runs;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::batcher::{Batcher, Limits, Step, Ticket};
use super::breaker::{Admit, Breaker, Position};
use super::health::{Event, Health, Tally};
use super::reply::{Delivery, Job};
use super::{Answer, Config, Failure, Need, Task};
use places::{Busy, Places};

/// How long a failed request waits before its second and last try.
pub(super) const RETRY_BACKOFF: Duration = Duration::from_millis(20);

/// A required request that was late after it had waited this long tells of too little time for
/// detection; one that was asked for later than this before its deadline may be late by itself.
const STARVED_AFTER: Duration = Duration::from_millis(50);

/// Stuck runs a model may leave behind; with more, it goes on with fewer workers.
pub(super) const MAX_ABANDONED: usize = 4;

type Entry<T> = (Ticket, Job<T>);

/// What a worker is to do next.
pub(super) enum Next<I> {
    /// Run these, then [`State::finish`].
    Run(Vec<I>),
    /// Sleep until then, or until something comes in.
    Wait(Option<Instant>),
    /// Leave.
    Stop,
}

/// What became of a worker's run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Go on.
    Stays,
    /// Go on with another instance: this one keeps failing.
    Reopens,
    /// It was given up in the meantime and its place is taken.
    Leaves,
}

/// A model's queue, breaker, workers and figures.
pub(super) struct State<T: Task> {
    limit: Duration,
    /// How batches are formed; set when the first worker is ready.
    pub limits: Limits,
    batcher: Batcher<Job<T>>,
    breaker: Breaker,
    /// The workers that count, and what each is doing.
    workers: Places<T>,
    /// How many there should be.
    pub wanted: usize,
    /// Workers that are stuck in a run nobody waits for any more.
    pub abandoned: usize,
    pub stopping: bool,
    pub tally: Tally,
    health: Health,
    /// Transitions not reported yet.
    pub events: VecDeque<Event>,
    out: Vec<Delivery<T>>,
}

impl<T: Task> State<T> {
    pub(super) fn new(name: &str, config: &Config) -> Self {
        Self {
            limit: config.limit,
            limits: Limits { max: 1, linger: Duration::ZERO },
            batcher: Batcher::new(config.queue),
            breaker: Breaker::new(config.breaker_failures, config.breaker_retry),
            workers: Places::new(),
            wanted: 1,
            abandoned: 0,
            stopping: false,
            tally: Tally::new(name),
            health: Health::Up,
            events: VecDeque::new(),
            out: Vec::new(),
        }
    }

    /// Adds a worker.
    pub(super) fn join(&mut self, worker: u64) {
        self.workers.join(worker);
    }

    /// Whether a worker counts: it has not been given up.
    pub(super) fn has(&self, worker: u64) -> bool {
        self.workers.has(worker)
    }

    /// A worker's thread could not be started, or it could not open the model in time.
    pub(super) fn lose(&mut self, worker: u64) {
        self.workers.leave(worker);
        self.update_health();
    }

    /// Whether a worker rests, or may soon.
    pub(super) fn is_weak(&self) -> bool {
        self.workers.is_weak()
    }

    /// Requests that wait, workers that count, and the health.
    pub(super) fn figures(&self) -> (usize, usize, Health) {
        (self.batcher.len(), self.workers.len(), self.health)
    }

    /// Where the breaker stands.
    pub(super) fn breaker(&self, now: Instant) -> Position {
        self.breaker.position(now)
    }

    /// Time that workers have spent in runs so far, those under way included.
    pub(super) fn busy(&self, now: Instant) -> Duration {
        let under_way = self.workers.busy();
        let so_far = under_way.map(|(_, busy)| now.saturating_duration_since(busy.started));
        self.tally.busy + so_far.sum::<Duration>()
    }

    /// Whether there are answers to deliver or changes to report.
    pub(super) fn has_news(&self) -> bool {
        !self.out.is_empty() || !self.events.is_empty()
    }

    /// The answers that are due; deliver them after unlocking.
    pub(super) fn take_answers(&mut self) -> Vec<Delivery<T>> {
        std::mem::take(&mut self.out)
    }

    /// A request comes in, for `bucket`.
    pub(super) fn submit(&mut self, mut ticket: Ticket, mut job: Job<T>, now: Instant) {
        ticket.queued = now;
        ticket.ready = now;
        let refused = if self.stopping {
            Some(Failure::Closed)
        } else if ticket.deadline <= now {
            Some(Failure::Late)
        } else {
            match self.breaker.admit(now) {
                Admit::Yes => None,
                Admit::Probe => {
                    job.probe = true;
                    None
                }
                Admit::No => Some(Failure::BreakerOpen),
            }
        };
        match refused {
            Some(failure) => self.refuse((ticket, job), failure, now),
            None => self.queue(ticket, job, now),
        }
    }

    fn queue(&mut self, ticket: Ticket, job: Job<T>, now: Instant) {
        if let Some(shed) = self.batcher.push(ticket, job) {
            self.refuse(shed, Failure::Shed, now);
        }
    }

    /// Answers late requests. Called by whoever looks at the queue.
    pub(super) fn expire(&mut self, now: Instant) {
        for late in self.batcher.expire(now) {
            self.refuse(late, Failure::Late, now);
        }
    }

    /// Work for `worker`, which is idle.
    pub(super) fn next(&mut self, worker: u64, now: Instant) -> Next<T::Input> {
        if self.stopping {
            return Next::Stop;
        }
        // What a run could not answer in time any more would only keep the next one from it.
        let hopeless = if self.batcher.len() > 1 { self.tally.typical } else { Duration::ZERO };
        self.expire(now + hopeless);
        if !self.workers.has(worker) {
            return Next::Stop;
        }
        if let Some(until) = self.workers.rests(worker, now) {
            return Next::Wait(Some(until));
        }
        match self.batcher.poll(now, self.limits) {
            Step::Idle => Next::Wait(None),
            Step::WaitUntil(at) => Next::Wait(Some(at)),
            Step::Run(batch) => {
                let inputs = batch.iter().map(|(_, job)| job.input.clone()).collect();
                self.workers.begin(worker, Busy { started: now, batch });
                Next::Run(inputs)
            }
        }
    }

    /// When something is next to be answered or given up by itself.
    pub(super) fn next_alarm(&self) -> Option<Instant> {
        let runs = self.workers.busy().map(|(_, busy)| busy.started + self.limit);
        runs.chain(self.batcher.next_deadline()).min()
    }

    /// No more requests: what waits is answered.
    pub(super) fn close(&mut self, now: Instant) {
        self.stopping = true;
        for entry in self.batcher.drain() {
            self.refuse(entry, Failure::Closed, now);
        }
    }

    /// Answers what is still running, at the end of a stop.
    pub(super) fn close_running(&mut self, now: Instant) {
        let under_way: Vec<_> = self.workers.clear().flat_map(|busy| busy.batch).collect();
        for entry in under_way {
            self.refuse(entry, Failure::Closed, now);
        }
    }

    fn refuse(&mut self, entry: Entry<T>, failure: Failure, now: Instant) {
        if entry.1.probe {
            self.breaker.probe_lost(now);
        }
        self.tally.refused(&failure);
        let waited = now.saturating_duration_since(entry.0.queued);
        let late = failure == Failure::Late && waited >= STARVED_AFTER;
        if entry.0.need == Need::Required && (late || failure == Failure::Shed) {
            self.tally.counts.starved += 1;
        }
        self.answer(entry, Err(failure), now, Duration::ZERO);
    }

    fn answer(
        &mut self,
        (ticket, job): Entry<T>,
        result: Result<T::Output, Failure>,
        started: Instant,
        ran: Duration,
    ) {
        let queued = started.saturating_duration_since(ticket.queued);
        self.out.push(Delivery(job, Answer { result, queued, ran }));
    }

    fn update_health(&mut self) {
        let health = if self.breaker.is_open() {
            Health::Open
        } else if self.breaker.failures() > 0
            || self.workers.len() < self.wanted
            || self.workers.is_weak()
        {
            Health::Degraded
        } else {
            Health::Up
        };
        if health == self.health || self.stopping {
            return;
        }
        self.health = health;
        let detector = self.tally.name.clone();
        self.events.push_back(match health {
            Health::Up => Event::Recovered { detector },
            _ => Event::Degraded { detector, health, reason: self.tally.reason() },
        });
    }
}
