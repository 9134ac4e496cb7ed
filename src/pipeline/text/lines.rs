//! The lines of text that are known: where each is, what it says, and whether that still holds.
//!
//! A line is followed by its picture and checked by its print at every look; it is read once, and
//! again only when its print says that it is another text, when it has grown, or when the reading
//! was unsure and the line is larger now. Pure.

use super::geometry::{at, bounds, height, is_sound, length, moved, shifted};
use super::motion::Field;
use super::print::Print;
use super::sheet::Sheet;
use super::template::slide;
use crate::detect::text::{self, Point, Quad, Reading};
use crate::media::{Plane, Rect};
use crate::track::assign;

/// Most lines that are followed. What goes beyond is one area that nobody has read.
pub(super) const MOST: usize = 64;
/// Lines that are searched for far and wide in one look, when they are not where expected.
const SEARCHED: usize = 6;
/// Least overlap of a found line and a known one that may be the same.
const SAME_PLACE: f32 = 0.3;
/// Overlap from which they are, when their lengths agree too: up to this share of the height.
const SAME_LINE: f32 = 0.6;
const SAME_LENGTH: f32 = 0.8;
/// Share of what is found within a known line from which it is a part of it and nothing more.
const PART: f32 = 0.95;
/// Share of a line within another, or within an area, from which it counts as a part of it.
const WITHIN: f32 = 0.7;
/// A line nearer than this to the picture's edge is cut by it, in pixels.
const EDGE: f32 = 6.0;
/// A reading below this score is taken again when the line is larger by this factor.
const UNSURE: f32 = 0.7;
const LARGER: f32 = 1.25;
/// One below this score does not say where its letters are; it is taken again up to this often.
pub(super) const VAGUE: f32 = 0.6;
const READINGS: u32 = 3;

/// A line of text.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub id: u64,
    pub quad: Quad,
    /// What it says; of a changed line what it said.
    pub reading: Option<Reading>,
    /// Whether the reading is of what is seen now.
    pub known: bool,
    /// What was read looked like this.
    print: Option<Print>,
    /// Its height in pixels when it was read.
    read_at: f32,
    /// Pixels a second.
    speed: (f32, f32),
    /// How often it was read.
    readings: u32,
    /// Found where the picture was made plainer: no other search says that it is gone.
    pub faint: bool,
    /// Edges of the picture that cut it when it was read: left, top, right, bottom.
    cut: [bool; 4],
    /// Whether its beginning, or its end, lay at such an edge.
    pub starts_outside: bool,
    pub ends_outside: bool,
}

/// All lines of a picture.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    lines: Vec<Line>,
    next: u64,
    /// What was found beyond [`MOST`], until the next search there.
    crowd: Option<Rect>,
}

impl Lines {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter()
    }

    /// Where more lines are than are followed.
    pub(super) fn crowd(&self) -> Option<Rect> {
        self.crowd
    }

    /// Follows every line from one sheet to the next, `seconds` later. A line that is not what was
    /// read any more is no longer known; one that has left the picture is gone.
    pub(super) fn follow(
        &mut self,
        (now, before): (&Sheet, &Sheet),
        field: &Field,
        luma: Plane<'_>,
        seconds: f32,
    ) {
        let mut searched = 0;
        for line in &mut self.lines {
            let wide = searched < SEARCHED;
            searched += usize::from(!line.slide((now, before), field, seconds, wide));
        }
        self.lines.retain_mut(|line| line.check(luma));
    }

    /// Takes what was found in `area`, the lines that are cut by its edge aside.
    pub(super) fn found(&mut self, area: &Rect, found: Vec<text::Line>) {
        let found: Vec<Quad> = found.into_iter().map(|line| line.quad).filter(is_sound).collect();
        if self.crowd.is_some_and(|crowd| within(&crowd, area) >= WITHIN) {
            self.crowd = None;
        }
        let overlap = |line: usize, quad: usize| {
            let iou = bounds(&self.lines[line].quad).iou(&bounds(&found[quad]));
            (iou >= SAME_PLACE).then_some(1.0 - iou)
        };
        let pairs = assign(self.lines.len(), found.len(), overlap);
        let mut taken = vec![false; found.len()];
        let mut gone = Vec::new();
        for (line, pair) in self.lines.iter_mut().zip(pairs) {
            match pair {
                Some(quad) => {
                    taken[quad] = true;
                    line.see(found[quad]);
                }
                None if !line.known
                    && !line.faint
                    && within(&bounds(&line.quad), area) >= WITHIN =>
                {
                    gone.push(line.id);
                }
                None => {}
            }
        }
        self.lines.retain(|line| !gone.contains(&line.id));
        let new = found.into_iter().zip(taken).filter(|(_, taken)| !taken);
        new.for_each(|(quad, _)| self.add(quad));
    }

    /// Takes lines that no other search finds, and that are none of the known ones.
    pub(super) fn found_faint(&mut self, found: Vec<text::Line>) {
        for quad in found.into_iter().map(|line| line.quad).filter(is_sound) {
            let rect = bounds(&quad);
            let known = |line: &Line| line.known && bounds(&line.quad).iou(&rect) >= SAME_PLACE;
            if self.lines.iter().any(known) {
                continue;
            }
            let next = self.next;
            self.add(quad);
            if let Some(line) = self.lines.iter_mut().find(|line| line.id == next) {
                line.faint = true;
            }
        }
    }

    fn add(&mut self, quad: Quad) {
        let rect = bounds(&quad);
        let part_of = |line: &Line| line.known && within(&rect, &bounds(&line.quad)) >= WITHIN;
        if self.lines.iter().any(part_of) {
            return;
        }
        self.lines.retain(|line| line.known || within(&bounds(&line.quad), &rect) < WITHIN);
        if self.lines.len() >= MOST {
            self.crowd = Some(self.crowd.map_or(rect, |crowd| crowd.union(&rect)));
            return;
        }
        let id = self.next;
        self.next += 1;
        self.lines.push(Line {
            id,
            quad,
            reading: None,
            known: false,
            print: None,
            read_at: 0.0,
            speed: (0.0, 0.0),
            readings: 0,
            faint: false,
            cut: [false; 4],
            starts_outside: false,
            ends_outside: false,
        });
    }

    /// Takes what line `id` says, read from this very picture.
    pub(super) fn read(&mut self, id: u64, reading: Reading, luma: Plane<'_>) {
        let Some(line) = self.lines.iter_mut().find(|line| line.id == id) else { return };
        if line.faint && reading.glyphs.is_empty() {
            return self.forget(id);
        }
        line.print = Print::of(luma, &line.quad);
        line.known = line.print.is_some();
        line.read_at = height(&line.quad);
        line.readings += 1;
        line.cut = to_edges(&bounds(&line.quad), luma).map(|gap| gap <= EDGE);
        (line.starts_outside, line.ends_outside) = (
            is_outside(at(&line.quad, 0.0, 0.5), luma),
            is_outside(at(&line.quad, 1.0, 0.5), luma),
        );
        line.reading = Some(reading);
        let rect = bounds(&line.quad);
        self.lines.retain(|line| line.id == id || within(&bounds(&line.quad), &rect) < WITHIN);
    }

    /// Forgets line `id`: there is nothing any more that could be text.
    pub(super) fn forget(&mut self, id: u64) {
        self.lines.retain(|line| line.id != id);
    }
}

