//! Our encoder against our decoder, on pictures made up here.

mod damage;
mod foreign;
mod round_trip;

use std::sync::Arc;

use super::encode::{Config, Encoded};
use super::{Colour, Picture, VideoCodec, VideoFrame, clock};

/// Picture `n` of a scene: a slow gradient, texture, and a square that moves.
fn scene(width: u32, height: u32, n: usize) -> Picture {
    let mut picture = Picture::new(width, height);
    let (left, top) = (n * 5 % (width as usize), n * 3 % (height as usize));
    for (index, plane) in picture.planes_mut().iter_mut().enumerate() {
        let shift = usize::from(index > 0);
        for y in 0..plane.height {
            for (x, sample) in plane.row_mut(y).iter_mut().enumerate() {
                let (x, y) = (x << shift, y << shift);
                let inside = x.wrapping_sub(left) < 48 && y.wrapping_sub(top) < 48;
                let texture = ((x / 8 * 37) ^ (y / 8 * 11)) % 40;
                *sample = match (index, inside) {
                    (0, true) => 210,
                    (0, false) => (40 + texture + (x + y + n) / 8 % 120) as u8,
                    (1, true) => 90,
                    (2, true) => 200,
                    _ => (110 + (x + y) / 16 % 40) as u8,
                };
            }
        }
    }
    picture
}

fn config(codec: VideoCodec, width: u32, height: u32) -> Config {
    let colour = Colour::default();
    Config { codec, width, height, bitrate_bps: 1_500_000, fps: 30.0, colour }
}

fn frame(codec: VideoCodec, encoded: &Encoded, n: u64) -> VideoFrame {
    let now = clock::now();
    VideoFrame {
        codec,
        data: Arc::clone(&encoded.data),
        rtp_time: n * 3000,
        keyframe: encoded.keyframe,
        contiguous: true,
        captured: now,
        arrived: now,
    }
}

/// Peak signal-to-noise ratio of all planes over the common size, in decibels.
fn psnr(a: &Picture, b: &Picture) -> f64 {
    let (mut squares, mut count) = (0.0, 0.0);
    for (a, b) in a.planes().into_iter().zip(b.planes()) {
        for y in 0..a.height.min(b.height) {
            for (a, b) in a.row(y).iter().zip(b.row(y)) {
                squares += f64::from(a.abs_diff(*b)).powi(2);
                count += 1.0;
            }
        }
    }
    10.0 * (255.0_f64.powi(2) * count / f64::max(squares, 1e-9)).log10()
}
