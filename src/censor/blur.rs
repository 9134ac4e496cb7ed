//! A Gaussian blur that cannot be inverted: the smooth surface through the cells of a [`Grid`].
//!
//! The mean of each cell is a box filter, sampled once a cell and rounded; the quadratic B-spline
//! that draws the surface is three more box filters in a row. Together they are the blur that
//! three box passes approximate (sigma 0.58 cells), of a picture that has no detail left to
//! recover. Only the grid is read, so the work is one pass over the samples to measure and one to
//! draw.

use super::grid::{Grid, Span};
use crate::media::PlaneMut;

/// Unity of the weights: three of them together make one.
const ONE: f32 = 65_536.0;

/// The three cells that make a sample, and how much of each.
#[derive(Clone, Copy, Debug)]
struct Tap {
    cells: [usize; 3],
    /// 16-bit fixed point; the largest is three quarters.
    weights: [u16; 3],
}

/// Replaces the span by the surface through its `columns` × `rows` cells; both are at most the
/// span's samples.
pub(super) fn draw(plane: &mut PlaneMut<'_>, span: &Span, columns: usize, rows: usize) {
    let grid = Grid::of(plane, span, columns, rows);
    let across = taps(columns, span.width);
    // Each row of cells drawn at full width, 8.8 fixed point.
    let mut lines = Vec::with_capacity(rows * span.width);
    for row in 0..rows {
        let means = grid.row(row);
        lines.extend(across.iter().map(|tap| {
            let [a, b, c] = tap.cells.map(|cell| u16::from(means[cell]) << 8);
            blend(tap.weights, a, b, c)
        }));
    }
    for (y, tap) in taps(rows, span.height).into_iter().enumerate() {
        let [a, b, c] = tap.cells.map(|row| &lines[row * span.width..(row + 1) * span.width]);
        let samples = span.row(plane, y);
        for (((sample, &a), &b), &c) in samples.iter_mut().zip(a).zip(b).zip(c) {
            *sample = ((blend(tap.weights, a, b, c) + 128) >> 8) as u8;
        }
    }
}

/// The weighted sum in 8.8 fixed point, at most 2 / 256 below the exact one.
#[inline]
fn blend(weights: [u16; 3], a: u16, b: u16, c: u16) -> u16 {
    let share = |value: u16, weight: u16| ((u32::from(value) * u32::from(weight)) >> 16) as u16;
    share(a, weights[0]) + share(b, weights[1]) + share(c, weights[2])
}

/// The quadratic B-spline over `count` cells, at the centre of each of `length` samples. Beyond
/// the ends the last cell goes on.
fn taps(count: usize, length: usize) -> Vec<Tap> {
    let last = count - 1;
    (0..length)
        .map(|i| {
            let position = (i as f32 + 0.5) * count as f32 / length as f32;
            let cell = (position as usize).min(last);
            let t = position - cell as f32;
            let before = (0.5 * (1.0 - t) * (1.0 - t) * ONE) as u16;
            let after = (0.5 * t * t * ONE) as u16;
            let here = (ONE as u32 - u32::from(before) - u32::from(after)) as u16;
            let cells = [cell.saturating_sub(1), cell, (cell + 1).min(last)];
            Tap { cells, weights: [before, here, after] }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_taps_of_a_sample_make_one() {
        for (count, length) in [(1, 1), (1, 50), (3, 3), (3, 100), (7, 50)] {
            for tap in taps(count, length) {
                assert_eq!(tap.weights.iter().map(|&w| u32::from(w)).sum::<u32>(), ONE as u32);
                assert!(tap.cells.iter().all(|&cell| cell < count));
            }
        }
    }

    #[test]
    fn a_flat_surface_stays_flat_and_white_does_not_wrap() {
        for value in [0_u8, 16, 128, 248, 255] {
            let mut data = vec![value; 40 * 30];
            let mut plane = PlaneMut { data: &mut data, stride: 40, width: 40, height: 30 };
            let span = Span { left: 0, top: 0, width: 40, height: 30 };
            draw(&mut plane, &span, 3, 2);
            let rounded = ((u32::from(value) + 4) / 8 * 8).min(255) as u8;
            assert!(data.iter().all(|&v| v == rounded), "{value}: {:?}", &data[..40]);
        }
    }
}
