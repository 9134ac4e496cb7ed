// Rules as an operator works with them: a form, what is wrong, dry runs, what they were.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { check } from "./check.js";
import { away, Film, HEIGHT, kept, WIDTH } from "./pictures.js";
import { browse, clip, open, Stack, until } from "./stack.js";

const stack = new Stack();
let browser;

before(async () => {
  await stack.start();
  browser = await browse({ camera: false });
});

after(async () => {
  await browser?.close();
  await stack.close(process.env.SCRIM_PAGES_LOGS);
});

/** The policy of the pages forbids what axe needs to get in; it holds in all other tests. */
const fresh = (more = {}) => open(browser, { bypassCSP: true, ...more });

const rulesOf = async (room) => (await stack.call("GET", `/censorship/rules/${room}`)).body;

test("rules: a form, what is wrong, and what the server keeps", async () => {
  const operator = await fresh();
  await operator.goto(`${stack.http}/operate#/rules/rehearsal`);
  await operator.getByLabel("A list of its own").check();
  await operator.getByLabel("Add", { exact: true }).selectOption("FACE_MALE");
  await operator.getByLabel("How: Face, male").selectOption("solid");
  await operator.getByLabel("From score: Face, male").fill("1.5");
  await operator.getByRole("button", { name: "Save" }).click();
  await operator.getByText("classes.FACE_MALE.threshold: must be from 0.05 to 0.99").waitFor();
  await check("operate-rules-wrong", operator);
  await operator.getByLabel("From score: Face, male").fill("0.4");
  await operator.getByLabel("When there is no verdict").selectOption("freeze");
  await operator.getByRole("button", { name: "Save" }).click();
  await operator.getByText("Saved. In force now.").waitFor();
  const { body } = await stack.call("GET", "/censorship/rules/rehearsal");
  const rule = { threshold: 0.4, action: "solid" };
  assert.equal(body.onFailure, "freeze");
  assert.ok(Math.abs(body.classes.FACE_MALE.threshold - rule.threshold) < 1e-6);
  assert.equal(body.classes.FACE_MALE.action, rule.action);
  await check("operate-rules", operator);
  await operator.getByRole("button", { name: "Remove this room's rules" }).click();
  await until("the rules are gone", 10, async () => {
    const { body: left } = await stack.call("GET", "/censorship/rules/rehearsal");
    return !left.classes;
  });
  await operator.context().close();
});

test("versions: who changed what, and the way back", async () => {
  const operator = await fresh();
  const change = (body) => stack.call("PUT", "/censorship/rules/late-show", body);
  const face = { threshold: 0.25, action: "blur" };
  await change({ classes: { FACE_MALE: face }, padding: 0.15 });
  await change({ classes: { FACE_MALE: { ...face, threshold: 0.4 } }, mode: "instant" });
  await change({
    mode: "instant",
    text: { enabled: true, words: ["damn"], allow: ["Amsterdam"] },
  });
  await operator.goto(`${stack.http}/operate#/rules/late-show`);
  const versions = operator.locator(".versions > li");
  await versions.nth(2).waitFor();
  const told = (await versions.allTextContents()).map((text) => text.replace(/\s+/g, " "));
  assert.match(told[0], /Version 3.*In force.* · dev/);
  assert.match(told[0], /Forbidden words: is now damn/);
  assert.match(told[1], /Face, male: from score: was 0.25 → is now 0.4/);
  assert.match(told[1], /Padding: was 0.15 → is now not said/);
  await check("operate-rules-versions", operator, "section:has(.versions)");

  // Back to the first: asked, written as the fourth, and shown in the form.
  await operator.getByRole("button", { name: "Restore version 1" }).click();
  await operator.getByRole("dialog").getByRole("button", { name: "Restore" }).click();
  await operator.getByText("Version 4").waitFor();
  const now = await rulesOf("late-show");
  assert.equal(now.mode, undefined);
  assert.ok(now.classes.FACE_MALE);
  assert.equal(await operator.getByLabel("From score: Face, male").inputValue(), "0.25");

  // Somebody else was faster: nothing is overwritten.
  await change({ padding: 0.3 });
  await operator.getByRole("button", { name: "Restore version 2" }).click();
  await operator.getByRole("dialog").getByRole("button", { name: "Restore" }).click();
  await operator.getByText("Somebody else changed these rules meanwhile").waitFor();
  assert.equal((await rulesOf("late-show")).mode, undefined);
  await operator.context().close();
});

