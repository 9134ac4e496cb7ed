//! Every error as RFC 9457 `application/problem+json`, mapped in this one file.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::inspect::{LookError, PictureError};
use crate::session::{Closed, StartError};
use crate::store::{self, Stale};

/// What went wrong, for the caller. The request middleware writes the body, with the request id.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    kind: &'static str,
    detail: String,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// `kind` names the error for programs and never changes; `detail` tells a person what to do.
    pub(super) fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, detail: detail.into(), members: Map::new(), headers: Vec::new() }
    }

    /// A further member of the body.
    pub(super) fn with(mut self, member: &str, value: Value) -> Self {
        self.members.insert(member.to_owned(), value);
        self
    }

    /// A further header.
    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// What was wrong, for a person.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// 400: the request itself cannot be read.
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed-request", detail)
    }

    /// 422: it can be read and makes no sense; every reason at once.
    pub(super) fn invalid(errors: &[String]) -> Self {
        let detail = errors.join("; ");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request", detail)
            .with("errors", json!(errors))
    }

    /// 401: no token, or one that does not hold.
    pub(super) fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403: the token does not allow this.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 404: there is no such stream.
    pub(super) fn unknown_stream() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown-stream", "there is no such stream")
    }

    /// 503: not now.
    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            .header(header::RETRY_AFTER, HeaderValue::from_static("5"))
    }

    /// 500: the cause is in the log, under the request id, and nowhere else.
    pub(super) fn internal() -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new(status, "internal", "something failed here; the log has it under the request id")
    }

    /// For a bare status that the router or an extractor answered with.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let (kind, detail) = match status {
            StatusCode::NOT_FOUND => ("not-found", "there is nothing at this address"),
            StatusCode::METHOD_NOT_ALLOWED => {
                ("method-not-allowed", "see the Allow header for the methods of this address")
            }
            StatusCode::REQUEST_TIMEOUT => ("request-timeout", "the body did not come in time"),
            StatusCode::PAYLOAD_TOO_LARGE => ("too-large", "the body is larger than allowed"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                ("unsupported-media-type", "the body must be application/json")
            }
            status if status.is_server_error() => return Self { status, ..Self::internal() },
            _ => ("bad-request", "the request cannot be served as it is"),
        };
        Self::new(status, kind, detail)
    }

    /// The whole response, the request id in its body.
    pub(super) fn render(&self, request_id: &str) -> Response {
        let mut body = self.members.clone();
        body.insert("type".into(), format!("urn:scrim:problem:{}", self.kind).into());
        body.insert("title".into(), self.status.canonical_reason().unwrap_or("Error").into());
        body.insert("status".into(), self.status.as_u16().into());
        body.insert("detail".into(), self.detail.clone().into());
        body.insert("requestId".into(), request_id.into());
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, kind, Value::Object(body).to_string()).into_response();
        for (name, value) in &self.headers {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        match error {
            StartError::AlreadyLive { ref room, stream } => live_already(room, stream),
            StartError::Rules(problems) => {
                let problems: Vec<String> =
                    problems.into_iter().map(|problem| format!("rules.{problem}")).collect();
                Self::invalid(&problems)
            }
            StartError::Livekit(reason) => {
                // The reason may name addresses inside: for the log only.
                tracing::warn!(reason, "livekit refused a stream");
                let detail = "LiveKit cannot be reached or refused the room; see /health";
                Self::new(StatusCode::BAD_GATEWAY, "livekit-unavailable", detail)
            }
            StartError::Overloaded(refusal) => {
                // As long as the figures reach back: sooner they have not changed.
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", refusal.to_string())
                    .with("reason", json!(refusal.label().as_str()))
                    .header(header::RETRY_AFTER, HeaderValue::from_static("5"))
            }
            StartError::Closed => Self::unavailable("the server is shutting down"),
        }
    }
}

impl From<Closed> for Problem {
    fn from(error: Closed) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl From<LookError> for Problem {
    fn from(error: LookError) -> Self {
        let detail = error.to_string();
        match error {
            LookError::Busy(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
                .header(header::RETRY_AFTER, HeaderValue::from_static("1")),
            LookError::Late(_) => Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", detail),
            LookError::Detector(failure) => {
                // What a model says of its failure is for the log only.
                tracing::warn!(%failure, "a detector did not look at a picture");
                let detail = "the detectors cannot be asked now; see /health";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "detector-unavailable", detail)
                    .header(header::RETRY_AFTER, HeaderValue::from_static("5"))
            }
            LookError::Picture(error) => match error {
                PictureError::TooManyBytes { .. } => {
                    Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
                }
                PictureError::Unknown => {
                    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
                    Self::new(status, "unsupported-media-type", detail)
                }
                PictureError::Encode(_) => {
                    tracing::warn!(detail, "a censored picture was not encoded");
                    Self::internal()
                }
                _ => Self::invalid(&[detail]),
            },
            LookError::Broken => Self::internal(),
        }
    }
}

impl From<store::Error> for Problem {
    /// What the database says may name addresses inside: for the log only.
    fn from(error: store::Error) -> Self {
        let passes = error.may_pass();
        let error = anyhow::Error::from(error);
        tracing::warn!(error = format!("{error:#}"), "the database failed a request");
        if !passes {
            return Self::internal();
        }
        let detail = "the database does not answer; streams go on without it, see /health";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "database-unavailable", detail)
            .header(header::RETRY_AFTER, HeaderValue::from_static("5"))
    }
}

impl From<Stale> for Problem {
    fn from(error: Stale) -> Self {
        match error {
            Stale::Changed { current } => {
                let detail = "somebody else has changed the rules; read them again";
                Self::new(StatusCode::PRECONDITION_FAILED, "stale", detail)
                    .with("version", json!(current))
            }
            Stale::Store(error) => error.into(),
        }
    }
}

fn live_already(room: &str, stream: Uuid) -> Problem {
    let detail = format!("room {room} has a live stream already; end it first or use it");
    Problem::new(StatusCode::CONFLICT, "already-live", detail).with("streamId", json!(stream))
}
