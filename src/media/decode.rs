//! Encoded frames in, pictures out, one for one and at once.
//!
//! A decoder that lost its references shows nothing new until the next keyframe: what it would
//! show is made up, and what is made up cannot be verified. A [`Decoder`] belongs to one thread.

use std::sync::Arc;
use std::time::Instant;

use ffmpeg_next as ff;
use ffmpeg_next::frame::Video;

use super::bitstream::{self, Content};
use super::engines::{Engine, Engines, Seat};
use super::link::Chain;
use super::{Link, Picture, VideoCodec, VideoFrame, clock, ffmpeg};

mod continuity;
mod error;
mod open;
mod samples;
mod turn;

use continuity::Continuity;
pub use error::Error;
use turn::Turn;

/// What is said of a stream that decodes in software although a GPU was tried, when FFmpeg does not
/// say why.
const NOT_TAKEN: &str =
    "the GPU takes no such stream now (profile, format or size, or its engines are full)";

/// One codec, opened. Not for use from several threads; open, use and drop it on one.
///
/// On a GPU where its [`Engines`] have one, for as long as that works: a stream that a GPU does not
/// take, or that it fails, goes on in software, and a GPU is tried again at a keyframe later on.
pub struct Decoder {
    codec: VideoCodec,
    inner: ff::decoder::Video,
    continuity: Continuity,
    chain: Chain,
    link: Link,
    engines: Engines,
    /// Where `inner` was told to decode; `None` in software.
    seat: Option<Seat>,
    turn: Turn,
    /// What gave the last picture, or will give the first.
    engine: Engine,
    reason: String,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { codec, engine, .. } = self;
        f.debug_struct("Decoder")
            .field("codec", codec)
            .field("engine", engine)
            .finish_non_exhaustive()
    }
}

impl Decoder {
    /// Opens a decoder on the processor.
    ///
    /// # Errors
    /// When FFmpeg has none, or it does not open.
    pub fn open(codec: VideoCodec) -> Result<Self, Error> {
        Self::open_on(codec, &Engines::default())
    }

    /// Opens a decoder on the next GPU, or on the processor where none can be used.
    ///
    /// # Errors
    /// When FFmpeg has none, or it does not open on the processor either.
    pub fn open_on(codec: VideoCodec, engines: &Engines) -> Result<Self, Error> {
        let inner = open::open(codec, None)?;
        let mut decoder = Self::new(codec, inner);
        decoder.engines = engines.clone();
        decoder.sit_down(clock::now());
        // A stream begins where it begins: that is no change.
        decoder.engine = decoder.seat.as_ref().map(Seat::engine).unwrap_or_default();
        Ok(decoder)
    }

    /// Opens a decoder at this place, for as long as that works.
    ///
    /// # Errors
    /// When FFmpeg has none, or it does not open.
    pub(super) fn open_at(codec: VideoCodec, seat: Seat) -> Result<Self, Error> {
        let inner = open::open(codec, Some(&seat))?;
        let engine = seat.engine();
        Ok(Self { seat: Some(seat), engine, ..Self::new(codec, inner) })
    }

    fn new(codec: VideoCodec, inner: ff::decoder::Video) -> Self {
        Self {
            codec,
            inner,
            continuity: Continuity::default(),
            chain: Chain::new(codec),
            link: Link::default(),
            engines: Engines::default(),
            seat: None,
            turn: Turn::default(),
            engine: Engine::Software,
            reason: String::new(),
        }
    }

    /// The codec it was opened for.
    pub fn codec(&self) -> VideoCodec {
        self.codec
    }

    /// What gave the last picture; before the first, what is tried.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Why a GPU does not decode although one was wanted; empty otherwise.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether nothing can be shown until a keyframe comes: at the start, after a loss, after an
    /// error.
    pub fn needs_keyframe(&self) -> bool {
        self.continuity.is_waiting()
    }

    /// How the frame that gave the last picture hangs together with the one that gave the picture
    /// before it.
    pub fn link(&self) -> Link {
        self.link
    }

    /// Decodes one frame; frames come in decoding order. The picture is that frame's own, of any
    /// size, 8-bit 4:2:0, its colour as the source declared it.
    ///
    /// `None` when there is nothing to show: a keyframe is needed first (see
    /// [`Decoder::needs_keyframe`]), or the frame has no visible picture.
    ///
    /// # Errors
    /// Why the frame gave no picture. A GPU that fails is left, and a keyframe that it failed is
    /// decoded by the processor at once: nothing is missing then.
    pub fn decode(&mut self, frame: &VideoFrame) -> Result<Option<Arc<Picture>>, Error> {
        let picture = self.picture(frame);
        match picture {
            Ok(Some(_)) => self.link = self.chain.released(&frame.data, frame.contiguous),
            Ok(None) | Err(_) => self.chain.withheld(),
        }
        picture
    }

