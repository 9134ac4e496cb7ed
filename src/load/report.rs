//! What was measured, as it is written to the JSON file, and whether it met the limits.
//!
//! Field names are stable: programs read them.

use serde::Serialize;
use serde_json::Value;

use super::latencies::Percentiles;
use super::process::Usage;

/// Everything.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// LiveKit's address.
    pub(super) url: String,
    /// Scrim's; `null`: LiveKit alone.
    pub(super) api: Option<String>,
    /// How long was measured.
    pub(super) seconds: f64,
    /// Ended by a signal, before its time.
    pub(super) interrupted: bool,
    pub(super) clip: ClipFacts,
    pub(super) viewers_per_stream: u32,
    pub(super) streams: Counts,
    /// Starts that were refused.
    pub(super) refusals: Vec<Refusal>,
    pub(super) total: Figures,
    pub(super) per_stream: Vec<StreamReport>,
    pub(super) processes: Processes,
    pub(super) limits: Vec<Limit>,
    /// Whether every stream ran and every limit was met.
    pub(super) met: bool,
    /// What makes the figures doubtful, for a person.
    pub(super) warnings: Vec<String>,
}

/// The clip that was sent.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClipFacts {
    pub(super) codec: &'static str,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) fps: f64,
    pub(super) frames: usize,
    pub(super) seconds: f64,
    pub(super) bits_per_second: f64,
    pub(super) longest_keyframe_interval: f64,
}

/// Streams by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counts {
    pub(super) asked: u32,
    pub(super) started: u32,
    pub(super) refused: u32,
    /// Started, and every viewer got pictures.
    pub(super) delivered: u32,
}

/// A start that was refused.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Refusal {
    /// Which stream, from 1 on.
    pub(super) stream: u32,
    pub(super) reason: String,
}

/// What viewers got, of one stream or of all.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figures {
    /// Frames sent, once for each viewer who was to get them.
    pub(super) sent: u64,
    /// Frames that viewers got; forwarded and encoded ones together.
    pub(super) received: u64,
    /// Bit for bit as they were sent.
    pub(super) forwarded: u64,
    /// Encoded again.
    pub(super) encoded: u64,
    /// Sent and never received.
    pub(super) missing: u64,
    /// Received twice, or behind a later one.
    pub(super) repeated: u64,
    /// Encoded ones that could not be told apart, and have no latency.
    pub(super) unplaced: u64,
    /// Pictures a second, sent.
    pub(super) fps_sent: f64,
    /// Pictures a second at a viewer, mean.
    pub(super) fps: f64,
    /// The same of the worst viewer.
    pub(super) fps_worst: f64,
    /// Pictures in the worst second of any viewer.
    pub(super) worst_second: u32,
    /// From the call that sends a picture until the viewer has all of it.
    pub(super) latency_ms: Percentiles,
    /// The longest time that a viewer got no picture.
    pub(super) longest_gap_ms: f64,
    /// How late pictures were sent, by the load tool's own doing.
    pub(super) send_late_ms: Percentiles,
    /// Connections lost and remade.
    pub(super) reconnects: u32,
    /// Keyframes asked of the broadcaster, which a clip cannot bring.
    pub(super) keyframes_asked: u32,
    /// Packets of sound sent, and got by all viewers, from beginning to end.
    pub(super) sound_sent: u64,
    pub(super) sound_received: u64,
}

/// One stream.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StreamReport {
    pub(super) stream: u32,
    pub(super) room: String,
    #[serde(flatten)]
    pub(super) figures: Figures,
    /// What Scrim counted meanwhile.
    pub(super) scrim: Option<ScrimFigures>,
    pub(super) problems: Vec<String>,
}

/// What Scrim says of a stream.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScrimFigures {
    /// Frames by what became of them, while it was measured.
    pub(super) frames: Value,
    /// The whole answer of /stream/end, from beginning to end.
    pub(super) summary: Value,
}

/// What processes used while it was measured.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Processes {
    /// `--pid`.
    pub(super) scrim: Option<Usage>,
    /// `--livekit-pid`.
    pub(super) livekit: Option<Usage>,
    /// This tool.
    pub(super) load: Option<Usage>,
}

/// A limit, and what was measured against it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Limit {
    pub(super) name: &'static str,
    pub(super) limit: f64,
    /// `null` when there was nothing to measure.
    pub(super) value: Option<f64>,
    pub(super) met: bool,
}

impl Limit {
    /// At least `limit`.
    pub(super) fn at_least(name: &'static str, limit: f64, value: Option<f64>) -> Self {
        Self { name, limit, value, met: value.is_some_and(|value| value >= limit) }
    }

    /// At most `limit`.
    pub(super) fn at_most(name: &'static str, limit: f64, value: Option<f64>) -> Self {
        Self { name, limit, value, met: value.is_some_and(|value| value <= limit) }
    }
}

impl Report {
    /// Frames that Scrim covered for lack of a verdict, while it was measured; `None` when it did
    /// not say for every stream.
    pub(super) fn unverified(&self) -> Option<u64> {
        let of = |stream: &StreamReport| {
            stream.scrim.as_ref().and_then(|scrim| scrim.frames["coveredUnverified"].as_u64())
        };
        self.per_stream.iter().map(of).sum()
    }

    /// The highest 95th percentile of any stream; `None` when one has none.
    pub(super) fn worst_p95(&self) -> Option<f64> {
        let of = |stream: &StreamReport| stream.figures.latency_ms.p95;
        let all: Option<Vec<f64>> = self.per_stream.iter().map(of).collect();
        all?.into_iter().reduce(f64::max)
    }

    /// The lowest mean rate of any stream.
    pub(super) fn worst_fps(&self) -> Option<f64> {
        self.per_stream.iter().map(|stream| stream.figures.fps_worst).reduce(f64::min)
    }
}
