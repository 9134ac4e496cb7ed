//! Covers, encodes and sends released frames.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::decode::Decoded;
use super::guard::Verdict;
use super::{Figures, Links, Timeline};
use crate::censor;
use crate::livekit::Outgoing;
use crate::media::clock;
use crate::media::encode::{self, Encoded, Encoder, RateChange};
use crate::media::{Picture, Source, VideoCodec};
use crate::telemetry::{Metrics, Processor, RoomMetrics};

/// The source's rate is measured over this window.
const RATE_WINDOW: Duration = Duration::from_secs(3);
/// Encoding again adds noise to the source's own; a quarter more bits make up for most of it.
const RATE_FACTOR: f64 = 1.25;
/// Bounds of the output's rate in bits a second.
const RATE: (f64, f64) = (600_000.0, 10_000_000.0);
/// How often the encoder's rate follows the source's.
const RATE_STEP: Duration = Duration::from_secs(1);
/// Keyframes for viewers are no closer than this: ten viewers who join at once share one.
const KEYFRAME_GAP: Duration = Duration::from_millis(300);

/// The end of the way of one track: one encoder, one canvas.
pub(super) struct Output {
    source: Source,
    outgoing: mpsc::Sender<Outgoing>,
    metrics: Metrics,
    room: RoomMetrics,
    figures: Arc<Figures>,
    timeline: Timeline,
    encoder: Option<Encoder>,
    /// Where pictures are covered; holds the last covered one.
    canvas: Option<Picture>,
    /// The last verified picture as it was shown, kept for `onFailure: freeze` alone.
    shown: Option<Picture>,
    rate: Rate,
    wants_keyframe: bool,
    last_keyframe: Option<Instant>,
    last_rate_step: Option<Instant>,
}

impl Output {
    pub(super) fn new(source: Source, links: &Links, timeline: Timeline) -> Self {
        Self {
            source,
            outgoing: links.outgoing.clone(),
            metrics: links.metrics.clone(),
            room: links.room.clone(),
            figures: links.figures.clone(),
            timeline,
            encoder: None,
            canvas: None,
            shown: None,
            rate: Rate::default(),
            wants_keyframe: true,
            last_keyframe: None,
            last_rate_step: None,
        }
    }

    /// A viewer cannot go on without a keyframe.
    pub(super) fn want_keyframe(&mut self) {
        self.wants_keyframe = true;
    }

