//! A clip of our own making: a texture that moves in a circle, so that the end meets the start.

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use super::annexb::Layout;
use super::clip::{Clip, ClipError, Rate};
use super::{demux, ivf};
use crate::media::encode::{Config, Encoder};
use crate::media::{Colour, Picture, VideoCodec};

const SIZE: (u32, u32) = (1280, 720);
const FPS: u32 = 30;
const SECONDS: u32 = 10;
/// Bits a second: what a browser sends at this size.
const BITRATE: u32 = 1_800_000;
/// How far the texture moves to each side, luma samples: some 75 samples a second.
const RADIUS: usize = 120;
/// Changed with what is drawn, so that an older file is not taken for the present one.
const VERSION: u32 = 2;

/// What to make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scene {
    pub(super) codec: VideoCodec,
    /// Seconds between keyframes.
    pub(super) keyframe_every: f64,
}

impl Scene {
    /// The clip, from the file of an earlier run if there is one.
    ///
    /// # Errors
    ///
    /// When it cannot be encoded. A file that cannot be written is no error.
    pub(super) fn clip(self) -> Result<Clip, ClipError> {
        let path = self.path();
        if let Ok(clip) = demux::read(&path) {
            return Ok(clip);
        }
        let clip = self.encode()?;
        if let Err(error) = keep(&clip, &path) {
            tracing::debug!(path = %path.display(), %error, "the clip is not kept");
        }
        Ok(clip)
    }

    fn path(self) -> PathBuf {
        let (name, group) = (self.codec.name(), self.group());
        let version = env!("CARGO_PKG_VERSION");
        std::env::temp_dir().join(format!("scrim-load-{version}-{VERSION}-{name}-{group}.ivf"))
    }

    /// Pictures from one keyframe to the next.
    fn group(self) -> u32 {
        (self.keyframe_every * f64::from(FPS)).round().clamp(1.0, f64::from(FPS * SECONDS)) as u32
    }

    fn encode(self) -> Result<Clip, ClipError> {
        let failed = |error: crate::media::encode::Error| ClipError::Make(error.to_string());
        let mut encoder = Encoder::open(Config {
            codec: self.codec,
            width: SIZE.0,
            height: SIZE.1,
            bitrate_bps: BITRATE,
            fps: FPS as f32,
            colour: Colour::default(),
        })
        .map_err(failed)?;
        let texture = Texture::new();
        let mut picture = Picture::new(SIZE.0, SIZE.1);
        let mut frames = Vec::new();
        for n in 0..FPS * SECONDS {
            texture.draw(f64::from(n) / f64::from(FPS * SECONDS), &mut picture);
            let coded = encoder.encode(&picture, n % self.group() == 0).map_err(failed)?;
            frames.extend(demux::picture(self.codec, &Layout::default(), &coded.data)?);
        }
        let rate = Rate::new(FPS, 1).ok_or(ClipError::Rate)?;
        Clip::new(self.codec, SIZE, rate, frames)
    }
}

/// Written beside and moved into place: another run never reads half of it.
fn keep(clip: &Clip, path: &Path) -> std::io::Result<()> {
    let beside = path.with_extension(format!("{}.part", std::process::id()));
    std::fs::write(&beside, ivf::write(clip))?;
    std::fs::rename(&beside, path)
}

/// Smooth noise, larger than a picture by the way it moves.
struct Texture {
    planes: [(Vec<u8>, usize); 3],
}

impl Texture {
    fn new() -> Self {
        let plane = |shift: u32, spread: f64| {
            let width = (SIZE.0 as usize >> shift) + 2 * RADIUS;
            let height = (SIZE.1 as usize >> shift) + 2 * RADIUS;
            let value = |at: usize| {
                let (x, y) = ((at % width) as f64, (at / width) as f64);
                let coarse = noise(x / 96.0, y / 96.0) - 0.5;
                let fine = noise(x / 9.0 + 1000.0, y / 9.0) - 0.5;
                (128.0 + spread * (coarse + 0.35 * fine)).clamp(16.0, 235.0) as u8
            };
            ((0..width * height).map(value).collect(), width)
        };
        Self { planes: [plane(0, 180.0), plane(1, 60.0), plane(1, -60.0)] }
    }

    /// Draws the picture at this share of the loop, 0 to 1.
    fn draw(&self, at: f64, picture: &mut Picture) {
        let (sin, cos) = (at * TAU).sin_cos();
        let radius = RADIUS as f64;
        for (index, plane) in picture.planes_mut().iter_mut().enumerate() {
            let scale = if index == 0 { 1.0 } else { 0.5 };
            let left = (radius + radius * cos * scale).round() as usize;
            let top = (radius + radius * sin * scale).round() as usize;
            let (texture, width) = &self.planes[index];
            for y in 0..plane.height {
                let start = (top + y) * width + left;
                let row = plane.row_mut(y);
                row.copy_from_slice(&texture[start..start + row.len()]);
            }
        }
    }
}

/// Value noise: random values on a grid, smoothly joined (Perlin's fade curve). 0 to 1.
fn noise(x: f64, y: f64) -> f64 {
    let corner = |dx: f64, dy: f64| {
        let (x, y) = ((x.floor() + dx) as u64, (y.floor() + dy) as u64);
        let mixed = (x.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ y.wrapping_mul(0xc2b2_ae3d_27d4_eb4f))
            .wrapping_mul(0xd6e8_feb8_6659_fd93);
        (mixed >> 40) as f64 / f64::from(1_u32 << 24)
    };
    let fade = |t: f64| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let (u, v) = (fade(x.fract()), fade(y.fract()));
    let top = corner(0.0, 0.0) * (1.0 - u) + corner(1.0, 0.0) * u;
    let bottom = corner(0.0, 1.0) * (1.0 - u) + corner(1.0, 1.0) * u;
    top * (1.0 - v) + bottom * v
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back_byte_by_byte() {
        for codec in [VideoCodec::H264, VideoCodec::Vp8] {
            let scene = Scene { codec, keyframe_every: 2.0 };
            let made = scene.encode().unwrap();
            let path = std::env::temp_dir().join(format!(
                "scrim-scene-{}-{}.ivf",
                codec.name(),
                std::process::id()
            ));
            keep(&made, &path).unwrap();
            let read = demux::read(&path);
            std::fs::remove_file(&path).unwrap();
            let read = read.unwrap();
            assert_eq!((read.codec, read.size, read.rate), (codec, SIZE, made.rate));
            assert_eq!(read.keyframes().collect::<Vec<_>>(), [0, 60, 120, 180, 240]);
            assert!(read.frames.iter().zip(&made.frames).all(|(a, b)| a.data == b.data));
            assert!((1.2e6..2.2e6).contains(&made.bitrate()), "{}", made.bitrate());
        }
    }

    #[test]
    fn the_end_meets_the_start() {
        let texture = Texture::new();
        let mut pictures = [0.0, 1.0].map(|at| {
            let mut picture = Picture::new(SIZE.0, SIZE.1);
            texture.draw(at, &mut picture);
            picture
        });
        let [a, b] = pictures.each_mut().map(|picture| picture.planes()[0].row(100).to_vec());
        assert!(a == b, "the same row");
        assert!(a.iter().max() > a.iter().min(), "there is something to see");
    }
}
