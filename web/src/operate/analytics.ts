import { call, Problem, why } from "../lib/api";
import { h, put } from "../lib/dom";
import { clock, count } from "../lib/format";
import { className, t } from "../texts";
import { bars } from "./chart";

const words = t.operate.analytics;

/** Totals over a range of days. */
interface Analytics {
  streams?: number;
  viewers?: number;
  averagePeakViewers?: number;
  averageDurationSeconds?: number;
  /** Detections by class. */
  censorshipEvents?: Record<string, number>;
}

/** Days that are shown at first. */
const DAYS = 7;

export function analyticsPage(place: HTMLElement): () => void {
  const day = (back: number) => new Date(Date.now() - back * 86_400_000).toISOString().slice(0, 10);
  const from = h("input", { id: "from", value: day(DAYS), attrs: { type: "date" } });
  const to = h("input", { id: "to", value: day(0), attrs: { type: "date" } });
  const result = h("div", { class: "analytics", attrs: { "aria-live": "polite" } });
  const show = async (event?: Event) => {
    event?.preventDefault();
    // Whole days, the last one included.
    const until = new Date(Date.parse(to.value) + 86_400_000).toISOString();
    const path = `/analytics?from=${new Date(from.value).toISOString()}&to=${until}`;
    try {
      draw(result, await call<Analytics>("GET", path));
    } catch (error) {
      const missing = error instanceof Problem && error.status === 404;
      put(result, h("p", { class: "alert" }, missing ? words.missing : why(error)));
    }
  };
  const field = (label: string, input: HTMLInputElement) =>
    h("div", { class: "field" }, h("label", { attrs: { for: input.id } }, label), input);
  put(
    place,
    h("h1", {}, t.operate.tabs.analytics),
    h(
      "form",
      { class: "row", on: { submit: (event) => void show(event) } },
      field(words.from, from),
      field(words.to, to),
      h("button", { class: "button primary", attrs: { type: "submit" } }, words.show),
    ),
    result,
  );
  void show();
  return () => undefined;
}

function draw(place: HTMLElement, all: Analytics): void {
  const facts: [string, string][] = [
    [words.streams, count(all.streams)],
    [words.viewers, count(all.viewers)],
    [words.peak, all.averagePeakViewers?.toFixed(1) ?? t.common.unknown],
    [words.duration, clock(all.averageDurationSeconds)],
  ];
  const rows = Object.entries(all.censorshipEvents ?? {})
    .sort(([, a], [, b]) => b - a)
    .map(([name, value]) => ({ label: className(name), value, text: count(value) }));
  put(
    place,
    h(
      "dl",
      { class: "figures card" },
      ...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    ),
    h(
      "section",
      { class: "card" },
      h("h2", {}, words.byClass),
      rows.length ? bars(rows) : h("p", { class: "help" }, words.none),
    ),
  );
}
