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

use crate::runtime::{Outcome, Signals};

mod annexb;
mod api;
mod broadcaster;
mod channel;
mod clip;
mod demux;
mod gather;
mod index;
mod ivf;
mod judge;
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

pub(crate) use clip::Clip;
pub(crate) use latencies::{Latencies, Percentiles};
pub(crate) use options::duration;
pub use options::{Codec, Options};
pub(crate) use process::Sample;

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

    use serde_json::json;

    use super::clip::{Clip, Coded, Rate};
    use super::gather::{self, Sum};
    use super::process::Usage;
    use super::report::{
        Counts, Figures, Limit, Processes, Refusal, Report, ScrimFigures, StreamReport,
    };
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

    /// A report on a stream for each of these 95th percentiles, in ms.
    pub(super) fn report(p95: &[f64]) -> Report {
        let streams = (1..).zip(p95).map(|(stream, p95)| {
            let mut figures = Figures { fps_worst: 29.0, ..Figures::default() };
            figures.latency_ms.p95 = Some(*p95);
            let frames = json!({ "coveredUnverified": 2 });
            let scrim = Some(ScrimFigures { frames, summary: json!({}) });
            let (room, problems) = (format!("load-{stream}"), Vec::new());
            StreamReport { stream, room, figures, scrim, problems }
        });
        let load = Usage {
            cpu: 0.5,
            rss_before_mb: 1.0,
            rss_after_mb: 2.0,
            threads: 3,
            cpu_by_thread: [("work".to_owned(), 0.4)].into(),
        };
        Report {
            url: "ws://a".into(),
            api: None,
            seconds: 1.0,
            interrupted: false,
            clip: gather::facts(&clip(&[&[1; 9]])),
            viewers_per_stream: 1,
            streams: Counts { asked: p95.len() as u32, ..Counts::default() },
            refusals: vec![Refusal { stream: 3, reason: "503: full".into() }],
            total: Sum::default().total(),
            per_stream: streams.collect(),
            processes: Processes { scrim: None, livekit: None, load: Some(load) },
            limits: vec![Limit::at_least("minFps", 1.0, Some(2.0))],
            met: false,
            warnings: vec!["mind the gap".into()],
        }
    }
}
