//! One stream: a camera, the rooms, and a viewer of ours that tells the source's frames from
//! encoded ones.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::Context;
use scrim::censor::Document;
use scrim::livekit::token::{Grant, Role};
use scrim::livekit::{Downstream, Incoming, Outgoing, processed_room};
use scrim::media::bitstream::nals;
use scrim::media::{Source, VideoCodec};
use scrim::pipeline::soak::source;
use scrim::session::{Manager, Origin, Start, Statistics, Target};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::scene::{self, Director, Phase};
use crate::support::server::Server;
use crate::support::stage::{Broadcaster, Watcher};

/// Time of one frame.
const FRAME: Duration = Duration::from_nanos(33_333_333);
/// Ticks of the RTP clock in one frame.
const TICKS: u64 = 3_000;

/// What happened on the way since the soak began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Changes between forwarded and encoded frames.
    pub(crate) splices: u64,
    /// Frames that were the source's own.
    pub(crate) forwarded: u64,
    /// All others.
    pub(crate) encoded: u64,
    /// Keyframe requests that reached the broadcaster.
    pub(crate) asked: u64,
    /// Most of them from one return to forwarding to the next: one out and one back.
    pub(crate) asked_most: u64,
    /// Those since the last return.
    asked_since: u64,
    /// Whether the last frame was the source's own; `None` before the first.
    pub(crate) forwarding: Option<bool>,
}

impl Tally {
    fn saw(&mut self, own: bool) {
        *(if own { &mut self.forwarded } else { &mut self.encoded }) += 1;
        if self.forwarding.replace(own).is_some_and(|before| before != own) {
            self.splices += 1;
            if own {
                self.asked_most = self.asked_most.max(std::mem::take(&mut self.asked_since));
            }
        }
    }

    fn asked(&mut self, times: u64) {
        self.asked += times;
        self.asked_since += times;
    }
}

/// Shared by the camera and the viewer.
#[derive(Default)]
struct Shared {
    tally: Mutex<Tally>,
    /// Hashes of frames that were filmed and have not been seen.
    filmed: Mutex<HashSet<u64>>,
}

impl Shared {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().expect("no panic under this lock")
    }

    fn filmed(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.filmed.lock().expect("no panic under this lock")
    }
}

/// A stream that runs.
pub(crate) struct Stream {
    pub(crate) codec: VideoCodec,
    /// The raw room.
    room: String,
    shared: Arc<Shared>,
    viewer: JoinHandle<()>,
}

impl Stream {
    /// Starts the stream, and films.
    pub(crate) async fn start(
        server: &Server,
        manager: &Manager,
        phase: &watch::Receiver<Phase>,
        index: usize,
    ) -> anyhow::Result<Self> {
        let codec = if index.is_multiple_of(2) { VideoCodec::H264 } else { VideoCodec::Vp8 };
        let name = format!("soak-{index}");
        let room = processed_room(&name);
        let rules = Document::default();
        let start =
            Start { room: room.clone(), participant: None, rules, origin: Origin::Operator };
        manager.start(start).await.context("the stream does not start")?;
        let mut broadcaster = Broadcaster::join(server, &name, "broadcaster-1");
        let source = Source::Camera;
        let announce = Outgoing::Announce { source, codec: Some(codec), size: scene::SIZE };
        broadcaster.send(announce).await;
        broadcaster.wait_for("ready", |event| *event == Downstream::Ready { source }).await;
        let shared = Arc::new(Shared::default());
        let camera = Camera {
            encoder: source::Source::open(codec, scene::SIZE)?,
            codec,
            director: Director::new(index as u64),
            phase: phase.clone(),
            shared: shared.clone(),
            wanted: broadcaster.wanted(),
            outgoing: broadcaster.outgoing(),
        };
        tokio::task::spawn_blocking(move || camera.film());
        let watcher = Watcher::view(server, &processed_room(&room));
        let viewer = tokio::spawn(view(watcher, broadcaster, codec, shared.clone()));
        Ok(Self { codec, room, shared, viewer })
    }

    /// Where a viewer goes, and what lets it in.
    pub(crate) fn ticket(&self, server: &Server) -> anyhow::Result<serde_json::Value> {
        let credentials = server.credentials();
        let grant = Grant::new(Role::Viewer, processed_room(&self.room), "chromium");
        let token = grant.sign(&credentials)?;
        Ok(serde_json::json!({ "url": credentials.url, "token": token }))
    }

    /// What happened since the soak began.
    pub(crate) fn tally(&self) -> Tally {
        *self.shared.tally()
    }

    /// Counts from zero.
    pub(crate) fn begin(&self) {
        let mut tally = self.shared.tally();
        *tally = Tally { forwarding: tally.forwarding, ..Tally::default() };
    }

    /// Ends the stream; what it says of itself.
    pub(crate) async fn end(self, manager: &Manager) -> anyhow::Result<Statistics> {
        let ended = manager.end(Target::Room(self.room)).await.context("the stream is gone")?;
        self.viewer.abort();
        Ok(ended.statistics)
    }
}

/// What films one stream.
struct Camera {
    encoder: source::Source,
    codec: VideoCodec,
    director: Director,
    phase: watch::Receiver<Phase>,
    shared: Arc<Shared>,
    /// Somebody needs a keyframe.
    wanted: Arc<AtomicBool>,
    outgoing: mpsc::Sender<Outgoing>,
}

impl Camera {
    /// Films at 30 frames a second until the cut, or until the publisher is gone.
    fn film(mut self) {
        let start = Instant::now();
        for n in 0_u32.. {
            let due = start + FRAME * n;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let (phase, n) = (*self.phase.borrow(), u64::from(n));
            if phase == Phase::Cut {
                return;
            }
            let forwarding = self.shared.tally().forwarding == Some(true);
            let picture = scene::picture(n, self.director.secret(n, phase, forwarding));
            let wanted = self.wanted.swap(false, Relaxed);
            let frame = self.encoder.encode(&picture, n, wanted, due).expect("x264 and libvpx run");
            self.shared.filmed().insert(fingerprint(self.codec, &frame.data));
            let frame = Outgoing::Video {
                source: Source::Camera,
                data: frame.data,
                rtp_time: n * TICKS,
                captured: due,
                due,
                keyframe: frame.keyframe,
            };
            if self.outgoing.blocking_send(frame).is_err() {
                return;
            }
        }
    }
}

/// Tells the source's frames from encoded ones.
async fn view(
    mut watcher: Watcher,
    mut broadcaster: Broadcaster,
    codec: VideoCodec,
    shared: Arc<Shared>,
) {
    while let Some(message) = watcher.incoming.recv().await {
        let Incoming::Video { frame, .. } = message else { continue };
        let request = |event: &Downstream| matches!(event, Downstream::KeyframeRequested { .. });
        let asked = broadcaster.events().iter().filter(|event| request(event)).count();
        let own = shared.filmed().remove(&fingerprint(codec, &frame.data));
        let mut tally = shared.tally();
        tally.asked(asked as u64);
        tally.saw(own);
    }
}

/// Names a frame by its content: of H.264 by its slices, since RTP carries no start codes and
/// need not carry what is not a picture.
fn fingerprint(codec: VideoCodec, data: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    let slice = |nal: &&[u8]| nal.first().is_some_and(|kind| matches!(kind & 0x1f, 1 | 5));
    match codec {
        VideoCodec::H264 => nals(data).filter(slice).for_each(|nal| nal.hash(&mut hasher)),
        _ => data.hash(&mut hasher),
    }
    hasher.finish()
}
