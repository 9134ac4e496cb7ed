//! Decodes every frame as it comes and says what changed in it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

use super::gate::{self, Activity, Grid};
use super::{Links, Spec, guard, release};
use crate::livekit::UpstreamCommand;
use crate::media::clock::{self, ReleaseClock};
use crate::media::decode::Decoder;
use crate::media::thumb::Thumb;
use crate::media::{Engine, Link, Picture, Source, VideoCodec, VideoFrame};
use crate::telemetry::trace::Milestone;
use crate::telemetry::{Direction, OnEngine, Processor, Step};

/// RTP ticks a second of any video codec.
const VIDEO_CLOCK: u32 = 90_000;

/// A decoded frame on its way to the release thread.
#[derive(Debug)]
pub(super) struct Decoded {
    pub frame: guard::Frame,
    pub picture: Arc<Picture>,
    /// The source's codec.
    pub codec: VideoCodec,
    /// The encoded frame as it came.
    pub data: Arc<[u8]>,
    /// How it hangs together with the frame before.
    pub link: Link,
    pub rtp_time: u64,
    pub captured: Instant,
    pub arrived: Instant,
}

/// The decoding stage of one track.
pub(super) struct Stage {
    links: Links,
    track: String,
    room: String,
    source: Source,
    next: SyncSender<release::Input>,
    decoder: Option<Decoder>,
    /// What decodes, as it was last told.
    told: Option<(Engine, OnEngine)>,
    clock: ReleaseClock,
    before: Option<(Thumb, Arc<Grid>)>,
    activity: Activity,
    index: u64,
}

impl Stage {
    pub(super) fn new(spec: &Spec, links: &Links, next: SyncSender<release::Input>) -> Self {
        let clock = ReleaseClock::new(VIDEO_CLOCK, links.delay.get());
        Self {
            links: links.clone(),
            track: spec.track.clone(),
            room: spec.room.clone(),
            source: spec.source,
            next,
            decoder: None,
            told: None,
            clock,
            before: None,
            activity: Activity::default(),
            index: 0,
        }
    }

    /// Runs until the pipeline drops its end of the queue or the release thread is gone.
    pub(super) fn run(mut self, frames: &Receiver<VideoFrame>) {
        while let Ok(frame) = frames.recv() {
            self.clock.set_delay(self.links.delay.get());
            let Some(decoded) = self.take(&frame) else { continue };
            if self.next.send(release::Input::Frame(decoded)).is_err() {
                return;
            }
        }
    }

    /// Decodes one frame; `None` when there is nothing to release.
    pub(super) fn take(&mut self, frame: &VideoFrame) -> Option<Decoded> {
        self.links.figures.received.fetch_add(1, Relaxed);
        self.links.figures.bytes_in.fetch_add(frame.data.len() as u64, Relaxed);
        let due = self.clock.schedule(frame.rtp_time, frame.arrived);
        self.links.figures.held(self.clock.hold());
        let Some(picture) = self.decode(frame) else {
            self.links.dropped();
            return None;
        };
        self.links.trace.reach(Milestone::Frame, frame.arrived);
        Some(self.describe(frame, picture, due))
    }

    /// The frame's picture; `None` when there is none to show, after asking for a keyframe where
    /// only that helps.
    fn decode(&mut self, frame: &VideoFrame) -> Option<Arc<Picture>> {
        if self.decoder.as_ref().is_none_or(|d| d.codec() != frame.codec) {
            self.decoder = Decoder::open_on(frame.codec, &self.links.engines)
                .inspect_err(|error| tracing::error!(%error, "no decoder"))
                .ok();
        }
        let decoder = self.decoder.as_mut()?;
        let began = clock::now();
        let picture = match decoder.decode(frame) {
            Ok(picture) => picture,
            Err(error) => {
                tracing::debug!(%error, "frame not decoded");
                None
            }
        };
        self.links.room.processing(Processor::Decode).observe_time(began.elapsed());
        if picture.is_none() && decoder.needs_keyframe() {
            self.links.metrics.global().keyframe_requests(Direction::Upstream).inc();
            let track = self.track.clone();
            let _ = self.links.upstream.try_send(UpstreamCommand::RequestKeyframe { track });
        }
        if picture.is_some() {
            self.tell();
        }
        picture
    }

    /// Says what decodes, at first and when it is another engine.
    fn tell(&mut self) {
        let Some(decoder) = self.decoder.as_ref() else { return };
        let engine = decoder.engine();
        if self.told.as_ref().is_some_and(|(told, _)| *told == engine) {
            return;
        }
        let (room, source, reason) = (&self.room, self.source, decoder.reason());
        if reason.is_empty() {
            tracing::info!(room, ?source, decoder = %engine, "decoding");
        } else {
            tracing::warn!(room, ?source, decoder = %engine, reason, "decoding, not on a GPU");
        }
        self.links.figures.decoder(source, engine);
        let counted = self.links.metrics.on_engine(Step::Decode, engine.label());
        self.told = Some((engine, counted));
    }

    fn describe(&mut self, frame: &VideoFrame, picture: Arc<Picture>, due: Instant) -> Decoded {
        let began = clock::now();
        let thumb = Thumb::of(&picture);
        let before = self.before.as_ref();
        let mut grid = grid(&thumb, before.map(|(thumb, _)| thumb));
        self.activity.follow(&mut grid);
        let grid = Arc::new(grid);
        let change = gate::compare(&grid, before.map(|(_, grid)| &**grid));
        self.before = Some((thumb, grid.clone()));
        self.links.room.processing(Processor::Gate).observe_time(began.elapsed());
        let index = self.index;
        self.index += 1;
        Decoded {
            frame: guard::Frame {
                index,
                time: frame.rtp_time as f64 / f64::from(VIDEO_CLOCK),
                due,
                hold: self.clock.hold(),
                size: (picture.width(), picture.height()),
                grid,
                cut: change.cut,
                moving: change.moving,
                promising: true,
            },
            picture,
            codec: frame.codec,
            data: frame.data.clone(),
            link: self.decoder.as_ref().map(Decoder::link).unwrap_or_default(),
            rtp_time: frame.rtp_time,
            captured: frame.captured,
            arrived: frame.arrived,
        }
    }
}

/// The block means of a thumbnail, and how far each block moved since the one before.
pub(super) fn grid(thumb: &Thumb, before: Option<&Thumb>) -> Grid {
    let whole = |values: Vec<f32>| values.into_iter().map(|v| v.round() as u8).collect();
    let means = thumb.block_means();
    let change = before.and_then(|before| thumb.block_differences(before));
    Grid {
        cols: means.columns,
        rows: means.rows,
        mean: whole(means.values),
        change: change.map(|change| whole(change.values)).unwrap_or_default(),
        lively: Vec::new(),
    }
}
