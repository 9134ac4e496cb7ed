//! What of a sheet cannot be text: flat and smooth cells. Pure.

use super::sheet::{CELL, Sheet};

/// Least difference of the darkest and brightest sample in and around a cell that shows a part of
/// a letter.
const CONTRAST: u8 = 16;
/// Least difference of neighbouring samples at the edge of a stroke.
const EDGE: u8 = 7;
/// Least number of such edges.
const EDGES: usize = 4;

/// Whether a cell could show a part of a letter: enough contrast in it and its surroundings, and
/// edges sharp enough. Only what is flat or smooth is not.
pub(super) fn could_be_text(sheet: &Sheet, column: usize, row: usize) -> bool {
    if contrast(sheet, column, row) < CONTRAST {
        return false;
    }
    let mut edges = 0;
    let mut above: Option<&[u8]> = None;
    for samples in around(sheet, column, row) {
        edges += samples.windows(2).filter(|two| two[0].abs_diff(two[1]) >= EDGE).count();
        if let Some(above) = above {
            edges += samples.iter().zip(above).filter(|(a, b)| a.abs_diff(**b) >= EDGE).count();
        }
        above = Some(samples);
    }
    edges >= EDGES
}

/// The samples in and around a cell, row by row.
fn around(sheet: &Sheet, column: usize, row: usize) -> impl Iterator<Item = &[u8]> {
    let (width, height) = sheet.size();
    let (x, y) = sheet.corner(column, row);
    let (left, right) = (x.saturating_sub(1), (x + CELL + 1).min(width));
    let rows = y.saturating_sub(1)..(y + CELL + 1).min(height);
    rows.map(move |y| &sheet.row(y)[left..right])
}

/// Difference of the darkest and brightest sample in and around a cell.
pub(super) fn contrast(sheet: &Sheet, column: usize, row: usize) -> u8 {
    let samples = around(sheet, column, row).flatten();
    let (low, high) = samples.fold((u8::MAX, 0), |(low, high), v| (low.min(*v), high.max(*v)));
    high.saturating_sub(low)
}

/// Edges between the samples of a cell: from one column to the next, and from one row to the next.
pub(super) fn edges_within(sheet: &Sheet, column: usize, row: usize) -> (usize, usize) {
    let (x, y) = sheet.corner(column, row);
    let samples = |y: usize| &sheet.row(y)[x..x + CELL];
    let is_edge = |(a, b): (&u8, &u8)| a.abs_diff(*b) >= EDGE;
    let across = (y..y + CELL).map(|y| {
        let row = samples(y);
        row.iter().zip(&row[1..]).filter(|two| is_edge(*two)).count()
    });
    let down = (y..y + CELL - 1)
        .map(|y| samples(y).iter().zip(samples(y + 1)).filter(|two| is_edge(*two)).count());
    (across.sum(), down.sum())
}
