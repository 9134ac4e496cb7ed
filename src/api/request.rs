//! What holds for every request: an id, a span, a time limit, a measured time, no lost panic.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State as Extract};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use tracing::Instrument as _;
use uuid::Uuid;

use super::State;
use super::error::Problem;
use super::headers::harden;
use crate::media::clock;

/// Carries the request's id both ways.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken from a client.
const ID_MAX: usize = 128;

/// The outermost layer.
pub(super) async fn watch(
    Extract(state): Extract<State>,
    request: Request,
    next: Next,
) -> Response {
    let started = clock::now();
    let id = request_id(request.headers());
    let method = method_label(request.method());
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or("unmatched", MatchedPath::as_str).to_owned();
    // At the highest level, so that even a lone error line carries the id.
    let span = tracing::error_span!("request", request_id = %id, method, route);
    let limit = Duration::from_millis(state.config().http.request_timeout_ms);
    let answered = answer(request, next, limit).instrument(span.clone()).await;
    let mut response = finish(answered, &id);
    harden(response.headers_mut(), state.config().http.tls());
    let status = response.status();
    let took = clock::now().saturating_duration_since(started);
    state.metrics().http(method, &route, status.as_u16()).observe_time(took);
    let took_ms = took.as_secs_f64() * 1_000.0;
    span.in_scope(|| match status {
        status if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE => {
            tracing::warn!(status = status.as_u16(), took_ms, "failed");
        }
        _ if method == "GET" || route == "/livekit/webhook" => {
            tracing::debug!(status = status.as_u16(), took_ms, "answered");
        }
        _ => tracing::info!(status = status.as_u16(), took_ms, "answered"),
    });
    response
}

async fn answer(request: Request, next: Next, limit: Duration) -> Response {
    let run = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(limit, run).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!("a handler panicked; this is a bug");
            Problem::internal().into_response()
        }
        Err(_) => {
            let detail = format!("not done after {} s", limit.as_secs_f32());
            Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", detail).into_response()
        }
    }
}

/// Gives every error its body, and every response its id.
fn finish(response: Response, id: &str) -> Response {
    let status = response.status();
    let problem = response.extensions().get::<Problem>().cloned();
    let is_error = status.is_client_error() || status.is_server_error();
    let has_body = response.headers().contains_key(header::CONTENT_TYPE);
    let mut response = match problem {
        Some(problem) => with_headers_of(problem.render(id), response.headers()),
        None if is_error && !has_body => {
            with_headers_of(Problem::of_status(status).render(id), response.headers())
        }
        None => response,
    };
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
    response
}

/// What inner layers said (Allow, RateLimit-*, CORS) holds for the rendered problem too.
fn with_headers_of(mut rendered: Response, inner: &HeaderMap) -> Response {
    let own = rendered.headers().clone();
    for (name, value) in inner {
        if !name.as_str().starts_with("content-") && !own.contains_key(name) {
            rendered.headers_mut().append(name, value.clone());
        }
    }
    rendered
}

/// The client's own id when it is short and plain, so that it cannot forge log lines.
fn request_id(headers: &HeaderMap) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    let own = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    own.filter(|id| (1..=ID_MAX).contains(&id.len()) && id.bytes().all(plain))
        .map_or_else(|| Uuid::now_v7().to_string(), ToOwned::to_owned)
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}
