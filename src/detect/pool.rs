//! One model's queue and what is known about its workers: every decision, no thread.
//!
//! [`State`] is told what happens and when, and says who is to be answered. The lock around it
//! is held for bookkeeping only; models run and replies are called outside of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batcher::{Batcher, Limits, Step, Ticket};
use super::breaker::{Admit, Breaker, Position};
use super::health::{Event, Health, Tally};
use super::reply::{Delivery, Job};
use super::{Answer, Config, Failure, Finding, Need};
use crate::media::Picture;

/// How long a failed request waits before its second and last try.
pub(super) const RETRY_BACKOFF: Duration = Duration::from_millis(20);

/// A required request that was late after it had waited this long tells of too little time for
/// detection; one that was asked for later than this before its deadline may be late by itself.
const STARVED_AFTER: Duration = Duration::from_millis(50);

/// Stuck runs a model may leave behind; with more, it goes on with fewer workers.
pub(super) const MAX_ABANDONED: usize = 4;

type Entry = (Ticket, Job);

/// A run under way.
struct Busy {
    started: Instant,
    batch: Vec<Entry>,
}

/// What a worker is to do next.
pub(super) enum Next {
    /// Run these pictures, then [`State::finish`].
    Run(Vec<Arc<Picture>>),
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
    /// It was given up in the meantime and its place is taken.
    Leaves,
}

/// A model's queue, breaker, workers and figures.
pub(super) struct State {
    limit: Duration,
    /// How batches are formed; set when the first worker is ready.
    pub limits: Limits,
    batcher: Batcher<Job>,
    breaker: Breaker,
    /// The workers that count, by number, and what each is doing.
    workers: BTreeMap<u64, Option<Busy>>,
    /// How many there should be.
    pub wanted: usize,
    /// Workers that are stuck in a run nobody waits for any more.
    pub abandoned: usize,
    pub stopping: bool,
    pub tally: Tally,
    health: Health,
    /// Transitions not reported yet.
    pub events: VecDeque<Event>,
    out: Vec<Delivery>,
}

impl State {
    pub(super) fn new(name: &str, config: &Config) -> Self {
        Self {
            limit: config.limit,
            limits: Limits { max: 1, linger: Duration::ZERO },
            batcher: Batcher::new(config.queue),
            breaker: Breaker::new(config.breaker_failures, config.breaker_retry),
            workers: BTreeMap::new(),
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
        self.workers.insert(worker, None);
    }

    /// Whether a worker counts: it has not been given up.
    pub(super) fn has(&self, worker: u64) -> bool {
        self.workers.contains_key(&worker)
    }

    /// A worker's thread could not be started, or it could not open the model in time.
    pub(super) fn lose(&mut self, worker: u64) {
        self.workers.remove(&worker);
        self.update_health();
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
        let under_way = self.workers.values().flatten();
        let so_far = under_way.map(|busy| now.saturating_duration_since(busy.started));
        self.tally.busy + so_far.sum::<Duration>()
    }

    /// Whether there are answers to deliver or changes to report.
    pub(super) fn has_news(&self) -> bool {
        !self.out.is_empty() || !self.events.is_empty()
    }

    /// The answers that are due; deliver them after unlocking.
    pub(super) fn take_answers(&mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.out)
    }

