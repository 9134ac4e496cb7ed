//! Totals over a range of time, of one room or of all.

use axum::Json;
use axum::extract::{Path, State as Extract};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::State;
use super::access::Operator;
use super::error::Problem;
use super::extract::Query;
use super::names::check_room;
use crate::store::{Figures, Range};

/// What is counted when the caller names no beginning.
const DEFAULT: SignedDuration = SignedDuration::from_hours(24 * 30);

/// The range that is wanted.
#[derive(schemars::JsonSchema, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// From then on; 30 days before the end when it is left out.
    from: Option<Timestamp>,
    /// Up to then, itself not; now when it is left out.
    to: Option<Timestamp>,
}

/// Totals.
#[derive(schemars::JsonSchema, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Totals {
    /// The raw room; left out for all rooms.
    #[serde(skip_serializing_if = "Option::is_none")]
    room_name: Option<String>,
    /// The beginning of the range.
    from: Timestamp,
    /// Its end.
    to: Timestamp,
    /// What was counted.
    #[serde(flatten)]
    figures: Figures,
}

/// Totals of one room.
pub(super) async fn room(
    Extract(state): Extract<State>,
    _: Operator,
    Path(room): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<Totals>, Problem> {
    check_room(&room).map_err(|error| Problem::invalid(&[error]))?;
    totals(&state, Some(room), &asked).await
}

/// Totals of all rooms.
pub(super) async fn all(
    Extract(state): Extract<State>,
    _: Operator,
    Query(asked): Query<Asked>,
) -> Result<Json<Totals>, Problem> {
    totals(&state, None, &asked).await
}

async fn totals(
    state: &State,
    room: Option<String>,
    asked: &Asked,
) -> Result<Json<Totals>, Problem> {
    let to = asked.to.unwrap_or_else(Timestamp::now);
    let from = asked.from.or_else(|| to.checked_sub(DEFAULT).ok()).unwrap_or(Timestamp::MIN);
    if from > to {
        return Err(Problem::invalid(&["from must not be after to".to_owned()]));
    }
    let range = Range { from, to, room };
    let figures = state.store().figures(&range).await?;
    Ok(Json(Totals { room_name: range.room, from, to, figures }))
}
