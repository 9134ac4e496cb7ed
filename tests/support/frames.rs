//! Synthetic encoded frames: real enough for packetisers and the server, each one different.

use std::sync::Arc;

use scrim::media::VideoCodec;

/// Pictures a second.
pub const RATE: u64 = 30;

/// Every how many pictures a keyframe comes by itself.
pub const GROUP: u64 = 60;

/// Bytes of a keyframe and of any other picture: some twenty packets, and three.
const SIZES: [usize; 2] = [24_000, 3_000];

/// The `n`-th picture of a stream.
pub fn video(codec: VideoCodec, n: u64, keyframe: bool) -> Arc<[u8]> {
    let mut filler = filler(n, SIZES[usize::from(!keyframe)]);
    match codec {
        VideoCodec::Vp8 => {
            // RFC 6386, 9.1: bit 0 of the first byte tells keyframes, which carry a start code
            // and the size (320×180).
            filler[0] = if keyframe { 0x10 } else { 0x11 };
            if keyframe {
                filler[3..10].copy_from_slice(&[0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00]);
            }
            filler.into()
        }
        VideoCodec::H264 => {
            let mut unit = Vec::new();
            if keyframe {
                unit.extend([0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0x95, 0xa0, 0x50, 0x16, 0xc8]);
                unit.extend([0, 0, 0, 1, 0x68, 0xce, 0x38, 0x80]);
            }
            unit.extend([0, 0, 0, 1, if keyframe { 0x65 } else { 0x41 }]);
            unit.extend(filler);
            unit.into()
        }
        VideoCodec::Vp9 | VideoCodec::Av1 => unimplemented!("never published"),
    }
}

/// The `n`-th packet of a sound.
pub fn audio(n: u64) -> Arc<[u8]> {
    let mut packet = filler(n, 80);
    // RFC 6716, 3.1: CELT, 20 ms, mono, one frame.
    packet[0] = 0xf8;
    packet.into()
}

/// Bytes that differ from one `n` to the next, none of them zero (no start codes by chance).
fn filler(n: u64, length: usize) -> Vec<u8> {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8 | 1
    };
    (0..length).map(|_| next()).collect()
}
