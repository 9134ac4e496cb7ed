//! Control in: HTTP routes, webhooks, health, metrics.
//!
//! [`router`] is a function of its [`Parts`]: tests call it
//! without a socket. Layers from outside in: id, span, time limit, problem bodies and headers for
//! browsers; cross-origin marks; rate limits; the route.

mod access;
mod analytics;
mod audit;
mod cors;
mod deliveries;
mod detections;
mod docs;
mod error;
mod events;
mod extract;
mod feedback;
mod headers;
mod health;
mod idempotency;
mod keys;
mod limits;
mod monitor;
mod names;
mod notifications;
mod openapi;
mod ops;
mod pages;
mod pictures;
mod request;
mod rules;
mod server;
mod sockets;
mod streams;
#[cfg(test)]
mod tests;
mod thumbnails;
mod tls;
mod tokens;
mod versions;
mod web;
mod webhook;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use livekit_api::webhooks::WebhookReceiver;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

pub use access::{Role, sign};
pub use events::{Feed, FeedActor};
pub use health::{
    Condition, DatabaseHealth, Dependencies, DetectorHealth, HealthSource, LivekitHealth,
    LoadHealth,
};
pub use keys::{Hash as KeyHash, Key, Keys, New as NewKey, Record as KeyRecord, Shelf, ShelfError};
pub use names::{PROCESSED_SUFFIX, processed};
pub use server::{Serving, serve};
pub use tls::{Error as TlsError, Tls};

use crate::config::Config;
use crate::frames::Sessions;
use crate::inspect::Inspector;
use crate::media::clock;
use crate::session::Manager;
use crate::store::{Journal, Store};
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
    /// Looks at single pictures.
    pub inspector: Inspector,
    /// How the dependencies are.
    pub health: Arc<dyn HealthSource>,
    /// What `/events` shows.
    pub feed: Feed,
    /// API keys.
    pub keys: Keys,
    /// What outlives the process.
    pub store: Store,
    /// Keeps what nobody waits for.
    pub journal: Journal,
    /// Webhooks that the process before has dealt with, oldest first.
    pub webhooks: Vec<String>,
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
    calls: Mutex<idempotency::Calls>,
    sessions: Sessions,
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
            deliveries: Mutex::new(deliveries::Deliveries::after(&parts.webhooks)),
            windows: Mutex::new(limits::Windows::new(window)),
            calls: Mutex::default(),
            sessions: Sessions::new(config.frames.limits()),
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

    fn inspector(&self) -> &Inspector {
        &self.0.parts.inspector
    }

    fn health(&self) -> &dyn HealthSource {
        &*self.0.parts.health
    }

    fn feed(&self) -> &Feed {
        &self.0.parts.feed
    }

    fn store(&self) -> &Store {
        &self.0.parts.store
    }

    fn journal(&self) -> &Journal {
        &self.0.parts.journal
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

    fn calls(&self) -> &Mutex<idempotency::Calls> {
        &self.0.calls
    }

    fn keys(&self) -> &Keys {
        &self.0.parts.keys
    }

    fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    fn cached_health(&self) -> &health::Cached {
        &self.0.cached_health
    }

    fn started(&self) -> Instant {
        self.0.started
    }
}

/// What is read from and written to the database.
fn history() -> Router<State> {
    let global = get(rules::get_global).put(rules::put_global).delete(rules::delete_global);
    let room = get(rules::get_room).put(rules::put_room).delete(rules::delete_room);
    Router::new()
        .route("/censorship/rules", global)
        .route("/censorship/rules/{room}", room)
        .route("/censorship/versions", get(versions::list))
        .route("/censorship/sessions", get(streams::sessions))
        .route("/censorship/events", get(detections::list))
        .route("/censorship/events/{id}/thumbnail", get(thumbnails::get))
        .route("/room/analytics/{room}", get(analytics::room))
        .route("/analytics", get(analytics::all))
        .route("/audit", get(audit::list))
        .route("/notifications", get(notifications::list))
        .route("/notifications/{id}/retry", post(notifications::retry))
        .route("/feedback/detection", post(feedback::detection))
        .route("/feedback/{room}", delete(feedback::reset_room))
        .route("/feedback/{room}/{class}", delete(feedback::reset_class))
}

/// What looks at pictures that are sent here, and what their bodies may be.
fn pictures(state: &State) -> Router<State> {
    Router::new()
        .route("/process/frame", post(pictures::process))
        .route("/censorship/rules/check", post(pictures::check))
        .route("/streaming/stats", get(sockets::stats))
        .route("/ws/stream/{sessionId}", get(sockets::live))
        .route("/stream", get(sockets::upload))
        .layer(DefaultBodyLimit::max(pictures::body_max(state)))
}

/// The whole API.
pub fn router(parts: Parts) -> Router {
    let state = State::new(parts);
    let once = from_fn_with_state(state.clone(), idempotency::once);
    Router::new()
        .route("/stream/start", post(streams::start).layer(once))
        .route("/stream/end", post(streams::end))
        .route("/streams", get(streams::list))
        .route("/streams/{id}", get(streams::get))
        .route("/streams/{id}/cover", post(streams::cover))
        .merge(history())
        .route("/token", post(tokens::token))
        .route("/token/monitor", post(monitor::tokens))
        .route("/livekit/webhook", post(webhook::receive))
        .route("/events", get(events::events))
        .route("/health", get(health::health))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(ops::metrics))
        .route("/keys", get(keys::routes::list).post(keys::routes::create))
        .route("/keys/{key}", delete(keys::routes::revoke))
        .route("/openapi.json", get(openapi::openapi))
        .route("/docs", get(docs::page))
        .route("/docs/docs.js", get(docs::script))
        .route("/docs/docs.css", get(docs::style))
        .merge(web::routes())
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(DefaultBodyLimit::max(state.config().http.max_body_bytes))
        .merge(pictures(&state))
        .layer(from_fn_with_state(state.clone(), limits::limit))
        .layer(from_fn_with_state(state.clone(), cors::cors))
        .layer(from_fn_with_state(state.clone(), request::watch))
        .with_state(state)
}
