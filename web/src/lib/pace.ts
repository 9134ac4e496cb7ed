/** What the server said of its limit of calls: how many are left, and for how many seconds. */
export interface Quota {
  remaining: number;
  resetSeconds: number;
}

/** Calls of each window that are kept for what people click. */
const KEPT = 20;

/**
 * How long to wait before a page asks by itself again, in milliseconds: `wanted`, or longer where
 * the rest of the window would otherwise not be enough. Without a limit it is what is wanted.
 */
export function pace(wanted: number, quota: Quota | null): number {
  if (!quota) return wanted;
  const spare = quota.remaining - KEPT;
  const left = quota.resetSeconds * 1_000;
  return spare <= 0 ? Math.max(wanted, left) : Math.max(wanted, left / spare);
}
