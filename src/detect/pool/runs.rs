//! What comes of a run: answers, a second try, a worker that is given up or comes back.

use std::time::Instant;

use super::places::Busy;
use super::{Entry, Fate, MAX_ABANDONED, RETRY_BACKOFF, State};
use crate::detect::{Failure, Need, Task};

impl<T: Task> State<T> {
    /// `worker`'s run came back.
    pub(in crate::detect) fn finish(
        &mut self,
        worker: u64,
        result: Result<Vec<T::Output>, String>,
        now: Instant,
    ) -> Fate {
        if !self.workers.has(worker) {
            return self.come_back(worker);
        }
        let Some(Busy { started, batch }) = self.workers.end(worker) else { return Fate::Stays };
        let ran = now.saturating_duration_since(started);
        let required = batch.iter().filter(|(ticket, _)| ticket.need == Need::Required).count();
        self.tally.ran(ran, batch.len(), required);
        let result = result.and_then(|found| {
            let (got, want) = (found.len(), batch.len());
            if got == want { Ok(found) } else { Err(format!("{got} answers to {want} pictures")) }
        });
        let mut fate = Fate::Stays;
        match result {
            Ok(found) => {
                self.breaker.success();
                self.workers.succeeded(worker);
                for (entry, output) in batch.into_iter().zip(found) {
                    self.tally.counts.answered += 1;
                    self.answer(entry, Ok(output), started, ran);
                }
            }
            Err(error) => {
                self.tally.last_error = Some(error.clone());
                self.failed_run(now);
                if self.workers.failed(worker, now) {
                    fate = Fate::Reopens;
                }
                for entry in batch {
                    self.retry_or_fail(entry, &error, (started, now));
                }
            }
        }
        self.update_health();
        fate
    }

    /// A worker that was given up is back: it takes an empty place, or leaves.
    fn come_back(&mut self, worker: u64) -> Fate {
        self.abandoned = self.abandoned.saturating_sub(1);
        if self.stopping || self.workers.len() >= self.wanted {
            return Fate::Leaves;
        }
        self.workers.join(worker);
        self.update_health();
        Fate::Stays
    }

    fn retry_or_fail(&mut self, entry: Entry<T>, error: &str, run: (Instant, Instant)) {
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
    pub(in crate::detect) fn give_up_stuck(
        &mut self,
        now: Instant,
        mut number: impl FnMut() -> u64,
    ) -> Vec<u64> {
        let over = |busy: &Busy<T>| now >= busy.started + self.limit;
        let stuck = self.workers.busy().filter(|(_, busy)| over(busy));
        let stuck: Vec<u64> = stuck.map(|(id, _)| id).collect();
        let mut fresh = Vec::new();
        for worker in &stuck {
            let Some(busy) = self.workers.leave(*worker) else { continue };
            if self.abandoned < MAX_ABANDONED && !self.stopping {
                let id = number();
                self.workers.join(id);
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
}
