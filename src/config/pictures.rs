//! `[pictures]` and `[frames]`: what may be sent to the API beside the streams of rooms.
//!
//! Every key and default here stands in `config/scrim.toml` too; a test keeps them equal.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::inspect::{Limits, PictureLimits};

/// `[pictures]`: how large pictures may be, and how many are looked at beside the streams.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pictures {
    /// Pictures at once; further ones are refused with 503.
    pub at_once: usize,
    /// Largest file, in bytes.
    pub max_bytes: usize,
    /// Longest side, in pixels.
    pub max_side: u32,
    /// How long the detectors may take for one, in milliseconds; then 504.
    pub time_ms: u64,
}

impl Default for Pictures {
    fn default() -> Self {
        let Limits { at_once, picture, time } = Limits::default();
        Self {
            at_once,
            max_bytes: picture.bytes,
            max_side: picture.side,
            time_ms: time.as_millis() as u64,
        }
    }
}

impl Pictures {
    /// The same in the words of what looks at them.
    pub fn limits(&self) -> Limits {
        Limits {
            at_once: self.at_once,
            picture: PictureLimits { bytes: self.max_bytes, side: self.max_side },
            time: Duration::from_millis(self.time_ms),
        }
    }
}

/// `[frames]`: sessions of frames over WebSockets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Frames {
    /// Sessions at once; 0 switches them off.
    pub max_sessions: usize,
    /// Memory for frames that wait, of all sessions together, in MiB.
    pub max_memory_mb: usize,
    /// How long a session may be silent, in seconds.
    pub idle_s: u64,
}

impl Default for Frames {
    fn default() -> Self {
        Self { max_sessions: 10, max_memory_mb: 2_048, idle_s: 300 }
    }
}

impl Frames {
    /// The same in the words of what keeps the sessions.
    pub fn limits(&self) -> crate::frames::Limits {
        crate::frames::Limits {
            sessions: self.max_sessions,
            memory: (self.max_memory_mb as u64) << 20,
            idle: Duration::from_secs(self.idle_s),
        }
    }
}
