//! Gives the parameter sets of an H.264 stream the id 1 instead of 0 (ITU-T H.264, 7.3.2 and 7.3.3).
//!
//! Sources have the id 0. An encoder that has it too, as NVENC does, cannot be spliced into them: a
//! viewer that lost its parameter sets would decode with the source's. Only streams without
//! arithmetic coding (CAVLC), whose slices may begin at any bit. Pure.

use super::bitstream::{nal_type, nals, unescape_all};

const SLICE: u8 = 1;
const IDR_SLICE: u8 = 5;
const SEQUENCE_SET: u8 = 7;
const PICTURE_SET: u8 = 8;

/// Bits before a sequence parameter set's id: profile, constraints, level.
const BEFORE_ID: usize = 24;

/// The access unit with the id 1 in the place of 0. `None` when it is not what an encoder writes
/// that was told to use CAVLC: then it cannot be spliced.
pub(in crate::media) fn renumber(unit: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(unit.len() + 16);
    for nal in nals(unit) {
        out.extend_from_slice(&[0, 0, 0, 1]);
        let kind = nal_type(nal);
        let ids: &[usize] = match kind {
            SEQUENCE_SET | PICTURE_SET | SLICE | IDR_SLICE => &ids(kind, nal)?,
            _ => &[],
        };
        match ids {
            [] => out.extend_from_slice(nal),
            ids => {
                out.push(nal[0]);
                escape(&with_ones(&unescape_all(&nal[1..]), ids), &mut out);
            }
        }
    }
    Some(out)
}

/// Where in the payload the ids begin, in bits. Each must be 0, which is one bit.
fn ids(kind: u8, nal: &[u8]) -> Option<Vec<usize>> {
    let payload = unescape_all(&nal[1..]);
    let mut bits = Bits { data: &payload, at: 0 };
    let ids = match kind {
        SEQUENCE_SET => {
            bits.at = BEFORE_ID;
            vec![bits.zero()?]
        }
        PICTURE_SET => {
            let ids = vec![bits.zero()?, bits.zero()?];
            // entropy_coding_mode_flag
            if bits.take()? {
                return None;
            }
            ids
        }
        _ => {
            // first_mb_in_slice, slice_type
            bits.skip()?;
            bits.skip()?;
            vec![bits.zero()?]
        }
    };
    Some(ids)
}

/// The payload with each of these bits, the code of 0, replaced by the code of 1 (010).
fn with_ones(payload: &[u8], ids: &[usize]) -> Vec<u8> {
    let end = payload.len() * 8 - payload.last().map_or(0, |last| last.trailing_zeros() as usize);
    let mut out = Writer::default();
    for at in 0..end {
        let bit = bit(payload, at);
        if ids.contains(&at) {
            [false, true, false].into_iter().for_each(|bit| out.put(bit));
        } else {
            out.put(bit);
        }
    }
    out.data
}

fn bit(data: &[u8], at: usize) -> bool {
    data[at / 8] >> (7 - at % 8) & 1 == 1
}

/// Keeps start codes out of a payload (7.4.1).
fn escape(payload: &[u8], out: &mut Vec<u8>) {
    let mut zeros = 0;
    for &byte in payload {
        if zeros >= 2 && byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
}

struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self) -> Option<bool> {
        let bit = (self.at < self.data.len() * 8).then(|| bit(self.data, self.at));
        self.at += 1;
        bit
    }

    /// Skips a number (ue(v), 9.1).
    fn skip(&mut self) -> Option<()> {
        let mut zeros = 0;
        while !self.take()? {
            zeros += 1;
        }
        self.at += zeros;
        Some(())
    }

    /// Takes a number that is 0; where it stands.
    fn zero(&mut self) -> Option<usize> {
        self.take()?.then(|| self.at - 1)
    }
}

#[derive(Default)]
struct Writer {
    data: Vec<u8>,
    used: usize,
}

impl Writer {
    fn put(&mut self, bit: bool) {
        if self.used.is_multiple_of(8) {
            self.data.push(0);
        }
        if let Some(last) = self.data.last_mut() {
            *last |= u8::from(bit) << (7 - self.used % 8);
        }
        self.used += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameter_sets_and_slices_get_the_id_one() {
        // A sequence set: id 0 is the first bit after 24; a picture set: both ids, then CAVLC.
        let unit = [0, 0, 0, 1, 0x67, 66, 0, 31, 0b1110_0000, 0, 0, 1, 0x68, 0b1101_0000];
        let out = renumber(&unit).unwrap();
        assert_eq!(out[..9], [0, 0, 0, 1, 0x67, 66, 0, 31, 0b0101_1000]);
        assert_eq!(out[9..], [0, 0, 0, 1, 0x68, 0b0100_1001]);
        let arithmetic = [0, 0, 1, 0x68, 0b1111_0000];
        assert_eq!(renumber(&arithmetic), None);
        let other = [0, 0, 1, 0x68, 0b0101_0000];
        assert_eq!(renumber(&other), None, "the id is 1 already");
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(data in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = renumber(&data);
        }

        /// What is escaped holds no start code, and is the same again unescaped.
        #[test]
        fn no_start_code_comes_of_it(data in prop::collection::vec(0_u8..5, 0..60)) {
            let mut out = Vec::new();
            escape(&data, &mut out);
            prop_assert!(!out.windows(3).any(|three| matches!(three, [0, 0, 0..=2])));
            prop_assert_eq!(unescape_all(&out), data);
        }
    }
}
