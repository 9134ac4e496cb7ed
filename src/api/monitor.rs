//! `POST /token/monitor`: tokens for those who look after streams. They watch what viewers see,
//! are seen by nobody and counted nowhere. Many rooms in one call: a wall of tiles asks once.

use axum::extract::State as Extract;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::State;
use super::access::Operator;
use super::error::Problem;
use super::extract::Body;
use super::names::{check_room, processed};
use super::tokens::{NO_STORE, sign};
use crate::livekit::token::{Grant, Role};

/// Most rooms of one call: as many as a page of `GET /streams` names.
const ROOMS_MAX: usize = 200;

/// What monitors' tokens are called in LiveKit; a random end keeps two of one room apart.
const NAME: &str = "monitor";

#[derive(schemars::JsonSchema)]
#[schemars(rename = "MonitorRequest")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Ask {
    /// The raw rooms whose processed rooms are to be watched.
    #[schemars(length(min = 1, max = 200), inner(regex(pattern = r"^[A-Za-z0-9_-]{3,50}$")))]
    room_names: Vec<String>,
}

#[derive(schemars::JsonSchema)]
#[schemars(rename = "MonitorAnswer")]
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    /// LiveKit's address for clients.
    ws_url: String,
    /// One a room, in the order asked.
    tokens: Vec<Ticket>,
}

#[derive(schemars::JsonSchema)]
#[schemars(rename = "MonitorToken")]
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ticket {
    /// The raw room.
    room_name: String,
    /// The room that the token opens.
    processed_room: String,
    /// For LiveKit.
    token: String,
}

pub(super) async fn tokens(
    Extract(state): Extract<State>,
    _: Operator,
    Body(ask): Body<Ask>,
) -> Result<Response, Problem> {
    check(&ask.room_names).map_err(|errors| Problem::invalid(&errors))?;
    let ticket = |room_name: String| {
        let processed_room = processed(&room_name);
        let identity = format!("{NAME}-{:016x}", fastrand::u64(..));
        let token = sign(&state, &Grant::new(Role::Monitor, &processed_room, identity))?;
        Ok(Ticket { room_name, processed_room, token })
    };
    let tokens: Result<Vec<Ticket>, Problem> = ask.room_names.into_iter().map(ticket).collect();
    let answer = Answer { ws_url: state.config().livekit.client_url(), tokens: tokens? };
    Ok(([(header::CACHE_CONTROL, NO_STORE)], axum::Json(answer)).into_response())
}

/// Everything that is wrong with the rooms.
fn check(rooms: &[String]) -> Result<(), Vec<String>> {
    if !(1..=ROOMS_MAX).contains(&rooms.len()) {
        return Err(vec![format!("roomNames must be 1 to {ROOMS_MAX} rooms")]);
    }
    let wrong = |(at, room): (usize, &String)| {
        let error = check_room(room).err()?;
        Some(format!("roomNames[{at}]: {error}"))
    };
    let errors: Vec<String> = rooms.iter().enumerate().filter_map(wrong).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}
