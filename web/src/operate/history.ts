import type { Statistics } from "../lib/types";

/** Samples that are kept of a stream. */
export const KEPT = 60;

/** What became of the frames between two samples, as shares that add up to 1. */
export interface Outcome {
  clean: number;
  covered: number;
  unverified: number;
}

/** The last minutes of one stream, from figures that only grow. */
export class History {
  private last: Statistics["frames"] | null = null;
  readonly shares: number[] = [];
  private rates: { at: number; in: number; out: number }[] = [];

  /** Takes the figures at a time in milliseconds. */
  add(at: number, now: Statistics): void {
    const { last } = this;
    this.last = now.frames;
    this.rates.push({ at, in: now.bytesIn, out: now.bytesOut });
    if (this.rates.length > 4) this.rates.shift();
    if (!last) return;
    const part = outcome(now.frames, last);
    this.shares.push(part ? part.covered + part.unverified : 0);
    if (this.shares.length > KEPT) this.shares.shift();
  }

  /** Bits a second over the last samples; null before the second. */
  get rate(): { in: number; out: number } | null {
    const [first, last] = [this.rates[0], this.rates.at(-1)];
    if (!first || !last || last.at <= first.at) return null;
    const seconds = (last.at - first.at) / 1_000;
    return {
      in: ((last.in - first.in) * 8) / seconds,
      out: ((last.out - first.out) * 8) / seconds,
    };
  }
}

type Frames = Statistics["frames"];

/** Shares of the frames released since `before`, or of all; null when there was none. */
export function outcome(now: Frames, before?: Frames): Outcome | null {
  const since = (name: "clean" | "covered" | "coveredUnverified") =>
    Math.max(0, now[name] - (before?.[name] ?? 0));
  const [clean, covered, unverified] = [
    since("clean"),
    since("covered"),
    since("coveredUnverified"),
  ];
  const all = clean + covered + unverified;
  if (all === 0) return null;
  return { clean: clean / all, covered: covered / all, unverified: unverified / all };
}
