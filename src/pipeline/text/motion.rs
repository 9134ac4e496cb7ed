//! Where each part of a picture was in the one before: block matching, and what it leaves over.
//!
//! Blocks take over the motion of their neighbours, of the picture as a whole, and what they had
//! before, and descend from the best of these (predictive search, as video encoders do it: Tourapis,
//! "Enhanced predictive zonal search", 2002). A block that nothing in the picture before explains is
//! new. Pure.

use super::sheet::{CELL, Sheet};
use crate::media::{Plane, thumb::Thumb};

/// Farthest that a block is looked for, in samples: 190 pixels of 1280×720 from one look to the
/// next.
const FARTHEST: i32 = 96;
/// A block differs by no more than this from its like, noise and coding aside: a search ends there.
const ALIKE: u32 = 2 * (CELL * CELL) as u32;
/// Least excess of a new block. A letter of 16 pixels leaves 300 and more at a contrast of 60.
const NEW: u32 = 3 * (CELL * CELL) as u32 / 2;
/// Steps that a descent may take.
pub(super) const STEPS: usize = 12;
/// Share of new blocks, in percent, from which the motion of the whole picture is searched for.
const LOST: usize = 15;
/// The longest side of the picture that this search runs on, and how far it goes.
const COARSE: usize = 160;
const COARSE_REACH: i32 = 24;

/// Where a cell came from, in samples relative to where it is.
pub(super) type Step = (i32, i32);

/// The cells of a sheet and where they came from.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub columns: usize,
    /// For each cell, row by row.
    pub from: Vec<Step>,
    /// Cells that are not explained by the picture before.
    pub new: Vec<bool>,
    /// What most cells did.
    pub common: Step,
}

impl Field {
    /// A sheet of which nothing is known.
    pub(super) fn unknown(sheet: &Sheet) -> Self {
        let (columns, rows) = sheet.cells();
        let cells = columns * rows;
        Self { columns, from: vec![(0, 0); cells], new: vec![true; cells], common: (0, 0) }
    }

    /// How `now` came of `before`. `last` is the field that led to `before`, and how many times
    /// longer this step took than that one. Sheets of two sizes have nothing in common.
    pub(super) fn between(now: &Sheet, before: &Sheet, last: Option<(&Self, f32)>) -> Self {
        if now.size() != before.size() {
            return Self::unknown(now);
        }
        let field = Self::search(now, before, last, None);
        let new = field.new.iter().filter(|new| **new).count();
        if new * 100 < field.new.len() * LOST {
            return field;
        }
        let whole = whole(now, before);
        let again = Self::search(now, before, last, Some(whole));
        let newer = again.new.iter().filter(|new| **new).count();
        if newer < new { again } else { field }
    }

    fn search(
        now: &Sheet,
        before: &Sheet,
        last: Option<(&Self, f32)>,
        whole: Option<Step>,
    ) -> Self {
        let (columns, rows) = now.cells();
        let mut field = Self::unknown(now);
        let scaled = |(dx, dy): Step, by: f32| {
            ((dx as f32 * by).round() as i32, (dy as f32 * by).round() as i32)
        };
        let common = last.map_or((0, 0), |(last, by)| scaled(last.common, by));
        for row in 0..rows {
            for column in 0..columns {
                let i = row * columns + column;
                let own = last.and_then(|(last, by)| Some(scaled(*last.from.get(i)?, by)));
                let seeds = [
                    Some(common),
                    (column > 0).then(|| field.from[i - 1]),
                    (row > 0).then(|| field.from[i - columns]),
                    own,
                    Some((0, 0)),
                    whole,
                ];
                let at = now.corner(column, row);
                let (from, found) = best(now, before, at, &seeds);
                field.from[i] = from;
                field.new[i] = !found;
            }
        }
        field.common = mode(&field);
        // What a descent lost its way with may still have moved as most did.
        for i in 0..field.new.len() {
            let at = now.corner(i % columns, i / columns);
            if field.new[i]
                && let Some(from) = source(at, field.common, before)
                && now.excess(at, before, from) < NEW
            {
                (field.from[i], field.new[i]) = (field.common, false);
            }
        }
        field
    }
}

