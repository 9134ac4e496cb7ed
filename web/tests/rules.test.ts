import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rules } from "../src/lib/types";
import { diff } from "../src/operate/rules/diff";
import { cut, place } from "../src/operate/rules/findings";

test("what changed between two versions is said in words, a line each", () => {
  const before: Rules = {
    classes: { FACE_MALE: { threshold: 0.25, action: "blur" }, FACE_FEMALE: { action: "cover" } },
    mode: "verified",
    padding: 0.15,
    text: { enabled: true, words: ["damn", "heck"], allow: ["Amsterdam"] },
  };
  const after: Rules = {
    classes: { FACE_MALE: { threshold: 0.4, action: "blur" }, FEET_EXPOSED: { action: "solid" } },
    onFailure: "freeze",
    padding: 0.15,
    text: { enabled: false, words: ["heck", "blast"], allow: ["Amsterdam"] },
  };
  assert.deepEqual(diff(before, after), [
    { what: "Face, female", from: "Whole picture", to: null },
    { what: "Face, male: from score", from: "0.25", to: "0.4" },
    { what: "Feet, bare", from: null, to: "One colour" },
    { what: "Mode", from: "Verified: held until checked", to: null },
    { what: "When there is no verdict", from: null, to: "Freeze the last checked picture" },
    { what: "Words in the picture", from: "yes", to: "no" },
    { what: "Forbidden words", from: null, to: null, added: ["blast"], removed: ["damn"] },
  ]);
  assert.deepEqual(diff(after, after), []);
  assert.deepEqual(diff(null, {}), []);
  assert.deepEqual(diff({ delayMs: 120 }, { delayMs: "auto" }), [
    { what: "Delay in ms", from: "120", to: "auto" },
  ]);
});

test("an empty list of one's own is not the same as none", () => {
  const [line, ...more] = diff({}, { classes: {} });
  assert.deepEqual(more, []);
  assert.equal(line?.what, "What is covered");
  assert.equal(line?.from, null);
  assert.match(line?.to ?? "", /list of its own/);
  assert.equal(diff({ classes: { A: { action: "blur" } } }, {}).length, 2);
});

test("keys that these pages do not know are shown as rules spell them", () => {
  const lines = diff({}, { text: { contact: { phone: true } }, audio: [1, 2] });
  assert.deepEqual(lines, [
    { what: "audio", from: null, to: "[1,2]" },
    { what: "text.contact.phone", from: null, to: "yes" },
  ]);
});

test("a place has a name", () => {
  const at = (x: number, y: number) => place({ x, y, width: 20, height: 20 }, 300, 300);
  assert.equal(at(0, 0), "top left");
  assert.equal(at(140, 140), "in the middle");
  assert.equal(at(280, 280), "bottom right");
  assert.equal(at(400, 140), "on the right");
});

test("forbidden words are cut out of a text whatever stands around them", () => {
  const match = (start: number, end: number) => ({
    word: "",
    entry: "",
    severity: "strong",
    start,
    end,
  });
  const told = (text: string, ...all: [number, number][]) =>
    cut(
      text,
      all.map((one) => match(...one)),
    )
      .map((part) => (part.match ? `[${part.text}]` : part.text))
      .join("");
  assert.equal(told("oh damn it", [3, 7]), "oh [damn] it");
  assert.equal(told("😀 damn", [2, 6]), "😀 [damn]");
  assert.equal(told("damndamn", [4, 8], [0, 4], [1, 3]), "[damn][damn]");
  assert.equal(told("", [0, 4]), "");
  assert.equal(told("clean"), "clean");
});
