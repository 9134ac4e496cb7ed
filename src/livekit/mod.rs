//! Rooms: subscribe to a broadcaster's encoded frames, publish encoded frames to viewers.
//!
//! [`subscribe`] and [`publish`] each hold one connection to one room, for which an [`Entrance`]
//! lets them in: an actor that joins, and rejoins by itself whatever happens to the network or the
//! server (`stay`), until it is stopped or told that it is not wanted. Below them `room` keeps signalling and media of one connection together
//! and resumes it, `signal` speaks to the server, `rtc` drives WebRTC over `socket`. What can be
//! decided without I/O is in small pure modules: `backoff`, `watchdog`, `keyframes`, `capture`,
//! `roster`, `schedule`, `verdict`.

use std::sync::Arc;
use std::time::Instant;

use crate::media::{AudioFrame, Source, VideoCodec, VideoFrame};

mod backoff;
mod capture;
mod entrance;
mod keyframes;
mod outlet;
pub mod publish;
mod room;
mod rooms;
mod roster;
mod rtc;
mod schedule;
mod signal;
mod socket;
mod stay;
pub mod subscribe;
pub mod token;
mod verdict;
mod watchdog;

pub use entrance::{Entrance, Pass};
pub use rooms::{
    CheckError, check, create_rooms, delete_empty_rooms, delete_processed_room, is_broadcast,
};
pub use socket::Faults;

/// How to reach LiveKit and prove who we are.
#[derive(Clone)]
pub struct Credentials {
    /// Address of the server: `ws`, `wss`, `http` or `https`.
    pub url: String,
    /// API key.
    pub api_key: String,
    /// API secret; never printed.
    pub api_secret: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("url", &self.url)
            .field("api_key", &self.api_key)
            .finish_non_exhaustive()
    }
}

impl From<&crate::config::Livekit> for Credentials {
    fn from(config: &crate::config::Livekit) -> Self {
        Self {
            url: config.ws_url(),
            api_key: config.api_key.clone(),
            api_secret: config.api_secret.expose().to_owned(),
        }
    }
}

/// Whose tracks are taken out of a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whom {
    /// Those of broadcasters: marked by this server's token, or by an identity that contains
    /// `broadcaster`.
    #[default]
    Broadcasters,
    /// Everybody's.
    Everyone,
}

/// The name of the room that viewers of `room` join.
pub fn processed_room(room: &str) -> String {
    format!("{room}-processed")
}

/// How an actor of this module ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was asked to stop, or nobody listens to it any more; it left the room.
    Cancelled,
    /// It gave up for good. The reason is for a person, and was sent as [`Link::Failed`].
    Failed(String),
}

/// Why a track cannot be processed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    /// The frames cannot be read by anyone but the participants.
    #[error("the track is end-to-end encrypted")]
    Encrypted,
    /// No decoder for it.
    #[error("the codec {0} is not supported")]
    Codec(String),
    /// The server found no codec that both sides speak.
    #[error("the server cannot deliver the track in a codec that can be decoded")]
    Undeliverable,
}

/// The state of one connection to one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Signalling and media are up.
    Connected,
    /// Lost; being resumed or remade. The reason is for a person.
    Reconnecting(String),
    /// Given up for good: wrong key, room deleted, kicked out. The reason is for a person.
    Failed(String),
}

/// What comes out of a room. Tracks are named by LiveKit's track sid.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// The connection changed.
    Link(Link),
    /// A broadcaster's track is there and its codec known (first frame or track info).
    Started {
        /// Track sid.
        track: String,
        /// The participant's identity.
        identity: String,
        /// What it shows.
        source: Source,
        /// Its codec; `None` for sound (always Opus).
        codec: Option<VideoCodec>,
        /// Size its publisher announced, in pixels; zero for sound or when unknown.
        size: (u32, u32),
    },
    /// One encoded picture, in decoding order.
    Video {
        /// Track sid.
        track: String,
        /// The frame.
        frame: VideoFrame,
    },
    /// One Opus packet, in order.
    Audio {
        /// Track sid.
        track: String,
        /// The packet.
        frame: AudioFrame,
    },
    /// The publisher muted or unmuted the track.
    Muted {
        /// Track sid.
        track: String,
        /// The new state.
        muted: bool,
    },
    /// The track is gone (unpublished, participant left).
    Ended {
        /// Track sid.
        track: String,
    },
    /// A track that cannot be processed: end-to-end encrypted, unsupported codec.
    Refused {
        /// Track sid.
        track: String,
        /// Why, for a person.
        reason: String,
    },
}

/// What is asked of the room that frames come out of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamCommand {
    /// Ask the track's publisher for a keyframe. Rate limited inside; never lost.
    RequestKeyframe {
        /// Track sid.
        track: String,
    },
}

/// What goes into a room. Tracks are named by their [`Source`]: one of each.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// Announce a track. Announcing it again with another codec replaces it.
    Announce {
        /// What it shows.
        source: Source,
        /// Its codec; `None` for sound.
        codec: Option<VideoCodec>,
        /// Size in pixels; zero for sound.
        size: (u32, u32),
    },
    /// Send one picture at its time.
    Video {
        /// The track.
        source: Source,
        /// Encoded data, as in [`VideoFrame::data`].
        data: Arc<[u8]>,
        /// RTP time, 90 kHz, extended; continuous on this track.
        rtp_time: u64,
        /// Capture time, for sender reports.
        captured: Instant,
        /// When to send it.
        due: Instant,
        /// Whether it is a keyframe.
        keyframe: bool,
    },
    /// Send one Opus packet at its time.
    Audio {
        /// The track.
        source: Source,
        /// The packet.
        data: Arc<[u8]>,
        /// RTP time, 48 kHz, extended; continuous on this track.
        rtp_time: u64,
        /// Capture time, for sender reports.
        captured: Instant,
        /// When to send it.
        due: Instant,
    },
    /// Mute or unmute a track.
    Mute {
        /// The track.
        source: Source,
        /// The new state.
        muted: bool,
    },
    /// Take a track back.
    Retract {
        /// The track.
        source: Source,
    },
}

/// What comes back from the room that frames go into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Downstream {
    /// The connection changed.
    Link(Link),
    /// A viewer needs a keyframe on this track.
    KeyframeRequested {
        /// The track.
        source: Source,
    },
    /// What the server missed of this track in the last second, as its receiver reports say.
    Lost {
        /// The track.
        source: Source,
        /// Share of the packets, in 255ths.
        share: u8,
    },
    /// The track is negotiated: frames sent from now on reach viewers.
    Ready {
        /// The track.
        source: Source,
    },
}
