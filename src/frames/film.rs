//! What becomes of an upload: each frame judged and covered, the video of all of them, a report.
//!
//! What could not be looked at is covered whole, never shown and never left out. A gap stands as
//! long as it would have.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::sessions::{Frames, Session};
use super::upload::{Frame, Gathered};
use crate::censor;
use crate::inspect::{Inspector, LookError, Report, Ruling};
use crate::media::encode::{self, Encoded, Encoder};
use crate::media::mp4::{self, Writer};
use crate::media::{Colour, Picture, VideoCodec};

/// How often a frame is looked at again when the detectors had no time for it.
const TRIES: usize = 3;

/// Seconds between two keyframes: how exactly a player can jump.
const KEYFRAMES: f32 = 5.0;

/// Bits for each pixel of the video, about what broadcasters send.
const BITS: f32 = 0.1;

/// Least and most bits a second.
const RATE: std::ops::RangeInclusive<f32> = 500_000.0..=12_000_000.0;

/// Why there is no video.
#[derive(Debug, thiserror::Error)]
pub enum FilmError {
    /// None of the frames is a picture.
    #[error("none of the frames could be decoded")]
    Nothing,
    /// The encoder failed.
    #[error("the video cannot be encoded: {0}")]
    Encode(#[from] encode::Error),
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] mp4::Error),
    /// The video has no room beside what else waits.
    #[error("there is no memory for the video now")]
    Memory,
    /// The client has gone or the server stops.
    #[error("given up")]
    Stopped,
}

/// The result.
#[derive(Clone, Debug)]
pub struct Film {
    /// The censored video, MP4.
    pub video: Vec<u8>,
    /// What was found, as JSON.
    pub report: Value,
}

/// What a film is made with.
#[derive(Debug)]
pub struct Studio {
    /// Looks at the frames.
    pub inspector: Inspector,
    /// The rules.
    pub ruling: Arc<Ruling>,
    /// Counts, and holds the memory.
    pub session: Arc<Session>,
    /// Ends it early.
    pub stop: CancellationToken,
}

/// A video in the making.
struct Reel {
    encoder: Encoder,
    writer: Option<Writer>,
    size: (u32, u32),
    fps: f32,
    since_keyframe: u64,
    last: u64,
}

/// What was found so far.
#[derive(Default)]
struct Tally {
    covered: u64,
    failed: u64,
    detections: BTreeMap<String, u64>,
    results: Vec<Value>,
}

impl Studio {
    /// Makes the film. `progress` is told how many frames are done, after each. Blocks.
    ///
    /// # Errors
    ///
    /// See [`FilmError`].
    pub fn make(
        &self,
        mut gathered: Gathered,
        mut progress: impl FnMut(usize),
    ) -> Result<Film, FilmError> {
        let (mut tally, mut reel) = (Tally::default(), None);
        let Some((&first, _)) = gathered.frames.first_key_value() else {
            return Err(FilmError::Nothing);
        };
        let about = about(&gathered);
        let frames = std::mem::take(&mut gathered.frames);
        for (done, (number, frame)) in frames.into_iter().enumerate() {
            if self.stop.is_cancelled() {
                return Err(FilmError::Stopped);
            }
            let bytes = frame.data.len() as u64;
            let size = reel.as_ref().map(|reel: &Reel| reel.size);
            let shown = self.frame(number, &frame, size, &mut tally)?;
            drop(frame);
            self.session.release(bytes);
            if let Some(picture) = shown {
                let reel = match &mut reel {
                    Some(reel) => reel,
                    none => none.insert(Reel::open(&picture, gathered.fps)?),
                };
                let written = reel.add(number - first, &picture)?;
                if !self.session.hold(written) {
                    return Err(FilmError::Memory);
                }
            }
            progress(done + 1);
        }
        let reel = reel.ok_or(FilmError::Nothing)?;
        let report = tally.report(about, &reel);
        Ok(Film { video: reel.finish()?, report })
    }

