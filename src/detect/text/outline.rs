//! The smallest rectangle, at any angle, around a group of pixels. Pure.
//!
//! Convex hull by Andrew's monotone chain, which is linear on sorted points, then rotating
//! calipers (Toussaint, 1983): one side of the smallest rectangle lies on an edge of the hull.

use super::groups::Run;

/// A line whose direction leans less than this to either side (15 degrees) is taken to run
/// downwards: what leans in a rectangle is the outline of its letters.
const STEEP: f64 = 0.26;

/// A rectangle at any angle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tilted {
    /// The middle.
    pub centre: (f64, f64),
    /// A unit vector along the first side.
    pub axis: (f64, f64),
    /// Lengths along `axis` and across it.
    pub size: (f64, f64),
}

impl Tilted {
    /// Grown by `by` on every side.
    pub(super) fn grow(self, by: f64) -> Self {
        Self { size: (self.size.0 + 2.0 * by, self.size.1 + 2.0 * by), ..self }
    }

    /// The length of its shorter side.
    pub(super) fn thickness(&self) -> f64 {
        self.size.0.min(self.size.1)
    }

    /// Its corners as one reads: the text runs along the longer side when that is `upright` times
    /// the shorter or more, else along the one nearer to the horizontal; to the right, or
    /// downwards when it is [`STEEP`]. Clockwise from the top left.
    pub(super) fn corners(&self, upright: f64) -> [(f64, f64); 4] {
        let (along, across) = self.size;
        let long = along.max(across) >= upright * along.min(across);
        let first = if long { along >= across } else { self.axis.0.abs() >= self.axis.1.abs() };
        let ((dx, dy), length, height) = if first {
            (self.axis, along, across)
        } else {
            ((-self.axis.1, self.axis.0), across, along)
        };
        let forward = if dx.abs() < STEEP { dy > 0.0 } else { dx > 0.0 };
        let (dx, dy) = if forward { (dx, dy) } else { (-dx, -dy) };
        let (lx, ly) = (dx * length / 2.0, dy * length / 2.0);
        let (hx, hy) = (-dy * height / 2.0, dx * height / 2.0);
        let (x, y) = self.centre;
        [
            (x - lx - hx, y - ly - hy),
            (x + lx - hx, y + ly - hy),
            (x + lx + hx, y + ly + hy),
            (x - lx + hx, y - ly + hy),
        ]
    }
}

/// The smallest rectangle around `runs`, which are sorted and not empty.
pub(super) fn around(runs: &[Run], hull: &mut Vec<(f64, f64)>) -> Tilted {
    convex_hull(runs, hull);
    match *hull.as_slice() {
        [] => Tilted { centre: (0.0, 0.0), axis: (1.0, 0.0), size: (0.0, 0.0) },
        [only] => Tilted { centre: only, axis: (1.0, 0.0), size: (0.0, 0.0) },
        [(ax, ay), (bx, by)] => {
            let (dx, dy) = (bx - ax, by - ay);
            let length = dx.hypot(dy);
            let centre = ((ax + bx) / 2.0, (ay + by) / 2.0);
            Tilted { centre, axis: (dx / length, dy / length), size: (length, 0.0) }
        }
        _ => calipers(hull),
    }
}

/// The convex hull of the ends of `runs`, clockwise in picture coordinates, no three in a line.
fn convex_hull(runs: &[Run], hull: &mut Vec<(f64, f64)>) {
    let ends = |run: &Run| {
        let y = f64::from(run.y);
        let pair = [(f64::from(run.from), y), (f64::from(run.to), y)];
        pair.into_iter().take(if run.from == run.to { 1 } else { 2 })
    };
    hull.clear();
    for point in runs.iter().flat_map(ends) {
        push(hull, 0, point);
    }
    if hull.len() < 2 {
        return;
    }
    let floor = hull.len() - 1;
    for point in runs.iter().rev().flat_map(|run| ends(run).rev_ends()).skip(1) {
        push(hull, floor, point);
    }
    hull.pop();
}

