//! Cross-origin calls from the origins of the configuration.

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::State;
use crate::config::Config;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE");

const HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, \
     x-request-id",
);

const EXPOSED: HeaderValue = HeaderValue::from_static(
    "etag, idempotency-replayed, location, ratelimit, ratelimit-limit, ratelimit-policy, \
     ratelimit-remaining, ratelimit-reset, retry-after, x-request-id",
);

/// How long a browser may remember a preflight's answer, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Answers preflights and marks responses for origins that are allowed; others get no mark, and
/// the browser keeps the response from the page.
pub(super) async fn cors(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let allowed = origin.filter(|origin| is_allowed(state.config(), origin));
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

/// Whether pages of an origin may call.
pub(super) fn is_allowed(config: &Config, origin: &HeaderValue) -> bool {
    let listed = |known: &String| known == "*" || known.as_bytes() == origin.as_bytes();
    config.http.cors_origins.iter().any(listed) || (config.dev && is_local(origin))
}

/// A page of this machine. Not any page: in development mode calls need no token, and whatever
/// else is open in the browser must not be able to make them.
fn is_local(origin: &HeaderValue) -> bool {
    let host = origin.to_str().ok().and_then(|origin| {
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))?;
        Some(rest.rsplit_once(':').map_or(rest, |(host, port)| {
            if port.bytes().all(|b| b.is_ascii_digit()) { host } else { rest }
        }))
    });
    matches!(host, Some("localhost" | "127.0.0.1" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_pages_are_told_from_others() {
        for local in
            ["http://localhost", "http://localhost:5173", "https://127.0.0.1:1", "http://[::1]:80"]
        {
            assert!(is_local(&HeaderValue::from_static(local)), "{local}");
        }
        for other in [
            "null",
            "http://localhost.example",
            "http://a.example:80",
            "http://localhost:80@b",
            "file://localhost",
        ] {
            assert!(!is_local(&HeaderValue::from_static(other)), "{other}");
        }
    }
}
