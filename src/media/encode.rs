//! Pictures in, encoded frames out: one packet for each picture, at once.
//!
//! The stream of an [`Encoder`] can be spliced into a source's own at a keyframe: its H.264
//! parameter sets have an id of their own, so a viewer that lost a packet never decodes with the
//! wrong ones. Keep an encoder open between spans; opening costs up to 30 ms and the quality of
//! the first second. An [`Encoder`] belongs to one thread.

use std::sync::Arc;

use ffmpeg_next as ff;

mod fit;
mod open;
pub(super) mod renumber;

use super::{Colour, Engine, Engines, Picture, VideoCodec, bitstream, ffmpeg};

/// Least bits a second: below it no encoder here holds a picture together.
pub const MIN_BITRATE: u32 = 50_000;

/// libvpx takes a new rate only by being opened again, which costs a keyframe: worth it below and
/// above these shares of the present rate.
const REOPEN_BELOW: f64 = 0.7;
const REOPEN_ABOVE: f64 = 1.6;

/// What to encode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// H.264 or VP8.
    pub codec: VideoCodec,
    /// Width of the pictures that will come, in luma samples.
    pub width: u32,
    /// Height of the pictures that will come, in luma samples.
    pub height: u32,
    /// Target and maximum, bits a second; raised to [`MIN_BITRATE`].
    pub bitrate_bps: u32,
    /// Pictures a second that will come; between 1 and 240.
    pub fps: f32,
    /// What the sample values mean; written into H.264 streams. VP8 knows only limited range:
    /// full-range pictures are converted for it.
    pub colour: Colour,
}

/// One encoded picture.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The access unit: Annex B for H.264, with parameter sets before each keyframe.
    pub data: Arc<[u8]>,
    /// Whether it can be decoded without any before it.
    pub keyframe: bool,
}

/// What [`Encoder::set_rate`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateChange {
    /// The next picture already follows the new rate.
    Applied,
    /// The change is too small to be worth opening libvpx again; the rate is as before.
    Kept,
    /// Opened again: the next picture is a keyframe.
    Reopened,
}

/// Why a picture was not encoded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no encoder for the codec; see [`VideoCodec::output`].
    #[error("no encoder for {}", .0.name())]
    Missing(VideoCodec),
    /// A side is zero or above what the codec can say.
    #[error("cannot encode pictures of {width}x{height}")]
    Size {
        /// Width asked for.
        width: u32,
        /// Height asked for.
        height: u32,
    },
    /// The encoder could not be opened.
    #[error("could not open the {} encoder", codec.name())]
    Open {
        /// The codec.
        codec: VideoCodec,
        /// What FFmpeg said.
        source: ff::Error,
    },
    /// The picture has another size than the encoder; open another one.
    #[error("a picture of {}x{} came to an encoder for {}x{}", got.0, got.1, expected.0, expected.1)]
    Changed {
        /// The encoder's size.
        expected: (u32, u32),
        /// The picture's size.
        got: (u32, u32),
    },
    /// The encoder refused the picture.
    #[error("the picture cannot be encoded")]
    Refused(#[source] ff::Error),
    /// The encoder gave no packet for a picture.
    #[error("the encoder kept the picture back")]
    Withheld,
    /// What the GPU's encoder wrote cannot be spliced into a source's stream.
    #[error("the GPU writes streams that cannot be spliced")]
    Foreign,
}

