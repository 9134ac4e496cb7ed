//! How the encoded frames of a source hang together: which of them a viewer could decode who got
//! just these bytes. Pure; trusts nothing.
//!
//! What a decoder keeps beside its reference pictures counts, too: H.264 parameter sets and VP8
//! segment maps that came in a frame which was withheld would be missing at the viewer, who would
//! then see something else than what was looked at.

use super::VideoCodec;
use super::bitstream::{self, Bits, Content, nal_type, nals};

/// What forwarding needs to know of one frame that was decoded and may be released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its bytes directly follow those of the frame decoded before it: nothing in between was
    /// lost, withheld, undecodable, invisible or without a picture.
    pub linked: bool,
    /// It can be decoded by who has nothing before it, and everything after it as well.
    pub key: bool,
    /// It holds one picture, what that needs, and nothing else that could be shown; and what it
    /// needs was sent since the last key.
    pub forwardable: bool,
}

/// Messages (SEI) that show nothing: buffering period, picture timing, unregistered user data,
/// recovery point. Captions and film grain are not among them.
const SILENT: [u32; 4] = [0, 1, 5, 6];

/// Follows the frames of one source through one decoder.
#[derive(Debug)]
pub(super) struct Chain {
    codec: VideoCodec,
    /// The frame before gave its picture, and nothing was withheld since.
    whole: bool,
    known: Known,
}

/// What was sent since the last key.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// H.264 sequence parameter sets, a bit for each id.
    sequences: u32,
    /// H.264 picture parameter sets, a bit for each id.
    pictures: [u128; 2],
    /// VP8: which segment each block belongs to.
    segments: bool,
}

/// What one access unit is by itself.
#[derive(Clone, Copy, Debug, Default)]
struct Unit {
    /// Holds one picture and nothing beside it that could be shown.
    plain: bool,
    /// Refers to no picture before it.
    intra: bool,
    sends: Known,
    needs: Known,
}

impl Chain {
    /// A chain that has not begun.
    pub(super) fn new(codec: VideoCodec) -> Self {
        Self { codec, whole: false, known: Known::default() }
    }

    /// Something of the source will never be released.
    pub(super) fn withheld(&mut self) {
        self.whole = false;
    }

    /// The next access unit gave its picture, which will be released. `contiguous`: nothing was
    /// lost before it.
    pub(super) fn released(&mut self, data: &[u8], contiguous: bool) -> Link {
        let linked = std::mem::replace(&mut self.whole, true) && contiguous;
        let unit = match self.codec {
            VideoCodec::H264 => h264(data),
            VideoCodec::Vp8 => vp8(data),
            // Never forwarded: what leaves is VP8.
            VideoCodec::Vp9 | VideoCodec::Av1 => None,
        };
        let Some(unit) = unit else {
            // Whatever it sent, nothing may rely on it.
            return Link { linked, ..Link::default() };
        };
        let key = unit.intra && unit.sends.has(&unit.needs);
        self.known = if key { unit.sends } else { self.known.and(&unit.sends) };
        Link { linked, key, forwardable: unit.plain && self.known.has(&unit.needs) }
    }
}

impl Known {
    fn has(&self, needs: &Self) -> bool {
        let pictures = |i: usize| needs.pictures[i] & !self.pictures[i] == 0;
        needs.sequences & !self.sequences == 0
            && pictures(0)
            && pictures(1)
            && (self.segments || !needs.segments)
    }

    fn and(&self, other: &Self) -> Self {
        Self {
            sequences: self.sequences | other.sequences,
            pictures: [0, 1].map(|i| self.pictures[i] | other.pictures[i]),
            segments: self.segments || other.segments,
        }
    }

    fn add_sequence(&mut self, id: u32) -> Option<()> {
        self.sequences |= 1_u32.checked_shl(id)?;
        Some(())
    }

    fn add_picture(&mut self, id: u32) -> Option<()> {
        let at = usize::try_from(id / 128).ok()?;
        *self.pictures.get_mut(at)? |= 1 << (id % 128);
        Some(())
    }
}

