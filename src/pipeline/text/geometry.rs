//! Quadrangles of lines: points within them, parts of them, the rectangles around them. Pure.

use crate::detect::text::{Point, Quad};
use crate::media::Rect;

fn mix(a: Point, b: Point, share: f32) -> Point {
    Point { x: a.x + (b.x - a.x) * share, y: a.y + (b.y - a.y) * share }
}

fn distance(a: Point, b: Point) -> f32 {
    (a.x - b.x).hypot(a.y - b.y)
}

/// The point at shares of a line's length and height; 0 is its start and its top.
pub(super) fn at(quad: &Quad, along: f32, across: f32) -> Point {
    let [a, b, c, d] = quad.0;
    mix(mix(a, b, along), mix(d, c, along), across)
}

/// Mean length of the upper and lower edge, in pixels.
pub(super) fn length(quad: &Quad) -> f32 {
    let [a, b, c, d] = quad.0;
    (distance(a, b) + distance(d, c)) / 2.0
}

/// Mean height of both ends, in pixels.
pub(super) fn height(quad: &Quad) -> f32 {
    let [a, b, c, d] = quad.0;
    (distance(a, d) + distance(b, c)) / 2.0
}

/// The smallest rectangle that holds it. A place that is no number gives an empty one.
pub(super) fn bounds(quad: &Quad) -> Rect {
    let fold = |value: fn(&Point) -> f32, join: fn(f32, f32) -> f32| {
        quad.0.iter().map(value).reduce(join).unwrap_or_default()
    };
    let (left, right) = (fold(|p| p.x, f32::min), fold(|p| p.x, f32::max));
    let (top, bottom) = (fold(|p| p.y, f32::min), fold(|p| p.y, f32::max));
    Rect::new(left, top, right - left, bottom - top)
}

/// Moved by pixels across and down.
pub(super) fn moved(quad: &Quad, dx: f32, dy: f32) -> Quad {
    Quad(quad.0.map(|p| Point { x: p.x + dx, y: p.y + dy }))
}

/// Moved by pixels along its own length and across it.
pub(super) fn shifted(quad: &Quad, along: f32, across: f32) -> Quad {
    let [a, b, _, d] = quad.0;
    let unit = |from: Point, to: Point| {
        let length = distance(from, to).max(1e-3);
        ((to.x - from.x) / length, (to.y - from.y) / length)
    };
    let ((x, y), (u, v)) = (unit(a, b), unit(a, d));
    moved(quad, x * along + u * across, y * along + v * across)
}

/// The part between two shares of its length.
pub(super) fn part(quad: &Quad, from: f32, to: f32) -> Quad {
    Quad([at(quad, from, 0.0), at(quad, to, 0.0), at(quad, to, 1.0), at(quad, from, 1.0)])
}

/// Whether all corners are numbers and it has a length and a height.
pub(super) fn is_sound(quad: &Quad) -> bool {
    quad.0.iter().all(|p| p.x.abs() < 1e5 && p.y.abs() < 1e5)
        && length(quad) >= 2.0
        && height(quad) >= 2.0
}
