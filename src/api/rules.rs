//! The rules: global ones, and those of rooms over them. They have versions: what is changed with
//! `If-Match` is refused with 412 when somebody else was faster.

use axum::Json;
use axum::extract::{Path, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::State;
use super::access::{Caller, Operator};
use super::error::Problem;
use super::extract::Body;
use super::names::check_room;
use crate::censor::Document;
use crate::store::{Saved, Scope};

/// The global rules; empty when only those of the configuration hold.
pub(super) async fn get_global(
    Extract(state): Extract<State>,
    _: Operator,
) -> Result<Response, Problem> {
    get(&state, &Scope::Global).await
}

/// Replaces the global rules, also on running streams.
pub(super) async fn put_global(
    Extract(state): Extract<State>,
    Operator(caller): Operator,
    headers: HeaderMap,
    Body(rules): Body<Document>,
) -> Result<Response, Problem> {
    let change = Change { state, scope: Scope::Global, caller };
    change.put(&headers, rules).await
}

/// Takes the global rules away: those of the configuration hold.
pub(super) async fn delete_global(
    Extract(state): Extract<State>,
    Operator(caller): Operator,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let change = Change { state, scope: Scope::Global, caller };
    change.delete(&headers).await
}

/// The rules of a room; empty when it has none of its own.
pub(super) async fn get_room(
    Extract(state): Extract<State>,
    _: Operator,
    Path(room): Path<String>,
) -> Result<Response, Problem> {
    get(&state, &scope(room)?).await
}

/// Replaces the rules of a room, also on the stream that runs in it.
pub(super) async fn put_room(
    Extract(state): Extract<State>,
    Operator(caller): Operator,
    Path(room): Path<String>,
    headers: HeaderMap,
    Body(rules): Body<Document>,
) -> Result<Response, Problem> {
    let change = Change { state, scope: scope(room)?, caller };
    change.put(&headers, rules).await
}

/// Takes the rules of a room away: the global ones hold.
pub(super) async fn delete_room(
    Extract(state): Extract<State>,
    Operator(caller): Operator,
    Path(room): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let change = Change { state, scope: scope(room)?, caller };
    change.delete(&headers).await
}

fn scope(room: String) -> Result<Scope, Problem> {
    check_room(&room).map_err(|error| Problem::invalid(&[error]))?;
    Ok(Scope::Room(room))
}

async fn get(state: &State, scope: &Scope) -> Result<Response, Problem> {
    let saved = state.store().rules(scope).await?;
    Ok(show(saved))
}

/// The document, and its version as `ETag`.
fn show(saved: Saved) -> Response {
    let document = saved.document.unwrap_or_default();
    (etag(saved.version), Json(document)).into_response()
}

fn etag(version: u64) -> [(header::HeaderName, String); 1] {
    [(header::ETAG, format!("\"{version}\""))]
}

/// A change of rules.
struct Change {
    state: State,
    scope: Scope,
    caller: Caller,
}

impl Change {
    async fn put(self, headers: &HeaderMap, rules: Document) -> Result<Response, Problem> {
        let expected = expected(headers)?;
        let problems = self.state.manager().check_rules(rules.clone()).await?;
        if !problems.is_empty() {
            return Err(Problem::invalid(&problems));
        }
        Ok(show(self.write(expected, Some(rules)).await?))
    }

    async fn delete(self, headers: &HeaderMap) -> Result<Response, Problem> {
        let saved = self.write(expected(headers)?, None).await?;
        Ok((StatusCode::NO_CONTENT, etag(saved.version)).into_response())
    }

    /// Written first, and only then in effect: what a caller is told holds after a crash too.
    async fn write(self, expected: Option<u64>, rules: Option<Document>) -> Result<Saved, Problem> {
        let Self { state, scope, caller } = self;
        let (before, after) = state.store().set_rules(&scope, rules, expected, &caller.sub).await?;
        state.manager().set_rules(scope.clone(), after.clone()).await?;
        tracing::warn!(
            target: "scrim::audit", scope = scope.name(), by = caller.sub,
            from = before.version, to = after.version, rules = ?after.document, "rules changed"
        );
        Ok(after)
    }
}

/// The version that the caller has seen; `None`: the caller does not care, or `*`.
fn expected(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let value = headers.get(header::IF_MATCH).map(HeaderValue::to_str);
    match value {
        None | Some(Ok("*")) => Ok(None),
        Some(tag) => {
            let tag = tag.unwrap_or_default().trim();
            let tag = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let version = tag.and_then(|tag| tag.parse().ok());
            let detail = "If-Match must be one ETag of these rules, or *";
            version.map(Some).ok_or_else(|| Problem::malformed(detail))
        }
    }
}
