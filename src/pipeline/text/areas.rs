//! Which areas are searched for text: few, whole lines in each, no larger than needed. Pure.

use super::cells::Cells;
use super::sheet::Sheet;
use crate::media::Rect;

/// Most areas of one look. More are joined: a search has a price of its own.
const MOST: usize = 4;
/// Model pixels of a side are a multiple of this.
const STRIDE: f32 = 32.0;
/// Sides that areas have at least, in model pixels: less gives a search no context.
const LEAST: f32 = 64.0;
/// Open cells this far apart belong together, across and down: letters and words of a line.
const GAP: (usize, usize) = (3, 1);
/// Two areas that overlap become one when that is no larger than this many times both.
const JOIN: f32 = 1.1;
/// What is open and higher than so many times a known line is not its end.
const TALL: f32 = 3.0;
/// Open cells of a patch in a hundred cells of its bounds, below which it is cut in two.
const SPARSE: usize = 20;
/// Cells that a patch has at least to be cut.
const LARGE: usize = 48;
/// Cells by which an area is larger than what is open in it, on each side.
const MARGIN: usize = 2;
/// Neighbouring open cells that make a word of three letters at 16 pixels. Fewer wait for company
/// or the next round of searches.
const WORD: usize = 2;

/// What is searched at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    /// In pixels of the picture.
    pub rect: Rect,
    /// What of it may be text that nobody has searched for, in pixels.
    pub open: Rect,
}

/// A line of text that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Near {
    /// In pixels of the picture.
    pub rect: Rect,
    /// It was read, and has not changed since.
    pub known: bool,
}

impl Near {
    /// Whether an area that is searched for what is `open` must hold all of it. A known line only
    /// if it may go on there: of one that is merely beside it, a part does no harm.
    fn belongs(&self, area: &Area) -> bool {
        let Rect { h, .. } = self.rect;
        let goes_on =
            || area.open.h <= TALL * h && self.rect.grow(h, 0.0).intersect(&area.open).area() > 0.0;
        self.rect.intersect(&area.rect).area() > 0.0 && (!self.known || goes_on())
    }
}

/// The areas that hold all open cells, each whole with every one of `lines` that is not known or
/// may go on in it. `model` is how many model pixels a pixel of the picture becomes.
pub(super) fn areas(cells: &Cells, sheet: &Sheet, lines: &[Near], model: f32) -> Vec<Area> {
    let picture = whole(sheet);
    let margin = sheet.cell(0, 0);
    let (dx, dy) = (margin.w * MARGIN as f32, margin.h * MARGIN as f32);
    let mut areas: Vec<Area> = Vec::new();
    for open in patches(cells, sheet) {
        let area = Area { rect: open.grow(dx, dy), open };
        areas.push(Area { rect: grown(area, lines).intersect(&picture), open });
        join_touching(&mut areas);
    }
    for area in &mut areas {
        area.rect = grown(*area, lines).intersect(&picture);
    }
    join_touching(&mut areas);
    while areas.len() > MOST {
        join_nearest(&mut areas);
        join_touching(&mut areas);
    }
    let fit = |areas: &mut Vec<Area>| {
        areas.iter_mut().for_each(|area| area.rect = fitted(&area.rect, &picture, model));
    };
    fit(&mut areas);
    join_touching(&mut areas);
    fit(&mut areas);
    let sum: f32 = areas.iter().map(|area| area.rect.area()).sum();
    if sum >= picture.area() {
        let open = areas.iter().map(|area| area.open).reduce(|a, b| a.union(&b));
        return open.map(|open| Area { rect: picture, open }).into_iter().collect();
    }
    areas
}

/// The whole picture.
pub(super) fn whole(sheet: &Sheet) -> Rect {
    let (width, height) = sheet.size();
    Rect::new(0.0, 0.0, width as f32 * sheet.scale.0, height as f32 * sheet.scale.1)
}

/// `rect` with sides that the model takes, within the picture.
pub(super) fn fitted(rect: &Rect, picture: &Rect, model: f32) -> Rect {
    let side = |length: f32, most: f32| {
        let model_side = (length * model / STRIDE).ceil() * STRIDE;
        (model_side.max(LEAST) / model).min(most)
    };
    let (w, h) = (side(rect.w, picture.w), side(rect.h, picture.h));
    let (x, y) = rect.centre();
    let start = |centre: f32, side: f32, most: f32| (centre - side / 2.0).clamp(0.0, most - side);
    Rect::new(start(x, w, picture.w), start(y, h, picture.h), w, h)
}

