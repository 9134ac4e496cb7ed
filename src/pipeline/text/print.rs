//! A line's fingerprint: whether what is seen now is what was read. Pure.
//!
//! The line is drawn on a strip eight cells high, and each square of 8×8 cells becomes 64 signs of
//! its horizontal gradient: rising, falling or neither (a difference hash, with a dead zone against
//! noise). Two prints are of the same text when no square differs much; a line of which a single
//! letter changed is another line.

use super::geometry::{at, height, length};
use crate::detect::text::{Point, Quad};
use crate::media::Plane;

/// Cells from a line's top to its bottom, and a square's side.
const CELLS: usize = 8;
/// Most squares of a line; longer ones are drawn narrower.
const SQUARES: usize = 40;
/// Points a cell is averaged over, on each axis.
const POINTS: usize = 2;
/// Least step between two cells that is an edge: this share of the line's contrast, and this much.
const EDGE_SHARE: f32 = 0.16;
const EDGE: f32 = 5.0;
/// Share of a square's signs that may differ. Letters that moved half a cell differ in 0.25, other
/// letters in 0.5 and more.
const DIFFERENT: f32 = 0.42;
/// Signs that noise makes in a square without letters.
const NOISE: f32 = 8.0;
/// How far the strip is shifted for a better match, in cells.
const SHIFTS: [f32; 3] = [0.0, -0.5, 0.5];

/// The signs of one square; `None` where it lies outside of the picture.
type Square = Option<(u64, u64)>;

/// A line's fingerprint.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Print {
    squares: Vec<Square>,
}

/// How a line looks now, compared to when its print was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Match {
    /// By how much the square differs that differs most: share of its signs.
    pub worst: f32,
    /// Pixels that the line lies beside where it was looked for, along and across.
    pub shift: (f32, f32),
}

impl Match {
    /// Whether it is the same text.
    pub(super) fn is_same(&self) -> bool {
        self.worst <= DIFFERENT
    }
}

impl Print {
    /// The print of what lies within `quad`. `None` when nothing of it lies in the picture.
    pub(super) fn of(luma: Plane<'_>, quad: &Quad) -> Option<Self> {
        let squares = (length(quad) / height(quad).max(1.0)).round().clamp(1.0, SQUARES as f32);
        Self::drawn(luma, quad, squares as usize, (0.0, 0.0))
    }

    fn drawn(luma: Plane<'_>, quad: &Quad, squares: usize, shift: (f32, f32)) -> Option<Self> {
        let columns = squares * CELLS + 1;
        let strip = Strip::draw(luma, quad, columns, shift);
        let edge = (strip.contrast() * EDGE_SHARE).max(EDGE);
        let squares: Vec<Square> = (0..squares).map(|i| strip.signs(i * CELLS, edge)).collect();
        squares.iter().any(Option::is_some).then_some(Self { squares })
    }

    /// Compares with what lies within `quad` now. `None` when nothing of it lies in the picture.
    pub(super) fn compare(&self, luma: Plane<'_>, quad: &Quad) -> Option<Match> {
        let cell = height(quad) / CELLS as f32;
        let mut best: Option<Match> = None;
        for dy in SHIFTS {
            for dx in SHIFTS {
                let now = Self::drawn(luma, quad, self.squares.len(), (dx, dy))?;
                let Some(worst) = self.difference(&now) else { continue };
                if best.is_none_or(|best| worst < best.worst) {
                    best = Some(Match { worst, shift: (dx * cell, dy * cell) });
                }
                if worst <= DIFFERENT / 2.0 {
                    return best;
                }
            }
        }
        best
    }

    /// By how much the square differs that differs most. `None` when no square can be compared.
    fn difference(&self, other: &Self) -> Option<f32> {
        let pairs = self.squares.iter().zip(&other.squares);
        let each = pairs.filter_map(|(a, b)| Some(differs((*a)?, (*b)?)));
        each.max_by(f32::total_cmp)
    }
}

/// Share of the signs that differ; opposite signs count twice.
fn differs((rising, falling): (u64, u64), (up, down): (u64, u64)) -> f32 {
    let count = |bits: u64| bits.count_ones() as f32;
    let opposite = count((rising & down) | (falling & up));
    let alone = count((rising | falling) ^ (up | down));
    let signs = count(rising | falling) + count(up | down);
    (alone + 2.0 * opposite) / (signs + NOISE)
}

/// A line drawn upright, in cells.
struct Strip {
    columns: usize,
    /// Row by row; NaN outside of the picture.
    cells: Vec<f32>,
}

impl Strip {
    fn draw(luma: Plane<'_>, quad: &Quad, columns: usize, shift: (f32, f32)) -> Self {
        let mut cells = Vec::with_capacity(columns * CELLS);
        for row in 0..CELLS {
            for column in 0..columns {
                let mut sum = 0.0;
                for point in 0..POINTS * POINTS {
                    let part = |n: usize| (n as f32 + 0.5) / POINTS as f32;
                    let (x, y) = (part(point % POINTS), part(point / POINTS));
                    let along = (column as f32 + x + shift.0) / columns as f32;
                    let across = (row as f32 + y + shift.1) / CELLS as f32;
                    sum += sample(luma, at(quad, along, across));
                }
                cells.push(sum / (POINTS * POINTS) as f32);
            }
        }
        Self { columns, cells }
    }

    /// Difference of bright and dark, leaving out the extremes.
    fn contrast(&self) -> f32 {
        let mut seen: Vec<f32> = self.cells.iter().copied().filter(|v| !v.is_nan()).collect();
        if seen.is_empty() {
            return 0.0;
        }
        seen.sort_unstable_by(f32::total_cmp);
        let tenth = seen.len() / 10;
        seen[seen.len() - 1 - tenth] - seen[tenth]
    }

    fn signs(&self, from: usize, edge: f32) -> Square {
        let (mut rising, mut falling) = (0, 0);
        for row in 0..CELLS {
            let cells = &self.cells[row * self.columns + from..][..=CELLS];
            for (column, two) in cells.windows(2).enumerate() {
                let step = two[1] - two[0];
                if step.is_nan() {
                    return None;
                }
                let bit = 1 << (row * CELLS + column);
                rising |= if step > edge { bit } else { 0 };
                falling |= if step < -edge { bit } else { 0 };
            }
        }
        Some((rising, falling))
    }
}

/// The luma at a point, from the four samples around it; NaN outside of the picture.
fn sample(luma: Plane<'_>, point: Point) -> f32 {
    let (x, y) = (point.x - 0.5, point.y - 0.5);
    let inside = x >= -1.0 && y >= -1.0 && x < luma.width as f32 && y < luma.height as f32;
    if !inside {
        return f32::NAN;
    }
    let (x, y) = (x.max(0.0), y.max(0.0));
    let (left, top) = (x as usize, y as usize);
    let (right, bottom) = ((left + 1).min(luma.width - 1), (top + 1).min(luma.height - 1));
    let (fx, fy) = (x - left as f32, y - top as f32);
    let mix = |row: &[u8]| f32::from(row[left]) * (1.0 - fx) + f32::from(row[right]) * fx;
    mix(luma.row(top)) * (1.0 - fy) + mix(luma.row(bottom)) * fy
}
