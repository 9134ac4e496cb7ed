//! What is asked for on the command line.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::load::{Codec, duration};

/// Measure what this machine bears, without LiveKit: the model alone, detection under demand, and
/// whole streams from a file through decoding, detection, the guard, covering and encoding.
///
/// The configuration says which models run, on what, and how frames are watched. Exit code: 0 when
/// everything was measured and within the bounds, 1 when something was not, 2 when nothing could be
/// measured, 3 when a GPU was asked for and there is none.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Options {
    /// The clip that every stream sends over and over: H264 or VP8 without B-frames, best with faces
    /// in it. Without it a moving texture is made, 1280x720, 30 a second
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Codec of the clip that is made
    #[arg(long, default_value = "h264", conflicts_with = "file")]
    pub codec: Codec,

    /// Streams at once, one measurement for each number; none leaves them out
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,4,8")]
    pub streams: Vec<NonZeroU32>,

    /// How long each measurement counts
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = duration)]
    pub seconds: Duration,

    /// Pictures in a run of the model alone, one measurement for each number
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,2,4,8")]
    pub batches: Vec<NonZeroU32>,

    /// Pictures a second that detection alone is asked to look at, one measurement for each number;
    /// 0: as many as it takes
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "0")]
    pub demand: Vec<u32>,

    /// Compare the findings with those of this execution provider
    #[arg(long, default_value = "cpu", value_name = "PROVIDER")]
    pub against: String,

    /// Pictures of the clip that are compared
    #[arg(long, default_value_t = 60, value_name = "N")]
    pub pictures: usize,

    /// How far scores may be from those that they are compared with
    #[arg(long, default_value_t = 0.02, value_name = "SCORE")]
    pub max_score_change: f32,

    /// How little boxes may overlap those that they are compared with (IoU)
    #[arg(long, default_value_t = 0.98, value_name = "IOU")]
    pub min_iou: f32,

    /// Rules for the streams, as in POST /stream/start; those of the configuration when left out
    #[arg(long, value_name = "JSON")]
    pub rules: Option<String>,

    /// Without an NVIDIA GPU, and a provider that uses it, measure nothing and exit with 3
    #[arg(long)]
    pub gpu: bool,

    /// Write everything that was measured to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write the tables to this file, too
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
}
