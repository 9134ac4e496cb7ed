//! The way of a frame.
//!
//! ```text
//! livekit::subscribe ─► decode ──────────► release ──────────────────► deliver ─► livekit::publish
//!                       (thread)           (thread)                    (thread)   waits until `due`
//!                       decode, thumbnail  guard: analyse? release?    switch: forward as it came,
//!                       gate: cut? motion? as what?                    or cover and encode
//!                                            │            ▲
//!                                            ▼            │ answers
//!                                          detect (threads shared by all streams)
//!                                          text   (thread, while the rules want text read)
//! ```
//!
//! One `Pipeline` carries one video track. Three threads a track: the first decodes every frame
//! as it comes, the second asks and decides, the third forwards, or covers and encodes. None waits
//! for a detector, and the guard waits for no encoder. Sound goes its own short way: `audio::Lane`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::censor::Policy;
use crate::livekit::{Outgoing, UpstreamCommand};
use crate::media::clock::{self, Rebase};
use crate::media::{Engines, Source, VideoFrame};
use crate::runtime::{Joined, Permits, Thread};
use crate::session::Event;
use crate::telemetry::trace::StreamTrace;
use crate::telemetry::{Metrics, Outcome, RoomMetrics};

mod album;
pub(crate) mod audio;
#[cfg(feature = "test-hooks")]
pub mod bench;
mod cascade;
mod decode;
pub(crate) mod delay;
mod deliver;
pub(crate) mod figures;
mod gate;
mod guard;
#[cfg(feature = "test-hooks")]
pub mod hooks;
mod output;
mod pace;
mod rate;
mod release;
#[cfg(feature = "test-hooks")]
pub mod replay;
mod sightings;
#[cfg(any(test, feature = "test-hooks"))]
pub mod soak;
mod switch;
pub(crate) mod text;

pub(crate) use delay::Delay;
pub(crate) use figures::Figures;
pub(crate) use text::problems;

/// Encoded frames that may wait for the decoder: two seconds at 30 a second. When full, the new
/// frame is dropped and the source asked for a keyframe: a decoder that far behind is stuck.
const DECODE_QUEUE: usize = 64;
/// Decoded frames and answers that may wait for the release thread. When full, an answer is
/// dropped (its frame is covered) and the decoder waits.
const RELEASE_QUEUE: usize = 256;

/// What a pipeline is made for.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// Names the stream to detection and in events.
    pub stream: uuid::Uuid,
    /// The raw room.
    pub room: String,
    /// The output track.
    pub source: Source,
    /// The input track's sid, for keyframe requests.
    pub track: String,
    /// How frames are watched.
    pub watch: Watch,
}

/// How the frames of every stream are watched.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// The longest time between two analysed frames (1 / PROCESSING_FPS).
    pub max_gap: Duration,
    /// How objects are followed.
    pub track: crate::track::Config,
}

/// The RTP timeline of one output track, which outlives the sources that feed it.
pub(crate) type Timeline = Arc<std::sync::Mutex<Rebase>>;

/// Everything a pipeline talks to.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    /// Looks at frames.
    pub detect: crate::detect::Service,
    /// The processed room.
    pub outgoing: mpsc::Sender<Outgoing>,
    /// The raw room.
    pub upstream: mpsc::Sender<UpstreamCommand>,
    /// What operators see as it happens.
    pub events: tokio::sync::broadcast::Sender<Event>,
    /// Metrics of all streams.
    pub metrics: Metrics,
    /// The room's own.
    pub room: RoomMetrics,
    /// The stream's figures.
    pub figures: Arc<Figures>,
    /// How long the stream's frames and packets are held.
    pub delay: Arc<Delay>,
    /// How many streams may encode at a time.
    pub encoders: Arc<Permits>,
    /// What decodes and encodes.
    pub engines: Engines,
    /// The stream's trace.
    pub trace: StreamTrace,
    /// Draws what was found, where the rules want it; `None`: nobody does.
    pub thumbnails: Option<crate::thumbnail::Service>,
}

impl Links {
    /// Counts a frame that never leaves.
    fn dropped(&self) {
        self.figures.dropped.fetch_add(1, Relaxed);
        self.room.frames(Outcome::Dropped).inc();
    }
}

/// What the threads read and anyone may change.
#[derive(Debug)]
pub(crate) struct Controls {
    policy: std::sync::Mutex<Arc<Policy>>,
    /// Bumped with each new policy, so that threads look only when there is one.
    version: AtomicU64,
    covering: AtomicBool,
    keyframe: AtomicBool,
    /// One more than the share, in 255ths, that the processed room's server missed; 0: no news.
    lost: AtomicU16,
    stopping: AtomicBool,
}

impl Controls {
    /// Controls with the button released.
    pub(crate) fn new(policy: Arc<Policy>) -> Self {
        Self {
            policy: std::sync::Mutex::new(policy),
            version: AtomicU64::new(0),
            covering: AtomicBool::new(false),
            keyframe: AtomicBool::new(false),
            lost: AtomicU16::new(0),
            stopping: AtomicBool::new(false),
        }
    }

