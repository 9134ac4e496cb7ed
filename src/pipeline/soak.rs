//! The way of a frame without rooms, threads or real time, again and again: a broadcaster, the
//! decoding stage, the guard with made-up findings, the output, and a viewer that looks at every
//! picture. For tests and soaks; not in a release.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::sync::{broadcast, mpsc};

use super::decode::{self, Decoded};
use super::guard::{Guard, Step, Verdict};
use super::output::Output;
use super::switch;
use super::{Delay, Figures, Links, Spec, Timeline, Watch, release};
use crate::censor::Document;
use crate::detect::{self, Failure, Finding};
use crate::livekit::{Outgoing, UpstreamCommand};
use crate::media::clock::{self, Rebase};
use crate::media::decode::Decoder;
use crate::media::{Picture, Rect, VideoCodec, VideoFrame};
use crate::telemetry::Metrics;

mod source;

use source::{Source, contrast};

/// Time between two frames.
const FRAME: Duration = Duration::from_micros(33_333);
/// Contrast below which nothing of the pattern can be made out; it has about 100 in the clear.
const INVISIBLE: f64 = 35.0;
/// Least likeness of an encoded clean picture to the source's, in decibels.
const ALIKE: f64 = 24.0;

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
    world.report.dropped = world.links.figures.dropped.load(Relaxed);
    Ok(world.report)
}

/// A detector that is never asked.
struct Blind;

impl detect::Model for Blind {
    fn name(&self) -> &str {
        "blind"
    }

    fn bucket(&self, _: &Picture) -> u32 {
        0
    }

    fn open(&self) -> Result<detect::Opened, detect::Error> {
        Ok(detect::Opened {
            detector: Box::new(Self),
            provider: "script".into(),
            fallback: None,
            batches: false,
            classes: Vec::new(),
        })
    }
}

impl detect::Detector for Blind {
    fn detect(&mut self, _: &[Arc<Picture>]) -> Result<Vec<Vec<Finding>>, detect::Error> {
        Err(detect::Error::new("blind"))
    }
}

/// A stretch of frames with something to be covered.
#[derive(Clone, Copy, Debug)]
struct Secret {
    from: u64,
    until: u64,
    rect: Rect,
}

struct World {
    plan: Plan,
    random: Rng,
    start: Instant,
    n: u64,
    size: (u32, u32),
    source: Source,
    /// When the keyframe that was asked for comes.
    key_at: Option<u64>,
    lost: bool,
    secrets: VecDeque<Secret>,
    stage: decode::Stage,
    guard: Guard,
    held: VecDeque<(Decoded, Option<Rect>)>,
    output: Output,
    links: Links,
    outgoing: mpsc::Receiver<Outgoing>,
    upstream: mpsc::Receiver<UpstreamCommand>,
    viewer: Viewer,
    report: Report,
}

/// Who sees what leaves.
struct Viewer {
    decoder: Decoder,
    forwarding: Option<bool>,
    rtp: Option<(u64, u64)>,
    /// The publisher takes nothing more for so many frames.
    stuck: u32,
    asked: u64,
}

impl World {
    fn new(plan: Plan) -> anyhow::Result<Self> {
        let rules =
            r#"{"classes": {"SECRET": {"threshold": 0.5, "action": "solid"}}, "delayMs": 200}"#;
        let rules: Document = serde_json::from_str(rules)?;
        let policy = Arc::new(rules.resolve());
        let start = clock::now();
        // Opened first: it silences the codecs' own log.
        let decoder = Decoder::open(plan.codec)?;
        let (out, outgoing) = mpsc::channel(1);
        let (ask, upstream) = mpsc::channel(64);
        let metrics = Metrics::new(&mut prometheus_client::registry::Registry::default());
        let config = detect::Config { workers: 1, ..detect::Config::default() };
        let links = Links {
            detect: detect::Service::start_with(&config, vec![Arc::new(Blind)], |_| ())?,
            outgoing: out,
            upstream: ask,
            events: broadcast::channel(1).0,
            room: metrics.room("soak"),
            metrics,
            figures: Arc::new(Figures::default()),
            delay: Arc::new(Delay::new(&policy)),
        };
        let watch =
            Watch { max_gap: Duration::from_millis(200), track: crate::track::Config::default() };
        let spec = Spec {
            stream: uuid::Uuid::nil(),
            room: "soak".into(),
            source: crate::media::Source::Camera,
            track: "TR_soak".into(),
            watch,
        };
        let timeline: Timeline = Arc::new(std::sync::Mutex::new(Rebase::new(90_000)));
        let next = std::sync::mpsc::sync_channel(1).0;
        Ok(Self {
            random: Rng::with_seed(plan.seed),
            start,
            n: 0,
            size: plan.size,
            source: Source::open(plan.codec, plan.size)?,
            key_at: Some(0),
            lost: false,
            secrets: VecDeque::new(),
            stage: decode::Stage::new(&spec, &links, next),
            guard: Guard::new(release::config(watch.max_gap, watch.track), policy),
            held: VecDeque::new(),
            output: Output::new(&spec, &links, timeline, switch::Config { linger: plan.linger }),
            links,
            outgoing,
            upstream,
            viewer: Viewer { decoder, forwarding: None, rtp: None, stuck: 0, asked: 0 },
            report: Report { codec: plan.codec.name(), trouble: plan.trouble, ..Report::default() },
            plan,
        })
    }

