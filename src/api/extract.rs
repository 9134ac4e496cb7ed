//! Bodies, queries and paths whose rejections are problems.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use uuid::Uuid;

use super::State;
use super::error::Problem;

/// A JSON body: 408 when it does not come in time, 415 when it is not announced as JSON, 413 when it is too large, 400 when it is
/// not JSON, 422 when it is JSON of another shape.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<State> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &State) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let bytes = raw(request, state).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| match error.classify() {
            Category::Data => Problem::invalid(&[error.to_string()]),
            _ => Problem::malformed(format!("the body is not JSON: {error}")),
        })
    }
}

/// The body as it came: 413 when it is too large, 408 when it does not come in time.
pub(super) async fn raw(request: Request, state: &State) -> Result<Bytes, Problem> {
    raw_up_to(request, state, state.config().http.max_body_bytes).await
}

/// The same with a limit of its own, in bytes, which the route's `DefaultBodyLimit` has too.
pub(super) async fn raw_up_to(
    request: Request,
    state: &State,
    most: usize,
) -> Result<Bytes, Problem> {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    let length: Option<u64> = length.and_then(|length| length.parse().ok());
    if length.is_some_and(|length| length > most as u64) {
        // Refused before it is sent; what comes all the same is not the next request.
        return Err(Problem::of_status(StatusCode::PAYLOAD_TOO_LARGE)
            .header(header::CONNECTION, HeaderValue::from_static("close")));
    }
    let limit = Duration::from_millis(state.config().http.body_timeout_ms);
    match tokio::time::timeout(limit, Bytes::from_request(request, state)).await {
        Ok(bytes) => bytes.map_err(|rejection| Problem::of_status(rejection.status())),
        // The rest of the body would be taken for the next request.
        Err(_) => Err(Problem::of_status(StatusCode::REQUEST_TIMEOUT)
            .header(header::CONNECTION, HeaderValue::from_static("close"))),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// A query string: 422 when it does not fit.
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::invalid(&[rejection.body_text()])),
        }
    }
}

/// A stream's id in the path; what is no UUID names no stream.
pub(super) struct StreamId(pub(super) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for StreamId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = Path::<Uuid>::from_request_parts(parts, state).await;
        id.map(|Path(id)| Self(id)).map_err(|_| Problem::unknown_stream())
    }
}
