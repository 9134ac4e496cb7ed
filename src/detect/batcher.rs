//! Which waiting requests run next, together, and which are given up. Pure.
//!
//! *Order*: the earliest deadline first; an optional request counts as due [`YIELD`] later, so
//! required ones pass it under load but never starve it. *Fairness*: no stream may be more than
//! [`LEAD`] runs ahead of another that waits, so a stream that floods the queue delays itself.
//! *Full*: the optional request that is due last makes room; without one, the last of the stream
//! that waits with most. *Late*: what is past its deadline leaves through [`Batcher::expire`]
//! and is never run. Everything pushed comes out exactly once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::Need;

/// How much later than its deadline an optional request counts as due.
pub(crate) const YIELD: Duration = Duration::from_millis(100);

/// How many runs a stream with early deadlines may be ahead of one that waits with later ones.
pub(crate) const LEAD: u64 = 2;

/// What the batcher knows about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// The stream, for fairness.
    pub stream: u64,
    /// Past this it is late.
    pub deadline: Instant,
    /// What happens under overload.
    pub need: Need,
    /// Only requests of one bucket run together: one input shape.
    pub bucket: u32,
    /// When it came in.
    pub queued: Instant,
    /// Not to be run before this (a retry that backs off).
    pub ready: Instant,
}

impl Ticket {
    fn due(&self) -> Instant {
        match self.need {
            Need::Required => self.deadline,
            Need::Optional => self.deadline + YIELD,
        }
    }
}

/// How batches are formed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Most requests in a batch, at least 1.
    pub max: usize,
    /// How long the oldest waits for company; zero runs whatever is there.
    pub linger: Duration,
}

/// What to do now.
#[derive(Debug, PartialEq)]
pub(crate) enum Step<T> {
    /// Nothing waits.
    Idle,
    /// Ask again then, or after the next push.
    WaitUntil(Instant),
    /// Run these together; never empty, never more than asked for.
    Run(Vec<(Ticket, T)>),
}

/// The waiting requests of all streams for one model.
#[derive(Debug)]
pub(crate) struct Batcher<T> {
    capacity: usize,
    waiting: Vec<(Ticket, T)>,
    /// Runs a stream has had, on a clock that starts at the slowest waiting stream's count.
    served: HashMap<u64, u64>,
}

