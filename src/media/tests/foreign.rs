//! Streams of encoders that are not ours: other codecs, other pixel formats.

use ffmpeg_next as ff;
use ffmpeg_next::format::Pixel;

use super::super::bitstream::{Content, content, nal_type, nals, strip};
use super::super::decode::Decoder;
use super::super::encode::renumber::renumber;
use super::*;

const SIZE: (u32, u32) = (320, 180);

/// The scene as `name` encodes it in `format`, after a conversion by swscale.
fn foreign(
    codec: VideoCodec,
    name: &str,
    format: Pixel,
    options: &[(&str, &str)],
) -> Vec<VideoFrame> {
    ff::init().unwrap();
    let found = ff::encoder::find_by_name(name).unwrap();
    let mut context = ff::codec::Context::new_with_codec(found);
    context.set_threading(ff::threading::Config::count(1));
    let mut video = context.encoder().video().unwrap();
    video.set_width(SIZE.0);
    video.set_height(SIZE.1);
    video.set_format(format);
    video.set_time_base(ff::Rational(1, 30));
    video.set_bit_rate(1_500_000);
    video.set_max_b_frames(0);
    let mut encoder = video.open_with(options.iter().copied().collect()).unwrap();
    let flags = ff::software::scaling::Flags::BILINEAR;
    let from = Pixel::YUV420P;
    let mut scaler =
        ff::software::scaling::Context::get(from, SIZE.0, SIZE.1, format, SIZE.0, SIZE.1, flags)
            .unwrap();
    (0..8)
        .map(|n| {
            let mut converted = ff::frame::Video::new(format, SIZE.0, SIZE.1);
            let picture = scene(SIZE.0, SIZE.1, n);
            scaler.run(picture.as_ffmpeg(), &mut converted).unwrap();
            converted.set_pts(Some(n as i64));
            encoder.send_frame(&converted).unwrap();
            let mut packet = ff::Packet::empty();
            encoder.receive_packet(&mut packet).unwrap();
            let encoded =
                Encoded { data: packet.data().unwrap().into(), keyframe: packet.is_key() };
            frame(codec, &encoded, n as u64)
        })
        .collect()
}

fn check(codec: VideoCodec, frames: &[VideoFrame], least: f64) {
    let mut decoder = Decoder::open(codec).unwrap();
    for (n, frame) in frames.iter().enumerate() {
        let expected = if frame.keyframe { Content::Key } else { Content::Delta };
        assert_eq!(content(codec, &frame.data), expected, "{codec:?} {n}");
        assert_eq!(frame.keyframe, n == 0, "{codec:?} {n}");
        let shown = decoder.decode(frame).unwrap().unwrap();
        let quality = psnr(&scene(SIZE.0, SIZE.1, n), &shown);
        assert!(quality > least, "{codec:?} {n}: {quality:.1} dB");
    }
}

#[test]
fn vp9_is_decoded() {
    let options = [("deadline", "realtime"), ("cpu-used", "8"), ("lag-in-frames", "0")];
    check(VideoCodec::Vp9, &foreign(VideoCodec::Vp9, "libvpx-vp9", Pixel::YUV420P, &options), 32.0);
}

#[test]
fn av1_is_decoded() {
    let options = [("usage", "realtime"), ("cpu-used", "8"), ("lag-in-frames", "0")];
    check(VideoCodec::Av1, &foreign(VideoCodec::Av1, "libaom-av1", Pixel::YUV420P, &options), 32.0);
}

#[test]
fn other_formats_are_brought_to_eight_bits_and_a_quarter_of_the_chroma() {
    let options = [("preset", "ultrafast"), ("tune", "zerolatency")];
    for format in [Pixel::YUV444P, Pixel::YUV422P10LE, Pixel::YUV420P10LE] {
        check(VideoCodec::H264, &foreign(VideoCodec::H264, "libx264", format, &options), 30.0);
    }
}

/// The range is a property of the picture; the conversion must not touch it.
#[test]
fn full_range_keeps_its_values_through_a_conversion() {
    let options = [("preset", "ultrafast"), ("tune", "zerolatency")];
    let frames = foreign(VideoCodec::H264, "libx264", Pixel::YUVJ444P, &options);
    let shown = Decoder::open(VideoCodec::H264).unwrap().decode(&frames[0]).unwrap().unwrap();
    assert!(shown.colour().full_range);
    // The square of 210 in limited range is this in full range.
    assert!(shown.planes()[0].row(20)[20].abs_diff(226) <= 3);
}

/// What NVENC writes has the ids of a source; with those of ours it is the same pictures.
#[test]
fn parameter_sets_with_another_id_change_no_picture() {
    let params = "repeat-headers=1:annexb=1:keyint=4";
    let options = [("tune", "zerolatency"), ("profile", "baseline"), ("x264-params", params)];
    let frames = foreign(VideoCodec::H264, "libx264", Pixel::YUV420P, &options);
    let mut decoders = [0, 1].map(|_| Decoder::open(VideoCodec::H264).unwrap());
    for frame in &frames {
        let data = renumber(&strip(&frame.data)).expect("baseline has no arithmetic coding");
        let sets = nals(&data).filter(|nal| nal_type(nal) == 7).all(|nal| nal[4] >> 5 == 0b010);
        assert!(sets, "the id of every sequence set is 1");
        let renumbered = VideoFrame { data: data.into(), ..frame.clone() };
        let [ours, theirs] = &mut decoders;
        let (ours, theirs) = (ours.decode(frame).unwrap(), theirs.decode(&renumbered).unwrap());
        assert!(psnr(&ours.unwrap(), &theirs.unwrap()) > 100.0, "the same samples");
    }
    let options = [("tune", "zerolatency"), ("profile", "main"), ("x264-params", params)];
    let frames = foreign(VideoCodec::H264, "libx264", Pixel::YUV420P, &options);
    assert_eq!(renumber(&strip(&frames[0].data)), None, "with arithmetic coding it cannot be done");
}
