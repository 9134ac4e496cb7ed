/** The longest wait for a next try, in milliseconds. */
export const LONGEST = 15_000;

/**
 * How long to wait before try `attempt` (from 0), in milliseconds: doubling from `first`, at most
 * `longest`, of which between half and all, so that many who lost the same server come back spread
 * out. `random` is from 0 to 1.
 */
export function backoff(attempt: number, random: number, first = 500, longest = LONGEST): number {
  const whole = Math.min(longest, first * 2 ** Math.min(attempt, 20));
  return whole * (0.5 + random / 2);
}
