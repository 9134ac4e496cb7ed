// What people see when something breaks, and that it comes back by itself.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { browse, open, Stack, shows, stateOf, until } from "./stack.js";

/** Console errors that a browser writes when a server goes away or refuses a second broadcast. */
const EXPECTED = [/WebSocket|net::ERR_|Failed to load resource/];

/** How long whatever broke may take to come back, in s. */
const BACK = 90;

const ROOM = "unlucky";
const stack = new Stack();
let browser;
let caster;
let viewer;

before(async () => {
  await stack.start();
  browser = await browse();
  caster = await open(browser, { allowed: EXPECTED });
  viewer = await open(browser, { allowed: EXPECTED });
  caster.on("dialog", (dialog) => dialog.accept());
  await caster.goto(`${stack.http}/broadcast`);
  await caster.getByLabel("Room").fill(ROOM);
  await caster.locator(".mine .curtain").waitFor({ state: "hidden" });
  await caster.getByRole("button", { name: "Go live" }).click();
  await viewer.goto(`${stack.http}/watch/${ROOM}`);
  await bothLive();
});

after(async () => {
  await browser?.close();
  await stack.close(process.env.SCRIM_PAGES_LOGS);
});

async function bothLive() {
  await shows(caster, "live", BACK);
  await shows(viewer, "live", BACK);
}

/** The states that a page shows, until told to stop. */
function states(page) {
  const seen = new Set();
  let on = true;
  const loop = (async () => {
    while (on) {
      seen.add(await stateOf(page).catch(() => null));
      await sleep(50);
    }
  })();
  return async () => {
    on = false;
    await loop;
    return seen;
  };
}

test("media that stops for some seconds", async () => {
  const stop = states(viewer);
  await stack.signal("livekit", "SIGSTOP");
  await until("the viewer is told", 15, async () => (await stateOf(viewer)) !== "live");
  await stack.signal("livekit", "SIGCONT");
  await bothLive();
  const seen = await stop();
  assert.ok(seen.has("stalled") || seen.has("reconnecting"), [...seen].join());
});

test("the broadcaster's page is loaded again in mid-stream", async () => {
  const before = await stack.stream(ROOM);
  await caster.reload();
  await bothLive();
  const now = await until("another stream", 20, async () => {
    const one = await stack.stream(ROOM);
    return one.streamId !== before.streamId && one;
  });
  assert.equal(now.state, "live");
});

test("a second broadcaster joins, and the first one leaves", async () => {
  const second = await open(browser, { allowed: EXPECTED });
  second.on("dialog", (dialog) => dialog.accept());
  await second.goto(`${stack.http}/broadcast`);
  await second.getByLabel("Room").fill(ROOM);
  await second.getByLabel("Your name").fill("second");
  await second.locator(".mine .curtain").waitFor({ state: "hidden" });
  await second.getByRole("button", { name: "Go live" }).click();
  await second.getByRole("button", { name: "Join it as another broadcaster" }).click();
  await shows(second, "live", BACK);
  assert.equal(await stateOf(viewer), "live");
  // The first goes: the second is there still, so the stream goes on.
  const before = await stack.stream(ROOM);
  await caster.close({ runBeforeUnload: true });
  await sleep(3_000);
  assert.equal((await stack.stream(ROOM)).streamId, before.streamId);
  assert.notEqual((await stack.stream(ROOM)).state, "ended");
  caster = second;
  await bothLive();
});

test("Scrim is restarted", async () => {
  await stack.signal("scrim", "SIGTERM");
  await until("the viewer is told", 30, async () => (await stateOf(viewer)) !== "live");
  await stack.startScrim();
  await bothLive();
});

test("LiveKit is restarted", async () => {
  await stack.signal("livekit", "SIGKILL");
  await until(
    "the broadcaster is told",
    30,
    async () => (await stateOf(caster)) === "reconnecting",
  );
  await stack.startLivekit();
  await bothLive();
});

test("the viewer's device is offline for a while", async () => {
  const context = viewer.context();
  await viewer.goto(`${stack.http}/watch/nobody-here`);
  await shows(viewer, "waiting", 20);
  await context.setOffline(true);
  await shows(viewer, "offline", 10);
  await context.setOffline(false);
  await shows(viewer, "waiting", BACK);
});

test("no other errors on the console", () => {
  assert.deepEqual([caster.errors, viewer.errors], [[], []]);
});
