import { Problem, why } from "../../lib/api";
import { fill, t } from "../../texts";

const words = t.operate.rules.trial;

/** Why there is no verdict, in words. */
export function reason(error: unknown): string {
  if (!(error instanceof Problem)) return why(error);
  const { status, retryAfter } = error;
  if (status === 413) return words.tooLarge;
  if (status === 415) return words.noPicture;
  if (status === 503) return fill(words.busy, { why: error.message });
  if (status === 504) return words.slow;
  if (status === 429 && retryAfter) return error.message;
  return error.errors.join(" ");
}
