//! Faint text made plain for the model. Pure.
//!
//! The model that finds lines sees a line of a contrast of 25 in a whole picture, and a fifth of it
//! in a part of the picture that is no larger than the line; with three times the contrast it sees
//! it in both.

use crate::media::{Picture, Plane, Rect};

/// What contrast is multiplied by: halves.
const GAIN: i32 = 5;

/// A copy of the part of a picture around `area`, with more contrast around the middle luma of
/// `open`, and where it begins. `None` where nothing of the picture lies in it.
pub(super) fn strengthened(
    picture: &Picture,
    area: &Rect,
    open: &Rect,
) -> Option<(Picture, (u32, u32))> {
    let part = area.clip(picture.width(), picture.height());
    // Chroma has half as many samples.
    let (x, y) = (part.x as u32 & !1, part.y as u32 & !1);
    let (w, h) = (part.right() as u32 - x, part.bottom() as u32 - y);
    if w < 2 || h < 2 {
        return None;
    }
    let [luma, ..] = picture.planes();
    let middle = i32::from(median(luma, &open.clip(picture.width(), picture.height())));
    let mut copy = Picture::new(w, h);
    for (index, (to, from)) in copy.planes_mut().iter_mut().zip(picture.planes()).enumerate() {
        let (left, top) = if index == 0 { (x, y) } else { (x / 2, y / 2) };
        for row in 0..to.height {
            let from = &from.row(top as usize + row)[left as usize..][..to.width];
            for (to, from) in to.row_mut(row)[..from.len()].iter_mut().zip(from) {
                let plain = (i32::from(*from) - middle) * GAIN / 2 + 128;
                *to = if index == 0 { plain.clamp(0, 255) as u8 } else { *from };
            }
        }
    }
    Some((copy, (x, y)))
}

fn median(luma: Plane<'_>, rect: &Rect) -> u8 {
    let mut counts = [0_usize; 256];
    for y in rect.y as usize..(rect.bottom() as usize).min(luma.height) {
        let right = (rect.right() as usize).min(luma.width);
        luma.row(y)[(rect.x as usize).min(right)..right]
            .iter()
            .for_each(|sample| counts[usize::from(*sample)] += 1);
    }
    let half = counts.iter().sum::<usize>() / 2;
    let mut sum = 0;
    let middle = counts.iter().position(|count| {
        sum += count;
        sum > half
    });
    middle.map_or(128, |middle| middle as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faint_strokes_become_plain_and_stay_in_place() {
        let mut picture = Picture::filled(64, 48, [60, 100, 140]);
        picture.planes_mut()[0].row_mut(21)[33] = 80;
        let rect = Rect::new(20.0, 11.0, 30.0, 20.0);
        let (copy, origin) = strengthened(&picture, &rect, &rect).unwrap();
        assert_eq!((origin, copy.width(), copy.height()), ((20, 10), 30, 21));
        let [luma, u, _] = copy.planes();
        assert_eq!((luma.row(11)[13], luma.row(11)[12], u.row(3)[3]), (178, 128, 100));
        let outside = Rect::new(70.0, 11.0, 30.0, 20.0);
        assert!(strengthened(&picture, &outside, &outside).is_none());
    }
}
