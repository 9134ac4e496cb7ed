//! From a probability map to lines: what comes after the model that finds text. Pure; linear in
//! the pixels.
//!
//! As PP-OCR and the `rapidocr-onnxruntime` package do it after "Real-time Scene Text Detection
//! with Differentiable Binarization" (Liao and others, 2020): pixels over a threshold are joined,
//! each group gets its smallest rectangle, is scored by the mean probability inside, and grown by
//! what training took away.

use super::groups::Groups;
use super::outline::{Tilted, around};
use super::{Line, Point, Quad};
use crate::detect::manifest::Db;

/// Most lines that are reported one by one; what there is beyond is one upright line around all of
/// the rest. A screen full of chat has a hundred.
pub(super) const MAX_LINES: usize = 256;

/// How much thicker a line must be once it is grown, in pixels of the input: as in the package.
const GROWN: f64 = 2.0;

/// Where the pixels of a map stand in a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Left and top of the part that was looked at, in picture pixels.
    pub origin: (f64, f64),
    /// Picture pixels to a map pixel, across and down.
    pub scale: (f64, f64),
    /// Width and height of the picture.
    pub picture: (f64, f64),
}

/// Why a map cannot be believed: it overflowed somewhere, and who sees nothing uncovers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the probability map holds values that are not numbers")]
pub(super) struct NotFinite;

/// Makes lines of maps; keeps its buffers between calls.
#[derive(Debug)]
pub(super) struct Lines {
    recipe: Db,
    groups: Groups,
    hull: Vec<(f64, f64)>,
    sums: Vec<f32>,
}

impl Lines {
    pub(super) fn new(recipe: &Db) -> Self {
        let recipe = recipe.clone();
        Self { recipe, groups: Groups::default(), hull: Vec::new(), sums: Vec::new() }
    }

    /// The lines in `map`, from top to bottom: rows of `stride` probabilities, of which the first
    /// `size.0` and `size.1` rows are picture. All lie inside the picture.
    ///
    /// # Errors
    /// When the map holds something that is not a number.
    pub(super) fn find(
        &mut self,
        (map, stride): (&[f32], usize),
        size: (usize, usize),
        place: &Place,
    ) -> Result<Vec<Line>, NotFinite> {
        if !map.iter().all(|value| value.is_finite()) {
            return Err(NotFinite);
        }
        let Db { threshold, dilate, .. } = self.recipe;
        self.groups.find((map, stride), size, threshold, dilate);
        let (mut lines, mut rest) = (Vec::new(), Vec::new());
        self.sums.clear();
        for runs in self.groups.iter() {
            let tilted = around(runs, &mut self.hull);
            if tilted.thickness() < f64::from(self.recipe.thinnest) {
                continue;
            }
            if self.sums.is_empty() {
                sum_rows((map, stride), size, &mut self.sums);
            }
            let score = mean(&self.sums, size, &tilted.corners(1.0));
            if score < self.recipe.floor {
                continue;
            }
            let Some(quad) = self.recipe.place(tilted, place) else { continue };
            let into = if lines.len() < MAX_LINES { &mut lines } else { &mut rest };
            into.push(Line { quad, score: score.min(1.0) });
        }
        if !rest.is_empty() {
            rest.extend(lines.pop());
            lines.push(together(&rest));
        }
        Ok(lines)
    }
}

impl Db {
    /// A group's rectangle, grown and put into the picture. `None` when it is too thin.
    fn place(&self, tilted: Tilted, place: &Place) -> Option<Quad> {
        let (length, height) = tilted.size;
        let by = length * height * f64::from(self.unclip) / (2.0 * (length + height));
        let grown = tilted.grow(by);
        if grown.thickness() < f64::from(self.thinnest) + GROWN {
            return None;
        }
        let point = |(x, y): (f64, f64)| {
            let x = (place.origin.0 + x * place.scale.0).clamp(0.0, place.picture.0);
            let y = (place.origin.1 + y * place.scale.1).clamp(0.0, place.picture.1);
            Point::new(x as f32, y as f32)
        };
        let quad = Quad(grown.corners(f64::from(self.upright)).map(point));
        let (length, height) = quad.size();
        (length >= 1.0 && height >= 1.0).then_some(quad)
    }
}

