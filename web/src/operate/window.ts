/** Which rows of a long grid are on screen: pure, so that 200 streams cost as much as 12. */

export interface Frame {
  /** Columns that fit. */
  columns: number;
  /** First and one past the last tile to draw. */
  from: number;
  to: number;
  /** Height of all rows, and of those above `from`, in pixels. */
  height: number;
  above: number;
}

/** Rows drawn beyond each edge, so that a small scroll finds them there. */
const SPARE = 1;

/**
 * The part of `count` tiles that a view of `width` by `height` pixels shows when the grid's top is
 * `offset` pixels above the view's. Tiles are at least `tile` wide, rows exactly `row` high.
 */
export function frame(
  count: number,
  view: { width: number; height: number; offset: number },
  tile: number,
  row: number,
): Frame {
  const columns = Math.max(1, Math.floor(view.width / tile));
  const rows = Math.ceil(count / columns);
  const first = Math.min(rows, Math.max(0, Math.floor(view.offset / row) - SPARE));
  const last = Math.max(
    first,
    Math.min(rows, Math.ceil((view.offset + view.height) / row) + SPARE),
  );
  return {
    columns,
    from: first * columns,
    to: Math.min(count, last * columns),
    height: rows * row,
    above: first * row,
  };
}
