/**
 * How far what viewers see is behind the camera, measured by comparing the two pictures: both are
 * reduced to a few cells, and the shift in time at which they fit best is the delay. Covered parts
 * differ, so the cells that fit worst do not count.
 */

/** Cells of a reduced picture. */
export const WIDTH = 24;
export const HEIGHT = 14;

/** A picture of luma cells and when it was shown, in milliseconds. */
export interface Look {
  at: number;
  cells: Uint8Array;
}

/** Shifts that are tried, in milliseconds. */
const LONGEST = 3_000;
const STEP = 10;

/** Share of the cells that must fit; the rest may be covered. */
const COUNTED = 0.6;

/** How far a picture of the camera may be from the time that is looked for, in milliseconds. */
const NEAR = 40;

/** How much better the best shift must be than the middling one. */
const CLEAR = 0.6;

/** Cells differ by at least so much at the middling shift, or nothing moves. */
const MOVES = 1.5;

/** Fewest pairs that a shift is judged by. */
const PAIRS = 6;

/** Sum of the differences of the cells that fit best, a cell, after what is brighter overall. */
function difference(one: Uint8Array, other: Uint8Array): number {
  const apart = new Float32Array(one.length);
  for (let i = 0; i < one.length; i++) apart[i] = Math.abs((one[i] ?? 0) - (other[i] ?? 0));
  apart.sort();
  const counted = Math.floor(apart.length * COUNTED);
  let sum = 0;
  for (let i = 0; i < counted; i++) sum += apart[i] ?? 0;
  return sum / counted;
}

/** The look nearest to `at`; looks are in order of time. */
function nearest(looks: Look[], at: number): Look | null {
  let [low, high] = [0, looks.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((looks[middle]?.at ?? 0) < at) low = middle + 1;
    else high = middle;
  }
  const [after, before] = [looks[low], looks[low - 1]];
  const best =
    before && after && at - before.at < Math.abs(after.at - at) ? before : (after ?? before);
  return best && Math.abs(best.at - at) <= NEAR ? best : null;
}

/** The delay in milliseconds; `null` when the pictures do not tell: nothing moves, all covered. */
export function delay(camera: Look[], shown: Look[]): number | null {
  const known = new Map<string, number>();
  const pair = (one: Look, other: Look): number => {
    const key = `${one.at} ${other.at}`;
    const value = known.get(key) ?? difference(one.cells, other.cells);
    known.set(key, value);
    return value;
  };
  const tried: { shift: number; fit: number }[] = [];
  for (let shift = 0; shift <= LONGEST; shift += STEP) {
    let [sum, pairs] = [0, 0];
    for (const look of shown) {
      const other = nearest(camera, look.at - shift);
      if (!other) continue;
      sum += pair(look, other);
      pairs += 1;
    }
    if (pairs >= Math.min(PAIRS, shown.length) && pairs > 0)
      tried.push({ shift, fit: sum / pairs });
  }
  if (tried.length < 20) return null;
  const sorted = [...tried].sort((a, b) => a.fit - b.fit);
  const best = sorted[0];
  const middling = sorted[sorted.length >> 1];
  if (!best || !middling || middling.fit < MOVES || best.fit > CLEAR * middling.fit) return null;
  // Neighbouring shifts fit alike, since pictures last longer than a step: the middle of them.
  const alike = tried.filter((one) => one.fit <= best.fit * 1.02 + 0.05);
  const close = alike.filter((one) => Math.abs(one.shift - best.shift) <= 2 * NEAR);
  return close.reduce((total, one) => total + one.shift, 0) / close.length;
}

/** Looks at a video as it plays; `end` stops it. */
export class Looker {
  readonly looks: Look[] = [];
  private handle = 0;
  private readonly context: CanvasRenderingContext2D | null;

  constructor(private readonly video: HTMLVideoElement) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [WIDTH, HEIGHT];
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.handle = video.requestVideoFrameCallback(this.take);
  }

  private readonly take = (now: number): void => {
    this.handle = this.video.requestVideoFrameCallback(this.take);
    if (!this.context) return;
    this.context.drawImage(this.video, 0, 0, WIDTH, HEIGHT);
    const { data } = this.context.getImageData(0, 0, WIDTH, HEIGHT);
    const cells = new Uint8Array(WIDTH * HEIGHT);
    for (let i = 0; i < cells.length; i++) {
      const [red, green, blue] = [data[4 * i] ?? 0, data[4 * i + 1] ?? 0, data[4 * i + 2] ?? 0];
      cells[i] = (red * 77 + green * 150 + blue * 29) >> 8;
    }
    this.looks.push({ at: now, cells });
  };

  end(): void {
    this.video.cancelVideoFrameCallback(this.handle);
  }
}

/** How long the camera is looked at, and the end of it in which the other picture is, in ms. */
const CAMERA_SPAN = 3_200;
const SHOWN_SPAN = 700;

/** Measures once; takes some seconds. */
export async function measure(
  camera: HTMLVideoElement,
  shown: HTMLVideoElement,
  wait: (milliseconds: number) => Promise<void>,
): Promise<number | null> {
  const one = new Looker(camera);
  await wait(CAMERA_SPAN - SHOWN_SPAN);
  const other = new Looker(shown);
  await wait(SHOWN_SPAN);
  one.end();
  other.end();
  return delay(one.looks, other.looks);
}
