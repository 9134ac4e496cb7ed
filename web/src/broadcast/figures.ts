import { h, say } from "../lib/dom";
import { clock, count, millis, percent, rate } from "../lib/format";
import type { Statistics } from "../lib/types";
import { t } from "../texts";
import type { Sent } from "./publisher";
import { figure } from "./report";

type Name = keyof typeof t.broadcast.figures;

/** The figures of a stream on air. */
export class Figures {
  private readonly values = {} as Record<Name, HTMLElement>;
  readonly element: HTMLElement;
  private last: { at: number; bytes: number } | null = null;

  constructor() {
    const names = Object.keys(t.broadcast.figures) as Name[];
    const rows = names.map((name) => {
      this.values[name] = h("span", {}, t.common.unknown);
      return figure(t.broadcast.figures[name], this.values[name]);
    });
    this.element = h("dl", { class: "figures card" }, ...rows);
  }

  time(seconds: number): void {
    say(this.values.time, clock(seconds));
  }

  delay(milliseconds: number | null): void {
    say(this.values.delay, millis(milliseconds));
  }

  quality(level: string): void {
    const known = level in t.watch.signal ? (level as keyof typeof t.watch.signal) : "unknown";
    say(this.values.connection, t.watch.signal[known].replace(/ connection.*/, ""));
  }

  sent(sent: Sent | null, now: number): void {
    if (!sent) return;
    const { last } = this;
    if (last && now > last.at && sent.bytes >= last.bytes) {
      say(this.values.bitrate, rate(((sent.bytes - last.bytes) * 8_000) / (now - last.at)));
    }
    this.last = { at: now, bytes: sent.bytes };
    const codec = sent.codec ? ` ${sent.codec}` : "";
    say(this.values.resolution, `${sent.width}×${sent.height} ${Math.round(sent.fps)}/s${codec}`);
    say(this.values.dropped, count(sent.dropped));
  }

  server(all: Statistics): void {
    say(this.values.viewers, count(all.viewers.current));
    const { clean, covered, coveredUnverified } = all.frames;
    const whole = clean + covered + coveredUnverified;
    say(this.values.covered, percent(whole ? (covered + coveredUnverified) / whole : null));
  }
}
