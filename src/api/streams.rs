//! Streams: start, end, look at, cover.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::State;
use super::access::Operator;
use super::error::Problem;
use super::extract::{Body, Query, StreamId};
use super::names::{check_participant, check_room};
use super::pages;
use super::tokens::{NO_STORE, sign};
use crate::censor::{Document, Mode};
use crate::livekit::token::{Grant, Role};
use crate::session::{self, Summary, Target};
use crate::store::{Change, Record, StreamFilter};

/// The broadcaster's name when none is given.
const BROADCASTER: &str = "broadcaster";

/// Longest reason for the log, in bytes.
const REASON_MAX: usize = 500;

#[derive(schemars::JsonSchema)]
#[schemars(rename = "StartRequest")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Start {
    /// The raw room. It must not end in `-processed`.
    #[schemars(length(min = 3, max = 50), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    room_name: String,
    /// The broadcaster's identity; `broadcaster` when left out.
    #[schemars(
        length(min = 2, max = 50),
        regex(pattern = r"^[A-Za-z0-9_-][A-Za-z0-9 _-]*[A-Za-z0-9_-]$")
    )]
    participant_name: Option<String>,
    /// Laid over the room's rules and the global ones.
    #[serde(default)]
    rules: Document,
    /// The same as in `rules`.
    mode: Option<Mode>,
}

#[derive(schemars::JsonSchema)]
#[schemars(rename = "StartedStream")]
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Started {
    stream_id: Uuid,
    /// The raw room, for the broadcaster.
    room_name: String,
    /// The viewers' room.
    processed_room: String,
    /// LiveKit's address for clients.
    ws_url: String,
    /// Lets the broadcaster into the raw room.
    token: String,
    /// Where the stream stands.
    state: session::State,
}

pub(super) async fn start(
    Extract(state): Extract<State>,
    Operator(caller): Operator,
    Body(mut ask): Body<Start>,
) -> Result<Response, Problem> {
    let name = ask.participant_name.as_deref().unwrap_or(BROADCASTER);
    let checks = [check_room(&ask.room_name), check_participant(name)];
    let errors: Vec<String> = checks.into_iter().filter_map(Result::err).collect();
    if !errors.is_empty() {
        return Err(Problem::invalid(&errors));
    }
    // Signed first: a key that cannot sign must not leave a stream behind.
    let grant = Grant::new(Role::Broadcaster, &ask.room_name, name);
    let token = sign(&state, &grant)?;
    ask.rules.mode = ask.mode.or(ask.rules.mode);
    let start = session::Start {
        room: ask.room_name,
        participant: ask.participant_name,
        rules: ask.rules,
        origin: session::Origin::Operator,
    };
    let summary = state.manager().start(start).await?;
    tracing::info!(
        stream_id = %summary.stream_id, room = summary.room_name, by = caller.sub, "stream started"
    );
    let detail = Change::is(json!({ "streamId": summary.stream_id }));
    state.journal().audit(&caller.sub, "stream.start", &summary.room_name, detail);
    state.journal().settled().await;
    let location = format!("/streams/{}", summary.stream_id);
    let started = Started {
        stream_id: summary.stream_id,
        room_name: summary.room_name,
        processed_room: summary.processed_room,
        ws_url: state.config().livekit.client_url(),
        token,
        state: summary.state,
    };
    let headers = [(header::LOCATION, location)];
    let cache = [(header::CACHE_CONTROL, NO_STORE)];
    Ok((StatusCode::CREATED, headers, cache, Json(started)).into_response())
}

#[derive(schemars::JsonSchema)]
#[schemars(rename = "EndRequest")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct End {
    /// The raw room: its live stream, or its last one.
    #[schemars(length(min = 3, max = 50), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    room_name: Option<String>,
    /// The stream.
    stream_id: Option<Uuid>,
}

pub(super) async fn end(
    Extract(state): Extract<State>,
    Operator(caller): Operator,
    Body(ask): Body<End>,
) -> Result<Json<Summary>, Problem> {
    let target = match (ask.room_name, ask.stream_id) {
        (Some(room), None) => {
            check_room(&room).map_err(|error| Problem::invalid(&[error]))?;
            Target::Room(room)
        }
        (None, Some(stream)) => Target::Stream(stream),
        _ => return Err(Problem::invalid(&["name either roomName or streamId".to_owned()])),
    };
    let summary = state.manager().end(target).await.ok_or_else(Problem::unknown_stream)?;
    tracing::info!(
        stream_id = %summary.stream_id, room = summary.room_name, by = caller.sub, "stream ended"
    );
    let detail = Change::is(json!({ "streamId": summary.stream_id }));
    state.journal().audit(&caller.sub, "stream.end", &summary.room_name, detail);
    state.journal().settled().await;
    Ok(Json(summary))
}

