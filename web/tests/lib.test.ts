import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff, LONGEST } from "../src/lib/backoff";
import { bytes, clock, millis, percent, rate, span } from "../src/lib/format";
import { personProblem, roomProblem } from "../src/lib/names";
import { pace } from "../src/lib/pace";
import { Parser } from "../src/lib/sse";
import { fill } from "../src/texts";

test("tries spread out, double and stay below the longest wait", () => {
  for (let attempt = 0; attempt < 40; attempt++) {
    const [least, most] = [backoff(attempt, 0), backoff(attempt, 1)];
    assert.equal(most, 2 * least);
    assert.ok(most <= LONGEST);
    assert.ok(attempt === 0 || most >= backoff(attempt - 1, 1));
  }
  assert.equal(backoff(0, 1), 500);
  assert.equal(backoff(3, 1), 4_000);
});

test("a page never uses up the calls that a person's clicks need", () => {
  assert.equal(pace(2_000, null), 2_000);
  // 80 calls to spare in 900 s: one in 11.25 s.
  assert.equal(pace(2_000, { remaining: 100, resetSeconds: 900 }), 11_250);
  assert.equal(pace(2_000, { remaining: 20, resetSeconds: 60 }), 60_000);
  assert.equal(pace(2_000, { remaining: 3, resetSeconds: 0.5 }), 2_000);
  for (let remaining = 100, left = 900; left > 0; remaining--) {
    assert.ok(remaining >= 19, `${remaining} calls with ${left} s left`);
    left -= pace(2_000, { remaining, resetSeconds: left }) / 1_000;
  }
});

test("events are cut the same wherever the network cuts them", () => {
  const text =
    ': hello\n\nid: a-1\nevent: detection\ndata: {"a":\n' +
    "data: 1}\n\nid:a-2\r\ndata:two\r\n\r\nevent: nothing\n\ndata: three\n\n";
  const expected = [
    { id: "a-1", event: "detection", data: '{"a":\n1}' },
    { id: "a-2", event: "message", data: "two" },
    { id: "a-2", event: "message", data: "three" },
  ];
  for (let size = 1; size <= text.length; size++) {
    const parser = new Parser();
    const found = [];
    for (let at = 0; at < text.length; at += size)
      found.push(...parser.push(text.slice(at, at + size)));
    assert.deepEqual(found, expected, `in pieces of ${size}`);
  }
});

test("times and amounts read as people write them", () => {
  assert.deepEqual([0, 59.9, 61, 3_600, 36_061].map(clock), [
    "0:00",
    "0:59",
    "1:01",
    "1:00:00",
    "10:01:01",
  ]);
  assert.deepEqual([null, undefined, -1, Number.NaN].map(clock), ["–", "–", "–", "–"]);
  assert.deepEqual([5, 300, 7_500, 90_000].map(span), ["5 s", "5 min", "2 h 5 min", "1 d 1 h"]);
  assert.deepEqual([null, 0, 184.6, 1_440].map(millis), ["–", "0 ms", "185 ms", "1.4 s"]);
  assert.deepEqual([640_000, 1_840_000].map(rate), ["640 kbit/s", "1.8 Mbit/s"]);
  assert.deepEqual([0, 900, 12_345, 4.1e8, 3.2e9].map(bytes), [
    "0 B",
    "900 B",
    "12 kB",
    "410 MB",
    "3.2 GB",
  ]);
  assert.deepEqual([0, 0.004, 0.5, 1, null].map(percent), ["0 %", "0.4 %", "50 %", "100 %", "–"]);
});

test("names are checked as the server checks them", () => {
  for (const good of ["abc", "A-b_9", "x".repeat(50)]) assert.equal(roomProblem(good), null, good);
  for (const bad of ["", "ab", "a b c", "räume", "a/b/c", "stage-processed", "x".repeat(51)]) {
    assert.notEqual(roomProblem(bad), null, bad);
  }
  for (const good of ["Al", "Ann B_c-9"]) assert.equal(personProblem(good), null, good);
  for (const bad of ["a", " Ann", "Scrim", "Zoë", ""])
    assert.notEqual(personProblem(bad), null, bad);
});

test("a text shows which of its values is missing", () => {
  assert.equal(fill("{a} of {b}", { a: 1 }), "1 of {b}");
});
