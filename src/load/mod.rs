//! `scrim load`: broadcasters and viewers in one process, to measure a server under load.
//!
//! ```text
//! clip ─► broadcaster ─► LiveKit [─► Scrim ─► LiveKit] ─► viewer ─► matching ─► tally ─► report
//!         (livekit::publish)                              (livekit::subscribe)
//! ```
//!
//! Broadcasters send pictures that were encoded before; viewers recognise each picture by its
//! bytes, without decoding it. What is measured is therefore the server, and next to nothing of
//! the tool, which says itself what it used. `run` is the course of a measurement; `clip`, `index`,
//! `sends`, `matching`, `tally`, `latencies` and `gather` are pure.

use std::process::ExitCode;

use crate::runtime::Signals;

mod annexb;
mod api;
mod broadcaster;
mod channel;
mod clip;
mod demux;
mod gather;
mod index;
mod ivf;
mod latencies;
mod matching;
mod options;
mod process;
mod progress;
mod report;
mod run;
mod scene;
mod sends;
mod stream;
mod table;
mod tally;
mod viewer;

pub use options::{Codec, Options};

/// How a measurement came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every stream ran, and every limit was met.
    Met,
    /// A stream was refused or brought nothing, or a limit was missed.
    Missed,
    /// There is nothing to judge by.
    Unmeasured,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Met => 0,
            Outcome::Missed => 1,
            Outcome::Unmeasured => 2,
        })
    }
}

/// Measures and prints. `dev` brings the keys of development mode. The first signal ends the
/// measurement, which is printed all the same; the second ends the process.
pub async fn run(options: &Options, dev: bool, signals: Signals) -> Outcome {
    match Box::pin(run::run(options, dev, signals)).await {
        Ok(report) => {
            print!("{}", table::render(&report));
            if report.met { Outcome::Met } else { Outcome::Missed }
        }
        Err(error) => {
            eprintln!("scrim load: {error:#}");
            Outcome::Unmeasured
        }
    }
}

#[cfg(test)]
mod testing {
    use std::sync::Arc;

    use super::clip::{Clip, Coded, Rate};
    use crate::media::VideoCodec;

    /// A clip of these pictures, 30 a second, however short.
    pub(super) fn clip(pictures: &[&[u8]]) -> Clip {
        let coded = |data: &&[u8]| Coded { data: Arc::from(*data), keyframe: true };
        Clip {
            codec: VideoCodec::Vp8,
            size: (320, 180),
            rate: Rate::new(30, 1).unwrap(),
            frames: pictures.iter().map(coded).collect(),
        }
    }
}