/** A picture of the clip as PNG, or with everything blurred. */
function still(frame, filter = "null") {
  const source = ["-i", join(clip(), "face.y4m"), "-vf", `select=eq(n\\,${frame}),${filter}`];
  const args = ["-v", "error", ...source, "-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "-"];
  return spawnSync("ffmpeg", args, { maxBuffer: 1 << 24 }).stdout;
}

const FRAME = 75;

test("a dry run shows what would be covered, where and why, and what went wrong", async () => {
  const operator = await fresh({ allowed: [/Failed to load resource/] });
  const faces = JSON.parse(readFileSync(join(clip(), "faces.json"), "utf8"));
  const [x, y, width, height] = faces[FRAME];
  const verdict = {
    width: WIDTH,
    height: HEIGHT,
    covered: [
      {
        kind: "class",
        label: "FACE_FEMALE",
        score: 0.83,
        threshold: 0.25,
        box: { x, y, width, height },
        action: "blur",
      },
    ],
    passed: [
      {
        kind: "class",
        label: "ARMPITS_EXPOSED",
        score: 0.31,
        box: { x: 20, y: 240, width: 90, height: 70 },
        reason: "allowed",
      },
    ],
    text: [{ word: "damn", entry: "damn", severity: "high", start: 5, end: 9 }],
  };
  let answer = { json: verdict };
  let asked = "";
  await operator.route("**/censorship/rules/check", async (route) => {
    const request = route.request();
    asked = request.postDataBuffer().toString("latin1");
    const picture = (await request.headerValue("accept")).startsWith("image/");
    const body = picture && { contentType: "image/png", body: still(FRAME, "boxblur=20") };
    await route.fulfill(body || answer);
  });
  await operator.goto(`${stack.http}/operate#/rules/rehearsal`);
  const status = operator.locator("section", { hasText: "Try these rules" }).getByRole("status");
  await operator.getByRole("button", { name: "Try" }).click();
  await operator.getByText("Choose a picture or type a text first.").waitFor();
  await operator.getByLabel("A list of its own").check();
  await operator.getByLabel("Add", { exact: true }).selectOption("FACE_FEMALE");
  await operator.getByLabel("Or type what could stand").fill("Well damn it");
  const file = { name: "still.png", mimeType: "image/png", buffer: still(FRAME) };
  await operator.locator("#trial-picture").setInputFiles(file);
  await operator
    .getByText("In the picture: 1 covered, 1 shown. In the text: 1 forbidden.")
    .waitFor();
  // The rules in the form, which nobody has saved.
  assert.match(asked, /name="rules"\r\n\r\n{"classes":{"FACE_FEMALE":/);
  // In the place of the room's own, with what feedback has moved in the room.
  assert.match(asked, /name="roomName"\r\n\r\nrehearsal\r\n/);
  assert.match(asked, /name="replace"\r\n\r\ntrue\r\n/);
  assert.deepEqual(await rulesOf("rehearsal"), {});
  const found = operator.locator(".found li");
  const place = x + width / 2 > (2 * WIDTH) / 3 ? /on the right|top right/ : /middle|top centre/;
  assert.match(await found.nth(0).textContent(), place);
  assert.match(
    await found.nth(0).textContent(),
    /Face, female.*Blur\. Score 0\.83; counts from 0\.25/,
  );
  assert.match(await found.nth(1).textContent(), /Armpit, bare bottom left.*The rules allow it/);
  assert.equal(await operator.locator("mark").textContent(), "damn");
  const [mark, image] = await Promise.all([
    operator.locator(".marks .covered").boundingBox(),
    operator.locator(".trial-stage img").boundingBox(),
  ]);
  assert.ok(Math.abs((mark.x - image.x) / image.width - x / WIDTH) < 0.01);
  assert.ok(Math.abs(mark.height / image.height - height / HEIGHT) < 0.01);
  await check("operate-rules-trial", operator, "section:has(.trial-form)");
  const before = await operator.locator(".trial-stage img").getAttribute("src");
  await operator.getByRole("button", { name: "As viewers see it" }).click();
  await operator.getByAltText("The picture as viewers would see it").waitFor();
  assert.notEqual(await operator.locator(".trial-stage img").getAttribute("src"), before);
  await operator.getByLabel("How: Face, female").selectOption("solid");
  await until("old findings are called old", 5, async () =>
    (await status.textContent()).includes("The rules have changed since"),
  );
  const problem = (status, detail) => ({
    status,
    contentType: "application/problem+json",
    body: JSON.stringify({ type: "about:blank", status, detail, errors: [detail] }),
  });
  for (const [code, detail, said] of [
    [413, "too large", "at most 10 MB"],
    [415, "unsupported", "This is no picture that can be read"],
    [422, "the picture is 5000 px wide; at most 4096", "5000 px wide"],
    [503, "no detector", "The detectors have no time"],
    [504, "slow", "It took too long"],
  ]) {
    answer = problem(code, detail);
    await operator.getByRole("button", { name: "Try", exact: true }).click();
    await operator.getByText(said).waitFor();
  }
  await operator.context().close();
});

test("the server's own verdict: a face is covered, a word is found, nothing is kept", async () => {
  const operator = await fresh();
  await operator.goto(`${stack.http}/operate#/rules/dress-rehearsal`);
  await operator.locator("summary").click();
  const face = { threshold: 0.25, action: "blur" };
  const rules = {
    classes: { FACE_FEMALE: face, FACE_MALE: face },
    text: { enabled: true, words: ["blimey"] },
  };
  await operator.getByRole("textbox", { name: "As JSON" }).fill(JSON.stringify(rules));
  await operator.getByLabel("Or type what could stand").fill("Oh 😀 blimey!");
  const file = { name: "still.png", mimeType: "image/png", buffer: still(FRAME) };
  await operator.locator("#trial-picture").setInputFiles(file);
  await operator.locator(".marks .covered").first().waitFor();
  assert.equal(await operator.locator("mark").textContent(), "blimey");
  assert.match(await operator.locator(".found li").first().textContent(), /Face/);
  const film = new Film(clip());
  const original = film.luma(FRAME);
  const shown = async () => {
    const luma = Buffer.from(await operator.evaluate(lumaOf, ".trial-stage img"), "base64");
    return [kept(original, luma, film.face(FRAME)), kept(original, luma, away(film.face(FRAME)))];
  };
  const [clear] = await shown();
  assert.ok(clear > 0.5, "the picture as it is");
  await operator.getByRole("button", { name: "As viewers see it" }).click();
  await operator.getByAltText("The picture as viewers would see it").waitFor();
  const [covered, rest] = await shown();
  assert.ok(covered < 0.25 && rest > 0.5, `${covered} of the face, ${rest} of the background`);
  assert.deepEqual(await rulesOf("dress-rehearsal"), {});
  assert.deepEqual(operator.errors, []);
  await operator.context().close();
});

/** Runs in the page: a picture's luma, as base64. */
async function lumaOf(selector) {
  const image = document.querySelector(selector);
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let text = "";
  for (let at = 0; at < data.length; at += 4)
    text += String.fromCharCode((data[at] * 77 + data[at + 1] * 150 + data[at + 2] * 29) >> 8);
  return btoa(text);
}
