//! Starting a stream: both rooms made and joined, or nothing left behind.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use super::status::Status;
use super::stream::{Control, Stream};
use super::{Event, Settings, Spec, StartError};
use crate::censor::Policy;
use crate::detect;
use crate::livekit::{
    self, Credentials, Downstream, Entrance, Incoming, Link, Whom, publish, subscribe,
};
use crate::pipeline::{Delay, Figures, Links};
use crate::runtime::{Exit, Permits, Supervisor};
use crate::telemetry::Metrics;
use crate::telemetry::trace::StreamTrace;

/// How long joining both rooms may take.
const JOIN: Duration = Duration::from_secs(8);
/// How long leaving them may take.
const LEAVE: Duration = Duration::from_secs(3);

/// Everything a stream is made of, before its rooms are joined.
pub(super) struct Opening {
    pub spec: Spec,
    pub policy: Arc<Policy>,
    pub settings: Arc<Settings>,
    pub detect: detect::Service,
    pub metrics: Metrics,
    pub events: broadcast::Sender<Event>,
    pub status: Arc<Status>,
    pub figures: Arc<Figures>,
    pub controls: mpsc::Receiver<Control>,
    pub encoders: Arc<Permits>,
    pub trace: StreamTrace,
}

/// A stream in both rooms.
pub(super) struct Opened {
    pub stream: Stream,
    pub rooms: Rooms,
}

/// The connections to both rooms.
pub(super) struct Rooms {
    actors: Supervisor,
    credentials: Credentials,
    room: String,
}

impl Rooms {
    /// Leaves both rooms.
    pub(super) async fn leave(mut self) {
        let stuck = self.actors.shut_down(LEAVE).await;
        if !stuck.is_empty() {
            tracing::error!(room = self.room, ?stuck, "connections did not end in time");
        }
        // LiveKit closes them in minutes by itself.
        if let Err(error) = livekit::delete_empty_rooms(&self.credentials, &self.room).await {
            tracing::debug!(room = self.room, %error, "rooms left to LiveKit");
        }
    }
}

impl Opening {
    /// Joins both rooms. On an error both are left again.
    pub(super) async fn open(self, stop: &CancellationToken) -> Result<Opened, StartError> {
        let credentials = &self.settings.credentials;
        livekit::create_rooms(credentials, &self.spec.room)
            .await
            .map_err(|e| StartError::Livekit(e.to_string()))?;
        let room = &self.spec.room;
        let (mut incoming, upstream, subscriber) =
            subscribe::new(Entrance::raw(credentials.clone(), room), Whom::Broadcasters);
        let (outgoing, mut downstream, publisher) =
            publish::new(Entrance::processed(credentials.clone(), room));
        let mut actors = Supervisor::new(CancellationToken::new());
        actors.spawn("subscribe", |stop| async { exit(subscriber.run(stop).await) });
        actors.spawn("publish", |stop| async { exit(publisher.run(stop).await) });
        let credentials = credentials.clone();
        let rooms = Rooms { actors, credentials, room: self.spec.room.clone() };

        let status = self.status.clone();
        let both = async {
            joined(&mut incoming, "raw", |event| {
                let Incoming::Link(link) = event else { return None };
                status.raw(link.clone());
                Some(link)
            })
            .await?;
            joined(&mut downstream, "processed", |event| {
                let Downstream::Link(link) = event else { return None };
                status.processed(link.clone());
                Some(link)
            })
            .await
        };
        let joined = tokio::select! {
            biased;
            () = stop.cancelled() => Err(StartError::Closed),
            joined = tokio::time::timeout(JOIN, both) => joined.unwrap_or_else(|_| {
                Err(StartError::Livekit(format!("not in both rooms within {} s", JOIN.as_secs())))
            }),
        };
        if let Err(error) = joined {
            rooms.leave().await;
            return Err(error);
        }
        let links = Links {
            detect: self.detect,
            outgoing,
            upstream,
            events: self.events,
            room: self.metrics.room(&self.spec.room),
            metrics: self.metrics,
            figures: self.figures,
            delay: Arc::new(Delay::new(&self.policy)),
            encoders: self.encoders,
            engines: self.settings.engines.clone(),
            trace: self.trace,
            thumbnails: self.settings.thumbnails.clone(),
        };
        let (spec, policy, controls) = (self.spec, self.policy, self.controls);
        let stream =
            Stream { spec, policy, links, status: self.status, incoming, downstream, controls };
        Ok(Opened { stream, rooms })
    }
}

/// Waits until a room is joined, or known not to be; `link` takes what an event says of it.
async fn joined<E>(
    events: &mut mpsc::Receiver<E>,
    room: &str,
    link: impl Fn(E) -> Option<Link>,
) -> Result<(), StartError> {
    while let Some(event) = events.recv().await {
        match link(event) {
            Some(Link::Connected) => return Ok(()),
            Some(Link::Failed(reason)) => return Err(StartError::Livekit(reason)),
            Some(Link::Reconnecting(_)) | None => {}
        }
    }
    Err(StartError::Livekit(format!("the connection to the {room} room ended")))
}

/// A connection's exit in the supervisor's words.
fn exit(exit: livekit::Exit) -> Exit {
    match exit {
        livekit::Exit::Cancelled => Exit::Cancelled,
        livekit::Exit::Failed(reason) => Exit::Failed(reason),
    }
}
