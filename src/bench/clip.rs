//! The clip of a measurement: as encoded frames for streams, as pictures for models.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;

use super::Options;
use crate::load::Clip;
use crate::media::decode::Decoder;
use crate::media::{Picture, VideoFrame, clock};

/// The clip that the options name, or one that is made.
///
/// # Errors
///
/// When it cannot be read, or cannot be sent live as it is.
pub(super) fn read(options: &Options) -> anyhow::Result<Arc<Clip>> {
    let clip = match &options.file {
        Some(file) => Clip::read(file)?,
        None => Clip::made(options.codec.into())?,
    };
    Ok(Arc::new(clip))
}

/// The `n`th frame of the clip sent over and over, as it arrives `now`.
pub(super) fn frame(clip: &Clip, n: u64, now: Instant) -> VideoFrame {
    let count = clip.frames.len() as u64;
    let coded = &clip.frames[usize::try_from(n % count).unwrap_or(0)];
    VideoFrame {
        codec: clip.codec,
        data: coded.data.clone(),
        rtp_time: clip.rate.rtp(n),
        keyframe: coded.keyframe,
        contiguous: true,
        captured: now,
        arrived: now,
    }
}

/// `count` pictures of the clip, evenly spread.
///
/// # Errors
///
/// When the clip cannot be decoded.
pub(super) fn pictures(clip: &Clip, count: usize) -> anyhow::Result<Vec<Arc<Picture>>> {
    let mut decoder = Decoder::open(clip.codec)?;
    let total = clip.frames.len();
    let count = count.clamp(1, total);
    let mut wanted = (0..count).map(|n| n * total / count).peekable();
    let mut pictures = Vec::with_capacity(count);
    for n in 0..total {
        let picture = decoder
            .decode(&frame(clip, n as u64, clock::now()))
            .with_context(|| format!("frame {n} of the clip"))?;
        if wanted.next_if_eq(&n).is_some() {
            pictures.push(picture.with_context(|| format!("frame {n} of the clip is no picture"))?);
        }
    }
    Ok(pictures)
}
