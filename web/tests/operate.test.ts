import assert from "node:assert/strict";
import { test } from "node:test";
import type { Statistics } from "../src/lib/types";
import { History, KEPT, outcome } from "../src/operate/history";
import { problems } from "../src/operate/rules/check";
import { frame } from "../src/operate/window";

test("two hundred tiles cost as much as those on screen", () => {
  const [tile, row] = [300, 284];
  for (const width of [320, 820, 1_440, 2_560]) {
    for (let offset = -200; offset < 60_000; offset += 97) {
      const view = { width, height: 900, offset };
      const part = frame(200, view, tile, row);
      assert.ok(part.columns >= 1 && part.columns * tile <= Math.max(width, tile));
      assert.equal(part.height, Math.ceil(200 / part.columns) * row);
      assert.ok(part.to - part.from <= (Math.ceil(900 / row) + 3) * part.columns);
      // Whatever is in view is drawn, at its place.
      for (let index = 0; index < 200; index++) {
        const top = Math.floor(index / part.columns) * row - offset;
        const visible = top + row > 0 && top < view.height;
        if (visible) assert.ok(index >= part.from && index < part.to, `${index} at ${offset}`);
      }
      assert.equal(part.above, (part.from / part.columns) * row);
    }
  }
  assert.equal(frame(0, { width: 800, height: 600, offset: 0 }, tile, row).to, 0);
});

function figures(clean: number, covered: number, unverified: number, bytes = 0): Statistics {
  return {
    durationSeconds: 0,
    frames: { received: 0, analysed: 0, clean, covered, coveredUnverified: unverified, dropped: 0 },
    detections: {},
    delayMs: 0,
    addedLatencyMs: { p50: null, p95: null, p99: null },
    viewers: { current: 0, peak: 0, total: 0 },
    bytesIn: bytes,
    bytesOut: 2 * bytes,
    forwardedShare: 0,
  };
}

test("a line of the last minutes comes from figures that only grow", () => {
  const history = new History();
  history.add(0, figures(10, 0, 0));
  assert.deepEqual(history.shares, []);
  assert.equal(history.rate, null);
  history.add(2_000, figures(40, 30, 0, 250_000));
  history.add(4_000, figures(40, 30, 20, 500_000));
  history.add(6_000, figures(40, 30, 20, 750_000));
  assert.deepEqual(history.shares, [0.5, 1, 0]);
  assert.deepEqual(history.rate, { in: 1e6, out: 2e6 });
  for (let n = 0; n < 2 * KEPT; n++) history.add(8_000 + n, figures(100 + n, 30, 20));
  assert.equal(history.shares.length, KEPT);
  // A server that began anew counts from nothing: no share below zero.
  history.add(99_000, figures(5, 0, 0));
  assert.ok(history.shares.every((share) => share >= 0 && share <= 1));
  assert.equal(outcome(figures(0, 0, 0).frames), null);
});

test("rules are checked with the key of everything that is wrong", () => {
  assert.deepEqual(problems({}), []);
  const good = {
    classes: { FACE_MALE: { threshold: 0.05, action: "solid" } },
    delayMs: 60,
    padding: 1,
  };
  assert.deepEqual(problems({ ...good, mode: "instant", onFailure: "freeze" }), []);
  assert.deepEqual(problems({ delayMs: "auto", text: { enabled: true } }), []);
  const bad = {
    classes: { A: { threshold: 0.04 }, B: { action: "hide" } },
    padding: -0.1,
    delayMs: 59,
    mode: "fast",
    onFailure: "show",
  };
  const keys = problems(bad).map((one) => one.split(":")[0]);
  assert.deepEqual(keys, [
    "classes.A.threshold",
    "classes.B.action",
    "padding",
    "delayMs",
    "mode",
    "onFailure",
  ]);
  for (const none of [null, [], "rules", 7]) assert.equal(problems(none).length, 1);
});
