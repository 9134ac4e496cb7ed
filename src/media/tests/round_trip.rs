//! What goes in comes out: at once, alike, at the rate that was asked for.

use ffmpeg_next::color;

use super::super::bitstream::{Content, content, nal_type, nals};
use super::super::decode::Decoder;
use super::super::encode::{Encoder, Error, RateChange};
use super::*;

const CODECS: [VideoCodec; 2] = [VideoCodec::H264, VideoCodec::Vp8];

#[test]
fn each_picture_gives_one_packet_and_each_packet_its_picture() {
    for codec in CODECS {
        let mut encoder = Encoder::open(config(codec, 640, 360)).unwrap();
        let mut decoder = Decoder::open(codec).unwrap();
        for n in 0..40 {
            let picture = scene(640, 360, n);
            let encoded = encoder.encode(&picture, false).unwrap();
            assert_eq!(encoded.keyframe, n == 0, "{codec:?} {n}");
            let shown = decoder.decode(&frame(codec, &encoded, n as u64)).unwrap().unwrap();
            let quality = psnr(&picture, &shown);
            assert!(quality > 32.0, "{codec:?} {n}: {quality:.1} dB");
        }
    }
}

#[test]
fn a_forced_keyframe_stands_alone() {
    for codec in CODECS {
        let mut encoder = Encoder::open(config(codec, 320, 180)).unwrap();
        for n in 0..10 {
            encoder.encode(&scene(320, 180, n), false).unwrap();
        }
        let picture = scene(320, 180, 10);
        let encoded = encoder.encode(&picture, true).unwrap();
        assert!(encoded.keyframe);
        assert_eq!(content(codec, &encoded.data), Content::Key);
        let mut late = Decoder::open(codec).unwrap();
        let shown = late.decode(&frame(codec, &encoded, 1)).unwrap().unwrap();
        assert!(psnr(&picture, &shown) > 30.0);
        let next = encoder.encode(&scene(320, 180, 11), false).unwrap();
        assert!(!next.keyframe);
        assert!(late.decode(&frame(codec, &next, 2)).unwrap().is_some());
    }
}

#[test]
fn h264_is_constrained_baseline_with_its_own_parameter_sets_and_nothing_beside() {
    let mut encoder = Encoder::open(config(VideoCodec::H264, 1280, 720)).unwrap();
    let encoded = encoder.encode(&scene(1280, 720, 0), true).unwrap();
    let types: Vec<_> = nals(&encoded.data).map(nal_type).collect();
    assert_eq!(types, [7, 8, 5]);
    let sets = nals(&encoded.data).next().unwrap();
    // Profile 66, constraint sets 0 and 1, level 3.1.
    assert_eq!((sets[1], sets[2] & 0xc0, sets[3]), (66, 0xc0, 31));
    // seq_parameter_set_id 1 is 010 in Exp-Golomb.
    assert_eq!(sets[4] >> 5, 0b010);
    let next = encoder.encode(&scene(1280, 720, 1), false).unwrap();
    assert_eq!(nals(&next.data).map(nal_type).collect::<Vec<_>>(), [1]);
}

#[test]
fn odd_sides_are_encoded() {
    for (codec, expected) in [(VideoCodec::H264, (322, 182)), (VideoCodec::Vp8, (321, 181))] {
        let mut encoder = Encoder::open(config(codec, 321, 181)).unwrap();
        assert_eq!(encoder.size(), expected);
        let picture = scene(321, 181, 3);
        let encoded = encoder.encode(&picture, false).unwrap();
        let mut decoder = Decoder::open(codec).unwrap();
        let shown = decoder.decode(&frame(codec, &encoded, 0)).unwrap().unwrap();
        assert_eq!((shown.width(), shown.height()), expected);
        assert!(psnr(&picture, &shown) > 30.0);
    }
}

#[test]
fn a_decoder_follows_a_change_of_size() {
    for codec in CODECS {
        let mut decoder = Decoder::open(codec).unwrap();
        let mut n = 0;
        for (width, height) in [(320, 180), (180, 320), (640, 360), (160, 90)] {
            let mut encoder = Encoder::open(config(codec, width, height)).unwrap();
            for _ in 0..3 {
                let picture = scene(width, height, n as usize);
                let encoded = encoder.encode(&picture, false).unwrap();
                let shown = decoder.decode(&frame(codec, &encoded, n)).unwrap().unwrap();
                assert_eq!((shown.width(), shown.height()), (width, height));
                assert!(psnr(&picture, &shown) > 30.0);
                n += 1;
            }
        }
    }
}

#[test]
fn an_encoder_refuses_pictures_of_another_size() {
    let mut encoder = Encoder::open(config(VideoCodec::Vp8, 320, 180)).unwrap();
    let refused = encoder.encode(&scene(180, 320, 0), false);
    assert!(matches!(refused, Err(Error::Changed { got: (180, 320), .. })));
    assert!(matches!(
        Encoder::open(config(VideoCodec::H264, 0, 180)),
        Err(Error::Size { width: 0, .. })
    ));
    assert!(matches!(
        Encoder::open(config(VideoCodec::Av1, 320, 180)),
        Err(Error::Missing(VideoCodec::Av1))
    ));
}

/// Bits a second of `count` pictures at 30 a second. The picture changes throughout, so that any
/// rate can be spent.
fn spent(encoder: &mut Encoder, from: usize, count: usize) -> f64 {
    let bytes: usize = (from..from + count)
        .map(|n| encoder.encode(&scene(640, 360, n * 7), false).unwrap().data.len())
        .sum();
    bytes as f64 * 8.0 * 30.0 / count as f64
}

