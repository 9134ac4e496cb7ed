//! What an access unit says about itself, read from its own bytes: whether it is a keyframe, and
//! which parts of it are picture. Pure; trusts nothing and accepts any bytes.

use std::borrow::Cow;

use super::VideoCodec;

const SLICE: u8 = 1;
const IDR_SLICE: u8 = 5;
const SEI: u8 = 6;
const SEQUENCE_SET: u8 = 7;
const PICTURE_SET: u8 = 8;
const DELIMITER: u8 = 9;

/// Bytes of a NAL unit that are read of its header.
const HEAD: usize = 24;

/// What an access unit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A picture that needs none before it.
    Key,
    /// A picture that needs earlier ones.
    Delta,
    /// No picture: parameter sets, messages, or nothing.
    Headers,
}

/// Reads what `data` holds. Bytes that make no sense are never [`Content::Key`].
pub fn content(codec: VideoCodec, data: &[u8]) -> Content {
    match codec {
        VideoCodec::H264 => h264_content(data),
        VideoCodec::Vp8 => vp8_content(data),
        VideoCodec::Vp9 => vp9_content(data),
        VideoCodec::Av1 => av1_content(data),
    }
}

/// Whether a keyframe brings all that a decoder must know which has just been opened: H.264's
/// parameter sets may have come before it.
pub(super) fn is_whole(codec: VideoCodec, data: &[u8]) -> bool {
    codec != VideoCodec::H264
        || [SEQUENCE_SET, PICTURE_SET].iter().all(|set| nals(data).any(|nal| nal_type(nal) == *set))
}

/// The NAL units of an Annex B stream, without start codes and trailing zero bytes; never empty.
pub fn nals(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    Nals { data, next: start_code(data, 0).map(|at| at + 3) }
}

/// The type of a NAL unit (`nal_unit_type`, 0 to 31).
pub fn nal_type(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |header| header & 0x1f)
}

/// The access unit without supplemental messages (SEI) and delimiters. Borrowed when it has none.
///
/// They can hold what no detector sees, captions above all, and cost bits in every keyframe.
pub fn strip(data: &[u8]) -> Cow<'_, [u8]> {
    let unwanted = |nal: &[u8]| matches!(nal_type(nal), SEI | DELIMITER);
    if !nals(data).any(unwanted) {
        return Cow::Borrowed(data);
    }
    let mut kept = Vec::with_capacity(data.len());
    for nal in nals(data).filter(|nal| !unwanted(nal)) {
        kept.extend_from_slice(&[0, 0, 0, 1]);
        kept.extend_from_slice(nal);
    }
    Cow::Owned(kept)
}

/// The first [`HEAD`] bytes of a NAL unit's payload without the bytes that keep start codes out
/// of it (H.264, 7.4.1): enough for the headers that are read here.
pub(super) fn unescape(payload: &[u8]) -> Vec<u8> {
    unescape_all(&payload[..payload.len().min(HEAD)])
}

/// A NAL unit's payload without the bytes that keep start codes out of it.
pub(super) fn unescape_all(payload: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(payload.len());
    let mut zeros = 0;
    for &byte in payload {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        plain.push(byte);
    }
    plain
}

struct Nals<'a> {
    data: &'a [u8],
    next: Option<usize>,
}

impl<'a> Iterator for Nals<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let start = self.next?;
            let code = start_code(self.data, start);
            self.next = code.map(|at| at + 3);
            let mut nal = &self.data[start..code.unwrap_or(self.data.len())];
            while let [rest @ .., 0] = nal {
                nal = rest;
            }
            if !nal.is_empty() {
                return Some(nal);
            }
        }
    }
}

/// Where the next `00 00 01` begins, at or after `from`.
fn start_code(data: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while at + 3 <= data.len() {
        match data[at..at + 3] {
            [0, 0, 1] => return Some(at),
            [_, _, 2..=255] => at += 3,
            _ => at += 1,
        }
    }
    None
}

fn h264_content(data: &[u8]) -> Content {
    let mut content = Content::Headers;
    for nal in nals(data) {
        match nal_type(nal) {
            IDR_SLICE => content = Content::Key,
            // Data partitions (2 to 4) carry pictures too.
            SLICE..=4 => return Content::Delta,
            _ => {}
        }
    }
    content
}

fn vp8_content(data: &[u8]) -> Content {
    match data {
        // Clear low bit: a key frame, which then has a start code and the size.
        [tag, _, _, 0x9d, 0x01, 0x2a, _, _, _, _, ..] if tag & 1 == 0 => Content::Key,
        [_, _, _, _, ..] => Content::Delta,
        _ => Content::Headers,
    }
}

fn vp9_content(data: &[u8]) -> Content {
    let mut bits = Bits::new(data);
    let mut key = || {
        if bits.take(2)? != 2 {
            return None;
        }
        let profile = bits.take(1)? | bits.take(1)? << 1;
        let reserved = if profile == 3 { bits.take(1)? } else { 0 };
        let show_existing = bits.take(1)?;
        let delta = bits.take(1)?;
        let _show_and_resilient = bits.take(2)?;
        let sync = if delta == 0 { bits.take(24)? } else { 0 };
        Some(reserved == 0 && show_existing == 0 && delta == 0 && sync == 0x49_8342)
    };
    picture(key(), data)
}

