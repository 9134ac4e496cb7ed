//! The pages for people: what `web/` builds, embedded, and served with a strict policy.
//!
//! Files under `/assets/` carry a hash of their content in their name and are kept by browsers for
//! ever; everything else is asked for again each time, by its tag. Nothing is read from disk and
//! nothing compressed at run time.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};

use super::{State, ops};
use crate::config::Livekit;

/// A file of the pages.
struct File {
    /// As asked for: `/assets/app-1a2b3c.js`, `/watch.html`.
    path: &'static str,
    plain: &'static [u8],
    /// The same, packed, where that is smaller.
    gzip: Option<&'static [u8]>,
}

static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// Each file with its tag.
static TAGS: LazyLock<HashMap<&'static str, (&'static File, HeaderValue)>> =
    LazyLock::new(|| FILES.iter().map(|file| (file.path, (file, tag(file.plain)))).collect());

/// Shown when the pages were not built.
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <title>Scrim</title><h1>The pages are not built in</h1>\
    <p>This Scrim was built without its pages. Run <code>scripts/setup web</code> and build it \
    again. Everything else works.</p></html>";

/// Kept for a year without asking, the longest that is meant: the name changes with the content.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Kept, and asked for each time whether it still holds.
const ASK: HeaderValue = HeaderValue::from_static("no-cache");

/// What the pages may use; everything else is refused to them and to whatever they embed.
const PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "camera=(self), microphone=(self), display-capture=(self), fullscreen=(self), \
     picture-in-picture=(self), autoplay=(self), geolocation=(), payment=(), usb=(), \
     serial=(), bluetooth=(), hid=(), midi=()",
);

/// Single files beside the pages, by their own address.
const PLAIN: [&str; 5] =
    ["/sw.js", "/manifest.webmanifest", "/icon.svg", "/icon-192.png", "/icon-512.png"];

/// The pages' addresses.
const PAGES: [(&str, &str); 4] = [
    ("/broadcast", "/broadcast.html"),
    ("/watch/{room}", "/watch.html"),
    ("/operate", "/operate.html"),
    ("/offline", "/offline.html"),
];

/// Addresses of files by their hashed names.
const ASSETS: &str = "/assets/{file}";

/// Whether a route is a page or belongs to one: these are not counted as calls of the API. `/` is
/// for programs too, and counts.
pub(super) fn is_page(route: &str) -> bool {
    route == ASSETS || PLAIN.contains(&route) || PAGES.iter().any(|(address, _)| *address == route)
}

/// The routes of the pages.
pub(super) fn routes() -> Router<State> {
    let mut router = Router::new().route("/", get(index)).route(ASSETS, get(plain));
    for address in PLAIN {
        router = router.route(address, get(plain));
    }
    for (address, file) in PAGES {
        let handler = async move |Extract(state): Extract<State>, headers: HeaderMap| {
            page(&state, &headers, file)
        };
        router = router.route(address, get(handler));
    }
    router
}

/// People get the page, programs what there is to call.
async fn index(Extract(state): Extract<State>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let mut response = match accept {
        Some(accept) if accept.contains("text/html") => page(&state, &headers, "/index.html"),
        _ => ops::index().await.into_response(),
    };
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
    response
}

fn page(state: &State, headers: &HeaderMap, path: &str) -> Response {
    let mut response = match TAGS.get(path) {
        Some((file, tag)) => serve(file, tag, headers),
        None => {
            let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(kind(".html")))];
            (StatusCode::NOT_FOUND, kind, NOT_BUILT).into_response()
        }
    };
    let marks = response.headers_mut();
    marks.insert(header::CONTENT_SECURITY_POLICY, policy(&state.config().livekit));
    marks.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    marks.insert("permissions-policy", PERMISSIONS);
    marks.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    response
}

async fn plain(Extract(state): Extract<State>, uri: Uri, headers: HeaderMap) -> Response {
    let mut response = match TAGS.get(uri.path()) {
        Some((file, tag)) => serve(file, tag, &headers),
        None => return StatusCode::NOT_FOUND.into_response(),
    };
    // A service worker fetches under the policy that it came with.
    let policy = policy(&state.config().livekit);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

fn serve(file: &File, tag: &HeaderValue, headers: &HeaderMap) -> Response {
    let hashed = file.path.starts_with("/assets/");
    let caching = [
        (header::CACHE_CONTROL, if hashed { FOR_EVER } else { ASK }),
        (header::ETAG, tag.clone()),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
    ];
    let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|known| holds(known, tag));
    if known {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(kind(file.path)))];
    match file.gzip.filter(|_| takes_gzip(headers)) {
        Some(packed) => {
            let packing = [(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
            (caching, kind, packing, packed).into_response()
        }
        None => (caching, kind, file.plain).into_response(),
    }
}

/// A weak tag: the packed and the plain form have the same.
fn tag(content: &[u8]) -> HeaderValue {
    let hash = Sha256::digest(content);
    let hex: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(format!("W/\"{hex}\"")).unwrap_or(HeaderValue::from_static("W/\"-\""))
}

/// Whether a list of tags names this one.
fn holds(known: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(known), Ok(tag)) = (known.to_str(), tag.to_str()) else { return false };
    let strong = |one: &str| one.trim().trim_start_matches("W/").to_owned();
    known.split(',').any(|one| one.trim() == "*" || strong(one) == strong(tag))
}