impl Line {
    /// Moves to where its picture went. Returns whether it was where it was expected.
    fn slide(
        &mut self,
        (now, before): (&Sheet, &Sheet),
        field: &Field,
        seconds: f32,
        wide: bool,
    ) -> bool {
        let rect = bounds(&self.quad);
        let expected = (self.speed.0 * seconds / now.scale.0, self.speed.1 * seconds / now.scale.1);
        let common = (-field.common.0 as f32, -field.common.1 as f32);
        let seeds = [expected, own(field, now, &rect), common, (0.0, 0.0)];
        let slide = slide(now, before, &before.to_samples(&rect), &seeds, wide);
        let by = (slide.by.0 * now.scale.0, slide.by.1 * now.scale.1);
        self.quad = moved(&self.quad, by.0, by.1);
        self.speed = (by.0 / seconds, by.1 / seconds);
        slide.sure
    }

    /// Whether it is still in the picture. One that does not look as it did when it was read is
    /// not known any more, nor one that was cut by the picture's edge and has come in: it may go
    /// on where nothing was to be seen.
    fn check(&mut self, luma: Plane<'_>) -> bool {
        let picture = Rect::new(0.0, 0.0, luma.width as f32, luma.height as f32);
        if bounds(&self.quad).intersect(&picture).area() <= 0.0 {
            return false;
        }
        let Some(print) = &self.print else { return true };
        let Some(seen) = print.compare(luma, &self.quad) else { return false };
        let gaps = to_edges(&bounds(&self.quad), luma);
        let came_in = self.cut.iter().zip(gaps).any(|(cut, gap)| *cut && gap > EDGE);
        self.known &= seen.is_same() && !came_in;
        if self.known {
            self.quad = shifted(&self.quad, seen.shift.0, seen.shift.1);
        }
        let score = self.reading.as_ref().map_or(0.0, |reading| reading.score);
        let larger = score < UNSURE && height(&self.quad) >= LARGER * self.read_at;
        let again = score < VAGUE && self.readings < READINGS;
        self.known &= !larger && !again;
        true
    }

    /// Found again at `quad`: the same line or a part of it, which its print would know of; or one
    /// that has to be read.
    fn see(&mut self, quad: Quad) {
        let (own, other) = (bounds(&self.quad), bounds(&quad));
        let same_length = (length(&self.quad) - length(&quad)).abs() <= SAME_LENGTH * height(&quad);
        let same = same_length && own.iou(&other) >= SAME_LINE;
        if !self.known || !(same || within(&other, &own) >= PART) {
            self.quad = quad;
            self.known = false;
            self.print = None;
        }
    }
}

/// The most common motion of the cells in `rect` of the new picture, in samples.
fn own(field: &Field, now: &Sheet, rect: &Rect) -> (f32, f32) {
    let (columns, rows) = now.touched(rect);
    let mut steps: Vec<_> = rows
        .flat_map(|row| columns.clone().map(move |column| row * field.columns + column))
        .filter(|cell| !field.new[*cell])
        .map(|cell| field.from[cell])
        .collect();
    steps.sort_unstable();
    let (dx, dy) =
        steps.chunk_by(|a, b| a == b).max_by_key(|run| run.len()).map_or((0, 0), |run| run[0]);
    (-dx as f32, -dy as f32)
}

/// Pixels from each side of `rect` to the edge of the picture: left, top, right, bottom; negative
/// outside of it.
fn to_edges(rect: &Rect, luma: Plane<'_>) -> [f32; 4] {
    let (width, height) = (luma.width as f32, luma.height as f32);
    [rect.x, rect.y, width - rect.right(), height - rect.bottom()]
}

/// Whether a point lies at the edge of the picture or beyond.
fn is_outside(point: Point, luma: Plane<'_>) -> bool {
    let rect = Rect::new(point.x, point.y, 0.0, 0.0);
    to_edges(&rect, luma).into_iter().any(|gap| gap <= EDGE)
}

/// The share of `rect` that lies within `other`.
fn within(rect: &Rect, other: &Rect) -> f32 {
    rect.intersect(other).area() / rect.area().max(f32::MIN_POSITIVE)
}