/// A key frame of AV1 comes after a sequence header in its temporal unit, and is shown at once.
fn av1_content(mut data: &[u8]) -> Content {
    const SEQUENCE: u8 = 1;
    const FRAME_HEADER: u8 = 3;
    const FRAME: u8 = 6;
    let whole = data;
    let mut sequence = false;
    while let Some((&header, mut rest)) = data.split_first() {
        if header & 4 != 0 {
            rest = rest.get(1..).unwrap_or(&[]);
        }
        let size = if header & 2 == 0 {
            rest.len()
        } else {
            let Some((size, length)) = leb128(rest) else { break };
            rest = &rest[length..];
            size
        };
        let Some(payload) = rest.get(..size) else { break };
        match header >> 3 & 15 {
            SEQUENCE => sequence = true,
            FRAME_HEADER | FRAME => {
                // show_existing_frame 0, frame_type 0 (key), show_frame 1
                let key = payload.first().is_some_and(|byte| byte >> 4 == 1);
                return picture(Some(sequence && key), whole);
            }
            _ => {}
        }
        data = &rest[size..];
    }
    Content::Headers
}

fn picture(key: Option<bool>, data: &[u8]) -> Content {
    match key {
        Some(true) => Content::Key,
        _ if data.is_empty() => Content::Headers,
        _ => Content::Delta,
    }
}

/// A little-endian base-128 number and how many bytes it took; at most 8.
fn leb128(data: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_u64;
    for (i, byte) in data.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, i + 1));
        }
    }
    None
}

/// The bits of a byte string, most significant first.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// An unsigned number as parameter sets and slice headers have them (H.264, 9.1).
    pub(super) fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.take(1)? == 0 {
            zeros += 1;
        }
        if zeros > 31 {
            return None;
        }
        Some((1_u32 << zeros) - 1 + self.take(zeros)?)
    }

    pub(super) fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.data.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CODECS: [VideoCodec; 4] =
        [VideoCodec::H264, VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::Av1];

    #[test]
    fn nal_units_are_found_with_both_start_codes() {
        let data = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0, 0, 1, 0x65, 0, 0, 2];
        let found: Vec<_> = nals(&data).collect();
        assert_eq!(found, [&[0x67, 1, 2][..], &[0x68, 3], &[0x65, 0, 0, 2]]);
    }

    #[test]
    fn h264_is_key_only_when_every_slice_is() {
        let idr = [0, 0, 1, 0x67, 9, 0, 0, 1, 0x65, 9];
        let mixed = [0, 0, 1, 0x65, 9, 0, 0, 1, 0x41, 9];
        let sets = [0, 0, 1, 0x67, 9, 0, 0, 1, 0x68, 9];
        assert_eq!(content(VideoCodec::H264, &idr), Content::Key);
        assert_eq!(content(VideoCodec::H264, &mixed), Content::Delta);
        assert_eq!(content(VideoCodec::H264, &sets), Content::Headers);
    }

    #[test]
    fn vp8_key_needs_its_start_code() {
        let key = [0x10, 2, 0, 0x9d, 1, 0x2a, 0, 5, 0xd0, 2];
        assert_eq!(content(VideoCodec::Vp8, &key), Content::Key);
        assert_eq!(content(VideoCodec::Vp8, &key[..9]), Content::Delta);
        assert_eq!(content(VideoCodec::Vp8, &[0x11, 2, 0, 0x9d, 1, 0x2a, 0, 5, 0xd0, 2]), {
            Content::Delta
        });
    }

    #[test]
    fn vp9_and_av1_keys_are_told_from_deltas() {
        assert_eq!(content(VideoCodec::Vp9, &[0x82, 0x49, 0x83, 0x42, 0]), Content::Key);
        assert_eq!(content(VideoCodec::Vp9, &[0x86, 0, 0, 0, 0]), Content::Delta);
        // Temporal delimiter, sequence header, frame.
        let key = [0x12, 0, 0x0a, 1, 0, 0x32, 2, 0x10, 0];
        let delta = [0x12, 0, 0x32, 2, 0x30, 0];
        assert_eq!(content(VideoCodec::Av1, &key), Content::Key);
        assert_eq!(content(VideoCodec::Av1, &delta), Content::Delta);
        assert_eq!(content(VideoCodec::Av1, &[0x12, 0]), Content::Headers);
    }

    #[test]
    fn strip_removes_messages_and_nothing_else() {
        let data = [0, 0, 0, 1, 9, 0x10, 0, 0, 0, 1, 6, 5, 1, 0x80, 0, 0, 1, 0x65, 7, 8];
        assert_eq!(&*strip(&data), [0, 0, 0, 1, 0x65, 7, 8]);
        assert!(matches!(strip(&data[14..]), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(data: Vec<u8>) {
            for codec in CODECS {
                content(codec, &data);
            }
            let kept: usize = nals(&strip(&data)).map(<[u8]>::len).sum();
            prop_assert!(kept <= data.len());
        }

        #[test]
        fn nals_put_together_come_apart_again(
            parts in prop::collection::vec(prop::collection::vec(1_u8..=255, 1..20), 0..6)
        ) {
            let joined: Vec<u8> = parts.iter().flat_map(|p| [&[0, 0, 1], &p[..]].concat()).collect();
            prop_assert!(nals(&joined).eq(parts.iter().map(Vec::as_slice)));
        }
    }
}
