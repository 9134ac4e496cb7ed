//! Encoded frames out of a room: those of the broadcasters in a raw room, or everybody's.
//!
//! Nothing is decoded and nothing decided here. What is lost is said (`contiguous: false`) and a
//! keyframe asked for; the pipeline decides what may be shown. When the pipeline is too slow,
//! frames are dropped at its door and the gap is said in the same way.

use std::collections::HashMap;
use std::time::SystemTime;

use livekit_protocol as proto;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use str0m::Event;
use str0m::media::Mid;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::capture::Clock;
use super::entrance::Entrance;
use super::outlet::Outlet;
use super::room::{Happened, Room, sleep_until};
use super::roster::{Change, Roster};
use super::rtc::Role;
use super::stay::{Member, stay};
use super::verdict::Verdict;
use super::{Exit, Incoming, Link, Reason, UpstreamCommand, Whom};
use crate::media::Kind;

mod feed;

use crate::media::clock;
use feed::Feed;

/// Messages that may wait for the pipeline: two seconds of a camera, a screen and two sounds.
/// Frames beyond are dropped (see the module's note), everything else waits.
pub const INCOMING: usize = 512;

/// Commands that may wait for the actor; the pipeline waits beyond.
pub const COMMANDS: usize = 32;

/// Makes a subscriber to the tracks of `whom`: what comes out, what goes in, and the actor, which
/// the caller spawns.
pub fn new(
    entrance: Entrance,
    whom: Whom,
) -> (mpsc::Receiver<Incoming>, mpsc::Sender<UpstreamCommand>, Actor) {
    let (incoming, receiver) = mpsc::channel(INCOMING);
    let (sender, commands) = mpsc::channel(COMMANDS);
    let actor = Actor {
        entrance,
        outlet: Outlet::new(incoming),
        commands,
        roster: Roster::new(whom),
        feeds: HashMap::new(),
        lines: HashMap::new(),
        clock: Clock::new(clock::now(), SystemTime::now()),
        negotiated: (None, None),
        dropped: 0,
    };
    (receiver, sender, actor)
}

/// Holds the connection to the room.
#[derive(Debug)]
pub struct Actor {
    entrance: Entrance,
    outlet: Outlet<Incoming>,
    commands: mpsc::Receiver<UpstreamCommand>,
    roster: Roster,
    feeds: HashMap<String, Feed>,
    /// The track on each line of the session description.
    lines: HashMap<Mid, String>,
    clock: Clock,
    /// The last offer and our answer, which a resume repeats.
    negotiated: (Option<proto::SessionDescription>, Option<proto::SessionDescription>),
    /// Frames dropped at the pipeline's door since the last report of it.
    dropped: u64,
}

impl Actor {
    /// Joins and stays until stopped, or until there is no use in trying.
    pub async fn run(self, stop: CancellationToken) -> Exit {
        stay(self, stop).await
    }

    fn handle(&mut self, happened: Happened, room: &mut Room) -> Option<Verdict> {
        match happened {
            Happened::Media(event) => {
                if let Event::MediaData(data) = *event {
                    self.media(data, room);
                }
            }
            Happened::Message(message) => return self.message(*message, room),
            Happened::Lost(reason) => {
                tracing::warn!(room = self.entrance.room, reason, "room lost, resuming");
                self.outlet.control(Incoming::Link(Link::Reconnecting(reason)));
            }
            Happened::Resumed => {
                let (offer, answer) = self.negotiated.clone();
                let subscription = proto::UpdateSubscription {
                    track_sids: self.roster.subscribed(),
                    subscribe: true,
                    ..Default::default()
                };
                let subscription = Some(subscription);
                let state = proto::SyncState { offer, answer, subscription, ..Default::default() };
                room.resynchronise(state, None);
            }
            Happened::Restored => {
                tracing::info!(room = self.entrance.room, "room resumed");
                self.outlet.control(Incoming::Link(Link::Connected));
            }
            Happened::Ended(verdict) => return Some(verdict),
        }
        None
    }

