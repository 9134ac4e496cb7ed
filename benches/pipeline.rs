//! What a 1280×720 frame costs on its way through the pipeline, on one thread, beside the codecs
//! alone: the pipeline can be no cheaper than they are. Detection runs on threads of its own; see
//! the bench `detect`.

#![allow(clippy::unwrap_used, reason = "a bench that cannot run should stop")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use scrim::censor::{Action, Region, apply};
use scrim::media::decode::Decoder;
use scrim::media::encode::{Config, Encoder};
use scrim::media::thumb::Thumb;
use scrim::media::{Colour, Picture, Rect, VideoCodec, VideoFrame, clock};
use scrim::pipeline::bench::{Watched, gate};

const SIZE: (u32, u32) = (1280, 720);

/// A textured background that pans: 2.5 Mbit/s are enough for it, and no frame is free.
fn picture(n: usize) -> Picture {
    let mut picture = Picture::new(SIZE.0, SIZE.1);
    for plane in &mut picture.planes_mut() {
        for y in 0..plane.height {
            for (x, sample) in plane.row_mut(y).iter_mut().enumerate() {
                let (u, v) = ((x + 2 * n) / 3, y / 3);
                let texture = (u.wrapping_mul(2_654_435_761) ^ v.wrapping_mul(40_503)) >> 3;
                *sample = 64 + (texture % 48) as u8 + ((x + y) / 24 % 64) as u8;
            }
        }
    }
    picture
}

fn open(codec: VideoCodec) -> Encoder {
    let (width, height) = SIZE;
    let colour = Colour::default();
    let config = Config { codec, width, height, bitrate_bps: 2_500_000, fps: 30.0, colour };
    Encoder::open(config).unwrap()
}

fn stream(codec: VideoCodec) -> Vec<VideoFrame> {
    let (mut encoder, now) = (open(codec), clock::now());
    let encode = |n: usize| {
        let encoded = encoder.encode(&picture(n), n == 0).unwrap();
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
    (0..60).map(encode).collect()
}

/// Decode, gate, cover two regions, encode: everything a covered frame passes but detection.
fn whole(c: &mut Criterion, codec: VideoCodec) {
    let stream = stream(codec);
    let name = codec.name();
    let regions = [(300.0, 200.0), (800.0, 300.0)]
        .map(|(x, y)| Region { rect: Rect::new(x, y, 200.0, 240.0), action: Action::Blur });
    let mut frames = stream.iter().cycle();
    let mut decoder = Decoder::open(codec).unwrap();
    c.bench_function(&format!("{name}/limit: decode alone"), |b| {
        b.iter(|| black_box(decoder.decode(frames.next().unwrap()).unwrap()));
    });
    let mut frames = stream.iter().cycle();
    let (mut decoder, mut encoder) = (Decoder::open(codec).unwrap(), open(codec));
    c.bench_function(&format!("{name}/limit: decode and encode alone"), |b| {
        b.iter(|| {
            let picture = decoder.decode(frames.next().unwrap()).unwrap().unwrap();
            black_box(encoder.encode(&picture, false).unwrap());
        });
    });
    let mut frames = stream.iter().cycle();
    let (mut decoder, mut encoder) = (Decoder::open(codec).unwrap(), open(codec));
    let mut canvas = Picture::new(SIZE.0, SIZE.1);
    let mut before = Thumb::of(&canvas);
    let mut guard = Watched::new(&canvas, 2, clock::now());
    c.bench_function(&format!("{name}/covered frame"), |b| {
        b.iter(|| {
            let picture = decoder.decode(frames.next().unwrap()).unwrap().unwrap();
            before = gate(&picture, &before).0;
            black_box(guard.step());
            canvas.copy_from(&picture);
            apply(&mut canvas, &regions);
            black_box(encoder.encode(&canvas, false).unwrap());
        });
    });
}

fn steps(c: &mut Criterion) {
    let picture = picture(0);
    let before = Thumb::of(&picture);
    c.bench_function("gate step", |b| b.iter(|| black_box(gate(&picture, &before))));
    for objects in [0, 2, 10] {
        let mut guard = Watched::new(&picture, objects, clock::now());
        c.bench_function(&format!("guard step, {objects} objects"), |b| {
            b.iter(|| black_box(guard.step()));
        });
    }
}

fn all(c: &mut Criterion) {
    steps(c);
    whole(c, VideoCodec::H264);
    whole(c, VideoCodec::Vp8);
}

criterion_group!(benches, all);
criterion_main!(benches);
