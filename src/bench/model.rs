//! One model by itself: the same findings as elsewhere, and how long runs take.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::Options;
use super::parity::Parity;
use super::report::{Batch, Model};
use crate::detect::{self, Detector, Finding, Manifest, Opened};
use crate::load::Latencies;
use crate::media::{Picture, clock};

/// Runs before those that count.
const WARM_UP: usize = 5;
/// Most runs of one batch size.
const RUNS: usize = 2_000;

/// Measures the region detector `name` as configured. Blocks for minutes.
///
/// # Errors
///
/// When it cannot be opened, or a run fails.
pub(super) fn measure(
    options: &Options,
    config: &detect::Config,
    (manifest, name): (&Manifest, &str),
    pictures: &[Arc<Picture>],
) -> anyhow::Result<Model> {
    let mut opened = open(config, manifest, name)?;
    let parity = if opened.provider == options.against {
        None
    } else {
        let other = detect::Config { providers: vec![options.against.clone()], ..config.clone() };
        let mut other = open(&other, manifest, name)?;
        let expected = look(&mut *other.detector, pictures, 1)?;
        let found = look(&mut *opened.detector, pictures, config.batch_size.max(1))?;
        Some(Parity::of(&expected, &found))
    };
    let sizes = options.batches.iter().map(|size| size.get() as usize);
    // A session is prepared for batches up to the configured size.
    let sizes = sizes.filter(|size| !opened.batches || *size <= config.batch_size.max(1));
    let mut batches = Vec::new();
    for size in sizes {
        batches.push(time(&mut *opened.detector, pictures, size, options.seconds)?);
    }
    Ok(Model { name: name.to_owned(), provider: opened.provider, parity, batches })
}

fn open(config: &detect::Config, manifest: &Manifest, name: &str) -> anyhow::Result<Opened> {
    let opened = detect::open(config, manifest, name)?;
    if let Some(reason) = &opened.fallback {
        bail!("{name} fell back to {}: {reason}", opened.provider);
    }
    Ok(opened)
}

fn look(
    detector: &mut dyn Detector,
    pictures: &[Arc<Picture>],
    batch: usize,
) -> anyhow::Result<Vec<Vec<Finding>>> {
    let mut findings = Vec::with_capacity(pictures.len());
    for batch in pictures.chunks(batch) {
        findings.extend(detector.detect(batch).context("a run of the model")?);
    }
    Ok(findings)
}

/// Runs of `size` pictures for `span`, preparation and decoding of the output included.
fn time(
    detector: &mut dyn Detector,
    pictures: &[Arc<Picture>],
    size: usize,
    span: Duration,
) -> anyhow::Result<Batch> {
    let mut latencies = Latencies::default();
    let batch = |n: usize| -> Vec<_> {
        (0..size).map(|i| pictures[(n * size + i) % pictures.len()].clone()).collect()
    };
    for n in 0..WARM_UP {
        detector.detect(&batch(n)).context("a run of the model")?;
    }
    let began = clock::now();
    let mut runs = 0;
    while runs < RUNS && began.elapsed() < span {
        let batch = batch(runs);
        let start = clock::now();
        detector.detect(&batch).context("a run of the model")?;
        latencies.record(start.elapsed());
        runs += 1;
    }
    let pictures_per_second = (runs * size) as f64 / began.elapsed().as_secs_f64();
    Ok(Batch { size, runs, run_ms: latencies.percentiles(), pictures_per_second })
}
