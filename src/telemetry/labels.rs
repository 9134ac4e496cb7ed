//! Labels: values from closed sets, so that the number of series is bounded.

use std::fmt::Write as _;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

/// An enum whose variants are label values; `ALL` lists them in order, for arrays by variant.
macro_rules! labels {
    ($(#[$doc:meta])+ $name:ident { $($(#[$about:meta])+ $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$about])+ $variant,)+
        }

        impl $name {
            /// Every value, in the order of the declaration.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$variant),+];

            /// The label's text.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
                encoder.write_str(self.as_str())
            }
        }
    };
}

labels! {
    /// What became of a frame.
    Outcome {
        /// Released with nothing covered.
        Clean = "clean",
        /// Released with regions covered.
        Covered = "covered",
        /// Covered whole for lack of a verdict.
        Unverified = "unverified",
        /// Never released.
        Dropped = "dropped",
    }
}

labels! {
    /// Why a frame was covered whole, or in part (`Rule`).
    Reason {
        /// The verdict did not come by the release time.
        VerdictLate = "verdict_late",
        /// The detector failed.
        DetectorFailed = "detector_failed",
        /// The frame could not be decoded.
        Undecoded = "undecoded",
        /// The dump button.
        Operator = "operator",
        /// The rules forbid what is on it.
        Rule = "rule",
        /// Nothing of its shot was analysed yet.
        Startup = "startup",
    }
}

labels! {
    /// A step of the pipeline.
    Processor {
        /// Encoded to planes.
        Decode = "decode",
        /// Cuts, motion, what to analyse.
        Gate = "gate",
        /// The model, waiting included.
        Detect = "detect",
        /// Text found and read, waiting included.
        Text = "text",
        /// Regions covered.
        Censor = "censor",
        /// Planes to encoded.
        Encode = "encode",
    }
}

labels! {
    /// What an engine does for a track.
    Step {
        /// Decode it.
        Decode = "decode",
        /// Encode it.
        Encode = "encode",
    }
}

labels! {
    /// Which way a keyframe was asked for.
    Direction {
        /// By us, of the broadcaster.
        Upstream = "upstream",
        /// By a viewer, of us.
        Downstream = "downstream",
    }
}

labels! {
    /// Why a stream was not started.
    Refused {
        /// The processors would be too busy.
        Cpu = "cpu",
        /// The detectors would be too busy.
        Detection = "detection",
        /// Verdicts come late already.
        Late = "verdicts_late",
        /// Too little memory is left.
        Memory = "memory",
        /// As many run as may.
        Streams = "streams",
    }
}

labels! {
    /// Where a stream stands.
    StreamState {
        /// Joining the rooms.
        Starting = "starting",
        /// No broadcaster's video yet.
        Waiting = "waiting",
        /// Frames are released.
        Live = "live",
        /// A connection to LiveKit is being remade.
        Reconnecting = "reconnecting",
        /// Being stopped.
        Ending = "ending",
    }
}

labels! {
    /// What became of one attempt to tell the operator's server.
    Notice {
        /// It was taken.
        Taken = "taken",
        /// It is tried again.
        Failed = "failed",
        /// It was the last attempt.
        GivenUp = "given_up",
    }
}

labels! {
    /// What became of a span.
    Fate {
        /// The collector has it.
        Sent = "sent",
        /// The queue was full, or the collector did not take it.
        Dropped = "dropped",
    }
}

/// Where a breaker stands; its number is the gauge's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// All is well.
    Closed = 0,
    /// One try after a pause.
    HalfOpen = 1,
    /// Switched off.
    Open = 2,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct HttpLabels {
    pub(super) method: &'static str,
    pub(super) route: String,
    pub(super) status_code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DetectionLabels {
    pub(super) r#type: String,
    pub(super) room_name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ProcessorLabels {
    pub(super) room_name: String,
    pub(super) processor: Processor,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabels {
    pub(super) room_name: String,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DetectorLabels {
    pub(super) detector: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct QueueLabels {
    pub(super) queue: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DirectionLabels {
    pub(super) direction: Direction,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TrackLabels {
    pub(super) step: Step,
    pub(super) engine: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReasonLabels {
    pub(super) reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RefusedLabels {
    pub(super) reason: Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RoomLabels {
    pub(super) room_name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StreamStateLabels {
    pub(super) state: StreamState,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct NoticeLabels {
    pub(super) outcome: Notice,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct FateLabels {
    pub(super) fate: Fate,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct VersionLabels {
    pub(super) version: &'static str,
}
