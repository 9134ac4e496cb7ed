use proptest::prelude::*;

use super::*;

/// NAL units with start codes.
fn unit(nals: &[&[u8]]) -> Vec<u8> {
    nals.iter().flat_map(|nal| [&[0, 0, 1], *nal].concat()).collect()
}

// Numbers are Exp-Golomb: 1 is 0, 010 is 1, 011 is 2; slices begin with block, type, set.
const SPS_0: &[u8] = &[0x67, 66, 0xc0, 31, 0b1000_0000];
const SPS_1: &[u8] = &[0x67, 66, 0xc0, 31, 0b0101_0000];
/// Picture set 0 of sequence set 0, 1 of 1, 1 of 0.
const PPS_0: &[u8] = &[0x68, 0b1110_0000];
const PPS_1: &[u8] = &[0x68, 0b0100_1010];
const PPS_1_OF_0: &[u8] = &[0x68, 0b0101_1000];
const IDR_0: &[u8] = &[0x65, 0b1111_0000, 7];
const IDR_1: &[u8] = &[0x65, 0b1101_0100, 7];
const DELTA_0: &[u8] = &[0x41, 0b1111_0000, 7];
const DELTA_1: &[u8] = &[0x41, 0b1101_0100, 7];
/// A second slice of the same picture: from block 1 on.
const MORE_0: &[u8] = &[0x41, 0b0101_1100, 7];
const SEI_DATA: &[u8] = &[6, 5, 2, 1, 1, 0x80];
const SEI_CAPTION: &[u8] = &[6, 4, 2, 1, 1, 0x80];
const SEI_BOTH: &[u8] = &[6, 5, 2, 1, 1, 4, 2, 1, 1, 0x80];

fn h264(units: &[&[&[u8]]]) -> Vec<Link> {
    let mut chain = Chain::new(VideoCodec::H264);
    units.iter().map(|nals| chain.released(&unit(nals), true)).collect()
}

fn link(linked: bool, key: bool, forwardable: bool) -> Link {
    Link { linked, key, forwardable }
}

#[test]
fn a_key_brings_the_sets_that_it_uses() {
    let cases: [(&[&[u8]], bool); 7] = [
        (&[SPS_0, PPS_0, IDR_0], true),
        (&[&[9, 0xf0], SPS_0, PPS_0, SEI_DATA, IDR_0, &[12, 0xff, 0x80]], true),
        (&[SPS_1, PPS_1, IDR_1], true),
        (&[IDR_0], false),
        (&[SPS_0, PPS_0, IDR_1], false),
        (&[PPS_0, IDR_0], false),
        (&[SPS_0, PPS_0, PPS_1, IDR_0], false),
    ];
    for (nals, key) in cases {
        assert_eq!(h264(&[nals])[0].key, key, "{nals:?}");
    }
}

#[test]
fn what_relies_on_sets_that_a_viewer_may_lack_is_not_forwarded() {
    let key: &[&[u8]] = &[SPS_0, PPS_0, IDR_0];
    assert_eq!(h264(&[key, &[DELTA_0]])[1], link(true, false, true));
    assert_eq!(h264(&[key, &[DELTA_1]])[1], link(true, false, false));
    assert_eq!(h264(&[key, &[PPS_1_OF_0, DELTA_1], &[DELTA_1]])[2], link(true, false, true));
    // An IDR picture without its sets goes on with those sent before.
    assert_eq!(h264(&[key, &[IDR_0], &[DELTA_0]])[1], link(true, false, true));
    // A new key forgets the sets before it: forwarding may begin there.
    let again: &[&[&[u8]]] = &[key, &[PPS_1_OF_0, DELTA_1], key, &[DELTA_1]];
    assert_eq!(h264(again)[3], link(true, false, false));
}

#[test]
fn only_one_plain_picture_is_forwarded() {
    let key: &[&[u8]] = &[SPS_0, PPS_0, IDR_0];
    let cases: [(&[&[u8]], bool); 9] = [
        (&[DELTA_0, MORE_0], true),
        (&[SEI_DATA, DELTA_0], true),
        (&[SEI_CAPTION, DELTA_0], false),
        (&[SEI_BOTH, DELTA_0], false),
        (&[&[6, 5, 200, 1], DELTA_0], false),
        (&[DELTA_0, DELTA_0], false),
        (&[MORE_0], false),
        (&[DELTA_0, IDR_0], false),
        (&[DELTA_0, &[20, 1, 1]], false),
    ];
    for (nals, forwardable) in cases {
        assert_eq!(h264(&[key, nals])[1], link(true, false, forwardable), "{nals:?}");
    }
}

