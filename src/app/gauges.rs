//! Gauges that nobody pushes: read at intervals, whoever scrapes them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::{Condition, HealthSource};
use crate::detect::{Health, Position, Service};
use crate::runtime::Exit;
use crate::telemetry::{Breaker, Gpu, Gpus, Metrics};

/// How often the detectors are read: a few loads of memory.
const DETECTORS: Duration = Duration::from_secs(1);
/// How often the dependencies are asked: one call to LiveKit. Its log line comes this fast even
/// when nobody asks `/health`.
const DEPENDENCIES: Duration = Duration::from_secs(5);
/// How often the GPUs' driver is asked.
const GPUS: Duration = Duration::from_secs(5);
/// How long they may take to answer, as for `/health`.
const LIMIT: Duration = Duration::from_secs(2);

/// Shows each detector, and what waits for it.
pub(super) async fn detectors(detect: Service, metrics: Metrics, stop: CancellationToken) -> Exit {
    let depth = metrics.queue_depth("detect");
    let mut tick = tokio::time::interval(DETECTORS);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Exit::Cancelled,
            _ = tick.tick() => {}
        }
        let status = detect.status();
        depth.set(status.iter().map(|s| i64::try_from(s.queued).unwrap_or(i64::MAX)).sum());
        for detector in status {
            metrics.set_detector_up(&detector.name, detector.health == Health::Up);
            let breaker = match detector.breaker {
                Position::Closed => Breaker::Closed,
                Position::HalfOpen => Breaker::HalfOpen,
                Position::Open => Breaker::Open,
            };
            metrics.set_breaker(&detector.name, breaker);
        }
    }
}

/// Tells what the driver says of the GPUs. It may take its time, and with a card that is lost for
/// ever: it is asked where that holds nobody up, and then nothing is told.
pub(super) async fn gpus(
    gpus: Gpus,
    told: watch::Sender<Vec<Gpu>>,
    stop: CancellationToken,
) -> Exit {
    let gpus = Arc::new(gpus);
    let mut tick = tokio::time::interval(GPUS);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let driver = gpus.clone();
        let mut reading = tokio::task::spawn_blocking(move || driver.read());
        let read = tokio::select! {
            () = stop.cancelled() => return Exit::Cancelled,
            read = tokio::time::timeout(LIMIT, &mut reading) => read,
        };
        let Ok(read) = read else {
            tracing::warn!(
                "the GPUs' driver does not answer: look at nvidia-smi and the kernel's log"
            );
            told.send_replace(Vec::new());
            tokio::select! {
                () = stop.cancelled() => return Exit::Cancelled,
                _ = reading => continue,
            }
        };
        told.send_replace(read.unwrap_or_default());
    }
}

/// Shows whether a stream can be started, and whether LiveKit answers.
pub(super) async fn dependencies(
    health: Arc<dyn HealthSource>,
    metrics: Metrics,
    stop: CancellationToken,
) -> Exit {
    let mut tick = tokio::time::interval(DEPENDENCIES);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let known = async {
            tick.tick().await;
            look(&*health, LIMIT).await
        };
        let (ready, livekit) = tokio::select! {
            () = stop.cancelled() => return Exit::Cancelled,
            known = known => known,
        };
        metrics.set_service(ready, livekit);
    }
}

/// Whether a stream can be started, and whether LiveKit answers, as far as is known within `limit`.
async fn look(health: &dyn HealthSource, limit: Duration) -> (bool, bool) {
    let report = tokio::time::timeout(limit, health.report()).await;
    report.map_or((false, false), |known| (known.ready(), known.livekit.state != Condition::Down))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::api::{DatabaseHealth, Dependencies, LivekitHealth, LoadHealth};
    use crate::store::Backend;
    use crate::telemetry::render;

    /// LiveKit is what it is told to be.
    #[derive(Default)]
    struct Told {
        state: AtomicU8,
        asked: Option<tokio::sync::mpsc::UnboundedSender<()>>,
    }

    const UP: u8 = 0;
    const DEGRADED: u8 = 1;
    const DOWN: u8 = 2;
    const SILENT: u8 = 3;

    impl HealthSource for Told {
        fn report(&self) -> BoxFuture<'_, Dependencies> {
            if let Some(asked) = &self.asked {
                let _ = asked.send(());
            }
            let state = match self.state.load(Ordering::Relaxed) {
                UP => Condition::Up,
                DEGRADED => Condition::Degraded,
                DOWN => Condition::Down,
                _ => return std::future::pending().boxed(),
            };
            let livekit = LivekitHealth { state, latency_ms: None, error: None };
            let database = DatabaseHealth {
                state: Condition::Up,
                backend: Backend::Sqlite,
                latency_ms: None,
                waiting: 0,
                lost: 0,
                error: None,
            };
            let known = Dependencies {
                livekit,
                database,
                detectors: Vec::new(),
                gpus: Vec::new(),
                streams: 0,
                load: LoadHealth::default(),
                warmed_up: true,
            };
            std::future::ready(known).boxed()
        }
    }

    #[tokio::test]
    async fn one_lost_room_is_no_reason_against_the_next_stream() {
        let told = Told::default();
        let mut seen = Vec::new();
        for state in [UP, DEGRADED, DOWN, SILENT] {
            told.state.store(state, Ordering::Relaxed);
            seen.push(look(&told, Duration::from_millis(10)).await);
        }
        assert_eq!(seen, [(true, true), (true, true), (false, false), (false, false)]);
    }

    #[tokio::test]
    async fn livekit_is_asked_though_nobody_looks_at_health() {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        let (asked, mut asks) = tokio::sync::mpsc::unbounded_channel();
        let told = Arc::new(Told { asked: Some(asked), ..Told::default() });
        let stop = CancellationToken::new();
        let story = async {
            asks.recv().await;
            stop.cancel();
        };
        let run = dependencies(told, metrics, stop.clone());
        let (exit, ()) = tokio::join!(run, story);
        assert_eq!(exit, Exit::Cancelled);
        let text = render(&registry, false).unwrap();
        assert!(
            text.contains("scrim_ready 1\n") && text.contains("scrim_livekit_up 1\n"),
            "{text}"
        );
    }
}
