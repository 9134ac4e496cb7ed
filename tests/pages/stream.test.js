// A person goes live by clicking, another watches: what can be seen, and how late.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { away, deviation, Film, kept, look, percentile } from "./pictures.js";
import { browse, clip, open, Stack, shows, until } from "./stack.js";
import { hear, lateness, skews, steps } from "./timing.js";

/** Of a covered face less than a quarter of the cells keep their detail; of a clear picture most do. */
const LEGIBLE = 0.25;
const CLEAR = 0.5;

/** Luma of a frame that is covered whole deviates by less. */
const FLAT = 6;

/** Pictures of each kind that must have been judged, and how long to look for them, in s. */
const ENOUGH = 12;
const PATIENCE = 90;

const stack = new Stack();
let browser;
let film;

before(async () => {
  film = new Film(clip());
  await stack.start({ codecs: ["vp8", "h264", "vp9", "av1"] });
  browser = await browse();
});

after(async () => {
  await browser?.close();
  await stack.close(process.env.SCRIM_PAGES_LOGS);
});

/** Fills in the form and clicks, as a person would. */
async function goLive(page, room, codec = "auto") {
  await page.goto(`${stack.http}/broadcast`);
  await page.getByLabel("Room").fill(room);
  await page.getByText("Picture settings").click();
  await page.getByLabel("Codec").selectOption(codec);
  await page.locator(".mine .curtain").waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "Go live" }).click();
}

/** Looks at what a viewer sees until enough was judged. */
async function judge(viewer, caster) {
  const seen = { faces: 0, clear: 0, whole: 0, unread: 0, leaks: [], late: [] };
  const end = Date.now() + PATIENCE * 1_000;
  while ((seen.faces < ENOUGH || seen.clear < ENOUGH) && Date.now() < end) {
    const [theirs, mine] = await Promise.all([
      look(viewer, ".stage video", 4_000, 3),
      look(caster, ".mine video", 4_000, 10_000),
    ]);
    for (const one of theirs) note(seen, one, mine);
  }
  return seen;
}

function note(seen, one, mine) {
  if (one.index !== null) {
    const shown = mine.filter((other) => other.index === one.index && other.at <= one.at).at(-1);
    if (shown) seen.late.push(one.at - shown.at);
  }
  if (!one.luma) return;
  if (one.index === null) {
    seen[deviation(one.luma) < FLAT ? "whole" : "unread"] += 1;
    return;
  }
  const face = film.face(one.index);
  if (!face) return;
  const original = film.luma(one.index);
  seen.faces += 1;
  if (kept(original, one.luma, face) >= LEGIBLE) seen.leaks.push(one.index);
  if (kept(original, one.luma, away(face)) >= CLEAR) seen.clear += 1;
}

for (const codec of ["auto", "h264", "vp9", "av1"]) {
  test(`the face is never legible to a viewer and the background is: ${codec}`, async (t) => {
    const room = `face-${codec}`;
    await stack.coverFaces(room);
    const [caster, viewer] = [await open(browser), await open(browser)];
    t.after(() => Promise.all([caster.context().close(), viewer.context().close()]));
    await viewer.goto(`${stack.http}/watch/${room}`);
    await shows(viewer, "waiting", 20);
    await goLive(caster, room, codec);
    await shows(caster, "live", 30);
    await shows(viewer, "live", 30);
    const seen = await judge(viewer, caster);
    const wanted = codec === "auto" ? "VP8" : codec.toUpperCase();
    await until("the codec is shown", 10, async () =>
      (await caster.locator(".live-figures").textContent()).includes(wanted),
    );
    t.diagnostic(
      `faces ${seen.faces}, background clear ${seen.clear}, covered whole ${seen.whole}, number unread ${seen.unread}`,
    );
    t.diagnostic(
      `glass to glass: p50 ${Math.round(percentile(seen.late, 0.5))} ms, p95 ${Math.round(percentile(seen.late, 0.95))} ms of ${seen.late.length}`,
    );
    assert.deepEqual(seen.leaks, [], "frames with a legible face");
    assert.ok(seen.faces >= ENOUGH && seen.clear >= ENOUGH, JSON.stringify(seen));
    await end(caster, viewer, room);
  });
}

/** The end, as the broadcaster, the viewer and the server see it. */
async function end(caster, viewer, room) {
  await caster.getByRole("button", { name: "End the stream" }).click();
  await caster.getByRole("dialog").getByRole("button", { name: "End the stream" }).click();
  await shows(caster, "ended", 15);
  await shows(viewer, "ended", 15);
  assert.match(await caster.locator(".report").textContent(), /Face, female/);
  assert.equal((await stack.stream(room)).state, "ended");
  assert.deepEqual([caster.errors, viewer.errors], [[], []]);
}