    /// One in `odds`, in a plan with trouble.
    fn trouble(&mut self, odds: u32) -> bool {
        self.plan.trouble && self.random.u32(..odds) == 0
    }

    /// One frame of the source, and everything that is due until it comes.
    fn turn(&mut self) -> anyhow::Result<()> {
        let n = self.n;
        self.n += 1;
        let at = self.start + FRAME * u32::try_from(n)?;
        self.imagine();
        if self.trouble(900) {
            self.resize()?;
        }
        let key = self.key_at.is_some_and(|key_at| key_at <= n);
        if key {
            self.key_at = None;
        }
        let secret = self.secret(n);
        let mut frame = self.source.film(n, secret, key, at)?;
        if self.trouble(60) {
            self.lost = true;
        } else {
            frame.contiguous = !std::mem::take(&mut self.lost);
            self.take(&frame, secret);
        }
        if self.trouble(150) {
            self.output.want_keyframe();
        }
        self.work(at);
        Ok(())
    }

    /// What comes next: something to be covered, some frames after forwarding began.
    fn imagine(&mut self) {
        let n = self.n;
        self.secrets.retain(|secret| secret.until + 60 > n);
        let forwarding = self.viewer.forwarding == Some(true);
        if !forwarding || self.secrets.back().is_some_and(|secret| secret.until > n) {
            return;
        }
        if self.random.u32(..4) == 0 {
            let (w, h) = (self.size.0 as f32, self.size.1 as f32);
            let rect = Rect::new(
                (self.random.f32() * w * 0.5).round(),
                (self.random.f32() * h * 0.4).round(),
                (w * 0.25).round(),
                (h * 0.4).round(),
            );
            let until = n + self.random.u64(1..8);
            self.secrets.push_back(Secret { from: n, until, rect });
        }
    }

    fn secret(&self, n: u64) -> Option<Rect> {
        let shown = self.secrets.iter().find(|secret| (secret.from..secret.until).contains(&n));
        shown.map(|secret| secret.rect)
    }

    /// A browser that adapts to its network.
    fn resize(&mut self) -> anyhow::Result<()> {
        let half = (self.plan.size.0 / 2, self.plan.size.1 / 2);
        self.size = if self.size == half { self.plan.size } else { half };
        self.secrets.clear();
        self.source = Source::open(self.plan.codec, self.size)?;
        Ok(())
    }

    /// Through the decoding stage.
    fn take(&mut self, frame: &VideoFrame, secret: Option<Rect>) {
        let decoded = self.stage.take(frame);
        self.answer_source();
        if let Some(decoded) = decoded {
            self.guard.push(decoded.frame.clone());
            self.held.push_back((decoded, secret));
        }
    }

    /// The source answers what it was asked for, some frames later.
    fn answer_source(&mut self) -> u64 {
        let mut asked = 0;
        while self.upstream.try_recv().is_ok() {
            asked += 1;
            let at = self.n + self.random.u64(0..4);
            self.key_at.get_or_insert(at);
        }
        asked
    }

    /// Everything the release thread does until `now`.
    fn work(&mut self, now: Instant) {
        loop {
            match self.guard.poll(now) {
                Step::Analyse { index, .. } => self.answer(index, now),
                Step::Release { verdict, .. } => self.release(&verdict),
                Step::Wait(_) => return,
            }
        }
    }

