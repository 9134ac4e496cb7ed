//! Splices forwarded and encoded frames by the thousand before a real browser: see
//! `scripts/soak-chromium`.
//!
//! `soak_chromium [SPLICES] [STREAMS]`: whole streams over a livekit-server of its own, half of
//! them H.264 and half VP8, with made-up verdicts; Chromium watches all of them. Prints a line of
//! JSON a codec, and fails when one is not good. Interrupted, or when the page is gone, it reports
//! what there is.

#![allow(clippy::disallowed_methods, reason = "outside the server, where nobody supervises")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use scrim::censor::Document;
use scrim::media::VideoCodec;
use scrim::pipeline::{Watch, hooks};
use scrim::session::{Limits, Load, Manager, Registry, Settings};
use scrim::telemetry::Metrics;
use scrim::{detect, track};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use browser::{Browser, Report};
use outcome::{Outcome, Part};
use scene::{Phase, Reader};
use stream::Stream;
use support::server::Server;

mod browser;
mod outcome;
mod scene;
mod stream;
#[allow(unreachable_pub, missing_docs, dead_code)]
#[path = "../../tests/support/mod.rs"]
mod support;

/// A tenth of the default: what bounds splices is then how often a source may be asked for a
/// keyframe.
const LINGER: Duration = Duration::from_millis(200);
/// How long the browser may take to show every stream.
const START: Duration = Duration::from_secs(60);
/// How long the pattern is shown bare, and how long everything rests after it and at the end.
const BARE: Duration = Duration::from_secs(2);
const REST: Duration = Duration::from_secs(3);
/// Pictures of a stream with the bare pattern that the page must have seen.
const BARE_SEEN: u64 = 15;
/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(15);
/// How long a stream may go without a splice.
const STALL: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .init();
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<u64>());
    let splices = numbers.next().unwrap_or(Ok(10_000))?;
    let count = numbers.next().unwrap_or(Ok(4))?;
    anyhow::ensure!(count >= 2, "two streams at least: one for each codec");
    hooks::set_linger(LINGER);
    let (phase, phases) = watch::channel(Phase::Quiet);
    let server = Server::start().await;
    let manager = scrim(&server, &phases)?;
    let mut streams = Vec::new();
    for index in 0..usize::try_from(count)? {
        streams.push(Stream::start(&server, &manager, &phases, index).await?);
    }
    let tickets: anyhow::Result<Vec<_>> = streams.iter().map(|s| s.ticket(&server)).collect();
    let page = serde_json::json!({ "scene": scene::geometry(), "streams": tickets? });
    let mut soak = Soak { browser: Browser::open(page).await?, phase, streams };
    let run = soak.run(splices).await?;
    let good = soak.report(&run, &manager).await?;
    anyhow::ensure!(good, "not everything was good");
    Ok(())
}

/// Scrim over the detector that reads marks.
fn scrim(server: &Server, phases: &watch::Receiver<Phase>) -> anyhow::Result<Manager> {
    let config = detect::Config { workers: 1, ..detect::Config::default() };
    let model = Arc::new(Reader(phases.clone()));
    let service = detect::Service::start_with(&config, vec![model], |_| ())?;
    let settings = Settings {
        credentials: server.credentials(),
        watch: Watch { max_gap: Duration::from_millis(200), track: track::Config::default() },
        rules: serde_json::from_str::<Document>(
            r#"{"classes": {"SECRET": {"threshold": 0.5, "action": "solid"}}, "delayMs": 200}"#,
        )?,
        enabled: true,
        // Whatever else runs on this machine: no stream is refused.
        limits: Limits { max_cpu: 0.0, max_streams: 0, stream_cpu: 0.1, looks: 5.0 },
        tracer: scrim::telemetry::trace::Tracer::default(),
        thumbnails: None,
        engines: scrim::media::Engines::default(),
    };
    let metrics = Metrics::new(&mut prometheus_client::registry::Registry::default());
    let (events, load) = (broadcast::channel(16).0, watch::channel(Load::default()).1);
    let (manager, registry) = Registry::new(settings, service, metrics, events, load);
    tokio::spawn(registry.run(CancellationToken::new()));
    Ok(manager)
}

struct Soak {
    browser: Browser,
    phase: watch::Sender<Phase>,
    streams: Vec<Stream>,
}

/// What the page said as the soak began, and after it.
struct Run {
    before: Report,
    after: Report,
    took: Duration,
    /// Whether nothing went wrong on the way.
    whole: bool,
}

