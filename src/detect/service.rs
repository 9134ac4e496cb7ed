//! The handle to all detectors: every request goes to each of them, one answer comes back.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread::{JoinHandle, available_parallelism};
use std::time::Instant;

use super::answers::{AnswerTime, Answers};
use super::batcher::Ticket;
use super::health::{DetectorStatus, Event};
use super::manifest::{self, Entry};
use super::model::{Error, Model};
use super::onnx::{Onnx, Provider, environment};
use super::reply::{Job, Reply, join};
use super::worker::{OnEvent, Pool};
use super::{Config, Request};
use crate::media::clock;

/// Workers of a model on a GPU: one prepares its pictures while the other's are in the model.
const GPU_WORKERS: usize = 2;

/// All detectors. Cheap to clone; the last handle that goes tells the threads to end.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    pools: Vec<Arc<Pool>>,
    answers: Arc<Mutex<Answers>>,
    watches: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.pools.iter().map(|pool| pool.model.name())).finish()
    }
}

/// Why detection cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is nothing to run.
    #[error("no detection model is configured")]
    NoModel,
    /// The manifest has no such model.
    #[error("the manifest has no model named {name}")]
    UnknownModel {
        /// The name that was asked for.
        name: String,
    },
    /// Not an execution provider.
    #[error("unknown execution provider {name:?}; allowed: {}", Provider::NAMES)]
    UnknownProvider {
        /// The name that was given.
        name: String,
    },
    /// No execution provider was given.
    #[error("no execution provider is configured; allowed: {}", Provider::NAMES)]
    NoProvider,
    /// A model's file is missing or is not what it should be.
    #[error(transparent)]
    Model(#[from] manifest::Error),
    /// ONNX Runtime cannot be loaded.
    #[error("cannot load ONNX Runtime from {}: {error}", path.display())]
    Runtime {
        /// The library.
        path: PathBuf,
        /// Why.
        error: Error,
    },
    /// A model does not load, or its first runs fail, on every provider.
    #[error("cannot open model {model}: {error}")]
    Open {
        /// The model.
        model: String,
        /// Why, a provider each.
        error: Error,
    },
    /// The system has no thread to give.
    #[error("cannot start a detection thread")]
    Thread(#[source] std::io::Error),
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
        Self::start_with(config, onnx_models(config, models)?, on_event)
    }

    /// Starts with models of any make: scripted ones in tests.
    ///
    /// # Errors
    /// When there is no model, or one cannot be opened.
    pub fn start_with(
        config: &Config,
        models: Vec<Arc<dyn Model>>,
        on_event: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        if models.is_empty() {
            return Err(StartError::NoModel);
        }
        let (on_event, numbers): (OnEvent, _) = (Arc::new(on_event), Arc::new(AtomicU64::new(0)));
        let pool = |model| Arc::new(Pool::new(model, config, numbers.clone(), on_event.clone()));
        let pools = models.into_iter().map(pool).collect();
        let answers = Arc::new(Mutex::new(Answers::new(clock::now())));
        let service = Self(Arc::new(Inner { pools, answers, watches: Mutex::default() }));
        for pool in &service.0.pools {
            open_workers(pool, config)?;
            let watch = pool.start_watch().map_err(StartError::Thread)?;
            service.0.watches.lock().expect("no panic under this lock").push(watch);
        }
        Ok(service)
    }

    /// Hands a picture to every detector. Never blocks; the answer may come before it returns.
    /// It holds the findings of all, best first; with several detectors one failure is a failure.
    pub fn submit(&self, request: Request) {
        let Request { stream, picture, deadline, need, reply } = request;
        let now = clock::now();
        let answers = self.0.answers.clone();
        let reply = Box::new(move |answer| {
            lock(&answers).add(need, &answer, clock::now());
            reply(answer);
        });
        for (pool, reply) in self.0.pools.iter().zip(join(self.0.pools.len(), reply)) {
            let bucket = pool.model.bucket(&picture);
            let ticket = Ticket { stream, deadline, need, bucket, queued: now, ready: now };
            let reply = Reply::new(reply);
            let picture = picture.clone();
            pool.submit(ticket, Job { picture, reply, probe: false, retried: false });
        }
    }

    /// How long answers took in the last half minute, those of all streams together. Cheap enough
    /// to be asked at every frame.
    pub fn answer_time(&self) -> AnswerTime {
        lock(&self.0.answers).time(clock::now())
    }

    /// How each detector is doing.
    pub fn status(&self) -> Vec<DetectorStatus> {
        self.0.pools.iter().map(|pool| pool.status()).collect()
    }

    /// Every class that any detector can find, in the models' order.
    pub fn classes(&self) -> Vec<Arc<str>> {
        let mut all: Vec<Arc<str>> = Vec::new();
        for pool in &self.0.pools {
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
        for pool in &self.0.pools {
            pool.close();
        }
        let late = self.0.pools.iter().flat_map(|pool| pool.wait(deadline)).collect();
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

impl Drop for Inner {
    fn drop(&mut self) {
        for pool in &self.pools {
            pool.close();
        }
    }
}

impl Pool {
    fn status(&self) -> DetectorStatus {
        let (core, now) = (self.lock(), clock::now());
        let (queued, workers, health) = core.state.figures();
        let (run_p50, run_p95) = core.state.tally.percentiles();
        DetectorStatus {
            name: core.state.tally.name.clone(),
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
}

/// Reads and verifies the models, and loads the library they run on.
pub(super) fn onnx_models(
    config: &Config,
    models: &[Entry],
) -> Result<Vec<Arc<dyn Model>>, StartError> {
    if config.providers.is_empty() {
        return Err(StartError::NoProvider);
    }
    let parse = |name: &String| {
        Provider::parse(name).ok_or_else(|| StartError::UnknownProvider { name: name.clone() })
    };
    let providers: Vec<Provider> = config.providers.iter().map(parse).collect::<Result<_, _>>()?;
    let path = &config.onnxruntime;
    let environment =
        environment(path).map_err(|error| StartError::Runtime { path: path.clone(), error })?;
    let open = |entry| Ok(Arc::new(Onnx::new(entry, config, &providers, &environment)?) as _);
    models.iter().map(open).collect()
}

/// Starts a model's workers; the first says what it runs on, and so how many there are.
fn open_workers(pool: &Arc<Pool>, config: &Config) -> Result<(), StartError> {
    let failed = |error| StartError::Open { model: pool.model.name().to_owned(), error };
    let hire = |count: usize| -> Result<(), StartError> {
        let (ready, opened) = mpsc::sync_channel(count);
        for _ in 0..count {
            pool.hire(Some(ready.clone())).map_err(StartError::Thread)?;
        }
        drop(ready);
        for _ in 0..count {
            let gone = |_| Err(Error::new("its thread ended"));
            opened.recv().unwrap_or_else(gone).map_err(failed)?;
        }
        Ok(())
    };
    hire(1)?;
    let wanted = match config.workers {
        0 if pool.lock().batches => GPU_WORKERS,
        0 => available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    hire(wanted - 1)?;
    pool.lock().state.wanted = wanted;
    Ok(())
}
