//! Area average of one plane. Pure; written so that the compiler uses vector instructions.

use crate::media::Plane;

/// Weights of an area average add up to this: a weighted sum of 8-bit samples fits 16 bits.
const ONE: u16 = 1 << 8;

/// Shrinks a plane to `width` × `height`, neither more than the plane's own.
pub(super) fn shrink(plane: Plane<'_>, width: usize, height: usize) -> Vec<u8> {
    let factor = plane.width / width;
    let whole = (plane.width, plane.height) == (factor * width, factor * height);
    match factor {
        1 if whole => (0..height).flat_map(|y| plane.row(y)).copied().collect(),
        2 if whole => boxes::<2>(plane, width, height),
        3 if whole => boxes::<3>(plane, width, height),
        4 if whole && width.is_multiple_of(2) => quarter(plane, width, height),
        6 if whole => boxes::<6>(plane, width, height),
        _ => average(plane, width, height),
    }
}

/// 4×4 boxes, for 1280×720: eight samples at a time, two boxes in each 64-bit word.
fn quarter(plane: Plane<'_>, width: usize, height: usize) -> Vec<u8> {
    const BYTES: u64 = 0x00ff_00ff_00ff_00ff;
    const PAIRS: u64 = 0x0000_ffff_0000_ffff;
    let mut sums = vec![0_u64; width / 2];
    let mut thumb = Vec::with_capacity(width * height);
    for y in 0..height {
        sums.fill(0);
        for row in 4 * y..4 * y + 4 {
            let (words, _) = plane.row(row).as_chunks::<8>();
            for (sum, word) in sums.iter_mut().zip(words) {
                let word = u64::from_le_bytes(*word);
                // Four sums of two neighbours, each at most 510 a row.
                *sum += (word & BYTES) + (word >> 8 & BYTES);
            }
        }
        thumb.extend(sums.iter().flat_map(|sum| {
            let boxes = (sum & PAIRS) + (sum >> 16 & PAIRS) + (8 | 8 << 32);
            [(boxes >> 4) as u8, (boxes >> 36) as u8]
        }));
    }
    thumb
}

/// N×N boxes, N up to 16: 640×360, 960×540 and 1920×1080.
fn boxes<const N: usize>(plane: Plane<'_>, width: usize, height: usize) -> Vec<u8> {
    let mut sums = vec![0_u16; plane.width];
    let mut thumb = Vec::with_capacity(width * height);
    let area = (N * N) as u32;
    for y in 0..height {
        sums.fill(0);
        for row in N * y..N * (y + 1) {
            for (sum, &sample) in sums.iter_mut().zip(plane.row(row)) {
                *sum += u16::from(sample);
            }
        }
        let (cells, _) = sums.as_chunks::<N>();
        thumb.extend(cells.iter().map(|cell| {
            let total: u32 = cell.iter().map(|&sum| u32::from(sum)).sum();
            ((total + area / 2) / area) as u8
        }));
    }
    thumb
}

/// Any ratio: rows are added up by weight, then columns.
fn average(plane: Plane<'_>, width: usize, height: usize) -> Vec<u8> {
    let columns = spans(plane.width, width);
    let mut sums = vec![0_u16; plane.width];
    let mut thumb = Vec::with_capacity(width * height);
    for rows in spans(plane.height, height) {
        sums.fill(0);
        for y in rows.first..=rows.last {
            let weight = match y {
                _ if y == rows.first => rows.head,
                _ if y == rows.last => rows.tail,
                _ => rows.middle,
            };
            for (sum, &sample) in sums.iter_mut().zip(plane.row(y)) {
                *sum += u16::from(sample) * weight;
            }
        }
        thumb.extend(columns.iter().map(|span| {
            let inner = sums.get(span.first + 1..span.last).unwrap_or(&[]);
            let inner: u32 = inner.iter().map(|&sum| u32::from(sum)).sum();
            let total = inner * u32::from(span.middle)
                + u32::from(sums[span.first]) * u32::from(span.head)
                + u32::from(sums[span.last]) * u32::from(span.tail);
            ((total + (1 << 15)) >> 16) as u8
        }));
    }
    thumb
}

/// The source samples of one target sample: whole ones of weight `middle` between the first, of
/// weight `head`, and the last, of weight `tail`. All weights together are [`ONE`].
#[derive(Clone, Copy)]
struct Span {
    first: usize,
    last: usize,
    head: u16,
    middle: u16,
    tail: u16,
}

/// Cuts `from` samples into `to` spans of equal length.
fn spans(from: usize, to: usize) -> Vec<Span> {
    let whole = ONE as usize;
    (0..to)
        .map(|i| {
            // In units of 1/to of a source sample.
            let (start, end) = (i * from, (i + 1) * from);
            let (first, last) = (start / to, (end - 1) / to);
            let middle = whole * to / from;
            if first == last {
                return Span { first, last, head: ONE, middle: 0, tail: 0 };
            }
            let head = whole * ((first + 1) * to - start) / from;
            // The tail takes what rounding left over.
            let tail = whole - head - middle * (last - first - 1);
            Span { first, last, head: head as u16, middle: middle as u16, tail: tail as u16 }
        })
        .collect()
}