    fn picture(&mut self, frame: &VideoFrame) -> Result<Option<Arc<Picture>>, Error> {
        if frame.codec != self.codec {
            return Err(Error::Codec { expected: self.codec, got: frame.codec });
        }
        let content = bitstream::content(self.codec, &frame.data);
        if !self.continuity.admit(content, frame.contiguous) {
            return Ok(None);
        }
        let stamp = frame.rtp_time.cast_signed();
        if content == Content::Headers {
            if self.codec == VideoCodec::H264 && !frame.data.is_empty() {
                // Parameter sets alone: the decoder keeps them, and reports that no picture came.
                let _ = self.run(&frame.data, stamp);
            }
            return Ok(None);
        }
        let key = content == Content::Key;
        let may_return = key && self.engine == Engine::Software && self.engines.decode_on_gpus();
        if may_return && bitstream::is_whole(self.codec, &frame.data) {
            self.sit_down(frame.arrived);
        }
        let mut picture = self.attempt(frame, stamp);
        if let Err(error) = &picture
            && self.seat.is_some()
            && (key || error.is_of_the_gpu())
        {
            let (why, lost) = (error.in_full(), error.is_of_the_gpu());
            self.stand_up(why, lost, frame.arrived)?;
            if key {
                picture = self.attempt(frame, stamp);
            }
        }
        if picture.is_err() {
            self.continuity.lost();
            self.inner.flush();
        }
        Ok(picture?.map(Arc::new))
    }

    /// Feeds one access unit and brings its picture to memory.
    fn attempt(&mut self, frame: &VideoFrame, stamp: i64) -> Result<Option<Picture>, Error> {
        let Some(video) = self.run(&frame.data, stamp)? else { return Ok(None) };
        let on_gpu = ffmpeg::cuda::is_on_gpu(&video);
        let picture = samples::accept(video, stamp)?;
        self.note(on_gpu, frame.arrived);
        Ok(Some(picture))
    }

    /// A picture came, from there.
    fn note(&mut self, on_gpu: bool, now: Instant) {
        let to = match &self.seat {
            Some(seat) if on_gpu => seat.engine(),
            _ => Engine::Software,
        };
        if on_gpu {
            self.turn.worked(now);
            self.reason.clear();
        } else if self.seat.is_some() && (self.engine != to || self.reason.is_empty()) {
            // FFmpeg went on in software by itself.
            self.turn.failed(now);
            NOT_TAKEN.clone_into(&mut self.reason);
        }
        self.engine = to;
    }

    /// Opens FFmpeg's decoder anew on a GPU, where there is one that may be tried; the next frame
    /// must be a keyframe. Otherwise, and when that fails, all stays as it is.
    fn sit_down(&mut self, now: Instant) {
        if !self.turn.is_ready(now) {
            return;
        }
        let Some(seat) = self.engines.seat() else { return };
        let opened = seat.and_then(|seat| {
            let inner = open::open(self.codec, Some(&seat)).map_err(|error| error.in_full())?;
            Ok((inner, seat))
        });
        match opened {
            Ok((inner, seat)) => {
                (self.inner, self.seat) = (inner, Some(seat));
                self.reason.clear();
            }
            Err(why) => {
                self.turn.failed(now);
                self.reason = why;
            }
        }
    }

    /// The GPU failed the stream: FFmpeg's decoder is opened anew on the processor, and knows
    /// nothing. `lost`: the GPU failed altogether.
    fn stand_up(&mut self, why: String, lost: bool, now: Instant) -> Result<(), Error> {
        self.turn.failed(now);
        self.inner = open::open(self.codec, None)?;
        if let Some(seat) = self.seat.take().filter(|_| lost) {
            seat.lost();
        }
        (self.reason, self.engine) = (why, Engine::Software);
        Ok(())
    }

    /// Feeds one access unit and takes out its picture.
    fn run(&mut self, data: &[u8], stamp: i64) -> Result<Option<Video>, Error> {
        let mut packet = ff::Packet::copy(data);
        packet.set_pts(Some(stamp));
        packet.set_dts(Some(stamp));
        self.inner.send_packet(&packet).map_err(Error::Refused)?;
        let mut found = None;
        loop {
            let mut video = Video::empty();
            match self.inner.receive_frame(&mut video) {
                Ok(()) if ffmpeg::is_damaged(&video) => return Err(Error::Damaged),
                Ok(()) if found.is_some() => return Err(Error::Several),
                Ok(()) => found = Some(video),
                Err(ff::Error::Other { errno: ff::error::EAGAIN }) => return Ok(found),
                Err(error) => return Err(Error::Refused(error)),
            }
        }
    }
}
