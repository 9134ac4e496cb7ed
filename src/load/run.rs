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
use super::index::Index;
use super::judge::{self, Course, Window};
use super::options::{Options, OptionsError};
use super::process::Sample;
use super::progress::Progress;
use super::report::{Processes, Refusal, Report};
use super::scene::Scene;
use super::stream::{Common, Live};
use crate::livekit;
use crate::media::clock;
use crate::runtime::{Exit, Signals, Supervisor};

/// How long streams may take to bring their first picture.
const FIRST: Duration = Duration::from_secs(20);
/// How long pictures may be under way after the last that counts was sent.
const UNDER_WAY: Duration = Duration::from_secs(4);
/// How often waiting looks again.
const LOOK: Duration = Duration::from_millis(100);
/// How long leaving all rooms may take.
const LEAVE: Duration = Duration::from_secs(10);

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
    let report = judge::report(&run.course(), &window?, &summaries);
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
    /// What the report is about.
    fn course(&self) -> Course<'_> {
        Course {
            options: self.options,
            clip: &self.common.clip,
            live: &self.live,
            refusals: &self.refusals,
            interrupted: self.interrupted.is_cancelled(),
        }
    }

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

    /// Counts for as long as was asked, once every stream runs.
    async fn measure(&mut self) -> anyhow::Result<Window> {
        anyhow::ensure!(!self.live.is_empty(), "no stream could be started");
        anyhow::ensure!(self.settle().await, "interrupted before anything was counted");
        let scrim_before = self.scrim().await?;
        let samples_before = self.samples();
        let begin = clock::now();
        self.live.iter_mut().for_each(|live| live.open(begin));
        let end = begin + self.options.seconds;
        while clock::now() < end {
            let left = (end - clock::now()).as_secs() + 1;
            if !self.pause(&format!("{left} s left")).await {
                break;
            }
        }
        let (now, samples) = (clock::now(), self.samples());
        self.live.iter_mut().for_each(|live| live.close(now));
        let late = now + UNDER_WAY;
        while clock::now() < late && !self.live.iter().all(Live::complete) {
            tokio::time::sleep(LOOK).await;
        }
        // A Scrim that does not answer any more has still been measured.
        let scrim_after = self.scrim().await.unwrap_or_else(|error| {
            self.progress.say(&error.to_string());
            None
        });
        let scrim = scrim_before.zip(scrim_after);
        let processes = used(&samples_before, &samples);
        Ok(Window { span: now - begin, scrim, processes })
    }

    /// Waits until every viewer has pictures, and then some time; false when somebody wants it to
    /// end.
    async fn settle(&mut self) -> bool {
        let patience = clock::now() + FIRST;
        while clock::now() < patience && !self.live.iter().all(Live::delivered) {
            if !self.pause("first pictures").await {
                return false;
            }
        }
        let settled = clock::now() + self.options.settle;
        while clock::now() < settled {
            if !self.pause("settling").await {
                return false;
            }
        }
        true
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
        let up = self.live.iter().filter(|live| live.delivered()).count();
        let asked = self.options.streams;
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

fn used(before: &[Option<Sample>; 3], after: &[Option<Sample>; 3]) -> Processes {
    let usage = |index: usize| Some(after[index].as_ref()?.since(before[index].as_ref()?));
    Processes { scrim: usage(0), livekit: usage(1), load: usage(2) }
}
