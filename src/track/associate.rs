//! Which finding belongs to which track: a gated cost, and the cheapest assignment under it.

use crate::media::Rect;

/// How far from its prediction an object of known speed may be found, in sizes of the object.
pub(super) const REACH: f32 = 1.5;

/// The same for an object seen once, whose speed is unknown: a face of 120 pixels that crosses 57
/// a frame and is analysed every third is 1.4 sizes away.
pub(super) const REACH_NEW: f32 = 2.0;

/// Most that the areas of two sightings of one object differ, as a ratio.
const SIZE_RATIO: f32 = 8.0;

/// Stands for "impossible" inside the solver; larger than any sum of possible costs.
const IMPOSSIBLE: f64 = 1e6;

/// What it costs to believe that `found` is the object predicted at `predicted`, 0 to 1; `None`
/// when it cannot be.
pub(super) fn cost(predicted: &Rect, found: &Rect, reach: f32) -> Option<f32> {
    let (small, large) = (predicted.area().min(found.area()), predicted.area().max(found.area()));
    if small <= 0.0 || large > SIZE_RATIO * small {
        return None;
    }
    let distance = distance(predicted, found);
    let iou = predicted.iou(found);
    (iou > 0.0 || distance <= reach).then(|| 0.5 * (1.0 - iou) + 0.5 * (distance / reach).min(1.0))
}

/// Distance of the centres in sizes of the objects.
pub(super) fn distance(a: &Rect, b: &Rect) -> f32 {
    let ((ax, ay), (bx, by)) = (a.centre(), b.centre());
    (ax - bx).hypot(ay - by) / ((a.area() + b.area()) / 2.0).sqrt().max(1.0)
}

/// The assignment of rows to columns with the most possible pairs and, among these, the least
/// cost. `cost(row, column)` is 0 to 1, or `None` where a pair is impossible.
///
/// Hungarian method with potentials, O(rows² × columns).
pub(crate) fn assign(
    rows: usize,
    columns: usize,
    cost: impl Fn(usize, usize) -> Option<f32>,
) -> Vec<Option<usize>> {
    // The solver wants at least as many columns as rows: else the two change places.
    let turned = rows > columns;
    let (short, long) = (rows.min(columns), rows.max(columns));
    let costs: Vec<f64> = (0..short * long)
        .map(|i| if turned { (i % long, i / long) } else { (i / long, i % long) })
        .map(|(row, column)| cost(row, column).map_or(IMPOSSIBLE, f64::from))
        .collect();
    let mut result = vec![None; rows];
    for (j, owner) in solve(short, long, &costs).into_iter().enumerate() {
        let Some(i) = owner.filter(|i| costs[i * long + j] < IMPOSSIBLE) else { continue };
        if turned {
            result[j] = Some(i);
        } else {
            result[i] = Some(j);
        }
    }
    result
}

/// The row of each column in the cheapest full assignment; `rows` ≤ `columns`, costs row by row.
fn solve(rows: usize, columns: usize, costs: &[f64]) -> Vec<Option<usize>> {
    let mut row_potential = vec![0.0_f64; rows];
    let mut column_potential = vec![0.0_f64; columns + 1];
    // The column past the last one is where the row to be placed starts.
    let mut owner = vec![None; columns + 1];
    for row in 0..rows {
        owner[columns] = Some(row);
        let mut slack = vec![f64::INFINITY; columns];
        let mut came_from = vec![columns; columns];
        let mut done = vec![false; columns + 1];
        let mut column = columns;
        while let Some(current) = owner[column] {
            done[column] = true;
            let mut step = f64::INFINITY;
            let mut next = columns;
            for c in (0..columns).filter(|&c| !done[c]) {
                let reduced =
                    costs[current * columns + c] - row_potential[current] - column_potential[c];
                if reduced < slack[c] {
                    slack[c] = reduced;
                    came_from[c] = column;
                }
                if slack[c] < step {
                    step = slack[c];
                    next = c;
                }
            }
            for c in 0..=columns {
                if !done[c] {
                    if c < columns {
                        slack[c] -= step;
                    }
                    continue;
                }
                if let Some(owner) = owner[c] {
                    row_potential[owner] += step;
                }
                column_potential[c] -= step;
            }
            column = next;
        }
        while column != columns {
            let previous = came_from[column];
            owner[column] = owner[previous];
            column = previous;
        }
    }
    owner.truncate(columns);
    owner
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Best number of pairs and least cost by trying everything.
    fn exhaustive(costs: &[Vec<Option<f32>>], row: usize, used: u32) -> (usize, f32) {
        let Some(line) = costs.get(row) else { return (0, 0.0) };
        let mut best = exhaustive(costs, row + 1, used);
        for (column, cost) in line.iter().enumerate() {
            if let Some(cost) = cost
                && used & (1 << column) == 0
            {
                let (pairs, rest) = exhaustive(costs, row + 1, used | (1 << column));
                let candidate = (pairs + 1, rest + cost);
                if candidate.0 > best.0 || (candidate.0 == best.0 && candidate.1 < best.1) {
                    best = candidate;
                }
            }
        }
        best
    }

    proptest! {
        #[test]
        fn is_as_good_as_trying_everything(
            columns in 1_usize..6,
            cells in prop::collection::vec(prop::option::weighted(0.7, 0.0_f32..1.0), 0..30),
        ) {
            let costs: Vec<Vec<_>> =
                cells.chunks_exact(columns).map(<[Option<f32>]>::to_vec).collect();
            let result = assign(costs.len(), columns, |r, c| costs[r][c]);
            let mut seen = std::collections::BTreeSet::new();
            let mut total = 0.0;
            for (row, column) in result.iter().enumerate() {
                if let Some(column) = column {
                    prop_assert!(seen.insert(*column));
                    total += costs[row][*column].expect("only possible pairs");
                }
            }
            let (pairs, least) = exhaustive(&costs, 0, 0);
            prop_assert_eq!(seen.len(), pairs);
            prop_assert!((total - least).abs() < 1e-3, "{} for {}", total, least);
        }
    }

    #[test]
    fn a_fast_face_analysed_every_third_frame_is_within_reach() {
        let before = Rect::new(200.0, 300.0, 120.0, 133.0);
        assert!(cost(&before, &before.shift(171.0, 0.0), REACH_NEW).is_some());
        assert!(cost(&before, &before.shift(400.0, 0.0), REACH_NEW).is_none());
    }

    #[test]
    fn the_nearer_and_more_alike_one_is_cheaper() {
        let here = Rect::new(0.0, 0.0, 100.0, 100.0);
        let costs =
            [10.0, 60.0, 110.0, 140.0].map(|x| cost(&here, &here.shift(x, 0.0), REACH).unwrap());
        assert!(costs.is_sorted(), "{costs:?}");
    }
}