/// The ends of a run in the other order.
trait RevEnds: Iterator<Item = (f64, f64)> + Sized {
    fn rev_ends(mut self) -> impl Iterator<Item = (f64, f64)> {
        let (first, second) = (self.next(), self.next());
        second.into_iter().chain(first)
    }
}

impl<I: Iterator<Item = (f64, f64)>> RevEnds for I {}

/// Adds a point to a chain that must turn one way only; its part up to `floor` is done.
fn push(hull: &mut Vec<(f64, f64)>, floor: usize, point: (f64, f64)) {
    while hull.len() >= floor + 2 {
        let [.., a, b] = hull.as_slice() else { break };
        if cross(sub(*b, *a), sub(point, *b)) < 0.0 {
            break;
        }
        hull.pop();
    }
    hull.push(point);
}

/// The smallest rectangle around a hull of at least three points.
fn calipers(hull: &[(f64, f64)]) -> Tilted {
    let n = hull.len();
    // Farthest along the edge, away from it, and back along it: each only ever moves on.
    let (mut right, mut top, mut left) = (1, 1, 1);
    let mut best: Option<(f64, Tilted)> = None;
    for i in 0..n {
        let edge = sub(hull[(i + 1) % n], hull[i]);
        let length = edge.0.hypot(edge.1);
        let axis = (edge.0 / length, edge.1 / length);
        let normal = (axis.1, -axis.0);
        let along = |k: usize| dot(sub(hull[k % n], hull[i]), axis);
        let away = |k: usize| dot(sub(hull[k % n], hull[i]), normal);
        right = farthest(right.max(i + 1), i + n, along);
        top = farthest(top.max(right), i + n, away);
        left = farthest(left.max(top), i + n, |k| -along(k));
        let (from, to, depth) = (along(left).min(0.0), along(right), away(top).max(0.0));
        let size = (to - from, depth);
        if best.as_ref().is_none_or(|(area, _)| size.0 * size.1 < *area) {
            let (a, b) = ((from + to) / 2.0, depth / 2.0);
            let centre =
                (hull[i].0 + axis.0 * a + normal.0 * b, hull[i].1 + axis.1 * a + normal.1 * b);
            best = Some((size.0 * size.1, Tilted { centre, axis, size }));
        }
    }
    best.map_or_else(
        || Tilted { centre: hull[0], axis: (1.0, 0.0), size: (0.0, 0.0) },
        |(_, rectangle)| rectangle,
    )
}

/// From `at` on, the point up to which `value` does not fall, at most `end`.
fn farthest(mut at: usize, end: usize, value: impl Fn(usize) -> f64) -> usize {
    while at < end && value(at + 1) >= value(at) {
        at += 1;
    }
    at
}

fn sub(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0 - b.0, a.1 - b.1)
}

fn dot(a: (f64, f64), b: (f64, f64)) -> f64 {
    a.0 * b.0 + a.1 * b.1
}

