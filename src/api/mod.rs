//! Control in: HTTP routes, webhooks, health, metrics.
//!
//! [`router`] is a function of its [`Parts`]: tests call it
//! without a socket. Layers from outside in: id, span, time limit and problem bodies; cross-origin
//! marks; rate limits; the route.

mod access;
mod cors;
mod deliveries;
mod error;
mod events;
mod extract;
mod health;
mod limits;
mod names;
mod ops;
mod request;
mod rules;
mod server;
mod streams;
#[cfg(test)]
mod tests;
mod tokens;
mod web;
mod webhook;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use livekit_api::webhooks::WebhookReceiver;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

pub use events::{Feed, FeedActor};
pub use health::{
    Condition, Dependencies, DetectorHealth, HealthSource, LivekitHealth, LoadHealth,
};
pub use names::{PROCESSED_SUFFIX, processed};
pub use server::serve;

use crate::config::Config;
use crate::media::clock;
use crate::session::Manager;
use crate::telemetry::Metrics;

/// What the API is made of.
#[derive(Clone)]
pub struct Parts {
    /// The configuration.
    pub config: Arc<Config>,
    /// Who runs the streams.
    pub manager: Manager,
    /// Where requests are counted.
    pub metrics: Metrics,
    /// What `/metrics` shows.
    pub registry: Arc<Registry>,
    /// How the dependencies are.
    pub health: Arc<dyn HealthSource>,
    /// What `/events` shows.
    pub feed: Feed,
    /// Ends event streams, and readiness.
    pub stop: CancellationToken,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("config", &self.config).finish_non_exhaustive()
    }
}

/// [`Parts`] and what the API itself remembers; cheap to clone.
#[derive(Clone)]
struct State(Arc<Inner>);

struct Inner {
    parts: Parts,
    verifier: access::Verifier,
    receiver: WebhookReceiver,
    deliveries: Mutex<deliveries::Deliveries>,
    windows: Mutex<limits::Windows>,
    cached_health: health::Cached,
    started: Instant,
}

impl State {
    fn new(parts: Parts) -> Self {
        let config = &parts.config;
        let window = Duration::from_secs(config.limits.window_s);
        Self(Arc::new(Inner {
            verifier: access::Verifier::new(config.access.jwt_secret.expose(), config.dev),
            receiver: webhook::receiver(&config.livekit),
            deliveries: Mutex::default(),
            windows: Mutex::new(limits::Windows::new(window)),
            cached_health: health::Cached::default(),
            started: clock::now(),
            parts,
        }))
    }

    fn config(&self) -> &Config {
        &self.0.parts.config
    }

    fn manager(&self) -> &Manager {
        &self.0.parts.manager
    }

    fn metrics(&self) -> &Metrics {
        &self.0.parts.metrics
    }

    fn registry(&self) -> &Registry {
        &self.0.parts.registry
    }

    fn health(&self) -> &dyn HealthSource {
        &*self.0.parts.health
    }

    fn feed(&self) -> &Feed {
        &self.0.parts.feed
    }

    fn stop(&self) -> &CancellationToken {
        &self.0.parts.stop
    }

    fn verifier(&self) -> &access::Verifier {
        &self.0.verifier
    }

    fn receiver(&self) -> &WebhookReceiver {
        &self.0.receiver
    }

    fn deliveries(&self) -> &Mutex<deliveries::Deliveries> {
        &self.0.deliveries
    }

    fn windows(&self) -> &Mutex<limits::Windows> {
        &self.0.windows
    }

    fn cached_health(&self) -> &health::Cached {
        &self.0.cached_health
    }

    fn started(&self) -> Instant {
        self.0.started
    }
}

/// The whole API.
pub fn router(parts: Parts) -> Router {
    let state = State::new(parts);
    Router::new()
        .route("/stream/start", post(streams::start))
        .route("/stream/end", post(streams::end))
        .route("/streams", get(streams::list))
        .route("/streams/{id}", get(streams::get))
        .route("/streams/{id}/cover", post(streams::cover))
        .route("/censorship/rules/{room}", get(rules::get).put(rules::put).delete(rules::delete))
        .route("/token", post(tokens::token))
        .route("/livekit/webhook", post(webhook::receive))
        .route("/events", get(events::events))
        .route("/health", get(health::health))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(ops::metrics))
        .merge(web::routes())
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(DefaultBodyLimit::max(state.config().http.max_body_bytes))
        .layer(from_fn_with_state(state.clone(), limits::limit))
        .layer(from_fn_with_state(state.clone(), cors::cors))
        .layer(from_fn_with_state(state.clone(), request::watch))
        .with_state(state)
}