impl Soak {
    async fn run(&mut self, splices: u64) -> anyhow::Result<Run> {
        tokio::time::timeout(START, self.shown())
            .await
            .context("the page does not show it all")??;
        self.check_page().await?;
        for stream in &self.streams {
            stream.begin();
        }
        let before = self.browser.after(Instant::now()).await?;
        let began = Instant::now();
        self.phase.send_replace(Phase::Soak);
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let end = tokio::select! {
            done = self.splice(splices) => done,
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
        };
        let took = began.elapsed();
        self.phase.send_replace(Phase::Cut);
        // What is on its way arrives, so that nothing is counted as received and not decoded.
        let after = match &end {
            Ok(()) => self.browser.after(Instant::now() + REST).await?,
            Err(error) => {
                eprintln!("ended early, {error:#}; up to then:");
                self.browser.last()
            }
        };
        Ok(Run { before, after, took, whole: end.is_ok() })
    }

    /// Waits until every stream is shown, and forwarded.
    async fn shown(&mut self) -> anyhow::Result<()> {
        loop {
            let report = self.browser.next().await?;
            let shown = report.reports.iter().filter(|view| view.seen.unmarked > 30).count();
            let forwarded = |stream: &Stream| stream.tally().forwarding == Some(true);
            if shown == self.streams.len() && self.streams.iter().all(forwarded) {
                return Ok(());
            }
        }
    }

    /// Whether the page would see a leak: shows it one.
    async fn check_page(&mut self) -> anyhow::Result<()> {
        let before = self.browser.next().await?;
        self.phase.send_replace(Phase::Bare);
        tokio::time::sleep(BARE).await;
        self.phase.send_replace(Phase::Quiet);
        let after = self.browser.after(Instant::now() + REST).await?;
        for (index, (was, is)) in before.reports.iter().zip(&after.reports).enumerate() {
            let (marked, leaks) =
                (is.seen.marked - was.seen.marked, is.seen.leaks - was.seen.leaks);
            anyhow::ensure!(
                marked.min(leaks) >= BARE_SEEN,
                "stream {index}: of a pattern in the clear the page saw {leaks} pictures and \
                 {marked} marks"
            );
        }
        Ok(())
    }

    /// Until so many splices are done.
    async fn splice(&mut self, splices: u64) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut told = began;
        let mut moved = vec![(0, began); self.streams.len()];
        loop {
            let report = self.browser.next().await?;
            let now = Instant::now();
            for (index, (stream, moved)) in self.streams.iter().zip(&mut moved).enumerate() {
                let tally = stream.tally();
                if tally.splices != moved.0 {
                    *moved = (tally.splices, now);
                }
                let still = now - moved.1;
                anyhow::ensure!(still < STALL, "stream {index} is not spliced any more: {tally:?}");
            }
            let done: u64 = self.streams.iter().map(|stream| stream.tally().splices).sum();
            if done >= splices {
                return Ok(());
            }
            if now - told >= PROGRESS {
                told = now;
                let freezes: u64 = report.reports.iter().map(|v| v.rtp.freeze_count).sum();
                let plis: u64 = report.reports.iter().map(|v| v.rtp.pli_count).sum();
                let seconds = began.elapsed().as_secs();
                eprintln!("{done} splices in {seconds} s; freezes {freezes}, PLIs {plis}");
            }
        }
    }

    /// Ends the streams and says what came of them; whether all is good.
    async fn report(self, run: &Run, manager: &Manager) -> anyhow::Result<bool> {
        let seconds = run.took.as_secs_f64();
        let mut outcomes =
            [VideoCodec::H264, VideoCodec::Vp8].map(|codec| (codec, Outcome::new(codec, seconds)));
        let views = run.before.reports.iter().zip(&run.after.reports);
        for (stream, (before, after)) in self.streams.into_iter().zip(views) {
            let (codec, tally) = (stream.codec, stream.tally());
            let statistics = stream.end(manager).await?;
            let part = Part { tally, statistics: &statistics, before, after };
            if let Some((_, outcome)) = outcomes.iter_mut().find(|(of, _)| *of == codec) {
                outcome.add(&part);
            }
        }
        for (_, outcome) in &outcomes {
            eprintln!("{}", outcome.line());
            println!("{}", serde_json::to_string(outcome)?);
        }
        Ok(run.whole && outcomes.iter().all(|(_, outcome)| outcome.is_good()))
    }
}
