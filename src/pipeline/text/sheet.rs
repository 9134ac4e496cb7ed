//! The luma that text is looked for on: at most 640 samples a side, with the range of each sample's
//! surroundings. Pure.

use crate::media::thumb::Thumb;
use crate::media::{Plane, Rect};

/// The longest side, in samples: letters of 16 pixels in 1280×720 are 8 samples high.
const LONGEST: usize = 640;
/// The side of a cell in samples: 16 pixels of 1280×720.
pub(super) const CELL: usize = 8;

/// A picture's luma, shrunk, and for each sample the darkest and brightest of the nine around it.
#[derive(Clone, Debug)]
pub(super) struct Sheet {
    thumb: Thumb,
    low: Vec<u8>,
    high: Vec<u8>,
    /// Pixels of the picture a sample, across and down.
    pub scale: (f32, f32),
}

impl Sheet {
    pub(super) fn of(luma: Plane<'_>) -> Self {
        let thumb = Thumb::within(luma, LONGEST);
        let (low, high) = ranges(&thumb);
        let scale =
            (luma.width as f32 / thumb.width as f32, luma.height as f32 / thumb.height as f32);
        Self { thumb, low, high, scale }
    }

    /// Samples a row, and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.thumb.width, self.thumb.height)
    }

    /// Cells a row, and rows of cells. The last of each lie within the sheet and overlap the ones
    /// before where the sides are no multiple of [`CELL`].
    pub(super) fn cells(&self) -> (usize, usize) {
        (self.thumb.width.div_ceil(CELL), self.thumb.height.div_ceil(CELL))
    }

    /// The first sample of a cell. The sheet must have room for one.
    pub(super) fn corner(&self, column: usize, row: usize) -> (usize, usize) {
        ((column * CELL).min(self.thumb.width - CELL), (row * CELL).min(self.thumb.height - CELL))
    }

    /// Whether it is large enough to hold text at all.
    pub(super) fn is_legible(&self) -> bool {
        self.thumb.width >= 2 * CELL && self.thumb.height >= 2 * CELL
    }

    /// All samples, row by row.
    pub(super) fn samples(&self) -> &[u8] {
        &self.thumb.data
    }

    pub(super) fn row(&self, y: usize) -> &[u8] {
        self.thumb.row(y)
    }

    /// Eight samples from `x` on.
    fn eight<'a>(&self, plane: &'a [u8], x: usize, y: usize) -> &'a [u8; CELL] {
        let at = y * self.thumb.width + x;
        plane[at..at + CELL].try_into().expect("eight samples")
    }

    /// The sum of absolute differences of a cell here, at `x`, `y`, to one of `other`, at `from`.
    pub(super) fn difference(&self, at: (usize, usize), other: &Self, from: (usize, usize)) -> u32 {
        let mut sum = 0;
        for row in 0..CELL {
            let a = self.eight(&self.thumb.data, at.0, at.1 + row);
            let b = other.eight(&other.thumb.data, from.0, from.1 + row);
            sum += a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>();
        }
        sum
    }

    /// By how much the samples of a cell lie outside of what was around them in `other`, in sum.
    /// Nothing, as long as a picture moved by whole samples and up to one more, was blurred or
    /// sharpened a little: what is left is what appeared.
    pub(super) fn excess(&self, at: (usize, usize), other: &Self, from: (usize, usize)) -> u32 {
        let mut sum = 0;
        for row in 0..CELL {
            let a = self.eight(&self.thumb.data, at.0, at.1 + row);
            let low = other.eight(&other.low, from.0, from.1 + row);
            let high = other.eight(&other.high, from.0, from.1 + row);
            for ((a, low), high) in a.iter().zip(low).zip(high) {
                sum += u32::from(a.saturating_sub(*high) + low.saturating_sub(*a));
            }
        }
        sum
    }

    /// A rectangle of the picture in samples.
    pub(super) fn to_samples(&self, rect: &Rect) -> Rect {
        let (x, y) = self.scale;
        Rect::new(rect.x / x, rect.y / y, rect.w / x, rect.h / y)
    }

    /// The part of the picture that a cell shows, in pixels.
    pub(super) fn cell(&self, column: usize, row: usize) -> Rect {
        let (x, y) = self.corner(column, row);
        let (sx, sy) = self.scale;
        Rect::new(x as f32 * sx, y as f32 * sy, CELL as f32 * sx, CELL as f32 * sy)
    }

    /// The cells that a rectangle of the picture touches: columns and rows.
    pub(super) fn touched(&self, rect: &Rect) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let (columns, rows) = self.cells();
        let rect = self.to_samples(rect);
        let cell = CELL as f32;
        let from = |v: f32| (v / cell).floor().max(0.0) as usize;
        let to = |v: f32, most: usize| ((v / cell).ceil().max(0.0) as usize).min(most);
        (
            from(rect.x).min(columns)..to(rect.right(), columns),
            from(rect.y).min(rows)..to(rect.bottom(), rows),
        )
    }
}

/// The darkest and the brightest of each sample and its neighbours: across, then down.
fn ranges(thumb: &Thumb) -> (Vec<u8>, Vec<u8>) {
    let (width, height) = (thumb.width, thumb.height);
    let (mut low, mut high) = (thumb.data.clone(), thumb.data.clone());
    for y in 0..height {
        let from = thumb.row(y);
        let (low, high) = (&mut low[y * width..][..width], &mut high[y * width..][..width]);
        let windows = low.iter_mut().zip(&mut *high).skip(1).zip(from.windows(3));
        for ((low, high), three) in windows {
            *low = three[0].min(three[1]).min(three[2]);
            *high = three[0].max(three[1]).max(three[2]);
        }
        if width > 1 {
            let ends = [(0, 1), (width - 1, width - 2)];
            for (end, next) in ends {
                low[end] = from[end].min(from[next]);
                high[end] = from[end].max(from[next]);
            }
        }
    }
    (spread(&low, width, u8::min), spread(&high, width, u8::max))
}

/// Each row joined with the ones above and below.
fn spread(rows: &[u8], width: usize, join: impl Fn(u8, u8) -> u8) -> Vec<u8> {
    let mut joined = rows.to_vec();
    let mut take = |to: std::ops::Range<usize>, from: &[u8]| {
        for (to, from) in joined[to].iter_mut().zip(from) {
            *to = join(*to, *from);
        }
    };
    for start in (0..rows.len()).step_by(width) {
        if start > 0 {
            take(start..start + width, &rows[start - width..start]);
        }
        if start + width < rows.len() {
            take(start..start + width, &rows[start + width..start + 2 * width]);
        }
    }
    joined
}