/// Where a cell came from, and whether that explains it.
fn best(now: &Sheet, before: &Sheet, at: (usize, usize), seeds: &[Option<Step>]) -> (Step, bool) {
    let (mut step, mut least) = ((0, 0), u32::MAX);
    let mut tried = [None; 8];
    for (n, seed) in seeds.iter().enumerate() {
        let Some(seed) = *seed else { continue };
        if tried.contains(&Some(seed)) {
            continue;
        }
        tried[n] = Some(seed);
        let Some(from) = source(at, seed, before) else { continue };
        let difference = now.difference(at, before, from);
        if difference < least {
            (step, least) = (seed, difference);
        }
        if least <= ALIKE {
            return (step, true);
        }
    }
    for _ in 0..STEPS {
        let start = step;
        for (dx, dy) in [(-1, 0), (1, 0), (0, -1), (0, 1)] {
            let next = (start.0 + dx, start.1 + dy);
            let Some(from) = source(at, next, before) else { continue };
            let difference = now.difference(at, before, from);
            if difference < least {
                (step, least) = (next, difference);
            }
        }
        if step == start || least <= ALIKE {
            break;
        }
    }
    let explained = source(at, step, before).is_some_and(|from| now.excess(at, before, from) < NEW);
    (step, explained)
}

/// The first sample of a cell's source; `None` outside of the sheet or too far.
fn source(at: (usize, usize), step: Step, before: &Sheet) -> Option<(usize, usize)> {
    if step.0.abs() > FARTHEST || step.1.abs() > FARTHEST {
        return None;
    }
    let (width, height) = before.size();
    let x = usize::try_from(at.0 as i32 + step.0).ok().filter(|x| x + CELL <= width)?;
    let y = usize::try_from(at.1 as i32 + step.1).ok().filter(|y| y + CELL <= height)?;
    Some((x, y))
}

/// What most of the explained cells did.
fn mode(field: &Field) -> Step {
    let known = field.from.iter().zip(&field.new).filter(|(_, new)| !**new);
    let mut steps: Vec<Step> = known.map(|(from, _)| *from).collect();
    steps.sort_unstable();
    let runs = steps.chunk_by(|a, b| a == b);
    runs.max_by_key(|run| run.len()).map_or((0, 0), |run| run[0])
}

/// Where the whole picture came from: full search on small pictures, their middles compared.
fn whole(now: &Sheet, before: &Sheet) -> Step {
    let (small, other) = (coarse(now), coarse(before));
    let factor = now.size().0 as f32 / small.width as f32;
    let reach = |side: usize| COARSE_REACH.min(side as i32 / 4);
    let (reach_x, reach_y) = (reach(small.width), reach(small.height));
    let (mut best, mut least) = ((0, 0), u32::MAX);
    let (left, right) = (reach_x as usize, small.width - reach_x as usize);
    for dy in -reach_y..=reach_y {
        for dx in -reach_x..=reach_x {
            let mut sum = 0;
            for y in (reach_y as usize..small.height - reach_y as usize).step_by(2) {
                let a = &small.row(y)[left..right];
                let b = &other.row((y as i32 + dy) as usize)
                    [(left as i32 + dx) as usize..(right as i32 + dx) as usize];
                sum += sum_of_differences(a, b);
                if sum >= least {
                    break;
                }
            }
            if sum < least {
                (best, least) = ((dx, dy), sum);
            }
        }
    }
    ((best.0 as f32 * factor) as i32, (best.1 as f32 * factor) as i32)
}

fn coarse(sheet: &Sheet) -> Thumb {
    let (width, height) = sheet.size();
    let data = sheet.samples();
    Thumb::within(Plane { data, stride: width, width, height }, COARSE)
}

/// The sum of absolute differences of two rows.
pub(super) fn sum_of_differences(a: &[u8], b: &[u8]) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
}