#[test]
fn the_rate_is_kept_and_changed() {
    for codec in CODECS {
        let first = Config { bitrate_bps: 800_000, ..config(codec, 640, 360) };
        let mut encoder = Encoder::open(first).unwrap();
        spent(&mut encoder, 0, 60);
        let before = spent(&mut encoder, 60, 90);
        assert!((500_000.0..900_000.0).contains(&before), "{codec:?} {before}");
        let change = encoder.set_bitrate(300_000).unwrap();
        let expected = [RateChange::Applied, RateChange::Reopened];
        assert_eq!(change, expected[usize::from(codec == VideoCodec::Vp8)]);
        spent(&mut encoder, 150, 60);
        let after = spent(&mut encoder, 210, 90);
        assert!((150_000.0..345_000.0).contains(&after), "{codec:?} {after}");
    }
}

#[test]
fn libvpx_stays_open_for_a_small_change() {
    let mut encoder = Encoder::open(config(VideoCodec::Vp8, 320, 180)).unwrap();
    encoder.encode(&scene(320, 180, 0), false).unwrap();
    assert_eq!(encoder.set_bitrate(1_700_000).unwrap(), RateChange::Kept);
    assert_eq!(encoder.config().bitrate_bps, 1_500_000);
    assert!(!encoder.encode(&scene(320, 180, 1), false).unwrap().keyframe);
}

#[test]
fn fewer_pictures_a_second_may_each_be_larger() {
    let first = Config { bitrate_bps: 600_000, ..config(VideoCodec::H264, 640, 360) };
    let mut encoder = Encoder::open(first).unwrap();
    spent(&mut encoder, 0, 60);
    let before = spent(&mut encoder, 60, 90);
    encoder.set_rate(600_000, 15.0).unwrap();
    spent(&mut encoder, 150, 60);
    let after = spent(&mut encoder, 210, 90);
    assert!((1.6..2.4).contains(&(after / before)), "{before} became {after}");
}

#[test]
fn full_range_survives_in_h264_and_is_converted_for_vp8() {
    let colour = Colour { full_range: true, ..Colour::default() };
    for (codec, luma, range) in [(VideoCodec::H264, 255, true), (VideoCodec::Vp8, 235, false)] {
        let config = Config { colour, ..config(codec, 320, 180) };
        let mut encoder = Encoder::open(config).unwrap();
        let encoded = encoder.encode(&Picture::filled(320, 180, [255, 128, 128]), false).unwrap();
        let mut decoder = Decoder::open(codec).unwrap();
        let shown = decoder.decode(&frame(codec, &encoded, 0)).unwrap().unwrap();
        assert_eq!(shown.colour().full_range, range, "{codec:?}");
        let middle = shown.planes()[0].row(90)[160];
        assert!(middle.abs_diff(luma) <= 2, "{codec:?}: {middle}");
    }
}

#[test]
fn the_colour_of_a_source_is_passed_on() {
    let colour = Colour {
        full_range: false,
        matrix: color::Space::BT709,
        primaries: color::Primaries::BT709,
        transfer: color::TransferCharacteristic::BT709,
    };
    let config = Config { colour, ..config(VideoCodec::H264, 320, 180) };
    let encoded = Encoder::open(config).unwrap().encode(&scene(320, 180, 0), false).unwrap();
    let mut decoder = Decoder::open(VideoCodec::H264).unwrap();
    let shown = decoder.decode(&frame(VideoCodec::H264, &encoded, 0)).unwrap().unwrap();
    assert_eq!(shown.colour(), colour);
    assert_eq!(Picture::copy_of(&shown).colour(), colour);
}

#[test]
fn extreme_sizes_are_encoded() {
    for codec in CODECS {
        for (width, height) in [(1, 1), (2, 16), (17, 3), (4096, 64), (64, 4096)] {
            let mut encoder = Encoder::open(config(codec, width, height)).unwrap();
            let encoded = encoder.encode(&scene(width, height, 0), false).unwrap();
            let mut decoder = Decoder::open(codec).unwrap();
            let shown = decoder.decode(&frame(codec, &encoded, 0)).unwrap().unwrap();
            assert_eq!((shown.width(), shown.height()), encoder.size());
        }
    }
}

/// The first picture of a span and each viewer's request make one.
#[test]
fn a_keyframe_fits_the_buffer() {
    for codec in CODECS {
        let first = Config { bitrate_bps: 500_000, ..config(codec, 640, 360) };
        let mut encoder = Encoder::open(first).unwrap();
        for n in 0..90 {
            let encoded = encoder.encode(&scene(640, 360, n), n % 45 == 0).unwrap();
            assert!(encoded.data.len() * 8 < 250_000, "{codec:?} {n}: {}", encoded.data.len());
        }
    }
}

#[test]
fn a_decoded_picture_can_be_written_without_harm_to_the_next() {
    let mut encoder = Encoder::open(config(VideoCodec::H264, 320, 180)).unwrap();
    let mut decoder = Decoder::open(VideoCodec::H264).unwrap();
    for n in 0..5 {
        let picture = scene(320, 180, n);
        let encoded = encoder.encode(&picture, false).unwrap();
        let shown = decoder.decode(&frame(VideoCodec::H264, &encoded, n as u64)).unwrap().unwrap();
        assert!(psnr(&picture, &shown) > 30.0, "picture {n}");
        let mut owned = Arc::into_inner(shown).unwrap();
        for plane in owned.planes_mut() {
            plane.data.fill(0);
        }
    }
}
