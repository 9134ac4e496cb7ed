//! How often a client may call: fixed windows, pure, bounded.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State as Extract};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::State;
use super::error::Problem;
use crate::media::clock;

/// Clients that are remembered; further ones share one window until old windows have passed.
const CLIENTS_MAX: usize = 10_000;

/// Pictures of detections for each request of most routes.
const PICTURES: u32 = 20;

/// The connection's other end; set by the server for each request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client(pub(super) IpAddr);

/// Which limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Class {
    /// Most routes.
    General,
    /// Those that make tokens and streams.
    Strict,
    /// Pictures of detections, which a page shows by the dozen.
    Pictures,
}

/// Windows by client.
#[derive(Debug)]
pub(super) struct Windows {
    length: Duration,
    clients: HashMap<(IpAddr, Class), (Instant, u32)>,
}

/// What a request is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    allowed: bool,
    limit: u32,
    remaining: u32,
    /// Until the window ends.
    reset: Duration,
}

impl Windows {
    pub(super) fn new(length: Duration) -> Self {
        Self { length, clients: HashMap::new() }
    }

    /// Counts a request. A refused one does not lengthen the wait.
    fn hit(&mut self, client: IpAddr, class: Class, limit: u32, now: Instant) -> Quota {
        let length = self.length;
        let over = |start: Instant| now.saturating_duration_since(start) >= length;
        let mut key = (network(client), class);
        if !self.clients.contains_key(&key) && self.clients.len() >= CLIENTS_MAX {
            self.clients.retain(|_, (start, _)| !over(*start));
            if self.clients.len() >= CLIENTS_MAX {
                key = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), class);
            }
        }
        let (start, count) = self.clients.entry(key).or_insert((now, 0));
        if over(*start) {
            (*start, *count) = (now, 0);
        }
        let allowed = *count < limit;
        *count += u32::from(allowed);
        let reset = length.saturating_sub(now.saturating_duration_since(*start));
        Quota { allowed, limit, remaining: limit - *count, reset }
    }
}

/// A client of IPv6 has a whole /64 to call from.
pub(super) fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn writes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The limit of a route; `None` for those that are exempt.
fn class(route: Option<&str>, method: &Method) -> Option<Class> {
    match route {
        Some(
            "/livekit/webhook" | "/metrics" | "/health" | "/health/live" | "/health/ready"
            | "/openapi.json",
        ) => None,
        Some(page) if page == "/docs" || page.starts_with("/docs/") => None,
        Some(page) if super::web::is_page(page) => None,
        Some("/censorship/events/{id}/thumbnail") => Some(Class::Pictures),
        Some("/token" | "/stream/start") => Some(Class::Strict),
        Some(rules) if rules.starts_with("/censorship/rules") && writes(method) => {
            Some(Class::Strict)
        }
        Some(keys) if keys.starts_with("/keys") && writes(method) => Some(Class::Strict),
        _ => Some(Class::General),
    }
}

/// Refuses with 429 whoever calls too often, and tells everyone how much is left.
pub(super) async fn limit(
    Extract(state): Extract<State>,
    request: Request,
    next: Next,
) -> Response {
    let config = state.config();
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let limits = &config.limits;
    let counted = class(route, request.method()).map(|class| match class {
        Class::General => (class, limits.requests),
        Class::Strict => (class, limits.strict_requests),
        Class::Pictures => (class, limits.requests.saturating_mul(PICTURES)),
    });
    let Some((class, limit)) = counted.filter(|(_, limit)| *limit > 0) else {
        return next.run(request).await;
    };
    if config.dev && !limits.in_dev {
        return next.run(request).await;
    }
    let client = client(&request, &config.http.client_ip_header);
    let quota = {
        let mut windows = state.windows().lock().unwrap_or_else(PoisonError::into_inner);
        windows.hit(client, class, limit, clock::now())
    };
    let mut response =
        if quota.allowed { next.run(request).await } else { refuse(quota).into_response() };
    tell(response.headers_mut(), class, quota, limits.window_s);
    response
}

