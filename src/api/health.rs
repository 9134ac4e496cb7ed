//! `/health`: each dependency with its state; 503 when one is not well.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use futures_util::future::BoxFuture;
use serde::Serialize;

use super::State;
use crate::media::clock;
use crate::store::Backend;
use crate::telemetry::{Gpu, Process};

/// How long the dependencies may take to answer.
const LIMIT: Duration = Duration::from_secs(2);

/// How long an answer is good for: many who ask cost no more than one.
const FRESH: Duration = Duration::from_secs(1);

/// Knows how the dependencies are.
pub trait HealthSource: Send + Sync {
    /// Looks at them now. May take as long as a round trip to LiveKit.
    fn report(&self) -> BoxFuture<'_, Dependencies>;
}

/// A dependency's state.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// It answers.
    Up,
    /// It answers, but not well.
    Degraded,
    /// It does not answer.
    Down,
}

/// LiveKit as seen from here.
#[derive(schemars::JsonSchema, Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LivekitHealth {
    /// Whether it answers.
    pub state: Condition,
    /// The time of one call, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// What is wrong, for a person; without addresses or keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A model.
#[derive(schemars::JsonSchema, Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DetectorHealth {
    /// Its name in the manifest.
    pub name: String,
    /// Whether it answers.
    pub state: Condition,
    /// The execution provider in use.
    pub provider: String,
    /// Pictures that wait.
    pub queue_depth: usize,
    /// Median time of one picture in the model, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// What is wrong, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The database and its writer.
#[derive(schemars::JsonSchema, Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseHealth {
    /// Whether it answers, and takes what is written.
    pub state: Condition,
    /// Which it is.
    pub backend: Backend,
    /// The time of one call, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// Things that wait to be written.
    pub waiting: usize,
    /// Things that were given up since the start.
    pub lost: u64,
    /// What is wrong, for a person; without addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How busy this machine is, over the last seconds.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadHealth {
    /// Share of the processors that is busy with anything, 0 to 1.
    pub cpu_busy_ratio: f64,
    /// Share of the time that the busiest model's threads spend in runs, 0 to 1.
    pub detect_busy_ratio: f64,
    /// Bytes that can still be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_available_bytes: Option<u64>,
}

/// What a [`HealthSource`] says.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependencies {
    /// LiveKit.
    pub livekit: LivekitHealth,
    /// The database.
    pub database: DatabaseHealth,
    /// Every model.
    pub detectors: Vec<DetectorHealth>,
    /// Every GPU, where models run on one.
    pub gpus: Vec<Gpu>,
    /// Streams that run.
    pub streams: usize,
    /// The machine.
    pub load: LoadHealth,
    /// Whether the models have run once on every shape they will see.
    pub warmed_up: bool,
}

impl Dependencies {
    /// When nothing is known in time.
    fn unknown(error: &str, backend: Backend) -> Self {
        let (state, latency_ms) = (Condition::Down, None);
        let error = Some(error.to_owned());
        Self {
            livekit: LivekitHealth { state, latency_ms, error: error.clone() },
            database: DatabaseHealth { state, backend, latency_ms, waiting: 0, lost: 0, error },
            detectors: Vec::new(),
            gpus: Vec::new(),
            streams: 0,
            load: LoadHealth::default(),
            warmed_up: false,
        }
    }

    fn condition(&self) -> Condition {
        let detectors = self.detectors.iter().map(|detector| detector.state);
        let others = [self.livekit.state, self.database.state];
        let well = detectors.chain(others).all(|state| state == Condition::Up);
        if well { Condition::Up } else { Condition::Degraded }
    }

    /// Whether a stream can be started now. That others are reconnecting is no reason against it,
    /// and the database may be away: streams do without.
    pub fn ready(&self) -> bool {
        self.warmed_up && self.livekit.state != Condition::Down
    }
}

/// The last answer and when it came.
pub(super) type Cached = tokio::sync::Mutex<Option<(Instant, Dependencies)>>;

#[derive(schemars::JsonSchema)]
#[schemars(rename = "Health")]
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    status: &'static str,
    version: &'static str,
    uptime_seconds: f64,
    censorship_enabled: bool,
    livekit: LivekitHealth,
    database: DatabaseHealth,
    detectors: Vec<DetectorHealth>,
    /// Every GPU, where models run on one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gpus: Vec<Gpu>,
    streams: Streams,
    load: LoadHealth,
    process: Figures,
}

#[derive(schemars::JsonSchema)]
#[schemars(rename = "RunningStreams")]
#[derive(Serialize)]
struct Streams {
    active: usize,
}

#[derive(schemars::JsonSchema)]
#[schemars(rename = "ProcessFigures")]
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    resident_bytes: u64,
    threads: u64,
    open_fds: u64,
    cpu_seconds: f64,
}

async fn ask(state: &State) -> Dependencies {
    // Held across the question: whoever asks meanwhile waits for the same answer.
    let mut cached = state.cached_health().lock().await;
    let now = clock::now();
    match &*cached {
        Some((at, known)) if now.saturating_duration_since(*at) < FRESH => known.clone(),
        _ => {
            let answer = tokio::time::timeout(LIMIT, state.health().report()).await;
            let backend = state.store().backend();
            let answer = answer
                .unwrap_or_else(|_| Dependencies::unknown("no answer within 2 seconds", backend));
            *cached = Some((clock::now(), answer.clone()));
            answer
        }
    }
}

pub(super) async fn health(Extract(state): Extract<State>) -> (StatusCode, Json<Report>) {
    let known = ask(&state).await;
    let process = Process::read();
    let well = known.condition() == Condition::Up;
    let report = Report {
        status: if well { "ok" } else { "degraded" },
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: clock::now().saturating_duration_since(state.started()).as_secs_f64(),
        censorship_enabled: state.config().censorship.enabled,
        livekit: known.livekit,
        database: known.database,
        detectors: known.detectors,
        gpus: known.gpus,
        streams: Streams { active: known.streams },
        load: known.load,
        process: Figures {
            resident_bytes: process.resident_bytes,
            threads: process.threads,
            open_fds: process.open_fds,
            cpu_seconds: process.cpu_seconds,
        },
    };
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report))
}

#[derive(schemars::JsonSchema)]
#[schemars(rename = "Status")]
#[derive(Serialize)]
pub(super) struct Short {
    status: &'static str,
}

/// Whether the process answers at all.
pub(super) async fn live() -> Json<Short> {
    Json(Short { status: "ok" })
}

/// Whether a stream can be started: models warmed up, LiveKit reachable, not stopping.
pub(super) async fn ready(Extract(state): Extract<State>) -> (StatusCode, Json<Short>) {
    let status = if state.stop().is_cancelled() {
        "stopping"
    } else if ask(&state).await.ready() {
        return (StatusCode::OK, Json(Short { status: "ready" }));
    } else {
        "starting"
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(Short { status }))
}
