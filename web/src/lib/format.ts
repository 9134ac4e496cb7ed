import { t } from "../texts";

/** `1:02:03` or `2:03`; negative and unknown times are none. */
export function clock(seconds: number | null | undefined): string {
  if (seconds == null || !Number.isFinite(seconds) || seconds < 0) return t.common.unknown;
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [
    Math.floor(whole / 3600),
    Math.floor(whole / 60) % 60,
    whole % 60,
  ];
  const two = (value: number) => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** `3 d 4 h`, `2 h 5 min`, `40 s`: how long something has lasted, roughly. */
export function span(seconds: number): string {
  const [days, hours] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3_600) % 24];
  const minutes = Math.floor(seconds / 60) % 60;
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  if (minutes > 0) return `${minutes} min`;
  return `${Math.floor(Math.max(0, seconds))} s`;
}

/** Milliseconds as a person reads them: `185 ms`, `1.4 s`. */
export function millis(value: number | null | undefined): string {
  if (value == null || !Number.isFinite(value)) return t.common.unknown;
  return value < 1_000 ? `${Math.round(value)} ms` : `${(value / 1_000).toFixed(1)} s`;
}

/** Bits a second: `1.8 Mbit/s`, `640 kbit/s`. */
export function rate(bits: number | null | undefined): string {
  if (bits == null || !Number.isFinite(bits)) return t.common.unknown;
  return bits >= 1e6 ? `${(bits / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bits / 1e3)} kbit/s`;
}

/** Bytes: `3.2 GB`, `410 MB`, `12 kB`. */
export function bytes(value: number): string {
  const units: [number, string][] = [
    [1e9, "GB"],
    [1e6, "MB"],
    [1e3, "kB"],
  ];
  for (const [size, unit] of units) {
    if (value >= size) return `${(value / size).toFixed(value < 10 * size ? 1 : 0)} ${unit}`;
  }
  return `${Math.round(value)} B`;
}

/** A share from 0 to 1: `87 %`, and `0.4 %` where it is small. */
export function percent(share: number | null | undefined): string {
  if (share == null || !Number.isFinite(share)) return t.common.unknown;
  const value = share * 100;
  return `${value > 0 && value < 1 ? value.toFixed(1) : Math.round(value)} %`;
}

/** A whole number with separators of thousands. */
export function count(value: number | null | undefined): string {
  return value == null ? t.common.unknown : value.toLocaleString("en");
}

/** The time of day, to the second. */
export function timeOfDay(at: Date): string {
  return at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

/** Day and time of day. */
export function dateAndTime(at: Date): string {
  return at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}
