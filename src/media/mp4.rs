//! A video file of encoded pictures: MP4 with one H.264 track, made in memory.

use super::encode::Encoded;
use super::{bitstream, ffmpeg};

/// Units of time a second.
const TIMESCALE: i32 = 90_000;

/// H.264's NAL units of parameter sets.
const SPS: u8 = 7;
const PPS: u8 = 8;

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The first picture is no keyframe with parameter sets, or the size is impossible.
    #[error("the first picture does not begin a video")]
    Start,
    /// The muxer refused something, or the file is too long.
    #[error("the video cannot be written: {0}")]
    Mux(#[from] ffmpeg_next::Error),
}

/// A file that is being written; use it on one thread.
pub struct Writer {
    muxer: ffmpeg::Muxer,
    /// Units of time a picture takes.
    duration: f64,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("duration", &self.duration).finish_non_exhaustive()
    }
}

impl Writer {
    /// Begins a file of pictures of `size` (even sides), `fps` a second. `first` is the picture that
    /// will be written first; it has the parameter sets.
    ///
    /// # Errors
    ///
    /// When it has none, or memory is out.
    pub fn open(size: (u32, u32), fps: f32, first: &Encoded) -> Result<Self, Error> {
        let mut parameters = Vec::new();
        for nal in bitstream::nals(&first.data) {
            if matches!(bitstream::nal_type(nal), SPS | PPS) {
                parameters.extend([0, 0, 0, 1]);
                parameters.extend_from_slice(nal);
            }
        }
        let side = |side: u32| i32::try_from(side).map_err(|_| Error::Start);
        if parameters.is_empty() || !first.keyframe {
            return Err(Error::Start);
        }
        let size = (side(size.0)?, side(size.1)?);
        let track = ffmpeg::Track { size, timescale: TIMESCALE, parameters: &parameters };
        let muxer = ffmpeg::Muxer::open(track)?;
        Ok(Self { muxer, duration: f64::from(TIMESCALE) / f64::from(fps) })
    }

    /// Adds the picture that is shown at `number` pictures from the start; numbers grow. The one
    /// before stands until then.
    ///
    /// # Errors
    ///
    /// When the muxer refuses it.
    pub fn write(&mut self, number: u64, picture: &Encoded) -> Result<(), Error> {
        let at = |number: u64| (number as f64 * self.duration).round() as i64;
        let time = (at(number), (at(number + 1) - at(number)).max(1));
        Ok(self.muxer.write(&picture.data, time, picture.keyframe)?)
    }

    /// Ends the file and returns it.
    ///
    /// # Errors
    ///
    /// When the muxer cannot.
    pub fn finish(self) -> Result<Vec<u8>, Error> {
        Ok(self.muxer.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::encode::{Config, Encoder};
    use crate::media::{Colour, Picture, VideoCodec};

    fn encoder(width: u32, height: u32) -> Encoder {
        let (codec, colour) = (VideoCodec::H264, Colour::default());
        let config = Config { codec, width, height, bitrate_bps: 500_000, fps: 10.0, colour };
        Encoder::open(config).unwrap()
    }

    #[test]
    fn a_file_has_every_picture_at_its_time() {
        let mut encoder = encoder(160, 91);
        let mut writer = None;
        for number in [0_u64, 1, 2, 7] {
            let picture = Picture::filled(160, 91, [40 * (number as u8 % 4) + 40, 128, 128]);
            let encoded = encoder.encode(&picture, number == 0).unwrap();
            let writer =
                writer.get_or_insert_with(|| Writer::open(encoder.size(), 10.0, &encoded).unwrap());
            writer.write(number, &encoded).unwrap();
        }
        let file = writer.unwrap().finish().unwrap();
        assert_eq!(&file[4..8], b"ftyp");
        let path = std::env::temp_dir().join(format!("scrim-mp4-{}.mp4", std::process::id()));
        std::fs::write(&path, &file).unwrap();
        let mut input = ffmpeg_next::format::input(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut times = Vec::new();
        for (stream, packet) in input.packets() {
            let base = f64::from(stream.time_base());
            times.push((packet.pts().unwrap() as f64 * base * 10.0).round() as u64);
        }
        assert_eq!(times, [0, 1, 2, 7]);
    }

    #[test]
    fn a_picture_that_begins_nothing_begins_no_file() {
        let mut encoder = encoder(160, 90);
        let picture = Picture::new(160, 90);
        encoder.encode(&picture, true).unwrap();
        let second = encoder.encode(&picture, false).unwrap();
        assert!(matches!(Writer::open((160, 90), 10.0, &second), Err(Error::Start)));
    }
}