test("who comes late sees a picture at once, and the page measures its own delay", async (t) => {
  const room = "late-comers";
  const caster = await open(browser);
  t.after(() => caster.context().close());
  await goLive(caster, room);
  await shows(caster, "live", 30);
  await caster.locator(".theirs .curtain").waitFor({ state: "hidden" });
  const times = [];
  for (let n = 0; n < 5; n++) {
    const viewer = await open(browser);
    await viewer.addInitScript(steps);
    await viewer.goto(`${stack.http}/watch/${room}`);
    const taken = await until("a picture", 20, () =>
      viewer.evaluate(() => window.steps.picture && window.steps),
    );
    times.push(taken.picture);
    const told = Object.entries(taken).map(([name, at]) => `${name} ${Math.round(at)}`);
    t.diagnostic(`steps of viewer ${n + 1}, ms after opening the page: ${told.join(", ")}`);
    assert.deepEqual(viewer.errors, []);
    await viewer.context().close();
  }
  t.diagnostic(`first picture after opening the page: ${times.map(Math.round).join(", ")} ms`);
  const figure = caster
    .locator(".live-figures div", { hasText: "Behind the camera" })
    .locator("dd");
  const text = await until("the delay is measured", 60, async () => {
    const value = await figure.textContent();
    return /\d/.test(value) ? value : null;
  });
  const [mine, theirs] = await Promise.all([
    look(caster, ".mine video", 4_000, 10_000),
    look(caster, ".theirs video", 4_000, 10_000),
  ]);
  const late = theirs.flatMap((one) => {
    const shown = mine
      .filter((other) => one.index !== null && other.index === one.index && other.at <= one.at)
      .at(-1);
    return shown ? [one.at - shown.at] : [];
  });
  t.diagnostic(
    `the page says ${text}; by the numbers in the picture ${Math.round(percentile(late, 0.5))} ms`,
  );
  // Leaving the page ends the stream.
  caster.once("dialog", (dialog) => dialog.accept());
  await caster.close({ runBeforeUnload: true });
  await until("the stream ends", 20, async () => (await stack.stream(room)).state === "ended");
});

test("an operator sees covered pictures of what was found", async (t) => {
  const room = "judged";
  await stack.coverFaces(room, { record: { thumbnails: true } });
  const [caster, operator] = [await open(browser), await open(browser)];
  t.after(() => Promise.all([caster.context().close(), operator.context().close()]));
  await goLive(caster, room);
  await shows(caster, "live", 30);
  const { streamId } = await stack.stream(room);
  await operator.goto(`${stack.http}/operate#/stream/${streamId}`);
  const place = operator.locator(".detections .thumb").first();
  await place.waitFor({ timeout: 60_000 });
  const { width, height } = await place.boundingBox();
  // Pictures are asked for when they come into view.
  await operator.locator(".detections").evaluate((list) => list.scrollIntoView());
  const picture = operator.locator(".detections .thumb img").first();
  await picture.waitFor({ timeout: 30_000 });
  const seen = await picture.evaluate(async (image) => {
    await image.decode();
    const { naturalWidth, naturalHeight, alt } = image;
    return { naturalWidth, naturalHeight, alt };
  });
  assert.deepEqual([seen.naturalWidth, seen.naturalHeight], [96, 72]);
  assert.match(seen.alt, /^Face, .*male, covered, and what is around it$/);
  // Nothing jumps: a place is as large with its picture as without.
  const holder = operator.locator(".thumb:has(img)").first();
  const after = await holder.boundingBox();
  assert.deepEqual([after.width, after.height], [width, height]);
  await caster.getByRole("button", { name: "End the stream" }).click();
  await caster.getByRole("dialog").getByRole("button", { name: "End the stream" }).click();
  await shows(caster, "ended", 15);
  assert.deepEqual([caster.errors, operator.errors], [[], []]);
});

/** Beeps that must have been heard by both, and how long they are listened to, in ms. */
const BEEPS = 8;
const HEARD = 20_000;

test("sound stays in step with the picture", async (t) => {
  const room = "in-step";
  await stack.coverFaces(room);
  const [caster, viewer] = [await open(browser), await open(browser)];
  t.after(() => Promise.all([caster.context().close(), viewer.context().close()]));
  await goLive(caster, room);
  await shows(caster, "live", 30);
  await viewer.goto(`${stack.http}/watch/${room}`);
  await shows(viewer, "live", 30);
  const at = async (page, selector) => {
    const [beeps, pictures] = await Promise.all([
      page.evaluate(hear, { selector, milliseconds: HEARD }),
      look(page, selector, HEARD, 10_000),
    ]);
    return lateness(beeps, pictures);
  };
  const [camera, seen] = await Promise.all([at(caster, ".mine video"), at(viewer, ".stage video")]);
  const all = skews(seen, camera).sort((a, b) => Math.abs(a) - Math.abs(b));
  t.diagnostic(
    `sound after picture, more than at the camera: p50 ${Math.round(percentile(all, 0.5))} ms, worst ${Math.round(all.at(-1))} ms of ${all.length} beeps`,
  );
  assert.ok(
    all.length >= BEEPS,
    `${camera.length} beeps at the camera, ${seen.length} at the viewer`,
  );
  assert.deepEqual([caster.errors, viewer.errors], [[], []]);
});
