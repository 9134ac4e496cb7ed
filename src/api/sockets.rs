//! WebSockets for frames: `/ws/stream/NAME` and `/stream`, and `GET /streaming/stats` about both.
//!
//! Whoever may run streams may open one: a token or key in `Authorization`, or, because browsers
//! cannot set that, among the protocols that are offered: `scrim` and `bearer.TOKEN`. A page of
//! another origin must be in `http.cors_origins`: the browser asks nobody before it opens a socket.
//! Each socket is one session, bounded in number before it is opened.

mod live;
mod upload;

use std::time::Duration;

use axum::Json;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Path, State as Extract};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use uuid::Uuid;

use super::State;
use super::access::{Operator, Role, identify};
use super::cors;
use super::error::Problem;
use super::extract::Query;
use super::pictures::{Where, ruling};
use crate::censor::Document;
use crate::frames::{Kind, OpenError, Stats};

/// How long nothing is said before a client is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(5);

/// Most bytes of a message of `/stream`: raw pixels of 4096 by 4096.
const MESSAGE_MAX: usize = 48 << 20;

/// Longest name of a session.
const NAME_MAX: usize = 64;

/// The protocol that is spoken.
const PROTOCOL: &str = "scrim";

/// What stands before a token among the protocols.
const BEARER: &str = "bearer.";

/// Closing: the server stops; a message makes no sense; the session was silent for too long.
const AWAY: u16 = 1001;
const POLICY: u16 = 1008;

/// Why a socket ends.
enum End {
    /// The client has gone, or reads no more.
    Gone,
    /// It is told why: a code and a reason.
    Close(u16, &'static str),
}

/// `GET /streaming/stats`.
pub(super) async fn stats(Extract(state): Extract<State>, _: Operator) -> Json<Stats> {
    Json(state.sessions().stats())
}

/// `GET /ws/stream/{sessionId}`: frames in, verdicts and censored frames out.
pub(super) async fn live(
    Extract(state): Extract<State>,
    Caller(socket): Caller,
    Path(name): Path<String>,
    Query(place): Query<Where>,
) -> Result<Response, Problem> {
    check_name(&name)?;
    let ruling = ruling(&state, place.into_room(), Document::default(), false).await?;
    let socket = socket?;
    let session = state.sessions().open(Kind::Live, name)?;
    let live = live::Live::new(&state, session, ruling);
    let most = state.config().pictures.max_bytes;
    let socket = socket.max_message_size(most).max_frame_size(most).protocols([PROTOCOL]);
    Ok(socket.on_upgrade(move |socket| live.run(socket)))
}

/// `GET /stream`: numbered frames in; a censored video and a report out.
pub(super) async fn upload(
    Extract(state): Extract<State>,
    Caller(socket): Caller,
) -> Result<Response, Problem> {
    let socket = socket?;
    let session = state.sessions().open(Kind::Upload, Uuid::now_v7().to_string())?;
    // Raw pixels may be larger than any file.
    let side = state.config().pictures.max_side as usize;
    let most = state.config().pictures.max_bytes.max(side * side * 3).min(MESSAGE_MAX);
    let connection = upload::Connection::new(state, session);
    let socket = socket.max_message_size(most).max_frame_size(most).protocols([PROTOCOL]);
    Ok(socket.on_upgrade(move |socket| connection.run(socket)))
}

/// Someone who may open a socket, and the socket, unless the request asks for none.
pub(super) struct Caller(Result<WebSocketUpgrade, Problem>);

impl FromRequestParts<State> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        let caller = identify(state, &with_bearer(&parts.headers))?;
        if caller.role == Role::Viewer {
            return Err(Problem::forbidden("this needs the role operator or service"));
        }
        if let Some(origin) = parts.headers.get(header::ORIGIN)
            && !cors::is_allowed(state.config(), origin)
            && !is_own(origin, parts.headers.get(header::HOST))
        {
            let detail = "pages of this origin may not call here; see http.cors_origins";
            return Err(Problem::forbidden(detail));
        }
        let upgrade = WebSocketUpgrade::from_request_parts(parts, state).await;
        Ok(Self(upgrade.map_err(|rejection| no_socket(&rejection))))
    }
}

fn no_socket(rejection: &WebSocketUpgradeRejection) -> Problem {
    let detail = format!("this address speaks WebSocket: {}", rejection.body_text());
    Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade-required", detail)
        .header(header::UPGRADE, HeaderValue::from_static("websocket"))
}

impl From<OpenError> for Problem {
    fn from(error: OpenError) -> Self {
        let detail = error.to_string();
        match error {
            OpenError::Off => Self::new(StatusCode::NOT_FOUND, "switched-off", detail),
            OpenError::Taken { .. } => Self::new(StatusCode::CONFLICT, "session-taken", detail),
            OpenError::Full { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-sessions", detail)
                    .header(header::RETRY_AFTER, HeaderValue::from_static("5"))
            }
        }
    }
}

/// The headers with a token among the protocols put where other clients have it.
fn with_bearer(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    if headers.contains_key(header::AUTHORIZATION) {
        return headers;
    }
    let lists = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let offered = lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
    let token = offered.filter_map(|one| one.trim().strip_prefix(BEARER)).next();
    if let Some(value) = token.and_then(|token| format!("Bearer {token}").parse().ok()) {
        headers.insert(header::AUTHORIZATION, value);
    }
    headers
}

/// Whether a page comes from this very server.
fn is_own(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    let Some((Ok(origin), Ok(host))) = host.map(|host| (origin.to_str(), host.to_str())) else {
        return false;
    };
    let from = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    from.is_some_and(|from| !host.is_empty() && from.eq_ignore_ascii_case(host))
}

fn check_name(name: &str) -> Result<(), Problem> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    let detail = format!("sessionId must be 1 to {NAME_MAX} letters, digits, - or _");
    Err(Problem::invalid(&[detail]))
}

/// Sends JSON.
async fn tell(socket: &mut WebSocket, value: &Value) -> Result<(), End> {
    send(socket, Message::text(value.to_string())).await
}

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), End> {
    socket.send(message).await.map_err(|_| End::Gone)
}

/// Says goodbye where there is somebody to hear it.
async fn close(mut socket: WebSocket, end: End) {
    if let End::Close(code, reason) = end {
        let frame = CloseFrame { code, reason: reason.into() };
        let _ = socket.send(Message::Close(Some(frame))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_sends_its_token_among_the_protocols() {
        let mut headers = HeaderMap::new();
        let offered = HeaderValue::from_static("scrim, bearer.abc.def-1_2.g");
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, offered);
        assert_eq!(with_bearer(&headers)[header::AUTHORIZATION], "Bearer abc.def-1_2.g");
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer own"));
        assert_eq!(with_bearer(&headers)[header::AUTHORIZATION], "Bearer own");
    }

    #[test]
    fn a_page_of_this_server_is_told_from_others() {
        let host = HeaderValue::from_static("live.example:8443");
        for (origin, own) in [
            ("https://live.example:8443", true),
            ("http://LIVE.example:8443", true),
            ("https://live.example", false),
            ("https://live.example:8443.evil.example", false),
            ("null", false),
        ] {
            assert_eq!(is_own(&HeaderValue::from_static(origin), Some(&host)), own, "{origin}");
        }
        assert!(!is_own(
            &HeaderValue::from_static("https://"),
            Some(&HeaderValue::from_static(""))
        ));
    }
}
