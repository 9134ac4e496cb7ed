//! The encoded pictures that every broadcaster sends, over and over.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::demux;
use super::scene::Scene;
use crate::media::VideoCodec;

/// The shortest clip: a frame that comes back must be told from the same frame one loop earlier,
/// and a server under test may hold frames for seconds.
const SHORTEST: Duration = Duration::from_secs(4);

/// The longest clip, in bytes: it is held in memory.
const LARGEST: usize = 512 << 20;

/// Ticks of RTP time a second.
const RTP: u64 = 90_000;

/// Pictures a second, as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    num: u32,
    den: u32,
}

impl Rate {
    /// `num / den` pictures a second; `None` unless that is between 1 and 240.
    pub(crate) fn new(num: u32, den: u32) -> Option<Self> {
        let sensible = den > 0 && (den..=den.saturating_mul(240)).contains(&num);
        sensible.then_some(Self { num, den })
    }

    /// Pictures a second, as numerator and denominator.
    pub(crate) fn fraction(self) -> (u32, u32) {
        (self.num, self.den)
    }

    /// Pictures a second.
    pub(crate) fn fps(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// When picture `n` is due, from picture 0 on.
    pub(crate) fn time(self, n: u64) -> Duration {
        let nanos = u128::from(n) * 1_000_000_000 * u128::from(self.den) / u128::from(self.num);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// RTP time of picture `n`, 90 kHz, from picture 0 on.
    pub(crate) fn rtp(self, n: u64) -> u64 {
        (u128::from(n) * u128::from(RTP * u64::from(self.den)) / u128::from(self.num)) as u64
    }

    /// How many pictures lie within this much RTP time; `None` when it is no whole number of
    /// them, give or take two ticks of rounding.
    pub(crate) fn pictures(self, ticks: u64) -> Option<u64> {
        let (scaled, unit) = (u128::from(ticks) * u128::from(self.num), RTP * u64::from(self.den));
        let n = u64::try_from((scaled + u128::from(unit / 2)) / u128::from(unit)).ok()?;
        (self.rtp(n).abs_diff(ticks) <= 2).then_some(n)
    }
}

/// One encoded picture.
#[derive(Clone, Debug)]
pub(crate) struct Coded {
    /// The access unit, as a packetiser and depacketiser leave it.
    pub(crate) data: Arc<[u8]>,
    /// Whether it needs none before it.
    pub(crate) keyframe: bool,
}

/// Encoded pictures that can be sent over and over.
#[derive(Clone, Debug)]
pub(crate) struct Clip {
    pub(crate) codec: VideoCodec,
    /// Width and height, pixels.
    pub(crate) size: (u32, u32),
    pub(crate) rate: Rate,
    /// At least one; the first is a keyframe.
    pub(crate) frames: Vec<Coded>,
}

/// Why there is no clip. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClipError {
    #[error("cannot read {}: {reason}", path.display())]
    Read { path: PathBuf, reason: String },
    #[error(
        "the clip is {0}; it must be H264 or VP8: ffmpeg -i CLIP -c:v libx264 -bf 0 -g 60 OUT.mp4"
    )]
    Codec(String),
    #[error(
        "the clip has B-frames, which nobody sends live: ffmpeg -i CLIP -c:v libx264 -bf 0 -g 60 OUT.mp4"
    )]
    Reordered,
    #[error("the clip must start with a keyframe that brings its parameter sets")]
    NoKeyframe,
    #[error("the clip says no frame rate between 1 and 240; put it into an MP4 or IVF file")]
    Rate,
    #[error("the clip is {0:.1} s long; it must be at least {least} s: ffmpeg -stream_loop 9 -i CLIP -c copy OUT.mp4", least = SHORTEST.as_secs())]
    Short(f64),
    #[error("the clip is larger than {} MB", LARGEST >> 20)]
    Large,
    #[error("the clip holds bytes that are no access unit, or a keyframe without parameter sets")]
    Damaged,
    #[error("no clip could be made: {0}")]
    Make(String),
}