    /// A request comes in, for `bucket`.
    pub(super) fn submit(&mut self, mut ticket: Ticket, mut job: Job, now: Instant) {
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

    fn queue(&mut self, ticket: Ticket, job: Job, now: Instant) {
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
    pub(super) fn next(&mut self, worker: u64, now: Instant) -> Next {
        if self.stopping {
            return Next::Stop;
        }
        // What a run could not answer in time any more would only keep the next one from it.
        let hopeless = if self.batcher.len() > 1 { self.tally.typical } else { Duration::ZERO };
        self.expire(now + hopeless);
        let Some(slot) = self.workers.get_mut(&worker) else { return Next::Stop };
        match self.batcher.poll(now, self.limits) {
            Step::Idle => Next::Wait(None),
            Step::WaitUntil(at) => Next::Wait(Some(at)),
            Step::Run(batch) => {
                let pictures = batch.iter().map(|(_, job)| job.picture.clone()).collect();
                *slot = Some(Busy { started: now, batch });
                Next::Run(pictures)
            }
        }
    }

    /// `worker`'s run came back.
    pub(super) fn finish(
        &mut self,
        worker: u64,
        result: Result<Vec<Vec<Finding>>, String>,
        now: Instant,
    ) -> Fate {
        let Some(slot) = self.workers.get_mut(&worker) else { return self.come_back(worker) };
        let Some(Busy { started, batch }) = slot.take() else { return Fate::Stays };
        let ran = now.saturating_duration_since(started);
        let required = batch.iter().filter(|(ticket, _)| ticket.need == Need::Required).count();
        self.tally.ran(ran, batch.len(), required);
        let result = result.and_then(|found| {
            let (got, want) = (found.len(), batch.len());
            if got == want { Ok(found) } else { Err(format!("{got} answers to {want} pictures")) }
        });
        match result {
            Ok(found) => {
                self.breaker.success();
                for (entry, findings) in batch.into_iter().zip(found) {
                    self.tally.counts.answered += 1;
                    self.answer(entry, Ok(findings), started, ran);
                }
            }
            Err(error) => {
                self.tally.last_error = Some(error.clone());
                self.failed_run(now);
                for entry in batch {
                    self.retry_or_fail(entry, &error, (started, now));
                }
            }
        }
        self.update_health();
        Fate::Stays
    }

    /// A worker that was given up is back: it takes an empty place, or leaves.
    fn come_back(&mut self, worker: u64) -> Fate {
        self.abandoned = self.abandoned.saturating_sub(1);
        if self.stopping || self.workers.len() >= self.wanted {
            return Fate::Leaves;
        }
        self.workers.insert(worker, None);
        self.update_health();
        Fate::Stays
    }

    fn retry_or_fail(&mut self, entry: Entry, error: &str, run: (Instant, Instant)) {
        let (mut ticket, mut job) = entry;
        let (started, now) = run;
        let ready = now + RETRY_BACKOFF;
        let again = !job.retried && !self.stopping && !self.breaker.is_open();
        if again && ticket.deadline > ready + self.tally.percentiles().0 {
            job.retried = true;
            ticket.ready = ready;
            self.tally.counts.retried += 1;
            return self.queue(ticket, job, now);
        }
        self.tally.counts.failed += 1;
        let ran = now.saturating_duration_since(started);
        self.answer((ticket, job), Err(Failure::Failed(error.to_owned())), started, ran);
    }

    /// Gives up runs that are over the limit. Returns the workers to start in their place,
    /// numbered by `number`; they count from now on.
    pub(super) fn give_up_stuck(
        &mut self,
        now: Instant,
        mut number: impl FnMut() -> u64,
    ) -> Vec<u64> {
        let over = |busy: &Busy| now >= busy.started + self.limit;
        let busy = self.workers.iter().filter_map(|(&id, busy)| Some((id, busy.as_ref()?)));
        let stuck: Vec<u64> = busy.filter(|(_, busy)| over(busy)).map(|(id, _)| id).collect();
        let mut fresh = Vec::new();
        for worker in &stuck {
            let Some(Some(busy)) = self.workers.remove(worker) else { continue };
            if self.abandoned < MAX_ABANDONED && !self.stopping {
                let id = number();
                self.workers.insert(id, None);
                fresh.push(id);
            }
            self.abandoned += 1;
            self.tally.busy += now.saturating_duration_since(busy.started);
            self.tally.last_error = Some(Failure::TimedOut.to_string());
            self.failed_run(now);
            for entry in busy.batch {
                self.tally.counts.failed += 1;
                let ran = now.saturating_duration_since(busy.started);
                self.answer(entry, Err(Failure::TimedOut), busy.started, ran);
            }
        }
        self.update_health();
        fresh
    }

    fn failed_run(&mut self, now: Instant) {
        if self.breaker.failure(now) {
            for entry in self.batcher.drain() {
                self.refuse(entry, Failure::BreakerOpen, now);
            }
        }
    }

    /// When something is next to be answered or given up by itself.
    pub(super) fn next_alarm(&self) -> Option<Instant> {
        let runs = self.workers.values().flatten().map(|busy| busy.started + self.limit);
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
        for (_, busy) in std::mem::take(&mut self.workers) {
            for entry in busy.into_iter().flat_map(|busy| busy.batch) {
                self.refuse(entry, Failure::Closed, now);
            }
        }
    }

    fn refuse(&mut self, entry: Entry, failure: Failure, now: Instant) {
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
        (ticket, job): Entry,
        result: Result<Vec<Finding>, Failure>,
        started: Instant,
        ran: Duration,
    ) {
        let queued = started.saturating_duration_since(ticket.queued);
        self.out.push(Delivery(job, Answer { result, queued, ran }));
    }

    fn update_health(&mut self) {
        let health = if self.breaker.is_open() {
            Health::Open
        } else if self.breaker.failures() > 0 || self.workers.len() < self.wanted {
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::super::Need;
    use super::super::reply::Reply;
    use super::*;
    use crate::media::clock;

    const LIMIT: Duration = Duration::from_secs(2);

    struct Bench {
        state: State,
        start: Instant,
        answered: Receiver<(u64, Result<Vec<Finding>, Failure>)>,
        answers: std::sync::mpsc::Sender<(u64, Result<Vec<Finding>, Failure>)>,
    }

    impl Bench {
        fn new(workers: u64) -> Self {
            let config = Config { limit: LIMIT, breaker_failures: 6, ..Config::default() };
            let mut state = State::new("faces", &config);
            (0..workers).for_each(|worker| state.join(worker));
            state.wanted = workers as usize;
            let (answers, answered) = channel();
            Self { state, start: clock::now(), answered, answers }
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        /// Hands in request `id` at `now` with a deadline, both in ms.
        fn submit(&mut self, id: u64, now: u64, deadline: u64) {
            let (now, deadline) = (self.at(now), self.at(deadline));
            let ticket = Ticket {
                stream: id,
                deadline,
                need: Need::Required,
                bucket: 0,
                queued: now,
                ready: now,
            };
            let answers = self.answers.clone();
            let reply = Reply::new(Box::new(move |answer| {
                answers.send((id, answer.result)).unwrap();
            }));
            let picture = Arc::new(Picture::filled(2, 2, [0; 3]));
            let job = Job { picture, reply, probe: false, retried: false };
            self.state.submit(ticket, job, now);
        }

        fn runs(&mut self, worker: u64, now: u64) -> bool {
            matches!(self.state.next(worker, self.at(now)), Next::Run(_))
        }

        fn answers(&mut self) -> Vec<(u64, Result<Vec<Finding>, Failure>)> {
            self.state.take_answers().into_iter().for_each(|answer| answer.send());
            self.answered.try_iter().collect()
        }

        /// Requests on workers 0.. that all get stuck and are given up.
        fn stuck(workers: u64) -> (Self, Vec<u64>) {
            let mut bench = Self::new(workers);
            for worker in 0..workers {
                bench.submit(worker, 0, 10_000);
                assert!(bench.runs(worker, 0));
            }
            assert!(bench.state.give_up_stuck(bench.at(1999), || panic!("too early")).is_empty());
            let mut number = 100;
            let fresh = bench.state.give_up_stuck(bench.at(2000), || {
                number += 1;
                number
            });
            (bench, fresh)
        }
    }

    #[test]
    fn only_so_many_stuck_workers_are_replaced() {
        let (mut bench, fresh) = Bench::stuck(5);
        assert_eq!(fresh, [101, 102, 103, 104]);
        assert_eq!((bench.state.abandoned, bench.state.figures().1), (5, 4));
        let answers = bench.answers();
        assert!(answers.len() == 5 && answers.iter().all(|(_, r)| *r == Err(Failure::TimedOut)));
    }

    #[test]
    fn a_worker_that_comes_back_takes_an_empty_place_or_leaves() {
        let (mut bench, _) = Bench::stuck(5);
        assert_eq!(bench.state.finish(0, Ok(vec![Vec::new()]), bench.at(3000)), Fate::Stays);
        assert_eq!(bench.state.figures().1, 5);
        assert_eq!(bench.state.finish(1, Ok(vec![Vec::new()]), bench.at(3000)), Fate::Leaves);
        assert_eq!(bench.answers().len(), 5, "their answers come to nothing");
        bench.submit(9, 3000, 4000);
        assert!(bench.runs(0, 3000));
    }

    #[test]
    fn an_open_breaker_empties_the_queue_and_a_late_probe_hands_over() {
        let mut bench = Bench::new(1);
        bench.state.limits.max = 1;
        for id in 0..7 {
            bench.submit(id, 0, 100);
        }
        for run in 0..6 {
            assert!(bench.runs(0, 90), "run {run}");
            bench.state.finish(0, Err("no".into()), bench.at(90));
        }
        let answers = bench.answers();
        assert!(answers.contains(&(6, Err(Failure::BreakerOpen))), "{answers:?}");
        assert_eq!(bench.state.figures(), (0, 1, Health::Open));

        bench.submit(20, 60_090, 60_100);
        bench.submit(21, 60_091, 60_200);
        assert_eq!(bench.answers(), [(21, Err(Failure::BreakerOpen))], "20 is the probe");
        bench.state.expire(bench.at(60_100));
        assert_eq!(bench.answers(), [(20, Err(Failure::Late))]);
        bench.submit(22, 60_101, 60_200);
        assert!(bench.runs(0, 60_102), "now 22 is");
        bench.state.finish(0, Ok(vec![Vec::new()]), bench.at(60_110));
        assert_eq!(bench.state.figures().2, Health::Up);
        assert_eq!(bench.answers(), [(22, Ok(Vec::new()))]);
    }

    #[test]
    fn the_time_in_runs_is_counted_while_they_run_and_after() {
        let mut bench = Bench::new(2);
        bench.submit(1, 0, 10_000);
        bench.submit(2, 0, 10_000);
        assert!(bench.runs(0, 100) && bench.runs(1, 100));
        assert_eq!(bench.state.busy(bench.at(150)), Duration::from_millis(100));
        bench.state.finish(0, Ok(vec![Vec::new()]), bench.at(160));
        assert_eq!(bench.state.busy(bench.at(200)), Duration::from_millis(160));
        bench.state.give_up_stuck(bench.at(2_100), || 9);
        assert_eq!(bench.state.busy(bench.at(9_000)), Duration::from_millis(2_060));
        assert_eq!((bench.state.tally.counts.required, bench.state.tally.counts.pictures), (1, 1));
    }

    #[test]
    fn only_what_had_its_time_and_was_needed_counts_as_starved() {
        let mut bench = Bench::new(0);
        bench.submit(1, 0, 49);
        bench.submit(2, 0, 200);
        bench.state.expire(bench.at(49));
        assert_eq!(bench.state.tally.counts.starved, 0, "asked for too late");
        bench.state.expire(bench.at(200));
        assert_eq!(bench.state.tally.counts.starved, 1);
    }

    #[test]
    fn a_run_that_answers_for_other_pictures_than_it_was_given_fails() {
        let mut bench = Bench::new(1);
        bench.submit(1, 0, 10);
        assert!(bench.runs(0, 0));
        bench.state.finish(0, Ok(Vec::new()), bench.at(5));
        let failure = Failure::Failed("0 answers to 1 pictures".into());
        assert_eq!(bench.answers(), [(1, Err(failure))]);
    }
}