fn refuse(quota: Quota) -> Problem {
    let seconds = whole_seconds(quota.reset);
    let detail = format!("too many requests; try again in {seconds} s");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail)
        .header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

/// Both ways of saying it: three headers that most clients know, and the two of the IETF draft
/// "RateLimit header fields for HTTP".
fn tell(headers: &mut HeaderMap, class: Class, quota: Quota, window_s: u64) {
    let Quota { limit, remaining, .. } = quota;
    let reset = whole_seconds(quota.reset);
    let figures = [
        ("ratelimit-limit", limit.into()),
        ("ratelimit-remaining", remaining.into()),
        ("ratelimit-reset", reset),
    ];
    for (name, value) in figures {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
    let name = match class {
        Class::General => "api",
        Class::Strict => "strict",
        Class::Pictures => "pictures",
    };
    let texts = [
        ("ratelimit-policy", format!("\"{name}\";q={limit};w={window_s}")),
        ("ratelimit", format!("\"{name}\";r={remaining};t={reset}")),
    ];
    for (name, value) in texts {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Rounded up: who waits that long is served.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// The last entry of the proxy's header (the one that the proxy itself added), or the connection.
fn client(request: &Request, proxy_header: &str) -> IpAddr {
    let named = || {
        let value = request.headers().get_all(proxy_header).iter().next_back()?;
        value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
    };
    let connection = request.extensions().get::<Client>();
    let from_proxy = if proxy_header.is_empty() { None } else { named() };
    from_proxy.or(connection.map(|client| client.0)).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(900);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_counts_down_and_begins_anew() {
        let mut windows = Windows::new(LENGTH);
        let start = clock::now();
        let mut hit = |after| windows.hit(ip("192.0.2.1"), Class::General, 2, start + after);
        let first = hit(Duration::ZERO);
        assert_eq!((first.allowed, first.remaining, first.reset), (true, 1, LENGTH));
        assert!(hit(Duration::from_secs(1)).allowed);
        let refused = hit(Duration::from_millis(1_500));
        assert!(!refused.allowed && refused.remaining == 0);
        assert_eq!(whole_seconds(refused.reset), 899);
        assert!(!hit(LENGTH - Duration::from_nanos(1)).allowed);
        assert!(hit(LENGTH).allowed);
    }

    #[test]
    fn clients_and_classes_are_counted_apart() {
        let mut windows = Windows::new(LENGTH);
        let now = clock::now();
        let mut hit = |client, class| windows.hit(ip(client), class, 1, now).allowed;
        assert!(hit("192.0.2.1", Class::General));
        assert!(hit("192.0.2.1", Class::Strict));
        assert!(hit("192.0.2.2", Class::General));
        assert!(!hit("::ffff:192.0.2.2", Class::General));
        assert!(hit("2001:db8::1", Class::General));
        assert!(!hit("2001:db8::2", Class::General));
        assert!(hit("2001:db8:0:1::1", Class::General));
    }

    #[test]
    fn the_number_of_clients_is_bounded() {
        let mut windows = Windows::new(LENGTH);
        let now = clock::now();
        for n in 0..=CLIENTS_MAX as u32 + 5 {
            windows.hit(IpAddr::V4(Ipv4Addr::from_bits(n + 1)), Class::General, 3, now);
        }
        assert!(windows.clients.len() <= CLIENTS_MAX + 2);
        windows.hit(ip("203.0.113.9"), Class::General, 3, now + LENGTH);
        assert_eq!(windows.clients.len(), 1);
    }

    #[test]
    fn behind_a_proxy_its_own_entry_names_the_client() {
        let mut request = Request::new(axum::body::Body::empty());
        request.extensions_mut().insert(Client(ip("10.0.0.1")));
        let forged = HeaderValue::from_static("198.51.100.1, 192.0.2.7");
        request.headers_mut().insert("x-forwarded-for", forged);
        assert_eq!(client(&request, ""), ip("10.0.0.1"));
        assert_eq!(client(&request, "X-Forwarded-For"), ip("192.0.2.7"));
        assert_eq!(client(&request, "X-Real-IP"), ip("10.0.0.1"));
    }
}
