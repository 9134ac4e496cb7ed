//! What a GPU must show before it is used: the processor's samples, and a stream that can be decoded.

use std::sync::Arc;

use super::{Card, Engine, Seat};
use crate::media::decode::Decoder;
use crate::media::encode::{Config, Encoded, Encoder};
use crate::media::{Colour, Picture, VideoCodec, VideoFrame, clock};

/// Pictures that are decoded: the first needs no other, the others do.
const PICTURES: usize = 8;
/// Their size: no multiple of sixteen, so that cropping is proven, too.
const SIZE: (u32, u32) = (330, 250);

/// Whether the GPU decodes H.264 and VP8 exactly as the processor does; why not, in words.
pub(super) fn decodes(card: &Arc<Card>) -> Result<(), String> {
    for codec in [VideoCodec::H264, VideoCodec::Vp8] {
        let name = codec.name();
        let frames = frames(codec).map_err(|error| error.to_string())?;
        let mut expected = Decoder::open(codec).map_err(|error| error.to_string())?;
        let mut decoder =
            Decoder::open_at(codec, Seat::on(card)?).map_err(|error| error.to_string())?;
        for (n, frame) in frames.iter().enumerate() {
            let shown = |decoder: &mut Decoder| {
                let picture = decoder.decode(frame).map_err(|error| error.to_string())?;
                picture.ok_or_else(|| format!("{name}: no picture for frame {n}"))
            };
            let (ours, theirs) = (shown(&mut expected)?, shown(&mut decoder)?);
            if decoder.engine() == Engine::Software {
                return Err(format!("it does not take {name}: {}", decoder.reason()));
            }
            if !same(&ours, &theirs) {
                return Err(format!("its picture {n} of {name} is not what the stream says"));
            }
        }
    }
    Ok(())
}

/// Whether the GPU encodes H.264 that can be decoded; why not, in words.
pub(super) fn encodes(number: u32) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut encoder =
        Encoder::open_on_gpu(config(VideoCodec::H264), number).map_err(|error| text(&error))?;
    let mut decoder = Decoder::open(VideoCodec::H264).map_err(|error| text(&error))?;
    for n in 0..PICTURES {
        let encoded = encoder.encode(&scene(n), n == 5).map_err(|error| text(&error))?;
        if encoded.keyframe != (n == 0 || n == 5) {
            return Err(format!("it makes keyframes where none were asked for, as in picture {n}"));
        }
        let shown = decoder.decode(&frame(VideoCodec::H264, encoded, n));
        let shown = shown.map_err(|error| text(&error))?;
        if shown.is_none_or(|picture| (picture.width(), picture.height()) != SIZE) {
            return Err(format!("its picture {n} cannot be decoded"));
        }
    }
    Ok(())
}

fn config(codec: VideoCodec) -> Config {
    let (width, height) = SIZE;
    Config { codec, width, height, bitrate_bps: 2_000_000, fps: 30.0, colour: Colour::default() }
}

fn frames(codec: VideoCodec) -> Result<Vec<VideoFrame>, crate::media::encode::Error> {
    let mut encoder = Encoder::open(config(codec))?;
    (0..PICTURES).map(|n| Ok(frame(codec, encoder.encode(&scene(n), false)?, n))).collect()
}

fn frame(codec: VideoCodec, encoded: Encoded, n: usize) -> VideoFrame {
    let now = clock::now();
    VideoFrame {
        codec,
        data: encoded.data,
        rtp_time: n as u64 * 3_000,
        keyframe: encoded.keyframe,
        contiguous: true,
        captured: now,
        arrived: now,
    }
}

/// Picture `n` of a texture that moves, with colours.
fn scene(n: usize) -> Picture {
    let mut picture = Picture::new(SIZE.0, SIZE.1);
    for (index, plane) in picture.planes_mut().iter_mut().enumerate() {
        for y in 0..plane.height {
            for (x, sample) in plane.row_mut(y).iter_mut().enumerate() {
                let (x, y) = (x + 3 * n, y + n);
                *sample =
                    (40 + 30 * index + ((x / 8 * 37) ^ (y / 8 * 11)) % 60 + (x + y) / 8 % 50) as u8;
            }
        }
    }
    picture
}

/// Whether each sample is the same.
fn same(a: &Picture, b: &Picture) -> bool {
    (a.width(), a.height()) == (b.width(), b.height())
        && a.planes()
            .iter()
            .zip(b.planes())
            .all(|(a, b)| (0..a.height).all(|y| a.row(y) == b.row(y)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_other_sample_is_noticed() {
        let (a, mut b) = (scene(0), scene(0));
        assert!(same(&a, &b));
        b.planes_mut()[2].row_mut(7)[9] ^= 1;
        assert!(!same(&a, &b) && !same(&a, &Picture::new(2, 2)));
    }

    /// The pictures must need each other, or a decoder without references would pass.
    #[test]
    fn what_is_proven_holds_more_than_keyframes() {
        for codec in [VideoCodec::H264, VideoCodec::Vp8] {
            let frames = frames(codec).unwrap();
            let keys: Vec<_> = frames.iter().map(|frame| frame.keyframe).collect();
            assert_eq!(keys[..3], [true, false, false], "{codec:?}");
        }
    }
}
