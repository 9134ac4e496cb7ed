import assert from "node:assert/strict";
import { test } from "node:test";
import { Problem } from "../src/lib/api";
import { FIRST, type Input, next, type Phase } from "../src/watch/state";

const on = { kind: "track", on: true } as const;
const off = { kind: "track", on: false } as const;
const coming = { kind: "frames", coming: true } as const;
const stopped = { kind: "frames", coming: false } as const;
const joined = { kind: "joined" } as const;
const lost = { kind: "lost" } as const;
const ended = { kind: "ended" } as const;

function phases(...inputs: Input[]): Phase[] {
  let state = FIRST;
  return inputs.map((input) => {
    state = next(state, input);
    return state.phase;
  });
}

test("a viewer who is early waits, sees the curtain, then the picture", () => {
  assert.deepEqual(phases(joined, on, coming), ["waiting", "starting", "live"]);
});

test("a stream that ends and comes back in the same room", () => {
  const seen = phases(joined, on, coming, off, ended, joined, on, coming);
  const expected = ["waiting", "starting", "live", "ended", "ended", "ended", "starting", "live"];
  assert.deepEqual(seen, expected);
});

test("a connection that breaks", () => {
  assert.deepEqual(phases(joined, on, coming, lost, lost, joined, on, coming), [
    "waiting",
    "starting",
    "live",
    "reconnecting",
    "reconnecting",
    "reconnecting",
    "starting",
    "live",
  ]);
  const over = phases(joined, on, coming, lost, joined, { kind: "quiet" });
  assert.deepEqual(over.slice(3), ["reconnecting", "reconnecting", "ended"]);
  assert.deepEqual(phases(lost, lost, joined), ["connecting", "connecting", "waiting"]);
  const again = phases(
    joined,
    on,
    coming,
    { kind: "reconnecting" },
    { kind: "reconnected" },
    coming,
  );
  assert.deepEqual(again.slice(2), ["live", "reconnecting", "starting", "live"]);
});

test("pictures that stop, and go on", () => {
  assert.deepEqual(phases(joined, on, coming, stopped, coming).slice(2), [
    "live",
    "stalled",
    "live",
  ]);
  // Before the first picture there is nothing to interrupt.
  assert.deepEqual(phases(joined, on, stopped), ["waiting", "starting", "starting"]);
});

test("offline hides what was, and being online shows it again", () => {
  const [offline, online] = [false, true].map((on) => ({ kind: "online", on }) as const);
  assert.ok(offline && online);
  assert.deepEqual(phases(joined, offline, online), ["waiting", "offline", "waiting"]);
  assert.deepEqual(phases(joined, offline, lost, online), [
    "waiting",
    "offline",
    "offline",
    "connecting",
  ]);
  // What can be seen is not offline, whatever the browser says.
  assert.deepEqual(phases(joined, on, coming, offline, stopped).slice(2), [
    "live",
    "live",
    "stalled",
  ]);
  assert.deepEqual(phases(joined, on, offline, coming).slice(2), ["offline", "live"]);
});

test("a refusal is final", () => {
  const refused = (status: number) =>
    ({ kind: "refused", problem: new Problem(status, "x", "why") }) as const;
  assert.deepEqual(phases(refused(401), joined, on, coming), Array(4).fill("invitation"));
  assert.deepEqual(phases(refused(422), joined), ["refused", "refused"]);
  assert.equal(next(FIRST, refused(422)).reason, "why");
});

test("whatever comes in whatever order, live means pictures on a track", () => {
  const all: Input[] = [
    joined,
    on,
    off,
    coming,
    stopped,
    lost,
    ended,
    { kind: "reconnecting" },
    { kind: "reconnected" },
  ];
  let seed = 7;
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed / 2 ** 31;
  };
  for (let run = 0; run < 500; run++) {
    let [state, track] = [FIRST, false];
    for (let step = 0; step < 30; step++) {
      const input = all[Math.floor(random() * all.length)];
      // Pictures come on a track only.
      if (!input || (input.kind === "frames" && !track)) continue;
      state = next(state, input);
      if (input.kind === "track") track = input.on;
      if (input.kind === "ended" || input.kind === "lost") track = false;
      if (!track) assert.notEqual(state.phase, "live", JSON.stringify(input));
    }
  }
});
