//! One line out of a picture's planes, straightened, at the recogniser's height.
//!
//! Each pixel of the input is looked up in the picture through the projection that takes the
//! line's corners to the input's (Heckbert, "Fundamentals of Texture Mapping", 1989). Luma is
//! interpolated by cubic convolution (Keys, 1981) with OpenCV's coefficient: as sharp as the
//! pictures that the model was trained on, without which it misses every fourth space between
//! words. Chroma lies between its four neighbours. Where the line is larger than the input,
//! several places are averaged.

use super::{Point, Quad};
use crate::detect::manifest::{Channels, Ctc, Input};
use crate::detect::matrix::Matrix;
use crate::media::{Picture, Plane};

/// Most places a side that are averaged for one pixel: beyond four times the input's height a
/// line loses pixels, not letters.
const MOST_PLACES: u32 = 4;

/// Width of the input that a line goes into, and how much of it the line fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub width: u32,
    pub filled: u32,
}

impl Slot {
    /// For a line of `size` (length and height, in picture pixels).
    pub(super) fn new(recipe: &Ctc, size: (f32, f32)) -> Self {
        let wanted = (recipe.height as f32 * size.0 / size.1.max(1e-3)).ceil().clamp(1.0, 65_536.0);
        let wanted = wanted as u32;
        let last = recipe.widths.last().copied().unwrap_or(wanted);
        let width = recipe.widths.iter().copied().find(|&width| width >= wanted).unwrap_or(last);
        Self { width, filled: wanted.min(width) }
    }
}

/// From the unit square to the picture.
#[derive(Clone, Copy, Debug)]
struct Projection {
    x: [f32; 3],
    y: [f32; 3],
    w: [f32; 2],
}

impl Projection {
    /// Takes 0,0 1,0 1,1 0,1 to the corners of `quad`.
    fn new(quad: &Quad) -> Self {
        let [a, b, c, d] = quad.0;
        let (sx, sy) = (a.x - b.x + c.x - d.x, a.y - b.y + c.y - d.y);
        let (ux, uy) = (b.x - c.x, b.y - c.y);
        let (vx, vy) = (d.x - c.x, d.y - c.y);
        let det = ux * vy - vx * uy;
        let (g, h) = ((sx * vy - vx * sy) / det, (ux * sy - sx * uy) / det);
        // A corner at the horizon, or beyond it, is none of a line that was seen: then the first,
        // second and last corner say where the line lies.
        let near = |w: f32| w > 0.1 && w < 10.0;
        let real = near(1.0 + g) && near(1.0 + h) && near(1.0 + g + h);
        let (g, h) = if real { (g, h) } else { (0.0, 0.0) };
        Self {
            x: [b.x - a.x + g * b.x, d.x - a.x + h * d.x, a.x],
            y: [b.y - a.y + g * b.y, d.y - a.y + h * d.y, a.y],
            w: [g, h],
        }
    }

    fn at(&self, u: f32, v: f32) -> Point {
        let w = 1.0 / (self.w[0] * u + self.w[1] * v + 1.0);
        Point {
            x: (self.x[0] * u + self.x[1] * v + self.x[2]) * w,
            y: (self.y[0] * u + self.y[1] * v + self.y[2]) * w,
        }
    }
}

/// Cuts lines out of pictures for one model; keeps its rows between calls.
#[derive(Debug)]
pub(super) struct Cropper {
    channels: Channels,
    matrix: Matrix,
    rows: [Vec<f32>; 3],
}

impl Cropper {
    pub(super) fn new(input: &Input) -> Self {
        let rows = std::array::from_fn(|_| Vec::new());
        Self { channels: input.channels, matrix: Matrix::bt601_limited(input), rows }
    }

