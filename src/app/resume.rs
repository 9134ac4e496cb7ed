//! Goes on with streams that the process before left open when it died.
//!
//! LiveKit tells of a broadcaster once, when the video appears: to a process that starts after a
//! crash nobody tells of those who never stopped publishing. So it asks. What operators said of the
//! room holds again, the dump button above all.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::censor::Document;
use crate::livekit::{self, CheckError, Credentials};
use crate::runtime::Exit;
use crate::session::{Manager, Origin, Start, StartError};

/// Between two attempts, and how many there are: LiveKit may be on its way back too.
const PAUSE: Duration = Duration::from_secs(2);
const ATTEMPTS: u32 = 30;

/// Starts a stream in each of the rooms in which a broadcaster's video is published; runs until
/// `stop`.
pub(super) async fn run(
    mut rooms: Vec<String>,
    credentials: Credentials,
    manager: Manager,
    stop: CancellationToken,
) -> Exit {
    for _ in 0..ATTEMPTS {
        let mut left = Vec::new();
        for room in rooms {
            let tried = tokio::select! {
                biased;
                () = stop.cancelled() => return Exit::Cancelled,
                tried = resume(&room, &credentials, &manager) => tried,
            };
            if let Err(error) = tried {
                tracing::debug!(room, %error, "not resumed yet");
                left.push(room);
            }
        }
        rooms = left;
        if rooms.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return Exit::Cancelled,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
    for room in rooms {
        tracing::error!(room, "a stream that the last process left open cannot be resumed");
    }
    stop.cancelled().await;
    Exit::Cancelled
}

/// Why a stream was not resumed; it may be later.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Asked(#[from] CheckError),
    #[error(transparent)]
    Started(#[from] StartError),
}

async fn resume(room: &str, credentials: &Credentials, manager: &Manager) -> Result<(), Error> {
    if !livekit::is_broadcast(credentials, room).await? {
        return Ok(());
    }
    let rules = Document::default();
    let origin = Origin::Webhook;
    match manager.start(Start { room: room.to_owned(), participant: None, rules, origin }).await {
        Ok(stream) => {
            tracing::warn!(room, stream_id = %stream.stream_id, "resumed what the last process left");
            Ok(())
        }
        Err(StartError::AlreadyLive { .. } | StartError::Closed) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
