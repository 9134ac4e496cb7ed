//! The course of a measurement: streams up one by one, counted for a while, and taken down.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::future::join_all;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::api::{Api, ApiError};
use super::clip::Clip;
use super::demux;
use super::gather::{self, Sum};
use super::index::Index;
use super::options::{Options, OptionsError};
use super::process::Sample;
use super::progress::Progress;
use super::report::{Counts, Limit, Processes, Refusal, Report, ScrimFigures};
use super::scene::Scene;
use super::stream::{Common, Live};
use crate::livekit;
use crate::media::clock;
use crate::runtime::{Exit, Signals, Supervisor};

/// How long streams may take to bring their first picture.
const FIRST: Duration = Duration::from_secs(20);
/// How long streams run before they are counted, so that nobody counts their beginning.
const SETTLE: Duration = Duration::from_secs(2);
/// How long pictures may be under way after the last that counts was sent.
const UNDER_WAY: Duration = Duration::from_secs(4);
/// How often waiting looks again.
const LOOK: Duration = Duration::from_millis(100);
/// How long leaving all rooms may take.
const LEAVE: Duration = Duration::from_secs(10);
/// Pictures sent this late, at the 99th percentile, say more of the tool than of the server.
const LATE_MS: f64 = 20.0;
/// Keyframes further apart make viewers wait, and servers ask.
const GROUP: Duration = Duration::from_millis(2500);

/// A measurement under way.
struct Run<'a> {
    options: &'a Options,
    common: Common,
    tasks: Supervisor,
    /// Broadcasters stop sending.
    quiet: CancellationToken,
    /// Somebody wants it to end.
    interrupted: CancellationToken,
    progress: Progress,
    live: Vec<Live>,
    refusals: Vec<Refusal>,
}

/// What was looked at from outside while streams were counted.
struct Window {
    span: Duration,
    /// Scrim's `/streams` before and after.
    scrim: Option<(Value, Value)>,
    processes: Processes,
}

/// Measures.
///
/// # Errors
///
/// When there is nothing to measure: what is wrong, and what to do about it.
pub(super) async fn run(options: &Options, dev: bool, signals: Signals) -> anyhow::Result<Report> {
    let common = prepare(options, dev).await?;
    let mut tasks = Supervisor::new(CancellationToken::new());
    let interrupted = CancellationToken::new();
    let told = interrupted.clone();
    tasks.spawn("signals", |stop| watch_signals(signals, told, stop));
    let mut run = Run {
        options,
        common,
        tasks,
        quiet: CancellationToken::new(),
        interrupted,
        progress: Progress::new(),
        live: Vec::new(),
        refusals: Vec::new(),
    };
    run.ramp().await;
    let window = run.measure().await;
    let summaries = run.end().await;
    run.progress.clear();
    let report = run.report(window?, &summaries);
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&report)?;
        let failed = || format!("cannot write {}", path.display());
        tokio::fs::write(path, text + "\n").await.with_context(failed)?;
    }
    Ok(report)
}

/// Everything that can be wrong before the first stream starts.
async fn prepare(options: &Options, dev: bool) -> anyhow::Result<Common> {
    let credentials = options.credentials(dev)?;
    let (rules, prefix) = (options.rules()?, options.prefix()?);
    let api = match &options.api {
        Some(address) => Some(Api::new(address, options.token.clone())?),
        None => None,
    };
    for (option, pid) in [("--pid", options.pid), ("--livekit-pid", options.livekit_pid)] {
        if let Some(pid) = pid
            && Sample::take(pid, clock::now()).is_none()
        {
            return Err(OptionsError::NoProcess { option, pid }.into());
        }
    }
    livekit::check(&credentials).await.context("start LiveKit, or name it with --url")?;
    if let Some(api) = &api {
        api.streams().await?;
    }
    let (file, scene) = (options.file.clone(), scene(options));
    let clip = tokio::task::spawn_blocking(move || match file {
        Some(file) => demux::read(&file),
        None => scene.clip(),
    })
    .await??;
    let clip: Arc<Clip> = Arc::new(clip);
    let index = Arc::new(Index::new(Arc::clone(&clip)));
    let (viewers, sound) = (options.viewers_per_stream as usize, options.sound);
    Ok(Common { clip, index, credentials, api, rules, prefix, viewers, sound })
}

fn scene(options: &Options) -> Scene {
    Scene { codec: options.codec.into(), keyframe_every: options.keyframe_every.as_secs_f64() }
}

