//! Assembles the server in one visible order, runs it, and takes it down again.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::api::{
    self, Condition, Dependencies, DetectorHealth, Feed, FeedActor, HealthSource, Keys,
    LivekitHealth, LoadHealth, Parts, Serving, Tls,
};
use crate::config::Config;
use crate::detect::{self, Health, Service};
use crate::inspect::Inspector;
use crate::livekit::{self, CheckError, Credentials};
use crate::media::clock;
use crate::notify::Sender;
use crate::runtime::{Exit, Signals, Supervisor};
use crate::session::{Kept, Limits, Load, Manager, Registry, Sampler, Settings, State, Summary};
use crate::store::{Journal, JournalActor, Keeper, Store};
use crate::telemetry::{Gpu, GpuCollector, Gpus, Metrics, trace};
use crate::thumbnail;

mod engines;
mod first_key;
mod follow;
mod gauges;
mod history;
mod resume;

pub(crate) use engines::{detection, open_engines, watch};
use engines::{open_detectors, open_gpus};
use follow::{Follower, Hearing};
use history::History;

/// Events that a slow reader may be behind before it loses the oldest.
const EVENTS: usize = 1_024;

/// A server that is ready to run: port bound, models warm, rules checked.
pub struct App {
    config: Arc<Config>,
    listener: TcpListener,
    detect: Service,
    gpus: Option<(Gpus, watch::Sender<Vec<Gpu>>)>,
    metrics: Metrics,
    registry: Registry,
    sampler: Sampler,
    feed: FeedActor,
    health: Arc<Probe>,
    exporter: Option<trace::Exporter>,
    store: Store,
    journal: JournalActor,
    sender: Option<Sender>,
    router: axum::Router,
    tls: Option<Tls>,
    keys: Keys,
    follower: Follower,
    /// Goes on with what the last process left open.
    resume: BoxFuture<'static, Exit>,
    stop: CancellationToken,
}

impl App {
    /// Binds the port, checks LiveKit's keys, opens and warms up the models, checks the rules.
    ///
    /// A LiveKit that does not answer is no error: it may start after us. Until it does, the
    /// server is not ready, says why in `/health`, and refuses to start streams.
    ///
    /// # Errors
    ///
    /// Whatever an operator must mend first, in words.
    pub async fn assemble(config: Config) -> anyhow::Result<Self> {
        let config = Arc::new(config);
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        let address = config.http.listen;
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        let tls = Tls::open(&config.http)?;
        let credentials = Credentials::from(&config.livekit);
        check_livekit(&credentials).await?;

        let mut names = prometheus_client::registry::Registry::default();
        let metrics = Metrics::new(&mut names);
        metrics.set_censorship(config.censorship.enabled);
        let (events, _) = broadcast::channel(EVENTS);
        let History { store, kept, changes, webhooks, interrupted } =
            history::open(&config).await?;
        let explained = |error: anyhow::Error| match crate::nvidia::explain(&config) {
            lacks if lacks.is_empty() => error,
            lacks => anyhow::anyhow!("{error:#}\nthis machine lacks:{lacks}"),
        };
        let engines = open_engines(&config).await.map_err(explained)?;
        let detect = open_detectors(&config, metrics.clone(), events.clone()).await;
        let detect = detect.map_err(explained)?;
        let gpus = open_gpus(&config.detect);
        let gpus_said = gpus.as_ref().map(|(_, told)| told.subscribe());
        if let Some(said) = gpus_said.clone() {
            names.register_collector(Box::new(GpuCollector(said)));
        }
        let problems = crate::pipeline::problems(&config.rules, &detect);
        if !problems.is_empty() {
            bail!(
                "the rules of the configuration make no sense:\n  rules.{}",
                problems.join("\n  rules.")
            );
        }

        let telemetry = &config.telemetry;
        let (tracer, exporter) =
            trace::open(&telemetry.otlp_endpoint, &telemetry.service_name, &metrics)?;
        let thumbnails = thumbnail::Service::start(events.clone(), metrics.clone())
            .context("no thread for thumbnails")?;
        let settings = Settings {
            credentials: credentials.clone(),
            watch: watch(&config.pipeline),
            rules: config.rules.clone(),
            enabled: config.censorship.enabled,
            limits: Limits {
                max_cpu: config.limits.max_cpu,
                max_streams: config.limits.max_streams,
                stream_cpu: config.limits.stream_cpu,
                looks: config.pipeline.processing_fps,
            },
            tracer,
            thumbnails: Some(thumbnails),
            engines,
        };
        let (load, sampler) = Sampler::new(detect.clone(), metrics.clone());
        let (manager, registry) =
            Registry::new(settings, detect.clone(), metrics.clone(), events.clone(), load.clone());
        let (journal, journal_actor) =
            Journal::new(store.clone(), manager.clone(), metrics.clone(), config.notify.is_on());
        let sender = Sender::new(store.clone(), &config.notify, metrics.clone())?;
        let registry = registry.recall(Kept { journal: Some(journal.clone()), ..kept });
        let (feed_handle, feed) = Feed::new(manager.events());
        let keys = Keys::new(Arc::new(store.clone()));
        keys.refresh().await.context("cannot read the API keys")?;
        first_key::make(&config, &keys).await;
        let (hearing, follower) =
            Follower::new(store.clone(), manager.clone(), keys.clone(), changes);
        let stop = CancellationToken::new();
        let health = Arc::new(Probe {
            credentials: credentials.clone(),
            detect: detect.clone(),
            gpus: gpus_said,
            manager: manager.clone(),
            load,
            store: store.clone(),
            journal: journal.clone(),
            hearing,
            metrics: metrics.clone(),
            told: Mutex::default(),
        });
        let left = if config.livekit.autostart { interrupted } else { Vec::new() };
        let resume = resume::run(left, credentials, manager.clone(), stop.clone()).boxed();
        let router = api::router(Parts {
            config: config.clone(),
            manager,
            metrics: metrics.clone(),
            registry: Arc::new(names),
            inspector: Inspector::new(detect.clone(), config.pictures.limits()),
            health: health.clone(),
            feed: feed_handle,
            keys: keys.clone(),
            store: store.clone(),
            journal,
            webhooks,
            stop: stop.clone(),
        });
        Ok(Self {
            config,
            listener,
            detect,
            gpus,
            metrics,
            registry,
            sampler,
            feed,
            health,
            exporter,
            store,
            journal: journal_actor,
            sender,
            router,
            tls,
            keys,
            follower,
            resume,
            stop,
        })
    }

