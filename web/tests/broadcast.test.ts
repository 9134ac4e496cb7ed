import assert from "node:assert/strict";
import { test } from "node:test";
import { delay, HEIGHT, type Look, WIDTH } from "../src/broadcast/delay";
import { FIRST, type Input, next, onAir } from "../src/broadcast/state";

/** A picture at a time: a pattern that moves. */
function picture(at: number): Uint8Array {
  const cells = new Uint8Array(WIDTH * HEIGHT);
  for (let i = 0; i < cells.length; i++) {
    const [x, y] = [i % WIDTH, Math.floor(i / WIDTH)];
    cells[i] = 128 + 60 * Math.sin(x / 2 + at / 170) + 50 * Math.cos(y / 1.5 - at / 410);
  }
  return cells;
}

function looks(
  from: number,
  to: number,
  behind: number,
  change = (cells: Uint8Array) => cells,
): Look[] {
  const all = [];
  for (let at = from; at < to; at += 33.3) all.push({ at, cells: change(picture(at - behind)) });
  return all;
}

test("the delay is found to within a frame, whatever it is", () => {
  for (const behind of [0, 60, 145, 333, 900, 2_000]) {
    const found = delay(looks(0, 3_200, 0), looks(2_510, 3_200, behind));
    assert.ok(found !== null && Math.abs(found - behind) <= 20, `${behind} ms: ${found}`);
  }
});

test("what is covered does not hide the delay", () => {
  const covered = (cells: Uint8Array) => cells.map((cell, at) => (at % WIDTH < 8 ? 128 : cell));
  const found = delay(looks(0, 3_200, 0), looks(2_500, 3_200, 240, covered));
  assert.ok(found !== null && Math.abs(found - 240) <= 20, `${found}`);
});

test("where nothing tells, nothing is said", () => {
  const plain = () => new Uint8Array(WIDTH * HEIGHT).fill(90);
  assert.equal(delay(looks(0, 3_200, 0, plain), looks(2_500, 3_200, 200, plain)), null);
  // All covered.
  assert.equal(delay(looks(0, 3_200, 0), looks(2_500, 3_200, 200, plain)), null);
  assert.equal(delay([], looks(2_500, 3_200, 200)), null);
  assert.equal(delay(looks(0, 3_200, 0), []), null);
});

test("a broadcast goes its way", () => {
  let state = FIRST;
  const steps: [Input, string][] = [
    [{ kind: "published" }, "setup"],
    [{ kind: "go" }, "starting"],
    [{ kind: "published" }, "live"],
    [{ kind: "lost" }, "reconnecting"],
    [{ kind: "published" }, "live"],
    [{ kind: "end" }, "ending"],
    [{ kind: "lost" }, "ending"],
    [{ kind: "over" }, "ended"],
    [{ kind: "go" }, "ended"],
    [{ kind: "again" }, "setup"],
    [{ kind: "go" }, "starting"],
    [{ kind: "failed", why: "full" }, "failed"],
    [{ kind: "go" }, "starting"],
  ];
  for (const [input, phase] of steps) {
    state = next(state, input);
    assert.equal(state.phase, phase, input.kind);
  }
  assert.equal(next(FIRST, { kind: "go" }).why, "");
  assert.deepEqual((["setup", "starting", "live", "reconnecting", "ended"] as const).map(onAir), [
    false,
    true,
    true,
    true,
    false,
  ]);
});