async fn watch_signals(
    mut signals: Signals,
    told: CancellationToken,
    stop: CancellationToken,
) -> Exit {
    tokio::select! {
        () = stop.cancelled() => return Exit::Cancelled,
        _ = signals.next() => told.cancel(),
    }
    tokio::select! {
        () = stop.cancelled() => Exit::Cancelled,
        never = signals.exit_on_next() => match never {},
    }
}

impl Run<'_> {
    /// Starts the streams one after the other.
    async fn ramp(&mut self) {
        let begin = clock::now();
        for number in 1..=self.options.streams {
            let slot = begin + self.options.ramp.saturating_mul(number - 1);
            if !self.sleep_until(slot).await {
                return;
            }
            match self.common.start(number, &mut self.tasks, &self.quiet).await {
                Ok(live) => self.live.push(live),
                Err(error) => self.refused(number, &error),
            }
            let line = self.line("starting");
            self.progress.show(&line, clock::now());
        }
    }

    fn refused(&mut self, stream: u32, error: &ApiError) {
        let reason = error.to_string();
        self.progress.say(&format!("refused at stream {stream}: {reason}"));
        self.refusals.push(Refusal { stream, reason });
    }

    /// Waits until every viewer has pictures, then counts for as long as was asked.
    async fn measure(&mut self) -> anyhow::Result<Window> {
        anyhow::ensure!(!self.live.is_empty(), "no stream could be started");
        let patience = clock::now() + FIRST;
        while clock::now() < patience && self.delivered() < self.live.len() {
            anyhow::ensure!(
                self.pause("first pictures").await,
                "interrupted before it was counted"
            );
        }
        let settled = clock::now() + SETTLE;
        while clock::now() < settled {
            anyhow::ensure!(self.pause("settling").await, "interrupted before it was counted");
        }
        let before = self.scrim().await?;
        let samples = self.samples();
        let begin = clock::now();
        for live in &mut self.live {
            let next = {
                let mut sends = live.channel.sends();
                sends.forget_lateness();
                sends.next()
            };
            live.window.0 = next;
            live.channel.tallies().for_each(|mut tally| tally.open(next, begin));
        }
        let end = begin + self.options.seconds;
        while clock::now() < end {
            let left = (end - clock::now()).as_secs() + 1;
            if !self.pause(&format!("{left} s left")).await {
                break;
            }
        }
        let (now, after_samples) = (clock::now(), self.samples());
        for live in &mut self.live {
            let next = live.channel.sends().next();
            live.window.1 = next;
            live.channel.tallies().for_each(|mut tally| tally.close(next, now));
        }
        let late = now + UNDER_WAY;
        while clock::now() < late && !self.complete() {
            tokio::time::sleep(LOOK).await;
        }
        let scrim = before.zip(self.scrim().await?);
        let processes = used(&samples, &after_samples);
        Ok(Window { span: now - begin, scrim, processes })
    }

    /// Takes everything down: what Scrim says of each stream.
    async fn end(&mut self) -> Vec<Option<Value>> {
        self.quiet.cancel();
        let summaries = match &self.common.api {
            Some(api) => join_all(self.live.iter().map(|live| end(api, live))).await,
            None => Vec::new(),
        };
        let stuck = self.tasks.shut_down(LEAVE).await;
        if !stuck.is_empty() {
            self.progress.say(&format!("did not leave in time: {}", stuck.join(", ")));
        }
        if self.common.api.is_none() {
            let clear = |live| livekit::delete_empty_rooms(&self.common.credentials, live);
            join_all(self.live.iter().map(|live| clear(&live.room))).await;
        }
        summaries
    }

    fn report(&self, window: Window, summaries: &[Option<Value>]) -> Report {
        let mut sum = Sum::default();
        let streams = self.live.iter().enumerate().map(|(index, live)| {
            let summary = summaries.get(index).cloned().flatten();
            let scrim = scrim_figures(live, window.scrim.as_ref(), summary);
            sum.stream(live, window.span, scrim)
        });
        let per_stream = streams.collect();
        let mut report = Report {
            url: self.options.url.clone(),
            api: self.options.api.clone(),
            seconds: (window.span.as_secs_f64() * 100.0).round() / 100.0,
            interrupted: self.interrupted.is_cancelled(),
            clip: gather::facts(&self.common.clip),
            viewers_per_stream: self.options.viewers_per_stream,
            streams: Counts {
                asked: self.options.streams,
                started: self.live.len() as u32,
                refused: self.refusals.len() as u32,
                delivered: self.delivered() as u32,
            },
            refusals: self.refusals.clone(),
            total: sum.total(),
            per_stream,
            processes: window.processes,
            limits: Vec::new(),
            met: false,
            warnings: Vec::new(),
        };
        report.limits = limits(self.options, &report);
        report.met = report.streams.delivered == report.streams.asked
            && report.limits.iter().all(|limit| limit.met);
        report.warnings = warnings(&self.common.clip, &report);
        report
    }

    /// Streams of which every viewer has seen a picture.
    fn delivered(&self) -> usize {
        let seen = |live: &&Live| live.channel.tallies().all(|tally| tally.seen() > 0);
        self.live.iter().filter(seen).count()
    }

    /// Whether everything that was sent has arrived.
    fn complete(&self) -> bool {
        self.live.iter().all(|live| {
            let sent = live.window.1 - live.window.0;
            live.channel.tallies().all(|tally| tally.counted().received() >= sent)
        })
    }

    /// What Scrim has counted so far; `None` without one.
    async fn scrim(&self) -> Result<Option<Value>, ApiError> {
        match &self.common.api {
            Some(api) => api.streams().await.map(Some),
            None => Ok(None),
        }
    }

    fn samples(&self) -> [Option<Sample>; 3] {
        let pids = [self.options.pid, self.options.livekit_pid, Some(std::process::id())];
        pids.map(|pid| pid.and_then(|pid| Sample::take(pid, clock::now())))
    }

    /// Shows where it stands and waits a little; false when somebody wants it to end.
    async fn pause(&mut self, phase: &str) -> bool {
        let line = self.line(phase);
        self.progress.show(&line, clock::now());
        self.sleep_until(clock::now() + Duration::from_millis(500)).await
    }

    async fn sleep_until(&self, when: Instant) -> bool {
        tokio::select! {
            biased;
            () = self.interrupted.cancelled() => false,
            () = tokio::time::sleep_until(when.into()) => true,
        }
    }

    fn line(&self, phase: &str) -> String {
        let mut recent: Vec<u32> = Vec::new();
        for live in &self.live {
            live.channel.tallies().for_each(|mut tally| recent.extend(tally.take_recent()));
        }
        recent.sort_unstable();
        let p95 = recent.get(recent.len() * 95 / 100).map_or_else(
            || "no pictures".to_owned(),
            |micros| format!("p95 {:.1} ms", f64::from(*micros) / 1e3),
        );
        let (up, asked) = (self.delivered(), self.options.streams);
        let refused = match self.refusals.len() {
            0 => String::new(),
            refused => format!(", {refused} refused"),
        };
        format!("{up}/{asked} streams{refused} · {p95} · {phase}")
    }
}

