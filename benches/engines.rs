//! The hot kernels of covering and tracking, with the memory's own speed beside them.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use scrim::censor::{Action, Document, Region, apply, cover};
use scrim::detect::Finding;
use scrim::media::{Picture, Rect};
use scrim::track::{Classes, Config, Margins, Moment, Snapshot, Tracker, bracket};

fn picture() -> Picture {
    let mut picture = Picture::filled(1280, 720, [90, 120, 140]);
    let mut rng = fastrand::Rng::with_seed(7);
    for plane in &mut picture.planes_mut() {
        plane.data.iter_mut().for_each(|v| *v = rng.u8(..));
    }
    picture
}

/// A region of 300 × 300 on a 720p picture. The limit is reading and writing its 135,000 bytes
/// once each, row by row.
fn effects(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("region_300x300");
    let mut frame = picture();
    for (name, action) in
        [("solid", Action::Solid), ("pixelate", Action::Pixelate), ("blur", Action::Blur)]
    {
        let regions = [Region { rect: Rect::new(400.0, 200.0, 300.0, 300.0), action }];
        group.bench_function(name, |b| b.iter(|| apply(black_box(&mut frame), &regions)));
    }
    let mut kept = vec![0_u8; 300 * 450];
    group.bench_function("limit_copy_out_and_fill", |b| {
        b.iter(|| {
            for (row, kept) in kept.chunks_exact_mut(300).enumerate() {
                let plane = &mut frame.planes_mut()[0];
                let row = &mut plane.row_mut(200 + row)[400..700];
                kept.copy_from_slice(row);
                row.fill(kept[0]);
            }
            black_box(&mut kept);
        });
    });
    group.finish();
}

fn whole_frame(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame_720p");
    let mut frame = picture();
    group.bench_function("cover", |b| b.iter(|| cover(black_box(&mut frame))));
    let blur = [Region { rect: Rect::new(0.0, 0.0, 1280.0, 720.0), action: Action::Blur }];
    group.bench_function("blur", |b| b.iter(|| apply(black_box(&mut frame), &blur)));
    let from = picture();
    group.bench_function("limit_copy", |b| b.iter(|| frame.copy_from(black_box(&from))));
    group.finish();
}

fn findings(index: u64) -> Vec<Finding> {
    (0..10_u8)
        .map(|i| {
            let (x, y) = (f32::from(i % 5) * 250.0, f32::from(i / 5) * 350.0);
            let rect = Rect::new(x + 3.0 * index as f32 % 60.0, y, 120.0, 140.0);
            Finding { class: "FACE_FEMALE".into(), score: 0.7, rect }
        })
        .collect()
}

fn classes() -> Classes {
    let rules: Document =
        serde_json::from_str(r#"{"classes": {"FACE_FEMALE": {}}}"#).expect("valid rules");
    Classes::new(&rules.resolve())
}

/// The tracker after ten analysed frames, every third of a stream, and their snapshots.
fn shot(classes: &Classes) -> (Tracker, Vec<Snapshot>) {
    let mut tracker = Tracker::new(Config::default(), (1280, 720));
    let snapshots = (0..10)
        .map(|n| tracker.step(Moment::new(3 * n, 0.1 * n as f64), &findings(n), classes))
        .collect();
    (tracker, snapshots)
}

fn tracking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ten_objects");
    let classes = classes();
    let next = findings(10);
    group.bench_function("tracker_step", |b| {
        b.iter_batched_ref(
            || shot(&classes).0,
            |tracker| tracker.step(Moment::new(30, 1.0), black_box(&next), &classes),
            BatchSize::SmallInput,
        );
    });
    let (_, snapshots) = shot(&classes);
    let n = Moment::new(13, 13.0 / 30.0);
    group.bench_function("bracket", |b| {
        b.iter(|| bracket::regions(n, black_box(&snapshots[4..6]), Margins::default()));
    });
    group.finish();
}

criterion_group!(benches, effects, whole_frame, tracking);
criterion_main!(benches);
