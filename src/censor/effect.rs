//! The coverings, in place on the planes of a picture.
//!
//! A covering depends on the region's own samples only, and only through the means of a coarse
//! [`Grid`], or not at all: what is outside never smears in, what is inside never smears out, every
//! sample up to the edge is replaced, and no inverse filter finds more than the grid's few rounded
//! numbers. Where regions overlap the stricter action is drawn last.

use super::grid::{self, Grid, Span};
use super::mask::{self, Patch};
use super::{Action, Region, blur};
use crate::media::{Picture, PlaneMut};

/// What solid regions and covered frames show: a calm dark grey, in Y, U, V.
const CURTAIN: [u8; 3] = [32, 128, 128];

/// The smallest cell, in luma samples: below it a tiny region would be shown nearly as it is.
const MIN_CELL: usize = 8;

/// Cells of a pixelated region along its longer side. The shorter side of an elongated region gets
/// fewer, down to one: a line of text is read along its length.
const MOSAIC: usize = 4;

/// Cells of a blurred region along its longer side. One cell of blur is a Gaussian of 0.58 cells:
/// with three cells, 0.19 of the longer side.
const SOFT: usize = 3;

/// Covers `regions` of the picture. Allowed regions are left as they are; one region whose action
/// is to cover covers the whole picture.
pub fn apply(picture: &mut Picture, regions: &[Region]) {
    if regions.iter().any(|region| region.action == Action::Cover) {
        return cover(picture);
    }
    for patch in mask::patches(regions, picture.width(), picture.height()) {
        for (index, plane) in picture.planes_mut().iter_mut().enumerate() {
            let span = span(&patch, index);
            match patch.action {
                Action::Blur => {
                    let (columns, rows) = cells(&patch, SOFT);
                    blur::draw(plane, &span, columns.min(span.width), rows.min(span.height));
                }
                Action::Pixelate => {
                    let (columns, rows) = cells(&patch, MOSAIC);
                    pixelate(plane, &span, columns.min(span.width), rows.min(span.height));
                }
                Action::Allow | Action::Solid | Action::Cover => {
                    for y in 0..span.height {
                        span.row(plane, y).fill(CURTAIN[index]);
                    }
                }
            }
        }
    }
}

/// Covers the whole picture; nothing of it is left, the padding of its rows included.
pub fn cover(picture: &mut Picture) {
    for (plane, value) in picture.planes_mut().iter_mut().zip(CURTAIN) {
        plane.data.fill(value);
    }
}

/// The samples of plane `index` that belong to `patch`.
fn span(patch: &Patch, index: usize) -> Span {
    let half = |v: usize| if index == 0 { v } else { v.div_ceil(2) };
    let (left, top) = (half(patch.left), half(patch.top));
    Span { left, top, width: half(patch.right) - left, height: half(patch.bottom) - top }
}

/// Columns and rows of the grid of a patch, the same on every plane, with `along` cells on its
/// longer side unless they would be wider than the shorter one.
fn cells(patch: &Patch, along: usize) -> (usize, usize) {
    let (width, height) = (patch.right - patch.left, patch.bottom - patch.top);
    let cell = (width.max(height) / along).min(width.min(height)).max(MIN_CELL);
    let count = |length: usize| (length / cell).max(1);
    (count(width), count(height))
}

