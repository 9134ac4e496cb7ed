//! The way of a frame without rooms, threads or real time, again and again: a broadcaster, the
//! decoding stage, the guard with made-up findings, the output, and a viewer that looks at every
//! picture. For tests and soaks; not in a release.

use std::time::Duration;

use crate::media::VideoCodec;

mod links;
pub mod source;
mod viewer;
mod world;

use world::World;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// H.264 or VP8.
    pub codec: VideoCodec,
    /// Changes between forwarding and encoding, in either direction.
    pub splices: u64,
    /// Width and height.
    pub size: (u32, u32),
    /// How long nothing has been covered before the source is forwarded again.
    pub linger: Duration,
    /// Frames lost on the way here, verdicts late, viewers' wishes, a publisher that is stuck,
    /// changes of size.
    pub trouble: bool,
    /// Something to be covered may come up elsewhere in the very frame in which another is gone.
    pub adjacent: bool,
    /// Of everything that is random.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The codec's name.
    pub codec: &'static str,
    /// Whether there was trouble.
    pub trouble: bool,
    /// Changes between forwarding and encoding.
    pub splices: u64,
    /// Pictures that reached the viewer.
    pub shown: u64,
    /// Of them: the source's own bytes.
    pub forwarded: u64,
    /// Of them: with something to be covered.
    pub secret: u64,
    /// Pictures in which what was to be covered could be seen. Must be 0.
    pub leaked: u64,
    /// Forwarded pictures that were not bit for bit what was looked at. Must be 0.
    pub altered: u64,
    /// Clean pictures that came out of the encoder unlike themselves. Must be 0.
    pub unlike: u64,
    /// Frames that the viewer's decoder refused, or gave no picture for. Must be 0.
    pub decoder_errors: u64,
    /// RTP times that did not rise as the source's. Must be 0.
    pub time_errors: u64,
    /// Keyframes asked of the source to forward from.
    pub asked: u64,
    /// Most of them in one splice. Must be at most 1 without trouble.
    pub asked_most: u64,
    /// Frames of the source that never left.
    pub dropped: u64,
}

impl Report {
    /// Whether everything is as it must be.
    pub fn is_good(&self) -> bool {
        let faults =
            [self.leaked, self.altered, self.unlike, self.decoder_errors, self.time_errors];
        faults == [0; 5] && (self.trouble || self.asked_most <= 1)
    }
}

/// Runs the plan, as fast as the codecs go.
///
/// # Errors
/// When an encoder cannot be opened, or nothing is forwarded any more.
pub fn run(plan: &Plan) -> anyhow::Result<Report> {
    let mut world = World::new(*plan)?;
    let mut last = (0, 0);
    while world.report.splices < plan.splices {
        world.turn()?;
        if world.report.splices > last.0 {
            last = (world.report.splices, world.n);
        }
        anyhow::ensure!(world.n - last.1 < 3_000, "no splice for 100 s: {:?}", world.report);
    }
    world.report.dropped = world.links.figures.dropped.load(std::sync::atomic::Ordering::Relaxed);
    Ok(world.report)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(codec: VideoCodec, trouble: bool) {
        let linger = Duration::from_millis(100);
        let plan = Plan {
            codec,
            splices: 150,
            size: (320, 192),
            linger,
            trouble,
            adjacent: false,
            seed: 3,
        };
        let report = run(&plan).unwrap();
        assert!(report.is_good(), "{report:#?}");
        assert!(report.secret > 50 && report.forwarded > 50, "{report:#?}");
    }

    #[test]
    fn h264_is_spliced_without_a_flaw() {
        good(VideoCodec::H264, false);
        good(VideoCodec::H264, true);
    }

    #[test]
    fn vp8_is_spliced_without_a_flaw() {
        good(VideoCodec::Vp8, false);
        good(VideoCodec::Vp8, true);
    }
}
