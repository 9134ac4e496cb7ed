//! One stream: two rooms, and a pipeline for each track between them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::status::Status;
use crate::censor::Policy;
use crate::livekit::{Downstream, Incoming, Link, Outgoing};
use crate::media::clock::{self, Rebase};
use crate::media::{AudioFrame, Kind, Source, VideoCodec, VideoFrame};
use crate::pipeline::{Links, Pipeline, Spec, Timeline, audio};
use crate::telemetry::Direction;

/// How long an output track outlives its source, so that a broadcaster who comes back finds the
/// viewers where they were.
const LINGER: Duration = Duration::from_secs(10);
/// How often slow things are looked at.
const TICK: Duration = Duration::from_millis(500);
/// How long the threads of a track may take to end.
const THREADS_END: Duration = Duration::from_secs(3);
/// Tracks that wait for their source to be free; more than these are ignored.
const WAITING_TRACKS: usize = 8;

/// What flows through one output track.
enum Lane {
    Video(Pipeline),
    Audio(audio::Lane),
}

/// One output track and what feeds it.
struct Slot {
    /// The source track's sid; `None` while the output lingers without one.
    track: Option<String>,
    /// Who publishes the source.
    identity: String,
    lane: Option<Lane>,
    timeline: Timeline,
    codec: Option<VideoCodec>,
    size: (u32, u32),
    /// When the source went away.
    ended: Option<Instant>,
}

/// A track as its room announced it.
#[derive(Clone)]
struct Track {
    sid: String,
    identity: String,
    source: Source,
    codec: Option<VideoCodec>,
    size: (u32, u32),
}

/// The running stream. See [`Stream::run`].
pub(super) struct Stream {
    pub spec: super::Spec,
    pub policy: Arc<Policy>,
    pub links: Links,
    pub status: Arc<Status>,
    pub incoming: mpsc::Receiver<Incoming>,
    pub downstream: mpsc::Receiver<Downstream>,
    pub controls: mpsc::Receiver<Control>,
}

/// What an operator changes on a running stream.
#[derive(Clone, Debug)]
pub(super) enum Control {
    /// The dump button's new position, and whether it mutes too.
    Cover { on: bool, mute: bool },
    /// New rules.
    Rules(Arc<Policy>),
}

/// Why a stream ended by itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was told to.
    Stopped,
    /// A room is closed to us for good.
    Lost(String),
}

impl End {
    /// Why a room was lost.
    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            Self::Stopped => None,
            Self::Lost(reason) => Some(reason),
        }
    }
}

struct Run {
    stream: Stream,
    slots: BTreeMap<Source, Slot>,
    waiting: Vec<Track>,
    /// Covered by the operator; the sound too when `muted`.
    covering: bool,
    muted: bool,
    /// Reasons of refused tracks, by sid.
    refused: HashMap<String, String>,
}

impl Stream {
    /// Carries frames between the rooms until told to stop, or a room is lost for good.
    pub(super) async fn run(self, stop: CancellationToken) -> End {
        let mut run = Run {
            stream: self,
            slots: BTreeMap::new(),
            waiting: Vec::new(),
            covering: false,
            muted: false,
            refused: HashMap::new(),
        };
        let end = run.drive(&stop).await;
        run.finish().await;
        end
    }
}

