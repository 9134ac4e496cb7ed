//! The handle to all detectors. A request for regions goes to each region detector and one answer
//! comes back; text has models of its own, behind [`Service::reader`].

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Instant;

use super::answers::{AnswerTime, Answers};
use super::batcher::Ticket;
use super::health::{DetectorStatus, Event};
use super::manifest::Entry;
use super::model::{Model, Regions, Task};
use super::reply::{Job, Reply, join};
use super::start::{Models, StartError, onnx_models, open_workers};
use super::text::{Lane, Reader};
use super::worker::{OnEvent, Pool};
use super::{Config, Request};
use crate::media::clock;

/// All detectors. Cheap to clone; the last handle that goes tells the threads to end.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    regions: Vec<Arc<Pool<Regions>>>,
    text: Option<Arc<Lane>>,
    answers: Arc<Mutex<Answers>>,
    watches: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.pools().map(Watched::name)).finish()
    }
}

impl Service {
    /// Loads ONNX Runtime and the models, checks their hashes, opens and warms up a session a
    /// worker. Takes seconds; returns when every worker is ready.
    ///
    /// `on_event` is told of every change of health, from a detection thread; it must not block.
    ///
    /// # Errors
    /// When anything that was configured is missing, damaged or unknown, or fails its first run.
    pub fn start(
        config: &Config,
        models: &[Entry],
        on_event: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        Self::start_models(config, onnx_models(config, models)?, on_event)
    }

    /// Starts with region detectors of any make, scripted ones in tests, and without text.
    ///
    /// # Errors
    /// When there is none, or one cannot be opened.
    pub fn start_with(
        config: &Config,
        regions: Vec<Arc<dyn Model>>,
        on_event: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        Self::start_models(config, Models { regions, text: None }, on_event)
    }

    /// Starts with models of any make.
    ///
    /// # Errors
    /// When there is no region detector, or a model cannot be opened.
    pub fn start_models(
        config: &Config,
        models: Models,
        on_event: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let Models { regions, text } = models;
        if regions.is_empty() {
            return Err(StartError::NoModel);
        }
        let (on_event, numbers): (OnEvent, _) = (Arc::new(on_event), Arc::new(AtomicU64::new(0)));
        let maker = Maker { config, numbers, on_event };
        let text = text
            .map(|(find, read)| Arc::new(Lane { find: maker.pool(find), read: maker.pool(read) }));
        let regions = regions.into_iter().map(|model| maker.pool(model)).collect();
        let answers = Arc::new(Mutex::new(Answers::new(clock::now())));
        let service = Self(Arc::new(Inner { regions, text, answers, watches: Mutex::default() }));
        for pool in &service.0.regions {
            service.open(pool, config.workers)?;
        }
        if let Some(lane) = &service.0.text {
            let workers = config.text_workers;
            service.open(&lane.find, workers)?;
            service.open(&lane.read, workers)?;
        }
        Ok(service)
    }

    /// Starts a model's workers and the watch over them.
    fn open<T: Task>(&self, pool: &Arc<Pool<T>>, workers: usize) -> Result<(), StartError> {
        open_workers(pool, workers)?;
        let watch = pool.start_watch().map_err(StartError::Thread)?;
        self.0.watches.lock().expect("no panic under this lock").push(watch);
        Ok(())
    }

    /// Hands a picture to every region detector. Never blocks; the answer may come before it returns.
    /// It holds the findings of all, best first; with several detectors one failure is a failure.
    pub fn submit(&self, request: Request) {
        let Request { stream, picture, deadline, need, reply } = request;
        let now = clock::now();
        let answers = self.0.answers.clone();
        let reply = Box::new(move |answer| {
            lock(&answers).add(need, &answer, clock::now());
            reply(answer);
        });
        let pools = &self.0.regions;
        for (pool, reply) in pools.iter().zip(join(pools.len(), reply)) {
            let bucket = pool.model.bucket(&picture);
            let ticket = Ticket { stream, deadline, need, bucket, queued: now, ready: now };
            let reply = Reply::new(reply);
            let input = picture.clone();
            pool.submit(ticket, Job { input, reply, probe: false, retried: false });
        }
    }

