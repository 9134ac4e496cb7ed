//! What every answer tells browsers: trust nothing here that you were not told to.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// For answers that are data: nothing in them may be run, framed or fetched. Pages set their own.
const CSP: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'");

/// A year, as browsers' makers ask; only under TLS, elsewhere it is ignored.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Marks an answer. What a route said itself stays.
pub(super) fn harden(headers: &mut HeaderMap, tls: bool) {
    let marks: [(HeaderName, HeaderValue); 5] = [
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ];
    let marks = marks.into_iter().chain(tls.then_some((header::STRICT_TRANSPORT_SECURITY, HSTS)));
    for (name, value) in marks {
        headers.entry(name).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_marked_and_a_page_keeps_its_own() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'self'"),
        );
        harden(&mut headers, false);
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], "default-src 'self'");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert!(!headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
        harden(&mut headers, true);
        assert!(headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
    }
}