    /// Writes the line into `tensor`: `[3][height][slot.width]`; what is not filled is 0, the
    /// mean.
    pub(super) fn crop(&mut self, picture: &Picture, quad: &Quad, slot: Slot, tensor: &mut [f32]) {
        let (width, filled) = (slot.width as usize, slot.filled as usize);
        let height = tensor.len() / 3 / width;
        let planes = picture.planes();
        let projection = Projection::new(quad);
        let (length, tall) = quad.size();
        let ratio = (tall / height as f32).max(length / filled as f32);
        let luma = (ratio.round() as u32).clamp(1, MOST_PLACES);
        // Chroma has half the pixels.
        let chroma = luma.div_ceil(2);
        for row in &mut self.rows {
            row.resize(filled, 0.0);
        }
        let (first, rest) = tensor.split_at_mut(width * height);
        let (second, third) = rest.split_at_mut(width * height);
        for y in 0..height {
            for (i, plane) in planes.iter().enumerate() {
                let (places, zoom) = if i == 0 { (luma, 1.0) } else { (chroma, 0.5) };
                let grid = Grid { places, y, height, zoom };
                let row = &mut self.rows[i];
                if i == 0 && luma == 1 {
                    sample_row(&projection, plane, grid, row, cubic);
                } else {
                    sample_row(&projection, plane, grid, row, between);
                }
            }
            let line = y * width..(y + 1) * width;
            let mut out = [&mut first[line.clone()], &mut second[line.clone()], &mut third[line]];
            for row in &mut out {
                row[filled..].fill(0.0);
            }
            let out = self.channels.in_order(out.map(|row| &mut row[..filled]));
            let [luma, u, v] = &self.rows;
            self.matrix.convert([luma, u, v], out);
        }
    }
}

/// Which places make a row.
#[derive(Clone, Copy)]
struct Grid {
    /// Places a side for each pixel.
    places: u32,
    y: usize,
    height: usize,
    /// Plane samples to a picture pixel.
    zoom: f32,
}