fn cross(a: (f64, f64), b: (f64, f64)) -> f64 {
    a.0 * b.1 - a.1 * b.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn runs(list: &[(u32, u32, u32)]) -> Vec<Run> {
        list.iter().map(|&(y, from, to)| Run { y, from, to }).collect()
    }

    fn around(runs: &[Run]) -> Tilted {
        super::around(runs, &mut Vec::new())
    }

    #[test]
    fn an_upright_block_is_its_own_rectangle() {
        let found = around(&runs(&[(2, 3, 12), (3, 3, 12), (4, 3, 12)]));
        assert_eq!(found.centre, (7.5, 3.0));
        let corners = found.corners(1.5);
        assert_eq!(corners, [(3.0, 2.0), (12.0, 2.0), (12.0, 4.0), (3.0, 4.0)]);
    }

    #[test]
    fn a_diagonal_stroke_is_thin() {
        let stroke: Vec<Run> = (0..40).map(|y| Run { y, from: y, to: y + 2 }).collect();
        let found = around(&stroke);
        assert!((found.thickness() - 2.0_f64.sqrt()).abs() < 1e-9, "{found:?}");
        let corners = found.corners(1.5);
        assert!(corners[1].0 > corners[0].0 && corners[1].1 > corners[0].1, "reads down right");
        assert!(corners[3].0 < corners[0].0, "clockwise");
    }

    #[test]
    fn points_and_straight_lines_have_no_area() {
        assert_eq!(around(&runs(&[(5, 7, 7)])).size, (0.0, 0.0));
        assert_eq!(around(&runs(&[(5, 7, 17)])).size, (10.0, 0.0));
        let column: Vec<Run> = (0..9).map(|y| Run { y, from: 4, to: 4 }).collect();
        assert_eq!((around(&column).size, around(&column).thickness()), ((8.0, 0.0), 0.0));
    }

    #[test]
    fn a_tall_block_is_read_downwards_and_a_squarish_one_is_not() {
        let block = |height| (0..height).map(|y| Run { y, from: 0, to: 10 }).collect::<Vec<_>>();
        let tall = around(&block(31)).corners(1.5);
        assert_eq!(tall, [(10.0, 0.0), (10.0, 30.0), (0.0, 30.0), (0.0, 0.0)]);
        let squarish = around(&block(15)).corners(1.5);
        assert_eq!(squarish, [(0.0, 0.0), (10.0, 0.0), (10.0, 14.0), (0.0, 14.0)]);
    }

    proptest! {
        #[test]
        fn every_pixel_is_inside_and_no_upright_rectangle_is_smaller(
            rows in prop::collection::vec((0u32..200, 0u32..60), 1..80)
        ) {
            let runs: Vec<Run> = rows
                .iter()
                .enumerate()
                .map(|(y, &(from, more))| Run { y: y as u32, from, to: from + more })
                .collect();
            let found = around(&runs);
            let across = (-found.axis.1, found.axis.0);
            for run in &runs {
                for x in [run.from, run.to] {
                    let away = sub((f64::from(x), f64::from(run.y)), found.centre);
                    prop_assert!(dot(away, found.axis).abs() <= found.size.0 / 2.0 + 1e-6);
                    prop_assert!(dot(away, across).abs() <= found.size.1 / 2.0 + 1e-6);
                }
            }
            let left = runs.iter().map(|run| run.from).min().unwrap();
            let right = runs.iter().map(|run| run.to).max().unwrap();
            let upright = f64::from(right - left) * (runs.len() - 1) as f64;
            prop_assert!(found.size.0 * found.size.1 <= upright + 1e-6);
        }

        /// By trying every edge against every point.
        #[test]
        fn the_calipers_find_the_smallest(
            rows in prop::collection::vec((0u32..100, 0u32..30), 3..40)
        ) {
            let runs: Vec<Run> = rows
                .iter()
                .enumerate()
                .map(|(y, &(from, more))| Run { y: y as u32, from, to: from + more })
                .collect();
            let mut hull = Vec::new();
            let found = super::around(&runs, &mut hull);
            prop_assume!(hull.len() > 2);
            let spread = |of: &dyn Fn((f64, f64)) -> f64| {
                let all: Vec<f64> = hull.iter().map(|&p| of(p)).collect();
                all.iter().copied().fold(f64::MIN, f64::max) - all.iter().copied().fold(f64::MAX, f64::min)
            };
            let least = (0..hull.len())
                .map(|i| {
                    let edge = sub(hull[(i + 1) % hull.len()], hull[i]);
                    let length = edge.0.hypot(edge.1);
                    let axis = (edge.0 / length, edge.1 / length);
                    spread(&|p| dot(p, axis)) * spread(&|p| cross(p, axis))
                })
                .fold(f64::MAX, f64::min);
            prop_assert!((found.size.0 * found.size.1 - least).abs() < 1e-6);
        }
    }
}
