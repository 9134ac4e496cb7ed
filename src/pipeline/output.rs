//! The end of the way of one track: released frames are forwarded, or covered and encoded.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::decode::Decoded;
use super::guard::Verdict;
use super::rate::Rate;
use super::switch::{self, Switch, Way};
use super::{Links, Spec, Timeline};
use crate::censor;
use crate::livekit::{Outgoing, UpstreamCommand};
use crate::media::clock;
use crate::media::encode::{self, Encoded, Encoder, RateChange};
use crate::media::{Engine, Picture, Source, VideoCodec};
use crate::telemetry::trace::Splices;
use crate::telemetry::{Direction, OnEngine, Processor, Step};

/// How often the encoder's rate follows the source's.
const RATE_STEP: Duration = Duration::from_secs(1);
/// How long an encoder that is not needed stays open. Opening one costs up to 40 ms and the
/// quality of the first second; keeping one costs some ten megabytes.
const IDLE: Duration = Duration::from_secs(120);

/// How often a covered picture is sent again that shows the same as the last one: less than what
/// viewers take for a frozen picture (200 ms). Where frames are covered for lack of time, encoding
/// each of them (4 ms) would take that very time.
const CURTAIN_GAP: Duration = Duration::from_millis(160);

/// How much after its time a frame may still wait for its turn to be encoded. Then it is left out:
/// the next one is worth more.
const TURN: Duration = Duration::from_millis(30);

/// Frames that were left out are told of at most this often.
const TELL: Duration = Duration::from_secs(10);

/// One track's switch, encoder and canvas.
pub(super) struct Output {
    room: String,
    source: Source,
    /// The input track's sid, for keyframe requests.
    track: String,
    links: Links,
    timeline: Timeline,
    switch: Switch,
    encoder: Option<Encoder>,
    /// What encodes, as it was last told; `None` while no encoder is open.
    told: Option<(Engine, OnEngine)>,
    /// When the encoder was last needed.
    needed: Option<Instant>,
    /// Where pictures are covered; holds the last covered one.
    canvas: Option<Picture>,
    /// The last verified picture as it was shown, kept for `onFailure: freeze` alone.
    shown: Option<Arc<Picture>>,
    /// When the last whole-covered picture was sent, if that was the last picture.
    curtain: Option<Instant>,
    rate: Rate,
    last_rate_step: Option<Instant>,
    missing: Missing,
    splices: Splices,
}

/// Frames that did not leave, and when the log was last told of some.
#[derive(Debug, Default)]
struct Missing {
    frames: u64,
    told: Option<Instant>,
}

impl Missing {
    /// Takes one in; how many there are, when it is time to tell.
    fn add(&mut self, now: Instant) -> Option<u64> {
        self.frames += 1;
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < TELL) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.frames))
    }
}

impl Output {
    pub(super) fn new(
        spec: &Spec,
        links: &Links,
        timeline: Timeline,
        config: switch::Config,
    ) -> Self {
        Self {
            room: spec.room.clone(),
            source: spec.source,
            track: spec.track.clone(),
            links: links.clone(),
            timeline,
            switch: Switch::new(config),
            encoder: None,
            told: None,
            needed: None,
            canvas: None,
            shown: None,
            curtain: None,
            rate: Rate::default(),
            last_rate_step: None,
            splices: Splices::new(links.trace.clone()),
            missing: Missing::default(),
        }
    }

    /// A viewer cannot go on without a keyframe.
    pub(super) fn want_keyframe(&mut self) {
        self.switch.wish();
    }

    /// A released frame was left out: what follows it cannot refer to it.
    pub(super) fn left_out(&mut self) {
        self.switch.lost();
    }

    /// The processed room's server missed this share (0 to 1) of what was sent in the last second.
    pub(super) fn lost(&mut self, share: f64) {
        self.rate.lost(share, self.switch.is_forwarding());
    }

    /// Makes the encoder ready before it is needed: something was found that will be covered.
    /// Cheap when it is, and while it is in use.
    pub(super) fn prepare(&mut self, picture: &Picture, codec: VideoCodec, now: Instant) {
        if self.encoder.is_some() && !self.switch.is_forwarding() {
            return;
        }
        self.needed = Some(now);
        let (bps, fps) = (self.rate.target(), self.rate.fps());
        let ready = match self.encoder.take().filter(|e| suits(e, picture, codec.output())) {
            Some(mut encoder) => encoder.set_rate(bps, fps).map(|_| encoder),
            None => self.open(picture, codec.output()),
        };
        self.encoder = ready
            .inspect_err(|error| tracing::warn!(%error, source = ?self.source, "no encoder"))
            .ok();
    }

