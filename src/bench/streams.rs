//! Whole streams without LiveKit: a clip's frames through the pipeline of a server, as many times as
//! asked, at the clip's own pace.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use super::clip::frame;
use super::report::Streams;
use crate::censor::Policy;
use crate::detect::Service;
use crate::livekit::{Outgoing, UpstreamCommand};
use crate::load::{Clip, Latencies, Sample};
use crate::media::clock::{self, Rebase};
use crate::media::{Engines, Source};
use crate::pipeline::{Delay, Figures, Links, Pipeline, Spec, Watch};
use crate::runtime::{Exit, Permits, Supervisor};
use crate::session::Event;
use crate::telemetry::trace::StreamTrace;
use crate::telemetry::{Gpus, Metrics};

/// How long streams run before they are counted: until the delay has settled.
const SETTLE: Duration = Duration::from_secs(8);
/// Frames and messages between a stream and its ends; when full, frames are dropped and counted.
const QUEUE: usize = 256;
/// Ticks of RTP time a second.
const VIDEO_CLOCK: u32 = 90_000;
/// How long threads may take to end.
const END: Duration = Duration::from_secs(5);

/// What every stream is made of.
pub(super) struct Plan {
    /// Looks at frames; shared by all.
    pub detect: Service,
    /// What is sent.
    pub clip: Arc<Clip>,
    /// The rules.
    pub policy: Arc<Policy>,
    /// What decodes and encodes.
    pub engines: Engines,
    /// How frames are watched.
    pub watch: Watch,
    /// How long is counted.
    pub seconds: Duration,
}

/// What came out of one stream while it was counted.
#[derive(Default)]
struct Out {
    frames: u64,
    longest_gap: Duration,
    last: Option<Instant>,
    added: Latencies,
}

/// One stream's figures, and what came out of it.
struct Ends {
    figures: Arc<Figures>,
    out: Arc<Mutex<Out>>,
}

/// Runs `count` streams at once.
///
/// # Errors
///
/// When the system gives no threads.
pub(super) async fn measure(
    plan: &Plan,
    count: NonZeroU32,
    gpus: Option<&Gpus>,
) -> anyhow::Result<Streams> {
    let mut tasks = Supervisor::new(CancellationToken::new());
    let counting = Arc::new(AtomicBool::new(false));
    let metrics = Metrics::new(&mut prometheus_client::registry::Registry::default());
    let (events, _) = broadcast::channel(QUEUE);
    let encoders = Arc::new(Permits::new(count.get() as usize));
    let mut all = Vec::new();
    for n in 0..count.get() {
        let shared = Shared { metrics: &metrics, events: &events, encoders: &encoders };
        all.push(start(plan, n, count.get(), shared, &counting, &mut tasks)?);
    }
    tokio::time::sleep(SETTLE).await;
    let before: Vec<_> = all.iter().map(|one| one.figures.statistics().frames).collect();
    let used = Sample::take(std::process::id(), clock::now());
    counting.store(true, Relaxed);
    let began = clock::now();
    tokio::time::sleep(plan.seconds).await;
    counting.store(false, Relaxed);
    let busy = gpus.map(Gpus::read).unwrap_or_default();
    let seconds = began.elapsed().as_secs_f64();
    let usage = used.and_then(|before| {
        Sample::take(std::process::id(), clock::now()).map(|after| after.since(&before))
    });
    let mut added = Latencies::default();
    let mut streams =
        Streams { streams: count.get(), fps_worst: f64::MAX, gpus: busy, ..Streams::default() };
    for (one, before) in all.iter().zip(before) {
        let after = one.figures.statistics();
        let out = one.out.lock().unwrap_or_else(|e| e.into_inner());
        added.merge(&out.added);
        streams.fps_worst = streams.fps_worst.min(out.frames as f64 / seconds);
        streams.longest_gap_ms = streams.longest_gap_ms.max(out.longest_gap.as_secs_f64() * 1e3);
        streams.delay_ms = streams.delay_ms.max(after.delay_ms);
        let frames = after.frames;
        streams.received += frames.received - before.received;
        streams.analysed += frames.analysed - before.analysed;
        streams.clean += frames.clean - before.clean;
        streams.covered += frames.covered - before.covered;
        streams.unverified += frames.covered_unverified - before.covered_unverified;
        streams.dropped += frames.dropped - before.dropped;
    }
    streams.added_ms = added.percentiles();
    if let Some(usage) = usage {
        streams.cores_per_stream = usage.cpu / f64::from(count.get());
        streams.cores = usage.cpu;
        streams.resident_mb = usage.rss_after_mb;
    }
    tasks.shut_down(END).await;
    Ok(streams)
}

