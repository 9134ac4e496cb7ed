//! `POST /token`.

use axum::extract::State as Extract;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::State;
use super::access::{Asker, Role};
use super::error::Problem;
use super::extract::Body;
use super::names::{check_participant, check_room, processed, raw_of};
use crate::config::Audience;
use crate::livekit::Credentials;
use crate::livekit::token::{self, Grant};

/// Largest metadata of a participant, in bytes of JSON.
const METADATA_MAX: usize = 2_048;

/// What a token may be asked for.
#[derive(schemars::JsonSchema)]
#[schemars(rename = "ParticipantRole")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Participant {
    /// Publishes into a raw room and sees nobody.
    Broadcaster,
    /// Watches a processed room and publishes nothing.
    Viewer,
}

#[derive(schemars::JsonSchema)]
#[schemars(rename = "TokenRequest")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Ask {
    /// The raw room; a viewer may name either of the pair.
    #[schemars(length(min = 3, max = 60), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    room_name: String,
    /// The identity, and the name that others see.
    #[schemars(
        length(min = 2, max = 50),
        regex(pattern = r"^[A-Za-z0-9_-][A-Za-z0-9 _-]*[A-Za-z0-9_-]$")
    )]
    participant_name: String,
    /// What the holder may do.
    role: Participant,
    /// Passed on to the other participants: a string as it is, anything else as JSON; at most
    /// 2,048 bytes.
    metadata: Option<Value>,
}

#[derive(schemars::JsonSchema)]
#[schemars(rename = "TokenAnswer")]
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    /// For LiveKit.
    token: String,
    /// LiveKit's address for clients.
    ws_url: String,
    /// The room that the token opens.
    room_name: String,
}

pub(super) async fn token(
    Extract(state): Extract<State>,
    Asker(caller): Asker,
    Body(ask): Body<Ask>,
) -> Result<Response, Problem> {
    let anonymous = caller.is_err();
    match (caller, ask.role, state.config().access.viewer_tokens) {
        (_, Participant::Viewer, Audience::Anyone) => {}
        (Err(problem), ..) => return Err(problem),
        (Ok(caller), Participant::Broadcaster, _) if caller.role == Role::Viewer => {
            return Err(Problem::forbidden("a viewer cannot have a broadcaster's token"));
        }
        (Ok(_), ..) => {}
    }
    let room = room(&ask).map_err(|errors| Problem::invalid(&errors))?;
    let metadata = metadata(ask.metadata)?;
    // Whoever is unknown must not be able to push another viewer out by taking its identity.
    let identity = if anonymous {
        format!("{}-{:08x}", ask.participant_name, fastrand::u32(..))
    } else {
        ask.participant_name.clone()
    };
    let may = match ask.role {
        Participant::Broadcaster => token::Role::Broadcaster,
        Participant::Viewer => token::Role::Viewer,
    };
    let mut grant = Grant::new(may, &room, identity);
    (grant.name, grant.metadata) = (ask.participant_name, metadata);
    let token = sign(&state, &grant)?;
    let ws_url = state.config().livekit.client_url();
    let answer = axum::Json(Answer { token, ws_url, room_name: room });
    Ok(([(header::CACHE_CONTROL, NO_STORE)], answer).into_response())
}

/// Tokens are for one reader.
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Signs, or says 500 and why only in the log.
pub(super) fn sign(state: &State, grant: &Grant) -> Result<String, Problem> {
    grant.sign(&Credentials::from(&state.config().livekit)).map_err(|error| {
        tracing::error!(%error, "cannot sign a token for livekit");
        Problem::internal()
    })
}

/// The room that the token opens. A viewer may name either of the pair and gets the processed
/// one; a broadcaster must name the raw one.
fn room(ask: &Ask) -> Result<String, Vec<String>> {
    let viewer = ask.role == Participant::Viewer;
    let raw = if viewer { raw_of(&ask.room_name) } else { None }.unwrap_or(&ask.room_name);
    let checks = [check_room(raw), check_participant(&ask.participant_name)];
    let errors: Vec<String> = checks.into_iter().filter_map(Result::err).collect();
    match errors.is_empty() {
        true if viewer => Ok(processed(raw)),
        true => Ok(raw.to_owned()),
        false => Err(errors),
    }
}

/// A string as it is, anything else as JSON.
fn metadata(value: Option<Value>) -> Result<Option<String>, Problem> {
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(value) => value.to_string(),
    };
    if text.len() > METADATA_MAX {
        let error = format!("metadata must be at most {METADATA_MAX} bytes");
        return Err(Problem::invalid(&[error]));
    }
    Ok(Some(text))
}
