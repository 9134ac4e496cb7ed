//! For machines and the curious: `/metrics` and `/`.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::State;
use super::access::{Anyone, Role};
use super::error::Problem;
use crate::config::Audience;
use crate::telemetry::{OPEN_METRICS, PLAIN, render};

pub(super) async fn metrics(
    Extract(state): Extract<State>,
    Anyone(caller): Anyone,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if state.config().access.metrics == Audience::Operator && caller?.role == Role::Viewer {
        return Err(Problem::forbidden("this needs the role operator or service"));
    }
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let open = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
    let text = render(state.registry(), open).map_err(|_| Problem::internal())?;
    let kind = if open { OPEN_METRICS } else { PLAIN };
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// What there is to call.
pub(super) async fn index() -> Json<Value> {
    Json(json!({
        "name": "scrim",
        "version": env!("CARGO_PKG_VERSION"),
        "routes": {
            "POST /stream/start": "start a stream: {roomName, participantName?, rules?, mode?}",
            "POST /stream/end": "end a stream: {roomName} or {streamId}",
            "GET /streams": "live and past streams: ?state=&room=&from=&to=&limit=&cursor=",
            "GET /streams/{id}": "one stream",
            "POST /streams/{id}/cover": "the dump button: {on, mute?, reason?}",
            "GET|PUT|DELETE /censorship/rules": "the global rules; ETag, If-Match",
            "GET|PUT|DELETE /censorship/rules/{room}": "a room's rules, over the global ones",
            "POST /censorship/rules/check": "tries rules on a picture or a text",
            "POST /process/frame": "looks at one picture",
            "GET /ws/stream/{sessionId}": "frames one by one (WebSocket)",
            "GET /stream": "frames to a censored video (WebSocket)",
            "GET /streaming/stats": "sessions of frames",
            "GET /censorship/sessions": "what runs now",
            "GET /censorship/events": "detections: ?room=&stream=&class=&from=&to=&limit=&cursor=&format=",
            "GET /room/analytics/{room}": "totals of a room: ?from=&to=",
            "GET /analytics": "totals of all rooms: ?from=&to=",
            "GET /audit": "who changed what: ?target=&from=&to=&limit=&cursor=",
            "GET /notifications": "what your own server was not told: ?state=&limit=&cursor=",
            "POST /notifications/{id}/retry": "tells it again",
            "POST /feedback/detection": "moves a threshold: {streamId, detectionId, wasCorrect}",
            "DELETE /feedback/{room}": "puts a room's thresholds back",
            "DELETE /feedback/{room}/{class}": "puts one of them back",
            "POST /token": "a LiveKit token: {roomName, participantName, role, metadata?}",
            "POST /livekit/webhook": "LiveKit's events",
            "GET /events": "what happens, as server-sent events",
            "GET /health": "each dependency with its state",
            "GET /health/live": "whether the process answers",
            "GET /health/ready": "whether a stream can be started",
            "GET /metrics": "Prometheus metrics",
            "GET, POST /keys": "API keys: {name, role?, expiresAt?}",
            "DELETE /keys/{key}": "revoke an API key",
            "GET /openapi.json": "the description of all this",
            "GET /docs": "the same as a page",
        },
    }))
}
