//! The options of the encoders.

use ffmpeg_next as ff;
use ffmpeg_next::format::Pixel;

use super::{Config, Error};
use crate::media::{Engine, VideoCodec, ffmpeg};

type Opened = ff::codec::encoder::video::Encoder;

/// How much of the target rate a decoder's buffer holds, which bounds the size of a keyframe: x264
/// spends up to two fifths of it on one. Half as much costs 0.7 dB over the first second of a span.
const X264_BUFFER_MS: u64 = 1000;
/// The same for libvpx.
const VPX_BUFFER_MS: u64 = 500;

/// Pictures between keyframes nobody asked for; about a quarter of an hour.
const GROUP: u32 = 30_000;

/// Longest side that both codecs can say.
const MAX_SIDE: u32 = 16_383;

/// No delay, one slice, parameter sets of their own id before each keyframe. Baseline is made
/// constrained by x264; the level follows from the size and the rates.
///
/// As good as `crf` says, within the rate and its buffer: against a mean rate this is worth 0.9 dB,
/// since x264 needs seconds to find the rate, and spans are short.
const X264: [(&str, &str); 6] = [
    ("preset", "superfast"),
    ("crf", "20"),
    ("tune", "zerolatency"),
    ("profile", "baseline"),
    ("forced-idr", "1"),
    ("x264-params", "repeat-headers=1:annexb=1:aud=0:scenecut=0:sliced-threads=0:sps-id=1"),
];

/// NVENC without delay: one picture in, one packet out, nothing refers forwards. Without arithmetic
/// coding, because its parameter sets get another id afterwards. Set by what NVIDIA documents for
/// low latency; not measured yet.
const NVENC: [(&str, &str); 9] = [
    ("preset", "p4"),
    ("tune", "ull"),
    ("rc", "vbr"),
    ("profile", "baseline"),
    ("coder", "cavlc"),
    ("zerolatency", "1"),
    ("delay", "0"),
    ("forced-idr", "1"),
    ("a53cc", "0"),
];

/// Real time, no picture withheld or dropped. Negative speeds fix the effort instead of following
/// the processor's load, and are far cheaper for the same quality; -6 instead of -8 is worth 0.3 to
/// 1.1 dB of what moves. A variable rate: with a constant one the first second is 3 dB worse. Free to
/// overshoot for a moment: it then spends 100 to 104 % of the rate, else 92 to 95 %, and loses 0.14 to 0.23 dB less.
const VPX: [(&str, &str); 7] = [
    ("deadline", "realtime"),
    ("cpu-used", "-6"),
    ("lag-in-frames", "0"),
    ("static-thresh", "1"),
    ("drop-threshold", "0"),
    ("undershoot-pct", "100"),
    ("overshoot-pct", "100"),
];

/// The size of the encoded pictures: even sides for H.264, which can say no others in 4:2:0.
pub(super) fn coded_size(config: &Config) -> (u32, u32) {
    match config.codec {
        VideoCodec::H264 => (config.width.next_multiple_of(2), config.height.next_multiple_of(2)),
        _ => (config.width, config.height),
    }
}

/// The rate limits for a target in bits a second.
pub(super) fn rate(codec: VideoCodec, bps: u32) -> ffmpeg::Rate {
    let length = if codec == VideoCodec::H264 { X264_BUFFER_MS } else { VPX_BUFFER_MS };
    let buffer = u64::from(bps) * length / 1000;
    ffmpeg::Rate { bps, buffer: u32::try_from(buffer).unwrap_or(u32::MAX) }
}

/// Opens the encoder of `config`, whose numbers are within bounds but for the size.
pub(super) fn open(config: &Config, engine: Engine) -> Result<Opened, Error> {
    let (width, height) = coded_size(config);
    if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
        return Err(Error::Size { width: config.width, height: config.height });
    }
    let (name, options): (_, &[(&str, &str)]) = match (config.codec, engine) {
        (VideoCodec::H264, Engine::Nvenc(_)) => ("h264_nvenc", &NVENC),
        (VideoCodec::H264, _) => ("libx264", &X264),
        (VideoCodec::Vp8, _) => ("libvpx", &VPX),
        (codec @ (VideoCodec::Vp9 | VideoCodec::Av1), _) => return Err(Error::Missing(codec)),
    };
    let failed = |source| Error::Open { codec: config.codec, source };
    let found = ff::encoder::find_by_name(name).ok_or(Error::Missing(config.codec))?;
    let mut context = ff::codec::Context::new_with_codec(found);
    context.set_threading(ff::threading::Config {
        kind: ff::threading::Type::Slice,
        count: 1,
        ..Default::default()
    });
    let mut video = context.encoder().video().map_err(failed)?;
    video.set_width(width);
    video.set_height(height);
    video.set_format(Pixel::YUV420P);
    let millihertz = (config.fps * 1000.0).round() as i32;
    video.set_time_base(ff::Rational(1000, millihertz));
    video.set_frame_rate(Some(ff::Rational(millihertz, 1000)));
    video.set_gop(GROUP);
    video.set_max_b_frames(0);
    if config.codec == VideoCodec::Vp8 {
        video.set_qmin(2);
        video.set_qmax(56);
    } else {
        set_colour(&mut video, config);
    }
    ffmpeg::set_rate(&mut video, rate(config.codec, config.bitrate_bps));
    let mut options: ff::Dictionary<'_> = options.iter().copied().collect();
    if let Engine::Nvenc(number) = engine {
        options.set("gpu", &number.to_string());
    }
    video.open_with(options).map_err(failed)
}

fn set_colour(video: &mut ff::codec::encoder::video::Video, config: &Config) {
    let colour = config.colour;
    if colour.full_range {
        video.set_color_range(ff::color::Range::JPEG);
    }
    video.set_colorspace(colour.matrix);
    video.set_color_primaries(colour.primaries);
    video.set_color_transfer_characteristic(colour.transfer);
}