    /// Shows a frame as what its verdict says. A frame that cannot be encoded is not shown.
    pub(super) fn show(&mut self, decoded: &Decoded, verdict: &Verdict, keep_shown: bool) {
        self.rate.add(decoded.arrived, decoded.bytes);
        let began = clock::now();
        let painted = self.paint(&decoded.picture, verdict);
        self.room.processing(Processor::Censor).observe_time(began.elapsed());
        let picture = painted.as_ref().unwrap_or(&decoded.picture);
        match self.encode(picture, decoded.codec.output()) {
            Ok(encoded) => self.send(decoded, encoded),
            Err(error) => {
                tracing::warn!(%error, source = ?self.source, "frame not encoded, so not shown");
                self.encoder = None;
                self.figures.dropped.fetch_add(1, Relaxed);
            }
        }
        if keep_shown && matches!(verdict, Verdict::Clean | Verdict::Regions(_)) {
            self.shown = Some(Picture::copy_of(picture));
        }
        self.canvas = painted.or(self.canvas.take());
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
            Verdict::Frozen(_) if self.shown.as_ref().is_some_and(fits) => {
                self.shown.as_ref().map(Picture::copy_of)
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

    fn encode(&mut self, picture: &Picture, codec: VideoCodec) -> Result<Encoded, encode::Error> {
        let began = clock::now();
        let mut encoder = match self.encoder.take().filter(|e| suits(e, picture, codec)) {
            Some(encoder) => encoder,
            None => Encoder::open(encode::Config {
                codec,
                width: picture.width(),
                height: picture.height(),
                bitrate_bps: self.rate.target(),
                fps: self.rate.fps(),
                colour: picture.colour(),
            })?,
        };
        if self.last_rate_step.is_none_or(|at| began - at >= RATE_STEP) {
            self.last_rate_step = Some(began);
            if encoder.set_rate(self.rate.target(), self.rate.fps())? == RateChange::Reopened {
                tracing::debug!(source = ?self.source, "encoder opened again for a new rate");
            }
        }
        let spaced = self.last_keyframe.is_none_or(|at| began - at >= KEYFRAME_GAP);
        let encoded = encoder.encode(picture, self.wants_keyframe && spaced)?;
        if encoded.keyframe {
            self.wants_keyframe = false;
            self.last_keyframe = Some(began);
        }
        self.encoder = Some(encoder);
        self.room.processing(Processor::Encode).observe_time(began.elapsed());
        self.metrics.global().encoded_frames.inc();
        Ok(encoded)
    }

    fn send(&mut self, decoded: &Decoded, encoded: Encoded) {
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
        if self.outgoing.try_send(frame).is_ok() {
            self.figures.bytes_out.fetch_add(bytes, Relaxed);
        } else {
            // The publisher is stuck or gone: what follows could not be decoded.
            self.wants_keyframe = true;
            self.figures.dropped.fetch_add(1, Relaxed);
        }
    }
}

/// Whether an open encoder can take the picture.
fn suits(encoder: &Encoder, picture: &Picture, codec: VideoCodec) -> bool {
    let config = encoder.config();
    (config.codec, config.width, config.height, config.colour)
        == (codec, picture.width(), picture.height(), picture.colour())
}

/// The source's own bits and frames a second.
#[derive(Debug, Default)]
struct Rate {
    frames: VecDeque<(Instant, usize)>,
    bytes: usize,
}

impl Rate {
    fn add(&mut self, at: Instant, bytes: usize) {
        self.frames.push_back((at, bytes));
        self.bytes += bytes;
        while let Some(&(first, old)) = self.frames.front()
            && at.saturating_duration_since(first) > RATE_WINDOW
        {
            self.frames.pop_front();
            self.bytes -= old;
        }
    }

    /// Seconds that the window covers; a fresh stream is taken to run at 30 frames a second.
    fn seconds(&self) -> f64 {
        let (Some(first), Some(last)) = (self.frames.front(), self.frames.back()) else {
            return 1.0;
        };
        let span = last.0.saturating_duration_since(first.0).as_secs_f64();
        if span < 0.5 { (self.frames.len() as f64 / 30.0).max(1.0) } else { span }
    }

    fn target(&self) -> u32 {
        let source = self.bytes as f64 * 8.0 / self.seconds();
        // The first frame is a keyframe and says little; start where most cameras are.
        let source = if self.frames.len() < 15 { source.max(1_500_000.0) } else { source };
        (source * RATE_FACTOR).clamp(RATE.0, RATE.1) as u32
    }

    fn fps(&self) -> f32 {
        if self.frames.len() < 15 {
            return 30.0;
        }
        (self.frames.len() as f64 / self.seconds()).round().clamp(1.0, 120.0) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_follows_the_source_within_bounds() {
        let start = clock::now();
        let mut rate = Rate::default();
        assert!(rate.target() >= RATE.0 as u32);
        for i in 0..300u32 {
            // 25 frames a second of 10 kB: 2 Mbit/s.
            rate.add(start + Duration::from_millis(40) * i, 10_000);
        }
        let target = f64::from(rate.target());
        assert!((target / (2_000_000.0 * RATE_FACTOR) - 1.0).abs() < 0.05, "{target}");
        assert!((rate.fps() - 25.0).abs() <= 1.0);
        for i in 300..600u32 {
            rate.add(start + Duration::from_millis(40) * i, 100);
        }
        assert_eq!(rate.target(), RATE.0 as u32);
    }
}
