//! What changed in the picture: cuts, motion, and things that came and went.
//!
//! Pure functions over small grids of block means, a few hundred numbers a frame. The gate
//! proposes which frames are worth a look; the [guard](super::guard) decides.

use crate::media::Rect;

/// Mean luma of the blocks of a thumbnail, row by row, and how much each differs from the frame
/// before.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grid {
    /// Blocks a row.
    pub cols: usize,
    /// Rows of blocks.
    pub rows: usize,
    /// Mean luma of each block, 0 to 255.
    pub mean: Vec<u8>,
    /// Mean absolute luma difference of each block to the frame before, 0 to 255.
    pub change: Vec<u8>,
    /// Blocks that keep changing: see [`Activity`]. Empty: none is known to.
    pub lively: Vec<bool>,
}

/// Which blocks keep changing: a clock, a ticker, an equaliser. What is new in them is no news.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activity {
    /// For each block and each of the last 32 frames, whether it changed; the newest lowest.
    history: Vec<u32>,
}

/// Changes in 32 frames that make a block lively: about eight a second. What comes and goes within
/// the time between two looks makes two.
const LIVELY: u32 = 8;

impl Activity {
    /// Takes a frame's changes in, and says in `grid` which of its blocks are lively.
    pub(crate) fn follow(&mut self, grid: &mut Grid) {
        if self.history.len() != grid.change.len() {
            self.history = vec![0; grid.change.len()];
        }
        let blocks = self.history.iter_mut().zip(&grid.change);
        let lively = blocks.map(|(history, change)| {
            *history = *history << 1 | u32::from(*change >= BLOCK_DIFFERS);
            history.count_ones() >= LIVELY
        });
        grid.lively = lively.collect();
    }
}

/// What one frame is to the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// The start of a shot: nothing may be carried across.
    pub cut: bool,
    /// Something moved, beyond sensor noise.
    pub moving: bool,
}

/// A block has changed beyond recognition when its samples differ by this much on average:
/// about the contrast of ordinary texture, so a pan of some pixels stays below.
const BLOCK_CUT: u8 = 14;
/// The share of such blocks that makes a cut, in percent.
const CUT_PERCENT: usize = 55;
/// Sensor noise and coding noise stay under this mean absolute difference.
const BLOCK_MOTION: u8 = 3;
/// A block's mean differs for real from another frame's: well over noise and coding error.
const BLOCK_DIFFERS: u8 = 10;
/// Blocks that an object needs to be worth covering; 4 blocks of 32 × 32 pixels at 720p.
const OBJECT_BLOCKS: usize = 4;

/// An area has changed at once, as when something appears or vanishes in it, when its samples
/// differ by this much on average from one frame to the next. Measured on faces before texture:
/// 32 to 74 when they pop up or go; up to 19 when they grow, up to 26 when they walk.
const JUMP: u32 = 28;

/// Compares a frame with the one before. `None` before the first: a shot starts there.
pub(crate) fn compare(grid: &Grid, before: Option<&Grid>) -> Change {
    let same_shape = before.is_some_and(|b| (b.cols, b.rows) == (grid.cols, grid.rows));
    if !same_shape || grid.change.len() != grid.mean.len() {
        return Change { cut: true, moving: true };
    }
    let changed = grid.change.iter().filter(|c| **c >= BLOCK_CUT).count();
    Change {
        cut: changed * 100 >= grid.mean.len() * CUT_PERCENT,
        moving: grid.change.iter().any(|c| *c >= BLOCK_MOTION),
    }
}

/// The areas in which `n` differs from both `a` and `b` while those resemble each other: things
/// that came and went in between. In shares of the picture, 0 to 1; only those of an object's
/// size, and none where the picture keeps changing. Frames that cannot be compared are strange all over.
pub(crate) fn transients(a: &Grid, n: &Grid, b: &Grid) -> Vec<Rect> {
    let shape = (n.cols, n.rows);
    if (a.cols, a.rows) != shape || (b.cols, b.rows) != shape {
        return vec![Rect::new(0.0, 0.0, 1.0, 1.0)];
    }
    let differs = |(i, value): (usize, &u8)| {
        let lively = n.lively.get(i).is_some_and(|lively| *lively);
        !lively
            && value.abs_diff(a.mean[i]) >= BLOCK_DIFFERS
            && value.abs_diff(b.mean[i]) >= BLOCK_DIFFERS
            && a.mean[i].abs_diff(b.mean[i]) < BLOCK_DIFFERS
    };
    patches(n.mean.iter().enumerate().map(differs).collect(), n.cols, n.rows)
}

