//! `/docs`: a small page of our own that shows `/openapi.json` and lets one try it.
//!
//! Nothing of it comes from elsewhere, and its policy lets it fetch from this server alone.

use axum::http::header;
use axum::response::{IntoResponse, Response};

const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                   img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// How long a browser may use what it has: a page and its script must not be of two versions for
/// longer.
const FRESH: &str = "no-cache";

pub(super) async fn page() -> Response {
    file("text/html; charset=utf-8", include_str!("docs/docs.html"))
}

pub(super) async fn script() -> Response {
    file("text/javascript; charset=utf-8", include_str!("docs/docs.js"))
}

pub(super) async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("docs/docs.css"))
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::CACHE_CONTROL, FRESH),
    ];
    (headers, text).into_response()
}
