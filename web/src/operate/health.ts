import { headers, why } from "../lib/api";
import { h, put } from "../lib/dom";
import { bytes, millis, percent, span } from "../lib/format";
import { pause } from "../lib/sse";
import type { Dependency, Health } from "../lib/types";
import { fill, t } from "../texts";

/** How often the server is asked how it is; these calls are not limited. */
const ASK = 3_000;

const words = t.operate.health;

/** Each dependency with its state. */
export function healthPage(place: HTMLElement): () => void {
  const over = new AbortController();
  put(place, h("h1", {}, t.operate.tabs.health), h("p", { class: "help" }, t.common.loading));
  void (async () => {
    while (!over.signal.aborted) {
      try {
        // 503 carries the same report.
        const response = await fetch("/health", { headers: headers(), signal: over.signal });
        draw(place, (await response.json()) as Health);
      } catch (error) {
        if (over.signal.aborted) return;
        put(
          place,
          h("h1", {}, t.operate.tabs.health),
          h("p", { class: "alert bad", attrs: { role: "alert" } }, why(error)),
        );
      }
      await pause(ASK, over.signal);
    }
  })();
  return () => over.abort();
}

function draw(place: HTMLElement, health: Health): void {
  const well = health.status === "ok";
  const pill = h(
    "span",
    { class: "pill", attrs: { "data-state": well ? "up" : "degraded" } },
    well ? words.ok : words.degraded,
  );
  const facts: [string, string][] = [
    [words.version, health.version],
    [words.uptime, span(health.uptimeSeconds)],
    [words.memory, bytes(health.process.residentBytes)],
    [words.cpu, percent(health.load.cpuBusyRatio)],
    [words.detect, percent(health.load.detectBusyRatio)],
    [t.operate.tabs.streams, String(health.streams.active)],
  ];
  const parts: [string, string, Dependency][] = [
    [words.livekit, "", health.livekit],
    ...health.detectors.map((one): [string, string, Dependency] => [
      one.name,
      `${one.provider} · ${fill(words.queue, { n: one.queueDepth })}`,
      one,
    ]),
  ];
  // What the server says of further dependencies is shown as it is.
  for (const [name, value] of Object.entries(health)) {
    const known = ["livekit", "load", "process", "streams", "detectors"].includes(name);
    if (!known && typeof value === "object" && value && "state" in value) {
      parts.push([name, "", value as Dependency]);
    }
  }
  put(
    place,
    h("div", { class: "bar" }, h("h1", {}, t.operate.tabs.health), pill),
    !health.censorshipEnabled &&
      h("p", { class: "alert bad", attrs: { role: "alert" } }, words.off),
    h(
      "dl",
      { class: "figures card" },
      ...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    ),
    h(
      "ul",
      { class: "dependencies" },
      ...parts.map(([name, more, one]) => dependency(name, more, one)),
    ),
  );
}

function dependency(name: string, more: string, one: Dependency): Node {
  const state = one.state === "up" ? words.up : one.state === "down" ? words.down : words.degraded;
  return h(
    "li",
    { class: "card" },
    h(
      "div",
      { class: "row" },
      h("h2", {}, name),
      h("span", { class: "pill", attrs: { "data-state": one.state } }, state),
    ),
    h(
      "p",
      { class: "help" },
      [more, one.latencyMs === undefined ? "" : millis(one.latencyMs)].filter(Boolean).join(" · "),
    ),
    one.error ? h("p", { class: one.state === "up" ? "help" : "bad" }, one.error) : null,
  );
}
