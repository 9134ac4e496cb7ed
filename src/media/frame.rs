//! Encoded frames as they come from one room and go to the other.

use std::sync::Arc;
use std::time::Instant;

/// A video codec that may arrive on a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// H.264, Annex B access units.
    H264,
    /// VP8 frames.
    Vp8,
    /// VP9 frames; decoded, always encoded as VP8.
    Vp9,
    /// AV1 temporal units; decoded, always encoded as VP8.
    Av1,
}

impl VideoCodec {
    /// The codec the output is encoded in: the source's own where we have an encoder for it.
    pub fn output(self) -> Self {
        match self {
            Self::H264 => Self::H264,
            Self::Vp8 | Self::Vp9 | Self::Av1 => Self::Vp8,
        }
    }

    /// Lower-case short name, as in a MIME type and a metric label.
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Vp8 => "vp8",
            Self::Vp9 => "vp9",
            Self::Av1 => "av1",
        }
    }
}

/// Whether a track carries pictures or sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// What a track shows or plays, as its publisher declared it. One output track for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A camera, or a video track of unknown source.
    Camera,
    /// A shared screen.
    Screen,
    /// A microphone, or an audio track of unknown source.
    Microphone,
    /// The sound of a shared screen.
    ScreenAudio,
}

impl Source {
    /// Pictures or sound.
    pub fn kind(self) -> Kind {
        match self {
            Self::Camera | Self::Screen => Kind::Video,
            Self::Microphone | Self::ScreenAudio => Kind::Audio,
        }
    }
}

/// One encoded picture (access unit). Cheap to clone: the data is shared.
#[derive(Clone, Debug)]
pub struct VideoFrame {
    /// How `data` is encoded.
    pub codec: VideoCodec,
    /// The access unit: Annex B for H.264, one frame for the others.
    pub data: Arc<[u8]>,
    /// RTP time, 90 kHz, extended so that it never wraps within a track.
    pub rtp_time: u64,
    /// Whether the picture can be decoded without any before it.
    pub keyframe: bool,
    /// False when packets between the frame before and this one were lost for good.
    pub contiguous: bool,
    /// When the picture was captured, from RTP time and sender reports; never after `arrived`.
    pub captured: Instant,
    /// When the last packet of it came in.
    pub arrived: Instant,
}

/// One Opus packet.
#[derive(Clone, Debug)]
pub struct AudioFrame {
    /// The Opus packet.
    pub data: Arc<[u8]>,
    /// RTP time, 48 kHz, extended.
    pub rtp_time: u64,
    /// When the first sample was captured; never after `arrived`.
    pub captured: Instant,
    /// When the packet came in.
    pub arrived: Instant,
}
