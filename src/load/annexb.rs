//! H.264 access units as a packetiser and depacketiser leave them, so that what comes back can be
//! compared byte by byte. Pure; trusts nothing.

use crate::media::bitstream::{nal_type, nals};

const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;

/// NAL units that are never sent: SEI, delimiters, ends of sequence and stream, filler.
const UNSENT: [u8; 5] = [6, 9, 10, 11, 12];

/// How a file keeps H.264 (ISO/IEC 14496-15, 5.3.3.1: the decoder configuration record).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// Bytes of the length before each NAL unit; `None`: start codes, as in Annex B.
    length_bytes: Option<usize>,
    /// SPS and PPS kept beside the pictures.
    parameter_sets: Vec<Vec<u8>>,
}

impl Layout {
    /// Reads the codec's extra data: a configuration record, Annex B, or nothing. `None` when it
    /// is cut short.
    pub(super) fn read(extra: &[u8]) -> Option<Self> {
        if extra.first() != Some(&1) {
            let parameter_sets = nals(extra).map(<[u8]>::to_vec).collect();
            return Some(Self { length_bytes: None, parameter_sets });
        }
        let length_bytes = Some(usize::from(extra.get(4)? & 3) + 1);
        let mut rest = extra.get(5..)?;
        let mut parameter_sets = Vec::new();
        for mask in [0x1f, 0xff] {
            let (count, mut after) = rest.split_first()?;
            for _ in 0..count & mask {
                let (set, next) = prefixed(after, 2)?;
                parameter_sets.push(set.to_vec());
                after = next;
            }
            rest = after;
        }
        Some(Self { length_bytes, parameter_sets })
    }

    /// The access unit in Annex B, without what is never sent, each keyframe with its parameter
    /// sets. `None` when it is cut short or a keyframe has none.
    pub(super) fn access_unit(&self, data: &[u8]) -> Option<Vec<u8>> {
        let mut units = Vec::new();
        if let Some(bytes) = self.length_bytes {
            let mut rest = data;
            while !rest.is_empty() {
                let (unit, next) = prefixed(rest, bytes)?;
                units.push(unit);
                rest = next;
            }
        } else {
            units.extend(nals(data));
        }
        units.retain(|unit| !unit.is_empty() && !UNSENT.contains(&nal_type(unit)));
        let has = |kind: u8| units.iter().any(|unit| nal_type(unit) == kind);
        if has(IDR) && !(has(SPS) && has(PPS)) {
            let sets = self.parameter_sets.iter().map(Vec::as_slice);
            let sets: Vec<&[u8]> = sets.filter(|set| matches!(nal_type(set), SPS | PPS)).collect();
            if sets.len() < 2 {
                return None;
            }
            units.retain(|unit| !matches!(nal_type(unit), SPS | PPS));
            units.splice(0..0, sets);
        }
        Some(units.iter().flat_map(|unit| [&[0, 0, 0, 1], *unit].concat()).collect())
    }
}

/// A piece behind its big-endian length of `bytes` bytes, and what follows.
fn prefixed(data: &[u8], bytes: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_at_checked(bytes)?;
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RECORD: [u8; 16] =
        [1, 0x42, 0xe0, 0x1f, 0xff, 0xe1, 0, 3, 0x67, 0x42, 9, 1, 0, 2, 0x68, 0xce];

    #[test]
    fn lengths_become_start_codes_and_keyframes_get_their_parameter_sets() {
        let layout = Layout::read(&RECORD).unwrap();
        let unit = [0, 0, 0, 2, 9, 0xf0, 0, 0, 0, 3, 0x65, 1, 2];
        let expected = [0, 0, 0, 1, 0x67, 0x42, 9, 0, 0, 0, 1, 0x68, 0xce, 0, 0, 0, 1, 0x65, 1, 2];
        assert_eq!(layout.access_unit(&unit).unwrap(), expected);
        let delta = [0, 0, 0, 3, 0x41, 1, 2];
        assert_eq!(layout.access_unit(&delta).unwrap(), [0, 0, 0, 1, 0x41, 1, 2]);
    }

    #[test]
    fn annex_b_stays_but_for_messages_and_short_start_codes() {
        let layout = Layout::read(&[]).unwrap();
        let unit = [0, 0, 1, 0x67, 4, 0, 0, 1, 0x68, 5, 0, 0, 1, 6, 7, 0, 0, 0, 1, 0x65, 8];
        let expected = [0, 0, 0, 1, 0x67, 4, 0, 0, 0, 1, 0x68, 5, 0, 0, 0, 1, 0x65, 8];
        assert_eq!(layout.access_unit(&unit).unwrap(), expected);
    }

    #[test]
    fn a_keyframe_without_parameter_sets_is_refused() {
        assert_eq!(Layout::default().access_unit(&[0, 0, 1, 0x65, 8]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(extra: Vec<u8>, data: Vec<u8>) {
            if let Some(layout) = Layout::read(&extra) {
                let _ = layout.access_unit(&data);
            }
        }
    }
}
