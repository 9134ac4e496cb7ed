//! Which parts of the picture have been searched for text, and which are new and could be text.
//!
//! What is known of a cell moves along with what it shows. Pure.

use super::motion::Field;
use super::sheet::{CELL, Sheet};
use crate::media::Rect;

/// Least difference of the darkest and brightest sample in and around a cell that shows a part of
/// a letter.
const CONTRAST: u8 = 16;
/// Least difference of neighbouring samples at the edge of a stroke.
const EDGE: u8 = 7;
/// Least number of such edges.
const EDGES: usize = 4;

/// A cell of less is faint: see `faint`.
const FAINT: u8 = 56;

/// Edges run both ways in text: those of one way are at most this many times those of the other,
/// in the open cells around one, this far across and down. Beyond are blinds, fences and bars.
const STRIPES: usize = 16;
const AROUND: (usize, usize) = (3, 2);

/// What is known of one cell.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cell {
    /// It may show text that nobody has searched for.
    open: bool,
    /// When it was last searched, in seconds.
    searched: f64,
}

/// The cells of a stream's sheets.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    columns: usize,
    rows: usize,
    cells: Vec<Cell>,
}

impl Cells {
    /// The cells of a sheet of which nothing is known, at `time`.
    pub(super) fn unknown(sheet: &Sheet, time: f64) -> Self {
        let (columns, rows) = sheet.cells();
        let cell = Cell { open: true, searched: time };
        let mut cells = Self { columns, rows, cells: vec![cell; columns * rows] };
        cells.drop_smooth(sheet);
        cells
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.columns, self.rows)
    }

    /// Whether a cell may show text that nobody has searched for.
    pub(super) fn is_open(&self, column: usize, row: usize) -> bool {
        self.cells[row * self.columns + column].open
    }

    /// Moves what is known along with what it shows, to `sheet`; what is new there, and could be
    /// text, is open.
    pub(super) fn follow(&mut self, sheet: &Sheet, field: &Field, time: f64) {
        let before = self.cells.clone();
        for (i, cell) in self.cells.iter_mut().enumerate() {
            let (column, row) = (i % self.columns, i / self.columns);
            if field.new[i] {
                *cell = Cell { open: true, searched: time };
                continue;
            }
            let (dx, dy) = field.from[i];
            let half = CELL as i32 / 2;
            let source = |at: usize, by: i32, most: usize| {
                ((at as i32 * CELL as i32 + half + by) / CELL as i32).clamp(0, most as i32 - 1)
            };
            let x = source(column, dx, self.columns) as usize;
            let y = source(row, dy, self.rows) as usize;
            *cell = before[y * self.columns + x];
        }
        self.drop_smooth(sheet);
    }

    /// What cannot be text needs no search: what is smooth, and stripes.
    fn drop_smooth(&mut self, sheet: &Sheet) {
        let columns = self.columns;
        let mut edges = vec![(0, 0); self.cells.len()];
        for (i, cell) in self.cells.iter_mut().enumerate().filter(|(_, cell)| cell.open) {
            cell.open = could_be_text(sheet, i % columns, i / columns);
            if cell.open {
                edges[i] = edges_within(sheet, i % columns, i / columns);
            }
        }
        for (i, cell) in self.cells.iter_mut().enumerate().filter(|(_, cell)| cell.open) {
            let (x, y) = (i % columns, i / columns);
            let (mut across, mut down) = (0, 0);
            for row in y.saturating_sub(AROUND.1)..=(y + AROUND.1).min(self.rows - 1) {
                let from = row * columns + x.saturating_sub(AROUND.0);
                let to = row * columns + (x + AROUND.0).min(columns - 1);
                for (a, d) in &edges[from..=to] {
                    (across, down) = (across + a, down + d);
                }
            }
            cell.open = across.min(down) * STRIPES >= across.max(down);
        }
    }

    /// Everything within `rect` may show text that nobody has searched for, where it could be text.
    /// Returns how many cells.
    pub(super) fn open(&mut self, sheet: &Sheet, rect: &Rect) -> usize {
        let (columns, rows) = sheet.touched(rect);
        let mut count = 0;
        for row in rows {
            for column in columns.clone() {
                let open = could_be_text(sheet, column, row);
                self.cells[row * self.columns + column].open = open;
                count += usize::from(open);
            }
        }
        count
    }

    /// What lies within `rect` needs no search: it is known, or was searched, at `time`. Cells of
    /// which the lesser part does may show what comes next to it.
    pub(super) fn close(&mut self, sheet: &Sheet, rect: &Rect, time: f64) {
        let (columns, rows) = sheet.touched(rect);
        for row in rows {
            for column in columns.clone() {
                let cell = sheet.cell(column, row);
                if cell.intersect(rect).area() * 2.0 >= cell.area() {
                    self.cells[row * self.columns + column] = Cell { open: false, searched: time };
                }
            }
        }
    }

    /// The same, with nothing open but what is faint.
    pub(super) fn faint(&self, sheet: &Sheet) -> Self {
        let mut faint = self.clone();
        for (i, cell) in faint.cells.iter_mut().enumerate().filter(|(_, cell)| cell.open) {
            cell.open = contrast(sheet, i % self.columns, i / self.columns) < FAINT;
        }
        faint
    }

    /// Takes a tile's cells for searched at `time`: their turn has come.
    pub(super) fn put_off(&mut self, tile: (usize, usize), size: (usize, usize), time: f64) {
        for row in tile.1..(tile.1 + size.1).min(self.rows) {
            let right = (tile.0 + size.0).min(self.columns);
            for cell in &mut self.cells[row * self.columns + tile.0..row * self.columns + right] {
                cell.searched = time;
            }
        }
    }

    /// The bounds, in pixels, of the cells of a tile that could be text and lie in none of the
    /// `known` lines. `None` where there are none.
    pub(super) fn could_be_text_in(
        &self,
        sheet: &Sheet,
        tile: (usize, usize),
        size: (usize, usize),
        known: &[Rect],
    ) -> Option<Rect> {
        let rows = tile.1..(tile.1 + size.1).min(self.rows);
        let columns = tile.0..(tile.0 + size.0).min(self.columns);
        let places = rows.flat_map(|row| columns.clone().map(move |column| (column, row)));
        let could_be = places.filter(|(column, row)| could_be_text(sheet, *column, *row));
        let unknown = |cell: &Rect| {
            let within = |line: &Rect| cell.intersect(line).area() * 2.0 >= cell.area();
            !known.iter().any(within)
        };
        let cells = could_be.map(|(column, row)| sheet.cell(column, row)).filter(unknown);
        cells.reduce(|all, cell| all.union(&cell))
    }

    /// The tile of `width` × `height` cells whose cells were searched longest ago on average, and
    /// how long ago that is at `time`: its first column and row.
    pub(super) fn oldest_tile(
        &self,
        (width, height): (usize, usize),
        time: f64,
    ) -> ((usize, usize), f64) {
        let mut oldest = ((0, 0), f64::NEG_INFINITY);
        for top in (0..self.rows).step_by(height) {
            for left in (0..self.columns).step_by(width) {
                let (bottom, right) =
                    ((top + height).min(self.rows), (left + width).min(self.columns));
                let ages =
                    (top..bottom).flat_map(|row| &self.cells[row * self.columns..][left..right]);
                let age: f64 = ages.map(|cell| time - cell.searched).sum();
                let age = age / ((bottom - top) * (right - left)) as f64;
                if age > oldest.1 {
                    oldest = ((left, top), age);
                }
            }
        }
        oldest
    }
}

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
fn contrast(sheet: &Sheet, column: usize, row: usize) -> u8 {
    let samples = around(sheet, column, row).flatten();
    let (low, high) = samples.fold((u8::MAX, 0), |(low, high), v| (low.min(*v), high.max(*v)));
    high.saturating_sub(low)
}

/// Edges between the samples of a cell: from one column to the next, and from one row to the next.
fn edges_within(sheet: &Sheet, column: usize, row: usize) -> (usize, usize) {
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