    fn answer(&mut self, index: u64, now: Instant) {
        let Some(first) = self.held.front().map(|(decoded, _)| decoded.frame.index) else { return };
        let Some((decoded, secret)) = self.held.get((index - first) as usize) else { return };
        if let Some(rect) = *secret {
            self.output.prepare(&decoded.picture, decoded.codec, decoded.frame.due);
            let finding = Finding { class: "SECRET".into(), score: 0.9, rect };
            self.guard.answer(index, Ok(vec![finding]), now);
        } else {
            let late = self.trouble(400);
            let result = if late { Err(Failure::Late) } else { Ok(Vec::new()) };
            self.guard.answer(index, result, now);
        }
    }

    fn release(&mut self, verdict: &Verdict) {
        let Some((decoded, secret)) = self.held.pop_front() else { return };
        if self.viewer.stuck > 0 {
            self.viewer.stuck -= 1;
        } else {
            while self.outgoing.try_recv().is_ok() {}
            if self.trouble(300) {
                self.viewer.stuck = 3;
            }
        }
        self.output.show(&decoded, verdict, false);
        self.viewer.asked += self.count_asked();
        if self.viewer.stuck == 0 || self.viewer.stuck == 3 {
            while let Ok(frame) = self.outgoing.try_recv() {
                self.look(frame, &decoded, verdict, secret);
            }
            if self.viewer.stuck == 3 {
                // From here on the queue is full.
                let filler = Outgoing::Mute { source: crate::media::Source::Camera, muted: false };
                let _ = self.links.outgoing.try_send(filler);
            }
        }
    }

    fn count_asked(&mut self) -> u64 {
        let asked = self.answer_source();
        self.report.asked += asked;
        asked
    }

    /// The viewer looks at what came.
    fn look(&mut self, out: Outgoing, decoded: &Decoded, verdict: &Verdict, secret: Option<Rect>) {
        let Outgoing::Video { data, rtp_time, due, keyframe, .. } = out else { return };
        let report = &mut self.report;
        let forwarded = Arc::ptr_eq(&data, &decoded.data);
        if self.viewer.forwarding.replace(forwarded).is_some_and(|before| before != forwarded) {
            report.splices += 1;
            if forwarded {
                report.asked_most = report.asked_most.max(std::mem::take(&mut self.viewer.asked));
            }
        }
        report.shown += 1;
        report.forwarded += u64::from(forwarded);
        report.secret += u64::from(secret.is_some());
        let steps = |(source, out): (u64, u64)| {
            decoded.rtp_time.checked_sub(source) == rtp_time.checked_sub(out) && rtp_time > out
        };
        let before = self.viewer.rtp.replace((decoded.rtp_time, rtp_time));
        report.time_errors += u64::from(!before.is_none_or(steps));
        let frame = VideoFrame {
            codec: self.plan.codec,
            data,
            rtp_time,
            keyframe,
            contiguous: true,
            captured: due,
            arrived: due,
        };
        let Ok(Some(picture)) = self.viewer.decoder.decode(&frame) else {
            report.decoder_errors += 1;
            return;
        };
        if let Some(rect) = secret {
            report.leaked += u64::from(forwarded || contrast(&picture, rect) > INVISIBLE);
        } else if forwarded {
            report.altered += u64::from(!same(&picture, &decoded.picture));
        } else if matches!(verdict, Verdict::Clean) {
            report.unlike += u64::from(psnr(&picture, &decoded.picture) < ALIKE);
        }
    }
}

/// Whether two pictures are the same to the last sample.
fn same(a: &Picture, b: &Picture) -> bool {
    let rows = |(a, b): (crate::media::Plane<'_>, crate::media::Plane<'_>)| {
        (a.width, a.height) == (b.width, b.height) && (0..a.height).all(|y| a.row(y) == b.row(y))
    };
    a.planes().into_iter().zip(b.planes()).all(rows)
}

/// Likeness of luma over the common size, in decibels.
fn psnr(a: &Picture, b: &Picture) -> f64 {
    let (a, b) = (a.planes()[0], b.planes()[0]);
    let (mut squares, mut count) = (0_u64, 0_u64);
    for y in 0..a.height.min(b.height) {
        for (a, b) in a.row(y).iter().zip(b.row(y)) {
            squares += u64::from(a.abs_diff(*b)).pow(2);
            count += 1;
        }
    }
    10.0 * (255.0_f64.powi(2) * count as f64 / (squares as f64).max(1e-9)).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(codec: VideoCodec, trouble: bool) {
        let linger = Duration::from_millis(100);
        let plan = Plan { codec, splices: 150, size: (320, 192), linger, trouble, seed: 3 };
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
