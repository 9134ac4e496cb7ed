//! The server itself.

use serde_json::{Value, json};

use crate::api::health;
use crate::api::openapi::operation::{Operation, Who, operation};

pub(super) fn all() -> Vec<Operation> {
    let report = json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "uptimeSeconds": 3600.5,
        "censorshipEnabled": true,
        "livekit": { "state": "up", "latencyMs": 1.2 },
        "database": { "state": "up", "backend": "sqlite", "latencyMs": 0.2, "waiting": 0, "lost": 0 },
        "detectors": [
            { "name": "nudenet-320n", "state": "up", "provider": "cpu", "queueDepth": 0, "latencyMs": 21.4 },
        ],
        "streams": { "active": 1 },
        "load": { "cpuBusyRatio": 0.2, "detectBusyRatio": 0.1, "memoryAvailableBytes": 4_000_000_000_u64 },
        "process": { "residentBytes": 180_000_000, "threads": 21, "openFds": 44, "cpuSeconds": 12.5 },
    });
    let index = operation("get", "/", "server", "What there is to call")
        .by(Who::Anyone)
        .gives::<Value>(200, "Name, version and routes.", json!({ "name": "scrim" }));
    let health = operation("get", "/health", "server", "Each dependency with its state")
        .by(Who::Exempt)
        .gives::<health::Report>(200, "All is well.", report.clone())
        .gives::<health::Report>(503, "Something is not; the body says what.", report);
    let live = operation("get", "/health/live", "server", "Whether the process answers")
        .by(Who::Exempt)
        .gives::<health::Short>(200, "It does.", json!({ "status": "ok" }));
    let ready = operation("get", "/health/ready", "server", "Whether a stream can be started")
        .by(Who::Exempt)
        .gives::<health::Short>(200, "It can.", json!({ "status": "ready" }))
        .gives::<health::Short>(503, "Starting or stopping.", json!({ "status": "starting" }));
    let metrics = operation("get", "/metrics", "server", "Metrics for Prometheus")
        .about("Open to anyone or to operators, as `access.metrics` says. OpenMetrics on request.")
        .by(Who::Configured)
        .gives_text("text/plain", "Prometheus text.", "scrim_queue_depth{queue=\"release\"} 0\n");
    let description = operation("get", "/openapi.json", "server", "This description")
        .by(Who::Exempt)
        .gives::<Value>(200, "OpenAPI 3.1.", json!({ "openapi": "3.1.0" }));
    let docs = operation("get", "/docs", "server", "This description as a page")
        .by(Who::Exempt)
        .gives_text("text/html", "The page.", "<!doctype html>");
    vec![index, health, live, ready, metrics, description, docs]
}