    /// Shows a frame as what its verdict says: as it came where the [`switch`] allows, else
    /// covered and encoded. A frame that cannot be encoded is not shown.
    ///
    /// `keep`: keep what is shown for [`Verdict::Frozen`].
    pub(super) fn show(&mut self, decoded: &Decoded, verdict: &Verdict, keep: bool) {
        self.rate.add(decoded.arrived, decoded.data.len());
        let now = decoded.frame.due;
        let untouched = matches!(verdict, Verdict::Clean | Verdict::Passed(_));
        let step = self.switch.next(switch::Frame { link: decoded.link, untouched }, now);
        if step.ask {
            self.ask();
        }
        let closed = matches!(verdict, Verdict::Covered(_) | Verdict::Frozen(_));
        let sent = self.curtain.filter(|_| closed);
        let left = match step.way {
            Way::Forward => self.forward(decoded),
            Way::Encode { keyframe: false }
                if sent.is_some_and(|at| now.saturating_duration_since(at) < CURTAIN_GAP) =>
            {
                return;
            }
            Way::Encode { keyframe } => self.cover(decoded, verdict, keyframe, keep),
        };
        if left {
            self.splices.frame(step.way != Way::Forward, now);
        } else if let Some(frames) = self.missing.add(now) {
            tracing::warn!(room = self.room, source = ?self.source, frames, "frames left out");
        }
        // One that was left out is due at once: what viewers see is not covered yet.
        self.curtain = (closed && left).then_some(now);
        if !keep {
            self.shown = None;
        } else if matches!(verdict, Verdict::Clean) {
            self.shown = Some(decoded.picture.clone());
        }
    }

    /// Asks the source for a keyframe to forward from. A full queue loses the request, which is
    /// repeated.
    fn ask(&self) {
        self.links.metrics.global().keyframe_requests(Direction::Upstream).inc();
        let track = self.track.clone();
        let _ = self.links.upstream.try_send(UpstreamCommand::RequestKeyframe { track });
    }

    /// Sends the source's own bytes; whether they are on their way.
    fn forward(&mut self, decoded: &Decoded) -> bool {
        let data = decoded.data.clone();
        let bytes = data.len() as u64;
        let left = self.send(decoded, Encoded { data, keyframe: decoded.link.key });
        if left {
            self.links.figures.forwarded.fetch_add(1, Relaxed);
            self.links.metrics.global().forwarded_bytes.inc_by(bytes);
        }
        let idle = |needed| decoded.frame.due.saturating_duration_since(needed) > IDLE;
        if self.needed.is_some_and(idle) {
            (self.encoder, self.canvas, self.needed, self.told) = (None, None, None, None);
        }
        left
    }

    /// Paints, encodes and sends; whether the frame is on its way.
    fn cover(&mut self, decoded: &Decoded, verdict: &Verdict, keyframe: bool, keep: bool) -> bool {
        let encoders = self.links.encoders.clone();
        let Some(_turn) = encoders.take(decoded.frame.due + TURN) else {
            if keyframe {
                self.switch.lost();
            }
            self.links.dropped();
            return false;
        };
        let began = clock::now();
        let painted = self.paint(&decoded.picture, verdict);
        self.links.room.processing(Processor::Censor).observe_time(began.elapsed());
        let picture = painted.as_ref().unwrap_or(&decoded.picture);
        self.needed = Some(decoded.frame.due);
        let left = match self.encode(picture, decoded, keyframe) {
            Ok(encoded) => {
                if encoded.keyframe && !keyframe {
                    self.switch.keyframe_left(decoded.frame.due);
                }
                self.send(decoded, encoded)
            }
            Err(error) => {
                tracing::warn!(%error, source = ?self.source, "frame not encoded, so not shown");
                self.encoder = None;
                self.switch.lost();
                self.links.dropped();
                false
            }
        };
        if keep && matches!(verdict, Verdict::Regions(_)) {
            self.shown = Some(Arc::new(Picture::copy_of(picture)));
        }
        self.canvas = painted.or(self.canvas.take());
        left
    }

