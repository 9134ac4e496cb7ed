//! In the room: tracks are negotiated, frames released, keyframe wishes taken.

use std::time::Duration;

use livekit_protocol as proto;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use str0m::Event;
use tokio_util::sync::CancellationToken;

use super::tracks::add_request;
use super::{Actor, Noted, Waiting};
use crate::livekit::room::{Happened, Room, describe, sleep_until};
use crate::livekit::rtc::{Changes, PeerError};
use crate::livekit::verdict::Verdict;
use crate::livekit::{Downstream, Link, Outgoing};
use crate::media::clock;

/// Lines of the session description that one connection may use up. A line is not used twice,
/// and each makes every later offer some two kilobytes longer; past this, joining anew is cheaper.
const LINES: usize = 40;

/// How much before its time a frame may leave. Timers fire up to a millisecond late; this halves
/// how far from its time a frame leaves.
const EARLY: Duration = Duration::from_micros(500);

impl Actor {
    /// Stays in the room until it is over; `None` when that was wanted.
    pub(super) async fn publish(
        &mut self,
        room: &mut Room,
        stop: &CancellationToken,
    ) -> Option<Verdict> {
        self.announce(room);
        loop {
            if self.outlet.abandoned() {
                return None;
            }
            if let Err(error) = self.release(room).await {
                return Some(Verdict::Rejoin(error.to_string()));
            }
            let due = self.schedule.deadline().map(|due| due - EARLY);
            let verdict = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                () = sleep_until(due) => None,
                message = self.outgoing.recv() => match message {
                    Some(message) => self.take(message, room),
                    None => return None,
                },
                happened = room.next() => self.handle(happened, room),
                () = self.outlet.drain() => None,
            };
            if verdict.is_some() {
                return verdict;
            }
        }
    }

    /// Sends what is due.
    async fn release(&mut self, room: &mut Room) -> Result<(), PeerError> {
        while let Some((due, Waiting { source, frame })) = self.schedule.pop(clock::now() + EARLY) {
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

    fn handle(&mut self, happened: Happened, room: &mut Room) -> Option<Verdict> {
        match happened {
            Happened::Media(event) => match *event {
                Event::KeyframeRequest(request) => {
                    if let Some(source) = self.tracks.on_line(request.mid) {
                        self.want_keyframe(source);
                    }
                }
                Event::Connected => self.ready(room),
                Event::MediaEgressStats(stats) => {
                    if let (Some(loss), Some(source)) = (stats.loss, self.tracks.on_line(stats.mid))
                    {
                        let share = (loss.clamp(0.0, 1.0) * 255.0).round() as u8;
                        // One that finds no room is stale before the next comes.
                        self.outlet.frame(Downstream::Lost { source, share });
                    }
                }
                _ => {}
            },
            Happened::Message(message) => return self.message(*message, room),
            Happened::Lost(reason) => {
                tracing::warn!(room = self.entrance.room, reason, "room lost, resuming");
                self.outlet.control(Downstream::Link(Link::Reconnecting(reason)));
            }
            Happened::Resumed => self.resynchronise(room),
            Happened::Restored => {
                tracing::info!(room = self.entrance.room, "room resumed");
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
        if !add.is_empty() && room.peer.offered() + add.len() > LINES {
            return Some(Verdict::Rejoin("the session description has grown too long".into()));
        }
        let remove = self.tracks.take_retired();
        self.offer(&Changes { add: &add, remove: &remove, restart_ice: false }, room);
        None
    }

    fn offer(&mut self, changes: &Changes<'_>, room: &mut Room) {
        if let Some(offer) = self.make_offer(changes, room) {
            room.send(Request::Offer(offer));
            room.establish(clock::now());
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
        let offer = (room.peer.offered() > 0).then(|| {
            self.make_offer(&Changes { add: &add, remove: &remove, restart_ice: true }, room)
        });
        room.resynchronise(state, offer.flatten());
        self.tracks.unheard();
        self.announce(room);
    }

    /// Says which tracks have become ready.
    fn ready(&mut self, room: &mut Room) {
        if !room.peer.connected() || room.peer.negotiating() {
            return;
        }
        for source in self.tracks.newly_ready(|mid, codec| room.peer.accepts(mid, codec)) {
            self.outlet.control(Downstream::Ready { source });
            self.want_keyframe(source);
        }
    }
}
