// Every page in every state: axe finds nothing serious, the console stays empty, and a picture of each
// is kept in docs/screenshots when SCRIM_SCREENSHOTS is set.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";
import { check } from "./check.js";
import { browse, JWT_SECRET, open, Stack, shows, until } from "./stack.js";

const stack = new Stack();
let browser;
let page;

before(async () => {
  await stack.start();
  // The policy of the pages forbids what axe needs to get in; it holds in all other tests.
  browser = await browse();
  page = await fresh();
});

after(async () => {
  await browser?.close();
  await stack.close(process.env.SCRIM_PAGES_LOGS);
});

const fresh = (more = {}) => open(browser, { bypassCSP: true, ...more });

test("the front page and the offline page", async () => {
  await page.goto(`${stack.http}/`);
  await page.getByRole("heading", { name: "Scrim" }).waitFor();
  await check("home", page);
  await page.goto(`${stack.http}/offline`);
  await page.getByRole("heading").waitFor();
  await check("offline", page);
});

test("watching: waiting, a bad address", async () => {
  await page.goto(`${stack.http}/watch/early-bird`);
  await shows(page, "waiting", 20);
  await check("watch-waiting", page);
  await page.goto(`${stack.http}/watch/no`);
  await page.getByRole("heading").waitFor();
  await check("watch-bad-address", page);
});

test("a whole broadcast, watched and operated", async () => {
  const room = "evening-show";
  await stack.coverFaces(room, { record: { thumbnails: true } });
  // A server without a history answers 404, which a browser calls an error.
  const [caster, operator] = [await fresh(), await fresh({ allowed: [/404/] })];
  await caster.goto(`${stack.http}/broadcast`);
  await caster.locator(".mine .curtain").waitFor({ state: "hidden" });
  await caster.getByLabel("Room").fill(room);
  await check("broadcast-setup", caster);
  await operator.goto(`${stack.http}/operate`);
  await operator.getByText("No stream is live").waitFor();
  await check("operate-empty", operator);
  await caster.getByRole("button", { name: "Go live" }).click();
  await shows(caster, "live", 30);
  await page.goto(`${stack.http}/watch/${room}`);
  await shows(page, "live", 30);
  await caster.locator(".strip li").first().waitFor({ timeout: 60_000 });
  await check("watch-live", page);
  await check("broadcast-live", caster);
  await operator.locator(".tile").waitFor();
  await operator.locator(".tile .curtain").waitFor({ state: "hidden" });
  await check("operate-streams", operator);
  await operator.locator(".tile").click();
  await operator.locator(".detections strong").first().waitFor({ timeout: 60_000 });
  await operator.locator(".detections").evaluate((list) => list.scrollIntoView());
  await operator.locator(".detections .thumb img").first().waitFor({ timeout: 30_000 });
  await check("operate-stream", operator);
  // One watches; the broadcaster's preview and the operator's picture are no audience.
  const { viewers } = (await stack.stream(room)).statistics;
  assert.deepEqual([viewers.current, viewers.peak, viewers.total], [1, 1, 1]);

  // The dump button on its key: the picture is one colour for the viewer, and comes back.
  await operator.keyboard.press("c");
  await operator.getByRole("button", { name: "Show again" }).waitFor();
  await until("the picture is covered", 10, () => flat(page));
  assert.equal((await stack.stream(room)).covered, true);
  await check("operate-covered", operator);
  await operator.keyboard.press("c");
  await until("the picture is back", 20, async () => !(await flat(page)));

  // The mode switch leaves the room's other rules as they are.
  await operator.getByLabel("Mode").selectOption("instant");
  const rules = await until("the mode is kept", 10, async () => {
    const { body } = await stack.call("GET", `/censorship/rules/${room}`);
    return body.mode === "instant" && body;
  });
  assert.ok(rules.classes.FACE_FEMALE);

  await caster.getByRole("button", { name: "End the stream" }).click();
  await check("broadcast-end-question", caster);
  await caster.getByRole("dialog").getByRole("button", { name: "End the stream" }).click();
  await shows(caster, "ended", 15);
  await check("broadcast-ended", caster);
  await shows(page, "ended", 15);
  await check("watch-ended", page);
  await caster.context().close();
  await operator.context().close();
});

/** Whether the picture is one colour. */
const flat = (one) =>
  one.evaluate(() => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [32, 18];
    const context = canvas.getContext("2d");
    context.drawImage(document.querySelector(".stage video"), 0, 0, 32, 18);
    const { data } = context.getImageData(0, 0, 32, 18);
    const values = Array.from({ length: 32 * 18 }, (_, at) => data[4 * at + 1]);
    return Math.max(...values) - Math.min(...values) < 16;
  });

test("an operator is told when what is shown is old", async () => {
  const operator = await fresh({ allowed: [/net::ERR_|Failed to load resource/] });
  await operator.goto(`${stack.http}/operate`);
  await operator.getByText("No stream is live").waitFor();
  await operator.context().setOffline(true);
  await operator.getByText("The server cannot be reached. What is shown is from").waitFor();
  await operator.context().setOffline(false);
  await operator.locator(".stale").waitFor({ state: "hidden" });
  await operator.context().close();
});

