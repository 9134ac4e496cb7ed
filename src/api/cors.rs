//! Cross-origin calls from the origins of the configuration.

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::State;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE");

const HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, if-match, last-event-id, x-request-id");

const EXPOSED: HeaderValue = HeaderValue::from_static(
    "etag, location, ratelimit-limit, ratelimit-remaining, ratelimit-reset, retry-after, \
     x-request-id",
);

/// How long a browser may remember a preflight's answer, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Answers preflights and marks responses for origins that are allowed; others get no mark, and
/// the browser keeps the response from the page.
pub(super) async fn cors(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let allowed = origin.filter(|origin| is_allowed(&state.config().http.cors_origins, origin));
    let preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response =
        if preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        if preflight {
            allow_preflight(headers);
        }
    }
    response
}

fn allow_preflight(headers: &mut HeaderMap) {
    let marks: [(HeaderName, HeaderValue); 3] = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ];
    headers.extend(marks);
}

fn is_allowed(origins: &[String], origin: &HeaderValue) -> bool {
    origins.iter().any(|known| known == "*" || known.as_bytes() == origin.as_bytes())
}