    /// The last report of loss, once: a share, 0 to 1.
    fn take_lost(&self) -> Option<f64> {
        let share = self.lost.swap(0, Relaxed).checked_sub(1)?;
        Some(f64::from(share) / 255.0)
    }

    fn policy(&self) -> Arc<Policy> {
        self.policy.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
}

/// A running pipeline for one video track. Dropping it tells its threads to end.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// `None` once stopped.
    frames: Option<SyncSender<VideoFrame>>,
    wake: SyncSender<release::Input>,
    controls: Arc<Controls>,
    links: Links,
    track: String,
    /// A frame was dropped: the next one does not follow the one before it.
    gap: bool,
    threads: Vec<Thread<()>>,
}

impl Pipeline {
    /// Starts the three threads. `timeline` keeps the output's RTP time continuous.
    pub(crate) fn start(
        spec: Spec,
        links: Links,
        policy: Arc<Policy>,
        timeline: Timeline,
    ) -> std::io::Result<Self> {
        links
            .delay
            .start(spec.source, release::guess(spec.watch.max_gap, links.detect.answer_time()));
        let (frames, frames_in) = sync_channel(DECODE_QUEUE);
        let (wake, inputs): (_, Receiver<release::Input>) = sync_channel(RELEASE_QUEUE);
        let controls = Arc::new(Controls::new(policy));
        let track = spec.track.clone();
        let decoder = decode::Stage::new(&spec, &links, wake.clone());
        let (deliver, tasks) = sync_channel(deliver::QUEUE);
        #[cfg(not(feature = "test-hooks"))]
        let switching = switch::Config::default();
        #[cfg(feature = "test-hooks")]
        let switching = hooks::switching();
        let output = output::Output::new(&spec, &links, timeline, switching);
        let deliverer = deliver::Stage::new(&links, controls.clone(), output);
        let releaser =
            release::Stage::new(spec, links.clone(), controls.clone(), wake.clone(), deliver);
        let threads = vec![
            Thread::spawn("decode", move || decoder.run(&frames_in))?,
            Thread::spawn("release", move || releaser.run(&inputs))?,
            Thread::spawn_yielding("deliver", move || deliverer.run(&tasks))?,
        ];
        Ok(Self { frames: Some(frames), wake, controls, links, track, gap: false, threads })
    }

    /// Hands a frame to the decoder. Never waits: see [`DECODE_QUEUE`].
    pub(crate) fn push(&mut self, mut frame: VideoFrame) {
        frame.contiguous &= !self.gap;
        let Some(frames) = &self.frames else { return };
        match frames.try_send(frame) {
            Ok(()) => self.gap = false,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.gap = true;
                self.links.figures.received.fetch_add(1, Relaxed);
                self.links.dropped();
                let track = self.track.clone();
                let _ = self.links.upstream.try_send(UpstreamCommand::RequestKeyframe { track });
            }
        }
    }

    /// The next released frame shall be a keyframe.
    pub(crate) fn keyframe(&self) {
        self.controls.keyframe.store(true, Relaxed);
    }

    /// The processed room's server missed this share of the last second, in 255ths.
    pub(crate) fn lost(&self, share: u8) {
        self.controls.lost.store(u16::from(share) + 1, Relaxed);
    }

    /// The dump button.
    pub(crate) fn cover(&self, on: bool) {
        self.controls.covering.store(on, Relaxed);
    }

    /// New rules, effective on every frame not yet released.
    pub(crate) fn set_policy(&self, policy: Arc<Policy>) {
        let mut current = self.controls.policy.lock().unwrap_or_else(|e| e.into_inner());
        if *current == policy {
            return;
        }
        *current = policy;
        self.controls.version.fetch_add(1, Relaxed);
    }

    /// Whether all threads still run.
    pub(crate) fn is_alive(&self) -> bool {
        self.threads.iter().all(|t| !t.is_finished())
    }

    /// Stops: what is held is not shown any more. Blocks until all threads are gone or the
    /// deadline has passed; returns the names of those still running.
    pub(crate) fn stop(mut self, deadline: Duration) -> Vec<String> {
        self.halt();
        let until = clock::now() + deadline;
        let stuck = |thread: Thread<()>| match thread.join_until(until) {
            Joined::Running(thread) => Some(thread.name().to_owned()),
            Joined::Finished(()) | Joined::Panicked(_) => None,
        };
        std::mem::take(&mut self.threads).into_iter().filter_map(stuck).collect()
    }

    /// The decoder ends with its queue, the release thread by the flag: a full queue may have no
    /// room for the word, but it has enough to wake the thread.
    fn halt(&mut self) {
        self.controls.stopping.store(true, Relaxed);
        let _ = self.wake.try_send(release::Input::Wake);
        self.frames = None;
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.halt();
    }
}
