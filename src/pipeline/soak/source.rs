//! A broadcaster: a made-up scene, encoded as foreign encoders do it, keyframes on request.

use std::time::{Duration, Instant};

use ffmpeg_next as ff;
use ffmpeg_next::format::Pixel;

use crate::media::{Picture, Rect, VideoCodec, VideoFrame, ffmpeg};

/// Side of the squares of the pattern that must not be seen, in pixels.
const SQUARE: usize = 6;

/// A source's encoder, as foreign publishers have it: its H.264 parameter sets have id 0.
pub struct Source {
    codec: VideoCodec,
    size: (u32, u32),
    encoder: ff::encoder::video::Encoder,
    next: i64,
}

impl Source {
    /// Opens x264 or libvpx for pictures of `size`.
    ///
    /// # Errors
    /// When FFmpeg has no such encoder, or it does not open.
    pub fn open(codec: VideoCodec, size: (u32, u32)) -> Result<Self, ff::Error> {
        ffmpeg::init();
        let name = if codec == VideoCodec::H264 { "libx264" } else { "libvpx" };
        let found = ff::encoder::find_by_name(name).ok_or(ff::Error::EncoderNotFound)?;
        let mut context = ff::codec::Context::new_with_codec(found);
        context.set_threading(ff::threading::Config::count(1));
        let mut video = context.encoder().video()?;
        video.set_width(size.0);
        video.set_height(size.1);
        video.set_format(Pixel::YUV420P);
        video.set_time_base(ff::Rational(1, 30));
        video.set_bit_rate(600_000);
        video.set_gop(600);
        video.set_max_b_frames(0);
        let options: &[(&str, &str)] = match codec {
            VideoCodec::H264 => &[
                ("preset", "ultrafast"),
                ("tune", "zerolatency"),
                ("profile", "baseline"),
                ("forced-idr", "1"),
            ],
            _ => &[("deadline", "realtime"), ("cpu-used", "-10"), ("lag-in-frames", "0")],
        };
        let encoder = video.open_with(options.iter().copied().collect())?;
        Ok(Self { codec, size, encoder, next: 0 })
    }

    /// Films and encodes frame `n`, with the pattern at `secret`.
    pub(super) fn film(
        &mut self,
        n: u64,
        secret: Option<Rect>,
        keyframe: bool,
        at: Instant,
    ) -> Result<VideoFrame, ff::Error> {
        self.encode(&scene(self.size, n, secret), n, keyframe, at)
    }

    /// Encodes frame `n`, captured at `at`.
    ///
    /// # Errors
    /// When the encoder takes no picture or gives none back.
    pub fn encode(
        &mut self,
        picture: &Picture,
        n: u64,
        keyframe: bool,
        at: Instant,
    ) -> Result<VideoFrame, ff::Error> {
        let mut frame = picture.as_ffmpeg().clone();
        frame.set_pts(Some(self.next));
        self.next += 1;
        frame.set_kind(if keyframe { ff::picture::Type::I } else { ff::picture::Type::None });
        self.encoder.send_frame(&frame)?;
        let mut packet = ff::Packet::empty();
        self.encoder.receive_packet(&mut packet)?;
        Ok(VideoFrame {
            codec: self.codec,
            data: packet.data().unwrap_or_default().into(),
            rtp_time: n * 3000,
            keyframe: packet.is_key(),
            contiguous: true,
            captured: at,
            arrived: at + Duration::from_millis(1),
        })
    }
}

/// Frame `n`: a soft background that pans, over which the pattern lies at `secret`.
pub fn scene(size: (u32, u32), n: u64, secret: Option<Rect>) -> Picture {
    let mut picture = Picture::new(size.0, size.1);
    let n = n as usize;
    for (index, plane) in picture.planes_mut().iter_mut().enumerate() {
        let shift = usize::from(index > 0);
        for y in 0..plane.height {
            for (x, sample) in plane.row_mut(y).iter_mut().enumerate() {
                let (x, y) = (x << shift, y << shift);
                let texture = (((x + n) / 9 * 31) ^ (y / 7 * 13)) % 24;
                let inside = secret.is_some_and(|rect| {
                    let (x, y) = (x as f32, y as f32);
                    x >= rect.x && x < rect.x + rect.w && y >= rect.y && y < rect.y + rect.h
                });
                *sample = match (index, inside) {
                    (0, true) if (x / SQUARE + y / SQUARE).is_multiple_of(2) => 20,
                    (0, true) => 230,
                    (0, false) => (70 + texture + (x + 2 * y + n) / 12 % 60) as u8,
                    _ => (110 + (x + y) / 16 % 30) as u8,
                };
            }
        }
    }
    picture
}

/// How much of the pattern can be seen at `secret`: the standard deviation of luma there. About
/// 100 in the clear.
pub(super) fn contrast(picture: &Picture, secret: Rect) -> f64 {
    let luma = picture.planes()[0];
    let columns = (secret.x as usize + 4)..(secret.x + secret.w) as usize - 4;
    let rows = (secret.y as usize + 4)..(secret.y + secret.h) as usize - 4;
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
    for y in rows {
        for &sample in &luma.row(y)[columns.clone()] {
            let sample = f64::from(sample);
            sum += sample;
            squares += sample * sample;
            count += 1.0;
        }
    }
    let mean: f64 = sum / count;
    (squares / count - mean * mean).max(0.0).sqrt()
}
