//! Which frames are worth more looks than there must be, by signs that cost next to nothing. Pure.
//!
//! Only where the rules ask for it (`cascade`), and only for the looks that nothing depends on:
//! every cut, every 1 / PROCESSING_FPS and whatever vouches for a frame is looked at as ever.

use super::gate::Grid;
use crate::media::Picture;

/// Skin by its colour alone, whatever its brightness: Cb and Cr of Chai & Ngan, "Face segmentation
/// using skin-color map in videophone applications", 1999.
const SKIN: [std::ops::RangeInclusive<u8>; 2] = [77..=127, 133..=173];
/// Every so-manieth sample of a row of chroma is looked at, of every so-manieth row.
const STEP: usize = 4;
/// The share of skin that could be somebody: a third of a face 70 pixels high in a 720p picture.
const ENOUGH_SKIN: f32 = 0.002;

/// Chroma that far from grey is colour.
const COLOUR: u8 = 8;
/// Pictures with less of it are in black and white: their skin has no colour.
const ENOUGH_COLOUR: f32 = 0.01;

/// Neighbouring blocks whose means differ by this much have an edge between them.
const EDGE: u8 = 6;
/// The share of edges below which a picture is as good as empty: a slate, a fade.
const ENOUGH_EDGES: f32 = 0.005;

/// Whether a frame could show somebody's skin.
pub(crate) fn promising(picture: &Picture, grid: &Grid) -> bool {
    let (skin, colour) = colours(picture);
    (skin >= ENOUGH_SKIN || colour < ENOUGH_COLOUR) && edges(grid) >= ENOUGH_EDGES
}

/// The shares of a picture that have the colour of skin, and any colour.
fn colours(picture: &Picture) -> (f32, f32) {
    let [_, cb, cr] = picture.planes();
    let (mut skin, mut colour, mut all) = (0_u32, 0_u32, 0_u32);
    for y in (0..cb.height).step_by(STEP) {
        for (cb, cr) in cb.row(y).iter().zip(cr.row(y)).step_by(STEP) {
            skin += u32::from(SKIN[0].contains(cb) && SKIN[1].contains(cr));
            colour += u32::from(cb.abs_diff(128).max(cr.abs_diff(128)) > COLOUR);
            all += 1;
        }
    }
    let share = |count: u32| count as f32 / all.max(1) as f32;
    (share(skin), share(colour))
}

/// The share of neighbouring blocks with an edge between them.
fn edges(grid: &Grid) -> f32 {
    let (mut edges, mut all) = (0_u32, 0_u32);
    let mut look = |a: u8, b: u8| {
        edges += u32::from(a.abs_diff(b) >= EDGE);
        all += 1;
    };
    for row in grid.mean.chunks(grid.cols.max(1)) {
        row.windows(2).for_each(|two| look(two[0], two[1]));
    }
    let below = grid.mean.iter().skip(grid.cols);
    grid.mean.iter().zip(below).for_each(|(above, below)| look(*above, *below));
    edges as f32 / all.max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::thumb::Thumb;
    use crate::pipeline::decode;

    /// A picture with something of `size` samples in it; Y, Cb and Cr of both.
    fn picture(ground: [u8; 3], thing: [u8; 3], size: usize) -> bool {
        let mut picture = Picture::new(1280, 720);
        for (index, plane) in picture.planes_mut().iter_mut().enumerate() {
            let scale = if index == 0 { 1 } else { 2 };
            for y in 0..plane.height {
                let inside = |at: usize, from: usize| (from..from + size).contains(&(at * scale));
                for (x, sample) in plane.row_mut(y).iter_mut().enumerate() {
                    let value = if inside(x, 300) && inside(y, 200) { thing } else { ground };
                    // Something to see everywhere.
                    let stripes = u8::from(index == 0 && x / 64 % 2 == 0) * 30;
                    *sample = value[index] + stripes;
                }
            }
        }
        let thumb = Thumb::of(&picture);
        promising(&picture, &decode::grid(&thumb, None))
    }

    const BLUE: [u8; 3] = [90, 160, 110];
    const PALE: [u8; 3] = [180, 112, 150];
    const DARK: [u8; 3] = [60, 118, 140];

    #[test]
    fn skin_of_any_shade_is_worth_a_look_and_a_blue_wall_is_not() {
        assert!(!picture(BLUE, BLUE, 70));
        assert!(picture(BLUE, PALE, 70));
        assert!(picture(BLUE, DARK, 70));
        assert!(!picture(BLUE, PALE, 16), "too small for anybody");
    }

    #[test]
    fn a_picture_in_black_and_white_could_show_anything() {
        assert!(picture([90, 128, 128], [90, 128, 128], 70));
    }

    #[test]
    fn an_empty_picture_shows_nobody() {
        let mut empty = Picture::new(1280, 720);
        for (plane, value) in empty.planes_mut().iter_mut().zip(PALE) {
            (0..plane.height).for_each(|y| plane.row_mut(y).fill(value));
        }
        let thumb = Thumb::of(&empty);
        assert!(!promising(&empty, &decode::grid(&thumb, None)));
    }
}
