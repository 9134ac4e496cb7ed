//! The decisions around runs, with made-up time and no thread.

use std::sync::mpsc::{Receiver, channel};

use super::super::reply::Reply;
use super::super::{Finding, Need, Regions};
use super::*;
use crate::media::Picture;
use crate::media::clock;
use std::sync::Arc;

const LIMIT: Duration = Duration::from_secs(2);

struct Bench {
    state: State<Regions>,
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
        let job = Job { input: picture, reply, probe: false, retried: false };
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

#[test]
fn a_worker_whose_instance_keeps_failing_leaves_the_work_to_the_others() {
    let mut bench = Bench::new(2);
    bench.state.limits.max = 1;
    for (run, fate) in [(0, Fate::Stays), (1, Fate::Reopens)] {
        bench.submit(run, 0, 5_000);
        assert!(bench.runs(0, 0));
        // Its retry is the other's.
        assert_eq!(bench.state.finish(0, Err("device lost".into()), bench.at(1)), fate);
        assert!(bench.runs(1, 30), "{run}");
        bench.state.finish(1, Ok(vec![Vec::new()]), bench.at(31));
    }
    assert!(bench.answers().iter().all(|(_, result)| result.is_ok()), "the retries went well");
    assert_eq!(bench.state.figures().2, Health::Degraded);
    bench.submit(7, 100, 5_000);
    assert!(!bench.runs(0, 100), "it rests");
    assert!(bench.runs(1, 100));
    bench.submit(8, 600, 5_000);
    assert!(bench.runs(0, 600), "it tries again");
    bench.state.finish(0, Ok(vec![Vec::new()]), bench.at(601));
    assert_eq!(bench.state.figures().2, Health::Up);
}