/// One upright line around all of `lines`, which are not few.
fn together(lines: &[Line]) -> Line {
    let score = lines.iter().map(|line| line.score).fold(0.0, f32::max);
    let bounds = lines.iter().map(|line| line.quad.bounds());
    let all = bounds.reduce(|a, b| a.union(&b)).unwrap_or_default();
    Line { quad: Quad::from(all), score }
}

/// For each row, the sums of its first 0, 1, 2 … values.
fn sum_rows((map, stride): (&[f32], usize), size: (usize, usize), sums: &mut Vec<f32>) {
    sums.reserve((size.0 + 1) * size.1);
    for row in map.chunks(stride).take(size.1) {
        let mut sum = 0.0;
        sums.push(sum);
        sums.extend(row[..size.0].iter().map(|value| {
            sum += value;
            sum
        }));
    }
}

/// The mean probability inside four corners in clockwise order, their edges included; a row costs
/// the same however long it is. Corners are cut to whole pixels, as the package does it.
fn mean(sums: &[f32], size: (usize, usize), corners: &[(f64, f64); 4]) -> f32 {
    let (width, height) = (size.0 as i64, size.1 as i64);
    let corners = corners.map(|(x, y)| (x.trunc(), y.trunc()));
    let top = corners.iter().map(|p| p.1).fold(f64::MAX, f64::min).max(0.0) as i64;
    let bottom = corners.iter().map(|p| p.1).fold(f64::MIN, f64::max) as i64;
    let (mut total, mut count) = (0.0_f64, 0);
    for y in top..=bottom.min(height - 1) {
        let Some((from, to)) = span(&corners, y as f64) else { continue };
        let from = (from.round() as i64).clamp(0, width - 1);
        let to = (to.round() as i64).clamp(from, width - 1);
        let row = y as usize * (size.0 + 1);
        total += f64::from(sums[row + to as usize + 1] - sums[row + from as usize]);
        count += to - from + 1;
    }
    if count > 0 { (total / count as f64) as f32 } else { 0.0 }
}

