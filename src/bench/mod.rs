//! `scrim bench`: what this machine bears, without LiveKit.
//!
//! ```text
//! clip ─► pictures ─► model (parity, runs by batch size) ─► detection under demand ─┐
//!     └─► frames, N streams at their own pace ─► pipeline ─► counted, timed ────────┴─► report
//! ```
//!
//! The streams are those of a server, threads and all; only the rooms are missing. What is measured
//! is therefore everything but the network, and `scrim load` measures that.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use crate::app;
use crate::censor::{Document, Policy};
use crate::config::Config;
use crate::detect::{DetectorStatus, Manifest, Role, Service};
use crate::load;
use crate::media::{Picture, clock};
use crate::runtime::Outcome;
use crate::telemetry::{Gpus, NoGpu};

mod clip;
mod decoders;
mod demand;
mod model;
mod options;
mod parity;
mod report;
mod streams;

pub use options::Options;

use report::{Machine, Report};

/// How long the threads of detection may take to end.
const END: std::time::Duration = std::time::Duration::from_secs(5);

/// Measures and prints.
pub async fn run(options: &Options, config: &Config) -> Outcome {
    let gpus = Gpus::open();
    if options.gpu
        && let Err(error) = &gpus
    {
        eprintln!("scrim bench: {error}");
        return Outcome::NoGpu;
    }
    match Box::pin(measure(options, config, gpus)).await {
        Ok(report) => {
            print!("{}", report.markdown());
            if report.problems.is_empty() { Outcome::Met } else { Outcome::Missed }
        }
        Err(error) => {
            eprintln!("scrim bench: {error:#}");
            Outcome::Unmeasured
        }
    }
}

async fn measure(
    options: &Options,
    config: &Config,
    gpus: Result<Gpus, NoGpu>,
) -> anyhow::Result<Report> {
    let clip = clip::read(options)?;
    let pictures: Arc<[Arc<Picture>]> = clip::pictures(&clip, options.pictures)?.into();
    let policy = policy(options, config)?;
    let manifest = Manifest::read(&config.detect.manifest)?;
    let chosen = manifest.choose(&config.detect.models).context("detect.models")?;
    let settings = app::detection(&config.detect);
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        machine: machine(&gpus),
        clip: facts(&clip),
        models: Vec::new(),
        demand: Vec::new(),
        decoders: Vec::new(),
        streams: Vec::new(),
        gpus_after: Vec::new(),
        problems: Vec::new(),
    };
    let regions = chosen.iter().filter(|entry| entry.recipe.finds_regions());
    for name in regions.map(|entry| entry.name.clone()) {
        eprintln!("{name} by itself");
        let (options, settings) = (options.clone(), settings.clone());
        let (manifest, pictures) = (manifest.clone(), pictures.clone());
        let measure = move || model::measure(&options, &settings, (&manifest, &name), &pictures);
        report.models.push(tokio::task::spawn_blocking(measure).await??);
    }
    let service = {
        let (settings, chosen) = (settings.clone(), chosen.clone());
        tokio::task::spawn_blocking(move || Service::start(&settings, &chosen, |_| ())).await??
    };
    let under_way = under_way(&service, settings.batch_size);
    let engines = app::open_engines(config).await?;
    report.decoders = decoders::measure(&clip, &engines)?;
    for rate in options.demand.clone() {
        eprintln!("detection alone, asked for {rate} pictures a second");
        let (service, pictures, span) = (service.clone(), pictures.clone(), options.seconds);
        let measure = move || demand::measure(&service, &pictures, (rate, under_way), span);
        report.demand.push(tokio::task::spawn_blocking(measure).await?);
    }
    let plan = streams::Plan {
        detect: service.clone(),
        clip,
        policy,
        engines,
        watch: app::watch(&config.pipeline),
        seconds: options.seconds,
    };
    for count in &options.streams {
        eprintln!("{count} streams");
        let streams = Box::pin(streams::measure(&plan, *count, gpus.as_ref().ok())).await?;
        report.streams.push(streams);
    }
    report.gpus_after = gpus.map(|gpus| gpus.read()).unwrap_or_default();
    tokio::task::spawn_blocking(move || service.stop(clock::now() + END)).await?;
    report.problems = problems(options, &report);
    write(options.json.as_deref(), || Ok(serde_json::to_string_pretty(&report)? + "\n"))?;
    write(options.markdown.as_deref(), || Ok(report.markdown()))?;
    Ok(report)
}

/// The rules of the streams: those of the options over those of the configuration.
fn policy(options: &Options, config: &Config) -> anyhow::Result<Arc<Policy>> {
    let mut rules = config.rules.clone();
    if let Some(text) = &options.rules {
        let above: Document = serde_json::from_str(text).context("--rules")?;
        rules = above.over(&rules);
    }
    Ok(Arc::new(rules.resolve()))
}

/// Requests that keep every worker busy: one that runs and one that waits, batches on a GPU.
fn under_way(service: &Service, batch: usize) -> usize {
    let status = service.status();
    let regions = status.iter().filter(|status| status.role == Role::Regions);
    let each = |status: &DetectorStatus| match status.provider.as_str() {
        "cuda" | "tensorrt" => 2 * status.workers * batch,
        _ => 2 * status.workers,
    };
    regions.map(each).max().unwrap_or(1).max(1)
}

/// What was out of bounds.
fn problems(options: &Options, report: &Report) -> Vec<String> {
    let mut problems = Vec::new();
    for model in &report.models {
        if let Some(parity) = &model.parity
            && !parity.within(options.min_iou, options.max_score_change)
        {
            let (model, against) = (&model.name, &options.against);
            problems.push(format!("{model}: its findings are not those of {against}"));
        }
    }
    for one in report.decoders.iter().filter(|one| one.different > 0) {
        let (engine, different, frames) = (&one.engine, one.different, one.frames);
        problems
            .push(format!("{engine}: {different} of {frames} pictures are not the processor's"));
    }
    for streams in report.streams.iter().filter(|one| one.unverified + one.dropped > 0) {
        let (count, unverified, dropped) = (streams.streams, streams.unverified, streams.dropped);
        problems.push(format!(
            "{count} streams: {unverified} frames had no verdict in time, {dropped} were dropped"
        ));
    }
    problems
}

fn machine(gpus: &Result<Gpus, NoGpu>) -> Machine {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name"));
    let processor =
        processor.map_or("unknown processor", |rest| rest.trim_matches([' ', '\t', ':']));
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = memory.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
    });
    let (driver, cuda) = gpus.as_ref().map_or((None, None), Gpus::versions);
    Machine {
        processor: processor.to_owned(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_mb: kilobytes.unwrap_or(0) >> 10,
        gpus: gpus.as_ref().map(Gpus::read).unwrap_or_default(),
        driver,
        cuda,
        no_gpu: gpus.as_ref().err().map(ToString::to_string),
    }
}

fn facts(clip: &load::Clip) -> report::Clip {
    report::Clip {
        codec: clip.codec.name(),
        width: clip.size.0,
        height: clip.size.1,
        fps: clip.rate.fps(),
        seconds: clip.length().as_secs_f64(),
        bits_per_second: clip.bitrate(),
    }
}

fn write(path: Option<&Path>, text: impl FnOnce() -> anyhow::Result<String>) -> anyhow::Result<()> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, text()?).with_context(|| format!("cannot write {}", path.display()))
}