impl Run {
    async fn drive(&mut self, stop: &CancellationToken) -> End {
        let mut tick = tokio::time::interval(TICK);
        loop {
            let end = tokio::select! {
                biased;
                () = stop.cancelled() => Some(End::Stopped),
                Some(control) = self.stream.controls.recv() => {
                    self.control(control);
                    None
                }
                event = self.stream.downstream.recv() => match event {
                    Some(event) => self.downstream(event),
                    None => Some(End::Lost("the processed room's connection ended".into())),
                },
                event = self.stream.incoming.recv() => match event {
                    Some(event) => self.incoming(event),
                    None => Some(End::Lost("the raw room's connection ended".into())),
                },
                _ = tick.tick() => {
                    self.tick();
                    None
                }
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    fn control(&mut self, control: Control) {
        match control {
            Control::Cover { on, mute } => {
                self.covering = on;
                self.muted = on && mute;
            }
            Control::Rules(policy) => {
                self.stream.links.delay.set_policy(&policy);
                self.stream.policy = policy;
            }
        }
        for slot in self.slots.values_mut() {
            match &mut slot.lane {
                Some(Lane::Video(pipeline)) => {
                    pipeline.cover(self.covering);
                    pipeline.set_policy(self.stream.policy.clone());
                }
                Some(Lane::Audio(_)) | None => {}
            }
        }
    }

    fn downstream(&mut self, event: Downstream) -> Option<End> {
        match event {
            Downstream::Link(Link::Failed(reason)) => return Some(End::Lost(reason)),
            Downstream::Link(link) => self.stream.status.processed(link),
            Downstream::Lost { source, share } => {
                if let Some(Slot { lane: Some(Lane::Video(pipeline)), .. }) =
                    self.slots.get(&source)
                {
                    pipeline.lost(share);
                }
            }
            Downstream::KeyframeRequested { source } | Downstream::Ready { source } => {
                self.stream.links.metrics.global().keyframe_requests(Direction::Downstream).inc();
                if let Some(Slot { lane: Some(Lane::Video(pipeline)), .. }) =
                    self.slots.get(&source)
                {
                    pipeline.keyframe();
                }
            }
        }
        None
    }

    fn incoming(&mut self, event: Incoming) -> Option<End> {
        match event {
            Incoming::Link(Link::Failed(reason)) => return Some(End::Lost(reason)),
            Incoming::Link(link) => self.stream.status.raw(link),
            Incoming::Started { track: sid, identity, source, codec, size } => {
                self.started(Track { sid, identity, source, codec, size });
            }
            Incoming::Video { track, frame } => self.video(&track, frame),
            Incoming::Audio { track, frame } => self.audio(&track, &frame),
            Incoming::Muted { track, muted } => {
                if let Some(source) = self.source_of(&track) {
                    self.send(Outgoing::Mute { source, muted });
                }
            }
            Incoming::Ended { track } => self.ended(&track),
            Incoming::Refused { track, reason } => {
                tracing::warn!(room = self.stream.spec.room, track, reason, "track refused");
                self.refused.insert(track, reason);
                self.stream.status.problems(self.refused.values().cloned().collect());
            }
        }
        None
    }

    fn source_of(&self, sid: &str) -> Option<Source> {
        let held = |slot: &Slot| slot.track.as_deref() == Some(sid);
        self.slots.iter().find(|(_, slot)| held(slot)).map(|(source, _)| *source)
    }

    /// A track takes the output of its source, unless somebody else's track has it.
    fn started(&mut self, track: Track) {
        match self.slots.get(&track.source) {
            Some(Slot { track: Some(sid), identity, .. })
                if *sid != track.sid && *identity != track.identity =>
            {
                tracing::warn!(
                    room = self.stream.spec.room,
                    identity = track.identity,
                    source = ?track.source,
                    "another broadcaster has this source: its track waits"
                );
                if self.waiting.len() < WAITING_TRACKS {
                    self.waiting.push(track);
                }
            }
            _ => self.adopt(&track),
        }
    }

    fn adopt(&mut self, track: &Track) {
        let source = track.source;
        let output = track.codec.map(VideoCodec::output);
        let mut slot = self.slots.remove(&source).unwrap_or_else(|| Slot {
            track: None,
            identity: String::new(),
            lane: None,
            timeline: Arc::new(std::sync::Mutex::new(Rebase::new(match source.kind() {
                Kind::Video => 90_000,
                Kind::Audio => 48_000,
            }))),
            codec: None,
            size: (0, 0),
            ended: None,
        });
        retire(slot.lane.take());
        slot.timeline.lock().unwrap_or_else(|e| e.into_inner()).source_changed();
        if slot.identity.is_empty() || slot.codec != output {
            self.send(Outgoing::Announce { source, codec: output, size: track.size });
        }
        (slot.codec, slot.size, slot.ended) = (output, track.size, None);
        (slot.identity, slot.track) = (track.identity.clone(), Some(track.sid.clone()));
        slot.lane = self.lane(track, slot.timeline.clone());
        self.slots.insert(source, slot);
        self.send(Outgoing::Mute { source, muted: false });
        tracing::info!(room = self.stream.spec.room, identity = track.identity, ?source, codec = ?track.codec, "track started");
    }

    fn lane(&self, track: &Track, timeline: Timeline) -> Option<Lane> {
        if track.source.kind() == Kind::Audio {
            let delay = self.stream.links.delay.clone();
            return Some(Lane::Audio(audio::Lane::new(track.source, delay, timeline)));
        }
        let spec = Spec {
            stream: self.stream.spec.id,
            room: self.stream.spec.room.clone(),
            source: track.source,
            track: track.sid.clone(),
            watch: self.stream.spec.watch,
        };
        let links = self.stream.links.clone();
        match Pipeline::start(spec, links, self.stream.policy.clone(), timeline) {
            Ok(pipeline) => {
                pipeline.cover(self.covering);
                Some(Lane::Video(pipeline))
            }
            Err(error) => {
                tracing::error!(%error, "no threads for a track: it is not shown");
                None
            }
        }
    }

    fn video(&mut self, sid: &str, frame: VideoFrame) {
        let held = |slot: &&mut Slot| slot.track.as_deref() == Some(sid);
        if let Some(Slot { lane: Some(Lane::Video(pipeline)), .. }) =
            self.slots.values_mut().find(held)
        {
            pipeline.push(frame);
        }
    }

    fn audio(&mut self, sid: &str, frame: &AudioFrame) {
        let muted = self.muted;
        let held = |slot: &&mut Slot| slot.track.as_deref() == Some(sid);
        if let Some(Slot { lane: Some(Lane::Audio(lane)), .. }) = self.slots.values_mut().find(held)
        {
            let packet = lane.pass(frame, muted);
            self.send(packet);
        }
    }

    fn ended(&mut self, sid: &str) {
        self.waiting.retain(|t| t.sid != sid);
        if self.refused.remove(sid).is_some() {
            self.stream.status.problems(self.refused.values().cloned().collect());
        }
        let Some(source) = self.source_of(sid) else { return };
        let Some(slot) = self.slots.get_mut(&source) else { return };
        slot.track = None;
        slot.ended = Some(clock::now());
        retire(slot.lane.take());
        tracing::info!(room = self.stream.spec.room, ?source, "track ended");
        if let Some(next) = self.waiting.iter().position(|t| t.source == source) {
            let track = self.waiting.remove(next);
            self.adopt(&track);
        }
    }

    fn tick(&mut self) {
        let now = clock::now();
        let gone: Vec<Source> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.ended.is_some_and(|at| now - at > LINGER))
            .map(|(source, _)| *source)
            .collect();
        for source in gone {
            self.slots.remove(&source);
            self.stream.links.delay.forget(source);
            self.send(Outgoing::Retract { source });
        }
        self.revive();
        let live = self.slots.values().any(|s| s.track.is_some() && s.codec.is_some());
        self.stream.status.live(live);
    }

    /// Starts the pipeline of a track anew whose threads are gone: only a panic ends them.
    fn revive(&mut self) {
        let dead = |slot: &Slot| matches!(&slot.lane, Some(Lane::Video(p)) if !p.is_alive());
        let dead: Vec<Source> =
            self.slots.iter().filter(|(_, s)| dead(s)).map(|(source, _)| *source).collect();
        for source in dead {
            tracing::error!(
                room = self.stream.spec.room,
                ?source,
                "a media thread died; starting anew"
            );
            let Some(mut slot) = self.slots.remove(&source) else { continue };
            retire(slot.lane.take());
            if let Some(sid) = slot.track.clone() {
                let (identity, codec, size) = (slot.identity.clone(), slot.codec, slot.size);
                let track = Track { sid, identity, source, codec, size };
                slot.lane = self.lane(&track, slot.timeline.clone());
            }
            self.slots.insert(source, slot);
        }
    }

    /// The publisher drains its queue always; when it does not, it is gone, and says so itself.
    fn send(&self, outgoing: Outgoing) {
        if self.stream.links.outgoing.try_send(outgoing).is_err() {
            tracing::debug!(room = self.stream.spec.room, "the publisher's queue is full");
        }
    }

    async fn finish(mut self) {
        let lanes: Vec<Lane> = self.slots.values_mut().filter_map(|s| s.lane.take()).collect();
        let stuck = tokio::task::spawn_blocking(move || {
            let pipelines = lanes.into_iter().filter_map(|lane| match lane {
                Lane::Video(pipeline) => Some(pipeline),
                Lane::Audio(_) => None,
            });
            pipelines.flat_map(|p| p.stop(THREADS_END)).collect::<Vec<_>>()
        });
        for name in stuck.await.unwrap_or_default() {
            tracing::error!(room = self.stream.spec.room, thread = name, "did not end in time");
        }
    }
}

/// Stops a lane's threads without waiting for them on the async side.
fn retire(lane: Option<Lane>) {
    if let Some(Lane::Video(pipeline)) = lane {
        tokio::task::spawn_blocking(move || {
            for name in pipeline.stop(THREADS_END) {
                tracing::error!(thread = name, "did not end in time");
            }
        });
    }
}