/// Where the row `y` enters and leaves a convex shape.
fn span(corners: &[(f64, f64); 4], y: f64) -> Option<(f64, f64)> {
    let mut found: Option<(f64, f64)> = None;
    for i in 0..4 {
        let ((ax, ay), (bx, by)) = (corners[i], corners[(i + 1) % 4]);
        if y < ay.min(by) || y > ay.max(by) {
            continue;
        }
        let ends = if ay == by {
            (ax.min(bx), ax.max(bx))
        } else {
            let x = ax + (bx - ax) * (y - ay) / (by - ay);
            (x, x)
        };
        found = Some(found.map_or(ends, |(from, to)| (from.min(ends.0), to.max(ends.1))));
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::Rect;

    fn recipe() -> Db {
        Db {
            sides: vec![64],
            threshold: 0.3,
            dilate: false,
            floor: 0.5,
            unclip: 1.6,
            thinnest: 3.0,
            upright: 1.5,
        }
    }

    fn place(width: usize, height: usize, scale: f64) -> Place {
        let picture = (width as f64 * scale, height as f64 * scale);
        Place { origin: (0.0, 0.0), scale: (scale, scale), picture }
    }

    /// A map with blocks of probability `value`: left, top, width, height.
    fn map(
        width: usize,
        height: usize,
        blocks: &[(usize, usize, usize, usize)],
        value: f32,
    ) -> Vec<f32> {
        let mut map = vec![0.01; width * height];
        for &(x, y, w, h) in blocks {
            for row in map.chunks_mut(width).skip(y).take(h) {
                row[x..x + w].fill(value);
            }
        }
        map
    }

    #[test]
    fn a_block_is_a_line_grown_by_what_training_took_away() {
        let map = map(128, 64, &[(20, 10, 61, 11)], 0.9);
        let lines =
            Lines::new(&recipe()).find((&map, 128), (128, 64), &place(128, 64, 2.0)).unwrap();
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert!((line.score - 0.9).abs() < 1e-3);
        // 60 × 10 pixels of centres grow by 600 · 1.6 / 140 = 6.857 on each side.
        let (length, height) = line.quad.size();
        assert!((length - 2.0 * 73.714).abs() < 0.01 && (height - 2.0 * 23.714).abs() < 0.01);
        let bounds = line.quad.bounds();
        assert!((bounds.x - 2.0 * 13.143).abs() < 0.01 && (bounds.y - 2.0 * 3.143).abs() < 0.01);
    }

    #[test]
    fn what_is_thin_unsure_or_outside_of_the_picture_is_no_line() {
        let find = |blocks: &[_], value, size| {
            let map = map(128, 64, blocks, value);
            Lines::new(&recipe()).find((&map, 128), size, &place(128, 64, 1.0)).unwrap().len()
        };
        assert_eq!(find(&[(20, 10, 60, 12)], 0.9, (128, 64)), 1);
        assert_eq!(find(&[(20, 10, 60, 3)], 0.9, (128, 64)), 0, "thin");
        assert_eq!(find(&[(20, 10, 60, 12)], 0.45, (128, 64)), 0, "unsure");
        assert_eq!(find(&[(20, 40, 60, 12)], 0.9, (128, 40)), 0, "padding");
    }

    #[test]
    fn a_part_is_put_where_it_was_taken_from() {
        let map = map(64, 64, &[(0, 0, 40, 12)], 0.9);
        let place = Place { origin: (100.0, 50.0), scale: (2.0, 2.0), picture: (1280.0, 720.0) };
        let lines = Lines::new(&recipe()).find((&map, 64), (64, 64), &place).unwrap();
        let bounds = lines[0].quad.bounds();
        assert!(bounds.x < 100.0 && bounds.y < 50.0, "the margin reaches over the part's edge");
        assert!(bounds.x > 80.0 && bounds.right() > 178.0, "{bounds:?}");
    }

    #[test]
    fn lines_beyond_the_limit_are_covered_by_one() {
        let blocks: Vec<_> =
            (0..MAX_LINES + 44).map(|i| ((i % 20) * 16 + 2, (i / 20) * 16 + 2, 10, 10)).collect();
        let map = map(320, 320, &blocks, 0.9);
        let lines =
            Lines::new(&recipe()).find((&map, 320), (320, 320), &place(320, 320, 1.0)).unwrap();
        assert_eq!(lines.len(), MAX_LINES);
        let last = lines[MAX_LINES - 1].quad.bounds();
        let covered = |&&(x, y, w, h): &&(usize, usize, usize, usize)| {
            let block = Rect::new(x as f32, y as f32, w as f32, h as f32);
            lines
                .iter()
                .any(|line| line.quad.bounds().intersect(&block).area() > 0.8 * block.area())
        };
        assert_eq!(blocks.iter().filter(covered).count(), blocks.len());
        assert!(last.w > 290.0, "{last:?}");
    }

    #[test]
    fn a_map_that_is_not_of_numbers_is_refused() {
        let mut map = map(64, 64, &[], 0.0);
        map[700] = f32::NAN;
        let found = Lines::new(&recipe()).find((&map, 64), (64, 64), &place(64, 64, 1.0));
        assert_eq!(found, Err(NotFinite));
    }

    proptest! {
        #[test]
        fn whatever_the_map_lines_lie_inside_the_picture(
            width in 1usize..80,
            values in prop::collection::vec(-0.2f32..1.2, 1..4000),
            dilate in any::<bool>(),
            smooth in 1usize..12,
        ) {
            // Neighbours that are alike make groups of some size.
            let values: Vec<f32> = (0..values.len()).map(|i| values[i / smooth]).collect();
            let height = values.len().div_ceil(width).saturating_sub(1).max(1);
            let mut values = values;
            values.resize(width * height, 0.0);
            let place = Place { origin: (3.0, 4.0), scale: (1.5, 1.4), picture: (90.0, 70.0) };
            let recipe = Db { dilate, thinnest: 0.5, ..recipe() };
            let lines = Lines::new(&recipe).find((&values, width), (width, height), &place).unwrap();
            prop_assert!(lines.len() <= MAX_LINES);
            for line in lines {
                prop_assert!(line.score >= 0.5 && line.score <= 1.0);
                let (length, height) = line.quad.size();
                prop_assert!(length >= 1.0 && height >= 1.0);
                for point in line.quad.0 {
                    prop_assert!((0.0..=90.0).contains(&point.x) && (0.0..=70.0).contains(&point.y));
                }
            }
        }
    }
}
