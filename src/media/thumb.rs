//! Small luma pictures, on which the gate looks for cuts and motion. Pure.

mod shrink;

use super::{Picture, Plane};

/// The longest side of a thumbnail, in samples: 320×180 for a picture of 16:9.
pub const LONGEST: usize = 320;

/// The side of the blocks that means and differences are taken over, in samples.
pub const BLOCK: usize = 8;

/// A picture's luma, shrunk by area average. Never larger than the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumb {
    /// Samples a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Luma in rows without gaps.
    pub data: Vec<u8>,
}

/// One value for each block of a thumbnail: 40×23 for 320×180. The last column and row may stand
/// for less than [`BLOCK`] samples a side.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Blocks a row.
    pub columns: usize,
    /// Rows of blocks.
    pub rows: usize,
    /// Values in rows, 0 to 255.
    pub values: Vec<f32>,
}

impl Thumb {
    /// The thumbnail of a picture.
    pub fn of(picture: &Picture) -> Self {
        let [luma, ..] = picture.planes();
        Self::within(luma, LONGEST)
    }

    /// A plane, shrunk until its longer side has at most `most` samples.
    pub fn within(luma: Plane<'_>, most: usize) -> Self {
        let longest = luma.width.max(luma.height);
        let side = |side: usize| match longest <= most {
            true => side,
            false => ((side * most + longest / 2) / longest).max(1),
        };
        let (width, height) = (side(luma.width), side(luma.height));
        Self { width, height, data: shrink::shrink(luma, width, height) }
    }

    /// The mean of each block.
    pub fn block_means(&self) -> Grid {
        self.grid(|y, into| into.copy_from_slice(self.row(y)))
    }

    /// The mean absolute difference of each block of two thumbnails. `None` when their sizes
    /// differ: then they show different pictures.
    pub fn block_differences(&self, other: &Self) -> Option<Grid> {
        if (self.width, self.height) != (other.width, other.height) {
            return None;
        }
        Some(self.grid(|y, into| {
            for (into, (a, b)) in into.iter_mut().zip(self.row(y).iter().zip(other.row(y))) {
                *into = a.abs_diff(*b);
            }
        }))
    }

    /// The samples of row `y`.
    pub fn row(&self, y: usize) -> &[u8] {
        &self.data[y * self.width..(y + 1) * self.width]
    }

    /// The mean of each block of a picture of this size, whose rows `fill` writes.
    fn grid(&self, fill: impl Fn(usize, &mut [u8])) -> Grid {
        let (columns, rows) = (self.width.div_ceil(BLOCK), self.height.div_ceil(BLOCK));
        let mut values = Vec::with_capacity(columns * rows);
        let mut row = vec![0_u8; self.width];
        // At most 8 rows of 255.
        let mut sums = vec![0_u16; self.width];
        for top in (0..self.height).step_by(BLOCK) {
            let bottom = (top + BLOCK).min(self.height);
            sums.fill(0);
            for y in top..bottom {
                fill(y, &mut row);
                for (sum, &value) in sums.iter_mut().zip(&row) {
                    *sum += u16::from(value);
                }
            }
            values.extend(sums.chunks(BLOCK).map(|block| {
                let total: u32 = block.iter().map(|&sum| u32::from(sum)).sum();
                total as f32 / (block.len() * (bottom - top)) as f32
            }));
        }
        Grid { columns, rows, values }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picture(width: u32, height: u32, value: impl Fn(usize, usize) -> u8) -> Picture {
        let mut picture = Picture::new(width, height);
        let [luma, ..] = &mut picture.planes_mut();
        for y in 0..luma.height {
            for (x, sample) in luma.row_mut(y).iter_mut().enumerate() {
                *sample = value(x, y);
            }
        }
        picture
    }

    #[test]
    fn sizes_follow_the_longest_side() {
        let size = |w, h| {
            let thumb = Thumb::of(&Picture::new(w, h));
            (thumb.width, thumb.height)
        };
        assert_eq!(size(1280, 720), (320, 180));
        assert_eq!(size(1920, 1080), (320, 180));
        assert_eq!(size(720, 1280), (180, 320));
        assert_eq!(size(854, 480), (320, 180));
        assert_eq!(size(160, 90), (160, 90));
        assert_eq!(size(4000, 2), (320, 1));
    }

    #[test]
    fn a_box_is_the_rounded_mean() {
        let value = |x: usize, y: usize| ((x * 7 + y * 13) % 256) as u8;
        for n in [1, 2, 3, 4, 6] {
            let thumb = Thumb::of(&picture(320 * n as u32, 180 * n as u32, value));
            for (x, y) in [(0, 0), (319, 179), (100, 77)] {
                let cells = (0..n * n).map(|i| u32::from(value(n * x + i % n, n * y + i / n)));
                let mean = (cells.sum::<u32>() + (n * n / 2) as u32) / (n * n) as u32;
                assert_eq!(u32::from(thumb.row(y)[x]), mean, "{n}");
            }
        }
    }

    #[test]
    fn blocks_name_where_pictures_differ() {
        let grey = Thumb::of(&picture(1280, 720, |_, _| 100));
        let spot = Thumb::of(&picture(1280, 720, |x, y| {
            if (64..96).contains(&x) && (704..720).contains(&y) { 160 } else { 100 }
        }));
        let grid = grey.block_differences(&spot).unwrap();
        assert_eq!((grid.columns, grid.rows), (40, 23));
        let at = 22 * 40 + 2;
        assert_eq!(grid.values[at], 60.0);
        assert_eq!(grid.values.iter().sum::<f32>(), 60.0);
        assert_eq!(spot.block_means().values[at], 160.0);
        assert_eq!(grey.block_differences(&Thumb::of(&Picture::new(640, 640))), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Whatever the ratio, an area average keeps the mean and stays between the extremes.
        #[test]
        fn the_mean_survives(width in 1_u32..700, height in 1_u32..700, seed: u64) {
            let mut random = fastrand::Rng::with_seed(seed);
            let (low, high) = (random.u8(..128), random.u8(128..));
            let dots: Vec<u8> = (0..4096).map(|_| random.u8(low..=high)).collect();
            let source = picture(width, height, |x, y| dots[(x * 31 + y * 17) % 4096]);
            let thumb = Thumb::of(&source);
            prop_assert!(thumb.data.iter().all(|v| (low..=high).contains(v)));
            let mean = |sum: u64, count: usize| sum as f64 / count as f64;
            let [luma, ..] = source.planes();
            let total = (0..luma.height).flat_map(|y| luma.row(y)).map(|&v| u64::from(v)).sum();
            let before = mean(total, luma.width * luma.height);
            let sum = thumb.data.iter().map(|&v| u64::from(v)).sum();
            let after = mean(sum, thumb.data.len());
            prop_assert!((before - after).abs() < 1.5, "{before} became {after}");
        }
    }
}
