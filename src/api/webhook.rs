//! `POST /livekit/webhook`: who calls is checked here, what an event means in `deliveries`.

use std::sync::PoisonError;

use axum::extract::{Request, State as Extract};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use livekit_api::access_token::TokenVerifier;
use livekit_api::webhooks::{WebhookError, WebhookReceiver};
use livekit_protocol::WebhookEvent;

use super::State;
use super::deliveries::Effect;
use super::error::Problem;
use super::extract::raw;
use crate::censor::Document;
use crate::config::Livekit;
use crate::session::{Origin, Start, StartError, Target};

/// Checks that LiveKit signed what it sends.
pub(super) fn receiver(livekit: &Livekit) -> WebhookReceiver {
    let secret = livekit.api_secret.expose();
    WebhookReceiver::new(TokenVerifier::with_api_key(&livekit.api_key, secret))
}

pub(super) async fn receive(
    Extract(state): Extract<State>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let headers = request.headers().clone();
    // The signature is over the bytes, so they are read before anything is made of them.
    let body = raw(request, &state).await?;
    let event = verify(&state, &headers, &body)?;
    let autostart = state.config().livekit.autostart;
    let effect = {
        let mut deliveries = state.deliveries().lock().unwrap_or_else(PoisonError::into_inner);
        deliveries.take(&event, autostart, Timestamp::now().as_second())
    };
    tracing::debug!(event = event.event, id = event.id, ?effect, "webhook");
    let answer = apply(&state, &event.id, effect).await?;
    if !event.id.is_empty() {
        state.journal().webhook(&event.id);
    }
    Ok(answer)
}

fn verify(state: &State, headers: &HeaderMap, body: &[u8]) -> Result<WebhookEvent, Problem> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(token) = value.map(|value| value.strip_prefix("Bearer ").unwrap_or(value)) else {
        return Err(Problem::unauthenticated("LiveKit's signature is missing"));
    };
    let refuse = || Problem::unauthenticated("LiveKit's signature does not hold for this body");
    let text = std::str::from_utf8(body).map_err(|_| refuse())?;
    state.receiver().receive(text, token).map_err(|error| match error {
        WebhookError::InvalidData(error) => {
            tracing::warn!(%error, "a signed webhook cannot be read");
            Problem::malformed("signed by LiveKit, but not an event that is known here")
        }
        error => {
            tracing::warn!(%error, "webhook refused");
            refuse()
        }
    })
}

async fn apply(state: &State, id: &str, effect: Effect) -> Result<StatusCode, Problem> {
    match effect {
        Effect::Nothing => {}
        Effect::Viewer { room, identity, joined } => {
            state.manager().viewer(room, identity, joined).await;
        }
        Effect::End { room } => {
            state.manager().end(Target::Room(room)).await;
        }
        Effect::Start { room, identity } => {
            let (participant, rules) = (Some(identity.clone()), Document::default());
            let start = Start { room: room.clone(), participant, rules, origin: Origin::Webhook };
            match state.manager().start(start).await {
                Ok(_) | Err(StartError::AlreadyLive { .. }) => {}
                // Delivered again at once it would be refused again, and the room's other events
                // wait behind it.
                Err(StartError::Overloaded(_)) => {
                    let deliveries = state.deliveries().lock();
                    deliveries.unwrap_or_else(PoisonError::into_inner).owe(room, identity);
                }
                Err(error) => {
                    // LiveKit delivers again: that must not look like a duplicate.
                    let deliveries = state.deliveries().lock();
                    deliveries.unwrap_or_else(PoisonError::into_inner).forget(id);
                    return Err(error.into());
                }
            }
        }
    }
    Ok(StatusCode::OK)
}
