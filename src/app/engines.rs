//! What the configuration says of the engines, and detection at start.

use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{broadcast, watch};

use crate::config::{self, Config};
use crate::detect::{self, Health, Manifest, Service};
use crate::media::clock;
use crate::media::engines::{Engines, Opened};
use crate::pipeline;
use crate::session::Event;
use crate::telemetry::{Breaker, Gpu, Gpus, Metrics};
use crate::track;

/// How the frames of every stream are watched.
pub(crate) fn watch(pipeline: &config::Pipeline) -> pipeline::Watch {
    pipeline::Watch {
        max_gap: Duration::from_secs_f64(1.0 / pipeline.processing_fps),
        track: track::Config {
            decay: pipeline.confidence_decay_rate as f32,
            predict: pipeline.kalman_enabled,
            ..track::Config::default()
        },
    }
}

/// How models are run.
pub(crate) fn detection(detect: &config::Detect) -> detect::Config {
    detect::Config {
        onnxruntime: detect.onnxruntime.clone(),
        models_dir: detect.models_dir.clone(),
        providers: detect.providers.clone(),
        devices: detect.devices.clone(),
        half_precision: detect.half_precision,
        gpu_memory: detect.gpu_memory_mb.saturating_mul(1 << 20),
        workers: detect.workers,
        text_workers: detect.text_workers,
        threads_per_session: detect.threads_per_session,
        batch_size: detect.batch_size,
        batch_max_wait: Duration::from_millis(detect.batch_max_wait_ms),
        limit: Duration::from_millis(detect.limit_ms),
        breaker_failures: detect.breaker_failures,
        breaker_retry: Duration::from_secs(detect.breaker_open_s),
        ..detect::Config::default()
    }
}

/// What decodes and encodes streams; proving that takes moments of work on each GPU. One line says
/// what it is.
pub(crate) async fn open_engines(config: &Config) -> anyhow::Result<Engines> {
    let (decoder, encoder) = (config.media.decoder, config.media.encoder);
    let devices = config.detect.devices.clone();
    let opened =
        tokio::task::spawn_blocking(move || Engines::open(decoder, encoder, &devices)).await;
    let Opened { engines, notes } = opened.context("opening the decoders panicked")??;
    let (decoder, encoder) = engines.describe();
    let notes = notes.join("; ");
    if models_on_gpus(&config.detect) && !engines.decode_on_gpus() && !notes.is_empty() {
        tracing::warn!(
            decoder,
            encoder,
            notes,
            "models run on GPUs, and streams are not decoded there"
        );
    } else {
        tracing::info!(decoder, encoder, notes, "streams are decoded and encoded");
    }
    Ok(engines)
}

/// Whether GPUs are meant to run the models.
fn models_on_gpus(detect: &config::Detect) -> bool {
    detect.providers.iter().any(|name| matches!(name.as_str(), "cuda" | "tensorrt"))
}

/// Opening a model takes seconds of work: it is done off the async threads.
pub(super) async fn open_detectors(
    config: &Config,
    metrics: Metrics,
    events: broadcast::Sender<Event>,
) -> anyhow::Result<Service> {
    let detect = &config.detect;
    let settings = detection(detect);
    let models =
        Manifest::read(&detect.manifest)?.choose(&detect.models).context("detect.models")?;
    let began = clock::now();
    let service = tokio::task::spawn_blocking(move || {
        Service::start(&settings, &models, move |event| changed(event, &metrics, &events))
    })
    .await
    .context("opening the models panicked")??;
    for status in service.status() {
        tracing::info!(
            model = status.name,
            provider = status.provider,
            fallback = status.fallback,
            workers = status.workers,
            took = ?began.elapsed(),
            "model ready"
        );
    }
    Ok(service)
}

/// The driver of the GPUs that models run on, and where what it says is told; `None` where none
/// should, or none answers: then there are no figures, and the models say themselves whether they
/// run.
pub(super) fn open_gpus(detect: &config::Detect) -> Option<(Gpus, watch::Sender<Vec<Gpu>>)> {
    if !models_on_gpus(detect) {
        return None;
    }
    let gpus = Gpus::open().inspect_err(|error| tracing::warn!(%error, "no figures of the GPU"));
    Some((gpus.ok()?, watch::Sender::new(Vec::new())))
}

/// A detector got worse or better: metric, event and one log line.
fn changed(event: detect::Event, metrics: &Metrics, events: &broadcast::Sender<Event>) {
    let event = match event {
        detect::Event::Degraded { detector, health, reason } => {
            let open = health == Health::Open;
            metrics.set_detector_up(&detector, false);
            metrics.set_breaker(&detector, if open { Breaker::Open } else { Breaker::Closed });
            tracing::warn!(
                detector,
                ?health,
                reason,
                "detector degraded: unseen frames are covered"
            );
            Event::Degraded { detector, reason }
        }
        detect::Event::Recovered { detector } => {
            metrics.set_detector_up(&detector, true);
            metrics.set_breaker(&detector, Breaker::Closed);
            tracing::info!(detector, "detector recovered");
            Event::Recovered { detector }
        }
    };
    let _ = events.send(event);
}
