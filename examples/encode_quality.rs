//! How much a picture loses by being decoded and encoded again, at several shares of the source's
//! rate: the reason for the factor in `pipeline::rate`.
//!
//! `encode_quality [SOURCE_BPS]`: sources as broadcasters encode them (x264 veryfast, libvpx at
//! speed -6), 1280×720, 30 a second; after four seconds re-encoded by our encoder. PSNR of
//! luma against the original picture, mean of four seconds.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot run should stop")]

use std::sync::Arc;

use ffmpeg_next as ff;
use ffmpeg_next::format::Pixel;
use scrim::media::decode::Decoder;
use scrim::media::encode::{Config, Encoder};
use scrim::media::{Colour, Picture, VideoCodec, VideoFrame, clock};

const SIZE: (usize, usize) = (1280, 720);
const BEFORE: usize = 120;
/// The source's rate is measured over three seconds, as the pipeline does.
const WINDOW: usize = 90;
const MEASURED: usize = 120;
const FACTORS: [f64; 4] = [0.9, 1.0, 1.15, 1.3];

/// Value noise of several octaves: as much detail at each scale as natural pictures have.
fn panorama(width: usize, height: usize, seed: u64) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut canvas = vec![128.0_f32; width * height];
    for (cell, strength) in [(256, 60.0), (96, 40.0), (32, 30.0), (12, 26.0), (5, 22.0), (2, 12.0)]
    {
        let (columns, rows) = (width / cell + 2, height / cell + 2);
        let grid: Vec<f32> = (0..columns * rows).map(|_| random.f32() - 0.5).collect();
        for y in 0..height {
            for x in 0..width {
                let (gx, gy) = (x / cell, y / cell);
                let (fx, fy) = ((x % cell) as f32 / cell as f32, (y % cell) as f32 / cell as f32);
                let at = |dx: usize, dy: usize| grid[(gy + dy) * columns + gx + dx];
                let top = at(0, 0) * (1.0 - fx) + at(1, 0) * fx;
                let bottom = at(0, 1) * (1.0 - fx) + at(1, 1) * fx;
                canvas[y * width + x] += strength * (top * (1.0 - fy) + bottom * fy);
            }
        }
    }
    canvas
}

/// A camera that pans over a panorama, before which two things move, with sensor noise.
struct Scene {
    wide: Vec<f32>,
    object: Vec<f32>,
    noise: f32,
    speed: usize,
}

impl Scene {
    fn picture(&self, n: usize) -> Picture {
        let (width, height) = SIZE;
        let mut random = fastrand::Rng::with_seed(n as u64);
        let mut picture = Picture::new(width as u32, height as u32);
        let [luma, u, v] = &mut picture.planes_mut();
        let objects = [(n * 7 % 1100, 120 + n % 200), (1080 - n * 4 % 1000, 400)];
        for y in 0..height {
            for (x, sample) in luma.row_mut(y).iter_mut().enumerate() {
                let mut value = self.wide[(y + 20) * 2560 + x + self.speed * n % 1280];
                for (left, top) in objects {
                    if x.wrapping_sub(left) < 160 && y.wrapping_sub(top) < 200 {
                        value = self.object[(y - top) * 320 + x - left] + 20.0;
                    }
                }
                *sample = (value + (random.f32() - 0.5) * self.noise).clamp(16.0, 235.0) as u8;
            }
        }
        for plane in [u, v] {
            for y in 0..plane.height {
                for (x, sample) in plane.row_mut(y).iter_mut().enumerate() {
                    *sample = 100 + ((x + y + self.speed * n / 2) / 40 % 50) as u8;
                }
            }
        }
        picture
    }
}

fn broadcast(codec: VideoCodec, bps: usize, pictures: &[Picture]) -> Vec<VideoFrame> {
    ff::init().unwrap();
    let name = if codec == VideoCodec::H264 { "libx264" } else { "libvpx" };
    let found = ff::encoder::find_by_name(name).unwrap();
    let mut context = ff::codec::Context::new_with_codec(found);
    context.set_threading(ff::threading::Config::count(1));
    let mut video = context.encoder().video().unwrap();
    video.set_width(SIZE.0 as u32);
    video.set_height(SIZE.1 as u32);
    video.set_format(Pixel::YUV420P);
    video.set_time_base(ff::Rational(1, 30));
    video.set_frame_rate(Some(ff::Rational(30, 1)));
    video.set_bit_rate(bps);
    video.set_max_bit_rate(bps);
    video.set_gop(3000);
    video.set_max_b_frames(0);
    let (rate, buffer) = (bps.to_string(), (bps / 2).to_string());
    let mut options = ff::Dictionary::new();
    options.set("maxrate", &rate);
    options.set("bufsize", &buffer);
    let own: &[(&str, &str)] = match codec {
        VideoCodec::H264 => &[("preset", "veryfast"), ("tune", "zerolatency")],
        _ => &[("deadline", "realtime"), ("cpu-used", "-6"), ("lag-in-frames", "0")],
    };
    for (key, value) in own {
        options.set(key, value);
    }
    let mut encoder = video.open_with(options).unwrap();
    let now = clock::now();
    let encode = |(n, picture): (usize, &Picture)| {
        let mut frame = ff::frame::Video::new(Pixel::YUV420P, SIZE.0 as u32, SIZE.1 as u32);
        for (index, plane) in picture.planes().into_iter().enumerate() {
            let stride = frame.stride(index);
            for y in 0..plane.height {
                frame.data_mut(index)[y * stride..][..plane.width].copy_from_slice(plane.row(y));
            }
        }
        frame.set_pts(Some(n as i64));
        encoder.send_frame(&frame).unwrap();
        let mut packet = ff::Packet::empty();
        encoder.receive_packet(&mut packet).unwrap();
        VideoFrame {
            codec,
            data: packet.data().unwrap().into(),
            rtp_time: n as u64 * 3000,
            keyframe: packet.is_key(),
            contiguous: true,
            captured: now,
            arrived: now,
        }
    };
    pictures.iter().enumerate().map(encode).collect()
}

