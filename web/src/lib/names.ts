import { t } from "../texts";

/** What is wrong with a room's name; null when it may be used. The server has the same rule. */
export function roomProblem(name: string): string | null {
  if (!/^[A-Za-z0-9_-]{3,50}$/.test(name)) return t.common.roomRule;
  return name.endsWith("-processed") ? t.common.roomReserved : null;
}

/** What is wrong with a person's name; null when it may be used. */
export function personProblem(name: string): string | null {
  const fits = /^[A-Za-z0-9 _-]{2,50}$/.test(name) && name.trim() === name;
  return fits && name.toLowerCase() !== "scrim" ? null : t.common.nameRule;
}

/** Eight characters that nobody else has: who joins under a name that is there puts it out. */
export function unique(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(4));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
