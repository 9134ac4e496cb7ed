//! Gauges that nobody pushes: read at intervals, whoever scrapes them.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::api::{Condition, HealthSource};
use crate::detect::{Health, Position, Service};
use crate::runtime::Exit;
use crate::telemetry::{Breaker, Metrics};

/// How often the detectors are read: a few loads of memory.
const DETECTORS: Duration = Duration::from_secs(1);
/// How often the dependencies are asked: one call to LiveKit. Its log line comes this fast even
/// when nobody asks `/health`.
const DEPENDENCIES: Duration = Duration::from_secs(5);
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

/// Shows whether a stream can be started, and whether LiveKit answers.
pub(super) async fn dependencies(
    health: Arc<dyn HealthSource>,
    metrics: Metrics,
    stop: CancellationToken,
) -> Exit {
    let mut tick = tokio::time::interval(DEPENDENCIES);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let report = async {
            tick.tick().await;
            tokio::time::timeout(LIMIT, health.report()).await
        };
        let report = tokio::select! {
            () = stop.cancelled() => return Exit::Cancelled,
            report = report => report,
        };
        let (ready, livekit) = report.map_or((false, false), |known| {
            (known.ready(), known.livekit.state != Condition::Down)
        });
        metrics.set_service(ready, livekit);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::api::{Dependencies, LivekitHealth, LoadHealth};
    use crate::telemetry::render;

    /// LiveKit is what it is told to be.
    #[derive(Default)]
    struct Told(AtomicU8);

    const UP: u8 = 0;
    const DEGRADED: u8 = 1;
    const DOWN: u8 = 2;
    const SILENT: u8 = 3;

    impl HealthSource for Told {
        fn report(&self) -> BoxFuture<'_, Dependencies> {
            let state = match self.0.load(Ordering::Relaxed) {
                UP => Condition::Up,
                DEGRADED => Condition::Degraded,
                DOWN => Condition::Down,
                _ => return std::future::pending().boxed(),
            };
            let livekit = LivekitHealth { state, latency_ms: None, error: None };
            let load = LoadHealth::default();
            let detectors = Vec::new();
            let known = Dependencies { livekit, detectors, streams: 0, load, warmed_up: true };
            std::future::ready(known).boxed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn livekit_is_asked_though_nobody_looks_at_health() {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        let (told, stop) = (Arc::new(Told::default()), CancellationToken::new());
        let run = dependencies(told.clone(), metrics, stop.clone());
        let story = async {
            let mut seen = Vec::new();
            for state in [UP, DEGRADED, DOWN, SILENT, UP] {
                told.0.store(state, Ordering::Relaxed);
                tokio::time::sleep(DEPENDENCIES + LIMIT).await;
                let text = render(&registry, false).unwrap();
                let is = |line: &str| text.lines().any(|have| have == line);
                seen.push((is("scrim_ready 1"), is("scrim_livekit_up 1")));
            }
            stop.cancel();
            seen
        };
        let (exit, seen) = tokio::join!(run, story);
        assert_eq!(exit, Exit::Cancelled);
        let well = (true, true);
        assert_eq!(seen, [well, well, (false, false), (false, false), well]);
    }
}
