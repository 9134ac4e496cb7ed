//! The threads of one model: workers that own an instance each, and a watch over them.
//!
//! A worker opens, uses and drops its instance on its own thread. The watch enforces what a
//! worker cannot: it answers requests whose deadline passes while every worker is busy, gives
//! up runs over the limit and puts fresh workers in their place. A worker that was given up
//! ends when its run comes back at last, or takes a place that stayed empty.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::Config;
use super::batcher::{Limits, Ticket};
use super::health::Event;
use super::model::{Detector, Error, Model, Opened};
use super::pool::{Fate, Next, State};
use super::reply::Job;
use crate::media::Picture;
use crate::media::clock;

/// Told of every change of health, one at a time, from a detection thread.
pub(super) type OnEvent = Arc<dyn Fn(Event) + Send + Sync>;

/// Where a worker reports that its instance is ready, or why not.
pub(super) type Ready = mpsc::SyncSender<Result<(), Error>>;

/// One model's queue and threads.
pub(super) struct Pool {
    pub model: Arc<dyn Model>,
    config: Config,
    core: Mutex<Core>,
    /// There may be work, or it is time to stop.
    work: Condvar,
    /// The watch should look again.
    alarm: Condvar,
    /// A worker has ended.
    ended: Condvar,
    /// Numbers workers across all models.
    numbers: Arc<AtomicU64>,
    reporting: Mutex<()>,
    on_event: OnEvent,
}

/// What the lock protects.
pub(super) struct Core {
    pub state: State,
    /// As the last instance that was opened said.
    pub provider: String,
    pub fallback: Option<String>,
    pub batches: bool,
    pub classes: Vec<Arc<str>>,
    /// When the watch looks again by itself; what is due later need not wake it.
    watch_at: Option<Instant>,
    alive: BTreeMap<u64, (String, JoinHandle<()>)>,
    finished: Vec<JoinHandle<()>>,
    stopped: bool,
}

