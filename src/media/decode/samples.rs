//! What a decoder gives, brought to 8-bit 4:2:0 planes that the processor reads.
//!
//! This is the one place at which a picture comes down from a GPU: what shall stay there must
//! branch off here.

use ffmpeg_next as ff;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame::Video;

use super::Error;
use crate::media::{Picture, ffmpeg};

/// The picture of the frame that was stamped so.
pub(super) fn accept(video: Video, stamp: i64) -> Result<Picture, Error> {
    if video.pts() != Some(stamp) {
        return Err(Error::Reordered);
    }
    let video = if ffmpeg::cuda::is_on_gpu(&video) {
        let down = ffmpeg::cuda::download(video).map_err(Error::Download)?;
        if let Some(picture) = Picture::from_nv12(&down) {
            return Ok(picture);
        }
        down
    } else {
        video
    };
    let format = video.format();
    let planar = matches!(format, Pixel::YUV420P | Pixel::YUVJ420P);
    if planar && ffmpeg::is_whole(&video) {
        return Picture::from_ffmpeg(video).ok_or(Error::Damaged);
    }
    convert(video).ok_or_else(|| Error::Format(format!("{format:?}")))
}

/// Brings any format to 8-bit 4:2:0, or a cropped picture to planes of its own. Rare (screens in
/// 4:4:4, 10 bits), so the converter is not kept.
fn convert(mut video: Video) -> Option<Picture> {
    // The older full-range formats would be squeezed into limited range; the range is a property
    // of the picture here.
    let plain = match video.format() {
        Pixel::YUVJ420P => Some(Pixel::YUV420P),
        Pixel::YUVJ422P => Some(Pixel::YUV422P),
        Pixel::YUVJ444P => Some(Pixel::YUV444P),
        _ => None,
    };
    if let Some(plain) = plain {
        video.set_format(plain);
        video.set_color_range(ff::color::Range::JPEG);
    }
    let mut scaler = ff::software::scaling::Context::get(
        video.format(),
        video.width(),
        video.height(),
        Pixel::YUV420P,
        video.width(),
        video.height(),
        ff::software::scaling::Flags::BILINEAR,
    )
    .ok()?;
    let mut converted = Video::new(Pixel::YUV420P, video.width(), video.height());
    scaler.run(&video, &mut converted).ok()?;
    ffmpeg::copy_colour(&video, &mut converted);
    Picture::from_ffmpeg(converted)
}
