//! What comes into the picture over its edges: how much of it, before it can be a word. Pure.
//!
//! A picture that pans or scrolls brings something new at every look, as narrow as a letter's
//! stroke. It is searched once enough of it is there, not at each look; what is found then is
//! covered from the look before on.

use super::motion::Field;
use super::sheet::CELL;

/// How much may come in over the edge above or below, left or right before it is searched, in
/// samples. Of 1280×720 that is 6 pixels, less than any line is high, and 14, in which two letters
/// may be seen but no word.
const ENTERING: [u32; 2] = [3, CELL as u32 - 1];

/// By how many samples the picture came in over the edge that the cell at `at` (column and row)
/// lies at, as the neighbour further inside shows it; negative: went out. At a corner the greater.
/// `None` for a cell at no edge, and where the neighbour is new itself: that is no picture that
/// moves in.
pub(super) fn come_in(
    at: (usize, usize),
    (columns, rows): (usize, usize),
    field: &Field,
) -> Option<i32> {
    let (column, row) = at;
    let from = |column: usize, row: usize| {
        let i = row * columns + column;
        (!field.new[i]).then(|| field.from[i])
    };
    let across = match column {
        0 => from(1, row).map(|(x, _)| -x),
        _ if column + 1 == columns => from(column - 1, row).map(|(x, _)| x),
        _ => None,
    };
    let down = match row {
        0 => from(column, 1).map(|(_, y)| -y),
        _ if row + 1 == rows => from(column, row - 1).map(|(_, y)| y),
        _ => None,
    };
    across.max(down)
}

/// The cells at each of the four edges, and the depth up to which nothing there can be a word.
pub(super) fn sides(
    (columns, rows): (usize, usize),
) -> [(std::iter::StepBy<std::ops::Range<usize>>, u32); 4] {
    let all = columns * rows;
    let [down, across] = ENTERING;
    [
        ((0..columns).step_by(1), down),
        ((all - columns..all).step_by(1), down),
        ((0..all).step_by(columns), across),
        ((columns - 1..all).step_by(columns), across),
    ]
}