    fn message(&mut self, message: Response, room: &mut Room) -> Option<Verdict> {
        match message {
            Response::Offer(offer) => {
                let lines = offer.mid_to_track_id.iter();
                self.lines = lines.map(|(mid, sid)| (mid.as_str().into(), sid.clone())).collect();
                match room.answer(&offer) {
                    Ok(answer) => self.negotiated = (Some(offer), Some(answer)),
                    Err(error) => return Some(Verdict::Rejoin(error.to_string())),
                }
            }
            Response::Trickle(trickle) => room.trickle(&trickle),
            Response::Update(update) => {
                for participant in &update.participants {
                    let changes = self.roster.update(participant);
                    self.apply(changes, room);
                }
            }
            Response::SubscriptionResponse(response)
                if response.err() == proto::SubscriptionError::SeCodecUnsupported =>
            {
                let changes = self.roster.refuse(&response.track_sid, &Reason::Undeliverable);
                self.apply(changes, room);
            }
            _ => {}
        }
        None
    }

    fn apply(&mut self, changes: Vec<Change>, room: &mut Room) {
        for change in changes {
            match change {
                Change::Subscribe { track, size, kind } => subscribe(room, &track, size, kind),
                Change::Report(report) => {
                    if let Incoming::Ended { track } | Incoming::Refused { track, .. } = &report {
                        self.feeds.remove(track);
                    }
                    self.outlet.control(report);
                }
            }
        }
    }

    fn obey(&mut self, command: &UpstreamCommand) {
        let UpstreamCommand::RequestKeyframe { track } = command;
        if self.roster.delivers(track) {
            self.feeds.entry(track.clone()).or_default().limiter.want();
        }
    }
}

impl Member for Actor {
    const ROLE: Role = Role::Subscriber;

    fn entrance(&self) -> &Entrance {
        &self.entrance
    }

    async fn serve(
        &mut self,
        room: &mut Room,
        join: &proto::JoinResponse,
        stop: &CancellationToken,
    ) -> Option<Verdict> {
        self.clock = Clock::new(clock::now(), SystemTime::now());
        self.tell(Link::Connected);
        for participant in &join.other_participants {
            let changes = self.roster.update(participant);
            self.apply(changes, room);
        }
        loop {
            if self.outlet.abandoned() {
                return None;
            }
            let wake = self.wake(clock::now());
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                Some(command) = self.commands.recv() => self.obey(&command),
                happened = room.next() => {
                    if let Some(verdict) = self.handle(happened, room) {
                        return Some(verdict);
                    }
                }
                () = self.outlet.drain() => {}
                () = sleep_until(wake) => {}
            }
            self.request_keyframes(room, clock::now());
        }
    }

    /// Moves waiting messages on and lets commands go, until nobody listens.
    async fn outside(&mut self) {
        while !self.outlet.abandoned() {
            tokio::select! {
                () = self.outlet.drain() => {}
                // Without tracks there is nothing to ask a keyframe of.
                Some(_) = self.commands.recv() => {}
            }
        }
    }

    /// Forgets the connection and says that its tracks ended.
    fn forget(&mut self) {
        self.feeds.clear();
        self.lines.clear();
        self.negotiated = (None, None);
        for change in self.roster.clear() {
            if let Change::Report(report) = change {
                self.outlet.control(report);
            }
        }
    }

    fn tell(&mut self, link: Link) {
        self.outlet.control(Incoming::Link(link));
    }
}

fn subscribe(room: &mut Room, track: &str, size: (u32, u32), kind: Kind) {
    room.send(Request::Subscription(proto::UpdateSubscription {
        track_sids: vec![track.to_owned()],
        subscribe: true,
        ..Default::default()
    }));
    if kind == Kind::Video {
        // The best layer of a simulcast, always: what is censored has to be what is best.
        let (width, height) = size;
        room.send(Request::TrackSetting(proto::UpdateTrackSettings {
            track_sids: vec![track.to_owned()],
            quality: proto::VideoQuality::High.into(),
            width,
            height,
            ..Default::default()
        }));
    }
}