#[test]
fn a_chain_breaks_where_something_is_withheld_or_lost() {
    let mut chain = Chain::new(VideoCodec::H264);
    let (key, delta) = (unit(&[SPS_0, PPS_0, IDR_0]), unit(&[DELTA_0]));
    assert_eq!(chain.released(&key, true), link(false, true, true));
    assert_eq!(chain.released(&delta, true), link(true, false, true));
    chain.withheld();
    assert_eq!(chain.released(&delta, true), link(false, false, true));
    assert_eq!(chain.released(&delta, true), link(true, false, true));
    assert_eq!(chain.released(&key, false), link(false, true, true));
}

/// The encoder of RFC 6386, 7.3 for even odds.
fn bits(values: &[bool]) -> Vec<u8> {
    let (mut out, mut low, mut range, mut count) = (Vec::<u8>::new(), 0_u64, 255_u64, 0_u32);
    // Arithmetic without carry handling: the whole number is kept.
    for &value in values {
        let split = 1 + ((range - 1) >> 1);
        if value {
            low += split;
            range -= split;
        } else {
            range = split;
        }
        while range < 128 {
            range <<= 1;
            low <<= 1;
            count += 1;
        }
    }
    let total = low << (64 - 8 - count);
    out.extend(total.to_be_bytes());
    out
}

fn vp8_key(header: &[bool]) -> Vec<u8> {
    [&[0x10, 2, 0, 0x9d, 1, 0x2a, 64, 0, 64, 0][..], &bits(header)].concat()
}

fn vp8_delta(shown: bool, header: &[bool]) -> Vec<u8> {
    [&[if shown { 0x11 } else { 0x01 }, 2, 0][..], &bits(header)].concat()
}

#[test]
fn vp8_segments_must_have_been_sent_since_the_key() {
    const ON: bool = true;
    let plain = vp8_key(&[false, false, false, false]);
    let with_map = vp8_key(&[false, false, ON, ON]);
    let without_map = vp8_key(&[false, false, ON, false]);
    let uses = vp8_delta(true, &[ON, false]);
    let sends = vp8_delta(true, &[ON, ON]);
    let all = |units: &[&Vec<u8>]| -> Link {
        let mut chain = Chain::new(VideoCodec::Vp8);
        let mut last = Link::default();
        for unit in units {
            last = chain.released(unit, true);
        }
        last
    };
    assert_eq!(all(&[&plain]), link(false, true, true));
    assert_eq!(all(&[&with_map, &uses]), link(true, false, true));
    assert_eq!(all(&[&without_map]), link(false, false, false));
    assert_eq!(all(&[&plain, &uses]), link(true, false, false));
    assert_eq!(all(&[&plain, &sends, &uses]), link(true, false, true));
    assert_eq!(all(&[&with_map, &plain, &uses]), link(true, false, false));
    assert!(!all(&[&plain, &vp8_delta(false, &[false])]).forwardable);
}

#[test]
fn other_codecs_are_never_forwarded() {
    for codec in [VideoCodec::Vp9, VideoCodec::Av1] {
        let mut chain = Chain::new(codec);
        assert_eq!(chain.released(&[0x82, 0x49, 0x83, 0x42, 0], true), link(false, false, false));
        assert_eq!(chain.released(&[0x86, 0, 0, 0, 0], true), link(true, false, false));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(units: Vec<Vec<u8>>, nal in 0_u8..32) {
        for codec in [VideoCodec::H264, VideoCodec::Vp8] {
            let mut chain = Chain::new(codec);
            for data in &units {
                chain.released(data, true);
                chain.released(&[&[0, 0, 1, nal][..], data].concat(), true);
                chain.released(&[&[0x10, 2, 0, 0x9d, 1, 0x2a][..], data].concat(), true);
            }
        }
    }

    #[test]
    fn the_bool_decoder_reads_what_was_written(flags in prop::collection::vec(any::<bool>(), 1..20)) {
        let data = bits(&flags);
        let mut decoder = BoolDecoder::new(&data);
        let read: Vec<bool> = flags.iter().map(|_| decoder.bit()).collect();
        prop_assert_eq!(read, flags);
    }
}
