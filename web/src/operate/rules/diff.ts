import type { Rules } from "../../lib/types";
import { className, fill, t } from "../../texts";

const words = t.operate.rules;

/** One difference between two versions of rules, in words. */
export interface Line {
  what: string;
  /** `null`: it was, or is now, not said; then the level below says it. */
  from: string | null;
  to: string | null;
  /** For lists: what came and what went. */
  added?: string[];
  removed?: string[];
}

type Path = readonly string[];

/** What is different, a line each; `null` stands for rules that were taken away. */
export function diff(before: Rules | null, after: Rules | null): Line[] {
  return compare([], before ?? {}, after ?? {});
}

function compare(path: Path, before: unknown, after: unknown): Line[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  const [old, now] = [asObject(before), asObject(after)];
  const whole = path.length === 2 && path[0] === "classes";
  // A class that came or went is one line, with all that is said of it.
  if (old && now && !(whole && (before === undefined || after === undefined))) {
    const keys = [...new Set([...Object.keys(old), ...Object.keys(now)])].sort();
    const below = keys.flatMap((key) => compare([...path, key], old[key], now[key]));
    const list = path[0] === "classes" && path.length === 1;
    return list && (before === undefined || after === undefined)
      ? [line(path, before && words.classesOwn, after && words.classesOwn), ...below]
      : below;
  }
  const [had, has] = [asStrings(before), asStrings(after)];
  if (had && has) {
    const added = has.filter((one) => !had.includes(one));
    const removed = had.filter((one) => !has.includes(one));
    return [{ what: label(path), from: null, to: null, added, removed }];
  }
  return [line(path, value(path, before), value(path, after))];
}

const line = (path: Path, from: unknown, to: unknown): Line => ({
  what: label(path),
  from: from === undefined ? null : String(from),
  to: to === undefined ? null : String(to),
});

/** An object, or one without anything where there is none; null for any other value. */
function asObject(value: unknown): Record<string, unknown> | null {
  if (value === undefined) return {};
  const fits = typeof value === "object" && value !== null && !Array.isArray(value);
  return fits ? (value as Record<string, unknown>) : null;
}

function asStrings(value: unknown): string[] | null {
  if (value === undefined) return [];
  return Array.isArray(value) && value.every((one) => typeof one === "string") ? value : null;
}

/** What a path is called; one that has no words is shown as rules spell it. */
function label(path: Path): string {
  const [first, name, part] = path;
  if (first === "classes" && name !== undefined) {
    const what = className(name);
    return part === undefined ? what : `${what}: ${words.parts[part] ?? part}`;
  }
  return words.keys[path.join(".")] ?? path.join(".");
}

/** A value in words; `undefined` stays. */
function value(path: Path, of: unknown): string | undefined {
  if (of === undefined) return undefined;
  const names: Record<string, Record<string, string>> = {
    mode: t.operate.modes,
    onFailure: words.failures,
    action: words.actions,
  };
  const rule = asObject(of);
  if (path[0] === "classes" && path.length === 2 && rule) {
    const { action = "blur", threshold } = rule;
    const how = words.actions[action as keyof typeof words.actions] ?? String(action);
    return threshold === undefined ? how : fill(words.from, { how, score: String(threshold) });
  }
  if (typeof of === "boolean") return of ? words.yes : words.no;
  const known = names[path.at(-1) ?? ""]?.[String(of)];
  return known ?? (typeof of === "string" ? of : JSON.stringify(of));
}
