//! The processed room: frames go out at their time, viewers' wishes for keyframes come back.
//!
//! One track for each source. A track is announced, negotiated, and then ready; frames released
//! before that are dropped. What is announced survives everything that happens to the connection:
//! after a rejoin all of it is announced again, and is ready anew.

use livekit_protocol as proto;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::backoff::{Backoff, STABLE};
use super::outlet::Outlet;
use super::room::{Invitation, JoinError, Room, sleep_until};
use super::rtc::{Frame, Role};
use super::schedule::Schedule;
use super::verdict::{self, Verdict};
use super::{Credentials, Downstream, Exit, Faults, Link, Outgoing, token};
use crate::media::{Kind, Source};

mod lateness;
mod serve;
mod tracks;

use crate::media::clock;
use lateness::Lateness;
use tracks::Tracks;

/// Messages that may wait for the actor, which takes them at once; senders wait beyond.
pub const OUTGOING: usize = 512;

/// Messages that may wait for the pipeline.
pub const DOWNSTREAM: usize = 64;

/// Where to publish.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server.
    pub credentials: Credentials,
    /// The raw room; what is published goes into the processed room that belongs to it.
    pub room: String,
    /// The identity to join under.
    pub identity: String,
    /// Faults of the network, in tests.
    pub faults: Faults,
}

impl Options {
    /// Publishes into the processed room of `room`.
    pub fn new(credentials: Credentials, room: impl Into<String>) -> Self {
        let identity = token::IDENTITY.to_owned();
        Self { credentials, room: room.into(), identity, faults: Faults::default() }
    }
}

/// Makes a publisher: what goes in, what comes back, and the actor, which the caller spawns.
pub fn new(options: Options) -> (mpsc::Sender<Outgoing>, mpsc::Receiver<Downstream>, Actor) {
    let (sender, outgoing) = mpsc::channel(OUTGOING);
    let (downstream, receiver) = mpsc::channel(DOWNSTREAM);
    let actor = Actor {
        options,
        outgoing,
        outlet: Outlet::new(downstream),
        schedule: Schedule::new(),
        tracks: Tracks::default(),
        offers: 0,
        negotiated: (None, None),
        lateness: Lateness::default(),
    };
    (sender, receiver, actor)
}

/// Holds the connection to the processed room.
#[derive(Debug)]
pub struct Actor {
    options: Options,
    outgoing: mpsc::Receiver<Outgoing>,
    outlet: Outlet<Downstream>,
    schedule: Schedule<Waiting>,
    tracks: Tracks,
    /// Offers made on this connection; the number is the id of the last.
    offers: u32,
    /// The last offer and its answer, which a resume repeats.
    negotiated: (Option<proto::SessionDescription>, Option<proto::SessionDescription>),
    lateness: Lateness,
}

/// A frame that waits for its time.
#[derive(Debug)]
struct Waiting {
    source: Source,
    frame: Frame,
}

impl Actor {
    /// Joins and stays until stopped, or until there is no use in trying.
    pub async fn run(mut self, stop: CancellationToken) -> Exit {
        let mut backoff = Backoff::default();
        let options = self.options.clone();
        loop {
            let start = clock::now();
            let verdict = tokio::select! {
                biased;
                () = stop.cancelled() => return Exit::Cancelled,
                () = self.outside() => return Exit::Cancelled,
                joined = join(&options) => match joined {
                    Ok((mut room, join)) => {
                        self.joined(&join);
                        let verdict = self.serve(&mut room, &stop).await;
                        room.leave().await;
                        self.lateness.report();
                        match verdict {
                            Some(verdict) => verdict,
                            None => return Exit::Cancelled,
                        }
                    }
                    Err(verdict) => verdict,
                },
            };
            self.tracks.disconnected();
            let reason = match verdict {
                Verdict::GiveUp(reason) => {
                    tracing::error!(room = self.options.room, reason, "publishing given up");
                    self.outlet.control(Downstream::Link(Link::Failed(reason.clone())));
                    return Exit::Failed(reason);
                }
                Verdict::Resume(reason) | Verdict::Rejoin(reason) => reason,
            };
            tracing::warn!(room = self.options.room, reason, "joining the processed room again");
            self.outlet.control(Downstream::Link(Link::Reconnecting(reason)));
            if start.elapsed() > STABLE {
                backoff = Backoff::default();
            }
            let wait = tokio::time::sleep(backoff.next(fastrand::f64()));
            tokio::select! {
                biased;
                () = stop.cancelled() => return Exit::Cancelled,
                () = self.outside() => return Exit::Cancelled,
                () = wait => {}
            }
        }
    }

    /// Notes a message, connected or not.
    fn note(&mut self, message: Outgoing) -> Noted {
        let (source, due, frame) = match message {
            Outgoing::Video { source, data, rtp_time, captured, due, .. }
            | Outgoing::Audio { source, data, rtp_time, captured, due } => {
                (source, due, Frame { data, rtp_time, captured })
            }
            Outgoing::Announce { source, codec, size } => {
                if self.tracks.announce(source, codec, size) {
                    self.schedule.clear(source);
                } else if self.tracks.ready(source) {
                    self.outlet.control(Downstream::Ready { source });
                }
                return Noted::Tracks;
            }
            Outgoing::Retract { source } => {
                self.schedule.clear(source);
                self.tracks.retract(source);
                return Noted::Tracks;
            }
            Outgoing::Mute { source, muted } => {
                self.tracks.mute(source, muted);
                return Noted::Muted(source);
            }
        };
        if !self.schedule.push(source, due, Waiting { source, frame }) {
            tracing::warn!(?source, "too many frames wait for their time, one is dropped");
            self.want_keyframe(source);
        }
        Noted::Nothing
    }

    /// Passes on, or by ourselves has, the wish for a keyframe.
    fn want_keyframe(&mut self, source: Source) {
        if source.kind() == Kind::Video {
            self.outlet.remind(Downstream::KeyframeRequested { source });
        }
    }

    fn joined(&mut self, join: &proto::JoinResponse) {
        let version = join.server_info.as_ref().map_or("", |info| info.version.as_str());
        tracing::info!(room = self.options.room, version, "joined the processed room");
        self.offers = 0;
        self.negotiated = (None, None);
        self.outlet.control(Downstream::Link(Link::Connected));
    }

    /// Outside the room: takes messages in, so that nobody waits, and drops frames at their time.
    /// Returns when nobody needs us any more.
    async fn outside(&mut self) {
        loop {
            while self.schedule.pop(clock::now()).is_some() {}
            let due = self.schedule.deadline();
            tokio::select! {
                message = self.outgoing.recv() => match message {
                    Some(message) => {
                        self.note(message);
                    }
                    None => return,
                },
                () = sleep_until(due) => {}
                () = self.outlet.drain() => {
                    if self.outlet.abandoned() {
                        return;
                    }
                }
            }
        }
    }
}

/// What a message asks of the room.
#[derive(Clone, Copy, Debug)]
enum Noted {
    Nothing,
    Tracks,
    Muted(Source),
}

async fn join(options: &Options) -> Result<(Room, proto::JoinResponse), Verdict> {
    let token = token::publisher(&options.credentials, &options.room, &options.identity)
        .map_err(|error| Verdict::GiveUp(error.to_string()))?;
    let invitation = Invitation {
        url: options.credentials.url.clone(),
        token,
        role: Role::Publisher,
        faults: options.faults.clone(),
    };
    Room::join(invitation).await.map_err(|error| match error {
        JoinError::Signal(error) => verdict::join_failed(&error),
        JoinError::Peer(error) => Verdict::Rejoin(error.to_string()),
    })
}
