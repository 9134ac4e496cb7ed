//! The last stage of one track: released frames are forwarded, or covered and encoded.
//!
//! On a thread of its own, which gives way to all others. Encoding takes five times as long as
//! everything else together: were it in the guard's way, a short machine would verify less, so
//! cover more, so encode more, and never come back from it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use super::decode::Decoded;
use super::guard::{Reason, Verdict};
use super::output::Output;
use super::{Controls, Links};
use crate::media::clock;
use crate::media::{Picture, VideoCodec};
use crate::telemetry::trace::Milestone;

/// Released frames that may wait for the encoder. When full, a frame is left out, and the next one
/// is a keyframe: later frames are worth more than late ones.
pub(super) const QUEUE: usize = 4;

/// What the stage does next.
#[derive(Debug)]
pub(super) enum Task {
    /// Show a frame.
    Show(Box<Released>),
    /// Something was found in this picture, and will be covered when it is due.
    Prepare { picture: Arc<Picture>, codec: VideoCodec, due: Instant },
}

/// A released frame.
#[derive(Debug)]
pub(super) struct Released {
    pub decoded: Decoded,
    pub verdict: Verdict,
    /// Whether what is shown is kept, to be shown again (rule `onFailure: freeze`).
    pub keep: bool,
    /// Frames right before it were left out.
    pub gap: bool,
}

/// The delivering stage of one track.
pub(super) struct Stage {
    links: Links,
    controls: Arc<Controls>,
    output: Output,
}

impl Stage {
    pub(super) fn new(links: &Links, controls: Arc<Controls>, output: Output) -> Self {
        Self { links: links.clone(), controls, output }
    }

    /// Runs until the release stage is gone.
    pub(super) fn run(mut self, tasks: &Receiver<Task>) {
        while let Ok(task) = tasks.recv() {
            if self.controls.keyframe.swap(false, Relaxed) {
                self.output.want_keyframe();
            }
            if let Some(share) = self.controls.take_lost() {
                self.output.lost(share);
            }
            match task {
                Task::Show(released) => self.show(*released),
                Task::Prepare { picture, codec, due } => self.output.prepare(&picture, codec, due),
            }
        }
    }

    fn show(&mut self, released: Released) {
        let Released { decoded, mut verdict, keep, gap } = released;
        if gap {
            self.output.left_out();
        }
        // The dump button also holds for what was released just before it was pressed.
        if self.controls.covering.load(Relaxed) {
            verdict = Verdict::Covered(Reason::Operator);
        }
        self.output.show(&decoded, &verdict, keep);
        let sent = clock::now().max(decoded.frame.due);
        let added = sent.saturating_duration_since(decoded.arrived);
        self.links.trace.reach(Milestone::Release, sent);
        self.links.figures.added_latency(added);
        self.links.metrics.global().added_latency.observe_time(added);
    }
}