    /// The frame as it is shown; `None` when it cannot be and the size is not known yet.
    fn frame(
        &self,
        number: u64,
        frame: &Frame,
        size: Option<(u32, u32)>,
        tally: &mut Tally,
    ) -> Result<Option<Arc<Picture>>, FilmError> {
        let looked = self.look(frame, size);
        let mut counted = Frames::default();
        let shown = match looked {
            Ok((report, picture)) => {
                counted.processed = 1;
                tally.add(number, &report);
                Some(picture)
            }
            Err(_) if self.stop.is_cancelled() => return Err(FilmError::Stopped),
            Err(reason) => {
                counted.failed = 1;
                tally.fail(number, &reason);
                size.map(|(width, height)| {
                    let mut picture = Picture::new(width, height);
                    censor::cover(&mut picture);
                    Arc::new(picture)
                })
            }
        };
        self.session.count(counted);
        Ok(shown)
    }

    /// Looks at a frame, again where there was no time for it.
    fn look(
        &self,
        frame: &Frame,
        size: Option<(u32, u32)>,
    ) -> Result<(Report, Arc<Picture>), String> {
        let mut tries = 1;
        loop {
            let looked = self.inspector.censor((&frame.data, frame.raw), size, &self.ruling);
            match looked {
                Ok(looked) => return Ok(looked),
                Err(LookError::Late(_) | LookError::Busy(_))
                    if tries < TRIES && !self.stop.is_cancelled() =>
                {
                    tries += 1;
                }
                Err(LookError::Detector(failure)) => {
                    tracing::warn!(%failure, "a detector did not look at a frame");
                    return Err("the detectors cannot be asked now".into());
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

impl Reel {
    fn open(first: &Picture, fps: f32) -> Result<Self, FilmError> {
        let size = (first.width(), first.height());
        let rate = size.0 as f32 * size.1 as f32 * fps * BITS;
        let config = encode::Config {
            codec: VideoCodec::H264,
            width: size.0,
            height: size.1,
            bitrate_bps: rate.clamp(*RATE.start(), *RATE.end()) as u32,
            fps,
            colour: Colour::default(),
        };
        let encoder = Encoder::open(config)?;
        Ok(Self { encoder, writer: None, size, fps, since_keyframe: 0, last: 0 })
    }

    /// Adds a picture; returns its encoded size in bytes.
    fn add(&mut self, number: u64, picture: &Picture) -> Result<u64, FilmError> {
        self.since_keyframe += number - self.last;
        self.last = number;
        let due = self.since_keyframe as f32 >= KEYFRAMES * self.fps;
        let encoded: Encoded = self.encoder.encode(picture, self.writer.is_none() || due)?;
        if encoded.keyframe {
            self.since_keyframe = 0;
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(Writer::open(self.encoder.size(), self.fps, &encoded)?),
        };
        writer.write(number, &encoded)?;
        Ok(encoded.data.len() as u64)
    }

    fn finish(self) -> Result<Vec<u8>, FilmError> {
        Ok(self.writer.ok_or(FilmError::Nothing)?.finish()?)
    }
}

impl Tally {
    fn add(&mut self, number: u64, report: &Report) {
        if report.covered.is_empty() {
            return;
        }
        self.covered += 1;
        for one in &report.covered {
            // One row for all words: they are the film's own, and without end.
            let class = if one.entry.is_some() { crate::track::TEXT } else { &one.label };
            *self.detections.entry(class.to_owned()).or_default() += 1;
        }
        self.results.push(json!({ "frame": number, "covered": report.covered }));
    }

    fn fail(&mut self, number: u64, reason: &str) {
        self.failed += 1;
        self.results.push(json!({ "frame": number, "error": reason }));
    }

    fn report(self, mut about: Value, reel: &Reel) -> Value {
        about["width"] = reel.size.0.into();
        about["height"] = reel.size.1.into();
        about["durationSeconds"] = (((reel.last + 1) as f64) / f64::from(reel.fps)).into();
        about["coveredFrames"] = self.covered.into();
        about["failedFrames"] = self.failed.into();
        about["detections"] = json!(self.detections);
        about["results"] = self.results.into();
        about
    }
}

/// What can be said before any frame is looked at.
fn about(gathered: &Gathered) -> Value {
    let gaps = gathered.gaps();
    let missing: u64 = gaps.iter().map(|(first, last)| last - first + 1).sum();
    let hex = |data: &[u8]| -> String {
        Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let files = gathered.files.iter();
    let files: Vec<Value> = files
        .map(|(name, data)| json!({ "name": name, "bytes": data.len(), "sha256": hex(data) }))
        .collect();
    json!({
        "frames": gathered.frames.len(),
        "duplicates": gathered.duplicates,
        "missing": missing,
        "gaps": gaps,
        "fps": gathered.fps,
        "files": files,
    })
}
