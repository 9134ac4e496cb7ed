//! The threads of one model: workers that own an instance each, and a watch over them.
//! What they do is in [`threads`].
//!
//! A worker opens, uses and drops its instance on its own thread. The watch enforces what a
//! worker cannot: it answers requests whose deadline passes while every worker is busy, gives
//! up runs over the limit and puts fresh workers in their place. A worker that was given up
//! ends when its run comes back at last, or takes a place that stayed empty.

mod threads;

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use super::Config;
use super::batcher::Ticket;
use super::health::Event;
use super::model::{Error, Model, Task};
use super::pool::State;
use super::reply::Job;
use crate::media::clock;

/// Told of every change of health, one at a time, from a detection thread.
pub(super) type OnEvent = Arc<dyn Fn(Event) + Send + Sync>;

/// Where a worker reports that its instance is ready, or why not.
pub(super) type Ready = mpsc::SyncSender<Result<(), Error>>;

/// One model's queue and threads.
pub(super) struct Pool<T: Task> {
    pub model: Arc<dyn Model<T>>,
    config: Config,
    core: Mutex<Core<T>>,
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
pub(super) struct Core<T: Task> {
    pub state: State<T>,
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

impl<T: Task> Pool<T> {
    pub(super) fn new(
        model: Arc<dyn Model<T>>,
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

    /// GPUs that instances are spread over, should they be on GPUs.
    pub(super) fn gpus(&self) -> usize {
        self.config.devices.len().max(1)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Core<T>> {
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
        core: &mut Core<T>,
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
    pub(super) fn submit(&self, ticket: Ticket, job: Job<T>) {
        let mut core = self.lock();
        core.state.submit(ticket, job, clock::now());
        self.wake_watch(&core);
        self.wake_worker(&core);
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

    /// Wakes a worker for what waits. One that rests would not pass it on, so then all are woken.
    fn wake_worker(&self, core: &Core<T>) {
        if core.state.is_weak() {
            self.work.notify_all();
        } else {
            self.work.notify_one();
        }
    }

    /// Wakes the watch when something is due before it looks again.
    fn wake_watch(&self, core: &Core<T>) {
        let Some(due) = core.state.next_alarm() else { return };
        if core.watch_at.is_none_or(|at| due < at) {
            self.alarm.notify_one();
        }
    }

    /// Unlocks, delivers the answers that are due and reports changes of health.
    fn settle(&self, mut core: MutexGuard<'_, Core<T>>) {
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