async fn end(api: &Api, live: &Live) -> Option<Value> {
    let ended = api.end(live.stream_id.as_deref()?).await;
    ended.map_err(|error| live.channel.problem(format!("cannot be ended: {error}"))).ok()
}

fn scrim_figures(
    live: &Live,
    pages: Option<&(Value, Value)>,
    summary: Option<Value>,
) -> Option<ScrimFigures> {
    let ((before, after), id) = pages.zip(live.stream_id.as_deref())?;
    let frames = gather::frames_between(before, after, id).unwrap_or_default();
    Some(ScrimFigures { frames, summary: summary.unwrap_or_default() })
}

fn used(before: &[Option<Sample>; 3], after: &[Option<Sample>; 3]) -> Processes {
    let usage = |index: usize| Some(after[index].as_ref()?.since(before[index].as_ref()?));
    Processes { scrim: usage(0), livekit: usage(1), load: usage(2) }
}

fn limits(options: &Options, report: &Report) -> Vec<Limit> {
    let fps = options.min_fps.map(|limit| Limit::at_least("minFps", limit, report.worst_fps()));
    let p95 = options.max_p95_ms.map(|limit| Limit::at_most("maxP95Ms", limit, report.worst_p95()));
    let unverified = options.max_unverified.map(|limit| {
        let value = report.unverified().map(|frames| frames as f64);
        Limit::at_most("maxUnverified", limit as f64, value)
    });
    [fps, p95, unverified].into_iter().flatten().collect()
}

fn warnings(clip: &Clip, report: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    if report.total.send_late_ms.p99.is_some_and(|late| late > LATE_MS) {
        warnings.push(
            "pictures were sent late: this machine has no processor left for the tool, and its \
             figures are those of both"
                .to_owned(),
        );
    }
    let group = clip.longest_group();
    if group > GROUP {
        warnings.push(format!(
            "keyframes are up to {:.1} s apart, and nobody can make one that a viewer asks for: \
             ffmpeg -i CLIP -c:v libx264 -bf 0 -g 60 OUT.mp4",
            group.as_secs_f64()
        ));
    }
    if report.total.reconnects > 0 {
        warnings.push(format!("{} connections were lost and remade", report.total.reconnects));
    }
    warnings
}