/// `None` when it cannot be read.
fn h264(data: &[u8]) -> Option<Unit> {
    let mut unit = Unit { plain: true, intra: true, ..Unit::default() };
    let mut last_block = None;
    for nal in nals(data) {
        let head = bitstream::unescape(nal.get(1..)?);
        let mut bits = Bits::new(&head);
        match nal_type(nal) {
            kind @ (1 | 5) => {
                let (block, _slice_type) = (bits.exp_golomb()?, bits.exp_golomb()?);
                unit.needs.add_picture(bits.exp_golomb()?)?;
                // One picture begins at block 0, once, and goes on from there.
                unit.plain &= last_block.map_or(block == 0, |last| block > last);
                last_block = Some(block);
                unit.intra &= kind == 5;
            }
            6 => unit.plain &= silent(nal.get(1..)?),
            7 => {
                bits.take(24)?;
                unit.sends.add_sequence(bits.exp_golomb()?)?;
            }
            8 => {
                unit.sends.add_picture(bits.exp_golomb()?)?;
                unit.needs.add_sequence(bits.exp_golomb()?)?;
            }
            9 | 12 => {}
            _ => unit.plain = false,
        }
    }
    unit.plain &= last_block.is_some();
    // A keyframe needs at least one set of each kind; ids 0 may hide a missing one.
    unit.intra &= bitstream::content(VideoCodec::H264, data) == Content::Key;
    unit.plain &= unit.intra || !has_idr(data);
    Some(unit)
}

fn has_idr(data: &[u8]) -> bool {
    nals(data).any(|nal| nal_type(nal) == 5)
}

/// Whether the messages of an SEI unit, without its header byte, show nothing (H.264, 7.3.2.3).
fn silent(escaped: &[u8]) -> bool {
    /// A number written as a run of 255 and a last byte.
    fn number(data: &mut &[u8]) -> Option<u32> {
        let mut value = 0_u32;
        loop {
            let (&byte, rest) = data.split_first()?;
            *data = rest;
            value = value.checked_add(byte.into())?;
            if byte != 255 {
                return Some(value);
            }
        }
    }
    let plain = bitstream::unescape_all(escaped);
    let mut data = plain.as_slice();
    // The trailing bits are one byte.
    while data.len() > 1 {
        let (Some(kind), Some(size)) = (number(&mut data), number(&mut data)) else { return false };
        let Some(rest) = usize::try_from(size).ok().and_then(|size| data.get(size..)) else {
            return false;
        };
        if !SILENT.contains(&kind) {
            return false;
        }
        data = rest;
    }
    true
}

/// `None` when it cannot be read. RFC 6386, 9.1 to 9.3.
fn vp8(data: &[u8]) -> Option<Unit> {
    let tag = *data.first()?;
    let intra = bitstream::content(VideoCodec::Vp8, data) == Content::Key;
    let mut header = BoolDecoder::new(data.get(if intra { 10.. } else { 3.. })?);
    if intra {
        // Colour space, clamping.
        let _ = (header.bit(), header.bit());
    }
    let segmented = header.bit();
    let sends_map = segmented && header.bit();
    let shown = tag >> 4 & 1 == 1;
    // Whatever calls itself a keyframe is one, or nothing.
    let plain = shown && (intra || tag & 1 == 1);
    let sends = Known { segments: sends_map, ..Known::default() };
    let needs = Known { segments: segmented && !sends_map, ..Known::default() };
    Some(Unit { plain, intra, sends, needs })
}

/// The boolean entropy decoder of VP8 for even odds (RFC 6386, 7.3), enough for header flags.
struct BoolDecoder<'a> {
    data: &'a [u8],
    value: u32,
    range: u32,
    shifted: u32,
}

impl<'a> BoolDecoder<'a> {
    fn new(data: &'a [u8]) -> Self {
        let mut decoder = Self { data, value: 0, range: 255, shifted: 0 };
        decoder.value = decoder.byte() << 8;
        decoder.value |= decoder.byte();
        decoder
    }

    /// Zeroes after the end, as decoders have it.
    fn byte(&mut self) -> u32 {
        let Some((&byte, rest)) = self.data.split_first() else { return 0 };
        self.data = rest;
        byte.into()
    }

    fn bit(&mut self) -> bool {
        let split = 1 + ((self.range - 1) >> 1);
        let bit = self.value >= split << 8;
        if bit {
            self.range -= split;
            self.value -= split << 8;
        } else {
            self.range = split;
        }
        while self.range < 128 {
            self.value <<= 1;
            self.range <<= 1;
            self.shifted += 1;
            if self.shifted == 8 {
                self.shifted = 0;
                self.value |= self.byte();
            }
        }
        bit
    }
}

#[cfg(test)]
mod tests;
