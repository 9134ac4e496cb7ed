//! All that is known of the text in a stream's picture, from look to look. Pure: searches and
//! readings are asked for and handed in by the stage.

use super::areas::{self, Area, Near};
use super::cells::Cells;
use super::geometry::{bounds, height};
use super::lines::{Line, Lines};
use super::motion::Field;
use super::sheet::Sheet;
use super::stage::Rules;
use super::verdict::{self, Found};
use crate::detect::text::{self, Quad, Reading};
use crate::media::{Plane, Rect};

/// The longest side of a picture as the model sees it, whole.
const MODEL_SIDE: f32 = 640.0;
/// How long a part of the picture goes without a search, in seconds, though nothing in it is new;
/// longer where that would be more than [`BUDGET`].
const RESCAN: f64 = 2.0;
/// What is searched again at once, in cells: a twelfth of the picture.
const TILE: (usize, usize) = (20, 15);
/// Cells that a patch of faint ones has at least, and most that it is of a picture.
const FAINT_CELLS: f32 = 4.0;
const FAINT_SHARE: f32 = 0.25;
/// How much is searched that nobody waits for, in model pixels a second: a tile each half second.
/// What comes in meanwhile is searched at once.
const BUDGET: f64 = 6e4;
/// Tiles that are looked through for one that is worth a search.
const TILES: usize = 12;
/// A line nearer than this to an area's edge may be cut by it, in pixels.
const CUT: f32 = 4.0;
/// Share of something cut off by an area's edge that must lie within a known line to be a part of it.
const PART: f32 = 0.9;
/// Cells that could be text without which a changed line is gone.
const LETTERS: usize = 2;

/// What is known at the last look.
#[derive(Clone, Debug)]
struct Seen {
    sheet: Sheet,
    cells: Cells,
    field: Field,
    time: f64,
    /// From the look before, in seconds.
    took: f32,
}

/// A search that nobody waits for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Besides {
    /// Of something faint, which is to be made plain first.
    Faint(Area),
    /// Of what was searched long ago.
    Again(Area),
}

impl Besides {
    fn area(&self) -> &Area {
        match self {
            Self::Faint(area) | Self::Again(area) => area,
        }
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    seen: Option<Seen>,
    lines: Lines,
    /// Until when what nobody waits for is not searched, in seconds: the last of it was enough.
    rests: f64,
}

impl Page {
    /// Takes the picture of the next look, at `time` in seconds.
    pub(super) fn see(&mut self, luma: Plane<'_>, time: f64) {
        let sheet = Sheet::of(luma);
        if !sheet.is_legible() {
            *self = Self::default();
            return;
        }
        let before = self.seen.take().filter(|seen| seen.sheet.size() == sheet.size());
        let Some(before) = before else {
            self.lines = Lines::default();
            let (cells, field) = (Cells::unknown(&sheet, time), Field::unknown(&sheet));
            self.rests = f64::NEG_INFINITY;
            self.seen = Some(Seen { sheet, cells, field, time, took: 0.0 });
            return;
        };
        let took = (time - before.time).clamp(1e-3, 60.0) as f32;
        let last = (before.took > 0.0).then(|| (&before.field, (took / before.took).min(8.0)));
        let field = Field::between(&sheet, &before.sheet, last);
        let mut cells = before.cells;
        cells.follow(&sheet, &field, time);
        self.lines.follow((&sheet, &before.sheet), &field, luma, took);
        self.explain(&sheet, &mut cells, time);
        self.seen = Some(Seen { sheet, cells, field, time, took });
    }

    /// Known lines explain the cells they lie in; those of changed ones must be searched.
    fn explain(&mut self, sheet: &Sheet, cells: &mut Cells, time: f64) {
        for line in self.lines.iter().filter(|line| line.known) {
            let margin = height(&line.quad) / 4.0;
            cells.close(sheet, &bounds(&line.quad).grow(0.0, margin), time);
        }
        let changed = self.lines.iter().filter(|line| !line.known && !line.faint);
        let changed: Vec<_> = changed.map(|line| (line.id, bounds(&line.quad))).collect();
        for (id, rect) in changed {
            if cells.open(sheet, &rect) < LETTERS {
                self.lines.forget(id);
            }
        }
    }

    /// Model pixels a pixel of the picture becomes.
    pub(super) fn scale(&self) -> f32 {
        let Some(seen) = &self.seen else { return 1.0 };
        let Rect { w, h, .. } = areas::whole(&seen.sheet);
        (MODEL_SIDE / w.max(h)).min(1.0)
    }

    /// Where text may be that nobody has searched for. Known lines are searched with what is new
    /// beside them only when that is searched `again`, because they turned out to go on there.
    pub(super) fn searches(&self, again: bool) -> Vec<Area> {
        let Some(seen) = &self.seen else { return Vec::new() };
        let near = |line: &Line| Near { rect: bounds(&line.quad), known: line.known };
        let lines: Vec<Near> =
            self.lines.iter().map(near).filter(|line| again || !line.known).collect();
        areas::areas(&seen.cells, &seen.sheet, &lines, self.scale())
    }

    /// What is searched besides, with nobody waiting for it, within [`BUDGET`]: what is faint, and
    /// is to be made plain first; or what waited for long.
    pub(super) fn besides(&mut self) -> Option<Besides> {
        let seen = self.seen.as_ref().filter(|seen| seen.time >= self.rests)?;
        let time = seen.time;
        let late = seen.cells.oldest_tile(TILE, time).1 >= 2.0 * RESCAN;
        let faint = if late { None } else { self.faint().map(Besides::Faint) };
        let besides = faint.or_else(|| self.rescan().map(Besides::Again))?;
        let scale = f64::from(self.scale());
        self.rests = time + f64::from(besides.area().rect.area()) * scale * scale / BUDGET;
        Some(besides)
    }