/// What all streams of a measurement share.
#[derive(Clone, Copy)]
struct Shared<'a> {
    metrics: &'a Metrics,
    events: &'a broadcast::Sender<Event>,
    encoders: &'a Arc<Permits>,
}

fn start(
    plan: &Plan,
    n: u32,
    count: u32,
    shared: Shared<'_>,
    counting: &Arc<AtomicBool>,
    tasks: &mut Supervisor,
) -> anyhow::Result<Ends> {
    let (outgoing, released) = mpsc::channel(QUEUE);
    let (upstream, wishes) = mpsc::channel(QUEUE);
    let room = format!("bench-{n}");
    let links = Links {
        detect: plan.detect.clone(),
        outgoing,
        upstream,
        events: shared.events.clone(),
        room: shared.metrics.room(&room),
        metrics: shared.metrics.clone(),
        figures: Arc::new(Figures::default()),
        delay: Arc::new(Delay::new(&plan.policy)),
        encoders: shared.encoders.clone(),
        engines: plan.engines.clone(),
        trace: StreamTrace::default(),
        thumbnails: None,
    };
    let figures = links.figures.clone();
    let spec = Spec {
        stream: uuid::Uuid::now_v7(),
        room,
        source: Source::Camera,
        track: format!("bench-{n}"),
        watch: plan.watch,
    };
    let timeline = Arc::new(Mutex::new(Rebase::new(VIDEO_CLOCK)));
    let pipeline = Pipeline::start(spec, links, plan.policy.clone(), timeline)?;
    let clip = plan.clip.clone();
    // Broadcasters do not film in step.
    let lag = clip.rate.time(1) * n / count;
    let send = move |stop| send(pipeline, clip, lag, wishes, stop);
    tasks.spawn(format!("send-{n}"), send);
    let out = Arc::new(Mutex::new(Out::default()));
    let (into, counting) = (out.clone(), counting.clone());
    tasks.spawn(format!("take-{n}"), move |stop| take(released, into, counting, stop));
    Ok(Ends { figures, out })
}

/// Sends the clip over and over, from a frame of its own on each stream, until told to stop.
async fn send(
    mut pipeline: Pipeline,
    clip: Arc<Clip>,
    lag: Duration,
    mut wishes: mpsc::Receiver<UpstreamCommand>,
    stop: CancellationToken,
) -> Exit {
    let began = clock::now() + lag;
    for n in 0.. {
        let due = began + clip.rate.time(n);
        tokio::select! {
            () = tokio::time::sleep_until(due.into()) => {}
            () = stop.cancelled() => break,
        }
        // Nobody films: the next keyframe of the clip has to do.
        while wishes.try_recv().is_ok() {}
        pipeline.push(frame(&clip, n, due));
    }
    let stuck = tokio::task::spawn_blocking(move || pipeline.stop(END)).await;
    match stuck {
        Ok(stuck) if stuck.is_empty() => Exit::Cancelled,
        _ => Exit::Failed("a thread of the pipeline did not end".into()),
    }
}

/// Takes what leaves, at its time.
async fn take(
    mut released: mpsc::Receiver<Outgoing>,
    out: Arc<Mutex<Out>>,
    counting: Arc<AtomicBool>,
    stop: CancellationToken,
) -> Exit {
    loop {
        let outgoing = tokio::select! {
            outgoing = released.recv() => outgoing,
            () = stop.cancelled() => return Exit::Cancelled,
        };
        let Some(outgoing) = outgoing else { return Exit::Finished };
        let Outgoing::Video { captured, due, .. } = outgoing else { continue };
        let at = due.max(clock::now());
        let mut out = out.lock().unwrap_or_else(|e| e.into_inner());
        if counting.load(Relaxed) {
            out.frames += 1;
            out.added.record(at.saturating_duration_since(captured));
            let gap = out.last.map_or(Duration::ZERO, |last| at.saturating_duration_since(last));
            out.longest_gap = out.longest_gap.max(gap);
        }
        out.last = Some(at);
    }
}