fn psnr(a: &Picture, b: &Picture) -> f64 {
    let (a, b) = (a.planes()[0], b.planes()[0]);
    let mut squares = 0_u64;
    for y in 0..a.height {
        for (a, b) in a.row(y).iter().zip(b.row(y)) {
            squares += u64::from(a.abs_diff(*b)).pow(2);
        }
    }
    10.0 * (255.0_f64.powi(2) * (a.width * a.height) as f64 / squares.max(1) as f64).log10()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn mbps(bytes: usize, frames: usize) -> f64 {
    bytes as f64 * 8.0 * 30.0 / frames as f64 / 1e6
}

fn measure(name: &str, codec: VideoCodec, bps: usize, pictures: &[Picture]) {
    let frames = broadcast(codec, bps, pictures);
    let mut decoder = Decoder::open(codec).unwrap();
    let decoded: Vec<Arc<Picture>> =
        frames.iter().map(|frame| decoder.decode(frame).unwrap().unwrap()).collect();
    let bytes = |frames: &[VideoFrame]| frames.iter().map(|f| f.data.len()).sum::<usize>();
    let measured = mbps(bytes(&frames[BEFORE - WINDOW..BEFORE]), WINDOW);
    let source: Vec<f64> =
        (BEFORE..BEFORE + MEASURED).map(|n| psnr(&pictures[n], &decoded[n])).collect();
    let rate = mbps(bytes(&frames[BEFORE..]), MEASURED);
    println!(
        "{name:10} {:5} source          {rate:5.2} Mbit/s  {:5.2} dB",
        codec.name(),
        mean(&source)
    );
    for factor in FACTORS {
        let bitrate_bps = (measured * 1e6 * factor) as u32;
        let (width, height) = (SIZE.0 as u32, SIZE.1 as u32);
        let colour = Colour::default();
        let config = Config { codec, width, height, bitrate_bps, fps: 30.0, colour };
        let mut encoder = Encoder::open(config).unwrap();
        let mut viewer = Decoder::open(codec).unwrap();
        let (mut size, mut key, mut quality) = (0, 0, Vec::new());
        for n in BEFORE..BEFORE + MEASURED {
            let encoded = encoder.encode(&decoded[n], n == BEFORE).unwrap();
            size += encoded.data.len();
            key = key.max(encoded.data.len());
            let frame =
                VideoFrame { data: encoded.data, keyframe: encoded.keyframe, ..frames[n].clone() };
            let shown = viewer.decode(&frame).unwrap().unwrap();
            quality.push(psnr(&pictures[n], &shown));
        }
        println!(
            "{:10} {:5} encoded × {factor:<4} {:5.2} Mbit/s  {:5.2} dB  {:+5.2} dB  {:+5.2} dB  keyframe {} kB",
            "",
            "",
            mbps(size, MEASURED),
            mean(&quality),
            mean(&quality) - mean(&source),
            mean(&quality[..30]) - mean(&source[..30]),
            key / 1000,
        );
    }
}

fn main() {
    let bps = std::env::args().nth(1).map_or(2_000_000, |number| number.parse().unwrap());
    println!("               share of rate     spent         PSNR      less   in the first second");
    for (name, noise, speed) in [("still", 3.0, 0), ("slow pan", 4.0, 2), ("fast pan", 4.0, 9)] {
        let scene =
            Scene { wide: panorama(2560, 760, 1), object: panorama(320, 320, 2), noise, speed };
        let pictures: Vec<Picture> = (0..BEFORE + MEASURED).map(|n| scene.picture(n)).collect();
        for codec in [VideoCodec::H264, VideoCodec::Vp8] {
            measure(name, codec, bps, &pictures);
        }
    }
}