#[derive(schemars::JsonSchema)]
#[schemars(rename = "CoverRequest")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Cover {
    /// Pressed or released.
    on: bool,
    /// Whether the sound is muted too.
    #[serde(default)]
    mute: bool,
    /// One line, for the audit log.
    #[schemars(length(max = 500))]
    reason: Option<String>,
}

pub(super) async fn cover(
    Extract(state): Extract<State>,
    Operator(caller): Operator,
    StreamId(stream): StreamId,
    Body(ask): Body<Cover>,
) -> Result<Json<Summary>, Problem> {
    let unfit = |reason: &String| reason.len() > REASON_MAX || reason.chars().any(char::is_control);
    if ask.reason.as_ref().is_some_and(unfit) {
        let error = format!("reason must be one line of at most {REASON_MAX} bytes");
        return Err(Problem::invalid(&[error]));
    }
    let reason = ask.reason.clone();
    let covered = state.manager().cover(stream, ask.on, ask.mute, ask.reason).await;
    let summary = covered.ok_or_else(Problem::unknown_stream)?;
    tracing::warn!(
        target: "scrim::audit", stream_id = %stream, on = ask.on, mute = ask.mute, reason,
        by = caller.sub, "covered by an operator"
    );
    let detail = Change::is(json!({ "on": ask.on, "mute": ask.mute, "reason": reason }));
    state.journal().audit(&caller.sub, "stream.cover", &summary.room_name, detail);
    state.journal().settled().await;
    Ok(Json(summary))
}

/// Which streams are wanted.
#[derive(schemars::JsonSchema, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Those in one state.
    state: Option<session::State>,
    /// Those of one raw room.
    room: Option<String>,
    /// Started then or later.
    from: Option<Timestamp>,
    /// Started then or before.
    to: Option<Timestamp>,
    /// Most rows, 1 to 200.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u64>,
    /// Where the page before ended.
    cursor: Option<Uuid>,
}

impl Filter {
    fn takes(&self, one: &Summary) -> bool {
        self.cursor.is_none_or(|cursor| one.stream_id < cursor)
            && self.state.is_none_or(|state| one.state == state)
            && self.room.as_ref().is_none_or(|room| one.room_name == *room)
            && self.from.is_none_or(|from| one.started_at >= from)
            && self.to.is_none_or(|to| one.started_at <= to)
    }
}

/// A page of streams, newest first.
#[derive(schemars::JsonSchema, Debug, Serialize)]
#[schemars(rename = "StreamPage")]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    /// The streams.
    streams: Vec<Summary>,
    /// Pass as `cursor` for the next page; `null` on the last.
    next_cursor: Option<Uuid>,
    /// The database does not answer: only streams of this process are listed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
}

/// Live and past streams. Those of this process are known better here than in the database.
pub(super) async fn list(
    Extract(state): Extract<State>,
    _: Operator,
    Query(filter): Query<Filter>,
) -> Result<Json<Page>, Problem> {
    let limit = pages::limit(filter.limit, pages::PAGE_MAX)?;
    let mut streams = state.manager().list().await;
    let own: HashSet<Uuid> = streams.iter().map(|one| one.stream_id).collect();
    streams.retain(|one| filter.takes(one));
    let kept = state
        .store()
        .streams(&StreamFilter {
            state: filter.state,
            room: filter.room.clone(),
            from: filter.from,
            to: filter.to,
            before: filter.cursor,
            // Those that are known here are left out again.
            limit: limit + 1 + own.len() as u64,
        })
        .await;
    let partial = match kept {
        Ok(kept) => {
            let kept = kept.into_iter().filter(|one| !own.contains(&one.id)).map(Record::summary);
            // Kept as live is any stream that is not over.
            streams.extend(kept.filter(|one| filter.takes(one)));
            false
        }
        Err(error) if error.may_pass() => true,
        Err(error) => return Err(error.into()),
    };
    streams.sort_by_key(|one| std::cmp::Reverse(one.stream_id));
    let next_cursor = pages::cut(&mut streams, limit, |one| one.stream_id);
    Ok(Json(Page { streams, next_cursor, partial }))
}

/// One stream, live or past.
pub(super) async fn get(
    Extract(state): Extract<State>,
    _: Operator,
    StreamId(stream): StreamId,
) -> Result<Json<Summary>, Problem> {
    let found = state.manager().list().await.into_iter().find(|one| one.stream_id == stream);
    if let Some(found) = found {
        return Ok(Json(found));
    }
    let kept = state.store().stream(stream).await?;
    kept.map(|kept| Json(kept.summary())).ok_or_else(Problem::unknown_stream)
}

/// What runs now.
#[derive(schemars::JsonSchema, Debug, Serialize)]
pub(super) struct Sessions {
    /// The streams that run, newest first, each with its figures.
    sessions: Vec<Summary>,
}

/// Lists what runs now.
pub(super) async fn sessions(Extract(state): Extract<State>, _: Operator) -> Json<Sessions> {
    let mut sessions = state.manager().list().await;
    sessions.retain(|one| one.state != session::State::Ended);
    Json(Sessions { sessions })
}