/// The rectangle of an area with all lines whole that belong to it.
fn grown(mut area: Area, lines: &[Near]) -> Rect {
    // A line taken in may touch the next; each round takes one in at least.
    for _ in 0..lines.len() {
        let belong = lines.iter().filter(|line| line.belongs(&area)).map(|line| line.rect);
        let all =
            belong.fold(area.rect, |all, line| all.union(&line.grow(line.h / 2.0, line.h / 4.0)));
        if all == area.rect {
            break;
        }
        area.rect = all;
    }
    area.rect
}

fn joined(a: &Area, b: &Area) -> Area {
    Area { rect: a.rect.union(&b.rect), open: a.open.union(&b.open) }
}

/// Joins areas that overlap, where one search costs little more than two.
fn join_touching(areas: &mut Vec<Area>) {
    let worth = |a: &Area, b: &Area| {
        let both = a.rect.union(&b.rect).area();
        a.rect.intersect(&b.rect).area() > 0.0 && both <= JOIN * (a.rect.area() + b.rect.area())
    };
    let mut i = 0;
    while i < areas.len() {
        let other = (i + 1..areas.len()).find(|j| worth(&areas[i], &areas[*j]));
        match other {
            Some(j) => {
                areas[i] = joined(&areas[i], &areas[j]);
                areas.swap_remove(j);
                i = 0;
            }
            None => i += 1,
        }
    }
}

/// Joins the two areas that grow least by it.
fn join_nearest(areas: &mut Vec<Area>) {
    let mut best: Option<(usize, usize, f32)> = None;
    for i in 0..areas.len() {
        for j in i + 1..areas.len() {
            let (a, b) = (&areas[i].rect, &areas[j].rect);
            let growth = a.union(b).area() - a.area() - b.area();
            if best.is_none_or(|(_, _, least)| growth < least) {
                best = Some((i, j, growth));
            }
        }
    }
    if let Some((i, j, _)) = best {
        areas[i] = joined(&areas[i], &areas[j]);
        areas.swap_remove(j);
    }
}

/// The bounds of the open cells that hang together, in pixels.
pub(super) fn patches(cells: &Cells, sheet: &Sheet) -> Vec<Rect> {
    let (columns, rows) = cells.size();
    let mut open: Vec<bool> =
        (0..columns * rows).map(|i| cells.is_open(i % columns, i / columns)).collect();
    let mut patches = Vec::new();
    for start in 0..open.len() {
        let patch = take_patch(&mut open, start, columns);
        if patch.len() >= WORD {
            pieces(&patch, &mut |(left, top, right, bottom)| {
                patches.push(sheet.cell(left, top).union(&sheet.cell(right, bottom)));
            });
        }
    }
    patches
}

/// Takes the open cells that hang together with the one at `start`: columns and rows.
fn take_patch(open: &mut [bool], start: usize, columns: usize) -> Vec<(usize, usize)> {
    let rows = open.len() / columns;
    let (mut waiting, mut patch) = (vec![start], Vec::new());
    while let Some(at) = waiting.pop() {
        if !std::mem::take(&mut open[at]) {
            continue;
        }
        let (x, y) = (at % columns, at / columns);
        patch.push((x, y));
        for row in y.saturating_sub(GAP.1)..=(y + GAP.1).min(rows - 1) {
            for column in x.saturating_sub(GAP.0)..=(x + GAP.0).min(columns - 1) {
                if open[row * columns + column] {
                    waiting.push(row * columns + column);
                }
            }
        }
    }
    patch
}

/// First and last column and row of a patch, or of its parts where most of that would be nothing:
/// left, top, right, bottom.
fn pieces(patch: &[(usize, usize)], to: &mut impl FnMut((usize, usize, usize, usize))) {
    let Some(&first) = patch.first() else { return };
    let start = (first.0, first.1, first.0, first.1);
    let (left, top, right, bottom) =
        patch.iter().fold(start, |(l, t, r, b), &(x, y)| (l.min(x), t.min(y), r.max(x), b.max(y)));
    let (width, height) = (right - left + 1, bottom - top + 1);
    if width * height < LARGE || patch.len() * 100 >= width * height * SPARSE {
        return to((left, top, right, bottom));
    }
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for &(x, y) in patch {
        let first = if width > height { x < left + width / 2 } else { y < top + height / 2 };
        if first { here.push((x, y)) } else { there.push((x, y)) }
    }
    pieces(&here, to);
    pieces(&there, to);
}
