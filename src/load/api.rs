//! The Scrim under test, through its REST API.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::uri::{Authority, Uri};
use axum::http::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// How long one call may take: starting a stream may take Scrim 8 s, ending one some more.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Longest answer that is read, bytes.
const ANSWER: usize = 4 << 20;

/// A Scrim.
#[derive(Clone, Debug)]
pub(super) struct Api {
    authority: Authority,
    base: String,
    token: Option<String>,
}

/// A call that did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error(
        "--api must be an http:// address, such as http://127.0.0.1:8080 (of a Scrim behind TLS, its own port)"
    )]
    Address,
    #[error("Scrim cannot be reached at {address}: {reason}")]
    Unreachable { address: String, reason: String },
    #[error("{status}: {reason}{}", advice(*status))]
    Refused { status: u16, reason: String },
    #[error("the answer is not one of Scrim's")]
    Foreign,
}

/// A stream that was started.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Started {
    pub(super) stream_id: String,
    pub(super) processed_room: String,
    pub(super) token: String,
}

fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 => " (give a token of role operator with --token)",
        429 => " (set limits.strict_requests and limits.requests to 0 for the test)",
        _ => "",
    }
}

impl Api {
    /// The Scrim at this address, `http://host[:port][/path]`.
    pub(super) fn new(address: &str, token: Option<String>) -> Result<Self, ApiError> {
        let uri: Uri = address.parse().map_err(|_| ApiError::Address)?;
        if uri.scheme_str() != Some("http") {
            return Err(ApiError::Address);
        }
        let authority = uri.authority().cloned().ok_or(ApiError::Address)?;
        Ok(Self { authority, base: uri.path().trim_end_matches('/').to_owned(), token })
    }

    /// Starts a stream.
    pub(super) async fn start(
        &self,
        room: &str,
        participant: &str,
        rules: Option<&Value>,
    ) -> Result<Started, ApiError> {
        let mut ask = json!({ "roomName": room, "participantName": participant });
        if let Some(rules) = rules {
            ask["rules"] = rules.clone();
        }
        let answer = self.call(Method::POST, "/stream/start", Some(&ask)).await?;
        serde_json::from_value(answer).map_err(|_| ApiError::Foreign)
    }

    /// Ends a stream: what it did.
    pub(super) async fn end(&self, stream: &str) -> Result<Value, ApiError> {
        self.call(Method::POST, "/stream/end", Some(&json!({ "streamId": stream }))).await
    }

    /// What streams have done so far.
    pub(super) async fn streams(&self) -> Result<Value, ApiError> {
        self.call(Method::GET, "/streams?limit=200", None).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ApiError> {
        let unreachable =
            |reason: String| ApiError::Unreachable { address: self.authority.to_string(), reason };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::HOST, self.authority.as_str())
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = request.body(body).map_err(|_| ApiError::Address)?;
        let exchange = tokio::time::timeout(TIMEOUT, exchange(&self.authority, request));
        let (status, answer) = exchange
            .await
            .map_err(|_| unreachable(format!("no answer within {} s", TIMEOUT.as_secs())))?
            .map_err(|error| unreachable(error.to_string()))?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        let reason = answer["detail"].as_str().or(status.canonical_reason());
        let reason = reason.unwrap_or("no reason given").to_owned();
        Err(ApiError::Refused { status: status.as_u16(), reason })
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// One request on a connection of its own.
async fn exchange(
    authority: &Authority,
    request: Request<Body>,
) -> Result<(StatusCode, axum::body::Bytes), AnyError> {
    let host = authority.host().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let answer = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = to_bytes(Body::new(response.into_body()), ANSWER).await?;
        Ok::<_, AnyError>((status, body))
    };
    let (answer, _) = tokio::join!(answer, connection);
    answer
}

#[cfg(test)]
mod tests {
    use axum::Json;
    use axum::http::HeaderMap;
    use axum::routing::{get, post};

    use super::*;

    async fn scrim() -> (Api, tokio::task::JoinSet<()>) {
        let start = async |headers: HeaderMap, Json(ask): Json<Value>| {
            if headers[header::AUTHORIZATION] != "Bearer abc" {
                return (StatusCode::UNAUTHORIZED, Json(json!({ "detail": "no" })));
            }
            if ask["rules"]["padding"] != 0.5 {
                return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "detail": "full" })));
            }
            let id = format!("{}/{}", ask["roomName"], ask["participantName"]);
            let processed = "x-processed";
            let answer = json!({ "streamId": id, "processedRoom": processed, "token": "t" });
            (StatusCode::CREATED, Json(answer))
        };
        let router = axum::Router::new()
            .route("/under/stream/start", post(start))
            .route("/under/streams", get(async || Json(json!({ "streams": [] }))));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async { axum::serve(listener, router).await.unwrap() });
        (Api::new(&format!("http://{address}/under/"), Some("abc".into())).unwrap(), tasks)
    }

    #[tokio::test]
    async fn a_stream_is_started_or_refused_with_the_reason() {
        let (mut api, _tasks) = scrim().await;
        let rules = json!({ "padding": 0.5 });
        let started = api.start("a", "b", Some(&rules)).await.unwrap();
        assert_eq!((started.stream_id.as_str(), started.token.as_str()), ("\"a\"/\"b\"", "t"));
        let full = api.start("a", "b", None).await.unwrap_err();
        assert_eq!(full.to_string(), "503: full");
        assert_eq!(api.streams().await.unwrap(), json!({ "streams": [] }));
        api.token = Some("wrong".into());
        let refused = api.start("a", "b", None).await.unwrap_err();
        assert!(refused.to_string().contains("--token"), "{refused}");
        let missing = api.end("x").await.unwrap_err();
        assert_eq!(missing.to_string(), "404: Not Found");
    }

    #[tokio::test]
    async fn who_does_not_answer_is_named() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let api = Api::new(&format!("http://{address}"), None).unwrap();
        let error = api.streams().await.unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
        for address in ["https://a.example", "127.0.0.1:8080", "http://", "ws://a:1"] {
            assert!(matches!(Api::new(address, None), Err(ApiError::Address)), "{address}");
        }
    }
}