impl Clip {
    /// A clip of these pictures, if it can be sent as it is.
    pub(crate) fn new(
        codec: VideoCodec,
        size: (u32, u32),
        rate: Rate,
        frames: Vec<Coded>,
    ) -> Result<Self, ClipError> {
        let clip = Self { codec, size, rate, frames };
        if !clip.frames.first().is_some_and(|first| first.keyframe) {
            return Err(ClipError::NoKeyframe);
        }
        if clip.length() < SHORTEST {
            return Err(ClipError::Short(clip.length().as_secs_f64()));
        }
        if clip.bytes() > LARGEST {
            return Err(ClipError::Large);
        }
        Ok(clip)
    }

    /// The clip in a file, as it can be sent live.
    pub(crate) fn read(path: &Path) -> Result<Self, ClipError> {
        demux::read(path)
    }

    /// A moving texture, 1280x720, 30 pictures a second, a keyframe every 2 s.
    pub(crate) fn made(codec: VideoCodec) -> Result<Self, ClipError> {
        Scene { codec, keyframe_every: 2.0 }.clip()
    }

    /// Time of one loop.
    pub(crate) fn length(&self) -> Duration {
        self.rate.time(self.frames.len() as u64)
    }

    /// Bytes of all pictures.
    pub(crate) fn bytes(&self) -> usize {
        self.frames.iter().map(|frame| frame.data.len()).sum()
    }

    /// Mean bits a second.
    pub(crate) fn bitrate(&self) -> f64 {
        self.bytes() as f64 * 8.0 / self.length().as_secs_f64()
    }

    /// Where the keyframes are.
    pub(crate) fn keyframes(&self) -> impl Iterator<Item = usize> {
        let marked = self.frames.iter().enumerate().filter(|(_, frame)| frame.keyframe);
        marked.map(|(index, _)| index)
    }

    /// The longest time without a keyframe, over the seam, too.
    pub(crate) fn longest_group(&self) -> Duration {
        let starts: Vec<usize> = self.keyframes().chain([self.frames.len()]).collect();
        let longest = starts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
        self.rate.time(longest as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(count: usize, group: usize) -> Vec<Coded> {
        let frame =
            |n: usize| Coded { data: Arc::from([n as u8; 10]), keyframe: n.is_multiple_of(group) };
        (0..count).map(frame).collect()
    }

    #[test]
    fn a_clip_starts_with_a_keyframe_and_is_long_enough() {
        let rate = Rate::new(30, 1).unwrap();
        let make = |frames| Clip::new(VideoCodec::Vp8, (64, 64), rate, frames);
        assert!(matches!(make(Vec::new()), Err(ClipError::NoKeyframe)));
        assert!(matches!(make(frames(200, 60)[1..].to_vec()), Err(ClipError::NoKeyframe)));
        assert!(matches!(make(frames(119, 60)), Err(ClipError::Short(_))));
        let clip = make(frames(150, 60)).unwrap();
        assert_eq!(clip.longest_group(), Duration::from_secs(2));
        assert_eq!(clip.length(), Duration::from_secs(5));
        assert_eq!(clip.keyframes().collect::<Vec<_>>(), [0, 60, 120]);
        assert!((clip.bitrate() - 2400.0).abs() < 1e-6);
    }

    #[test]
    fn rates_that_make_no_sense_are_none() {
        for (num, den) in [(0, 1), (1, 0), (241, 1), (1, 2)] {
            assert_eq!(Rate::new(num, den), None);
        }
    }

    proptest! {
        #[test]
        fn rtp_time_counts_pictures(n in 0_u64..10_000_000, gap in 0_u64..1000) {
            for (num, den) in [(30, 1), (30_000, 1001), (25, 1), (24_000, 1001), (60, 1)] {
                let rate = Rate::new(num, den).unwrap();
                let ticks = rate.rtp(n + gap) - rate.rtp(n);
                prop_assert_eq!(rate.pictures(ticks), Some(gap));
                prop_assert_eq!(rate.pictures(ticks + 1000), None);
            }
        }
    }
}
