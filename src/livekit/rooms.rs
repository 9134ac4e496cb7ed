//! LiveKit's room service: is it there, are the keys right, make and delete rooms.

use std::time::Duration;

use livekit_api::services::room::{CreateRoomOptions, RoomClient};
use livekit_api::services::{ServerError, ServerErrorCode, ServiceError};
use livekit_protocol::{TrackInfo, TrackType};
use livekit_signaling::SignalError;

use super::roster::is_broadcaster;
use super::signal::Signal;
use super::token::{Grant, IDENTITY, Role};
use super::{Credentials, processed_room};
use crate::media::clock;

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// How long a room waits for its first participant, seconds.
const EMPTY_TIMEOUT: u32 = 900;

/// How long a room stays after the last one left, seconds: a broadcaster who lost the network
/// finds it again.
const DEPARTURE_TIMEOUT: u32 = 300;

/// A call to LiveKit's room service did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// No answer: not running, wrong address, network down, too slow.
    #[error("LiveKit cannot be reached at {url}: {reason}")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What happened, for a person.
        reason: String,
    },
    /// It answered that the API key or secret is wrong.
    #[error("LiveKit does not accept the API key or secret")]
    WrongKey,
    /// It answered with another error.
    #[error("LiveKit refused: {0}")]
    Refused(String),
}

/// Whether LiveKit answers and knows our key; returns how long it took.
pub async fn check(credentials: &Credentials) -> Result<Duration, CheckError> {
    let start = clock::now();
    // A name that no room can have: the answer stays small on a server with many rooms.
    let call = async { client(credentials).list_rooms(vec!["?".into()]).await };
    bounded(credentials, call).await?;
    Ok(start.elapsed())
}

/// Makes the raw room and its processed room. Rooms that exist already are left as they are.
///
/// No playout delay is asked of viewers: with 0 to 10 ms libwebrtc decodes but does not show
/// pictures for seconds when its machine is busy, and all there is to gain is 8 ms.
pub async fn create_rooms(credentials: &Credentials, room: &str) -> Result<(), CheckError> {
    let client = client(credentials);
    let options = || CreateRoomOptions {
        empty_timeout: EMPTY_TIMEOUT,
        departure_timeout: DEPARTURE_TIMEOUT,
        ..CreateRoomOptions::default()
    };
    bounded(credentials, Box::pin(client.create_room(room, options()))).await?;
    let processed = processed_room(room);
    bounded(credentials, Box::pin(client.create_room(&processed, options()))).await?;
    Ok(())
}

/// Deletes the processed room, which sends its viewers away. One that does not exist is fine.
pub async fn delete_processed_room(
    credentials: &Credentials,
    room: &str,
) -> Result<(), CheckError> {
    let name = processed_room(room);
    let call = async {
        match client(credentials).delete_room(&name).await {
            Err(ServiceError::Twirp(ServerError::Twirp(error)))
                if error.code == ServerErrorCode::NOT_FOUND =>
            {
                Ok(())
            }
            other => other,
        }
    };
    bounded(credentials, call).await
}

/// Deletes the raw and the processed room of `room`, each unless somebody is in it: nothing is
/// left of a stream that is over, and nobody is sent away.
pub async fn delete_empty_rooms(credentials: &Credentials, room: &str) -> Result<(), CheckError> {
    for name in [room.to_owned(), processed_room(room)] {
        let call = async {
            let client = client(credentials);
            match client.list_participants(&name).await {
                Ok(inside) if inside.is_empty() => client.delete_room(&name).await,
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            }
        };
        let call = async {
            match call.await {
                Err(ServiceError::Twirp(ServerError::Twirp(error)))
                    if error.code == ServerErrorCode::NOT_FOUND =>
                {
                    Ok(())
                }
                other => other,
            }
        };
        bounded(credentials, call).await?;
    }
    Ok(())
}

/// Whether a broadcaster's video is published in the raw room. One that does not exist has none.
pub async fn is_broadcast(credentials: &Credentials, room: &str) -> Result<bool, CheckError> {
    let call = async {
        match client(credentials).list_participants(room).await {
            Err(ServiceError::Twirp(ServerError::Twirp(error)))
                if error.code == ServerErrorCode::NOT_FOUND =>
            {
                Ok(Vec::new())
            }
            other => other,
        }
    };
    let inside = bounded(credentials, call).await?;
    let video = |track: &TrackInfo| track.r#type == TrackType::Video as i32;
    Ok(inside.iter().any(|one| is_broadcaster(one) && one.tracks.iter().any(video)))
}

fn client(credentials: &Credentials) -> RoomClient {
    RoomClient::with_api_key(&credentials.url, &credentials.api_key, &credentials.api_secret)
        .with_request_timeout(TIMEOUT)
}

async fn bounded<T>(
    credentials: &Credentials,
    call: impl Future<Output = Result<T, ServiceError>>,
) -> Result<T, CheckError> {
    let unreachable =
        |reason: String| CheckError::Unreachable { url: credentials.url.clone(), reason };
    let error = match tokio::time::timeout(TIMEOUT, call).await {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error,
        Err(_) => return Err(unreachable(format!("no answer within {} s", TIMEOUT.as_secs()))),
    };
    Err(match error {
        ServiceError::Twirp(ServerError::Twirp(error)) => match error.code.as_str() {
            ServerErrorCode::UNAUTHENTICATED | ServerErrorCode::PERMISSION_DENIED => {
                CheckError::WrongKey
            }
            _ => CheckError::Refused(error.to_string()),
        },
        // The server refuses a key in plain text, which the client crate takes for garbage.
        ServiceError::Twirp(ServerError::Request(error)) if error.is_decode() => {
            if Box::pin(key_is_refused(credentials)).await {
                CheckError::WrongKey
            } else {
                CheckError::Refused("the answer is not one of LiveKit's".into())
            }
        }
        ServiceError::Twirp(ServerError::Request(error)) => unreachable(innermost(&error)),
        ServiceError::Twirp(ServerError::Url(error)) => unreachable(error.to_string()),
        other => CheckError::Refused(other.to_string()),
    })
}

/// Whether signalling refuses the key, too. The token used permits nothing, so that a key that
/// is right does not join anything either; then the refusal is about permissions.
async fn key_is_refused(credentials: &Credentials) -> bool {
    let Ok(token) = Grant::new(Role::Nobody, "", IDENTITY).sign(credentials) else { return false };
    let attempt = tokio::time::timeout(TIMEOUT, Signal::join(&credentials.url, &token));
    match attempt.await {
        Ok(Err(SignalError::Client(status, text))) => {
            status.as_u16() == 401 && text.contains("invalid")
        }
        _ => false,
    }
}

/// The last cause of an error: "connection refused" rather than "error sending request".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