    /// Serves until a signal; then ends every stream, lets requests finish, and stops the models,
    /// all within the configured deadline.
    ///
    /// # Errors
    ///
    /// When something had to be left behind, or a part that must not end did.
    pub async fn run(self, mut signals: Signals) -> anyhow::Result<()> {
        let Self {
            config,
            listener,
            detect,
            gpus,
            metrics,
            registry,
            sampler,
            feed,
            health,
            exporter,
            store,
            journal,
            sender,
            router,
            tls,
            keys,
            follower,
            resume,
            stop,
        } = self;
        tracing::info!(address = %listener.local_addr()?, "scrim is up");
        // Streams end before the connections do: their viewers and their operators are told.
        let mut streams = Supervisor::new(CancellationToken::new());
        streams.spawn("sessions", |stop| async move {
            registry.run(stop).await;
            Exit::Cancelled
        });
        let mut edge = Supervisor::new(stop);
        let serving = Serving { http: config.http.clone(), tls: tls.clone() };
        edge.spawn("http", |stop| api::serve(listener, router, serving, stop));
        if let Some(tls) = tls {
            edge.spawn("certificate", |stop| tls.run(stop));
        }
        edge.spawn("keys", |stop| keys.run(stop));
        edge.spawn("follower", |stop| follower.run(stop));
        edge.spawn("events", |stop| feed.run(stop));
        edge.spawn("journal", |stop| journal.run(stop));
        if let Some(sender) = sender {
            edge.spawn("notify", |stop| sender.run(stop));
        }
        let keeper = Keeper::new(
            store.clone(),
            config.database.retention_days,
            config.record.thumbnail_hours,
        );
        edge.spawn("retention", |stop| keeper.run(stop));
        edge.spawn("resume", |_| resume);
        edge.spawn("load", |stop| sampler.run(stop));
        let (watched, shown) = (detect.clone(), metrics.clone());
        if let Some((gpus, told)) = gpus {
            edge.spawn("gpu gauges", |stop| gauges::gpus(gpus, told, stop));
        }
        edge.spawn("detector gauges", |stop| gauges::detectors(watched, shown, stop));
        if let Some(exporter) = exporter {
            edge.spawn("traces", |stop| exporter.run(stop));
        }
        edge.spawn("health gauges", |stop| gauges::dependencies(health, metrics, stop));

        let cause = tokio::select! {
            signal = signals.next() => Ok(signal),
            ended = streams.next() => Err(ended),
            ended = edge.next() => Err(ended),
        };
        match &cause {
            Ok(signal) => tracing::info!(signal, "stopping"),
            Err(ended) => tracing::error!(?ended, "a part that must not end did, stopping"),
        }
        let deadline = config.shutdown.deadline();
        let down = async {
            let mut stuck = streams.shut_down(deadline).await;
            stuck.extend(edge.shut_down(deadline / 4).await);
            let _ = tokio::time::timeout(deadline / 4, store.close()).await;
            let until = clock::now() + deadline / 4;
            let models = tokio::task::spawn_blocking(move || detect.stop(until)).await;
            stuck.extend(models.unwrap_or_default());
            stuck
        };
        let stuck = tokio::select! {
            stuck = down => stuck,
            _ = signals.exit_on_next() => unreachable!("the process has ended"),
        };
        match cause {
            _ if !stuck.is_empty() => bail!("left behind at the deadline: {}", stuck.join(", ")),
            Ok(_) => Ok(()),
            Err(ended) => bail!("ended unasked: {ended:?}"),
        }
    }
}