fn pixelate(plane: &mut PlaneMut<'_>, span: &Span, columns: usize, rows: usize) {
    let grid = Grid::of(plane, span, columns, rows);
    for row in 0..rows {
        let means = grid.row(row);
        for y in grid::edge(row, rows, span.height)..grid::edge(row + 1, rows, span.height) {
            let samples = span.row(plane, y);
            for (column, &mean) in means.iter().enumerate() {
                let left = grid::edge(column, columns, span.width);
                let right = grid::edge(column + 1, columns, span.width);
                samples[left..right].fill(mean);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Rect;
    use proptest::prelude::*;

    const LOCAL: [Action; 3] = [Action::Blur, Action::Pixelate, Action::Solid];

    /// Texture at every scale, the same for the same seed.
    fn texture(width: u32, height: u32, seed: u64) -> Picture {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut picture = Picture::new(width, height);
        for plane in &mut picture.planes_mut() {
            plane.data.fill(0);
            let waves: Vec<_> = (0..40)
                .map(|i| {
                    let length = 3.0 * 1.1_f32.powi(i);
                    let (sin, cos) = (rng.f32() * 6.3).sin_cos();
                    (sin * 6.3 / length, cos * 6.3 / length, rng.f32() * 6.3)
                })
                .collect();
            for y in 0..plane.height {
                for (x, sample) in plane.row_mut(y).iter_mut().enumerate() {
                    let wave =
                        |&(a, b, c): &(f32, f32, f32)| (a * x as f32 + b * y as f32 + c).sin();
                    *sample = (128.0 + 14.0 * waves.iter().map(wave).sum::<f32>()) as u8;
                }
            }
        }
        picture
    }

    fn samples(picture: &Picture) -> Vec<Vec<u8>> {
        let plane =
            |p: &crate::media::Plane<'_>| (0..p.height).flat_map(|y| p.row(y).to_vec()).collect();
        picture.planes().iter().map(plane).collect()
    }

    fn region(x: f32, y: f32, w: f32, h: f32, action: Action) -> Region {
        Region { rect: Rect::new(x, y, w, h), action }
    }

    /// Whether the plane's sample at x, y belongs to the rectangle grown to whole chroma samples.
    fn inside(index: usize, (x, y): (usize, usize), rect: &Rect) -> bool {
        let scale = if index == 0 { 1 } else { 2 };
        let (x, y) = (x * scale / 2 * 2, y * scale / 2 * 2);
        (x as f32) < rect.right()
            && (x + 2) as f32 > rect.x
            && (y as f32) < rect.bottom()
            && (y + 2) as f32 > rect.y
    }

    proptest! {
        #[test]
        fn what_is_inside_stays_inside_and_what_is_outside_stays_outside(
            size in (1_u32..70, 1_u32..70),
            rect in (-20.0_f32..70.0, -20.0_f32..70.0, 0.1_f32..90.0, 0.1_f32..90.0),
            action in prop::sample::select(LOCAL.to_vec()),
        ) {
            let (width, height) = size;
            let rect = Rect::new(rect.0, rect.1, rect.2, rect.3);
            let original = texture(width, height, 1);
            let mut censored = texture(width, height, 1);
            apply(&mut censored, &[Region { rect, action }]);
            // The same inside in other surroundings.
            let mut moved = texture(width, height, 2);
            for (index, (to, from)) in moved.planes_mut().iter_mut().zip(original.planes()).enumerate() {
                for y in 0..from.height {
                    for x in (0..from.width).filter(|&x| inside(index, (x, y), &rect)) {
                        to.row_mut(y)[x] = from.row(y)[x];
                    }
                }
            }
            apply(&mut moved, &[Region { rect, action }]);
            let visible = rect.clip(width, height);
            let visible = visible.w > 0.0 && visible.h > 0.0;
            for (index, plane) in censored.planes().iter().enumerate() {
                for y in 0..plane.height {
                    for x in 0..plane.width {
                        if visible && inside(index, (x, y), &rect) {
                            prop_assert_eq!(plane.row(y)[x], moved.planes()[index].row(y)[x]);
                        } else {
                            prop_assert_eq!(plane.row(y)[x], original.planes()[index].row(y)[x]);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn solid_and_cover_leave_nothing() {
        let mut picture = texture(51, 33, 1);
        apply(&mut picture, &[region(0.0, 0.0, 51.0, 33.0, Action::Solid)]);
        let mut other = texture(51, 33, 2);
        apply(&mut other, &[region(10.0, 10.0, 2.0, 2.0, Action::Cover)]);
        for (index, value) in CURTAIN.into_iter().enumerate() {
            assert!(samples(&picture)[index].iter().all(|&v| v == value));
            assert!(other.planes()[index].data.iter().all(|&v| v == value));
        }
    }

    #[test]
    fn the_stricter_action_wins_where_regions_overlap() {
        let mut picture = texture(200, 100, 1);
        let solid = region(50.0, 20.0, 40.0, 40.0, Action::Solid);
        let pixelated = region(20.0, 0.0, 100.0, 100.0, Action::Pixelate);
        apply(&mut picture, &[solid, pixelated, region(0.0, 0.0, 60.0, 60.0, Action::Blur)]);
        let luma = picture.planes()[0];
        for y in 20..60 {
            assert!(luma.row(y)[50..90].iter().all(|&v| v == CURTAIN[0]), "row {y}");
        }
    }

    #[test]
    fn a_region_is_a_function_of_a_few_rounded_numbers() {
        let mut picture = texture(320, 320, 1);
        apply(&mut picture, &[region(0.0, 0.0, 320.0, 320.0, Action::Pixelate)]);
        for plane in samples(&picture) {
            let side = if plane.len() == 320 * 320 { 320 } else { 160 };
            for (i, &value) in plane.iter().enumerate() {
                let (x, y) = (i % side, i / side);
                let cell = side / MOSAIC;
                assert_eq!(value, plane[y / cell * cell * side + x / cell * cell]);
                assert_eq!(value % 8, 0);
            }
        }
    }

    #[test]
    fn elongated_regions_are_covered_by_their_length() {
        let cells = |right, bottom| {
            cells(&Patch { left: 0, top: 0, right, bottom, action: Action::Blur }, SOFT)
        };
        assert_eq!(cells(300, 300), (3, 3));
        assert_eq!(cells(600, 60), (10, 1));
        assert_eq!(cells(130, 50), (3, 1));
        assert_eq!(cells(50, 130), (1, 3));
        assert_eq!(cells(2, 40), (1, 5));
        assert_eq!(cells(6, 6), (1, 1));
    }

    /// Gaussian of standard deviation `sigma`, edges repeated.
    fn gauss(image: &[f32], width: usize, sigma: f32) -> Vec<f32> {
        let radius = (3.0 * sigma).ceil() as isize;
        let kernel: Vec<f32> =
            (-radius..=radius).map(|i| (-0.5 * (i as f32 / sigma).powi(2)).exp()).collect();
        let total: f32 = kernel.iter().sum();
        let height = image.len() / width;
        let pass = |image: &[f32], dx: isize, dy: isize| -> Vec<f32> {
            let at = |x: isize, y: isize| {
                let x = x.clamp(0, width as isize - 1) as usize;
                image[y.clamp(0, height as isize - 1) as usize * width + x]
            };
            (0..image.len() as isize)
                .map(|i| {
                    let (x, y) = (i % width as isize, i / width as isize);
                    let taps = (-radius..=radius).zip(&kernel);
                    taps.map(|(o, k)| k * at(x + o * dx, y + o * dy)).sum::<f32>() / total
                })
                .collect()
        };
        pass(&pass(image, 1, 0), 0, 1)
    }

    /// How much of the detail that carries recognition is still there, in 6 × 6 cells: 1 all, 0
    /// none or another. The band is that of six cycles a face.
    fn detail(original: &Picture, shown: &Picture, side: usize) -> Vec<f32> {
        let band = |picture: &Picture| {
            let luma: Vec<f32> = samples(picture)[0].iter().map(|&v| f32::from(v)).collect();
            let sigma = 0.022 * side as f32;
            let (fine, coarse) = (gauss(&luma, side, sigma), gauss(&luma, side, 2.2 * sigma));
            fine.iter().zip(coarse).map(|(a, b)| a - b).collect::<Vec<f32>>()
        };
        let (a, b) = (band(original), band(shown));
        let mut sums = [[0.0_f32; 3]; 36];
        for i in 0..side * side {
            let cell = i / side * 6 / side * 6 + i % side * 6 / side;
            for (sum, value) in sums[cell].iter_mut().zip([a[i] * a[i], b[i] * b[i], a[i] * b[i]]) {
                *sum += value;
            }
        }
        sums.iter().map(|[aa, bb, ab]| 2.0 * ab / (aa + bb + 0.5)).collect()
    }

    #[test]
    fn the_detail_that_carries_recognition_is_gone() {
        const SIDE: usize = 150;
        const LEGIBLE: f32 = 0.45;
        for seed in 1..5 {
            let original = texture(SIDE as u32, SIDE as u32, seed);
            let share = |shown: &Picture| {
                let cells = detail(&original, shown, SIDE);
                cells.iter().filter(|&&s| s > LEGIBLE).count() as f32 / cells.len() as f32
            };
            assert!(share(&original) > 0.99, "the measure sees what is there");
            for action in LOCAL {
                let mut shown = texture(SIDE as u32, SIDE as u32, seed);
                apply(&mut shown, &[region(0.0, 0.0, 150.0, 150.0, action)]);
                assert!(share(&shown) < 0.05, "{action:?}: {}", share(&shown));
            }
        }
    }
}
