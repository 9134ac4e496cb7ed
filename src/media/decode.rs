//! Encoded frames in, pictures out, one for one and at once.
//!
//! A decoder that lost its references shows nothing new until the next keyframe: what it would
//! show is made up, and what is made up cannot be verified. A [`Decoder`] belongs to one thread.

use std::sync::Arc;

use ffmpeg_next as ff;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame::Video;

use super::bitstream::{self, Content};
use super::link::Chain;
use super::{Link, Picture, VideoCodec, VideoFrame, ffmpeg};

/// Most samples a picture may have. Above any camera; below what would let a few bytes of a made
/// up header claim gigabytes.
const MAX_PIXELS: u32 = 4096 * 4096;

/// Why a frame gave no picture. After each of them but `Codec`, a keyframe is needed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This FFmpeg has no decoder for the codec.
    #[error("no decoder for {}", .0.name())]
    Missing(VideoCodec),
    /// The decoder could not be opened.
    #[error("could not open the {} decoder", codec.name())]
    Open {
        /// The codec.
        codec: VideoCodec,
        /// What FFmpeg said.
        source: ff::Error,
    },
    /// The frame is of another codec than the decoder.
    #[error("a {} frame came to a {} decoder", got.name(), expected.name())]
    Codec {
        /// The decoder's codec.
        expected: VideoCodec,
        /// The frame's codec.
        got: VideoCodec,
    },
    /// The decoder refused the frame.
    #[error("the frame cannot be decoded")]
    Refused(#[source] ff::Error),
    /// The decoder marked the picture as damaged, or made parts of it up.
    #[error("the picture is damaged")]
    Damaged,
    /// The picture belongs to an earlier frame: the stream has B frames, which live video has not.
    #[error("pictures come out of order")]
    Reordered,
    /// More than one picture came out of one frame: a viewer might see the one nobody looked at.
    #[error("a frame holds more than one picture")]
    Several,
    /// The samples are in a format that cannot be brought to 8-bit 4:2:0.
    #[error("pixel format {0} is not supported")]
    Format(String),
}

/// One codec, opened. Not for use from several threads; open, use and drop it on one.
pub struct Decoder {
    codec: VideoCodec,
    inner: ff::decoder::Video,
    continuity: Continuity,
    chain: Chain,
    link: Link,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("codec", &self.codec).finish_non_exhaustive()
    }
}

impl Decoder {
    /// Opens a decoder: one thread, no delay, loop filter on.
    pub fn open(codec: VideoCodec) -> Result<Self, Error> {
        ffmpeg::init();
        let found = find(codec).ok_or(Error::Missing(codec))?;
        let mut context = ff::codec::Context::new_with_codec(found);
        context.set_flags(ff::codec::Flags::LOW_DELAY);
        context.set_threading(ff::threading::Config {
            kind: ff::threading::Type::Slice,
            count: 1,
            ..Default::default()
        });
        let mut options = ff::Dictionary::new();
        options.set("max_pixels", &MAX_PIXELS.to_string());
        if codec == VideoCodec::Av1 {
            options.set("max_frame_delay", "1");
        }
        // What is painted over is marked, and refused below. Stricter checks found no more, and
        // would refuse deviations that browsers play.
        let inner = context
            .decoder()
            .open_as_with(found, options)
            .and_then(ff::codec::decoder::Opened::video)
            .map_err(|source| Error::Open { codec, source })?;
        let (continuity, chain) = (Continuity::default(), Chain::new(codec));
        Ok(Self { codec, inner, continuity, chain, link: Link::default() })
    }

    /// The codec it was opened for.
    pub fn codec(&self) -> VideoCodec {
        self.codec
    }

    /// Whether nothing can be shown until a keyframe comes: at the start, after a loss, after an
    /// error.
    pub fn needs_keyframe(&self) -> bool {
        self.continuity.waiting
    }

    /// How the frame that gave the last picture hangs together with the one that gave the picture
    /// before it.
    pub fn link(&self) -> Link {
        self.link
    }

    /// Decodes one frame; frames come in decoding order. The picture is that frame's own, of any
    /// size, 8-bit 4:2:0, its colour as the source declared it.
    ///
    /// `None` when there is nothing to show: a keyframe is needed first (see
    /// [`Decoder::needs_keyframe`]), or the frame has no visible picture.
    pub fn decode(&mut self, frame: &VideoFrame) -> Result<Option<Arc<Picture>>, Error> {
        let picture = self.picture(frame);
        match picture {
            Ok(Some(_)) => self.link = self.chain.released(&frame.data, frame.contiguous),
            Ok(None) | Err(_) => self.chain.withheld(),
        }
        picture
    }