    /// The covered picture; `None` when the verdict leaves it as it is.
    fn paint(&mut self, picture: &Picture, verdict: &Verdict) -> Option<Picture> {
        let size = (picture.width(), picture.height());
        let fits = |p: &Picture| (p.width(), p.height()) == size && p.colour() == picture.colour();
        match verdict {
            Verdict::Clean | Verdict::Passed(_) => None,
            Verdict::Regions(regions) => {
                let mut canvas = match self.canvas.take().filter(fits) {
                    Some(mut canvas) => {
                        canvas.copy_from(picture);
                        canvas
                    }
                    None => Picture::copy_of(picture),
                };
                censor::apply(&mut canvas, regions);
                Some(canvas)
            }
            Verdict::Frozen(_) if self.shown.as_deref().is_some_and(fits) => {
                self.shown.as_deref().map(Picture::copy_of)
            }
            Verdict::Covered(_) | Verdict::Frozen(_) => {
                // A fresh copy carries the colour description; then nothing of it is left.
                let mut canvas =
                    self.canvas.take().filter(fits).unwrap_or_else(|| Picture::copy_of(picture));
                censor::cover(&mut canvas);
                Some(canvas)
            }
        }
    }

    fn open(&self, picture: &Picture, codec: VideoCodec) -> Result<Encoder, encode::Error> {
        let config = encode::Config {
            codec,
            width: picture.width(),
            height: picture.height(),
            bitrate_bps: self.rate.target(),
            fps: self.rate.fps(),
            colour: picture.colour(),
        };
        Encoder::open_on(config, &self.links.engines)
    }

    /// Says what encodes, at first and when it is another engine.
    fn tell(&mut self, encoder: &Encoder) {
        let engine = encoder.engine();
        if self.told.as_ref().is_some_and(|(told, _)| *told == engine) {
            return;
        }
        let (room, source, reason) = (&self.room, self.source, encoder.reason());
        if reason.is_empty() {
            tracing::info!(room, ?source, encoder = %engine, "encoding");
        } else {
            tracing::warn!(room, ?source, encoder = %engine, reason, "encoding, not on a GPU");
        }
        self.links.figures.encoder(source, engine);
        let counted = self.links.metrics.on_engine(Step::Encode, engine.label());
        self.told = Some((engine, counted));
    }

    fn encode(
        &mut self,
        picture: &Picture,
        decoded: &Decoded,
        keyframe: bool,
    ) -> Result<Encoded, encode::Error> {
        let began = clock::now();
        let codec = decoded.codec.output();
        let mut encoder = match self.encoder.take().filter(|e| suits(e, picture, codec)) {
            Some(encoder) => encoder,
            None => self.open(picture, codec)?,
        };
        let now = decoded.frame.due;
        // A span begins with the rate of its time; libvpx costs a keyframe for a new one, and
        // that is the moment at which it has one to make anyway.
        let stale = |at| now.saturating_duration_since(at) >= RATE_STEP;
        if keyframe || self.last_rate_step.is_none_or(stale) {
            self.last_rate_step = Some(now);
            if encoder.set_rate(self.rate.target(), self.rate.fps())? == RateChange::Reopened {
                tracing::debug!(source = ?self.source, "encoder opened again for a new rate");
            }
        }
        let encoded = encoder.encode(picture, keyframe)?;
        self.tell(&encoder);
        self.encoder = Some(encoder);
        self.links.room.processing(Processor::Encode).observe_time(began.elapsed());
        self.links.metrics.global().encoded_frames.inc();
        Ok(encoded)
    }

    /// Whether the frame is on its way. If not, what refers to it cannot be decoded: the
    /// publisher is stuck or gone.
    fn send(&mut self, decoded: &Decoded, encoded: Encoded) -> bool {
        let bytes = encoded.data.len() as u64;
        let mut timeline = self.timeline.lock().unwrap_or_else(|e| e.into_inner());
        let rtp_time = timeline.map(decoded.rtp_time, decoded.frame.due);
        drop(timeline);
        let frame = Outgoing::Video {
            source: self.source,
            data: encoded.data,
            rtp_time,
            captured: decoded.captured,
            due: decoded.frame.due,
            keyframe: encoded.keyframe,
        };
        let sent = self.links.outgoing.try_send(frame).is_ok();
        if sent {
            self.links.figures.bytes_out.fetch_add(bytes, Relaxed);
        } else {
            self.switch.lost();
            self.links.dropped();
        }
        sent
    }
}

/// Whether an open encoder can take the picture.
fn suits(encoder: &Encoder, picture: &Picture, codec: VideoCodec) -> bool {
    let config = encoder.config();
    (config.codec, config.width, config.height, config.colour)
        == (codec, picture.width(), picture.height(), picture.colour())
}