async fn check_livekit(credentials: &Credentials) -> anyhow::Result<()> {
    match livekit::check(credentials).await {
        Ok(took) => tracing::info!(?took, "livekit answers"),
        Err(error @ CheckError::WrongKey) => {
            return Err(error)
                .context("livekit.api_key and livekit.api_secret must be a pair of its keys");
        }
        Err(error) => tracing::error!(%error, "not ready until livekit answers"),
    }
    Ok(())
}

/// How the dependencies are, for `/health`.
struct Probe {
    credentials: Credentials,
    detect: Service,
    gpus: Option<watch::Receiver<Vec<Gpu>>>,
    manager: Manager,
    load: watch::Receiver<Load>,
    store: Store,
    journal: Journal,
    hearing: Hearing,
    metrics: Metrics,
    /// What was logged of LiveKit last.
    told: Mutex<Option<String>>,
}

impl HealthSource for Probe {
    fn report(&self) -> BoxFuture<'_, Dependencies> {
        async {
            let streams = self.manager.list().await;
            let live: Vec<_> = streams.iter().filter(|s| s.state != State::Ended).collect();
            let (livekit, database) = tokio::join!(
                self.livekit(&live),
                history::look(&self.store, &self.journal, &self.hearing, &self.metrics)
            );
            Dependencies {
                livekit,
                database,
                detectors: self.detect.status().into_iter().map(detector).collect(),
                gpus: self.gpus.as_ref().map(|said| said.borrow().clone()).unwrap_or_default(),
                streams: live.len(),
                load: load(&self.load.borrow()),
                warmed_up: true,
            }
        }
        .boxed()
    }
}

impl Probe {
    /// LiveKit itself, and the media path of every stream through it. Anyone may read this:
    /// addresses and rooms are for the log.
    async fn livekit(&self, live: &[&Summary]) -> LivekitHealth {
        match livekit::check(&self.credentials).await {
            Err(error) => {
                self.tell(Some(&error));
                let error = match error {
                    CheckError::Unreachable { .. } => "LiveKit cannot be reached; see the log",
                    CheckError::WrongKey => "LiveKit does not accept the API key or secret",
                    CheckError::Refused(_) => "LiveKit refused a call; see the log",
                };
                let (state, latency_ms) = (Condition::Down, None);
                LivekitHealth { state, latency_ms, error: Some(error.to_owned()) }
            }
            Ok(took) => {
                self.tell(None);
                let broken = live.iter().filter(|s| s.state == State::Reconnecting).count();
                let error = format!("{broken} of {} streams are reconnecting", live.len());
                LivekitHealth {
                    state: if broken > 0 { Condition::Degraded } else { Condition::Up },
                    latency_ms: Some(took.as_secs_f64() * 1e3),
                    error: (broken > 0).then_some(error),
                }
            }
        }
    }

    /// One line in the log for each change.
    fn tell(&self, error: Option<&CheckError>) {
        let error = error.map(ToString::to_string);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != error {
            match &error {
                Some(error) => tracing::warn!(error, "not ready: livekit does not answer"),
                None => tracing::info!("livekit answers again"),
            }
            *told = error;
        }
    }
}

fn load(load: &Load) -> LoadHealth {
    LoadHealth {
        cpu_busy_ratio: if load.cores > 0.0 { load.busy / load.cores } else { 0.0 },
        detect_busy_ratio: load.detection_busy,
        memory_available_bytes: load.memory_available,
    }
}

fn detector(status: detect::DetectorStatus) -> DetectorHealth {
    let (state, error) = match status.health {
        Health::Up => (Condition::Up, status.fallback),
        Health::Degraded => (Condition::Degraded, status.last_error),
        Health::Open => (Condition::Down, status.last_error),
    };
    let latency = status.run_p50;
    DetectorHealth {
        name: status.name,
        state,
        provider: status.provider,
        queue_depth: status.queued,
        latency_ms: (!latency.is_zero()).then_some(latency.as_secs_f64() * 1e3),
        error,
    }
}
