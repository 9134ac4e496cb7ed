import { h } from "../lib/dom";
import { clock, count, millis, percent } from "../lib/format";
import type { Stream } from "../lib/types";
import { className, t } from "../texts";

/** What the stream did, when it is over. */
export function report(stream: Stream | null, again: () => void): HTMLElement {
  const words = t.broadcast.report;
  const action = h("button", { class: "button primary", on: { click: again } }, words.again);
  const title = h("h1", { attrs: { tabindex: "-1" } }, words.title);
  if (!stream) return h("div", { class: "card report" }, title, action);
  const { statistics: all } = stream;
  const { frames } = all;
  const whole = Math.max(1, frames.clean + frames.covered + frames.coveredUnverified);
  const rows: [string, string][] = [
    [words.duration, clock(all.durationSeconds)],
    [words.viewers, count(all.viewers.peak)],
    [words.clean, percent(frames.clean / whole)],
    [words.covered, percent(frames.covered / whole)],
    [words.unverified, percent(frames.coveredUnverified / whole)],
    [words.dropped, count(frames.dropped)],
    [words.delay, millis(all.addedLatencyMs.p50)],
    [words.forwarded, percent(all.forwardedShare)],
  ];
  const found = Object.entries(all.detections).sort(([, a], [, b]) => b - a);
  return h(
    "div",
    { class: "card report" },
    title,
    h("dl", { class: "figures" }, ...rows.map(([name, value]) => figure(name, value))),
    found.length > 0 && h("h2", {}, words.detections),
    found.length > 0 &&
      h(
        "ul",
        { class: "found" },
        ...found.map(([name, times]) =>
          h("li", {}, h("span", {}, className(name)), h("strong", {}, count(times))),
        ),
      ),
    action,
  );
}

/** A term and its value. */
export function figure(name: string, value: string | Node): HTMLElement {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}
