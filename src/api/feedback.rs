//! What people say of detections.

use axum::Json;
use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::State;
use super::access::Operator;
use super::error::Problem;
use super::extract::Body;
use super::names::check_room;
use crate::store::FeedbackSaid;

/// What somebody says of a detection.
#[derive(schemars::JsonSchema, Debug, Deserialize)]
#[schemars(rename = "FeedbackRequest")]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Said {
    /// The stream.
    stream_id: Uuid,
    /// The detection, as `GET /censorship/events` and `GET /events` name it.
    detection_id: Uuid,
    /// Whether it was rightly covered.
    was_correct: bool,
}

/// What came of it.
#[derive(schemars::JsonSchema, Debug, Serialize)]
#[schemars(rename = "MovedThreshold")]
#[serde(rename_all = "camelCase")]
pub(super) struct Moved {
    /// The raw room that the threshold holds in.
    room_name: String,
    /// The class that it holds for.
    class: String,
    /// The threshold until now.
    previous_threshold: f64,
    /// The threshold from now on: findings below it are shown.
    threshold: f64,
    /// The threshold of the rules, which it never goes below.
    configured_threshold: f64,
}

/// Moves the threshold of the detection's class in its room.
pub(super) async fn detection(
    Extract(state): Extract<State>,
    Operator(caller): Operator,
    Body(said): Body<Said>,
) -> Result<Json<Moved>, Problem> {
    let known = state.store().detection(said.stream_id, said.detection_id).await?;
    let Some(detection) = known else {
        let detail =
            "that stream has no such detection; a new one can be named after half a second";
        return Err(Problem::new(StatusCode::NOT_FOUND, "unknown-detection", detail));
    };
    let rules = state.manager().configured(detection.room.clone()).await?;
    let Some((configured, _)) = rules.classes.get(&detection.class) else {
        let detail =
            format!("the rules of room {} allow {} by now", detection.room, detection.class);
        return Err(Problem::new(StatusCode::CONFLICT, "not-covered", detail));
    };
    // As written in the rules: a threshold of 0.3 is not 0.30000001.
    let configured = (f64::from(*configured) * 1e4).round() / 1e4;
    let said = FeedbackSaid {
        stream: said.stream_id,
        detection: said.detection_id,
        room: detection.room.clone(),
        class: detection.class.clone(),
        correct: said.was_correct,
        configured,
        by: caller.sub,
    };
    let answer = state.store().feedback(&said).await?;
    let (room, class, threshold) = (said.room.clone(), said.class.clone(), answer.after as f32);
    state.manager().set_threshold(room, Some(class), Some(threshold), answer.change).await?;
    tracing::info!(
        target: "scrim::audit", room = said.room, class = said.class, correct = said.correct,
        before = answer.before, after = answer.after, by = said.by, "feedback"
    );
    Ok(Json(Moved {
        room_name: said.room,
        class: said.class,
        previous_threshold: answer.before,
        threshold: answer.after,
        configured_threshold: configured,
    }))
}

/// Puts the thresholds of a room back to what the rules say.
pub(super) async fn reset_room(
    Extract(state): Extract<State>,
    Operator(caller): Operator,
    Path(room): Path<String>,
) -> Result<StatusCode, Problem> {
    reset(&state, room, None, &caller.sub).await
}

/// Puts the threshold of a class in a room back to what the rules say.
pub(super) async fn reset_class(
    Extract(state): Extract<State>,
    Operator(caller): Operator,
    Path((room, class)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    reset(&state, room, Some(class), &caller.sub).await
}

async fn reset(
    state: &State,
    room: String,
    class: Option<String>,
    by: &str,
) -> Result<StatusCode, Problem> {
    check_room(&room).map_err(|error| Problem::invalid(&[error]))?;
    let change = state.store().reset_feedback(&room, class.as_deref(), by).await?;
    state.manager().set_threshold(room, class, None, change).await?;
    Ok(StatusCode::NO_CONTENT)
}