/// The areas of the odd blocks that hang together, where they are as many as an object has.
fn patches(mut odd: Vec<bool>, cols: usize, rows: usize) -> Vec<Rect> {
    let mut areas = Vec::new();
    for start in 0..odd.len() {
        let patch = take_patch(&mut odd, start, cols);
        if patch.blocks >= OBJECT_BLOCKS {
            areas.push(patch.area(cols, rows));
        }
    }
    areas
}

/// Neighbouring blocks: how many, and the columns and rows they span.
struct Patch {
    blocks: usize,
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

impl Patch {
    /// In shares of the picture, with one block more on each side: an object seldom ends on a
    /// block's edge.
    fn area(&self, cols: usize, rows: usize) -> Rect {
        let (cols, rows) = (cols as f32, rows as f32);
        Rect::new(
            (self.left as f32 - 1.0) / cols,
            (self.top as f32 - 1.0) / rows,
            (self.right - self.left + 3) as f32 / cols,
            (self.bottom - self.top + 3) as f32 / rows,
        )
        .intersect(&Rect::new(0.0, 0.0, 1.0, 1.0))
    }
}

/// Takes the odd blocks that hang together with the one at `start` (flood fill, 8 neighbours).
fn take_patch(odd: &mut [bool], start: usize, cols: usize) -> Patch {
    let (x, y) = (start % cols, start / cols);
    let mut patch = Patch { blocks: 0, left: x, top: y, right: x, bottom: y };
    let mut open = vec![start];
    while let Some(at) = open.pop() {
        if !std::mem::take(&mut odd[at]) {
            continue;
        }
        let (x, y) = (at % cols, at / cols);
        patch.blocks += 1;
        (patch.left, patch.right) = (patch.left.min(x), patch.right.max(x));
        (patch.top, patch.bottom) = (patch.top.min(y), patch.bottom.max(y));
        for y in y.saturating_sub(1)..=(y + 1).min(odd.len() / cols - 1) {
            for x in x.saturating_sub(1)..=(x + 1).min(cols - 1) {
                if odd[y * cols + x] {
                    open.push(y * cols + x);
                }
            }
        }
    }
    patch
}

/// Whether a frame shows the picture of an earlier one, sensor and coding noise aside: no block has
/// moved since the frame before it, and none has drifted away from the `original`.
pub(crate) fn shows_the_same(grid: &Grid, original: &Grid) -> bool {
    (grid.cols, grid.rows) == (original.cols, original.rows)
        && grid.change.iter().all(|change| *change < BLOCK_MOTION)
        && grid.mean.iter().zip(&original.mean).all(|(a, b)| a.abs_diff(*b) < BLOCK_MOTION)
}

/// The areas, of an object's size and larger, in which something appeared at once: where blocks
/// changed as they do when what they show is replaced, and do not keep changing. In shares of the
/// picture, 0 to 1.
pub(crate) fn news(grid: &Grid) -> Vec<Rect> {
    let replaced = |(i, change): (usize, &u8)| {
        let lively = grid.lively.get(i).is_some_and(|lively| *lively);
        !lively && u32::from(*change) >= JUMP
    };
    patches(grid.change.iter().enumerate().map(replaced).collect(), grid.cols, grid.rows)
}

/// Whether `area` (in shares of the picture, 0 to 1) changed at once from the frame before to this
/// one. An area too small to tell has not.
pub(crate) fn jumps(grid: &Grid, area: &Rect) -> bool {
    let (mut sum, mut blocks) = (0, 0);
    for (i, change) in grid.change.iter().enumerate() {
        let x = ((i % grid.cols) as f32 + 0.5) / grid.cols as f32;
        let y = ((i / grid.cols) as f32 + 0.5) / grid.rows as f32;
        if (area.x..area.right()).contains(&x) && (area.y..area.bottom()).contains(&y) {
            sum += u32::from(*change);
            blocks += 1;
        }
    }
    sum > 0 && sum >= JUMP * blocks
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn flat(value: u8) -> Grid {
        let (mean, change) = (vec![value; 920], vec![0; 920]);
        Grid { cols: 40, rows: 23, mean, change, lively: Vec::new() }
    }

    fn spot(value: u8, size: usize) -> Grid {
        let mut grid = flat(100);
        for y in 5..5 + size {
            for x in 10..10 + size {
                grid.mean[y * 40 + x] = value;
            }
        }
        grid
    }

    #[test]
    fn the_first_frame_and_a_new_size_start_a_shot() {
        assert!(compare(&flat(10), None).cut);
        let small = Grid { cols: 2, rows: 1, ..flat(10) };
        assert!(compare(&flat(10), Some(&small)).cut);
    }

    #[test]
    fn noise_is_still_and_a_new_picture_is_a_cut() {
        let mut noisy = flat(100);
        noisy.change.fill(2);
        assert_eq!(compare(&noisy, Some(&flat(100))), Change::default());
        noisy.change[7] = 20;
        assert_eq!(compare(&noisy, Some(&flat(100))), Change { cut: false, moving: true });
        noisy.change[..600].fill(40);
        assert!(compare(&noisy, Some(&flat(100))).cut);
    }

    #[test]
    fn what_came_and_went_is_found_with_a_margin_each_on_its_own() {
        let mut two = spot(160, 3);
        for i in [30, 31, 70, 71] {
            two.mean[16 * 40 + i] = 30;
        }
        let areas = transients(&flat(100), &two, &flat(100));
        let objects = [
            Rect::new(10.0 / 40.0, 5.0 / 23.0, 3.0 / 40.0, 3.0 / 23.0),
            Rect::new(30.0 / 40.0, 16.0 / 23.0, 2.0 / 40.0, 2.0 / 23.0),
        ];
        assert_eq!(areas.len(), 2, "{areas:?}");
        for (area, object) in areas.iter().zip(objects) {
            assert!(area.intersect(&object).area() >= object.area() * 0.999);
            assert!(area.area() < 0.05);
        }
    }

    #[test]
    fn what_stays_or_is_tiny_is_no_transient() {
        let none: [Rect; 0] = [];
        assert_eq!(transients(&flat(100), &spot(160, 3), &spot(160, 3)), none);
        assert_eq!(transients(&spot(160, 3), &spot(160, 3), &flat(100)), none);
        assert_eq!(transients(&flat(100), &spot(160, 1), &flat(100)), none);
        assert_eq!(transients(&flat(100), &flat(100), &flat(100)), none);
    }

    #[test]
    fn what_keeps_changing_is_no_transient_and_what_comes_and_goes_is() {
        let (mut busy, mut quiet) = (Activity::default(), Activity::default());
        let frame = |activity: &mut Activity, changed: bool| {
            let mut grid = spot(160, 3);
            if changed {
                grid.change =
                    spot(160, 3).mean.iter().map(|m| if *m == 160 { 40 } else { 0 }).collect();
            }
            activity.follow(&mut grid);
            grid
        };
        for n in 0..32 {
            let (ticker, popped) = (frame(&mut busy, n % 3 == 0), frame(&mut quiet, n > 29));
            if n == 31 {
                assert!(transients(&flat(100), &ticker, &flat(100)).is_empty());
                assert_eq!(transients(&flat(100), &popped, &flat(100)).len(), 1);
            }
        }
    }

    #[test]
    fn an_area_jumps_when_something_appears_in_it() {
        let area = Rect::new(9.0 / 40.0, 4.0 / 23.0, 5.0 / 40.0, 5.0 / 23.0);
        let mut grid = flat(100);
        assert!(!jumps(&grid, &area));
        grid.change.fill(9);
        assert!(!jumps(&grid, &area), "it only moves");
        for y in 4..9 {
            grid.change[y * 40 + 9..y * 40 + 14].fill(35);
        }
        assert!(jumps(&grid, &area));
        assert!(!jumps(&grid, &Rect::new(0.5, 0.5, 0.2, 0.2)));
        assert!(!jumps(&grid, &Rect::new(0.24, 0.2, 0.001, 0.001)), "too small to tell");
    }

    #[test]
    fn grids_of_different_shape_explain_nothing() {
        let small = Grid { cols: 2, rows: 1, ..flat(10) };
        assert_eq!(transients(&small, &flat(1), &flat(1)), [Rect::new(0.0, 0.0, 1.0, 1.0)]);
    }
}