    /// How long answers took in the last half minute, those of all streams together. Cheap enough
    /// to be asked at every frame.
    pub fn answer_time(&self) -> AnswerTime {
        lock(&self.0.answers).time(clock::now())
    }

    /// What finds and reads text; `None` when no text models are configured. Its models have
    /// queues, workers and breakers of their own.
    pub fn reader(&self) -> Option<Arc<dyn Reader>> {
        self.0.text.clone().map(|lane| lane as Arc<dyn Reader>)
    }

    /// How each model is doing: region detectors first, then those of text.
    pub fn status(&self) -> Vec<DetectorStatus> {
        self.0.pools().map(Watched::status).collect()
    }

    /// Every class that any region detector can find, in the models' order.
    pub fn classes(&self) -> Vec<Arc<str>> {
        let mut all: Vec<Arc<str>> = Vec::new();
        for pool in &self.0.regions {
            for class in &pool.lock().classes {
                if !all.contains(class) {
                    all.push(class.clone());
                }
            }
        }
        all
    }

    /// Stops: refuses new requests, answers the waiting ones `Closed`, lets runs finish and
    /// joins the threads. Returns the names of those that did not end by `deadline`; their
    /// requests are answered `Closed` too. Blocks; not for a detection thread.
    pub fn stop(&self, deadline: Instant) -> Vec<String> {
        self.0.pools().for_each(Watched::close);
        let late = self.0.pools().flat_map(|pool| pool.wait(deadline)).collect();
        let watches = std::mem::take(&mut *self.0.watches.lock().expect("no panic under it"));
        for watch in watches {
            if watch.join().is_err() {
                tracing::error!("the watch over detectors panicked");
            }
        }
        late
    }
}

fn lock(answers: &Mutex<Answers>) -> MutexGuard<'_, Answers> {
    answers.lock().expect("no panic under this lock")
}

impl Inner {
    /// Every model, whatever it is asked for.
    fn pools(&self) -> impl Iterator<Item = &dyn Watched> {
        let regions = self.regions.iter().map(|pool| &**pool as &dyn Watched);
        let text = self.text.iter().flat_map(|lane| [&*lane.find as &dyn Watched, &*lane.read]);
        regions.chain(text)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.pools().for_each(Watched::close);
    }
}

/// What pools have in common.
struct Maker<'a> {
    config: &'a Config,
    numbers: Arc<AtomicU64>,
    on_event: OnEvent,
}

impl Maker<'_> {
    fn pool<T: Task>(&self, model: Arc<dyn Model<T>>) -> Arc<Pool<T>> {
        Arc::new(Pool::new(model, self.config, self.numbers.clone(), self.on_event.clone()))
    }
}

/// A model's queue and workers, whatever the model is asked for.
trait Watched {
    fn name(&self) -> &str;
    fn status(&self) -> DetectorStatus;
    fn close(&self);
    fn wait(&self, deadline: Instant) -> Vec<String>;
}

impl<T: Task> Watched for Pool<T> {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn status(&self) -> DetectorStatus {
        let (core, now) = (self.lock(), clock::now());
        let (queued, workers, health) = core.state.figures();
        let (run_p50, run_p95) = core.state.tally.percentiles();
        DetectorStatus {
            name: core.state.tally.name.clone(),
            role: T::ROLE,
            health,
            breaker: core.state.breaker(now),
            provider: core.provider.clone(),
            fallback: core.fallback.clone(),
            workers,
            abandoned: core.state.abandoned,
            queued,
            last_error: core.state.tally.last_error.clone(),
            run_p50,
            run_p95,
            busy: core.state.busy(now),
            counts: core.state.tally.counts,
        }
    }

    fn close(&self) {
        Self::close(self);
    }

    fn wait(&self, deadline: Instant) -> Vec<String> {
        Self::wait(self, deadline)
    }
}
