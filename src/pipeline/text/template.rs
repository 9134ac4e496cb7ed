//! Where a known part of a picture went: template search, finer than a sample. Pure.

use super::motion::{STEPS, Step, sum_of_differences};
use super::sheet::Sheet;
use crate::media::Rect;

/// Mean difference of a template and its like, noise and coding aside.
const ALIKE: f32 = 2.0;

/// Where a part of the picture went: a template search, finer than a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slide {
    /// Samples from where it was, across and down.
    pub by: (f32, f32),
    /// Whether what is there now looks like what was.
    pub sure: bool,
}

/// Rows of a template that are compared at most.
const TEMPLATE_ROWS: usize = 32;
/// Least share of a template that must lie within the picture.
const VISIBLE: f32 = 0.3;
/// How far a template is searched for when it is not where it was expected, in samples.
const REACH: (i32, i32) = (64, 24);

/// Looks for the part `area` (in samples) of `before` in `now`, first around the `seeds`. `wide`:
/// look everywhere within reach if it is at none of them.
pub(super) fn slide(
    now: &Sheet,
    before: &Sheet,
    area: &Rect,
    seeds: &[(f32, f32)],
    wide: bool,
) -> Slide {
    let template = Template::new(before, area);
    let Some(template) = template.filter(|_| now.size() == before.size()) else {
        return Slide { by: seeds.first().copied().unwrap_or_default(), sure: false };
    };
    let round = |(x, y): &(f32, f32)| (x.round() as i32, y.round() as i32);
    let mut place = Place { at: (0, 0), rest: f32::INFINITY };
    for seed in seeds {
        place = place.better(template.at(now, round(seed)));
    }
    place = template.descend(now, place);
    if !template.fits(&place) && wide {
        let (x, y) = seeds.first().map(round).unwrap_or_default();
        let mut found = place;
        for dy in (-REACH.1..=REACH.1).step_by(2) {
            for dx in (-REACH.0..=REACH.0).step_by(2) {
                found = found.better(template.at(now, (x + dx, y + dy)));
            }
        }
        place = template.descend(now, found);
    }
    let by = (place.at.0 as f32, place.at.1 as f32);
    // Where only noise is left, it lies on whole samples; a guess each time would add up.
    let finer =
        if place.rest <= ALIKE { (0.0, 0.0) } else { template.between_samples(now, &place) };
    Slide { by: (by.0 + finer.0, by.1 + finer.1), sure: template.fits(&place) }
}

/// A place and the mean difference of the samples there.
#[derive(Clone, Copy)]
struct Place {
    at: Step,
    rest: f32,
}

impl Place {
    fn better(self, other: Self) -> Self {
        if other.rest < self.rest { other } else { self }
    }
}

struct Template<'a> {
    before: &'a Sheet,
    left: i32,
    top: i32,
    right: i32,
    bottom: i32,
    /// Mean difference from one sample to the next in a row.
    rough: f32,
}

impl<'a> Template<'a> {
    fn new(before: &'a Sheet, area: &Rect) -> Option<Self> {
        let (width, height) = before.size();
        let area = area.clip(width as u32, height as u32);
        let (left, top) = (area.x as i32, area.y as i32);
        let (right, bottom) = (area.right().ceil() as i32, area.bottom().ceil() as i32);
        if right - left < 4 || bottom - top < 3 {
            return None;
        }
        let mut template = Self { before, left, top, right, bottom, rough: 0.0 };
        let (mut sum, mut count) = (0, 0);
        for y in template.rows(top, bottom) {
            let row = &before.row(y as usize)[left as usize..right as usize];
            sum += sum_of_differences(&row[1..], row);
            count += row.len() - 1;
        }
        template.rough = sum as f32 / count.max(1) as f32;
        Some(template)
    }

    fn rows(&self, top: i32, bottom: i32) -> impl Iterator<Item = i32> + use<> {
        // An odd step: what repeats every second row would else look the same half of the time.
        let step = ((self.bottom - self.top) as usize).div_ceil(TEMPLATE_ROWS).max(1) | 1;
        (top..bottom).step_by(step)
    }

    /// How well it fits moved by `by`; what has left the picture does not count.
    fn at(&self, now: &Sheet, by: Step) -> Place {
        let (width, height) = now.size();
        let left = self.left.max(-by.0);
        let right = self.right.min(width as i32 - by.0);
        let top = self.top.max(-by.1);
        let bottom = self.bottom.min(height as i32 - by.1);
        let whole = (self.right - self.left) * (self.bottom - self.top);
        let visible = (right - left).max(0) * (bottom - top).max(0);
        if (visible as f32) < VISIBLE * whole as f32 {
            return Place { at: by, rest: f32::INFINITY };
        }
        let (mut sum, mut count) = (0, 0);
        for y in self.rows(top, bottom) {
            let a = &self.before.row(y as usize)[left as usize..right as usize];
            let b = &now.row((y + by.1) as usize)[(left + by.0) as usize..(right + by.0) as usize];
            sum += sum_of_differences(a, b);
            count += a.len();
        }
        Place { at: by, rest: sum as f32 / count.max(1) as f32 }
    }

    fn descend(&self, now: &Sheet, mut place: Place) -> Place {
        for _ in 0..STEPS {
            let (x, y) = place.at;
            let around = [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, 1), (-1, 1), (1, -1)];
            let next = around
                .into_iter()
                .map(|(dx, dy)| self.at(now, (x + dx, y + dy)))
                .fold(place, Place::better);
            if next.at == place.at {
                break;
            }
            place = next;
        }
        place
    }

    /// What is there now differs by no more than text that lies half a sample off.
    fn fits(&self, place: &Place) -> bool {
        place.rest <= (0.5 * self.rough).max(3.0)
    }

    /// The lowest point of the parabola through the differences beside a place, on each axis.
    fn between_samples(&self, now: &Sheet, place: &Place) -> (f32, f32) {
        let axis = |step: Step| {
            let (x, y) = place.at;
            let before = self.at(now, (x - step.0, y - step.1)).rest;
            let after = self.at(now, (x + step.0, y + step.1)).rest;
            let curve = before + after - 2.0 * place.rest;
            let lowest = 0.5 * (before - after) / curve;
            if curve > 0.0 && lowest.is_finite() { lowest.clamp(-0.5, 0.5) } else { 0.0 }
        };
        (axis((1, 0)), axis((0, 1)))
    }
}
