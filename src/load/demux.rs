//! Encoded pictures out of a file, through FFmpeg's demuxers.

use std::path::Path;
use std::sync::Arc;

use ffmpeg_next as ff;

use super::annexb::Layout;
use super::clip::{Clip, ClipError, Coded, Rate};
use crate::media::bitstream::{Content, content};
use crate::media::{VideoCodec, ffmpeg};

/// Reads the first video track of a file: MP4, Matroska, raw H.264, IVF, whatever FFmpeg knows.
///
/// # Errors
///
/// When it cannot be read, or cannot be sent live as it is.
pub(super) fn read(path: &Path) -> Result<Clip, ClipError> {
    ffmpeg::init();
    let failed = |reason: String| ClipError::Read { path: path.to_owned(), reason };
    // FFmpeg's wrapper panics on names that are not UTF-8 or hold a zero byte.
    if path.to_str().is_none_or(|name| name.contains('\0')) {
        return Err(failed("the name is not UTF-8".into()));
    }
    let mut input = ff::format::input(path).map_err(|error| failed(error.to_string()))?;
    let stream = input
        .streams()
        .best(ff::media::Type::Video)
        .ok_or_else(|| failed("there is no video track in it".into()))?;
    let parameters = stream.parameters();
    let codec = match parameters.id() {
        ff::codec::Id::H264 => VideoCodec::H264,
        ff::codec::Id::VP8 => VideoCodec::Vp8,
        other => return Err(ClipError::Codec(other.name().to_owned())),
    };
    let layout = Layout::read(&ffmpeg::extradata(&parameters)).ok_or(ClipError::Damaged)?;
    let rate = [stream.avg_frame_rate(), stream.rate()].into_iter().find_map(rate);
    let rate = rate.ok_or(ClipError::Rate)?;
    let index = stream.index();
    let decoder = ff::codec::context::Context::from_parameters(parameters)
        .and_then(|context| context.decoder().video())
        .map_err(|error| failed(error.to_string()))?;
    let size = (decoder.width(), decoder.height());

    let mut frames = Vec::new();
    let mut last = None;
    for (stream, packet) in input.packets() {
        if stream.index() != index {
            continue;
        }
        if packet.pts().is_some() && last.is_some() && packet.pts() <= last {
            return Err(ClipError::Reordered);
        }
        last = packet.pts().or(last);
        frames.extend(picture(codec, &layout, packet.data().unwrap_or_default())?);
    }
    Clip::new(codec, size, rate, frames)
}

/// One packet as it will be sent; `None` when it holds no picture.
///
/// # Errors
///
/// When it is damaged.
pub(super) fn picture(
    codec: VideoCodec,
    layout: &Layout,
    data: &[u8],
) -> Result<Option<Coded>, ClipError> {
    let data: Arc<[u8]> = match codec {
        VideoCodec::H264 => layout.access_unit(data).ok_or(ClipError::Damaged)?.into(),
        _ => data.into(),
    };
    Ok(match content(codec, &data) {
        Content::Key => Some(Coded { data, keyframe: true }),
        Content::Delta => Some(Coded { data, keyframe: false }),
        Content::Headers => None,
    })
}

fn rate(rational: ff::Rational) -> Option<Rate> {
    let (num, den) = (rational.numerator(), rational.denominator());
    Rate::new(u32::try_from(num).ok()?, u32::try_from(den).ok()?)
}