test("health and analytics", async () => {
  // A server without a history answers 404, which the page says in words and the browser as an error.
  const operator = await fresh({ allowed: [/404/] });
  await operator.goto(`${stack.http}/operate#/health`);
  await operator.getByText("LiveKit").waitFor();
  await check("operate-health", operator);
  await operator.goto(`${stack.http}/operate#/analytics`);
  await operator.locator(".analytics > *").first().waitFor();
  await check("operate-analytics", operator);
  await operator.context().close();
});

test("two hundred streams draw as many tiles as fit", async () => {
  const operator = await fresh({ allowed: [/422|Failed to load resource/] });
  const { body } = await stack.call("GET", "/streams");
  const [sample] = body.streams;
  assert.ok(sample, "a stream was there before");
  const streams = Array.from({ length: 200 }, (_, n) => ({
    ...sample,
    state: "live",
    streamId: `00000000-0000-7000-8000-${String(n).padStart(12, "0")}`,
    roomName: `room-${String(n).padStart(3, "0")}`,
  }));
  await operator.route(/\/streams\?limit/, (route) => route.fulfill({ json: { streams } }));
  const asked = [];
  operator.on("request", (request) => {
    if (/\/token(\/|$)/.test(request.url())) asked.push(request.postDataJSON().roomNames?.length);
  });
  await operator.goto(`${stack.http}/operate`);
  await operator.getByText("200 live").waitFor();
  await operator.locator(".tile").first().waitFor();
  assert.ok((await operator.locator(".tile").count()) <= 30);
  await operator.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await operator.getByText("room-199").waitFor();
  assert.ok((await operator.locator(".tile").count()) <= 30);
  // One call for all of them, of which the limit of tokens knows nothing.
  await until("pictures are asked for", 10, () => asked.length > 0);
  assert.deepEqual(asked, [200]);
  await operator.getByLabel("Find a room").fill("room-07");
  await until("ten are left", 5, async () => (await operator.locator(".tile").count()) === 10);
  await check("operate-many", operator);
  await operator.context().close();
});

/** A token as an administrator would give it. */
function bearer(role) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: "olga", role, exp: Math.floor(Date.now() / 1_000) + 3_600 })}`;
  return `${text}.${createHmac("sha256", JWT_SECRET).update(text).digest("base64url")}`;
}

test("with access control: invitations and signing in", async () => {
  const guarded = new Stack();
  try {
    await guarded.start({ access: { JWT_SECRET } });
    const one = await fresh({ allowed: [/401|403/] });
    await one.goto(`${guarded.http}/watch/members-only`);
    await shows(one, "invitation", 20);
    await check("watch-invitation", one);
    await one.goto(`${guarded.http}/watch/members-only#invitation=${bearer("viewer")}`);
    await one.reload();
    await shows(one, "waiting", 20);
    assert.equal(new URL(one.url()).hash, "");
    await one.context().close();

    const operator = await fresh({ allowed: [/401|403/] });
    await operator.goto(`${guarded.http}/operate`);
    await operator.getByLabel("Access token").fill("not-a-token");
    await operator.getByRole("button", { name: "Sign in" }).click();
    await operator.getByRole("alert").waitFor();
    await check("operate-sign-in", operator);
    await operator.getByLabel("Access token").fill(bearer("operator"));
    await operator.getByRole("button", { name: "Sign in" }).click();
    await operator.getByText("No stream is live").waitFor();
    assert.equal(await operator.evaluate(() => Object.keys(localStorage).length), 0);
    await operator.getByRole("button", { name: "Sign out" }).click();
    await operator.getByLabel("Access token").waitFor();
    await operator.context().close();
  } finally {
    await guarded.close();
  }
});

test("a first visit is small, and stays on this server", async () => {
  const hosts = new Set();
  let bytes = 0;
  const one = await fresh();
  const session = await one.context().newCDPSession(one);
  await session.send("Network.enable");
  const names = new Map();
  session.on("Network.responseReceived", ({ requestId, response }) => {
    hosts.add(new URL(response.url).host);
    names.set(requestId, response.url);
  });
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (!/livekit-/.test(names.get(requestId) ?? "")) bytes += encodedDataLength;
  });
  for (const path of ["/", "/watch/budget", "/broadcast", "/operate"]) {
    bytes = 0;
    await one.goto(stack.http + path, { waitUntil: "networkidle" }).catch(() => undefined);
    assert.ok(bytes < 200_000, `${path}: ${bytes} bytes beside LiveKit's client`);
  }
  assert.deepEqual(
    [...hosts].filter((host) => host !== new URL(stack.http).host),
    [],
  );
  await one.context().close();
});

test("without a server there is a page that says so", async (t) => {
  if (process.env.SCRIM_PAGES) return t.skip("the binary's own pages only");
  const one = await fresh({ allowed: [/net::ERR_/] });
  await one.goto(`${stack.http}/`);
  await one.evaluate(() => navigator.serviceWorker.ready);
  // The driver cannot cut a service worker off, so the server goes.
  await stack.signal("scrim", "SIGTERM");
  await one.goto(`${stack.http}/watch/evening-show`);
  await one.getByRole("heading", { name: "You are offline" }).waitFor();
  await one.context().close();
});