/// One codec, opened for one size. Not for use from several threads; open, use and drop it on one.
pub struct Encoder {
    config: Config,
    inner: ff::codec::encoder::video::Encoder,
    /// For pictures that must be changed first: odd sides in H.264, full range in VP8.
    fitted: Option<Picture>,
    /// Frame rate it was opened with: x264 counts time in pictures.
    opened_fps: f32,
    next: i64,
    engine: Engine,
    /// Why a GPU does not encode although one was wanted; empty otherwise.
    reason: String,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Encoder {
    /// Opens an encoder on the processor. The first picture becomes a keyframe.
    ///
    /// # Errors
    /// When there is none for the codec or the size, or it does not open.
    pub fn open(config: Config) -> Result<Self, Error> {
        Self::with(config, Engine::Software)
    }

    /// Opens an encoder on the next GPU, or on the processor where none can be used: VP8 always.
    ///
    /// # Errors
    /// As for [`Encoder::open`].
    pub fn open_on(config: Config, engines: &Engines) -> Result<Self, Error> {
        let gpu = engines.encoder().filter(|_| config.codec == VideoCodec::H264);
        let Some(number) = gpu else { return Self::open(config) };
        Self::open_on_gpu(config, number).or_else(|error| {
            let reason = in_full(&error);
            Ok(Self { reason, ..Self::open(config)? })
        })
    }

    /// Opens an encoder on this GPU.
    ///
    /// # Errors
    /// As for [`Encoder::open`], and when the GPU has no encoder, or none that is free.
    pub(super) fn open_on_gpu(config: Config, number: u32) -> Result<Self, Error> {
        Self::with(config, Engine::Nvenc(number))
    }

    fn with(config: Config, engine: Engine) -> Result<Self, Error> {
        ffmpeg::init();
        let config = Config {
            bitrate_bps: config.bitrate_bps.max(MIN_BITRATE),
            fps: config.fps.clamp(1.0, 240.0),
            ..config
        };
        let inner = open::open(&config, engine)?;
        let (width, height) = open::coded_size(&config);
        let convert = config.codec == VideoCodec::Vp8 && config.colour.full_range;
        let fitted = (convert || (width, height) != (config.width, config.height))
            .then(|| Picture::new(width, height));
        let (opened_fps, reason) = (config.fps, String::new());
        Ok(Self { config, inner, fitted, opened_fps, next: 0, engine, reason })
    }

    /// What it was opened for, with the rate it has now.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What encodes.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Why a GPU does not encode although one was wanted; empty otherwise.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The size that viewers see: [`Config`]'s, but even for H.264, where a last column or row is
    /// repeated.
    pub fn size(&self) -> (u32, u32) {
        open::coded_size(&self.config)
    }

    /// Encodes one picture, as a keyframe if asked. A GPU that fails is left: the picture is
    /// encoded by the processor, as a keyframe.
    ///
    /// # Errors
    /// When the picture has another size, or cannot be encoded.
    pub fn encode(&mut self, picture: &Picture, force_keyframe: bool) -> Result<Encoded, Error> {
        let expected = (self.config.width, self.config.height);
        let got = (picture.width(), picture.height());
        if got != expected {
            return Err(Error::Changed { expected, got });
        }
        match self.attempt(picture, force_keyframe) {
            Err(error) if self.engine != Engine::Software => {
                *self = Self { reason: in_full(&error), ..Self::open(self.config)? };
                self.attempt(picture, true)
            }
            encoded => encoded,
        }
    }

    fn attempt(&mut self, picture: &Picture, force_keyframe: bool) -> Result<Encoded, Error> {
        let squeeze = self.config.codec == VideoCodec::Vp8 && self.config.colour.full_range;
        let source = match &mut self.fitted {
            Some(fitted) => {
                fit::fit(picture, fitted, squeeze);
                fitted.as_ffmpeg()
            }
            None => picture.as_ffmpeg(),
        };
        let no_memory = Error::Refused(ff::Error::Other { errno: ff::error::ENOMEM });
        let mut frame = ffmpeg::share(source).ok_or(no_memory)?;
        frame.set_pts(Some(self.next));
        frame.set_kind(if force_keyframe { ff::picture::Type::I } else { ff::picture::Type::None });
        self.next += 1;
        self.inner.send_frame(&frame).map_err(Error::Refused)?;
        self.take()
    }

    /// Changes the target rate, in bits a second. See [`Encoder::set_rate`].
    pub fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<RateChange, Error> {
        self.set_rate(bitrate_bps, self.config.fps)
    }

    /// Changes the target rate, in bits a second, for pictures that come `fps` times a second.
    /// x264 takes it at once. libvpx is opened again, and only for a large change; on an error
    /// there it stays as it was.
    pub fn set_rate(&mut self, bitrate_bps: u32, fps: f32) -> Result<RateChange, Error> {
        let wanted = Config {
            bitrate_bps: bitrate_bps.max(MIN_BITRATE),
            fps: fps.clamp(1.0, 240.0),
            ..self.config
        };
        if self.config.codec == VideoCodec::H264 {
            let share = f64::from(self.opened_fps) / f64::from(wanted.fps);
            let scaled = f64::from(wanted.bitrate_bps) * share;
            ffmpeg::set_rate(&mut self.inner, open::rate(wanted.codec, scaled as u32));
            self.config = wanted;
            return Ok(RateChange::Applied);
        }
        let per_picture = |c: &Config| f64::from(c.bitrate_bps) / f64::from(c.fps);
        let share = per_picture(&wanted) / per_picture(&self.config);
        if (REOPEN_BELOW..=REOPEN_ABOVE).contains(&share) {
            return Ok(RateChange::Kept);
        }
        *self = Self::open(wanted)?;
        Ok(RateChange::Reopened)
    }

    /// The packet of the picture just sent.
    fn take(&mut self) -> Result<Encoded, Error> {
        let mut packet = ff::Packet::empty();
        match self.inner.receive_packet(&mut packet) {
            Ok(()) => {}
            Err(ff::Error::Other { errno: ff::error::EAGAIN }) => return Err(Error::Withheld),
            Err(error) => return Err(Error::Refused(error)),
        }
        let data = packet.data().filter(|data| !data.is_empty()).ok_or(Error::Withheld)?;
        let data = match (self.config.codec, self.engine) {
            (VideoCodec::H264, Engine::Software) => Arc::from(&*bitstream::strip(data)),
            (VideoCodec::H264, _) => {
                renumber::renumber(&bitstream::strip(data)).ok_or(Error::Foreign)?.into()
            }
            _ => Arc::from(data),
        };
        Ok(Encoded { data, keyframe: packet.is_key() })
    }
}

/// An error with what is behind it, in one line.
fn in_full(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
