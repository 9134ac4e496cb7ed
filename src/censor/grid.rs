//! The few numbers of a region that outlive its covering: the mean of each cell of a coarse grid,
//! rounded. Both pixelation and blur are drawn from them alone.

use crate::media::PlaneMut;

/// Means are rounded to multiples of this, so that many frames of a moving region do not add up
/// to a finer picture. 256 / 8 steps still look smooth.
const STEP: u32 = 8;

/// A rectangle of one plane, in samples.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Span {
    /// Samples `left..right` of row `y` of the span.
    pub(super) fn row<'a>(&self, plane: &'a mut PlaneMut<'_>, y: usize) -> &'a mut [u8] {
        &mut plane.row_mut(self.top + y)[self.left..self.left + self.width]
    }
}

/// Rounded means of the cells of a span.
#[derive(Debug)]
pub(super) struct Grid {
    /// Cells side by side.
    pub(super) columns: usize,
    means: Vec<u8>,
}

impl Grid {
    /// The means over `columns` × `rows` cells; both are at most the span's samples.
    pub(super) fn of(plane: &mut PlaneMut<'_>, span: &Span, columns: usize, rows: usize) -> Self {
        let mut means = Vec::with_capacity(columns * rows);
        let mut sums = vec![0_u32; columns];
        for row in 0..rows {
            sums.fill(0);
            let (top, bottom) = (edge(row, rows, span.height), edge(row + 1, rows, span.height));
            for y in top..bottom {
                let samples = span.row(plane, y);
                for (column, sum) in sums.iter_mut().enumerate() {
                    let (left, right) =
                        (edge(column, columns, span.width), edge(column + 1, columns, span.width));
                    *sum += samples[left..right].iter().map(|&v| u32::from(v)).sum::<u32>();
                }
            }
            means.extend(sums.iter().enumerate().map(|(column, sum)| {
                let width =
                    edge(column + 1, columns, span.width) - edge(column, columns, span.width);
                rounded(*sum, (width * (bottom - top)) as u32)
            }));
        }
        Self { columns, means }
    }

    /// The means of row `row` of cells.
    pub(super) fn row(&self, row: usize) -> &[u8] {
        &self.means[row * self.columns..(row + 1) * self.columns]
    }
}

/// Where cell `index` of `count` begins on a side of `length` samples.
pub(super) fn edge(index: usize, count: usize, length: usize) -> usize {
    index * length / count
}

fn rounded(sum: u32, count: u32) -> u8 {
    let mean = (sum + count / 2) / count;
    ((mean + STEP / 2) / STEP * STEP).min(255) as u8
}
