//! Arithmetic on corners.

use super::{Point, Quad};
use crate::media::Rect;

impl Point {
    /// A point from its coordinates.
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// The point a share `t` of the way to `other`: 0 is this one, 1 the other.
    pub fn towards(self, other: Self, t: f32) -> Self {
        Self { x: self.x + (other.x - self.x) * t, y: self.y + (other.y - self.y) * t }
    }

    /// How far it is to `other`.
    pub fn distance(self, other: Self) -> f32 {
        (other.x - self.x).hypot(other.y - self.y)
    }
}

impl From<Rect> for Quad {
    /// An upright line.
    fn from(rect: Rect) -> Self {
        let (right, bottom) = (rect.right(), rect.bottom());
        Self([
            Point::new(rect.x, rect.y),
            Point::new(right, rect.y),
            Point::new(right, bottom),
            Point::new(rect.x, bottom),
        ])
    }
}

impl Quad {
    /// Length along the text and height across it, the longer of the two sides each.
    pub fn size(&self) -> (f32, f32) {
        let [a, b, c, d] = self.0;
        (a.distance(b).max(d.distance(c)), a.distance(d).max(b.distance(c)))
    }

    /// The smallest upright rectangle around it.
    pub fn bounds(&self) -> Rect {
        let fold = |of: fn(&Point) -> f32, pick: fn(f32, f32) -> f32, start: f32| {
            self.0.iter().map(of).fold(start, pick)
        };
        let left = fold(|p| p.x, f32::min, f32::INFINITY);
        let top = fold(|p| p.y, f32::min, f32::INFINITY);
        let right = fold(|p| p.x, f32::max, f32::NEG_INFINITY);
        let bottom = fold(|p| p.y, f32::max, f32::NEG_INFINITY);
        Rect::new(left, top, right - left, bottom - top)
    }

    /// The same place read from the other end: for a line whose direction is only guessed, and
    /// whose reading makes no sense.
    pub fn turned(&self) -> Self {
        let [a, b, c, d] = self.0;
        Self([c, d, a, b])
    }

    /// The part of the line between two shares of its length, as [`super::Glyph`] has them.
    pub fn part(&self, start: f32, end: f32) -> Self {
        let [a, b, c, d] = self.0;
        Self([a.towards(b, start), a.towards(b, end), d.towards(c, end), d.towards(c, start)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_keeps_the_height_and_the_direction() {
        let quad = Quad::from(Rect::new(10.0, 20.0, 100.0, 8.0));
        assert_eq!(quad.size(), (100.0, 8.0));
        assert_eq!(quad.part(0.25, 0.5).bounds(), Rect::new(35.0, 20.0, 25.0, 8.0));
        // A line that runs downwards: its length is its height in the picture.
        let [a, b, c, d] = quad.0;
        let down = Quad([b, c, d, a]);
        assert_eq!(down.size(), (8.0, 100.0));
        assert_eq!(down.part(0.5, 1.0).bounds(), Rect::new(10.0, 24.0, 100.0, 4.0));
        assert_eq!(quad.turned().part(0.75, 1.0).bounds(), quad.part(0.0, 0.25).bounds());
    }
}
