//! Encoded frames into a room: they go out at their time, viewers' wishes for keyframes come back.
//!
//! One track for each source. A track is announced, negotiated, and then ready; frames released
//! before that are dropped. What is announced survives everything that happens to the connection:
//! after a rejoin all of it is announced again, and is ready anew.

use livekit_protocol as proto;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::entrance::Entrance;
use super::outlet::Outlet;
use super::room::{Room, sleep_until};
use super::rtc::{Frame, Role};
use super::schedule::Schedule;
use super::stay::{Member, stay};
use super::verdict::Verdict;
use super::{Downstream, Exit, Link, Outgoing};
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

/// Makes a publisher: what goes in, what comes back, and the actor, which the caller spawns.
pub fn new(entrance: Entrance) -> (mpsc::Sender<Outgoing>, mpsc::Receiver<Downstream>, Actor) {
    let (sender, outgoing) = mpsc::channel(OUTGOING);
    let (downstream, receiver) = mpsc::channel(DOWNSTREAM);
    let actor = Actor {
        entrance,
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

/// Holds the connection to the room.
#[derive(Debug)]
pub struct Actor {
    entrance: Entrance,
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
    pub async fn run(self, stop: CancellationToken) -> Exit {
        stay(self, stop).await
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
}

impl Member for Actor {
    const ROLE: Role = Role::Publisher;

    fn entrance(&self) -> &Entrance {
        &self.entrance
    }

    async fn serve(
        &mut self,
        room: &mut Room,
        _join: &proto::JoinResponse,
        stop: &CancellationToken,
    ) -> Option<Verdict> {
        self.offers = 0;
        self.negotiated = (None, None);
        self.tell(Link::Connected);
        let verdict = self.publish(room, stop).await;
        self.lateness.report();
        verdict
    }

    /// Takes messages in, so that nobody waits, and drops frames at their time.
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

    fn forget(&mut self) {
        self.tracks.disconnected();
    }

    fn tell(&mut self, link: Link) {
        self.outlet.control(Downstream::Link(link));
    }
}

/// What a message asks of the room.
#[derive(Clone, Copy, Debug)]
enum Noted {
    Nothing,
    Tracks,
    Muted(Source),
}