fn sample_row(
    projection: &Projection,
    plane: &Plane<'_>,
    grid: Grid,
    row: &mut [f32],
    value: impl Fn(&Plane<'_>, f32, f32) -> f32,
) {
    let count = grid.places as f32;
    let (across, down) = (1.0 / (row.len() as f32 * count), 1.0 / (grid.height as f32 * count));
    let share = 1.0 / (count * count);
    for (x, out) in row.iter_mut().enumerate() {
        let mut sum = 0.0;
        for j in 0..grid.places {
            let v = (grid.y as f32 * count + j as f32 + 0.5) * down;
            for i in 0..grid.places {
                let u = (x as f32 * count + i as f32 + 0.5) * across;
                let at = projection.at(u, v);
                sum += value(plane, at.x * grid.zoom - 0.5, at.y * grid.zoom - 0.5);
            }
        }
        *out = sum * share;
    }
}

/// The value between the four samples around a place; the edge goes on outside of the plane.
fn between(plane: &Plane<'_>, x: f32, y: f32) -> f32 {
    let x = x.clamp(0.0, (plane.width - 1) as f32);
    let y = y.clamp(0.0, (plane.height - 1) as f32);
    let (left, top) = (x as usize, y as usize);
    let right = (left + 1).min(plane.width - 1);
    let below = (top + 1).min(plane.height - 1);
    let (fx, fy) = (x - left as f32, y - top as f32);
    let (upper, lower) = (plane.row(top), plane.row(below));
    let mix = |row: &[u8]| {
        let (a, b) = (f32::from(row[left]), f32::from(row[right]));
        a + (b - a) * fx
    };
    let (a, b) = (mix(upper), mix(lower));
    a + (b - a) * fy
}

/// The value at a place by cubic convolution of the sixteen samples around it.
fn cubic(plane: &Plane<'_>, x: f32, y: f32) -> f32 {
    let x = x.clamp(0.0, (plane.width - 1) as f32);
    let y = y.clamp(0.0, (plane.height - 1) as f32);
    let (left, top) = (x as usize, y as usize);
    let (across, down) = (weights(x - left as f32), weights(y - top as f32));
    let around = |at: usize, len: usize| {
        [at.saturating_sub(1), at, (at + 1).min(len - 1), (at + 2).min(len - 1)]
    };
    let columns = around(left, plane.width);
    let mut sum = 0.0;
    for (y, weight) in around(top, plane.height).into_iter().zip(down) {
        let row = plane.row(y);
        let mix: f32 = columns.iter().zip(across).map(|(&x, w)| f32::from(row[x]) * w).sum();
        sum += mix * weight;
    }
    sum.clamp(0.0, 255.0)
}

/// Weights of the samples at -1, 0, 1 and 2 for a place `t` after the one at 0.
fn weights(t: f32) -> [f32; 4] {
    /// The slope at 1.
    const A: f32 = -0.75;
    let near = |t: f32| ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0;
    let far = |t: f32| ((A * t - 5.0 * A) * t + 8.0 * A) * t - 4.0 * A;
    [far(1.0 + t), near(t), near(1.0 - t), far(2.0 - t)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::Rect;

    fn recipe() -> Ctc {
        let widths = vec![160, 320, 640];
        Ctc { height: 48, widths, charset: "character".into(), space: true }
    }

    fn input() -> Input {
        Input {
            name: "x".into(),
            channels: Channels::Bgr,
            scale: 1.0 / 255.0,
            mean: [0.5; 3],
            std: [0.5; 3],
        }
    }

    fn crop(picture: &Picture, quad: &Quad) -> (Slot, Vec<f32>) {
        let slot = Slot::new(&recipe(), quad.size());
        let mut tensor = vec![f32::NAN; 3 * 48 * slot.width as usize];
        Cropper::new(&input()).crop(picture, quad, slot, &mut tensor);
        (slot, tensor)
    }

    /// A picture whose luma is `value(x, y)`.
    fn luma(width: u32, height: u32, value: impl Fn(usize, usize) -> u8) -> Picture {
        let mut picture = Picture::filled(width, height, [0, 128, 128]);
        let [mut plane, ..] = picture.planes_mut();
        for y in 0..plane.height {
            for (x, sample) in plane.row_mut(y).iter_mut().enumerate() {
                *sample = value(x, y);
            }
        }
        picture
    }

    #[test]
    fn lines_go_into_the_first_width_that_holds_them() {
        let slot = |length, height| {
            let slot = Slot::new(&recipe(), (length, height));
            (slot.width, slot.filled)
        };
        assert_eq!(slot(100.0, 48.0), (160, 100));
        assert_eq!(slot(100.0, 24.0), (320, 200));
        assert_eq!(slot(160.0, 24.0), (320, 320));
        assert_eq!(slot(1200.0, 24.0), (640, 640), "squeezed");
        assert_eq!(slot(1.0, 500.0), (160, 1));
    }

    #[test]
    fn an_upright_line_comes_out_as_it_stands_and_the_rest_is_the_mean() {
        let picture = luma(400, 200, |x, y| if y < 74 { 16 + x as u8 / 2 } else { 235 });
        let (slot, tensor) = crop(&picture, &Quad::from(Rect::new(100.0, 50.0, 120.0, 48.0)));
        assert_eq!((slot.width, slot.filled), (160, 120));
        for x in 0..120 {
            let want = (f32::from(((100 + x) / 2) as u8) * 1.164_383_6) / 127.5 - 1.0;
            assert!((tensor[x] - want).abs() < 0.02, "{x}: {} {want}", tensor[x]);
            assert!((tensor[40 * 160 + x] - 1.0).abs() < 0.01);
        }
        for row in tensor.chunks_exact(160) {
            assert!(row[120..].iter().all(|value| *value == 0.0));
        }
    }

    #[test]
    fn a_line_that_runs_downwards_is_turned_and_one_that_is_large_is_averaged() {
        // White from row 100 on: the right half of a line that is read downwards.
        let picture = luma(300, 300, |x, y| match (y >= 100, (x + y) % 2) {
            (true, _) => 235,
            (false, 0) => 16,
            _ => 126,
        });
        let [a, b, c, d] = Quad::from(Rect::new(50.0, 4.0, 192.0, 192.0)).0;
        let (slot, tensor) = crop(&picture, &Quad([b, c, d, a]));
        assert_eq!((slot.width, slot.filled), (160, 48));
        for y in 0..48 {
            let dark = tensor[y * 160 + 5];
            // The mean of black and the grey between: a quarter of the range.
            assert!((dark + 0.5).abs() < 0.05, "{dark}");
            assert!((tensor[y * 160 + 40] - 1.0).abs() < 0.01);
        }
    }

    #[test]
    fn perspective_is_undone() {
        // A stripe that lies across the middle of a line which shrinks to the right.
        let quad = Quad([
            Point::new(20.0, 20.0),
            Point::new(220.0, 60.0),
            Point::new(220.0, 140.0),
            Point::new(20.0, 180.0),
        ]);
        let picture = luma(256, 200, |_, y| if (95..105).contains(&y) { 235 } else { 16 });
        let (slot, tensor) = crop(&picture, &quad);
        for x in [2, slot.filled as usize / 2, slot.filled as usize - 3] {
            let at = |y: usize| tensor[y * slot.width as usize + x];
            assert!(at(23) > 0.9 && at(24) > 0.9 && at(8) < -0.9 && at(40) < -0.9, "{x}");
        }
        // The far half of the line fills less than half of its picture, and half of the crop.
        let far = Projection::new(&quad).at(0.5, 0.5);
        assert!(far.x > 125.0 && (far.y - 100.0).abs() < 0.01, "{far:?}");
    }

    #[test]
    fn cubic_weights_keep_flat_pictures_flat_and_samples_as_they_are() {
        assert_eq!(weights(0.0), [0.0, 1.0, 0.0, 0.0]);
        for t in [0.1, 0.25, 0.5, 0.9] {
            assert!((weights(t).iter().sum::<f32>() - 1.0).abs() < 1e-5, "{t}");
        }
        let ramp = luma(16, 16, |x, y| (x * 10 + y) as u8);
        let at = |x, y| cubic(&ramp.planes()[0], x, y);
        assert_eq!((at(3.0, 5.0), at(-4.0, 0.0), at(99.0, 99.0)), (35.0, 0.0, 165.0));
        assert!((at(7.5, 8.0) - 83.0).abs() < 0.01, "{}", at(7.5, 8.0));
    }

    proptest! {
        #[test]
        fn any_corners_give_an_input_of_numbers_in_range(
            corners in prop::collection::vec((-500f32..900.0, -500f32..900.0), 4)
        ) {
            let quad = Quad(std::array::from_fn(|i| Point::new(corners[i].0, corners[i].1)));
            let picture = luma(64, 48, |x, y| (x * 3 + y * 5) as u8);
            let (_, tensor) = crop(&picture, &quad);
            prop_assert!(tensor.iter().all(|value| (-1.001..=1.001).contains(value)));
        }

        #[test]
        fn the_projection_takes_corners_to_corners(
            w in 20f32..400.0, h in 10f32..100.0, lean in -0.2f32..0.2, far in 0.6f32..1.6
        ) {
            let quad = Quad([
                Point::new(10.0, 10.0),
                Point::new(10.0 + w, 10.0 + lean * w),
                Point::new(10.0 + w, 10.0 + lean * w + h * far),
                Point::new(10.0, 10.0 + h),
            ]);
            let projection = Projection::new(&quad);
            let unit = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)];
            for ((u, v), corner) in unit.into_iter().zip(quad.0) {
                prop_assert!(projection.at(u, v).distance(corner) < 0.05);
            }
        }
    }
}