impl Pool {
    pub(super) fn new(
        model: Arc<dyn Model>,
        config: &Config,
        numbers: Arc<AtomicU64>,
        on_event: OnEvent,
    ) -> Self {
        let core = Core {
            state: State::new(model.name(), config),
            provider: String::new(),
            fallback: None,
            batches: false,
            classes: Vec::new(),
            watch_at: None,
            alive: BTreeMap::new(),
            finished: Vec::new(),
            stopped: false,
        };
        Self {
            model,
            config: config.clone(),
            core: Mutex::new(core),
            work: Condvar::new(),
            alarm: Condvar::new(),
            ended: Condvar::new(),
            numbers,
            reporting: Mutex::new(()),
            on_event,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().expect("no panic under this lock")
    }

    /// Adds a worker and starts its thread.
    pub(super) fn hire(self: &Arc<Self>, ready: Option<Ready>) -> io::Result<()> {
        let worker = self.number();
        let mut core = self.lock();
        core.state.join(worker);
        self.start(&mut core, worker, ready)
    }

    /// Starts the watch; it ends with the last worker of a pool that stops.
    #[expect(clippy::disallowed_methods, reason = "joined by name with all others of the pool")]
    pub(super) fn start_watch(self: &Arc<Self>) -> io::Result<JoinHandle<()>> {
        let pool = self.clone();
        Builder::new().name("detect-watch".into()).spawn(move || pool.watch())
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    #[expect(clippy::disallowed_methods, reason = "kept by name, joined in `wait`")]
    fn start(
        self: &Arc<Self>,
        core: &mut Core,
        worker: u64,
        ready: Option<Ready>,
    ) -> io::Result<()> {
        // Not joined here: a thread that is about to end may still want the lock.
        core.finished.retain(|thread| !thread.is_finished());
        let name = format!("detect-{worker}");
        let pool = self.clone();
        match Builder::new().name(name.clone()).spawn(move || pool.work(worker, ready)) {
            Ok(thread) => {
                core.alive.insert(worker, (name, thread));
                Ok(())
            }
            Err(error) => {
                core.state.lose(worker);
                Err(error)
            }
        }
    }

    /// Hands in a request; it may be answered at once.
    pub(super) fn submit(&self, ticket: Ticket, job: Job) {
        let mut core = self.lock();
        core.state.submit(ticket, job, clock::now());
        self.wake_watch(&core);
        self.work.notify_one();
        self.settle(core);
    }

    /// Refuses new requests, answers the waiting ones and tells the threads to end.
    pub(super) fn close(&self) {
        let mut core = self.lock();
        core.state.close(clock::now());
        self.work.notify_all();
        self.alarm.notify_all();
        self.settle(core);
    }

    /// Waits for the workers until `deadline`; what still runs then is answered `Closed`.
    /// Returns the names of the threads that did not end.
    pub(super) fn wait(&self, deadline: Instant) -> Vec<String> {
        let mut core = self.lock();
        loop {
            let left = deadline.saturating_duration_since(clock::now());
            if core.alive.is_empty() || left.is_zero() {
                break;
            }
            core = self.ended.wait_timeout(core, left).expect("no panic under this lock").0;
        }
        let late = core.alive.values().map(|(name, _)| name.clone()).collect();
        core.state.close_running(clock::now());
        core.stopped = true;
        let finished = std::mem::take(&mut core.finished);
        self.alarm.notify_all();
        self.settle(core);
        for thread in finished {
            let _ = thread.join();
        }
        late
    }

    // === threads ===

    fn work(self: &Arc<Self>, worker: u64, ready: Option<Ready>) {
        let _end = End { pool: self, worker };
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
        while let Some(pictures) = self.wait_for_work(worker) {
            let result = match detector.as_mut() {
                Some(detector) => catch(|| detector.detect(&pictures)),
                None => match self.open() {
                    Ok(fresh) => catch(|| detector.insert(fresh).detect(&pictures)),
                    Err(error) => Outcome::Done(Err(error)),
                },
            };
            drop(pictures);
            let (result, broken) = match result {
                Outcome::Done(result) => (result, false),
                Outcome::Panicked(message) => (Err(Error(format!("panic: {message}"))), true),
            };
            let mut core = self.lock();
            let fate = core.state.finish(worker, result.map_err(|e| e.0), clock::now());
            // A retry may wait: whoever is idle must know when.
            self.work.notify_one();
            self.wake_watch(&core);
            self.settle(core);
            if fate == Fate::Leaves {
                return;
            }
            if broken {
                // The broken instance goes before the new one needs its memory.
                let old = detector.take();
                let _ = catch_unwind(AssertUnwindSafe(|| drop(old)));
                detector = self.open().ok();
            }
        }
    }

    /// Opens an instance; a panic while doing so is an error.
    fn open(&self) -> Result<Box<dyn Detector>, Error> {
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

    fn wait_for_work(&self, worker: u64) -> Option<Vec<Arc<Picture>>> {
        let mut core = self.lock();
        loop {
            let now = clock::now();
            let next = core.state.next(worker, now);
            if let Next::Run(pictures) = next {
                // What is left is for the next one who is idle.
                if core.state.figures().0 > 0 {
                    self.work.notify_one();
                }
                self.wake_watch(&core);
                self.settle(core);
                return Some(pictures);
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

    fn watch(self: &Arc<Self>) {
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

    /// Wakes the watch when something is due before it looks again.
    fn wake_watch(&self, core: &Core) {
        let Some(due) = core.state.next_alarm() else { return };
        if core.watch_at.is_none_or(|at| due < at) {
            self.alarm.notify_one();
        }
    }

    /// Unlocks, delivers the answers that are due and reports changes of health.
    fn settle(&self, mut core: MutexGuard<'_, Core>) {
        let answers = core.state.take_answers();
        let events = core.state.has_news();
        drop(core);
        for answer in answers {
            answer.send();
        }
        if !events {
            return;
        }
        // Whoever holds this reports everything there is, so the order is that of the changes.
        let _turn = self.reporting.lock().expect("no panic under this lock");
        loop {
            let Some(event) = self.lock().state.events.pop_front() else { return };
            let call = AssertUnwindSafe(|| (self.on_event)(event));
            if catch_unwind(call).is_err() {
                tracing::error!("a listener to detector events panicked");
            }
        }
    }
}

/// Strikes a worker off the list when its thread ends.
struct End<'a> {
    pool: &'a Pool,
    worker: u64,
}

impl Drop for End<'_> {
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
