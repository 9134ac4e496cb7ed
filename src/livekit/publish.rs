//! The processed room: frames go out at their time, viewers' wishes for keyframes come back.
//!
//! One track for each source. A track is announced, negotiated, and then ready; frames released
//! before that are dropped. What is announced survives everything that happens to the connection:
//! after a rejoin all of it is announced again, and is ready anew.

use std::time::Instant;

use livekit_protocol as proto;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use str0m::Event;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::backoff::{Backoff, STABLE};
use super::outlet::Outlet;
use super::room::{Happened, Invitation, JoinError, Room, describe, sleep_until};
use super::rtc::{Changes, Frame, PeerError, Role};
use super::schedule::Schedule;
use super::verdict::{self, Verdict};
use super::{Credentials, Downstream, Exit, Faults, Link, Outgoing, token};
use crate::media::{Kind, Source};

mod lateness;
mod tracks;

use lateness::Lateness;
use tracks::{Tracks, add_request};

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
            let start = Instant::now();
            let verdict = tokio::select! {
                biased;
                () = stop.cancelled() => return Exit::Cancelled,
                () = self.outside() => return Exit::Cancelled,
                joined = join(&options) => match joined {
                    Ok((room, join)) => {
                        self.joined(&join);
                        match self.serve(room, &stop).await {
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

    async fn serve(&mut self, mut room: Room, stop: &CancellationToken) -> Option<Verdict> {
        self.announce(&mut room);
        loop {
            if self.outlet.abandoned() {
                room.leave().await;
                return None;
            }
            if let Err(error) = self.release(&mut room).await {
                return Some(Verdict::Rejoin(error.to_string()));
            }
            let due = self.schedule.deadline();
            let verdict = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.lateness.report();
                    room.leave().await;
                    return None;
                }
                () = sleep_until(due) => None,
                message = self.outgoing.recv() => match message {
                    Some(message) => self.take(message, &mut room),
                    None => {
                        room.leave().await;
                        return None;
                    }
                },
                happened = room.next() => self.handle(happened, &mut room),
                () = self.outlet.drain() => None,
            };
            if verdict.is_some() {
                return verdict;
            }
        }
    }

    /// Sends what is due.
    async fn release(&mut self, room: &mut Room) -> Result<(), PeerError> {
        while let Some((due, Waiting { source, frame })) = self.schedule.pop(Instant::now()) {
            let Some((mid, codec)) = self.tracks.line(source) else { continue };
            if !room.peer.connected() {
                continue;
            }
            self.lateness.record(due.elapsed());
            if let Err(error) = room.peer.write(mid, codec, frame).await {
                tracing::warn!(?source, %error, "a frame could not be sent");
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes a message in while connected.
    fn take(&mut self, message: Outgoing, room: &mut Room) -> Option<Verdict> {
        match self.note(message) {
            Noted::Nothing => None,
            Noted::Tracks => {
                self.announce(room);
                self.negotiate(room)
            }
            Noted::Muted(source) => {
                if let Some((sid, muted)) = self.tracks.muted(source) {
                    room.send(Request::Mute(proto::MuteTrackRequest { sid, muted }));
                }
                None
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

    fn handle(&mut self, happened: Happened, room: &mut Room) -> Option<Verdict> {
        match happened {
            Happened::Media(event) => match *event {
                Event::KeyframeRequest(request) => {
                    if let Some(source) = self.tracks.on_line(request.mid) {
                        self.want_keyframe(source);
                    }
                }
                Event::Connected => self.ready(room),
                _ => {}
            },
            Happened::Message(message) => return self.message(*message, room),
            Happened::Lost(reason) => {
                tracing::warn!(room = self.options.room, reason, "processed room lost, resuming");
                self.outlet.control(Downstream::Link(Link::Reconnecting(reason)));
            }
            Happened::Resumed => self.resynchronise(room),
            Happened::Restored => {
                tracing::info!(room = self.options.room, "processed room resumed");
                self.outlet.control(Downstream::Link(Link::Connected));
                // What was lost on the way is mended for viewers by a keyframe.
                for source in self.tracks.sources() {
                    self.want_keyframe(source);
                }
            }
            Happened::Ended(verdict) => return Some(verdict),
        }
        None
    }

    fn message(&mut self, message: Response, room: &mut Room) -> Option<Verdict> {
        match message {
            Response::TrackPublished(published) => {
                self.tracks.published(published);
                return self.negotiate(room);
            }
            Response::Answer(answer) => {
                if answer.id != 0 && answer.id != self.offers {
                    return None;
                }
                if let Err(error) = room.peer.accept_answer(&answer.sdp) {
                    return Some(Verdict::Rejoin(error.to_string()));
                }
                self.negotiated.1 = Some(answer);
                self.ready(room);
                return self.negotiate(room);
            }
            Response::Trickle(trickle) => room.trickle(&trickle),
            Response::TrackUnpublished(unpublished) => {
                self.tracks.unpublished(&unpublished.track_sid);
                self.announce(room);
            }
            Response::RequestResponse(response) => {
                tracing::warn!(reason = ?response.reason(), response.message, "request refused");
            }
            _ => {}
        }
        None
    }

    /// Announces the tracks that the server does not know yet.
    fn announce(&mut self, room: &mut Room) {
        for track in self.tracks.unannounced() {
            room.send(Request::AddTrack(add_request(&track)));
        }
    }

    /// Makes the next offer, if there is something to negotiate and none is under way.
    fn negotiate(&mut self, room: &mut Room) -> Option<Verdict> {
        if room.peer.negotiating() {
            return None;
        }
        let add = self.tracks.unnegotiated();
        let remove = self.tracks.take_retired();
        self.offer(&Changes { add: &add, remove: &remove, restart_ice: false }, room);
        None
    }

    fn offer(&mut self, changes: &Changes<'_>, room: &mut Room) {
        if let Some(offer) = self.make_offer(changes, room) {
            room.send(Request::Offer(offer));
            room.establish(Instant::now());
        }
    }

    fn make_offer(
        &mut self,
        changes: &Changes<'_>,
        room: &mut Room,
    ) -> Option<proto::SessionDescription> {
        let (sdp, lines) = room.peer.offer(changes)?;
        for ((_, cid), mid) in changes.add.iter().zip(lines) {
            self.tracks.offered(cid, mid);
        }
        self.offers += 1;
        let offer = describe("offer", sdp, self.offers);
        self.negotiated.0 = Some(offer.clone());
        Some(offer)
    }

    fn resynchronise(&mut self, room: &mut Room) {
        let (offer, answer) = self.negotiated.clone();
        let state = proto::SyncState {
            offer,
            answer,
            publish_tracks: self.tracks.publications(),
            subscription: Some(proto::UpdateSubscription::default()),
            ..Default::default()
        };
        // An offer whose answer was lost with the old connection is made again.
        room.peer.withdraw_offer();
        self.tracks.withdrawn();
        let add = self.tracks.unnegotiated();
        let remove = self.tracks.take_retired();
        let offer = room.peer.has_lines().then(|| {
            self.make_offer(&Changes { add: &add, remove: &remove, restart_ice: true }, room)
        });
        room.resynchronise(state, offer.flatten());
        self.tracks.unheard();
        self.announce(room);
    }

    /// Says which tracks have become ready.
    fn ready(&mut self, room: &Room) {
        if !room.peer.connected() || room.peer.negotiating() {
            return;
        }
        for source in self.tracks.newly_ready() {
            self.outlet.control(Downstream::Ready { source });
            self.want_keyframe(source);
        }
    }

    /// Passes on, or by ourselves has, the wish for a keyframe.
    fn want_keyframe(&mut self, source: Source) {
        if source.kind() == Kind::Video {
            self.outlet.control(Downstream::KeyframeRequested { source });
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
            while self.schedule.pop(Instant::now()).is_some() {}
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
