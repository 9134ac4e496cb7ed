//! The options of the decoders.

use ffmpeg_next as ff;

use super::Error;
use crate::media::engines::Seat;
use crate::media::{VideoCodec, ffmpeg};

/// Most samples a picture may have. Above any camera; below what would let a few bytes of a made
/// up header claim gigabytes.
const MAX_PIXELS: u32 = 4096 * 4096;

/// Opens FFmpeg's decoder: one thread, no delay, loop filter on. With a `seat` it decodes there what
/// the GPU takes.
pub(super) fn open(codec: VideoCodec, seat: Option<&Seat>) -> Result<ff::decoder::Video, Error> {
    ffmpeg::init();
    let found = find(codec, seat.is_some()).ok_or(Error::Missing(codec))?;
    let mut context = ff::codec::Context::new_with_codec(found);
    context.set_flags(ff::codec::Flags::LOW_DELAY);
    context.set_threading(ff::threading::Config {
        kind: ff::threading::Type::Slice,
        count: 1,
        ..Default::default()
    });
    if let Some(seat) = seat {
        let no_memory = ff::Error::Other { errno: ff::error::ENOMEM };
        let device = seat.device().ok_or(Error::Open { codec, source: no_memory })?;
        device.attach(&mut context);
    }
    let mut options = ff::Dictionary::new();
    options.set("max_pixels", &MAX_PIXELS.to_string());
    if codec == VideoCodec::Av1 && seat.is_none() {
        options.set("max_frame_delay", "1");
    }
    // What is painted over is marked, and refused later. Stricter checks found no more, and would
    // refuse deviations that browsers play.
    context
        .decoder()
        .open_as_with(found, options)
        .and_then(ff::codec::decoder::Opened::video)
        .map_err(|source| Error::Open { codec, source })
}

fn find(codec: VideoCodec, on_gpu: bool) -> Option<ff::Codec> {
    match codec {
        VideoCodec::H264 => ff::decoder::find(ff::codec::Id::H264),
        VideoCodec::Vp8 => ff::decoder::find(ff::codec::Id::VP8),
        VideoCodec::Vp9 => ff::decoder::find(ff::codec::Id::VP9),
        // FFmpeg's own AV1 decoder is one for hardware alone.
        VideoCodec::Av1 if on_gpu => ff::decoder::find_by_name("av1"),
        VideoCodec::Av1 => ff::decoder::find_by_name("libdav1d"),
    }
}
