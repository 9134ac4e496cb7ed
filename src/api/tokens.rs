//! `POST /token`, and the tokens themselves.

use std::time::Duration;

use axum::extract::State as Extract;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use livekit_api::access_token::{AccessToken, AccessTokenError, VideoGrants};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::State;
use super::access::{Anyone, Role};
use super::error::Problem;
use super::extract::Body;
use super::names::{check_participant, check_room, processed, raw_of};
use crate::config::{Audience, Livekit};

/// How long a token lets its holder join.
pub const TOKEN_TTL: Duration = Duration::from_secs(6 * 3_600);

/// Largest metadata of a participant, in bytes of JSON.
const METADATA_MAX: usize = 2_048;

/// What a participant may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Participant {
    /// Publishes into a raw room and sees nobody.
    Broadcaster,
    /// Watches a processed room and publishes nothing.
    Viewer,
}

/// What a token is for.
#[derive(Clone, Debug)]
pub struct Grant<'a> {
    /// The room it opens: raw for a broadcaster, processed for a viewer.
    pub room: &'a str,
    /// Who is let in; a second one with the same identity takes the first one's place.
    pub identity: &'a str,
    /// The name that others see.
    pub name: &'a str,
    /// What is allowed there.
    pub participant: Participant,
    /// Passed on as it is.
    pub metadata: Option<&'a str>,
}

/// Signs tokens for LiveKit.
pub trait TokenIssuer: Send + Sync {
    /// A token for one participant of one room, good for [`TOKEN_TTL`].
    ///
    /// # Errors
    ///
    /// When the key cannot sign.
    fn issue(&self, grant: &Grant<'_>) -> Result<String, AccessTokenError>;
}

impl TokenIssuer for Livekit {
    fn issue(&self, grant: &Grant<'_>) -> Result<String, AccessTokenError> {
        let broadcaster = grant.participant == Participant::Broadcaster;
        let grants = VideoGrants {
            room_join: true,
            room: grant.room.to_owned(),
            can_publish: Some(broadcaster),
            can_subscribe: Some(!broadcaster),
            can_publish_data: Some(false),
            ..VideoGrants::default()
        };
        let mut token = AccessToken::with_api_key(&self.api_key, self.api_secret.expose())
            .with_ttl(TOKEN_TTL)
            .with_identity(grant.identity)
            .with_name(grant.name)
            .with_grants(grants);
        if broadcaster {
            token = token.with_attributes([("role", "broadcaster")]);
        }
        if let Some(metadata) = grant.metadata {
            token = token.with_metadata(metadata);
        }
        token.to_jwt()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Ask {
    room_name: String,
    participant_name: String,
    role: Participant,
    metadata: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    token: String,
    ws_url: String,
    room_name: String,
}

pub(super) async fn token(
    Extract(state): Extract<State>,
    Anyone(caller): Anyone,
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
    let grant = Grant {
        room: &room,
        identity: &identity,
        name: &ask.participant_name,
        participant: ask.role,
        metadata: metadata.as_deref(),
    };
    let token = sign(&state, &grant)?;
    let ws_url = state.config().livekit.client_url();
    let answer = axum::Json(Answer { token, ws_url, room_name: room });
    Ok(([(header::CACHE_CONTROL, NO_STORE)], answer).into_response())
}

/// Tokens are for one reader.
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Signs, or says 500 and why only in the log.
pub(super) fn sign(state: &State, grant: &Grant<'_>) -> Result<String, Problem> {
    state.tokens().issue(grant).map_err(|error| {
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
