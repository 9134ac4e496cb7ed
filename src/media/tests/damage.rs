//! Broken input: no panic, and nothing made up is shown.

use fastrand::Rng;

use super::super::bitstream::{Content, content};
use super::super::decode::{Decoder, Error};
use super::super::encode::Encoder;
use super::*;

const CODECS: [VideoCodec; 4] =
    [VideoCodec::H264, VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::Av1];

/// A stream with a keyframe at every tenth picture.
fn stream(codec: VideoCodec, count: usize) -> Vec<VideoFrame> {
    let mut encoder = Encoder::open(config(codec, 320, 180)).unwrap();
    (0..count)
        .map(|n| {
            let encoded = encoder.encode(&scene(320, 180, n), n % 10 == 0).unwrap();
            frame(codec, &encoded, n as u64)
        })
        .collect()
}

#[test]
fn after_a_loss_nothing_is_shown_until_the_next_keyframe() {
    for codec in [VideoCodec::H264, VideoCodec::Vp8] {
        let mut decoder = Decoder::open(codec).unwrap();
        for (n, mut frame) in stream(codec, 30).into_iter().enumerate() {
            if n == 0 || n == 13 {
                continue;
            }
            frame.contiguous = n != 1 && n != 14;
            let shown = decoder.decode(&frame).unwrap().is_some();
            let expected = (10..13).contains(&n) || n >= 20;
            assert_eq!(shown, expected, "{codec:?} {n}");
            assert_eq!(decoder.needs_keyframe(), !expected, "{codec:?} {n}");
        }
    }
}

#[test]
fn a_delta_that_is_called_a_keyframe_is_not_believed() {
    for codec in [VideoCodec::H264, VideoCodec::Vp8] {
        let mut frames = stream(codec, 2);
        frames[1].keyframe = true;
        let mut decoder = Decoder::open(codec).unwrap();
        assert!(decoder.decode(&frames[1]).unwrap().is_none());
        assert!(decoder.needs_keyframe());
    }
}

#[test]
fn a_frame_of_another_codec_is_refused() {
    let mut decoder = Decoder::open(VideoCodec::H264).unwrap();
    let refused = decoder.decode(&stream(VideoCodec::Vp8, 1)[0]);
    assert!(matches!(refused, Err(Error::Codec { got: VideoCodec::Vp8, .. })));
}

#[test]
fn parameter_sets_may_come_on_their_own() {
    let frames = stream(VideoCodec::H264, 2);
    let data = &frames[0].data;
    let slice = data.windows(5).position(|w| w == [0, 0, 0, 1, 0x65]).unwrap();
    let mut decoder = Decoder::open(VideoCodec::H264).unwrap();
    let sets = VideoFrame { data: data[..slice].into(), ..frames[0].clone() };
    let picture = VideoFrame { data: data[slice..].into(), ..frames[0].clone() };
    assert!(decoder.decode(&sets).unwrap().is_none());
    assert!(decoder.decode(&picture).unwrap().is_some());
    assert!(decoder.decode(&frames[1]).unwrap().is_some());
}

/// A truncated H.264 picture is noticed, and its successors wait for a keyframe.
#[test]
fn a_truncated_picture_is_never_shown() {
    for keep in [3, 2] {
        let mut decoder = Decoder::open(VideoCodec::H264).unwrap();
        for (n, mut frame) in stream(VideoCodec::H264, 20).into_iter().enumerate() {
            if n == 5 {
                frame.data = frame.data[..frame.data.len() * keep / 4].into();
            }
            let shown = matches!(decoder.decode(&frame), Ok(Some(_)));
            assert_eq!(shown, !(5..10).contains(&n), "{n}");
        }
    }
}

#[test]
fn random_bytes_are_survived() {
    let mut random = Rng::with_seed(7);
    for codec in CODECS {
        let mut decoder = Decoder::open(codec).unwrap();
        let template = frame(codec, &Encoded { data: [].into(), keyframe: true }, 0);
        for n in 0..500 {
            let mut data: Vec<u8> = (0..random.usize(..200)).map(|_| random.u8(..)).collect();
            if codec == VideoCodec::H264 {
                data.splice(0..0, [0, 0, 0, 1, random.choice([0x67, 0x68, 0x65, 0x41]).unwrap()]);
            }
            let noise = VideoFrame { data: data.into(), rtp_time: n, ..template.clone() };
            let before = decoder.needs_keyframe();
            let key = content(codec, &noise.data) == Content::Key;
            let shown = matches!(decoder.decode(&noise), Ok(Some(_)));
            assert!(!shown || key || !before, "{codec:?} {n}");
        }
    }
}

/// Flipped bits and cut ends of real streams. A damaged frame may pass unnoticed where the codec
/// has no redundancy; after one that was noticed, nothing is shown until a keyframe.
#[test]
fn damaged_streams_are_survived_and_never_shown_after_an_error() {
    let mut random = Rng::with_seed(11);
    for codec in [VideoCodec::H264, VideoCodec::Vp8] {
        let frames = stream(codec, 40);
        for _ in 0..30 {
            let mut decoder = Decoder::open(codec).unwrap();
            let mut waiting = true;
            for frame in &frames {
                let mut data = frame.data.to_vec();
                if random.u8(..4) == 0 {
                    for _ in 0..random.usize(1..8) {
                        let at = random.usize(..data.len());
                        data[at] ^= 1 << random.u8(..8);
                    }
                    data.truncate(random.usize(data.len() / 2..=data.len()));
                }
                let frame = VideoFrame { data: data.into(), ..frame.clone() };
                let key = content(codec, &frame.data) == Content::Key;
                let decoded = decoder.decode(&frame);
                assert!(!waiting || key || !matches!(decoded, Ok(Some(_))), "{codec:?}");
                waiting = decoded.is_err() || (waiting && !key);
                assert!(!waiting || decoder.needs_keyframe());
            }
        }
    }
}
