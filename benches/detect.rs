//! What a look at one picture costs, finding and reading text too, and how much of it is ours.
//!
//! `SCRIM_ONNXRUNTIME` and `SCRIM_MODELS` say where the library and the model lie (default as
//! in the product), `SCRIM_PROVIDERS` what runs it (`openvino,cpu`). Compare `prepare` with `read`
//! (the same planes, read once), `detect`, `find` and `read` with `session` (the model alone on the
//! processor's own kernels), and `service` with `detect` (the queue and the threads).

use std::hint::black_box;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use scrim::detect::bench::{Maps, Preparation, Queue, Raw, Text, noise};
use scrim::detect::text::Quad;
use scrim::detect::{Config, Failure, Finding, Manifest, Need, Request, Service, Shape};
use scrim::media::{Picture, Rect, clock};
use scrim::telemetry::Usage;

const FRAMES: [(u32, u32); 4] = [(640, 360), (854, 480), (1280, 720), (1920, 1080)];

fn config() -> Config {
    let mut config = Config::default();
    if let Some(path) = std::env::var_os("SCRIM_ONNXRUNTIME") {
        config.onnxruntime = path.into();
    }
    if let Some(path) = std::env::var_os("SCRIM_MODELS") {
        config.models_dir = path.into();
    }
    if let Ok(providers) = std::env::var("SCRIM_PROVIDERS") {
        config.providers = providers.split(',').map(str::to_owned).collect();
    }
    config
}

/// Reads every sample once: what memory alone costs.
fn read(picture: &Picture) -> u32 {
    let planes = picture.planes();
    let rows = planes.iter().flat_map(|plane| (0..plane.height).map(|y| plane.row(y)));
    rows.map(|row| row.iter().map(|&v| u32::from(v)).sum::<u32>()).fold(0, u32::wrapping_add)
}

fn prepare(c: &mut Criterion) {
    for (width, height) in FRAMES {
        let picture = noise(width, height);
        let size = format!("{width}x{height}");
        c.bench_function(&format!("read/{size}"), |b| b.iter(|| read(black_box(&picture))));
        for shape in [Shape::Rectangular, Shape::Square] {
            let config = Config { shape, ..Config::default() };
            let mut preparation = Preparation::new((width, height), &config);
            let name = format!("prepare/{size}/{shape:?}").to_lowercase();
            c.bench_function(&name, |b| {
                b.iter(|| black_box(preparation.run(black_box(&picture)))[0]);
            });
        }
    }
}

fn queue(c: &mut Criterion) {
    for waiting in [16, 127] {
        let mut queue = Queue::new(waiting);
        c.bench_function(&format!("queue/step/{waiting}"), |b| b.iter(|| queue.step()));
    }
}

fn model(c: &mut Criterion) {
    let config = config();
    let manifest = Manifest::builtin().expect("a checked manifest");
    let entry = &manifest.models[0];
    let picture = noise(1280, 720);
    let mut group = c.benchmark_group("model");
    group.sample_size(40);
    for (shape, height) in [(Shape::Rectangular, 192), (Shape::Square, 320)] {
        let config = Config { shape, ..config.clone() };
        let mut detector = scrim::detect::open(&config, &manifest, &entry.name)
            .unwrap_or_else(|error| panic!("{error}"))
            .detector;
        let mut raw = Raw::open(&config, &config.models_dir.join(&entry.file)).expect("opened");
        let mut preparation = Preparation::new((1280, 720), &config);
        let tensor = preparation.run(&picture).to_vec();
        group.bench_function(format!("session/320x{height}"), |b| {
            b.iter(|| raw.run([1, 3, height, 320], &tensor).expect("a run"));
        });
        let pictures = [picture.clone()];
        group.bench_function(format!("detect/320x{height}"), |b| {
            b.iter(|| detector.detect(&pictures).expect("a run"));
        });
    }
    let config = Config { workers: 1, ..config };
    let service = Service::start(&config, &manifest.models[..1], |_| {}).expect("started");
    group.bench_function("service/320x192", |b| {
        b.iter(|| ask(&service, &picture).expect("findings"));
    });
    processor_time(&service, &picture);
    service.stop(clock::now() + Duration::from_secs(5));
}

/// Finding and reading against their sessions alone; `lines` is what comes after the finder.
fn text(c: &mut Criterion) {
    let config = config();
    let manifest = Manifest::builtin().expect("a checked manifest");
    let [_, finder, reader] = manifest.models.as_slice() else { panic!("three models") };
    let raw = |file: &std::path::Path| Raw::open(&config, &config.models_dir.join(file));
    let mut text = Text::open(&config, &manifest.models).unwrap_or_else(|error| panic!("{error}"));
    let picture = noise(1280, 720);
    let mut group = c.benchmark_group("text");
    group.sample_size(20);
    let mut session = raw(&finder.file).expect("opened");
    for (scale, width, height) in [(0.5, 640, 384), (0.75, 960, 544), (1.0, 1280, 736)] {
        let tensor = vec![0.1; 3 * width * height];
        group.bench_function(format!("session/{width}x{height}"), |b| {
            b.iter(|| session.run([1, 3, height, width], &tensor).expect("a run"));
        });
        group.bench_function(format!("find/{width}x{height}"), |b| {
            b.iter(|| text.find(&picture, scale).expect("a run"));
        });
    }
    let mut session = raw(&reader.file).expect("opened");
    for width in [160, 320, 640] {
        let tensor = vec![0.1; 3 * 48 * width];
        group.bench_function(format!("session/{width}x48"), |b| {
            b.iter(|| session.run([1, 3, 48, width], &tensor).expect("a run"));
        });
        let quad = Quad::from(Rect::new(40.0, 40.0, width as f32 / 2.0, 24.0));
        group.bench_function(format!("read/{width}x48"), |b| {
            b.iter(|| text.read(&picture, quad).expect("a run"));
        });
    }
    for (name, noise) in [("written", 0), ("noise", 300)] {
        let mut maps = Maps::new((1280, 736), noise);
        group.bench_function(format!("lines/{name}/1280x736"), |b| b.iter(|| maps.run()));
    }
}

/// Processor time of a look, which other programs hardly change; and whether the threads of
/// detection do it all, as admission supposes.
fn processor_time(service: &Service, picture: &Arc<Picture>) {
    const LOOKS: u32 = 200;
    let before = Usage::read();
    (0..LOOKS).for_each(|_| drop(ask(service, picture).expect("findings")));
    let after = Usage::read();
    let each = |from: f64, to: f64| (to - from) / f64::from(LOOKS) * 1e3;
    println!(
        "processor time a look: {:.2} ms, {:.2} of it in the threads of detection",
        each(before.own, after.own),
        each(before.detection, after.detection),
    );
}

/// There and back through the queue and the worker's thread.
fn ask(service: &Service, picture: &Arc<Picture>) -> Result<Vec<Finding>, Failure> {
    let (answers, answered) = mpsc::channel();
    service.submit(Request {
        stream: 1,
        picture: picture.clone(),
        deadline: clock::now() + Duration::from_secs(5),
        need: Need::Required,
        reply: Box::new(move |answer| {
            let _ = answers.send(answer.result);
        }),
    });
    answered.recv().unwrap_or(Err(Failure::Closed))
}

criterion_group!(benches, prepare, queue, model, text);
criterion_main!(benches);
