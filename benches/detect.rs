//! What a look at one picture costs, and how much of it is ours.
//!
//! `SCRIM_ONNXRUNTIME` and `SCRIM_MODELS` say where the library and the model lie (default as
//! in the product), `SCRIM_PROVIDERS` what runs it (`openvino,cpu`). Compare `prepare` with `read`
//! (the same planes, read once), `detect` with `session` (the model alone on the processor's own
//! kernels), and `service` with `detect` (the queue and the threads).

use std::hint::black_box;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use scrim::detect::bench::{Preparation, Queue, Raw, noise};
use scrim::detect::{Config, Failure, Finding, Manifest, Need, Request, Service, Shape};
use scrim::media::{Picture, clock};

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
    let service = Service::start(&config, &manifest.models, |_| {}).expect("started");
    group.bench_function("service/320x192", |b| {
        b.iter(|| ask(&service, &picture).expect("findings"));
    });
    service.stop(clock::now() + Duration::from_secs(5));
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

criterion_group!(benches, prepare, queue, model);
criterion_main!(benches);
