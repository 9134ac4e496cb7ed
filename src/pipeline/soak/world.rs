//! Everything between the source's camera and the viewer, turned frame by frame.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::sync::mpsc;

use super::links::{Ends, links};
use super::source::Source;
use super::viewer::{Released, Viewer};
use super::{Plan, Report};
use crate::censor::Document;
use crate::detect::{Failure, Finding};
use crate::livekit::{Outgoing, UpstreamCommand};
use crate::media::clock::{self, Rebase};
use crate::media::decode::Decoder;
use crate::media::{Rect, VideoFrame};
use crate::pipeline::decode::{self, Decoded};
use crate::pipeline::guard::{Guard, Step, Verdict};
use crate::pipeline::output::Output;
use crate::pipeline::{Links, Spec, Timeline, Watch, release, switch};

/// Time between two frames.
const FRAME: Duration = Duration::from_micros(33_333);
/// Frames between two secrets that are no neighbours: more than between two looks.
const APART: u64 = 12;

/// A stretch of frames with something to be covered.
#[derive(Clone, Copy, Debug)]
struct Secret {
    from: u64,
    until: u64,
    rect: Rect,
}

pub(super) struct World {
    plan: Plan,
    random: Rng,
    start: Instant,
    /// Frames of the source so far.
    pub(super) n: u64,
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
    pub(super) links: Links,
    outgoing: mpsc::Receiver<Outgoing>,
    upstream: mpsc::Receiver<UpstreamCommand>,
    viewer: Viewer,
    /// The publisher takes nothing more for so many frames.
    stuck: u32,
    pub(super) report: Report,
}

impl World {
    pub(super) fn new(plan: Plan) -> anyhow::Result<Self> {
        let rules =
            r#"{"classes": {"SECRET": {"threshold": 0.5, "action": "solid"}}, "delayMs": 200}"#;
        let rules: Document = serde_json::from_str(rules)?;
        let policy = Arc::new(rules.resolve());
        let start = clock::now();
        let Ends { links, outgoing, upstream } = links(&policy)?;
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
            viewer: Viewer::new(Decoder::open(plan.codec)?),
            stuck: 0,
            report: Report { codec: plan.codec.name(), trouble: plan.trouble, ..Report::default() },
            plan,
        })
    }

    /// One in `odds`, in a plan with trouble.
    fn trouble(&mut self, odds: u32) -> bool {
        self.plan.trouble && self.random.u32(..odds) == 0
    }

    /// One frame of the source, and everything that is due until it comes.
    pub(super) fn turn(&mut self) -> anyhow::Result<()> {
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
        let apart = if self.plan.adjacent { 0 } else { APART };
        if !forwarding || self.secrets.back().is_some_and(|secret| secret.until + apart > n) {
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
        if self.stuck > 0 {
            self.stuck -= 1;
        } else {
            while self.outgoing.try_recv().is_ok() {}
            if self.trouble(300) {
                self.stuck = 3;
            }
        }
        self.output.show(&decoded, verdict, false);
        self.viewer.asked += self.count_asked();
        if self.stuck == 0 || self.stuck == 3 {
            let released = Released { decoded: &decoded, verdict, secret };
            while let Ok(frame) = self.outgoing.try_recv() {
                self.viewer.look(frame, &released, &mut self.report);
            }
            if self.stuck == 3 {
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
}
