import type { Rules } from "../../lib/types";

/** The delay that may be asked for, in milliseconds. */
const DELAY = [60, 5_000] as const;

/** Scores from which a finding may count. */
const THRESHOLD = [0.05, 0.99] as const;

const ACTIONS = ["allow", "blur", "pixelate", "solid", "cover"];

/** Everything that is wrong with rules, each with its key: what the server would say too. */
export function problems(rules: unknown): string[] {
  if (typeof rules !== "object" || rules === null || Array.isArray(rules)) {
    return ["the rules must be an object: { … }"];
  }
  const found: string[] = [];
  const all = rules as Rules;
  for (const [name, rule] of Object.entries(all.classes ?? {})) {
    const { threshold, action } = rule;
    if (threshold !== undefined && !within(threshold, ...THRESHOLD)) {
      found.push(`classes.${name}.threshold: must be from ${THRESHOLD[0]} to ${THRESHOLD[1]}`);
    }
    if (action !== undefined && !ACTIONS.includes(action)) {
      found.push(`classes.${name}.action: must be one of ${ACTIONS.join(", ")}`);
    }
  }
  if (all.padding !== undefined && !within(all.padding, 0, 1)) {
    found.push("padding: must be from 0 to 1");
  }
  const { delayMs } = all;
  if (delayMs !== undefined && delayMs !== "auto" && !within(delayMs, ...DELAY)) {
    found.push(`delayMs: must be "auto" or from ${DELAY[0]} to ${DELAY[1]}`);
  }
  if (all.mode !== undefined && !["verified", "instant"].includes(all.mode)) {
    found.push("mode: must be verified or instant");
  }
  if (all.onFailure !== undefined && !["cover", "freeze", "pass"].includes(all.onFailure)) {
    found.push("onFailure: must be cover, freeze or pass");
  }
  if (all.cascade !== undefined && typeof all.cascade !== "boolean") {
    found.push("cascade: must be true or false");
  }
  return found;
}

function within(value: unknown, least: number, most: number): boolean {
  return typeof value === "number" && value >= least && value <= most;
}
