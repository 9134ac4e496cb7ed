//! The simplest of containers (IVF), to keep a clip that was made here. Pure.

use super::clip::Clip;
use crate::media::VideoCodec;

/// The file: a header of 32 bytes, then each picture behind its size and number.
pub(super) fn write(clip: &Clip) -> Vec<u8> {
    let code: &[u8; 4] = match clip.codec {
        VideoCodec::H264 => b"H264",
        VideoCodec::Vp8 => b"VP80",
        VideoCodec::Vp9 => b"VP90",
        VideoCodec::Av1 => b"AV01",
    };
    let [width, height] = [clip.size.0, clip.size.1].map(|side| side as u16);
    let (num, den) = clip.rate.fraction();
    let mut file = Vec::with_capacity(clip.bytes() + 32 + 12 * clip.frames.len());
    file.extend(b"DKIF\0\0\x20\0");
    file.extend(code);
    file.extend(width.to_le_bytes());
    file.extend(height.to_le_bytes());
    for number in [num, den, clip.frames.len() as u32, 0] {
        file.extend(number.to_le_bytes());
    }
    for (n, frame) in (0_u64..).zip(&clip.frames) {
        file.extend((frame.data.len() as u32).to_le_bytes());
        file.extend(n.to_le_bytes());
        file.extend(&*frame.data);
    }
    file
}
