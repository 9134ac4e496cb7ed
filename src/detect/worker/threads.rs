//! What a worker and the watch do until they are told to end.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::{Pool, Ready};
use crate::detect::batcher::Limits;
use crate::detect::model::{Detector, Error, Opened, Role, Task};
use crate::detect::pool::{Fate, Next};
use crate::media::clock;
use crate::runtime::give_way;

impl<T: Task> Pool<T> {
    pub(super) fn work(self: &Arc<Self>, worker: u64, ready: Option<Ready>) {
        let _end = End { pool: self, worker };
        if T::ROLE != Role::Regions {
            // Without text's answers its lines are covered; without the others', everything.
            give_way();
        }
        let mut detector = match (self.open(), ready) {
            (Ok(detector), ready) => {
                ready.map(|ready| ready.send(Ok(())));
                Some(detector)
            }
            (Err(error), Some(ready)) => {
                let _ = ready.send(Err(error));
                return;
            }
            // A replacement tries again with its first batch, which fails if that fails.
            (Err(_), None) => None,
        };
        while let Some(inputs) = self.wait_for_work(worker) {
            let result = match detector.as_mut() {
                Some(detector) => catch(|| detector.detect(&inputs)),
                None => match self.open() {
                    Ok(fresh) => catch(|| detector.insert(fresh).detect(&inputs)),
                    Err(error) => Outcome::Done(Err(error)),
                },
            };
            drop(inputs);
            let (result, broken) = match result {
                Outcome::Done(result) => (result, false),
                Outcome::Panicked(message) => (Err(Error(format!("panic: {message}"))), true),
            };
            let mut core = self.lock();
            let fate = core.state.finish(worker, result.map_err(|e| e.0), clock::now());
            // A retry may wait: whoever is idle must know when.
            self.wake_worker(&core);
            self.wake_watch(&core);
            self.settle(core);
            if fate == Fate::Leaves {
                return;
            }
            if fate == Fate::Reopens {
                let model = self.model.name();
                tracing::warn!(model, worker, "a detector keeps failing, another is opened");
            }
            if broken || fate == Fate::Reopens {
                // The broken instance goes before the new one needs its memory.
                let old = detector.take();
                let _ = catch_unwind(AssertUnwindSafe(|| drop(old)));
                detector = self.open().ok();
            }
        }
    }

    /// Opens an instance; a panic while doing so is an error.
    fn open(&self) -> Result<Box<dyn Detector<T>>, Error> {
        let opened = match catch(|| self.model.open()) {
            Outcome::Done(opened) => opened,
            Outcome::Panicked(message) => Err(Error(format!("panic: {message}"))),
        };
        let Opened { detector, provider, fallback, batches, classes } =
            opened.inspect_err(|error| {
                let model = self.model.name();
                tracing::warn!(model, %error, "detector cannot be opened");
            })?;
        let mut core = self.lock();
        core.state.limits = if batches {
            let max = self.config.batch_size.max(1);
            Limits { max, linger: self.config.batch_max_wait }
        } else {
            Limits { max: 1, linger: Duration::ZERO }
        };
        (core.provider, core.fallback) = (provider, fallback);
        (core.batches, core.classes) = (batches, classes);
        Ok(detector)
    }

    fn wait_for_work(&self, worker: u64) -> Option<Vec<T::Input>> {
        let mut core = self.lock();
        loop {
            let now = clock::now();
            let next = core.state.next(worker, now);
            if let Next::Run(inputs) = next {
                // What is left is for the next one who is idle.
                if core.state.figures().0 > 0 {
                    self.wake_worker(&core);
                }
                self.wake_watch(&core);
                self.settle(core);
                return Some(inputs);
            }
            if core.state.has_news() {
                self.settle(core);
                core = self.lock();
                continue;
            }
            core = match next {
                Next::Stop => return None,
                Next::Wait(Some(at)) => {
                    let left = at.saturating_duration_since(now);
                    self.work.wait_timeout(core, left).expect("no panic under this lock").0
                }
                _ => self.work.wait(core).expect("no panic under this lock"),
            };
        }
    }

    pub(super) fn watch(self: &Arc<Self>) {
        let mut core = self.lock();
        loop {
            if core.stopped || core.state.stopping && core.alive.is_empty() {
                return;
            }
            let now = clock::now();
            core.state.expire(now);
            let fresh = core.state.give_up_stuck(now, || self.number());
            let started = fresh.iter().map(|&worker| self.start(&mut core, worker, None));
            let failed: Vec<io::Error> = started.filter_map(Result::err).collect();
            if core.state.has_news() {
                self.settle(core);
                self.report_stuck(&fresh, &failed);
                core = self.lock();
                continue;
            }
            core.watch_at = core.state.next_alarm();
            core = match core.watch_at {
                Some(at) => {
                    let left = at.saturating_duration_since(now);
                    self.alarm.wait_timeout(core, left).expect("no panic under this lock").0
                }
                None => self.alarm.wait(core).expect("no panic under this lock"),
            };
        }
    }

    /// Logs what was done about stuck runs; not under the lock, a log may block.
    fn report_stuck(&self, fresh: &[u64], failed: &[io::Error]) {
        let model = self.model.name();
        for worker in fresh {
            tracing::warn!(model, worker, "a detector is stuck, a fresh one takes its place");
        }
        for error in failed {
            tracing::error!(model, %error, "cannot start a detection thread");
        }
    }
}

/// Strikes a worker off the list when its thread ends.
struct End<'a, T: Task> {
    pool: &'a Pool<T>,
    worker: u64,
}

impl<T: Task> Drop for End<'_, T> {
    fn drop(&mut self) {
        // After a panic under the lock there is nothing left to save, and a second panic aborts.
        let Ok(mut core) = self.pool.core.lock() else { return };
        if core.state.has(self.worker) {
            core.state.lose(self.worker);
        }
        if let Some((_, thread)) = core.alive.remove(&self.worker) {
            core.finished.push(thread);
        }
        self.pool.ended.notify_all();
        self.pool.alarm.notify_all();
        self.pool.settle(core);
    }
}

/// What became of a call into a model.
enum Outcome<T> {
    Done(Result<T, Error>),
    Panicked(String),
}

fn catch<T>(call: impl FnOnce() -> Result<T, Error>) -> Outcome<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => Outcome::Done(result),
        Err(payload) => {
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
            Outcome::Panicked(text.unwrap_or_else(|| "without a message".to_owned()))
        }
    }
}
