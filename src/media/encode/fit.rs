//! Pictures as an encoder can take them: even sides, limited range. Pure.

use crate::media::Picture;

/// Copies `from` into `to`, which is as large or up to one sample a side larger: the last column
/// and row are repeated. With `squeeze`, full range becomes limited range.
pub(super) fn fit(from: &Picture, to: &mut Picture, squeeze: bool) {
    for (index, (to, from)) in to.planes_mut().iter_mut().zip(from.planes()).enumerate() {
        for y in 0..to.height {
            let row = from.row(y.min(from.height - 1));
            let target = to.row_mut(y);
            match (squeeze, index) {
                (false, _) => target[..row.len()].copy_from_slice(row),
                (true, 0) => map(row, target, luma),
                (true, _) => map(row, target, chroma),
            }
            let last = target[row.len() - 1];
            target[row.len()..].fill(last);
        }
    }
}

fn map(from: &[u8], to: &mut [u8], value: impl Fn(u8) -> u8) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = value(*from);
    }
}

/// 0..=255 to 16..=235, rounded.
fn luma(value: u8) -> u8 {
    (16 + (u32::from(value) * 219 + 127) / 255) as u8
}

/// 0..=255 around 128 to 16..=240 around 128, rounded.
fn chroma(value: u8) -> u8 {
    (16 + (u32::from(value) * 224 + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_repeated() {
        let mut from = Picture::new(3, 3);
        for (y, value) in [10, 20, 30].into_iter().enumerate() {
            from.planes_mut()[0].row_mut(y).copy_from_slice(&[value, value, value + 1]);
        }
        let mut to = Picture::new(4, 4);
        fit(&from, &mut to, false);
        assert_eq!(to.planes()[0].row(1), [20, 20, 21, 21]);
        assert_eq!(to.planes()[0].row(3), [30, 30, 31, 31]);
    }

    #[test]
    fn full_range_is_squeezed() {
        assert_eq!([0, 255].map(luma), [16, 235]);
        assert_eq!([0, 128, 255].map(chroma), [16, 128, 240]);
    }
}
