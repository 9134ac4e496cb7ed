//! A room's own rules, over the global ones.

use axum::Json;
use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;

use super::State;
use super::access::Operator;
use super::error::Problem;
use super::extract::Body;
use super::names::check_room;
use crate::censor::Document;

/// The rules of a room; empty when it has none.
pub(super) async fn get(
    Extract(state): Extract<State>,
    _: Operator,
    Path(room): Path<String>,
) -> Result<Json<Document>, Problem> {
    checked(&room)?;
    Ok(Json(state.manager().rules(room).await))
}

/// Replaces the rules of a room, also on the stream that runs in it.
pub(super) async fn put(
    Extract(state): Extract<State>,
    Operator(caller): Operator,
    Path(room): Path<String>,
    Body(rules): Body<Document>,
) -> Result<Json<Document>, Problem> {
    checked(&room)?;
    state.manager().set_rules(room.clone(), rules.clone()).await?;
    tracing::warn!(target: "scrim::audit", room, ?rules, by = caller.sub, "rules replaced");
    Ok(Json(rules))
}

/// Takes the rules of a room away: the global ones hold.
pub(super) async fn delete(
    Extract(state): Extract<State>,
    Operator(caller): Operator,
    Path(room): Path<String>,
) -> Result<StatusCode, Problem> {
    checked(&room)?;
    state.manager().set_rules(room.clone(), Document::default()).await?;
    tracing::warn!(target: "scrim::audit", room, by = caller.sub, "rules taken away");
    Ok(StatusCode::NO_CONTENT)
}

fn checked(room: &str) -> Result<(), Problem> {
    check_room(room).map_err(|error| Problem::invalid(&[error]))
}
