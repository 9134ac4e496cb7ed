//! What a 1280×720 picture costs in the codecs and kernels around them, on one thread. `limit` is
//! a plain copy of as many bytes as the kernel reads: no kernel can be faster for long.

#![allow(clippy::unwrap_used, reason = "a bench that cannot run should stop")]

use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use scrim::media::decode::Decoder;
use scrim::media::encode::{Config, Encoder};
use scrim::media::thumb::Thumb;
use scrim::media::{Colour, Picture, VideoCodec, VideoFrame, clock};

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;
const LUMA: usize = (WIDTH * HEIGHT) as usize;

/// Two seconds: a textured background that pans, over which noise moves.
const PICTURES: usize = 60;

fn scene() -> Vec<Picture> {
    let mut random = fastrand::Rng::with_seed(1);
    let noise: Vec<u8> = (0..LUMA).map(|_| random.u8(..64)).collect();
    (0..PICTURES).map(|n| scene_at(n, &noise)).collect()
}

fn scene_at(n: usize, noise: &[u8]) -> Picture {
    let mut picture = Picture::new(WIDTH, HEIGHT);
    for (index, plane) in picture.planes_mut().iter_mut().enumerate() {
        for y in 0..plane.height {
            for (x, sample) in plane.row_mut(y).iter_mut().enumerate() {
                let texture = noise[(y / 2 * WIDTH as usize + (x + 3 * n) / 2) % LUMA];
                let slope = ((x + 2 * y + 5 * n) / 12 % 128) as u8;
                *sample = if index == 0 { 32 + slope + texture } else { 96 + slope / 4 };
            }
        }
    }
    picture
}

fn config(codec: VideoCodec) -> Config {
    let colour = Colour::default();
    Config { codec, width: WIDTH, height: HEIGHT, bitrate_bps: 2_500_000, fps: 30.0, colour }
}

fn stream(codec: VideoCodec, scene: &[Picture]) -> Vec<VideoFrame> {
    let mut encoder = Encoder::open(config(codec)).unwrap();
    let now = clock::now();
    let encode = |(n, picture)| {
        let encoded = encoder.encode(picture, n == 0).unwrap();
        VideoFrame {
            codec,
            data: encoded.data,
            rtp_time: n as u64 * 3000,
            keyframe: encoded.keyframe,
            contiguous: true,
            captured: now,
            arrived: now,
        }
    };
    scene.iter().enumerate().map(encode).collect()
}

fn codecs(criterion: &mut Criterion) {
    let scene = scene();
    for codec in [VideoCodec::H264, VideoCodec::Vp8] {
        let mut group = criterion.benchmark_group(codec.name());
        group.sample_size(20);
        let turn = Cell::new(0);
        let next = || turn.replace((turn.get() + 1) % PICTURES);
        let mut encoder = Encoder::open(config(codec)).unwrap();
        group.bench_function("encode", |b| {
            b.iter(|| encoder.encode(&scene[next()], false).unwrap());
        });
        group.bench_function("open and encode one", |b| {
            b.iter(|| Encoder::open(config(codec)).unwrap().encode(&scene[0], false).unwrap());
        });
        let frames = stream(codec, &scene);
        let mut decoder = Decoder::open(codec).unwrap();
        // The stream repeats, keyframe first.
        turn.set(0);
        group.bench_function("decode", |b| {
            b.iter(|| decoder.decode(&frames[next()]).unwrap().unwrap());
        });
        group.finish();
    }
}

fn kernels(criterion: &mut Criterion) {
    let picture = scene().swap_remove(0);
    let source = vec![1_u8; LUMA * 3 / 2];
    let mut target = vec![0_u8; LUMA * 3 / 2];

    let mut group = criterion.benchmark_group("thumb");
    group.bench_function("of a picture", |b| b.iter(|| Thumb::of(black_box(&picture))));
    group.bench_function("limit", |b| {
        b.iter(|| black_box(&mut target)[..LUMA].copy_from_slice(&black_box(&source)[..LUMA]));
    });
    let wide = Picture::new(1920, 1080);
    group.bench_function("of 1920x1080", |b| b.iter(|| Thumb::of(black_box(&wide))));
    let odd = Picture::new(854, 480);
    group.bench_function("of 854x480", |b| b.iter(|| Thumb::of(black_box(&odd))));
    let (a, b) = (Thumb::of(&picture), Thumb::of(&Picture::new(WIDTH, HEIGHT)));
    group.bench_function("block means", |c| c.iter(|| black_box(&a).block_means()));
    group.bench_function("block differences", |c| {
        c.iter(|| black_box(&a).block_differences(black_box(&b)));
    });
    group.finish();

    let mut group = criterion.benchmark_group("copy");
    let mut other = Picture::new(WIDTH, HEIGHT);
    group.bench_function("into a picture", |b| b.iter(|| other.copy_from(black_box(&picture))));
    group.bench_function("of a picture", |b| b.iter(|| Picture::copy_of(black_box(&picture))));
    group.bench_function("limit", |b| {
        b.iter(|| black_box(&mut target).copy_from_slice(black_box(&source)));
    });
    let shared = Arc::new(picture);
    group.bench_function("share", |b| b.iter(|| Arc::clone(black_box(&shared))));
    group.finish();
}

criterion_group!(benches, codecs, kernels);
criterion_main!(benches);