    fn picture(&mut self, frame: &VideoFrame) -> Result<Option<Arc<Picture>>, Error> {
        if frame.codec != self.codec {
            return Err(Error::Codec { expected: self.codec, got: frame.codec });
        }
        let content = bitstream::content(self.codec, &frame.data);
        if !self.continuity.admit(content, frame.contiguous) {
            return Ok(None);
        }
        let stamp = frame.rtp_time.cast_signed();
        if content == Content::Headers {
            if self.codec == VideoCodec::H264 && !frame.data.is_empty() {
                // Parameter sets alone: the decoder keeps them, and reports that no picture came.
                let _ = self.run(&frame.data, stamp);
            }
            return Ok(None);
        }
        let picture = self
            .run(&frame.data, stamp)
            .and_then(|found| found.map(|video| accept(video, stamp)).transpose());
        if picture.is_err() {
            self.continuity.lost();
            self.inner.flush();
        }
        Ok(picture?.map(Arc::new))
    }

    /// Feeds one access unit and takes out its picture.
    fn run(&mut self, data: &[u8], stamp: i64) -> Result<Option<Video>, Error> {
        let mut packet = ff::Packet::copy(data);
        packet.set_pts(Some(stamp));
        packet.set_dts(Some(stamp));
        self.inner.send_packet(&packet).map_err(Error::Refused)?;
        let mut found = None;
        loop {
            let mut video = Video::empty();
            match self.inner.receive_frame(&mut video) {
                Ok(()) if ffmpeg::is_damaged(&video) => return Err(Error::Damaged),
                Ok(()) if found.is_some() => return Err(Error::Several),
                Ok(()) => found = Some(video),
                Err(ff::Error::Other { errno: ff::error::EAGAIN }) => return Ok(found),
                Err(error) => return Err(Error::Refused(error)),
            }
        }
    }
}

/// Which frames may be decoded and shown. Pure.
#[derive(Debug)]
struct Continuity {
    waiting: bool,
}

impl Default for Continuity {
    fn default() -> Self {
        Self { waiting: true }
    }
}

impl Continuity {
    /// Whether to decode a frame. What the transport calls a keyframe does not count, what the
    /// bytes say does.
    fn admit(&mut self, content: Content, contiguous: bool) -> bool {
        match content {
            Content::Headers => {
                self.waiting |= !contiguous;
                return true;
            }
            Content::Key => self.waiting = false,
            Content::Delta => self.waiting |= !contiguous,
        }
        !self.waiting
    }

    fn lost(&mut self) {
        self.waiting = true;
    }
}

fn find(codec: VideoCodec) -> Option<ff::Codec> {
    match codec {
        VideoCodec::H264 => ff::decoder::find(ff::codec::Id::H264),
        VideoCodec::Vp8 => ff::decoder::find(ff::codec::Id::VP8),
        VideoCodec::Vp9 => ff::decoder::find(ff::codec::Id::VP9),
        // FFmpeg's own AV1 decoder needs hardware.
        VideoCodec::Av1 => ff::decoder::find_by_name("libdav1d"),
    }
}

fn accept(video: Video, stamp: i64) -> Result<Picture, Error> {
    if video.pts() != Some(stamp) {
        return Err(Error::Reordered);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_between_a_loss_and_the_next_keyframe() {
        use Content::{Delta, Headers, Key};
        // (content, contiguous, error afterwards, whether it is decoded, whether a key is needed)
        let steps = [
            (Delta, true, false, false, true),
            (Headers, true, false, true, true),
            (Key, true, false, true, false),
            (Delta, true, false, true, false),
            (Delta, false, false, false, true),
            (Delta, true, false, false, true),
            (Key, false, false, true, false),
            (Delta, true, true, true, true),
            (Delta, true, false, false, true),
            (Key, true, true, true, true),
            (Key, true, false, true, false),
            (Headers, false, false, true, true),
            (Delta, true, false, false, true),
        ];
        let mut continuity = Continuity::default();
        for (i, (content, contiguous, error, decoded, waiting)) in steps.into_iter().enumerate() {
            assert_eq!(continuity.admit(content, contiguous), decoded, "step {i}");
            if error {
                continuity.lost();
            }
            assert_eq!(continuity.waiting, waiting, "step {i}");
        }
    }
}
