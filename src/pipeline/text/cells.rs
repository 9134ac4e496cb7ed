//! Which parts of the picture have been searched for text, and which are new and could be text.
//!
//! What is known of a cell moves along with what it shows. Pure.

use super::entering;
use super::motion::Field;
use super::sheet::{CELL, Sheet};
use super::sieve::{contrast, could_be_text, edges_within};
use crate::media::Rect;

/// A cell of less is faint: see `faint`.
const FAINT: u8 = 56;

/// Edges run both ways in text: those of one way are at most this many times those of the other,
/// in the open cells around one, this far across and down. Beyond are blinds, fences and bars.
const STRIPES: usize = 16;
const AROUND: (usize, usize) = (3, 2);

/// What is known of one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cell {
    /// It may show text that nobody has searched for.
    open: bool,
    /// It was searched, and is so faint that a search may have missed something.
    faint: bool,
    /// What is new in it is still coming in over the picture's edge, and is no word yet.
    entering: bool,
    /// How much has come in over the picture's edge here since the last search, in samples.
    depth: u32,
    /// When it was last searched, in seconds.
    searched: f64,
}

impl Cell {
    fn new(time: f64) -> Self {
        Self { open: true, searched: time, ..Self::default() }
    }

    fn closed(time: f64) -> Self {
        Self { searched: time, ..Self::default() }
    }
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
        let mut cells = Self { columns, rows, cells: vec![Cell::new(time); columns * rows] };
        cells.drop_smooth(sheet);
        cells
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.columns, self.rows)
    }

    /// Whether a cell may show text that nobody has searched for; what is coming in over the
    /// picture's edge does not count before it can be a word.
    pub(super) fn is_open(&self, column: usize, row: usize) -> bool {
        let cell = &self.cells[row * self.columns + column];
        cell.open && !cell.entering
    }

    /// Moves what is known along with what it shows, to `sheet`; what is new there, and could be
    /// text, is open.
    pub(super) fn follow(&mut self, sheet: &Sheet, field: &Field, time: f64) {
        let before = self.cells.clone();
        for (i, cell) in self.cells.iter_mut().enumerate() {
            let (column, row) = (i % self.columns, i / self.columns);
            let size = (self.columns, self.rows);
            let come_in = entering::come_in((column, row), size, field);
            let depth = come_in.map_or(0, |by| cell.depth.saturating_add_signed(by));
            if depth > 0 {
                *cell = Cell { entering: come_in != Some(0), depth, ..Cell::new(time) };
                continue;
            }
            if field.new[i] {
                *cell = Cell::new(time);
                continue;
            }
            let (dx, dy) = field.from[i];
            let half = CELL as i32 / 2;
            let source = |at: usize, by: i32, most: usize| {
                ((at as i32 * CELL as i32 + half + by) / CELL as i32).clamp(0, most as i32 - 1)
            };
            let x = source(column, dx, self.columns) as usize;
            let y = source(row, dy, self.rows) as usize;
            *cell = Cell { entering: false, depth: 0, ..before[y * self.columns + x] };
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
        // What comes in counts from the first of it that could be text.
        self.cells.iter_mut().filter(|cell| !cell.open).for_each(|cell| cell.depth = 0);
        self.let_in();
    }

    /// What has come in over an edge of the picture is searched together, once some of it may be a
    /// word. Corners belong to two edges, and do not decide.
    fn let_in(&mut self) {
        for (side, least) in entering::sides((self.columns, self.rows)) {
            let is_enough = |i: usize| self.cells[i].open && self.cells[i].depth > least;
            let inner = side.len().saturating_sub(2);
            if side.clone().skip(1).take(inner).any(is_enough) {
                side.for_each(|i| self.cells[i].entering = false);
            }
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
                let cell = &mut self.cells[row * self.columns + column];
                (cell.open, cell.entering) = (open, false);
                count += usize::from(open);
            }
        }
        count
    }

    /// What lies within `rect` was searched at `time`. Where that was faint, a search may have
    /// missed something.
    pub(super) fn search(&mut self, sheet: &Sheet, rect: &Rect, time: f64) {
        self.take(sheet, rect, |cell, column, row| {
            let faint = cell.open && contrast(sheet, column, row) < FAINT;
            *cell = Cell { faint: faint || cell.faint, ..Cell::closed(time) };
        });
    }

    /// What lies within `rect` needs no search: it is known, at `time`.
    pub(super) fn close(&mut self, sheet: &Sheet, rect: &Rect, time: f64) {
        self.take(sheet, rect, |cell, _, _| *cell = Cell::closed(time));
    }

    /// The cells of which `rect` holds the greater part. The others may show what comes next to it.
    fn take(&mut self, sheet: &Sheet, rect: &Rect, mut with: impl FnMut(&mut Cell, usize, usize)) {
        let (columns, rows) = sheet.touched(rect);
        for row in rows {
            for column in columns.clone() {
                let cell = sheet.cell(column, row);
                if cell.intersect(rect).area() * 2.0 >= cell.area() {
                    with(&mut self.cells[row * self.columns + column], column, row);
                }
            }
        }
    }

    /// The same, with nothing open but what was searched and is faint.
    pub(super) fn faint(&self) -> Self {
        let cell = |cell: &Cell| Cell { open: cell.faint, ..Cell::closed(cell.searched) };
        Self { cells: self.cells.iter().map(cell).collect(), ..*self }
    }

    /// What is faint within `rect` was looked for, or is too much for it.
    pub(super) fn forget_faint(&mut self, sheet: &Sheet, rect: &Rect) {
        self.take(sheet, rect, |cell, _, _| cell.faint = false);
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
