//! The workers that count: what each is doing, and which rest because their instance keeps failing.
//!
//! An instance that fails again and again may be the only one that does: its GPU is lost, or out of
//! memory. Failing is quick, so it would draw all requests to itself. Its worker opens another
//! instance, on the next GPU where there are several, and lets the others work for a while, the
//! longer the more often it has failed. When all fail nobody rests: that is for the breaker.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Entry;
use crate::detect::Task;

/// Failures in a row from which an instance is taken for a bad one.
const BAD_AFTER: u32 = 2;
/// How long the worker of a bad instance rests: at first, and at most; each failure doubles it.
const REST: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// A run under way.
pub(super) struct Busy<T: Task> {
    pub started: Instant,
    pub batch: Vec<Entry<T>>,
}

/// One worker.
struct Place<T: Task> {
    busy: Option<Busy<T>>,
    /// Failed runs since the last that went well.
    failures: u32,
    rests_until: Option<Instant>,
}

/// The workers that count, by number.
pub(super) struct Places<T: Task>(BTreeMap<u64, Place<T>>);

impl<T: Task> Places<T> {
    pub(super) fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a worker that is idle.
    pub(super) fn join(&mut self, worker: u64) {
        self.0.insert(worker, Place { busy: None, failures: 0, rests_until: None });
    }

    /// Strikes a worker off; what it was doing.
    pub(super) fn leave(&mut self, worker: u64) -> Option<Busy<T>> {
        self.0.remove(&worker)?.busy
    }

    /// Strikes all off; what they were doing.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = Busy<T>> {
        std::mem::take(&mut self.0).into_values().filter_map(|place| place.busy)
    }

    pub(super) fn has(&self, worker: u64) -> bool {
        self.0.contains_key(&worker)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Runs under way, and whose they are.
    pub(super) fn busy(&self) -> impl Iterator<Item = (u64, &Busy<T>)> {
        self.0.iter().filter_map(|(&worker, place)| Some((worker, place.busy.as_ref()?)))
    }

    /// `worker` begins a run.
    pub(super) fn begin(&mut self, worker: u64, busy: Busy<T>) {
        if let Some(place) = self.0.get_mut(&worker) {
            place.busy = Some(busy);
        }
    }

    /// `worker`'s run is over: what it was.
    pub(super) fn end(&mut self, worker: u64) -> Option<Busy<T>> {
        self.0.get_mut(&worker)?.busy.take()
    }

    /// `worker`'s run went well.
    pub(super) fn succeeded(&mut self, worker: u64) {
        if let Some(place) = self.0.get_mut(&worker) {
            (place.failures, place.rests_until) = (0, None);
        }
    }

    /// `worker`'s run failed. Returns whether it should open another instance: with the second
    /// failure in a row, the fourth, the eighth and so on.
    pub(super) fn failed(&mut self, worker: u64, now: Instant) -> bool {
        let Some(place) = self.0.get_mut(&worker) else { return false };
        place.failures = place.failures.saturating_add(1);
        let Some(more) = place.failures.checked_sub(BAD_AFTER) else { return false };
        let rest = REST.0.saturating_mul(1 << more.min(16)).min(REST.1);
        place.rests_until = Some(now + rest);
        place.failures.is_power_of_two()
    }

    /// Until when `worker` rests; `None` when it may work.
    pub(super) fn rests(&self, worker: u64, now: Instant) -> Option<Instant> {
        let rests = |place: &Place<T>| place.rests_until.filter(|until| *until > now);
        let until = self.0.get(&worker).and_then(rests)?;
        let others = self.0.iter().filter(|(other, _)| **other != worker);
        others.map(|(_, place)| place).any(|place| rests(place).is_none()).then_some(until)
    }

    /// Whether an instance is taken for a bad one.
    pub(super) fn is_weak(&self) -> bool {
        self.0.values().any(|place| place.failures >= BAD_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Regions;
    use crate::media::clock;

    fn places(count: u64) -> (Places<Regions>, Instant) {
        let mut places = Places::new();
        (0..count).for_each(|worker| places.join(worker));
        (places, clock::now())
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn who_keeps_failing_rests_longer_each_time_while_others_work() {
        let (mut places, now) = places(2);
        assert!(!places.failed(0, now) && places.rests(0, now).is_none() && !places.is_weak());
        assert!(places.failed(0, now), "another instance");
        assert_eq!(places.rests(0, now), Some(now + ms(500)));
        assert!(places.is_weak() && places.rests(1, now).is_none());
        assert!(!places.failed(0, now + ms(500)));
        assert_eq!(places.rests(0, now + ms(500)), Some(now + ms(1_500)));
        for _ in 0..40 {
            places.failed(0, now);
        }
        assert_eq!(places.rests(0, now), Some(now + REST.1));
        places.succeeded(0);
        assert!(places.rests(0, now).is_none() && !places.is_weak());
    }

    #[test]
    fn when_all_fail_nobody_rests() {
        let (mut places, now) = places(2);
        for worker in [0, 0, 1, 1] {
            places.failed(worker, now);
        }
        assert_eq!((places.rests(0, now), places.rests(1, now)), (None, None));
        let (mut alone, now) = self::places(1);
        (0..9).for_each(|_| _ = alone.failed(0, now));
        assert_eq!(alone.rests(0, now), None);
    }

    #[test]
    fn a_worker_that_left_is_not_judged() {
        let (mut places, now) = places(1);
        assert!(places.leave(0).is_none());
        assert!(!places.failed(0, now) && !places.has(0) && places.rests(0, now).is_none());
    }
}