/// Whether the client takes gzip (RFC 9110, 12.5.3); `q=0` says that it does not.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING);
    lists.iter().filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(',')).any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let refused = parts.any(|part| {
            let weight = part.strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
            weight.is_some_and(|weight| weight <= 0.0)
        });
        gzip && !refused
    })
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, kind)| kind) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    }
}

/// What a page may load and call: itself, and LiveKit's signalling (a WebSocket, and the same
/// address over HTTP when the socket is refused and the client asks why).
fn policy(livekit: &Livekit) -> HeaderValue {
    let connect = match origins(&livekit.client_url()) {
        Some((socket, http)) => format!("'self' {socket} {http}"),
        None => "'self'".to_owned(),
    };
    let text = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
         media-src 'self' blob: mediastream:; connect-src {connect}; manifest-src 'self'; \
         worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// The address without its path, as `ws` and as `http`; `None` for one that would not be a single
/// source in a policy.
fn origins(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split('/').next()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']');
    if host.is_empty() || !host.bytes().all(plain) {
        return None;
    }
    let secure = if scheme.ends_with('s') && scheme != "ws" { "s" } else { "" };
    Some((format!("ws{secure}://{host}"), format!("http{secure}://{host}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    const SCRIPT: File =
        File { path: "/assets/app-1.js", plain: b"let it = 1;", gzip: Some(b"packed") };

    #[test]
    fn hashed_files_are_kept_for_ever_and_pages_are_asked_for() {
        let served = serve(&SCRIPT, &tag(SCRIPT.plain), &HeaderMap::new());
        assert_eq!(served.headers()[header::CACHE_CONTROL], FOR_EVER);
        assert_eq!(served.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        let page = File { path: "/watch.html", plain: b"<!doctype html>", gzip: None };
        let served = serve(&page, &tag(page.plain), &HeaderMap::new());
        assert_eq!(served.headers()[header::CACHE_CONTROL], ASK);
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (accept, packed) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.8", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("x-gzip-like", false),
        ] {
            let served =
                serve(&SCRIPT, &tag(SCRIPT.plain), &headers(header::ACCEPT_ENCODING, accept));
            assert_eq!(served.headers().contains_key(header::CONTENT_ENCODING), packed, "{accept}");
            assert_eq!(served.headers()[header::VARY], "accept-encoding");
        }
    }

    #[test]
    fn what_a_browser_has_is_not_sent_again() {
        let own = tag(SCRIPT.plain);
        for (known, status) in [
            (own.to_str().unwrap().to_owned(), StatusCode::NOT_MODIFIED),
            (format!("\"other\", {}", own.to_str().unwrap()), StatusCode::NOT_MODIFIED),
            ("\"other\"".to_owned(), StatusCode::OK),
        ] {
            let value = HeaderValue::try_from(known).unwrap();
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, value)]);
            assert_eq!(serve(&SCRIPT, &own, &headers).status(), status);
        }
        assert_ne!(tag(b"one"), tag(b"two"));
    }

    #[test]
    fn the_policy_lets_a_page_reach_livekit_and_nothing_else() {
        let with = |url: &str| {
            let livekit = Livekit { public_url: url.into(), ..Livekit::default() };
            policy(&livekit).to_str().unwrap().to_owned()
        };
        let secure = with("wss://live.example:7443/path");
        let allowed = "connect-src 'self' wss://live.example:7443 https://live.example:7443;";
        assert!(secure.contains(allowed), "{secure}");
        assert!(
            with("http://10.0.0.7").contains("connect-src 'self' ws://10.0.0.7 http://10.0.0.7;")
        );
        assert!(with("ws://[::1]:7880").contains("connect-src 'self' ws://[::1]:7880"));
        // An address cannot add directives of its own.
        assert!(with("ws://a; script-src *").contains("connect-src 'self';"));
        for text in [secure, with("ws://127.0.0.1:7880")] {
            assert!(!text.contains("unsafe") && !text.contains('*'), "{text}");
        }
    }

    #[test]
    fn every_page_and_file_has_its_address() {
        for route in ["/watch/{room}", "/operate", "/assets/{file}", "/sw.js"] {
            assert!(is_page(route), "{route}");
        }
        for route in ["/", "/token", "/streams", "/watch", "/stream/start"] {
            assert!(!is_page(route), "{route}");
        }
        // With the pages built in, none of the addresses is empty.
        for path in PAGES.iter().map(|(_, file)| *file).chain(PLAIN) {
            assert!(FILES.is_empty() || TAGS.contains_key(path), "{path} is not in web/dist");
        }
    }
}