impl<T> Batcher<T> {
    /// At most `capacity` (at least 1) wait.
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self { capacity, waiting: Vec::with_capacity(capacity), served: HashMap::new() }
    }

    /// Requests that wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Adds a request. What no longer fits comes back: the request itself, or a lesser one.
    pub(crate) fn push(&mut self, ticket: Ticket, item: T) -> Option<(Ticket, T)> {
        let floor = self.floor();
        let served = self.served.entry(ticket.stream).or_insert(floor);
        *served = (*served).max(floor);
        self.waiting.push((ticket, item));
        (self.waiting.len() > self.capacity).then(|| {
            let victim = self.victim();
            self.waiting.swap_remove(victim)
        })
    }

    /// Takes out everything whose deadline has passed.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<(Ticket, T)> {
        self.waiting.extract_if(.., |(ticket, _)| ticket.deadline <= now).collect()
    }

    /// Takes out everything, for a stop or an open breaker.
    pub(crate) fn drain(&mut self) -> Vec<(Ticket, T)> {
        self.waiting.drain(..).collect()
    }

    /// The next time at which something becomes late.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|(ticket, _)| ticket.deadline).min()
    }

    /// The batch to run at `now`. Call [`Self::expire`] first; late requests are not looked for.
    pub(crate) fn poll(&mut self, now: Instant, limits: Limits) -> Step<T> {
        let Some(first) = self.best(now, None) else {
            let ready = self.waiting.iter().map(|(ticket, _)| ticket.ready).min();
            return ready.map_or(Step::Idle, Step::WaitUntil);
        };
        let bucket = self.waiting[first].0.bucket;
        let max = limits.max.max(1);
        let mates = self.waiting.iter().filter(|(t, _)| t.bucket == bucket && t.ready <= now);
        let (mut count, mut oldest, mut deadline) = (0, now, None::<Instant>);
        for (ticket, _) in mates {
            count += 1;
            oldest = oldest.min(ticket.queued.max(ticket.ready));
            deadline = Some(deadline.map_or(ticket.deadline, |d| d.min(ticket.deadline)));
        }
        // Half of what is left until the first deadline is kept for the run itself.
        let slack = deadline.map_or(Duration::ZERO, |d| d.saturating_duration_since(now) / 2);
        let due = (oldest + limits.linger).min(now + slack);
        if count < max && now < due {
            return Step::WaitUntil(due);
        }
        let mut batch = Vec::with_capacity(max.min(count));
        while batch.len() < max {
            let Some(next) = self.best(now, Some(bucket)) else { break };
            let (ticket, item) = self.waiting.swap_remove(next);
            *self.served.entry(ticket.stream).or_default() += 1;
            batch.push((ticket, item));
        }
        self.forget();
        Step::Run(batch)
    }

    /// The fewest runs that any waiting stream has had.
    fn floor(&self) -> u64 {
        let counts = self.waiting.iter().map(|(ticket, _)| self.count(ticket.stream));
        counts.min().unwrap_or(0)
    }

    fn count(&self, stream: u64) -> u64 {
        self.served.get(&stream).copied().unwrap_or(0)
    }

    /// The request to take next: earliest due among the streams that are not too far ahead.
    fn best(&self, now: Instant, bucket: Option<u32>) -> Option<usize> {
        let open = |ticket: &Ticket| {
            ticket.ready <= now && bucket.is_none_or(|bucket| ticket.bucket == bucket)
        };
        let tickets = || {
            let all = self.waiting.iter().enumerate().map(|(i, (ticket, _))| (i, ticket));
            all.filter(|(_, ticket)| open(ticket))
        };
        let floor = tickets().map(|(_, ticket)| self.count(ticket.stream)).min()?;
        tickets()
            .filter(|(_, ticket)| self.count(ticket.stream) < floor + LEAD)
            .min_by_key(|(_, ticket)| (ticket.due(), ticket.queued, ticket.stream))
            .map(|(i, _)| i)
    }

    /// Whom to drop from a queue that is one too long.
    fn victim(&self) -> usize {
        let mut lengths = HashMap::<u64, usize>::new();
        for (ticket, _) in &self.waiting {
            *lengths.entry(ticket.stream).or_default() += 1;
        }
        let worth = |(_, (ticket, _)): &(usize, &(Ticket, T))| {
            let length = if ticket.need == Need::Optional { 0 } else { lengths[&ticket.stream] };
            (ticket.need == Need::Optional, length, ticket.deadline, ticket.queued)
        };
        self.waiting.iter().enumerate().max_by_key(worth).map_or(0, |(i, _)| i)
    }

    /// Forgets the counts that no longer matter, so that the table stays as small as the queue.
    fn forget(&mut self) {
        let floor = self.floor();
        let waiting = &self.waiting;
        let waits = |stream: u64| waiting.iter().any(|(ticket, _)| ticket.stream == stream);
        if waiting.is_empty() {
            self.served.clear();
        } else {
            self.served.retain(|&stream, &mut count| count > floor || waits(stream));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::media::clock;

    const NOW_LIMITS: Limits = Limits { max: 1, linger: Duration::ZERO };

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn ticket(start: Instant, stream: u64, deadline: u64) -> Ticket {
        Ticket {
            stream,
            deadline: start + ms(deadline),
            need: Need::Required,
            bucket: 0,
            queued: start,
            ready: start,
        }
    }

    fn run_one<T>(batcher: &mut Batcher<T>, now: Instant) -> T {
        match batcher.poll(now, NOW_LIMITS) {
            Step::Run(mut batch) if batch.len() == 1 => batch.remove(0).1,
            _ => panic!("one request"),
        }
    }

    #[test]
    fn the_earliest_deadline_runs_first() {
        let now = clock::now();
        let mut batcher = Batcher::new(8);
        for (stream, deadline) in [(1, 300), (2, 100), (3, 200)] {
            assert!(batcher.push(ticket(now, stream, deadline), stream).is_none());
        }
        let order: Vec<u64> = (0..3).map(|_| run_one(&mut batcher, now)).collect();
        assert_eq!(order, [2, 3, 1]);
        assert_eq!(batcher.poll(now, NOW_LIMITS), Step::Idle);
    }

    #[test]
    fn a_flood_of_early_deadlines_delays_itself() {
        let now = clock::now();
        let mut batcher = Batcher::new(64);
        for i in 0..20 {
            batcher.push(ticket(now, 1, 10 + i), 1);
        }
        for i in 0..3 {
            batcher.push(ticket(now, 2, 500 + i), 2);
        }
        let order: Vec<u64> = (0..8).map(|_| run_one(&mut batcher, now)).collect();
        assert_eq!(order, [1, 1, 2, 1, 2, 1, 2, 1]);
    }

    #[test]
    fn a_closed_loop_with_early_deadlines_does_not_starve_the_others() {
        let now = clock::now();
        let mut batcher = Batcher::new(64);
        batcher.push(ticket(now, 2, 5000), 2);
        let mut first = None;
        for turn in 0..10 {
            batcher.push(ticket(now, 1, 10), 1);
            if run_one(&mut batcher, now) == 2 {
                first = first.or(Some(turn));
            }
        }
        assert_eq!(first, Some(LEAD as usize));
    }

    #[test]
    fn a_full_queue_drops_optional_ones_first_then_from_the_longest_stream() {
        let now = clock::now();
        let mut batcher = Batcher::new(4);
        let optional = |stream, due| Ticket { need: Need::Optional, ..ticket(now, stream, due) };
        batcher.push(ticket(now, 1, 100), "a");
        batcher.push(ticket(now, 1, 200), "b");
        batcher.push(optional(2, 50), "c");
        batcher.push(optional(3, 60), "d");
        let mut shed = |ticket, item| batcher.push(ticket, item).map(|(_, item)| item);
        assert_eq!(shed(ticket(now, 4, 900), "e"), Some("d"));
        assert_eq!(shed(optional(5, 70), "f"), Some("f"), "the newcomer is the least");
        assert_eq!(shed(ticket(now, 4, 950), "g"), Some("c"));
        assert_eq!(shed(ticket(now, 5, 10), "h"), Some("g"), "4 and 1 wait with two, g is last");
    }

    #[test]
    fn optional_ones_yield_but_are_not_starved() {
        let now = clock::now();
        let mut batcher = Batcher::new(8);
        let optional = Ticket { need: Need::Optional, ..ticket(now, 1, 100) };
        batcher.push(optional, "optional");
        batcher.push(ticket(now, 2, 150), "required");
        batcher.push(ticket(now, 3, 250), "required later");
        let order: Vec<&str> = (0..3).map(|_| run_one(&mut batcher, now)).collect();
        assert_eq!(order, ["required", "optional", "required later"]);
    }

    #[test]
    fn a_batch_waits_for_company_but_not_past_half_its_slack() {
        let now = clock::now();
        let limits = Limits { max: 4, linger: ms(30) };
        let mut batcher = Batcher::new(8);
        batcher.push(ticket(now, 1, 1000), 1);
        assert_eq!(batcher.poll(now, limits), Step::WaitUntil(now + ms(30)));
        batcher.push(ticket(now, 2, 20), 2);
        assert_eq!(batcher.poll(now, limits), Step::WaitUntil(now + ms(10)));
        let Step::Run(batch) = batcher.poll(now + ms(30), limits) else { panic!("due") };
        assert_eq!(batch.len(), 2);
        for stream in 0..5 {
            batcher.push(ticket(now, stream, 1000), stream);
        }
        let Step::Run(batch) = batcher.poll(now, limits) else { panic!("full") };
        assert_eq!((batch.len(), batcher.len()), (4, 1));
    }

    #[test]
    fn one_batch_has_one_input_shape() {
        let now = clock::now();
        let mut batcher = Batcher::new(8);
        for (i, bucket) in [7, 9, 7].into_iter().enumerate() {
            batcher.push(Ticket { bucket, ..ticket(now, i as u64, 100 + i as u64) }, bucket);
        }
        let limits = Limits { max: 8, linger: Duration::ZERO };
        let Step::Run(batch) = batcher.poll(now, limits) else { panic!("ready") };
        assert_eq!(batch.iter().map(|(_, item)| *item).collect::<Vec<_>>(), [7, 7]);
        assert_eq!(run_one(&mut batcher, now), 9);
    }

    #[test]
    fn a_retry_waits_for_its_time() {
        let now = clock::now();
        let mut batcher = Batcher::new(8);
        batcher.push(Ticket { ready: now + ms(50), ..ticket(now, 1, 100) }, "retry");
        assert_eq!(batcher.poll(now, NOW_LIMITS), Step::WaitUntil(now + ms(50)));
        batcher.push(ticket(now, 1, 500), "other");
        assert_eq!(run_one(&mut batcher, now), "other");
        assert_eq!(run_one(&mut batcher, now + ms(50)), "retry");
    }

    #[derive(Clone, Debug)]
    enum Op {
        Push { stream: u64, deadline: u64, optional: bool, bucket: u32, backoff: u64 },
        Run { max: usize },
        Pass { time: u64 },
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            3 => (0..4u64, 0..200u64, any::<bool>(), 0..3u32, 0..2u64).prop_map(
                |(stream, deadline, optional, bucket, backoff)| Op::Push {
                    stream, deadline, optional, bucket, backoff: backoff * 20
                }
            ),
            2 => (1..5usize).prop_map(|max| Op::Run { max }),
            1 => (1..80u64).prop_map(|time| Op::Pass { time }),
        ]
    }

    proptest! {
        /// Whatever happens: everything comes out once, no batch is too large, mixed, late or
        /// early, the queue is bounded, and nothing required is shed while an optional waits.
        #[test]
        fn holds_its_promises(ops in prop::collection::vec(op(), 1..200), capacity in 1..12usize) {
            let start = clock::now();
            let mut now = start;
            let mut batcher = Batcher::new(capacity);
            let (mut inside, mut next) = (BTreeSet::new(), 0u32);
            for op in ops {
                match op {
                    Op::Push { stream, deadline, optional, bucket, backoff } => {
                        let need = if optional { Need::Optional } else { Need::Required };
                        let ticket = Ticket {
                            stream, deadline: now + ms(deadline), need, bucket,
                            queued: now, ready: now + ms(backoff),
                        };
                        inside.insert(next);
                        if let Some((shed, id)) = batcher.push(ticket, next) {
                            prop_assert!(inside.remove(&id));
                            prop_assert_eq!(batcher.len(), capacity);
                            let optional = |t: &Ticket| t.need == Need::Optional;
                            let left = batcher.waiting.iter().any(|(t, _)| optional(t));
                            prop_assert!(optional(&shed) || !left);
                        }
                        next += 1;
                    }
                    Op::Pass { time } => now += ms(time),
                    Op::Run { max } => {
                        for (ticket, id) in batcher.expire(now) {
                            prop_assert!(ticket.deadline <= now && inside.remove(&id));
                        }
                        let limits = Limits { max, linger: ms(10) };
                        match batcher.poll(now, limits) {
                            Step::Idle => prop_assert_eq!(batcher.len(), 0),
                            Step::WaitUntil(at) => prop_assert!(at > now && batcher.len() > 0),
                            Step::Run(batch) => {
                                prop_assert!(!batch.is_empty() && batch.len() <= max);
                                for (ticket, id) in &batch {
                                    prop_assert!(inside.remove(id));
                                    prop_assert_eq!(ticket.bucket, batch[0].0.bucket);
                                    prop_assert!(ticket.deadline > now && ticket.ready <= now);
                                }
                            }
                        }
                        prop_assert!(batcher.served.len() <= 4);
                    }
                }
                prop_assert!(batcher.len() <= capacity && batcher.len() == inside.len());
            }
            for (_, id) in batcher.drain() {
                prop_assert!(inside.remove(&id));
            }
            prop_assert!(inside.is_empty());
        }

        /// A request that is never late runs within LEAD + 1 runs of each other stream.
        #[test]
        fn nothing_starves(
            rivals in prop::collection::vec((0..4u64, 0..50u64), 30..60),
            deadline in 100..10_000u64,
        ) {
            let now = clock::now();
            let mut batcher = Batcher::new(100);
            batcher.push(ticket(now, 99, deadline), 99);
            for &(stream, deadline) in &rivals {
                batcher.push(ticket(now, stream, deadline), stream);
            }
            let turns = (0..).position(|_| run_one(&mut batcher, now) == 99);
            prop_assert!(turns.is_some_and(|turns| turns as u64 <= 4 * LEAD));
        }
    }
}