    /// What is faint, and a search may have missed.
    fn faint(&mut self) -> Option<Area> {
        let scale = self.scale();
        let Seen { sheet, cells, .. } = self.seen.as_mut()?;
        let open = take_faint(cells, sheet)?;
        let (cell, picture) = (sheet.cell(0, 0), areas::whole(sheet));
        let rect = open.grow(2.0 * cell.w, 2.0 * cell.h).intersect(&picture);
        Some(Area { rect: areas::fitted(&rect, &picture, scale), open })
    }

    /// What of the picture could be text and was searched longest ago, when that is too long; no
    /// more than a tile. A tile in which nothing could be is as good as searched.
    fn rescan(&mut self) -> Option<Area> {
        let (scale, lines) = (self.scale(), &self.lines);
        let Seen { sheet, cells, time, .. } = self.seen.as_mut()?;
        let known: Vec<Rect> = lines.iter().filter(|line| line.known).map(plate).collect();
        let picture = areas::whole(sheet);
        for _ in 0..TILES {
            let (tile, age) = cells.oldest_tile(TILE, *time);
            if age < RESCAN {
                return None;
            }
            cells.put_off(tile, TILE, *time);
            if let Some(open) = cells.could_be_text_in(sheet, tile, TILE, &known) {
                let cell = sheet.cell(0, 0);
                let rect = open.grow(2.0 * cell.w, 2.0 * cell.h).intersect(&picture);
                return Some(Area { rect: areas::fitted(&rect, &picture, scale), open });
            }
        }
        None
    }

    /// Takes what was found in an area. Lines cut by its edge wait for a search that has them
    /// whole, unless it was the `last`.
    pub(super) fn found(&mut self, area: &Area, found: Vec<text::Line>, last: bool) {
        let Some(seen) = &mut self.seen else { return };
        let picture = areas::whole(&seen.sheet);
        let known: Vec<Rect> = self.lines.iter().filter(|l| l.known).map(plate).collect();
        let is_part = |rect: &Rect| {
            known.iter().any(|known| known.intersect(rect).area() >= PART * rect.area())
        };
        let (cut, whole): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|line| !last && is_cut(&bounds(&line.quad), &area.rect, &picture));
        // What is cut off a known line says nothing of it.
        let cut = cut.into_iter().filter(|line| !is_part(&bounds(&line.quad)));
        seen.cells.search(&seen.sheet, &area.rect, seen.time);
        for line in cut {
            let (rect, height) = (bounds(&line.quad), height(&line.quad));
            seen.cells.open(&seen.sheet, &rect.grow(3.0 * height, height / 2.0));
        }
        self.lines.found(&area.rect, whole);
    }

    /// Takes what was found where the picture was made plainer.
    pub(super) fn found_faint(&mut self, found: Vec<text::Line>) {
        self.lines.found_faint(found);
    }

    /// The lines that have to be read.
    pub(super) fn unread(&self) -> Vec<(u64, Quad)> {
        self.lines.iter().filter(|line| !line.known).map(|line| (line.id, line.quad)).collect()
    }

    /// Takes what a line says, read from the picture of the last look.
    pub(super) fn read(&mut self, id: u64, reading: Reading, luma: Plane<'_>) {
        self.lines.read(id, reading, luma);
    }

    /// What is covered on the picture of the last look: what the rules forbid and, where they say
    /// so, all that nobody has searched or read, and words of which only a part is in the picture.
    pub(super) fn answer(&self, rules: &Rules) -> Vec<Found> {
        let mut found = verdict::forbidden(&self.lines, &*rules.judge, rules.whole_line);
        if let Some(seen) = self.seen.as_ref().filter(|_| rules.cover_unread) {
            let open = areas::patches(&seen.cells, &seen.sheet);
            let lines = self.lines.iter().filter(|line| !line.known).map(|l| bounds(&l.quad));
            let cut = verdict::cut_words(&self.lines, &*rules.cut_word, rules.whole_line);
            let rects = open.into_iter().chain(lines).chain(self.lines.crowd()).chain(cut);
            found.extend(rects.map(|rect| Found { rect, rule: None }));
        }
        found
    }
}

/// A line with some of what it stands on.
fn plate(line: &Line) -> Rect {
    let margin = height(&line.quad) / 4.0;
    bounds(&line.quad).grow(margin, margin)
}

/// Takes the largest patch of faint cells, if it may be a word. What is no word, or as large as a
/// picture, is forgotten.
fn take_faint(cells: &mut Cells, sheet: &Sheet) -> Option<Rect> {
    let (least, most) =
        (FAINT_CELLS * sheet.cell(0, 0).area(), FAINT_SHARE * areas::whole(sheet).area());
    let patches = areas::patches(&cells.faint(), sheet);
    let (fit, unfit): (Vec<_>, Vec<_>) =
        patches.into_iter().partition(|patch| (least..=most).contains(&patch.area()));
    let largest = fit.into_iter().max_by(|a, b| a.area().total_cmp(&b.area()));
    for patch in unfit.iter().chain(&largest) {
        cells.forget_faint(sheet, patch);
    }
    largest
}

/// Whether `rect` reaches an edge of `area` that is none of the picture's.
fn is_cut(rect: &Rect, area: &Rect, picture: &Rect) -> bool {
    let near = |a: f32, b: f32| (a - b).abs() <= CUT;
    (rect.x <= area.x + CUT && !near(area.x, picture.x))
        || (rect.y <= area.y + CUT && !near(area.y, picture.y))
        || (rect.right() >= area.right() - CUT && !near(area.right(), picture.right()))
        || (rect.bottom() >= area.bottom() - CUT && !near(area.bottom(), picture.bottom()))
}
